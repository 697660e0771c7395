"""Data of test_carry_process.py: cells, by what they show of files."""

from __future__ import annotations

from typing import Any

#: Of the standard library alone; about the files. `put` and `told`: what the cell before put, and could not carry.
FILES: dict[str, list[Any]] = {
    "files": [
        """
        import os
        os.makedirs('a/b/c')
        open('a/b/one.txt', 'w').write('one')
        open('a/empty', 'w').close()
        open('.hidden', 'wb').write(bytes(range(256)))
        os.mkdir('nothing')
        """,
        """
        import os
        assert open('a/b/one.txt').read() == 'one' and os.path.getsize('a/empty') == 0
        assert open('.hidden', 'rb').read() == bytes(range(256))
        assert sorted(os.listdir()) == ['.hidden', 'a', 'nothing'] and os.listdir('a/b/c') == os.listdir('nothing') == []
        assert len(put) == 1 and not told
        """,
        "assert put == []",
    ],
    "modes and times": [
        """
        import os
        os.makedirs('closed/in')
        open('closed/in/file', 'w').write('1')
        os.chmod('closed/in/file', 0o4751)
        os.utime('closed/in/file', ns=(1, 1_234_567_890_123_456_789))
        os.utime('closed', ns=(1, 99_000_000_000))
        os.chmod('closed/in', 0o500)
        """,
        """
        import os
        assert os.stat('closed/in').st_mode & 0o7777 == 0o500 and os.stat('closed/in/file').st_mode & 0o7777 == 0o4751
        assert os.stat('closed/in/file').st_mtime_ns == 1_234_567_890_123_456_789
        assert os.stat('closed').st_mtime_ns == 99_000_000_000
        """,
        "import os; assert os.stat('closed').st_mtime_ns == 99_000_000_000 and put == []",
    ],
    "links": [
        """
        import os
        open('file', 'w').write('1')
        os.symlink('file', 'to file')
        os.symlink('/nowhere/at all', 'to nothing')
        os.mkdir('folder')
        os.symlink('../folder', 'folder/round')
        os.link('file', 'twin')
        """,
        """
        import os
        assert os.readlink('to file') == 'file' and os.readlink('to nothing') == '/nowhere/at all'
        assert os.readlink('folder/round') == '../folder'
        open('twin', 'a').write('2')
        assert open('to file').read() == '12' and os.path.samefile('file', 'twin')
        """,
        "assert open('file').read() == '12'",
    ],
    "changed, renamed, removed": [
        """
        import os
        for name in 'abcd':
            open(name, 'w').write(name * 100_000)
        """,
        """
        import os
        assert len(put) == 4
        os.rename('a', 'e')
        os.remove('b')
        open('c', 'r+').write('x')
        """,
        """
        import os
        assert sorted(os.listdir()) == ['c', 'd', 'e']
        assert open('c').read(2) == 'xc' and open('e').read(1) == 'a' and os.path.getsize('d') == 100_000
        assert len(put) == 2
        os.rename('e', 'c')
        """,
        "import os; assert open('c').read(1) == 'a' and sorted(os.listdir()) == ['c', 'd']",
    ],
    "a change that hides": [
        "open('a', 'w').write('a' * 100_000)",
        """
        import os
        status = os.stat('a')
        open('a', 'r+').write('b')
        os.utime('a', ns=(status.st_atime_ns, status.st_mtime_ns))
        """,
        "assert open('a').read(2) == 'ba'",
    ],
    "what was there before": [
        """
        image = (
            "import os; os.mkdir('lib'); names = ('lib/a', 'lib/b', 'lib/c', 'd')\\n"
            "for name in names: open(name, 'w').write(name); os.utime(name, (5, 5))"
        )
        """,
        "assert entries == []; open('lib/b', 'a').write('more')",
        """
        import os, shutil
        assert [entry['path'] for entry in entries if 'path' in entry] == ['lib/b']
        assert open('lib/b').read() == 'lib/bmore' and open('lib/a').read() == 'lib/a'
        shutil.rmtree('lib')
        """,
        """
        import os
        assert entries == [{'kind': 'gone', 'path': 'lib'}] and os.listdir() == ['d']
        os.remove('d')
        os.mkdir('d')
        open('lib', 'w').write('file now')
        """,
        """
        import os
        assert os.path.isdir('d') and open('lib').read() == 'file now'
        os.remove('lib')
        os.symlink('d', 'lib')
        """,
        "import os; assert os.readlink('lib') == 'd' and not [entry for entry in entries if entry['kind'] == 'pack']",
    ],
    "what cannot be carried": [
        """
        import os, socket
        os.mkfifo('pipe')
        socket.socket(socket.AF_UNIX).bind('socket')
        open('file', 'w').write('1')
        """,
        """
        import os
        assert os.listdir() == ['file']
        assert dict(told) == {'file pipe': 'a named pipe cannot be carried.', 'file socket': 'a socket cannot be carried.'}
        """,
    ],
    "names": [
        "import os; names = [b'\\xff\\n', b'\\xc3\\xa4', b'-' * 255]; [open(name, 'w').close() for name in names]",
        "import os; assert sorted(os.listdir(b'.')) == [b'-' * 255, b'\\xc3\\xa4', b'\\xff\\n']",
    ],
    "too large": [
        """
        import os
        for name, size in dict(a=10_000, b=300_000, c=200_000, d=250_000).items():
            open(name, 'wb').write(os.urandom(size))
        os.link('b', 'b2')
        cap = 470_000
        """,
        """
        import os
        assert sorted(os.listdir()) == ['a', 'c', 'd']
        assert sorted(told) == [(name, 'its 300000 bytes do not fit. Advice.') for name in ('file b', 'file b2')]
        cap = 250_000
        """,
        "import os; assert sorted(os.listdir()) == ['a', 'c']; cap = 0",
        "import os; assert os.listdir() == []",
    ],
    "many small files": [
        """
        import os
        os.mkdir('many')
        for n in range(300):
            open('many/%d' % n, 'wb').write(b'%04d' % n * 5000)
        """,
        """
        import os
        assert len(put) == 2 and len(asked) == 2
        assert open('many/299', 'rb').read() == b'0299' * 5000
        open('many/300', 'w').write('new')
        """,
        """
        assert [size for _, size in put] == [3]
        open('many/301', 'w').write('newer')
        """,
        """
        import os
        assert [size for _, size in put] == [8] and open('many/300').read() + open('many/301').read() == 'newnewer'
        for n in range(1, 300):
            if n % 3:
                os.remove('many/%d' % n)
        """,
        """
        import os
        assert sum(entry['size'] for entry in entries if entry['kind'] == 'pack') < 100 * 20_000 + 10
        assert sorted(os.listdir('many')) == sorted(str(n) for n in range(302) if n % 3 == 0 or n >= 300)
        assert all(open('many/%d' % n, 'rb').read() == b'%04d' % n * 5000 for n in range(0, 300, 3))
        """,
        "assert put == []",
    ],
    "a cap counts packs": [
        """
        for n in range(100):
            open(str(n), 'w').write(str(n % 10) * 40_000)
        """,
        """
        import os
        for n in range(45):
            os.remove(str(n))
        cap = 2_300_000
        """,
        """
        import os
        assert len(os.listdir()) == 55 and not told
        assert sum(entry['size'] for entry in entries if entry['kind'] == 'pack') == 55 * 40_000
        """,
    ],
    "a large file": [
        """
        with open('large', 'wb') as file:
            for n in range(20):
                file.write(bytes([n]) * (1 << 20))
        """,
        "import os; assert os.path.getsize('large') == 20 << 20 and open('large', 'rb').read()[5 << 20] == 5",
        "assert put == []",
    ],
    "home gone": [
        "import os, shutil; open('a', 'w').close(); shutil.rmtree(os.getcwd())",
        "import os; assert os.listdir() == []",
    ],
    "modules of the user": [
        """
        import sys
        sys.path.insert(0, '')
        try:
            import mine
        except ImportError:
            open('mine.py', 'w').write('x = 1')
        """,
        "import mine; assert mine.x == 1; open('mine.py', 'w').write('x = 22')",
        "import mine; assert mine.x == 22",
    ],
    "a folder deep down": [
        "import os; os.makedirs('/'.join('d' * 300)); open('/'.join('d' * 300) + '/f', 'w').write('1')",
        "assert open('/'.join('d' * 300) + '/f').read() == '1'",
    ],
}

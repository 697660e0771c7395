"""What points into a process that has ended, or will not be pickled: ``use`` must say so. See :mod:`carry_cases`."""

from __future__ import annotations

#: id, make, use: an expression that uses ``x``.
LOST: list[tuple[str, str, str]] = [
    (
        "generator",
        """
        def steps():
            yield 1
            yield 2
        x = steps()
        next(x)
        """,
        "next(x)",
    ),
    ("generator_expression", "x = (a for a in range(3))", "list(x)"),
    ("coroutine", "import asyncio\nx = asyncio.sleep(0)", "x.send(None)"),
    ("async_generator", "async def async_steps():\n    yield 1\nx = async_steps()", "x.__anext__()"),
    (
        "context_of_generator",
        """
        import contextlib
        @contextlib.contextmanager
        def holding():
            yield 1
        x = holding()
        x.__enter__()
        """,
        "x.__exit__(None, None, None)",
    ),
    ("socket", "import socket\nx = socket.socket()", "x.fileno()"),
    ("database", "import sqlite3\nx = sqlite3.connect(':memory:')", "x.execute('select 1')"),
    (
        "database_cursor",
        """
        import sqlite3
        x = sqlite3.connect(':memory:').execute('select 1')
        """,
        "x.fetchone()",
    ),
    ("match", "import re\nx = re.match('(a)b', 'ab')", "x.group(1)"),
    (
        "thread_pool",
        """
        from concurrent.futures import ThreadPoolExecutor
        x = ThreadPoolExecutor(1)
        """,
        "x.submit(len, '')",
    ),
    ("context_variable", "import contextvars\nx = contextvars.ContextVar('carried')", "x.set(1)"),
    ("hash_in_progress", "import hashlib\nx = hashlib.sha256(b'a')", "x.update(b'b')"),
    ("frame", "import sys\nx = sys._getframe()", "x.f_lineno"),
    (
        "traceback",
        """
        try:
            1 / 0
        except ZeroDivisionError as error:
            x = error.__traceback__
        """,
        "x.tb_frame",
    ),
    ("csv_reader", "import csv\nx = csv.reader(['a,b'])", "next(x)"),
    ("csv_writer", "import csv, io\nx = csv.writer(io.StringIO())", "x.writerow([1])"),
    ("struct", "import struct\nx = struct.Struct('<i')", "x.pack(1)"),
    ("pointer", "import ctypes\nx = ctypes.pointer(ctypes.c_int(1))", "x.contents"),
    ("memory_map", "import mmap\nx = mmap.mmap(-1, 4096)", "x[0]"),
    (
        "thread",
        "import threading, time\nx = threading.Thread(target=time.sleep, args=(60,), daemon=True)\nx.start()",
        "x.is_alive()",
    ),
    ("lock", "import threading\nx = threading.Lock()\nx.acquire()", "x.release()"),
    ("reentrant_lock", "import threading\nx = threading.RLock()\nx.acquire()", "x.release()"),
    (
        "lock_in_instance",
        """
        import threading
        class Guarded:
            def __init__(self):
                self.lock = threading.Lock()
                self.lock.acquire()
        x = Guarded()
        """,
        "x.lock.release()",
    ),
    ("thread_local", "import threading\nx = threading.local()", "x.__dict__"),
    ("process", "import subprocess\nx = subprocess.Popen(['sleep', '60'])", "x.poll()"),
    ("file_for_writing", "import tempfile\nx = open(tempfile.mkdtemp() + '/a', 'w')", "x.write('a')"),
    ("temporary_file", "import tempfile\nx = tempfile.TemporaryFile()", "x.write(b'a')"),
    (
        "zip_archive",
        """
        import zipfile, tempfile
        x = zipfile.ZipFile(tempfile.mkdtemp() + '/a.zip', 'w')
        """,
        "x.namelist()",
    ),
    ("directory_iterator", "import os\nx = os.scandir('/')", "next(x)"),
    ("poll", "import select\nx = select.poll()", "x.poll(0)"),
    ("selector", "import selectors\nx = selectors.DefaultSelector()", "x.get_map()"),
    ("event_loop", "import asyncio\nx = asyncio.new_event_loop()", "x.time()"),
    ("ssl_context", "import ssl\nx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)", "x.verify_mode"),
    ("compressor", "import zlib\nx = zlib.compressobj()", "x.compress(b'a')"),
    ("xml_parser", "from xml.parsers import expat\nx = expat.ParserCreate()", "x.Parse('<a/>')"),
    ("pickler", "import io, pickle\nx = pickle.Pickler(io.BytesIO())", "x.dump(1)"),
    ("system_random", "import random\nx = random.SystemRandom()", "x.random()"),
    ("text_over_bytes", "import io\nx = io.TextIOWrapper(io.BytesIO())", "x.write('a')"),
    (
        "refuses_to_be_pickled",
        """
        class Refuses:
            a = 1
            def __reduce__(self):
                raise TypeError('not me')
        x = Refuses()
        """,
        "x.a",
    ),
    (
        "fails_when_loaded",
        """
        class FailsLater:
            def __setstate__(self, state):
                raise ValueError('not here')
            def __init__(self):
                self.a = 1
        x = FailsLater()
        """,
        "x.a",
    ),
    (
        "endless_attributes",
        """
        class Endless:
            def __init__(self):
                self.real = 1
            def __getattr__(self, name):
                return getattr(self.real_one, name)
        x = Endless()
        """,
        "x.real",
    ),
    (
        "needs_arguments",
        """
        class Needy(OSError):
            def __init__(self, a, b):
                super().__init__(a)
        x = Needy(1, 2)
        """,
        "x.args",
    ),
    ("in_a_list", "import sqlite3\nx = [1, 2, sqlite3.connect(':memory:')]", "x[2].execute('select 1')"),
    ("in_a_dict", "x = {'a': 1, 'b': (b for b in 'b')}", "next(x['b'])"),
    (
        "in_an_instance",
        """
        class Holder:
            pass
        x = Holder()
        x.iterator = (b for b in 'b')
        """,
        "next(x.iterator)",
    ),
    (
        "in_a_closure",
        """
        def closing():
            inner = (b for b in 'b')
            return lambda: next(inner)
        x = closing()
        """,
        "x()",
    ),
    (
        "in_a_default",
        """
        def with_default(a=(b for b in 'b')):
            return next(a)
        x = with_default
        del with_default
        """,
        "x()",
    ),
    (
        "in_a_class",
        """
        class KeepsIterator:
            iterator = (b for b in 'b')
        x = KeepsIterator
        del KeepsIterator
        """,
        "x.iterator",
    ),
    (
        "in_an_attribute",
        """
        def with_attribute():
            return with_attribute.iterator
        with_attribute.iterator = (b for b in 'b')
        x = with_attribute
        del with_attribute
        """,
        "x()",
    ),
    ("too_deep", "x = []\nfor _ in range(100_000):\n    x = [x]", "len(x)"),
    (
        "structure_of_ctypes",
        """
        import ctypes
        class Pair(ctypes.Structure):
            _fields_ = [('a', ctypes.c_int), ('b', ctypes.c_double)]
        x = Pair(1, 2.5)
        """,
        "x.a",
    ),
    ("key_of_comparison", "import functools\nx = functools.cmp_to_key(lambda a, b: b - a)", "sorted([1, 2], key=x)"),
    (
        "pretends_to_be_another",
        """
        class Pretends:
            @property
            def __class__(self):
                return int
        x = [Pretends()]
        """,
        "str(x[0])",
    ),
    ("future", "from concurrent.futures import Future\nx = Future()", "x.set_result(1)"),
]

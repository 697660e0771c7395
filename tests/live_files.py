"""Open files, folders and descriptors of them: see :mod:`live_things`."""

from __future__ import annotations

FILES: list[tuple[str, str, str]] = [
    (
        "file_read_half",
        """
        import os, tempfile
        half_path = os.path.join(tempfile.mkdtemp(dir=os.path.expanduser("~")), "half.txt")
        with open(half_path, "w") as half_writer:
            half_writer.writelines(f"line {number}\\n" for number in range(5000))
        half_file = open(half_path)
        half_begun = [next(half_file) for _ in range(1000)]
        half_bytes = open(half_path, "rb")
        half_bytes.seek(-10, os.SEEK_END)
        """,
        """
        half_rest = half_begun + list(half_file)
        (len(half_rest), half_rest[1000], half_bytes.read()) == (5000, "line 1000\\n", b"line 4999\\n")
        """,
    ),
    (
        "file_write_buffer",
        """
        import tempfile
        buffer_folder = tempfile.mkdtemp()
        buffer_file = open(buffer_folder + "/buffered.txt", "w", encoding="utf-8")
        buffer_file.write("one ")
        """,
        """
        buffer_file.write("two")
        buffer_file.close()
        open(buffer_folder + "/buffered.txt").read() == "one two"
        """,
    ),
    (
        "pipe_write_buffer",
        """
        import os
        unflushed_from, unflushed_to = os.pipe()
        unflushed = os.fdopen(unflushed_to, "w", buffering=1000)
        unflushed.write("waits in the buffer")
        os.set_blocking(unflushed_from, False)
        """,
        """
        try:
            unflushed_before = os.read(unflushed_from, 100)
        except BlockingIOError:
            unflushed_before = None
        unflushed.flush()
        (unflushed_before, os.read(unflushed_from, 100)) == (None, b"waits in the buffer")
        """,
    ),
    (
        "file_append",
        """
        import os, tempfile
        append_path = tempfile.mkdtemp() + "/log"
        append_file = open(append_path, "ab", buffering=0)
        append_file.write(b"a")
        """,
        """
        open(append_path, "ab").write(b"b")
        append_file.write(b"c")
        (open(append_path, "rb").read(), append_file.tell()) == (b"abc", 3)
        """,
    ),
    (
        "file_read_write",
        """
        import tempfile
        update_file = open(tempfile.mkdtemp() + "/update", "w+b")
        update_file.write(b"0123456789")
        update_file.seek(3)
        update_file.write(b"XY")
        """,
        """
        update_rest = update_file.read()
        update_file.seek(0)
        (update_rest, update_file.read()) == (b"56789", b"012XY56789")
        """,
    ),
    (
        "file_deleted",
        """
        import os, tempfile
        removed_path = os.path.join(tempfile.mkdtemp(dir=os.path.expanduser("~")), "removed")
        removed_file = open(removed_path, "w+")
        removed_file.write("still here")
        removed_file.flush()
        os.unlink(removed_path), os.rmdir(os.path.dirname(removed_path))
        """,
        """
        removed_file.seek(0)
        removed_file.read() == "still here" and os.fstat(removed_file.fileno()).st_nlink == 0
        """,
    ),
    (
        "file_renamed",
        """
        import os, tempfile
        renamed_folder = tempfile.mkdtemp()
        renamed_file = open(renamed_folder + "/old", "w")
        renamed_file.write("one ")
        os.rename(renamed_folder + "/old", renamed_folder + "/new")
        """,
        """
        renamed_file.write("two")
        renamed_file.close()
        (os.listdir(renamed_folder), open(renamed_folder + "/new").read()) == (["new"], "one two")
        """,
    ),
    (
        "folder_descriptor",
        """
        import os, tempfile
        folder_path = tempfile.mkdtemp()
        folder = os.open(folder_path, os.O_RDONLY | os.O_DIRECTORY)
        os.mkdir("inner", dir_fd=folder)
        """,
        """
        os.close(os.open("inner/file", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
        os.listdir(folder) == ["inner"] and os.listdir(folder_path + "/inner") == ["file"]
        """,
    ),
    (
        "scandir",
        """
        import os, tempfile
        scan_folder = tempfile.mkdtemp()
        for scan_number in range(20):
            open(f"{scan_folder}/{scan_number}", "w").close()
        scan = os.scandir(scan_folder)
        scan_names = [next(scan).name for _ in range(7)]
        """,
        """
        scan_names += [entry.name for entry in scan]
        sorted(map(int, scan_names)) == list(range(20))
        """,
    ),
    (
        "walk",
        """
        import os, tempfile
        walk_folder = tempfile.mkdtemp()
        os.makedirs(walk_folder + "/a/b/c")
        walk = os.walk(walk_folder)
        next(walk)
        """,
        """
        [(os.path.basename(path), names) for path, names, _ in walk] == [("a", ["b"]), ("b", ["c"]), ("c", [])]
        """,
    ),
    (
        "temporary_file",
        """
        import os, tempfile
        temporary, temporary_named = tempfile.TemporaryFile("w+"), tempfile.NamedTemporaryFile("w+")
        temporary_rolled = tempfile.SpooledTemporaryFile(4, "w+")
        for temporary_each in (temporary, temporary_named, temporary_rolled):
            temporary_each.write("temporary")
        """,
        """
        temporary_texts = []
        for temporary_each in (temporary, temporary_named, temporary_rolled):
            temporary_each.seek(0)
            temporary_texts.append(temporary_each.read())
        temporary_there = os.path.exists(temporary_named.name)
        temporary_named.close()
        (temporary_texts, temporary_there, os.path.exists(temporary_named.name)) == (["temporary"] * 3, True, False)
        """,
    ),
    (
        "temporary_folder",
        """
        import os, tempfile
        temporary_folder = tempfile.TemporaryDirectory()
        open(temporary_folder.name + "/file", "w").close()
        """,
        """
        temporary_listing = os.listdir(temporary_folder.name)
        temporary_folder.cleanup()
        (temporary_listing, os.path.exists(temporary_folder.name)) == (["file"], False)
        """,
    ),
    (
        "duplicated_descriptor",
        """
        import fcntl, os, tempfile
        dup_first = os.open(tempfile.mkdtemp() + "/dup", os.O_CREAT | os.O_RDWR)
        os.write(dup_first, b"0123456789")
        os.lseek(dup_first, 2, os.SEEK_SET)
        dup_second = fcntl.fcntl(dup_first, fcntl.F_DUPFD, 900)
        dup_apart = os.open(f"/proc/self/fd/{dup_first}", os.O_RDONLY)
        """,
        """
        dup_read = os.read(dup_first, 2), os.read(dup_second, 2), os.read(dup_apart, 2)
        dup_read == (b"23", b"45", b"01") and (os.get_inheritable(dup_first), os.get_inheritable(dup_second)) == (False, True)
        """,
    ),
    (
        "sparse_file",
        """
        import os, tempfile
        sparse = tempfile.TemporaryFile()
        sparse.truncate(1 << 28)
        sparse_written = os.pwrite(sparse.fileno(), b"end", (1 << 28) - 3)
        """,
        """
        sparse_stat = os.fstat(sparse.fileno())
        os.pread(sparse.fileno(), 9, (1 << 28) - 4) == b"\\0end" and sparse_stat.st_size == 1 << 28
        """,
    ),
    (
        "working_directory",
        """
        import os, tempfile
        cwd_folder = os.path.realpath(tempfile.mkdtemp(dir=os.path.expanduser("~")))
        os.chdir(cwd_folder)
        """,
        """
        open("relative.txt", "w").close()
        os.getcwd() == cwd_folder and os.listdir(cwd_folder) == ["relative.txt"]
        """,
    ),
]

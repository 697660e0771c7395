"""Files that go into and come out of the cell's working directory."""

from __future__ import annotations

import binascii
import os
import stat
import time

from . import TYPE_CHECKING, notation, text, wire

if TYPE_CHECKING:
    from typing import Dict, Iterator, List, Tuple

#: More files than this are not looked at: a cell may make any number of them.
MOST_FILES = 1000
#: The same for everything else in its folders.
MOST_ENTRIES = 20_000


class Folder:
    """The working directory: writes input files, later tells which files are new or different."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._before: Dict[str, Tuple[int, int]] = {}

    def write(self, contents: Dict[str, str]) -> None:
        """Write files by relative name; the contents are base64. Raises OSError or ValueError."""
        for name, content in contents.items():
            path = os.path.join(self._path, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(binascii.a2b_base64(content))
            # A clock of the kernel ticks every few milliseconds: a cell may change a file within the same tick.
            earlier = time.time() - 1
            os.utime(path, (earlier, earlier))

    def remember(self) -> None:
        """Note what is there now."""
        self._before = dict(self._seen())

    def changed(self, most_bytes: int) -> List[wire.File]:
        """Return the files that are new or different since remember(), with contents while they fit ``most_bytes``."""
        found = []
        for name, mark in sorted(self._seen()):
            if self._before.get(name) != mark:
                file = self._read(name, most_bytes)
                most_bytes -= len(file.content or "")
                found.append(file)
        return found

    def _seen(self) -> Iterator[Tuple[str, Tuple[int, int]]]:
        """Yield name and mark of each regular file; hidden ones, and what Python itself caches, are not looked at."""
        left = MOST_FILES
        entries = MOST_ENTRIES
        folders = [""]
        # A list, not a recursion: a cell may nest folders as deep as it likes.
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                entries -= 1
                name = os.path.join(folder, entry.name)
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if entry.name.startswith(".") or entry.name == "__pycache__":
                    continue
                if stat.S_ISDIR(status.st_mode):
                    folders.append(name)
                elif stat.S_ISREG(status.st_mode):
                    yield name, (status.st_size, status.st_mtime_ns)
                    left -= 1
                if left <= 0 or entries <= 0:
                    return

    def _entries(self, folder: str) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(os.path.join(self._path, folder)) as found:
                yield from found
        except OSError:
            return

    def _read(self, name: str, most_bytes: int) -> wire.File:
        path, name = os.path.join(self._path, name), text.sendable(name)
        try:
            # Never wait for a name that has become a FIFO meanwhile.
            with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size * 4 // 3 + 4 > most_bytes:
                    return wire.File(name, size, None)
                data = file.read(size)
        except OSError:
            return wire.File(name, 0, None)
        return wire.File(name, len(data), notation.base64(data))

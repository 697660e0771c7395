"""Files below the working directory, carried from one sandbox to the next.

Regular files, symbolic and hard links, folders, modes and modification times; what was there before the first cell and is
unchanged is not carried, and what was removed is removed again. Other file systems that are mounted below are left alone.

A file counts as unchanged while its type, mode, size, inode, and times of modification and of change are what they were. This
misses only a change that happens within one tick of the file system's clock after we looked and sets the time of
modification back.
"""

from __future__ import annotations

import os
import stat
import sys
import time

from . import TYPE_CHECKING, text
from .carry_contents import Contents, entry_of, mark_of, told
from .records import record

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional, Set, Tuple

    from .carry_contents import Entry, Lost, Mark, Put

#: What a walk finds at most.
MOST_ENTRIES = 50_000
#: Longer than any tick of a file system's clock.
RECENT_NS = 50_000_000

_ODD = {
    stat.S_IFIFO: "a named pipe cannot be carried.",
    stat.S_IFSOCK: "a socket cannot be carried.",
    stat.S_IFCHR: "a device cannot be carried.",
    stat.S_IFBLK: "a device cannot be carried.",
}


@record(frozen=True)
class _Found:
    """What a walk found: by path relative to the home, parents first."""

    status: Dict[str, os.stat_result]
    #: Folders that could not be looked into, and why.
    closed: Dict[str, OSError]
    whole: bool


class Files:
    """The files below ``home``, the working directory when the process began."""

    def __init__(self, home: str) -> None:
        self._home = os.path.abspath(home)
        self._before: Dict[str, Mark] = {}
        self._whole = True
        self._contents = Contents(self._home)

    def begin(self) -> None:
        """Note what is there: unchanged, it is not carried."""
        found = self._walk()
        recent = time.time_ns() - RECENT_NS
        # A file written just now may be written once more without any of its times telling: rather carry it in vain.
        self._before = {
            path: () if stat.S_ISREG(status.st_mode) and status.st_mtime_ns > recent else mark_of(status)
            for path, status in found.status.items()
        }
        self._whole = found.whole

    # -- out

    def dump(self, put: Put, most_bytes: Optional[int] = None, advice: str = "") -> Tuple[List[Entry], Lost]:
        """Return entries from which :meth:`load` makes the files again, and what was left out and why.

        Args:
            put: Is given bytes and returns their part, with ``digest`` and ``size``. What it raises is raised. A part that
                ``load`` saw may be named in the entries without ``put``: :func:`parts` tells all that are needed.
            most_bytes: Limit of the sizes of all parts together; the largest files are left out first.
            advice: What to do about those, one more sentence.
        """
        if not self._whole:
            return [], [("files", "there were more than %d before the first cell; none is carried." % MOST_ENTRIES)]
        found = self._walk()
        lost = [told("folder", path, error) for path, error in found.closed.items()]
        if not found.whole:
            lost.append(("files", "there are more than %d; the rest is left out." % MOST_ENTRIES))
        changed = {path: status for path, status in found.status.items() if self._before.get(path) != mark_of(status)}
        regular = {path: status for path, status in changed.items() if stat.S_ISREG(status.st_mode)}
        entries = self._gone(found) + self._others(changed, lost)
        self._fit(regular, most_bytes, advice, lost)
        entries += self._contents.dump(regular, put, most_bytes, lost)
        return sorted(entries, key=lambda entry: str(entry.get("path", ""))), lost

    def _walk(self) -> _Found:
        found: Dict[str, os.stat_result] = {}
        closed: Dict[str, OSError] = {}
        folders = [""]
        try:
            device = os.stat(self._home).st_dev
        except OSError:
            return _Found(found, closed, True)
        while folders:
            folder = folders.pop()
            try:
                with os.scandir(os.path.join(self._home, folder)) as entries:
                    names = [os.path.join(folder, entry.name) for entry in entries]
            except OSError as error:
                closed[folder] = error
                continue
            for path in names:
                try:
                    status = os.lstat(os.path.join(self._home, path))
                except OSError:
                    continue  # Removed meanwhile: processes of the cell may still run.
                if stat.S_ISDIR(status.st_mode):
                    # Of a folder alone: in an overlay, files have the device of their layer.
                    if status.st_dev != device:
                        continue
                    folders.append(path)
                if len(found) >= MOST_ENTRIES:
                    return _Found(found, closed, False)
                found[path] = status
        return _Found(dict(sorted(found.items())), closed, True)

    def _gone(self, found: _Found) -> List[Entry]:
        if not found.whole or "" in found.closed:
            return []
        hidden = tuple(path + "/" for path in found.closed)
        gone = {path for path in self._before if path not in found.status and not path.startswith(hidden)}
        return [{"kind": "gone", "path": path} for path in gone if os.path.dirname(path) not in gone]

    def _others(self, changed: Dict[str, os.stat_result], lost: Lost) -> List[Entry]:
        """Return entries of all that has no content."""
        entries = []
        for path, status in changed.items():
            if stat.S_ISDIR(status.st_mode):
                entries.append(entry_of("dir", path, status))
            elif stat.S_ISLNK(status.st_mode):
                try:
                    entries.append(entry_of("link", path, status, target=os.readlink(os.path.join(self._home, path))))
                except OSError:
                    continue
            elif not stat.S_ISREG(status.st_mode):
                why = _ODD.get(stat.S_IFMT(status.st_mode), "it is no regular file.")
                lost.append(("file " + text.sendable(path), why))
        return entries

    def _fit(self, files: Dict[str, os.stat_result], most: Optional[int], advice: str, lost: Lost) -> None:
        """Take the largest out of ``files`` until the others fit."""
        names: Dict[Tuple[int, int, str], List[str]] = {}
        for path, status in files.items():
            key = (status.st_dev, status.st_ino, path if status.st_nlink == 1 else "")
            names.setdefault(key, []).append(path)
        groups = sorted(names.values(), key=lambda group: -files[group[0]].st_size)
        total = sum(files[group[0]].st_size for group in groups)
        for group in groups:
            if most is None or total <= most:
                return
            size = files[group[0]].st_size
            total -= size
            for path in group:
                del files[path]
                lost.append(("file " + text.sendable(path), " ".join(["its %d bytes do not fit." % size, advice]).strip()))

    # -- in

    def load(self, entries: List[Entry], read: Callable[[str, int], memoryview]) -> Lost:
        """Make the files of ``entries``; return those that could not be made, and why.

        Args:
            entries: What :meth:`dump` returned in another process.
            read: Returns the bytes of a part, by digest and size. What it raises is raised.
        """
        lost: Lost = []
        packs = {entry["digest"]: read(entry["digest"], entry["size"]) for entry in entries if entry["kind"] == "pack"}
        for entry in sorted(entries, key=lambda entry: bool(entry["kind"] != "gone")):
            if entry["kind"] == "pack":
                continue
            data = memoryview(b"")
            if "in" in entry:
                data = packs[entry["in"]][entry["at"] : entry["at"] + entry["size"]]
            elif "digest" in entry:
                data = read(entry["digest"], entry["size"])
            try:
                self._make(entry, data)
            except OSError as error:
                lost.append(told("file", entry["path"], error))
        self._finish(entries)
        return lost

    def _make(self, entry: Entry, data: memoryview) -> None:
        kind, path = entry["kind"], os.path.join(self._home, entry["path"])
        if os.path.lexists(path) and (kind != "dir" or os.path.islink(path) or not os.path.isdir(path)):
            _remove(path)
        if kind == "dir":
            os.makedirs(path, exist_ok=True)
            os.chmod(path, entry["mode"] | stat.S_IRWXU)
        elif kind == "link":
            os.symlink(entry["target"], path)
            os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]), follow_symlinks=False)
        elif kind == "hard":
            os.link(os.path.join(self._home, entry["target"]), path)
        elif kind == "file":
            opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(opened, "wb") as file:
                file.write(data)
            os.chmod(path, entry["mode"])
            os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]))

    def _finish(self, entries: List[Entry]) -> None:
        """Do what would be undone by making files, and note what the files are then."""
        for entry in reversed(entries):
            path = os.path.join(self._home, entry.get("path", ""))
            try:
                if entry["kind"] == "dir":
                    os.chmod(path, entry["mode"])
                    os.utime(path, ns=(entry["mtime_ns"], entry["mtime_ns"]))
            except OSError:
                continue  # What could not be made has been told.
        self._contents.note(entries)
        if entries:
            _forget_folders()


def parts(entries: List[Entry]) -> Set[Tuple[str, int]]:
    """Return digest and size of each part that ``entries`` need."""
    return {(entry["digest"], entry["size"]) for entry in entries if "digest" in entry}


def _forget_folders() -> None:
    """Let finders of modules look into folders again. As ``importlib.invalidate_caches``, which would import much."""
    for folder, finder in list(sys.path_importer_cache.items()):
        if finder is None:
            del sys.path_importer_cache[folder]
        elif hasattr(finder, "invalidate_caches"):
            finder.invalidate_caches()


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil  # It imports all kinds of compression.

            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass

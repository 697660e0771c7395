"""Where the contents of carried files are (:mod:`.carry_files`).

A file of over ``SMALL_BYTES`` is a part of its own. Smaller ones lie together in packs, so that a thousand of them are not a
thousand parts; a file that did not change stays in the pack that it is in. A pack is written anew when more than half of it
is nobody's any more, or, while it is small, together with what is new.
"""

from __future__ import annotations

import mmap
import os
import stat

from . import TYPE_CHECKING, text

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

    #: What is carried of a file, or a pack: JSON.
    Entry = Dict[str, Any]
    #: Equal while a file is unchanged.
    Mark = Tuple[int, ...]
    Put = Callable[[memoryview], Any]
    #: What could not be carried: what it is ("file data.csv"), and one sentence.
    Lost = List[Tuple[str, str]]

#: Up to this a file shares a part with others.
SMALL_BYTES = 64 << 10
PACK_BYTES = 4 << 20
#: A pack below this is joined with what is new.
LOOSE_BYTES = 128 << 10
#: From this on a file is mapped, not read: its bytes need not be in memory twice. The price: should a process that the cell
#: left behind truncate it meanwhile, the bus error ends this one.
MAP_BYTES = 8 << 20


def mark_of(status: os.stat_result) -> Mark:
    """Return what changes when a file does; of a folder only its mode counts."""
    if stat.S_ISDIR(status.st_mode):
        return (status.st_mode,)
    return status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def entry_of(kind: str, path: str, status: os.stat_result, **more: Any) -> Entry:
    return {"kind": kind, "path": path, "mode": stat.S_IMODE(status.st_mode), "mtime_ns": status.st_mtime_ns, **more}


def told(kind: str, path: str, error: OSError) -> Tuple[str, str]:
    return "%s %s" % (kind, text.sendable(path)), "%s." % (error.strerror or type(error).__name__)


class Contents:
    """Puts contents into parts, and knows which are in one already."""

    def __init__(self, home: str) -> None:
        self._home = home
        #: The file's mark, and the fields of its entry that tell where its content is.
        self._known: Dict[str, Tuple[Mark, Entry]] = {}
        self._packs: Dict[str, int] = {}

    def note(self, entries: List[Entry]) -> None:
        """Take the files as they are now for what ``entries`` say."""
        self._packs = {entry["digest"]: entry["size"] for entry in entries if entry["kind"] == "pack"}
        for entry in entries:
            if entry["kind"] != "file":
                continue
            try:
                mark = mark_of(os.lstat(os.path.join(self._home, entry["path"])))
            except OSError:
                continue  # It could not be made.
            self._known[entry["path"]] = (mark, {key: entry[key] for key in entry if key in _PLACE})

    def dump(self, files: Dict[str, os.stat_result], put: Put, most: Optional[int], lost: Lost) -> List[Entry]:
        """Return entries of the regular files ``files`` and of the packs that they need. Arguments: see ``Files.dump``."""
        places: Dict[str, Entry] = {}
        fresh: List[str] = []
        first: Dict[Tuple[int, int], str] = {}
        again: Dict[str, str] = {}
        for path, status in files.items():
            original = first.setdefault((status.st_dev, status.st_ino), path)
            mark, place = self._known.get(path, ((), {}))
            if status.st_nlink > 1 and original != path:
                again[path] = original
            elif mark == mark_of(status):
                places[path] = place
            elif status.st_size <= SMALL_BYTES:
                fresh.append(path)
            else:
                self._put_whole(path, put, places, lost)
        self._pack(fresh + self._loose(places, fresh, files, most), put, places, lost)
        entries = [entry_of("file", path, files[path], **place) for path, place in places.items()]
        entries += [
            entry_of("hard", path, files[path], target=original) for path, original in again.items() if original in places
        ]
        used = {place["in"] for place in places.values() if "in" in place}
        return entries + [{"kind": "pack", "digest": digest, "size": self._packs[digest]} for digest in sorted(used)]

    def _put_whole(self, path: str, put: Put, places: Dict[str, Entry], lost: Lost) -> None:
        try:
            mark, data = self._read(path)
        except OSError as error:
            _missed(path, error, lost)
            return
        part = put(data)
        places[path] = {"digest": part.digest, "size": len(data)}
        self._known[path] = (mark, places[path])

    def _loose(
        self, places: Dict[str, Entry], fresh: List[str], files: Dict[str, os.stat_result], most: Optional[int]
    ) -> List[str]:
        """Take out of ``places`` the files whose packs are better written anew, and return them."""
        used: Dict[str, int] = {}
        total = sum(files[path].st_size for path in [*fresh, *places] if "in" not in places.get(path, {}))
        for place in places.values():
            if "in" in place:
                used[place["in"]] = used.get(place["in"], 0) + place["size"]
        tight = most is not None and total + sum(self._packs[pack] for pack in used) > most
        loose = {
            pack
            for pack, size in used.items()
            if tight or 2 * size < self._packs[pack] or (fresh and self._packs[pack] < LOOSE_BYTES)
        }
        moved = [path for path, place in places.items() if place.get("in") in loose]
        for path in moved:
            del places[path]
        return moved

    def _pack(self, paths: List[str], put: Put, places: Dict[str, Entry], lost: Lost) -> None:
        """Put the files of ``paths`` into packs."""
        pack = bytearray()
        members: List[Entry] = []
        for path in sorted(paths):
            try:
                mark, data = self._read(path)
            except OSError as error:
                _missed(path, error, lost)
                continue
            if pack and len(pack) + len(data) > PACK_BYTES:
                self._put_pack(pack, members, put)
                pack, members = bytearray(), []
            places[path] = {"size": len(data)}
            self._known[path] = (mark, places[path])
            if data:
                places[path]["at"] = len(pack)
                members.append(places[path])
                pack += data
        if pack:
            self._put_pack(pack, members, put)

    def _put_pack(self, pack: bytearray, members: List[Entry], put: Put) -> None:
        part = put(memoryview(pack))
        self._packs[part.digest] = len(pack)
        for place in members:
            place["in"] = part.digest

    def _read(self, path: str) -> Tuple[Mark, memoryview]:
        # Never wait for a name that has become a FIFO meanwhile.
        opened = os.open(os.path.join(self._home, path), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(opened, "rb", buffering=0) as file:
            status = os.fstat(opened)
            if status.st_size >= MAP_BYTES:
                return mark_of(status), memoryview(mmap.mmap(opened, status.st_size, access=mmap.ACCESS_READ))
            data = bytearray()
            while len(data) < status.st_size:
                piece = file.read(status.st_size - len(data))
                if not piece:
                    break
                data += piece
            return mark_of(status), memoryview(data)


#: Fields of an entry that tell where the content is.
_PLACE = ("digest", "in", "at", "size")


def _missed(path: str, error: OSError, lost: Lost) -> None:
    if not isinstance(error, FileNotFoundError):  # Removed meanwhile: processes of the cell may still run.
        lost.append(told("file", path, error))

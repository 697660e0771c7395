"""Images of whole sandboxes: what one depends on, and what keeps it from being started from.

A restored process finds its shared libraries by path again. Where one has changed meanwhile the process would read code
that is not there, and crash without a word: so what is mapped is noted with each image and compared before it is used. The
list comes from the descriptors that the sandbox process holds, which the host's kernel names; only paths below read-only
mounts count, whose names no guest can make.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeGuard

from .. import usage
from ..errors import GO_BACK, OR_BEGIN_ANEW, StateNotSaved, StateUnusable
from . import oci

#: What ``runsc checkpoint`` writes, in the order in which gVisor's control socket takes them.
FILES = ("checkpoint.img", "pages_meta.img", "pages.img")
#: Where the gofer mounts what the sandbox sees, as the host's kernel names it.
GOFER_ROOT = "/root"
_DELETED = " (deleted)"
_WALK = re.compile(r'failed to walk "(?P<path>[^"]*)" of type (?P<type>[0-9]+) in mount "[^":]*:?(?P<mount>[^"]*)"')
_DIRECTORY_TYPES = ("40000", "040000")

Mark = tuple[int, int, int]


def _mark(status: os.stat_result) -> Mark:
    return status.st_size, status.st_mtime_ns, status.st_ino


def known_digest(path: Path) -> str:
    """Return the sha256 of a file of ours, read again only when size, dates or inode tell of a change."""
    status = os.stat(path)
    return _known_digest(str(path), (status.st_size, status.st_ctime_ns, status.st_ino))


def file_digest(path: str | Path) -> str:
    """Return the sha256 of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        made = hashlib.sha256()
        while data := file.read(1 << 20):
            made.update(data)
        return made.hexdigest()


@functools.lru_cache(maxsize=4096)  # Each cell that is carried out brings a new head.
def _known_digest(path: str, _mark: Mark) -> str:
    return file_digest(path)


def mapped(runsc_pid: int, mounts: Sequence[oci.Mount]) -> dict[str, list[Any]]:
    """Return the libraries that the sandbox of a runsc process uses: host path to [size, mtime_ns, inode, sha256].

    Raises StateNotSaved (alive) when one of them is not what its path leads to any longer.
    """
    pid = sandbox_pid(runsc_pid)
    found: dict[str, list[Any]] = {}
    if pid is None:
        return found
    for number in os.listdir(f"/proc/{pid}/fd"):
        link = f"/proc/{pid}/fd/{number}"
        try:
            name, status = os.readlink(link), os.stat(link)
        except FileNotFoundError:  # Closed meanwhile.
            continue
        path = _host_path(name.removesuffix(_DELETED), mounts)
        if path is None or not stat.S_ISREG(status.st_mode):  # The rest are links on the way there, held as such.
            continue
        mark = _mark(status)
        if name.endswith(_DELETED) or _mark_of(path) != mark:
            raise StateNotSaved(
                f"{path} was changed while the session uses it.",
                "Restart the session to use what is there now.",
                alive=True,
            )
        found[path] = [*mark, _known_digest(path, mark)]
    return found


def _mark_of(path: str) -> Mark | None:
    try:
        return _mark(os.stat(path))
    except OSError:
        return None


def sandbox_pid(runsc_pid: int) -> int | None:
    """Return the sandbox process that a runsc process has started; None: there is none."""
    return next((pid for pid in _perhaps_below(runsc_pid) if _is_sandbox_of(runsc_pid, pid)), None)


def _perhaps_below(pid: int) -> Iterator[int]:
    yield from usage.children(pid)
    yield from (int(name) for name in os.listdir("/proc") if name.isdigit())  # Not every kernel lists children.


def _is_sandbox_of(runsc_pid: int, pid: int) -> bool:
    try:
        # After the name, which stands in brackets: state and parent.
        parent = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]
        return int(parent) == runsc_pid and b"runsc-sandbox" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def is_library(path: str) -> bool:
    """Whether a file is taken for a shared library, which a process finds mapped again."""
    return ".so" in os.path.basename(path)


def _host_path(name: str, mounts: Sequence[oci.Mount]) -> str | None:
    if not name.startswith(GOFER_ROOT + "/") or not is_library(name):
        return None
    inside = name[len(GOFER_ROOT) :]
    for mount in mounts:
        if not mount.writable and inside.startswith(mount.target + "/"):
            return mount.source + inside[len(mount.target) :]
    return None


def check_mapped(libraries: Mapping[str, Sequence[Any]]) -> None:
    """Raise StateUnusable when a library is not what it was. A new date or a copy of the same is no change."""
    for path, (size, mtime_ns, inode, digest) in libraries.items():
        try:
            mark = _mark(os.stat(path))
            same = mark == (size, mtime_ns, inode) or (mark[0] == size and file_digest(path) == digest)
        except OSError:
            same = False
        if not same:
            raise StateUnusable(
                f"The environment has changed: {path} is not what it was when the state was saved.",
                f"Put it back{OR_BEGIN_ANEW}",
            )


def marks(folder: Path) -> dict[str, list[Any]]:
    """Return for each file of an image: [size, mtime_ns, inode, ctime_ns, None]. Raises OSError when one is missing."""
    found: dict[str, list[Any]] = {}
    for name in FILES:
        status = os.stat(folder / name)
        found[name] = [*_mark(status), status.st_ctime_ns, None]
    return found


def check_files(folder: Path, files: Mapping[str, Sequence[Any]]) -> None:
    """Raise StateUnusable when an image's files are not as they were written: gVisor would load flipped bits silently.

    Who writes to a file changes its ctime; only then, or where a digest is all there is, the content is read.
    """
    for name, (size, mtime_ns, inode, ctime_ns, digest) in files.items():
        path = folder / name
        try:
            status = os.stat(path)
            same = [*_mark(status), status.st_ctime_ns] == [size, mtime_ns, inode, ctime_ns]
            same = same or (digest is not None and status.st_size == size and file_digest(path) == digest)
        except OSError:
            same = False
        if not same:
            raise StateUnusable(
                f"The saved state is damaged: {name} is not what was written.",
                GO_BACK,
                damaged=True,
            )


def check_needs(saved: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise StateUnusable when what an image depends on is not the same now."""
    for name in sorted({*saved, *now}):
        then, today = saved.get(name), now.get(name)
        if then != today:
            message = f"The state was saved with another {name}: {_short(then)}; now it is {_short(today)}."
            if name == "mounts" and _are_mounts(then) and _are_mounts(today):
                there = "are" if len(today) != 1 else "is"
                message = f"It was saved with {_told_mounts(then)}; now there {there} {_told_mounts(today)}."
            raise StateUnusable(message, f"Use the same settings and programs as then{OR_BEGIN_ANEW}")


def _are_mounts(value: Any) -> TypeGuard[list[tuple[str, str, bool]]]:
    """Say whether a need is a list of mounts: source, target, and whether it can be written to."""
    return isinstance(value, list) and all(isinstance(row, list | tuple) and len(row) == 3 for row in value)


def _told_mounts(mounts: Sequence[tuple[str, str, bool]]) -> str:
    told = (f"{target} from {source} ({'rw' if writable else 'ro'})" for source, target, writable in mounts)
    return _short(", ".join(told) or "no mounts")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 120 else text[:110] + "..."


def why_not_saved(stderr: str) -> tuple[str, str]:
    """Return what to tell of a failed checkpoint: the cause and the next step."""
    said = " ".join(stderr.split())
    if "invalidated dentries" in said or "encoding error" in said:
        return (
            f"A file on a mount was replaced or deleted while the session has it open: {said[-300:]}",
            "Close it, or open it again; the state is saved after the next cell.",
        )
    if "no space left" in said.lower() or "ENOSPC" in said:
        return "There is no room to save the state.", "Free some disk space (`sandbox-kernel sessions prune`)."
    return f"gVisor could not save the state: {said[-400:]}", "The session goes on in the sandbox it is in."


class Placeholder:
    """An empty file or directory on a mount. Found again by its directory's descriptor: the guest can move what is above.

    Attributes:
        told: What the user should know of it.
    """

    def __init__(self, folder: int, name: str, *, is_folder: bool, inside: str) -> None:
        """Takes over the descriptor ``folder``; ``inside`` is the sandbox's path of it all. Raises OSError."""
        self.told = f"{inside!r} has gone while the session had it open; what it has open now is empty."
        self._folder = folder
        self._name = name
        self._is_folder = is_folder
        if is_folder:
            os.mkdir(name, dir_fd=folder)
        else:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=folder))
        self._inode = self._look()

    def _look(self) -> int:
        return os.stat(self._name, dir_fd=self._folder, follow_symlinks=False).st_ino

    def remove(self) -> None:
        """Remove it, unless something else has taken its place. Called once."""
        try:
            if self._look() == self._inode:
                (os.rmdir if self._is_folder else os.unlink)(self._name, dir_fd=self._folder)
        except OSError:
            pass  # Gone, or not empty: then it is the guest's.
        finally:
            os.close(self._folder)


def put_placeholder(stderr: str, mounts: Sequence[oci.Mount]) -> Placeholder | None:
    """Make an empty file or directory where a restore looked for one that has gone from a writable mount.

    Returns it, for the caller to remove; None when the message is about something else. The name is the guest's: it is
    walked one step at a time, below the mount, through no link.
    """
    match = _WALK.search(stderr)
    mount = next((item for item in mounts if match and item.writable and item.target == match["mount"]), None)
    if match is None or mount is None:
        return None
    names = [name for name in match["path"].split("/") if name]
    if not names or any(name in (".", "..") for name in names):
        return None
    folder = -1
    try:
        folder = os.open(mount.source, os.O_PATH | os.O_DIRECTORY)
        for name in names[:-1]:
            below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        inside = "/".join((mount.target, *names))
        return Placeholder(folder, names[-1], is_folder=match["type"] in _DIRECTORY_TYPES, inside=inside)
    except OSError:
        if folder >= 0:
            os.close(folder)
        return None

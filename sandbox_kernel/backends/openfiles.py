"""The files of the user's mounts that a sandbox holds open: whether a restore finds the same ones.

gVisor opens them again by the names the guest knew. Where somebody on the host has replaced one meanwhile, a restored process
would read the other file without a word; where one is gone the restore fails. So what is held is noted with each image, by
the inode, and compared before the image is used and again with what the restored sandbox holds. The host's kernel names the
descriptors; after a checkpoint there are no others of these than the guest's own, for gVisor has dropped what it had cached.

What the guest itself has renamed, replaced or deleted gVisor knows, and brings back. From here a deleted file does not tell
who deleted it: on a read-only mount it was the host; on another the restored sandbox must hold a deleted one too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import StateNotSaved, StateUnusable
from . import images, oci

_DELETED = " (deleted)"
_WALK = re.compile(r'failed to walk "(?P<path>[^"]*)" of type [0-9]+ in mount "[^":]*:?(?P<mount>[^"]*)"')
_PUT_BACK = "Put it back, go back to another state with `%sandbox undo`, or begin anew with `%sandbox reset`."


def look(runsc_pid: int, mounts: Sequence[oci.Mount]) -> dict[str, Any]:
    """Return what the sandbox of a runsc process holds: ``files``, path inside to inode, and the number of ``deleted`` ones.

    Raises StateNotSaved (alive) for one that a restore would not find. The sandbox is paused, and has been written.
    """
    files: dict[str, int] = {}
    deleted: set[int] = set()
    for path, mount, inode, gone in _held(runsc_pid, mounts):
        now = inode_at(mount, path)
        if gone and mount.writable:
            deleted.add(inode)
        elif gone or now != inode:
            what = "replaced" if now is not None else "deleted or renamed"
            raise StateNotSaved(
                f"{path!r} was {what} while the session has it open.",
                "Close it, or open it again; the state is saved after the next cell.",
                alive=True,
            )
        else:
            files[path] = inode
    return {"files": files, "deleted": len(deleted)}


def check(held: Mapping[str, Any], mounts: Sequence[oci.Mount], *, strict: bool) -> None:
    """Raise StateUnusable when a file that look() noted is another one now, or, where ``strict``, is gone.

    Not strict, a file that has gone from a writable mount may be put back, empty, for the restore.
    """
    for path, inode in held.get("files", {}).items():
        mount = _mount_of(path, mounts)
        now = None if mount is None else inode_at(mount, path)
        if now is not None and now != inode:
            raise replaced(path)
        if now is None and (strict or mount is None or not mount.writable):
            raise gone(path)


def check_restored(held: Mapping[str, Any], runsc_pid: int, mounts: Sequence[oci.Mount]) -> None:
    """Raise StateUnusable when a sandbox that was just restored has opened other files than look() noted."""
    if not held.get("files") and not held.get("deleted"):
        return
    found = list(_held(runsc_pid, mounts))
    inodes = {inode for _, _, inode, _ in found}
    missed = [path for path, inode in held["files"].items() if inode not in inodes]
    if missed or len({inode for _, _, inode, gone in found if gone}) < held["deleted"]:
        # Those that it holds instead lie where the guest knew the missing ones, which can have another name by now.
        known = set(held["files"].values())
        instead = [path for path, _, inode, gone in found if not gone and inode not in known]
        raise replaced((instead or missed or ["A file on a mount"])[0])


def replaced(path: str) -> StateUnusable:
    """Return what to raise where another file is at a path."""
    return StateUnusable(f"{path!r} was replaced while the session has it open: it is another file now.", _PUT_BACK)


def gone(path: str) -> StateUnusable:
    """Return what to raise where no file is at a path."""
    return StateUnusable(f"{path!r} was deleted or renamed while the session has it open.", _PUT_BACK)


def walked(stderr: str) -> str | None:
    """Return the path inside at which a restore found nothing; None: the message is about something else."""
    match = _WALK.search(stderr)
    return match and "/".join((match["mount"], match["path"].strip("/")))


def inode_at(mount: oci.Mount, path: str) -> int | None:
    """Return the inode at a path inside, walked below the mount through no link; None: there is none."""
    names = path[len(mount.target) + 1 :].split("/")
    try:
        folder = os.open(mount.source, os.O_PATH | os.O_DIRECTORY)
        try:
            for name in names[:-1]:
                below = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            return os.stat(names[-1], dir_fd=folder, follow_symlinks=False).st_ino
        finally:
            os.close(folder)
    except OSError:
        return None


def _mount_of(path: str, mounts: Sequence[oci.Mount]) -> oci.Mount | None:
    around = [mount for mount in mounts if path.startswith(mount.target + "/")]
    return max(around, key=lambda mount: len(mount.target), default=None)


def _held(runsc_pid: int, mounts: Sequence[oci.Mount]) -> Iterator[tuple[str, oci.Mount, int, bool]]:
    """Yield for each descriptor on one of the mounts: path inside, mount, inode, and whether that name is gone."""
    pid = images.sandbox_pid(runsc_pid) if mounts else None
    if pid is None:
        return
    for number in os.listdir(f"/proc/{pid}/fd"):
        link = f"/proc/{pid}/fd/{number}"
        try:
            name = os.readlink(link)
            if not name.startswith(images.GOFER_ROOT + "/"):
                continue
            status = os.stat(link)
        except FileNotFoundError:  # Closed meanwhile.
            continue
        path = name[len(images.GOFER_ROOT) :]
        mount = _mount_of(path, mounts)
        if mount is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
            continue
        gone = path.endswith(_DELETED) and inode_at(mount, path) != status.st_ino
        if not mount.writable and images.is_library(path):
            continue  # These have rules of their own: see images.mapped().
        if gone and mount.writable and not stat.S_ISREG(status.st_mode):
            continue  # gVisor makes no directory again that the guest has deleted.
        yield path.removesuffix(_DELETED) if gone else path, mount, status.st_ino, gone

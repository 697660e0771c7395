"""Where state lies on this machine: directories of this user alone."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .. import directories
from ..errors import StateNotSaved


def live() -> Path:
    """Return the parent of the directories that last as long as their process: snapshots of open sessions."""
    return directories.cache() / "live"


def base() -> Path:
    """Return the directory of base images."""
    return directories.cache() / "base"


def saved() -> Path:
    """Return the directory of saved sessions."""
    return directories.data() / "sessions"


def weigh(folder: Path) -> int:
    """Return the bytes of all files in a directory; some may be going meanwhile."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_size
    return total


def private(path: Path) -> Path:
    """Make a directory that only this user can enter, or see that it is one. Raises StateNotSaved."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
        if status.st_uid != os.geteuid():
            raise StateNotSaved(
                f"{path} belongs to somebody else.", "State holds all that the session held: use a directory of your own."
            )
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise StateNotSaved(f"{path} cannot be used: {error.strerror}.", "State is kept there between cells.") from error
    return path

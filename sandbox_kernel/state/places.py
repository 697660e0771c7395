"""Where state lies on this machine: directories of this user alone."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import StateNotSaved


def live() -> Path:
    """Return the parent of the directories that last as long as their process: snapshots of open sessions."""
    return _below("XDG_CACHE_HOME", ".cache") / "live"


def base() -> Path:
    """Return the directory of base images."""
    return _below("XDG_CACHE_HOME", ".cache") / "base"


def saved() -> Path:
    """Return the directory of saved sessions."""
    return _below("XDG_DATA_HOME", ".local/share") / "sessions"


def _below(variable: str, otherwise: str) -> Path:
    chosen = os.environ.get(variable, "")
    return (Path(chosen) if os.path.isabs(chosen) else Path.home() / otherwise) / "sandbox-kernel"


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

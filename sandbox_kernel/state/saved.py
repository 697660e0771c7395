"""Sessions saved by name: directories of this user alone, which outlive kernels and reboots.

A name is what the user chose; a directory is complete or not there at all.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ..backends.terms import Snapshot
from ..errors import GO_BACK, StateError, StateNotSaved, StateUnusable
from ..text import closest
from . import manifest, places

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class Saved:
    """One saved session or base image.

    Attributes:
        name: The user's; of a base image, what it depends on.
        kind: ``session`` or ``base image``.
        mode: ``exact`` or ``carry``.
        size: Bytes on disk.
        made: Seconds since the epoch; of a base image, when it was used last.
    """

    name: str
    kind: str
    mode: str
    size: int
    made: float


def checked_name(name: str) -> str:
    """Return ``name``. Raises StateUnusable when it cannot be a session's."""
    if not _NAME.fullmatch(name):
        raise StateUnusable(
            f"{name!r} cannot be the name of a saved session.", "Use up to 64 letters, digits, '.', '_' and '-'."
        )
    return name


async def save(name: str, snapshot: Snapshot, export: Callable[[Snapshot, Path], Awaitable[Snapshot]]) -> None:
    """Save a snapshot under a name, in place of what had it. Raises StateNotSaved or StateUnusable."""
    folder = places.private(places.saved()) / checked_name(name)
    making = folder.with_name(f".{name}.{secrets.token_hex(4)}")
    try:
        manifest.write(making, await export(snapshot, making), made=time.time())
        for path in making.iterdir():
            _sync(path)
        _put(making, folder)
        _sync(folder.parent)
    except OSError as error:
        raise StateNotSaved(
            f"The session could not be saved as {name!r}: {error.strerror}.", "Make room, and save again."
        ) from error
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _put(making: Path, folder: Path) -> None:
    """Give a complete directory its name; who has the name keeps it when that fails."""
    old = folder.with_name(f".{folder.name}.old")
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    try:
        making.rename(folder)
    except OSError:
        _put_back(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _put_back(folder: Path) -> None:
    """Give the name back to what had it, when whoever wanted to replace it did not come to that."""
    old = folder.with_name(f".{folder.name}.old")
    with contextlib.suppress(OSError):  # Above all: there is none.
        if not folder.exists():
            old.rename(folder)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def find(name: str) -> Snapshot:
    """Return the snapshot saved under a name. Raises StateUnusable."""
    folder = places.saved() / checked_name(name)
    _put_back(folder)
    if not folder.is_dir():
        known = [item.name for item in sessions()]
        advice = closest(name, known) or "`%sandbox save NAME` makes one."
        raise StateUnusable(f"There is no saved session {name!r}. There are: {', '.join(known) or 'none'}.", advice)
    if folder.stat().st_uid != os.geteuid():
        raise StateUnusable(f"The saved session {name!r} belongs to somebody else.")
    snapshot = manifest.read(folder)
    if snapshot is None:
        message = f"The saved session {name!r} is damaged, or of another version of sandbox-kernel."
        raise StateUnusable(message, GO_BACK, damaged=True)
    return snapshot


def sessions() -> list[Saved]:
    """Return the saved sessions by name."""
    for old in places.saved().glob(".*.old"):
        _put_back(old.with_name(old.name[1 : -len(".old")]))
    return _list(places.saved(), "session")


def base_images() -> list[Saved]:
    """Return the base images."""
    return _list(places.base(), "base image")


def _list(parent: Path, kind: str) -> list[Saved]:
    found = []
    for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
        if folder.name.startswith(".") or not folder.is_dir():
            continue
        values = manifest.read_all(folder) or {}
        snapshot = values.get("snapshot")
        made = values.get("made") or folder.stat().st_mtime
        found.append(Saved(folder.name, kind, snapshot.mode if snapshot else "unreadable", places.weigh(folder), made))
    return found


def remove(name: str) -> None:
    """Remove a saved session. Raises StateUnusable when there is none of the name, StateError when it stays."""
    folder = places.saved() / checked_name(name)
    if not folder.is_dir():
        find(name)
    try:
        (folder / manifest.NAME).unlink(missing_ok=True)  # From now on nobody takes it for whole.
        shutil.rmtree(folder)
    except OSError as error:
        raise StateError(f"The saved session {name!r} could not be removed: {error.strerror}.") from error

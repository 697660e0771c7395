"""``sandbox-kernel sessions``: what state lies on this machine, what it weighs, and how to be rid of it.

What the user has saved goes only when it is asked for. The rest is removed by ``prune``: base images, which are made again;
what processes that were killed have left; sessions that nobody can load. Only directories of this user count, in directories
of this user, with names as we give them: whatever else lies there is left alone.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import supervisor
from .errors import ConfigurationError, StateError, StateUnusable
from .state import manifest, places, saved
from .text import amount, closest, date, table

SESSION, BASE, UNFINISHED, LIVE = "session", "base image", "unfinished", "live"
UNREADABLE = "unreadable"
#: Where nothing was written for so long, nobody is writing any more.
WRITING_S = 600
DAY_S = 86400
_BASE = re.compile(r"[0-9a-f]{32}")
_MAKING = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{8}")
_SAVING = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}(\.old)?")


@dataclass(frozen=True)
class Item:
    """A directory of state.

    Attributes:
        kind: SESSION, BASE, UNFINISHED (one of these, left by a process that was killed) or LIVE (of an open session).
        path: Where it lies; its last part is its name.
        mode: ``exact``, ``carry`` or UNREADABLE; empty for LIVE.
        size: Bytes of all its files.
        made: Seconds since the epoch; of a base image, when it was used last.
        wanted: The user has saved it, and it can be read.
    """

    kind: str
    path: Path
    mode: str
    size: int
    made: float
    wanted: bool = False


def items() -> list[Item]:
    """Return what is saved, then what is in the cache, each by name. Raises StateUnusable."""
    return [*_sessions(), *_base_images()]


def show() -> Iterator[str]:
    """Yield a line for each saved session and base image, and the sum. Raises StateUnusable."""
    found = items()
    if not found:
        yield "There are no saved sessions and no base images. In a notebook, `%sandbox save NAME` saves the session."
        return
    rows = [[item.path.name, item.kind, item.mode, amount(item.size), date(item.made)] for item in found]
    yield table(["name", "kind", "state", "size", "saved or last used"], rows)
    yield f"{amount(sum(item.size for item in found))} in all."


def weights() -> str:
    """Return what saved sessions and base images weigh, as a text. Raises StateUnusable."""
    found = items()
    parts = []
    for kind, called in ((SESSION, "saved session"), (BASE, "base image"), (UNFINISHED, "unfinished one")):
        sizes = [item.size for item in found if item.kind == kind]
        if sizes:
            parts.append(f"{len(sizes)} {called}{'s' if len(sizes) > 1 else ''} of {amount(sum(sizes))}")
        elif kind != UNFINISHED:
            parts.append(f"no {called}s")
    return ", ".join(parts)


def remove(names: Sequence[str], tell: Callable[[str], None]) -> None:
    """Remove saved sessions, readable or not. Tells each.

    Raises ConfigurationError, with nothing removed, when there is none of a name; StateError for what cannot be removed.
    """
    known = {item.path.name: item for item in _sessions() if item.kind == SESSION}
    for name in names:
        if name in known:
            continue
        if any(item.path.name == name for item in _base_images()):
            raise ConfigurationError(f"{name!r} is no saved session but a base image.", "sandbox-kernel sessions prune")
        near = closest(name, known) or "sandbox-kernel sessions list"
        raise ConfigurationError(f"There is no saved session {name!r}, and nothing was removed.", near)
    _remove_all([(known[name], "") for name in dict.fromkeys(names)], tell)


def prune(
    tell: Callable[[str], None], *, older_than_days: float | None = None, everything: bool = False, dry_run: bool = False
) -> None:
    """Remove what nobody needs, and the saved sessions that are older or, with ``everything``, all. Tells each and the sum.

    Raises StateUnusable before anything is removed, StateError for what cannot be removed.
    """
    before = time.time() - older_than_days * DAY_S if older_than_days is not None else float("-inf")
    found = [*items(), *_ended()]
    doomed = [(item, why) for item in found if (why := _why(item, before, everything=everything))]
    _remove_all(doomed, tell, dry_run=dry_run)
    doomed_items = [item for item, _ in doomed]
    stay = [item for item in found if item.wanted and item not in doomed_items]
    if stay:
        size = amount(sum(item.size for item in stay))
        tell(f"What was saved stays ({len(stay)}, {size}); --older-than DAYS or --all removes it.")


def _why(item: Item, before: float, *, everything: bool) -> str:
    """Return why prune removes it; nothing: it stays."""
    if item.kind == UNFINISHED and _is_being_written(item.path):
        return ""
    if item.wanted:
        return "all were asked for" if everything else "older than asked for" if item.made < before else ""
    return {
        SESSION: "it cannot be loaded",
        BASE: "made again when it is needed",
        UNFINISHED: "never finished",
        LIVE: "its process has ended",
    }[item.kind]


def _remove_all(doomed: Sequence[tuple[Item, str]], tell: Callable[[str], None], *, dry_run: bool = False) -> None:
    freed = 0
    failed: list[str] = []
    for item, why in doomed:
        if not dry_run and (problem := _remove(item)):
            failed.append(f"{item.path}: {problem}")
            continue
        freed += item.size
        said = f"{item.kind} {item.path.name} ({amount(item.size)})"
        tell(f"{'would remove' if dry_run else 'removed'} {said}{': ' if why else ''}{why}")
    tell(f"{amount(freed)} {'would be freed' if dry_run else 'freed'}." if doomed else "There is nothing to remove.")
    if failed:
        raise StateError(f"Some could not be removed. {'; '.join(failed)}.", "Remove them by hand.")


def _remove(item: Item) -> str:
    """Remove a directory and return what kept it from going."""
    try:
        if item.kind == LIVE:
            supervisor.sweep(str(item.path.parent))
            return "it is in use, or not all of it can be removed" if item.path.exists() else ""
        # From now on nobody takes it for whole.
        (item.path / manifest.NAME).unlink(missing_ok=True)
        shutil.rmtree(item.path)
    except FileNotFoundError:  # Somebody else removes it, too.
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""


# -- what there is


def _sessions() -> Iterator[Item]:
    parent = places.saved()
    for path in _directories(parent):
        unfinished = _SAVING.fullmatch(path.name)
        if unfinished and _is_name(unfinished["name"]):
            # A save in place of another renames both: between the two, these are the only copies.
            yield _read(path, UNFINISHED, saved_by_user=not (parent / unfinished["name"]).exists())
        elif _is_name(path.name):
            yield _read(path, SESSION, saved_by_user=True)


def _base_images() -> Iterator[Item]:
    for path in _directories(places.base()):
        if _BASE.fullmatch(path.name):
            yield _read(path, BASE)
        elif _MAKING.fullmatch(path.name):
            yield _read(path, UNFINISHED)


def _ended() -> Iterator[Item]:
    """Yield the directories of open sessions whose process has ended without removing them."""
    for path in _directories(places.live()):
        if path.name.startswith(supervisor.PREFIX) and _is_free(path):
            yield Item(LIVE, path, "", places.weigh(path), 0.0)


def _is_name(name: str) -> bool:
    try:
        return saved.checked_name(name) == name
    except StateUnusable:
        return False


def _directories(parent: Path) -> list[Path]:
    """Return the directories of this user in a directory of this user, by name. Raises StateUnusable."""
    try:
        if parent.stat().st_uid != os.geteuid():
            raise StateUnusable(f"{parent} belongs to somebody else.", "Set XDG_CACHE_HOME and XDG_DATA_HOME to your own.")
        return [path for path in sorted(parent.iterdir()) if _is_ours(path)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateUnusable(f"{parent} cannot be read: {error.strerror}.", "It should be a directory of yours.") from error


def _is_ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:  # Gone meanwhile.
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()


def _read(path: Path, kind: str, *, saved_by_user: bool = False) -> Item:
    values = manifest.read_all(path)
    made = (values or {}).get("made")
    if not isinstance(made, int | float) or not 0 <= made < 1 << 33:
        made = _newest([path])
    mode = values["snapshot"].mode if values else UNREADABLE
    return Item(kind, path, mode, places.weigh(path), made, wanted=saved_by_user and values is not None)


def _newest(paths: Sequence[Path]) -> float:
    newest = 0.0
    for path in paths:
        try:
            newest = max(newest, path.lstat().st_mtime)
        except OSError:  # Gone meanwhile.
            continue
    return newest


def _is_being_written(folder: Path) -> bool:
    try:
        newest = _newest([folder, *folder.iterdir()])
    except OSError:
        return False
    return time.time() - newest < WRITING_S


def _is_free(home: Path) -> bool:
    """Tell whether no process holds a live directory, as the supervisor's sweep sees it."""
    try:
        lock = os.open(home / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - _newest([home]) > supervisor.MAKING_S
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True

"""What is said across the seam of the backends: values, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..limits import Limits


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a sandbox can start from. Immutable; its owner removes what lies behind it.

    Attributes:
        id: Names it, on this machine.
        mode: ``exact``, a checkpoint that the backend made, or ``carry``, parts that the guest made.
        size: Bytes on disk.
        folder: exact: the directory of the image. carry: the directory that holds the parts, named by their digests.
        frames: exact: the number of the next frame the guest will send.
        parts: carry: digest and bytes of each part, the head first.
        names: ``[name, type, bytes]`` of what it holds, as far as it is known. A guest's word.
        lost: ``[name, why]`` of what it does not hold. A guest's word.
        manifest: What must be the same where it is used, for its maker.
    """

    id: str
    mode: str
    size: int
    folder: Path
    frames: int = 0
    parts: tuple[tuple[str, int], ...] = ()
    names: tuple[tuple[str, str, int], ...] = ()
    lost: tuple[tuple[str, str], ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """What a sandbox is wanted for.

    Attributes:
        session: Names the session in the names and labels of objects: lower case letters and digits.
        number: Counts the sandboxes of the session.
        limits: What the sandbox may use.
        timeout_s: What the cell may take, for deadlines that hold without us. None: no limit.
        mode: What becomes of the state at the end: ``exact``, ``carry`` or ``fresh``.
        snapshot: What it starts from. None: a new session.
        anew: It is a new life, not the next cell of the one that the snapshot was taken of.
        folder: carry: where the parts lie that the host holds.
        out: carry: where the guest may leave new parts, when the backend can show it a directory.
        place: carry: names where the parts lie, when the backend keeps them.
        dropped: carry: digests of parts there that nothing needs any more.
        idle_s: How long it may wait for its cell when it is ready. 0: it is started for a cell that is there.
        replaces: exact: the sandbox that was saved stands by. Rather none than one in which a file is missing.
    """

    session: str
    number: int
    limits: Limits
    timeout_s: float | None
    mode: str = "fresh"
    snapshot: Snapshot | None = None
    anew: bool = False
    folder: Path | None = None
    out: Path | None = None
    place: str = ""
    dropped: tuple[str, ...] = ()
    idle_s: float = 0.0
    replaces: bool = False


@dataclass(frozen=True)
class Ending:
    """How a sandbox ended, as far as its backend can tell.

    Attributes:
        outcome: ``out_of_memory``, ``timeout``, ``error`` (it ended by itself, too early) or ``lost``.
        reason: One sentence that names the object and what was seen.
        exit_status: The container's, when there is one.
        heard_all: The container is known to have ended, and all that it said was heard.
    """

    outcome: str
    reason: str
    exit_status: int | None = None
    heard_all: bool = False


@dataclass(frozen=True)
class Check:
    """One line of ``doctor``: what was looked at, how it is, and the command that mends it."""

    name: str
    ok: bool
    found: str
    mend: str = ""

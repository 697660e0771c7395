"""The seam between the runner and what makes sandboxes.

A backend moves bytes and makes sandboxes. It does not know events, cells or Jupyter. The runner calls ``start`` for each
cell, reads ``lines`` until they end, delivers one message once the guest is ready, and always calls ``close``. There is
one way to stop a cell: ``kill``. The lines then end, and the runner knows why it killed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from ..limits import Limits


@dataclass(frozen=True)
class Request:
    """What a sandbox is wanted for.

    Attributes:
        session: Names the session in the names and labels of objects: lower case letters and digits.
        number: Counts the sandboxes of the session.
        limits: What the sandbox may use.
        timeout_s: What the cell may take, for deadlines that hold without us. None: no limit.
    """

    session: str
    number: int
    limits: Limits
    timeout_s: float | None


@dataclass(frozen=True)
class Ending:
    """How a sandbox ended, as far as its backend can tell.

    Attributes:
        outcome: ``out_of_memory``, ``timeout``, ``error`` (it ended by itself, too early) or ``lost``.
        reason: One sentence that names the object and what was seen.
        exit_status: The container's, when there is one.
    """

    outcome: str
    reason: str
    exit_status: int | None = None


@dataclass(frozen=True)
class Check:
    """One line of ``doctor``: what was looked at, how it is, and the command that mends it."""

    name: str
    ok: bool
    found: str
    mend: str = ""


class Sandbox(Protocol):
    """One sandbox, for one cell."""

    def lines(self) -> AsyncIterator[bytes]:
        """Yield each line of the container's stdout, without its newline, until the container has ended. A line may come
        twice, none may be cut. Raises BackendError. Iterated once.
        """

    async def deliver(self, message: bytes) -> None:
        """Put a message into the mailbox. Called once per message, after the guest's Ready."""

    async def remind(self) -> None:
        """Called about every second while the guest has not taken its message. Must not deliver it twice."""

    def waiting_for(self) -> str:
        """Say in a sentence what keeps it from being ready."""

    async def kill(self) -> None:
        """End it now. The lines end. May be called at any time, also twice."""

    async def ending(self) -> Ending:
        """Say how it ended. Called when the lines ended without a trailer, before close()."""

    async def close(self) -> None:
        """Remove everything that start() made, also when that failed halfway. May be called twice."""


class Backend(Protocol):
    """Makes sandboxes. Belongs to one event loop."""

    async def start(self, request: Request) -> Sandbox:
        """Make a sandbox. Returns as soon as there is something to close. Raises BackendUnavailable or SandboxRefused."""

    async def check(self) -> list[Check]:
        """Look at everything a sandbox needs, for ``doctor``. Raises nothing."""

    async def close(self) -> None:
        """End and remove what is left of every sandbox of this backend. May be called twice."""

"""The seam between the runner and what makes sandboxes.

A backend moves bytes and makes sandboxes. It does not know events, cells or Jupyter. The runner calls ``start`` for each
cell, reads ``lines`` until they end, delivers a message once the guest is ready, and always calls ``close``. There is one
way to stop a cell: ``kill``. The lines then end, and the runner knows why it killed.

Where the backend itself keeps the state (mode ``exact``), ``save`` is called between two cells; another sandbox is then
started from what save() returned, and the old one is closed when that one runs, or resumed when it does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from .terms import Check, Ending, Request, Snapshot

__all__ = ["Backend", "Check", "Ending", "Request", "Sandbox", "Snapshot"]


class Sandbox(Protocol):
    """One sandbox, for one cell.

    Attributes:
        frames: The number of the first frame it will send.
        restored: The guest comes from an image: it says Ready only when it has been woken.
        early: A message may be delivered before the guest's Ready. It takes it after that.
        has_run: Its guest may have said something.
        pid: Of the process on this machine below which all of it is. None: it is elsewhere, or has not begun.
    """

    frames: int
    restored: bool
    early: bool
    has_run: bool

    @property
    def pid(self) -> int | None: ...

    def lines(self) -> AsyncIterator[bytes]:
        """Yield each line of the container's stdout, without its newline, until the container has ended. A line may come
        twice, none may be cut. Raises BackendError. Iterated once.
        """

    async def deliver(self, message: bytes) -> None:
        """Put a message into the mailbox. Called once per message, after the guest's Ready, or to wake it, or early."""

    async def remind(self) -> None:
        """Called about every second while the guest has not taken its message. Must not deliver it twice."""

    def waiting_for(self) -> str:
        """Say in a sentence what keeps it from being ready."""

    async def save(self, folder: Path) -> Snapshot:
        """Save all of it in the new directory ``folder``; it stands still until resume() or close(). All that it has said was
        taken then. Its ``frames`` are for the caller to tell, who has heard them. Raises StateNotSaved: then nothing is in
        ``folder``, and ``alive`` tells if it goes on.
        """

    async def resume(self) -> None:
        """Let it go on after save(). Raises StateNotSaved when it does not."""

    async def kill(self) -> None:
        """End it now. The lines end. May be called at any time, also twice."""

    async def ending(self) -> Ending:
        """Say how it ended. Called when the lines ended without a trailer, before close()."""

    async def close(self) -> None:
        """Remove everything that start() made, also when that failed halfway. May be called twice."""


class Backend(Protocol):
    """Makes sandboxes. Belongs to one event loop.

    Attributes:
        modes: The ways to keep state that it has, its default first.
    """

    modes: tuple[str, ...]

    @property
    def keeps_parts(self) -> bool:
        """Whether the parts of carried state lie with it, and the host knows no more than their digests."""

    async def start(self, request: Request) -> Sandbox:
        """Make a sandbox. Returns as soon as there is something to close. Raises BackendUnavailable, SandboxRefused, or
        StateUnusable when its snapshot cannot be started from here and now.
        """

    async def needs(self, request: Request) -> Mapping[str, Any] | None:
        """Return what an exact snapshot of such a sandbox depends on, as JSON. None: there are none here."""

    async def check(self) -> list[Check]:
        """Look at everything a sandbox needs, for ``doctor``. Raises nothing."""

    async def close(self) -> None:
        """End and remove what is left of every sandbox of this backend. May be called twice."""

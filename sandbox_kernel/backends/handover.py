"""Jobs that are over, but own what the next Job of their session mounts, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ..errors import SandboxError
from .job import JobSandbox

#: What a guest may take to end when it has carried its state out; then it is ended.
LEAVE_S = 5.0


class Handover:
    """Keeps the last Job of each session until done() is called for the session, at most as long as the cluster would."""

    def __init__(self, longest_s: Callable[[], float], log: logging.Logger) -> None:
        self._longest_s = longest_s
        self._log = log
        self._kept: dict[JobSandbox, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def keep(self, sandbox: JobSandbox) -> None:
        """Keep this Job, whose container is about to end, and remove it later."""
        over = self._kept[sandbox] = asyncio.Event()
        task = asyncio.ensure_future(self._see_off(sandbox, over))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def last(self, session: str) -> JobSandbox | None:
        """Return the newest Job that is kept of a session."""
        return next((sandbox for sandbox in reversed(self._kept) if sandbox.session == session), None)

    def done(self, session: str) -> None:
        """The next Job of the session owns what it needs."""
        for sandbox, over in self._kept.items():
            if sandbox.session == session:
                over.set()

    async def close(self) -> None:
        """Remove what is kept. May be called twice."""
        for over in self._kept.values():
            over.set()
        if self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _see_off(self, sandbox: JobSandbox, over: asyncio.Event) -> None:
        waiting = asyncio.ensure_future(over.wait())
        leaving = asyncio.ensure_future(sandbox.has_ended(LEAVE_S))
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not over.is_set() and leaving.result():
                await asyncio.wait({waiting}, timeout=self._longest_s())
        finally:
            waiting.cancel()
            leaving.cancel()
            del self._kept[sandbox]
        try:
            await sandbox.remove()
        except SandboxError as error:
            self._log.warning("A Job stays until its deadline: %s", error)

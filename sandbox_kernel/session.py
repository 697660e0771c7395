"""One notebook's life, or one agent's: a chain of cells, each in a sandbox of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from .backends.base import Backend, Request, Sandbox
from .errors import ConfigurationError
from .execution import Execution
from .guest import wire
from .limits import Limits, is_amount


class Session:
    """Numbers the cells and knows those that run. Its id names every object that is made for it."""

    def __init__(
        self,
        backend: Backend,
        limits: Callable[[], Limits],
        timeout_s: Callable[[], float | None],
        close_later: Callable[[Sandbox], None],
    ) -> None:
        self.id = secrets.token_hex(5)
        self._backend = backend
        self._limits = limits
        self._timeout_s = timeout_s
        self._close_later = close_later
        self._count = 0
        self._running: set[Execution] = set()

    def run(self, code: str, *, timeout_s: float | None = None, **options: Any) -> Execution:
        """Return the execution of one cell; iterate it to run it.

        ``timeout_s`` None means the setting, infinity no limit. The other options are those of
        :class:`.guest.wire.Cell`. Raises ConfigurationError for what cannot be a cell.
        """
        if not isinstance(code, str):
            raise ConfigurationError(f"The code of a cell is text, not {type(code).__name__}.", "Decode it first.")
        self._count += 1
        limits = self._limits()
        limit_s = self._timeout_s() if timeout_s is None else timeout_s
        if limit_s == float("inf"):
            limit_s = None
        if limit_s is not None and not is_amount(limit_s):
            raise ConfigurationError(f"{limit_s!r} cannot be a timeout.", "It is a number of seconds, 0 or more.")
        cell = wire.Cell(self._count, code, timeout_s=limit_s, output_bytes=limits.output_bytes, **options)
        request = Request(self.id, self._count, limits, limit_s)
        execution = Execution(self._backend, cell, request, self._ended)
        self._running.add(execution)
        return execution

    def _ended(self, execution: Execution, sandbox: Sandbox | None) -> None:
        self._running.discard(execution)
        if sandbox is not None:
            self._close_later(sandbox)

    async def interrupt(self) -> None:
        """End what runs now."""
        for execution in list(self._running):
            await execution.interrupt()

    async def close(self) -> None:
        """End the session. May be called twice."""
        await self.interrupt()

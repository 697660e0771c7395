"""Small things that are done beside something else, and end with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class Chores:
    """Tasks that are dropped together."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, doing: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do it from now on."""
        self._tasks.append(asyncio.ensure_future(doing))
        return self._tasks[-1]

    def drop(self) -> None:
        """Cancel what is not done."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()


class Alarm:
    """Calls once, when its time has come; set again it forgets what it was set to."""

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None

    @property
    def at(self) -> float | None:
        """When it calls, by the loop's clock. None: it is not set."""
        return None if self._timer is None else self._timer.when()

    def set(self, seconds: float, call: Callable[[], object]) -> None:
        """Call in so many seconds."""
        self.clear()
        self._timer = asyncio.get_running_loop().call_later(seconds, call)

    def clear(self) -> None:
        """Call nobody."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

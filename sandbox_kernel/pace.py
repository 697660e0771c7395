"""Messages no faster than jupyter_server passes them on.

It drops what exceeds 1000 messages, or 1 MB of streams, a second, averaged over three seconds, and says so within the output.
Where a front end looks on, what comes faster waits here: bounded, because the output of a cell is. The cell itself is not
held up, and neither are its timers; its reply waits until all is out. An interrupt lets everything go at once.
"""

from __future__ import annotations

import asyncio
import collections
import json
import time
from collections.abc import Callable
from typing import Any

#: The server's window; and two thirds of what it lets through in it, because it may read late and then much at once.
WINDOW_S = 3.0
MESSAGES = 2000
STREAM_BYTES = 2_000_000
#: What a message weighs beside its text.
HEAD_BYTES = 1000


class Pace:
    """Sends messages in order: at once while there is room in the window, else when there is."""

    def __init__(self, send: Callable[..., None]) -> None:
        self._send = send
        self._waiting: collections.deque[tuple[str, dict[str, Any], dict[str, Any]]] = collections.deque()
        #: When each message of the window was sent, and its weight.
        self._sent: collections.deque[tuple[float, int]] = collections.deque()
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._hurried = False

    def send(self, kind: str, content: dict[str, Any], **more: Any) -> None:
        """Send a message, with ``more`` of it, now or later."""
        self._waiting.append((kind, content, more))
        if self._timer is None:
            self._go_on()

    def hurry(self) -> None:
        """Send what waits, and do not wait any more."""
        self._hurried = True
        if self._timer is not None:
            self._timer.cancel()
            self._go_on()

    async def wait_sent(self) -> None:
        """Return when nothing waits."""
        while self._waiting:
            self._empty.clear()
            await self._empty.wait()

    def _go_on(self) -> None:
        self._timer = None
        while self._waiting:
            kind, content, more = self._waiting[0]
            size = (
                0 if kind != "stream" else HEAD_BYTES + len(json.dumps(content["text"], ensure_ascii=False).encode("utf-8"))
            )
            wait_s = 0.0 if self._hurried else self._wait_s(size)
            if wait_s > 0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._go_on)
                return
            self._waiting.popleft()
            self._sent.append((time.monotonic(), size))
            self._bytes += size
            self._send(kind, content, **more)
        self._empty.set()

    def _wait_s(self, size: int) -> float:
        """Return how long there is no room for a message; one that is larger than all the room gets all of it."""
        now = time.monotonic()
        while self._sent and self._sent[0][0] <= now - WINDOW_S:
            self._bytes -= self._sent.popleft()[1]
        if self._sent and (len(self._sent) >= MESSAGES or self._bytes + size > STREAM_BYTES):
            return self._sent[0][0] + WINDOW_S - now
        return 0.0

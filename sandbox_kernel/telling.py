"""What is said to a cell that runs, answers and interrupts, and how long it has waited for its user.

A message is put into the mailbox once. Until the guest says that it has read it, the backend is reminded of it, within
bounds: on a cluster the kubelet may have looked a moment too early.
"""

from __future__ import annotations

import asyncio
import contextlib
import time

from .backends.base import Sandbox
from .errors import ConfigurationError
from .guest import wire

#: How long a guest may take to read a message before it is reminded, and how often it is.
REMIND_S = 0.5
REMINDERS = 60
#: Longest answer to a question.
ANSWER_CHARS = 16_384


def as_input(text: str | None) -> wire.Input:
    """Return the message that answers a question. Raises ConfigurationError for what is too long."""
    if text is not None and len(text) > ANSWER_CHARS:
        said = f"The answer has {len(text)} characters; {ANSWER_CHARS} are the most."
        raise ConfigurationError(said, "Put it into the cell instead.")
    return wire.Input(text)


class Telling:
    """Belongs to one cell."""

    def __init__(self, cell: wire.Cell) -> None:
        self._cell = cell
        self._said = 0
        self._taken = 0
        self._changed = asyncio.Event()
        self._asked_at: float | None = None
        self._waited_s = 0.0

    async def say(self, sandbox: Sandbox, message: wire.Input | wire.Interrupt) -> None:
        """Deliver a message; return when the guest has it, or cannot be reminded any more. Raises SandboxError."""
        self._said += 1
        number = self._said
        await sandbox.deliver(wire.dump(message))
        for _ in range(REMINDERS):
            self._changed.clear()
            if self._taken >= number:
                return
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._changed.wait(), REMIND_S)
                continue
            await sandbox.remind()

    def taken(self, messages: int) -> None:
        """The guest says that it has read so many."""
        self._taken = max(self._taken, messages)
        self._changed.set()

    def asked(self) -> None:
        """The cell waits for its user from now on."""
        self.answered()
        self._asked_at = time.monotonic()

    def answered(self) -> bool:
        """The cell waits no more. Return whether it did."""
        if self._asked_at is None:
            return False
        self._waited_s += time.monotonic() - self._asked_at
        self._asked_at = None
        return True

    def waited_s(self) -> float:
        """Return how much more time the cell has, because it waited: all that it may have while it still waits."""
        return self._cell.answer_s if self._asked_at is not None else min(self._waited_s, self._cell.answer_s)

"""One cell's way into one sandbox: once, and what is known of it.

It goes when the guest has said that it is ready. Where the backend can lay it down for a sandbox that is only being made for
this cell, it goes at once, and the guest takes it when it is ready: nobody waits for its way then. Until something is heard
from the guest it is known to have it not, but for a container that has run while nobody could hear it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .backends.base import Sandbox
from .conversation import Conversation
from .guest import wire

#: How long a guest may take to say that it took the cell before it is reminded.
REMIND_S = 1.0
#: The same for one that lay there before: it is taken at once, or was not mounted with the rest.
EARLY_S = 0.1


class Delivery:
    """See the module's text.

    Attributes:
        sent: From here on the sandbox may have the cell.
        arrived: It has it.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.sent = self.arrived = False
        self._conversation = conversation
        self._early = False

    @property
    def _sandbox(self) -> Sandbox:
        assert self._conversation.sandbox is not None
        return self._conversation.sandbox

    async def bring(self, cell: wire.Cell, is_over: Callable[[], bool], ready: Callable[[], None]) -> bool:
        """Return whether it arrived. ``is_over``: nobody wants it any more. ``ready`` is called when the guest is.

        Raises SandboxError.
        """
        conversation = self._conversation
        if self._sandbox.early and not conversation.ahead and not is_over():
            self._early = True
            await self._send(cell)
        await asyncio.wait({conversation.ready})
        if is_over() or not conversation.ready.result() or (conversation.ahead and conversation.ended):
            return False
        ready()
        if not self._early:
            await self._send(cell)
        self.arrived = True
        return True

    async def _send(self, cell: wire.Cell) -> None:
        self.sent = True
        await self._sandbox.deliver(wire.dump(cell))

    async def remind(self) -> None:
        """Remind the guest of it until cancelled. Raises SandboxError."""
        await asyncio.sleep(EARLY_S if self._early else REMIND_S)
        while True:
            await self._sandbox.remind()
            await asyncio.sleep(REMIND_S)

    @property
    def waits(self) -> bool:
        """Whether it lies there for a guest that has not said yet that it is ready. It cannot be taken back."""
        return self.sent and not self._conversation.ready.done()

    @property
    def unsure(self) -> bool:
        """Whether the guest may have it although nothing says so."""
        return self._early and not self.arrived and self._sandbox.has_run

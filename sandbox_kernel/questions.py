"""What a cell asks its user, asked on the stdin channel of the front end that sent the cell.

ipykernel's own way blocks the thread that waits; here the event loop goes on, so that output comes while a question is open
and an interrupt ends it at once. One question is open at a time: a cell that asks again has given up on the one before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import zmq

from . import policy
from .guest import wire

#: How often the channel is looked at while a question is open.
LOOK_S = 0.02
PROMPT_CHARS = 1000
#: What front ends send for the end of the input.
END = "\x04"


class Questions:
    """The questions of one cell. ``parent`` and ``ident`` are those of its execute request."""

    def __init__(self, session: Any, socket: Any, parent: dict[str, Any], ident: Any) -> None:
        self._session = session
        self._socket = socket
        self._parent = parent
        self._ident = ident
        self._open: asyncio.Task[None] | None = None

    def ask(self, question: wire.InputRequest, answer: Callable[[str | None], Awaitable[None]]) -> None:
        """Ask, and give what the user answers to ``answer``; None when that is the end of the input."""
        self.close()
        self._open = asyncio.ensure_future(self._ask(question, answer))

    def close(self) -> None:
        """Wait for no answer any more."""
        if self._open is not None:
            self._open.cancel()
            self._open = None

    async def _ask(self, question: wire.InputRequest, answer: Callable[[str | None], Awaitable[None]]) -> None:
        while await self._receive() is not None:  # An answer to a question that was given up.
            pass
        content = {"prompt": policy.clean_text(question.prompt)[:PROMPT_CHARS], "password": question.password}
        sent = self._session.send(self._socket, "input_request", content, self._parent, ident=self._ident)
        while (reply := await self._receive()) is None or not _answers(reply, sent):  # noqa: ASYNC110 - it cannot tell
            await asyncio.sleep(LOOK_S)
        value = reply["content"].get("value")
        await answer(None if value == END or not isinstance(value, str) else value)

    async def _receive(self) -> dict[str, Any] | None:
        """Return a message that has come; None: there is none."""
        with contextlib.suppress(ValueError, zmq.Again):  # ValueError: it is not signed by whom it should be.
            _, reply = self._session.recv(self._socket, zmq.NOBLOCK)
            return reply if reply is None else dict(reply)
        return None


def _answers(reply: dict[str, Any], sent: dict[str, Any]) -> bool:
    """Tell whether a message answers what was sent. Not all clients say what they answer."""
    to = reply["parent_header"].get("msg_id")
    return bool(reply["header"]["msg_type"] == "input_reply" and to in (None, sent["header"]["msg_id"]))

"""Questions of a cell to the user: ``input()``, ``getpass.getpass()``, lines of ``sys.stdin``.

The question goes to the keeper as any event; the answer comes over ``orders``, which nobody else reads while a cell runs. A
question has a number, and so has its answer: one that comes when nobody waits for it any more is dropped by whoever reads it.
One question is asked at a time, also by threads.
"""

from __future__ import annotations

import _thread  # What threading is made of; that needs more.
import builtins
import io
import itertools
import os
import select
import sys

from . import TYPE_CHECKING, channel, text, wire
from .interrupts import Interrupts

if TYPE_CHECKING:
    import _socket
    from typing import Any, List, Optional

#: The word of an answer among the orders.
ANSWER = "input"
#: How soon a thread that waits for an answer sees that the cell has ended.
LOOK_S = 0.1
PROMPT_CHARS = 4096

_NOBODY = "nobody can answer: there is no input here"
#: As ipykernel says it, in which ``input`` is ``raw_input``.
_NOT_ASKED = "%s was called, but this frontend does not support input requests."


class StdinNotImplementedError(NotImplementedError):
    """What a notebook's cell gets that asks where nobody can answer; IPython's own of that name where there is one."""

    __module__ = "builtins"


class Questions:
    """Asks for the cell that runs."""

    def __init__(self, orders: _socket.socket, talk: channel.Talk, interrupts: Interrupts) -> None:
        self._orders = orders
        self._talk = talk
        self._interrupts = interrupts
        self._lock = _thread.allocate_lock()
        self._numbers = itertools.count(1)
        self._open = False
        self._refuses = False
        self._pid = os.getpid()

    def install(self) -> None:
        """Put ours in the place of what reads a terminal."""
        builtins.input = self._input
        sys.stdin = sys.__stdin__ = _Lines(self)  # type: ignore[misc,assignment]

    def watch_getpass(self, module: Any) -> None:
        """Put ours in its place there, when somebody imports it."""
        module.getpass = self._getpass

    def begin(self, *, stdin: bool, notebook: bool) -> None:
        """A cell begins. ``stdin``: somebody can answer. ``notebook``: a front end would be asked."""
        self._open = stdin
        self._refuses = notebook and not stdin

    def end(self) -> None:
        """The cell has ended. On return nobody reads the orders any more; a thread that waits gets EOFError."""
        self._open = self._refuses = False
        with self._lock:
            pass

    @property
    def possible(self) -> bool:
        """Whether somebody can answer now. Not from a forked child: the conversation is its parent's."""
        return self._open and os.getpid() == self._pid

    def ask(self, prompt: object, *, password: bool = False) -> str:
        """Return the user's line. Raises EOFError when there is none, and when nobody can answer.

        In a notebook whose front end cannot ask: a StdinNotImplementedError.
        """
        if self._refuses:
            kind = getattr(sys.modules.get("IPython.core.error"), "StdinNotImplementedError", StdinNotImplementedError)
            raise kind(_NOT_ASKED % ("getpass" if password else "raw_input"))
        if not self.possible:
            raise EOFError(_NOBODY)
        words = text.sendable(str(prompt))[:PROMPT_CHARS]
        with self._lock:
            number = next(self._numbers)
            if not self._talk.say("ask", number, body=wire.dump(wire.InputRequest(words, password))):
                raise EOFError(_NOBODY)
            try:
                answer = self._wait(number)
            except KeyboardInterrupt:
                raise KeyboardInterrupt("Interrupted by user") from None
        if answer is None:
            raise EOFError("there is no answer")
        return answer

    def _wait(self, number: int) -> Optional[str]:
        poll = select.poll()
        poll.register(self._orders, select.POLLIN)
        while self._open:
            if not poll.poll(LOOK_S * 1000):
                continue
            held = self._interrupts.hold()  # Half a message read would be one too many.
            try:
                order: Optional[List[Any]] = channel.receive(self._orders)
            finally:
                self._interrupts.let_go(held)
            if order is None:
                return None
            if order[:2] == [ANSWER, number]:
                return None if order[2] is None else str(order[2])
        return None

    def _input(self, prompt: object = "", /) -> str:
        """Read a line from the user, without its end. Raises EOFError when there is none."""
        return self.ask(prompt)

    def _getpass(self, prompt: str = "Password: ", stream: Any = None, *, echo_char: Optional[str] = None) -> str:  # noqa: ARG002
        """Read a line from the user that is not shown. Raises EOFError when there is none."""
        return self.ask(prompt, password=True)


class _Lines(io.TextIOBase):
    """A ``sys.stdin`` of the user's answers; at its end when nobody can answer."""

    encoding = "utf-8"
    errors = "strict"
    name = "<stdin>"

    def __init__(self, questions: Questions) -> None:
        super().__init__()
        self._questions = questions

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def readline(self, _size: int = -1, /) -> str:  # type: ignore[override]
        if not self._questions.possible:
            return ""
        try:
            return self._questions.ask("") + "\n"
        except EOFError:
            return ""

    def read(self, _size: Optional[int] = -1, /) -> str:
        return "".join(iter(self.readline, ""))

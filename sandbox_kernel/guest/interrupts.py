"""KeyboardInterrupt in the cell's process: while the user's code runs, and at no other moment.

SIGINT comes to the process when the host or the time limit stops the cell, and may come a moment too late: when the cell has
ended and its state is being carried out, or in the middle of a message to the keeper. So the handler that the user's code
has (Python's own, as long as it sets none) is in its place only while that code runs. Blocking the signal would not do:
another thread may take it, and Python then calls the handler in the main thread all the same.
"""

from __future__ import annotations

import _thread  # What threading is made of; that needs more.
import os
import time

from . import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from typing import Any, Callable, List, Optional
else:
    import _signal as signal  # What signal is made of; that has names for the numbers, and needs enum for it.

#: What a shell shows of a program that SIGINT ended.
STATUS = 128 + signal.SIGINT


class Interrupts:
    """Lets SIGINT through to the user's code. Made in the main thread of the cell's process."""

    def __init__(self) -> None:
        self._main = _thread.get_ident()
        #: When one came that was not let through. None: none did.
        self._late: Optional[float] = None
        self._theirs: Any = signal.default_int_handler
        # A name of its own: each look at a method makes another object.
        self._note: Callable[..., None] = self._remember
        signal.signal(signal.SIGINT, self._note)

    def _remember(self, *_: Any) -> None:
        self._late = time.monotonic()

    def around(self, call: Callable[[], int], since: float) -> int:
        """Call with interrupts let through and return what it returns; :data:`STATUS` when one came at its very end.

        One that came after ``since``, on the monotonic clock, was meant for this call too.
        """
        status = STATUS
        try:
            signal.signal(signal.SIGINT, self._theirs)
            if self._late is not None and self._late >= since:
                signal.raise_signal(signal.SIGINT)
            status = call()
        except KeyboardInterrupt:
            pass
        while not self._shut():
            pass
        return status

    def _shut(self) -> bool:
        try:
            found = signal.getsignal(signal.SIGINT)
            if found is not None and found is not self._note:  # None: it is none of Python's, and could not be put back.
                self._theirs = found
                signal.signal(signal.SIGINT, self._note)
        except BaseException:  # Of the handler that was just being called.
            return False
        return True

    def hold(self) -> Any:
        """Let none through until :meth:`let_go`, to which this is given. Raises what a handler raises, nothing being held."""
        if _thread.get_ident() != self._main:
            return None
        before = signal.getsignal(signal.SIGINT)
        if before is None or before is self._note:
            return None
        self._late = None  # Not after the next line: what came since would be forgotten, and nobody stops the cell then.
        signal.signal(signal.SIGINT, self._note)
        return before

    def let_go(self, before: Any) -> None:
        """Let them through again; one that came meanwhile comes now."""
        if before is not None:
            signal.signal(signal.SIGINT, before)
            if self._late is not None:
                os.kill(os.getpid(), signal.SIGINT)


#: The task that an interrupt is ending: a shell that runs within it calls what it then sees by its real name.
STOPPING: List[Any] = []


def run_until_complete(loop: Any, coroutine: Any) -> Any:
    """Run ``coroutine`` on ``loop`` and return its value. Interrupted it ends, where it waits; the loop can be used again."""
    task = loop.create_task(coroutine)
    try:
        return loop.run_until_complete(task)
    except KeyboardInterrupt:
        if task.done():
            raise
    import asyncio

    # The loop was waiting, or about to: where the cell waits is told by what ends it there.
    task.cancel()
    STOPPING.append(task)
    try:
        return loop.run_until_complete(task)
    except asyncio.CancelledError as error:
        raise KeyboardInterrupt().with_traceback(error.__traceback__) from None
    finally:
        STOPPING.clear()

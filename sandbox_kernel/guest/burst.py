"""Text of many quick prints on its way to the keeper: through memory that both processes share, without a system call.

A system call costs several times what a print does under gVisor; a look at the clock, and a lock with it, is one in a young
sandbox. So a cell that prints hundreds of times in a blink puts its text here, and the keeper takes it every few
milliseconds, which it has said by opening the memory for one of the two streams. It opens it for such a cell alone: all else
goes through the pipes, see :mod:`.streams`. Text in here is nobody's to lose: it is there when the cell's process has
crashed, and a forked child has no second copy of it.

One process writes, one reads. HEAD and TAIL count all bytes that were ever put and taken; each has one writer. The writer
looks if it is still open after it has put something, and the reader takes once more after it has closed, so nothing stays.
The user's code can write anything into the memory: what is no sense is dropped, and costs the cell its own output.
"""

from __future__ import annotations

import _thread  # What threading is made of; that needs more.
import mmap
import os

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import ContextManager

#: The words before the text, each written by one of the two processes: TURN, HEAD by the cell's, the others by the keeper.
_TURN, _HEAD, _TAIL, _STREAM, _READING = range(5)
_WORDS_BYTES = 64
ROOM = 1 << 19
#: Longer text is better off in the pipe.
MOST_BYTES = ROOM // 4


class _Nothing:
    """A ``contextlib.nullcontext``."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class Burst:
    """Either end of the memory. Made before the fork."""

    def __init__(self) -> None:
        view = memoryview(mmap.mmap(-1, _WORDS_BYTES + ROOM))
        self._words = view[:_WORDS_BYTES].cast("Q")
        self._text = view[_WORDS_BYTES:]
        #: Taken and released, it keeps what is written before it before what comes after it. An x86 keeps that by itself, and
        #: a lock reads the clock in some Pythons.
        self._fence: ContextManager[object] = _thread.allocate_lock() if os.uname().machine != "x86_64" else _Nothing()

    # -- both

    @property
    def turn(self) -> int:
        """Which descriptor, 1 or 2, Python wrote to last through its pipe."""
        return self._words[_TURN]

    @property
    def stream(self) -> int:
        """Which descriptor's text may come this way; 0: none."""
        return self._words[_STREAM]

    @property
    def empty(self) -> bool:
        """Whether all was taken that was put."""
        return self._words[_HEAD] == self._words[_TAIL]

    @property
    def reading(self) -> bool:
        """Whether the keeper has taken something from a pipe, and not yet what was put here before that was written."""
        return bool(self._words[_READING])

    # -- the cell's process

    def take_turn(self, fd: int) -> None:
        """Say which descriptor is written to next through its pipe."""
        self._words[_TURN] = fd

    def put(self, data: memoryview) -> bool:
        """Put text; False: there is no room. Not to be called again from within."""
        size, head = len(data), self._words[_HEAD]
        if head + size - self._words[_TAIL] > ROOM:
            return False
        at = head % ROOM
        until_end = ROOM - at
        if size <= until_end:
            self._text[at : at + size] = data
        else:
            self._text[at:] = data[:until_end]
            self._text[: size - until_end] = data[until_end:]
        with self._fence:
            pass
        self._words[_HEAD] = head + size
        return True

    # -- the keeper

    def open(self, fd: int) -> None:
        """Let the text for ``fd`` come this way; 0: none any more."""
        self._words[_STREAM] = fd

    def begin_reading(self) -> None:
        """Something is about to be taken from a pipe."""
        self._words[_READING] = 1

    def end_reading(self) -> None:
        """What was here when it was taken was taken, too."""
        self._words[_READING] = 0

    def take(self) -> bytes:
        """Return what was put since the last time."""
        head, tail = self._words[_HEAD], self._words[_TAIL]
        if head == tail:
            return b""
        with self._fence:
            pass
        data = b""
        if 0 < head - tail <= ROOM:
            at, end = tail % ROOM, (head - 1) % ROOM + 1
            data = bytes(self._text[at:end]) if at < end else bytes(self._text[at:]) + bytes(self._text[:end])
        self._words[_TAIL] = head
        return data

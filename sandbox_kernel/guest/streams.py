"""What the cell writes, in the order it wrote it: the end of the cell's process. The keeper's is :mod:`.output`.

File descriptors 1 and 2 of the cell's process are two pipes, so that C extensions and child processes are heard too. Two
pipes alone lose the order between them. So Python's own ``sys.stdout`` and ``sys.stderr`` look, before they write, if the
other pipe still holds something, and then have the keeper empty it first; whatever else is said (a result, a display, an
error) waits for the same. A cell that just prints pays one ``ioctl`` for it, and :func:`whole_print` makes one write of
each print. Only writes that bypass Python on both descriptors at the same moment can change places. When both pipes hold
something, Python wrote to one of them while the other was empty: which one stands in memory that both processes share.

When prints come so fast that even their system calls are felt, the keeper has their text come through that memory
(:mod:`.burst`). Python then looks at the pipes before each of the first prints, after each flush, and else now and then: what
bypasses Python in the midst of a thousand quick prints, without a flush before it, may come some prints late, once.
"""

from __future__ import annotations

import _thread  # What threading is made of; that needs more.
import fcntl
import io
import os
import sys
import time

from . import TYPE_CHECKING
from .burst import MOST_BYTES, Burst

if TYPE_CHECKING:
    from typing import Any, Callable, TextIO, Tuple

#: So many prints in a burst look at the pipes first, and then one of so many.
CAREFUL = 32
SOMETIMES = 256


def _fionread() -> int:
    """Return ``termios.FIONREAD``; that is a library, to be loaded for this alone."""
    if os.uname().machine in ("x86_64", "aarch64"):
        return 0x541B  # As nearly everywhere.
    import termios

    return termios.FIONREAD


class Turns:
    """Lets one pipe speak only when what was written before to the other one has been taken."""

    def __init__(self, settle: Callable[[], None], burst: Burst) -> None:
        self._settle = settle
        self._burst = burst
        self._fionread = _fionread()
        self._lock = _thread.RLock()
        self._pid = os.getpid()
        self._pipes = {fd: os.fstat(fd).st_ino for fd in (1, 2)}
        #: So many prints went through memory since the pipes were looked at; and whether one may hold something of ours.
        self._quick = 0
        self._look = True
        #: One item, which who puts something has. No lock: it may be one of ours who comes in between, and it reads a clock.
        self._token = [None]
        #: A forked child has the memory too, but no part in it.
        self._alone = True
        os.register_at_fork(after_in_parent=self.look, after_in_child=self._forget)

    def _forget(self) -> None:
        # A lock that another thread of the parent holds at the fork is never released in the child.
        self._lock = _thread.RLock()
        self._alone = False

    def look(self) -> None:
        """Look at the pipes before the next prints."""
        self._quick, self._look = 0, True

    def write(self, fd: int, data: memoryview) -> None:
        """Write all of ``data`` to ``fd`` (1 or 2)."""
        if self._burst.stream == fd and self._alone and len(data) <= MOST_BYTES and self._put(fd, data):
            return
        with self._lock:
            if self._holds_something(3 - fd):
                self._wait_settled(3 - fd)
            self._burst.take_turn(fd)
            try:
                while data:
                    data = data[os.write(fd, data) :]
            finally:
                self.look()

    def _put(self, fd: int, data: memoryview) -> bool:
        """Put text into memory; False: a pipe is the right place, which the keeper reads after the memory."""
        try:
            self._token.pop()
        except IndexError:  # Another thread is here, or this is a signal's handler, or a finalizer, that came in between.
            return False
        try:
            self._quick += 1
            looks = self._look or self._quick <= CAREFUL or not self._quick % SOMETIMES or self._burst.empty
            put = (not looks or self._may_put(fd)) and self._burst.put(data)
        finally:
            self._token.append(None)
        if put and self._burst.stream != fd:
            self._settle()  # The keeper has stopped looking meanwhile.
        return put

    def _may_put(self, fd: int) -> bool:
        """Whether ``fd`` is still ours, and nothing waits in a pipe that what is put now would overtake."""
        self._look = False  # First: it becomes True after something was written.
        # The first: a child that C code forked. The last must be: a pipe is empty, too, when what it held has just been taken
        # and not yet been passed on, and what is put then would be passed on before it.
        if os.getpid() != self._pid or self._holds_something(1) or self._holds_something(2) or self._burst.reading:
            may = False
        else:
            may = self._is_ours(fd)
        if not may:
            self.look()
        return may

    def _holds_something(self, fd: int) -> bool:
        count = bytearray(4)
        try:
            fcntl.ioctl(fd, self._fionread, count)
        except OSError:
            return False
        # The cell may have put something else there: then there is no order to keep.
        return any(count) and self._is_ours(fd)

    def _is_ours(self, fd: int) -> bool:
        try:
            return os.fstat(fd).st_ino == self._pipes[fd]
        except OSError:
            return False

    def _wait_settled(self, fd: int) -> None:
        if os.getpid() == self._pid:
            self._settle()
            return
        # A forked child cannot ask the keeper. It is quick; its neighbours may write all the time.
        for _ in range(100):
            if not self._holds_something(fd):
                return
            time.sleep(0.001)


class _Raw(io.RawIOBase):
    """A TextIOWrapper over a raw stream does not look at how much a write took: this one takes all."""

    def __init__(self, fd: int, turns: Turns) -> None:
        super().__init__()
        self.name = "<stdout>" if fd == 1 else "<stderr>"
        self._fd = fd
        self._turns = turns

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._turns.write(self._fd, view)
        return len(view)

    def flush(self) -> None:
        super().flush()
        self._turns.look()  # Who flushes is about to write by other ways.


def text_stream(fd: int, turns: Turns) -> io.TextIOWrapper:
    """Return a text stream that passes each write on at once, as people expect of a notebook."""
    raw = _Raw(fd, turns)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", "\n", write_through=True)


def whole_print(streams: Tuple[TextIO, TextIO], real_print: Callable[..., None]) -> Callable[..., None]:
    """Return a ``print`` that writes to ``streams`` once per call.

    The built-in one writes each value and each separator by itself. As nothing here waits for the end of a line, that
    would tear the lines of threads and of forked processes, and cost several times the system calls.
    """

    out, err = streams

    def print(*values: Any, sep: Any = " ", end: Any = "\n", file: Any = None, flush: Any = False) -> None:
        stream = sys.stdout if file is None else file
        # Everything else, errors among them, is as it always was.
        if not ((stream is out or stream is err) and isinstance(sep or "", str) and isinstance(end or "", str)):
            real_print(*values, sep=sep, end=end, file=file, flush=flush)
            return
        stream.write((" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end))
        if flush:  # It is written; but what comes next may go by another way.
            stream.flush()

    print.__module__, print.__qualname__, print.__doc__ = "builtins", "print", real_print.__doc__
    print.__annotations__ = {}  # Not in the signature that ``print?`` shows.
    return print

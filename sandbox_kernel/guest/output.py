"""What the cell writes, in the order it wrote it.

File descriptors 1 and 2 of the cell's process are two pipes, so that C extensions and child processes are heard too. Two
pipes alone lose the order between them. So Python's own ``sys.stdout`` and ``sys.stderr`` look, before they write, if the
other pipe still holds something, and then have the keeper empty it first; whatever else is said (a result, a display, an
error) waits for the same. A cell that just prints pays one ``ioctl`` for it, and :func:`whole_print` makes one write of
each print. Only writes that bypass Python on both
descriptors at the same moment can change places. When both pipes hold something, Python wrote to one of them while the other
was empty: which one stands in a byte of memory that both processes share.

The keeper's end is quick to pass on the first words after a silence and merges what follows at short intervals: a frame
for each ``print`` would cost a hundred times what the text does, on both sides of the wire.
"""

from __future__ import annotations

import array
import codecs
import fcntl
import io
import mmap
import os
import sys
import termios
import threading
import time
from typing import Any, Callable, Dict, List, Optional, TextIO, Tuple

from . import wire
from .updates import UPDATE_S, Updates

READ_BYTES = 1 << 16
#: Text that comes within this time of the last frame waits for it and goes in one frame. Nobody reads faster.
MERGE_S = 0.01
#: A stream that was read so often in a row, a little each time, is left alone for REST_S: each wake-up of the keeper
#: costs the cell more than its print (of one processor). Whatever writes to both streams never gets there.
ROW = 20
LITTLE_BYTES = 4096
REST_S = 0.005

_NEVER = float("inf")


class Pump:
    """The keeper's end: bytes from the two pipes to Stream events, up to the output limit of the cell.

    Attributes:
        due: When :meth:`flush` must be called, on the monotonic clock.
        rest_until: Until when the pipes need not be looked at.
    """

    def __init__(self, emit: Callable[[wire.Event], None]) -> None:
        self._emit = emit
        self._decoders: Dict[int, codecs.IncrementalDecoder] = {}
        self._names: Dict[int, str] = {}
        self._left = 0
        self._limit = 0
        self._turn = mmap.mmap(-1, 1)
        self._waiting: List[str] = []
        self._waiting_name = ""
        #: Either text waits or these: whatever comes of one sends the other.
        self._updates = Updates()
        self._flushed = 0.0
        self._row = 0
        self._last_fd = -1
        self.due = _NEVER
        self.rest_until = 0.0

    def attach(self, stdout: int, stderr: int, turn: mmap.mmap) -> None:
        """Take over the reading ends of a cell process's pipes, and the byte that tells which to read first."""
        self._turn = turn
        decoder = codecs.getincrementaldecoder("utf-8")
        self._names = {stdout: "stdout", stderr: "stderr"}
        self._decoders = {fd: decoder("replace") for fd in self._names}
        for fd in self._names:
            os.set_blocking(fd, False)

    def begin(self, limit_bytes: int) -> None:
        """Start to count a cell's output against its limit."""
        self._left = self._limit = limit_bytes

    def read(self, fd: int) -> Optional[int]:
        """Take what one read of ``fd`` gives. Returns its bytes: 0 at the end, None when it holds nothing now."""
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return None
        now = time.monotonic()
        self._row = self._row + 1 if fd == self._last_fd and len(data) < LITTLE_BYTES else 0
        self._last_fd = fd
        self.rest_until = now + REST_S if self._row >= ROW else 0.0
        text = self._decoders[fd].decode(data, final=not data)
        if text and self._left > 0:
            self._add(self._names[fd], text, now)
        return len(data)

    def _add(self, name: str, text: str, now: float) -> None:
        if name != self._waiting_name or self._updates:
            self.flush()
        self._waiting_name = name
        self._waiting.append(text)
        if now - self._flushed >= MERGE_S or len(text) >= LITTLE_BYTES:
            self.flush()
        else:
            self.due = self._flushed + MERGE_S

    def flush(self) -> None:
        """Pass on what was taken."""
        if self._waiting:
            text, self._waiting = "".join(self._waiting), []
            self._count(wire.Stream(self._waiting_name, text))
            self._flushed = time.monotonic()
        if self._updates:
            for event in self._updates.take():
                self._count(event)
            self._flushed = time.monotonic()
        self.due = _NEVER

    def in_order(self) -> List[int]:
        """Return the two pipes, that to read first first."""
        return sorted(self._names, key=lambda fd: self._names[fd] == "stderr", reverse=self._turn[0] == 2)

    def drain(self) -> None:
        """Take all from both pipes. Bounded, because a process that the cell left behind may write for ever."""
        for fd in self.in_order():
            for _ in range(64):
                if (self.read(fd) or 0) < READ_BYTES:
                    break

    def end(self, *, last: bool) -> None:
        """Pass on everything; what is ``last``, half a character too."""
        self.drain()
        for fd, decoder in self._decoders.items() if last else ():
            text = decoder.decode(b"", final=True)
            if text and self._left > 0:
                self._add(self._names[fd], text, 0.0)
        self.flush()

    def show(self, event: wire.Event) -> None:
        """Send an event that counts as output, after the text that came before it; of updates of widgets few."""
        if self._waiting:
            self.flush()
        if self._updates.add(event):
            self.due = self._flushed + UPDATE_S
            if time.monotonic() >= self.due:
                self.flush()
            return
        self.flush()
        self._count(event)

    def _count(self, event: wire.Event) -> None:
        if self._left <= 0:
            return
        size = len(wire.dump(event))
        if size <= self._left:
            self._left -= size
            self._emit(event)
            return
        if isinstance(event, wire.Stream):
            self._emit_beginning(event)
        self._left = 0
        self._emit(wire.Truncated(self._limit))

    def _emit_beginning(self, event: wire.Stream) -> None:
        """Send as much of ``event`` as the limit lets through."""
        while event.text:
            size = len(wire.dump(event))
            if size <= self._left:
                self._emit(event)
                return
            # How many bytes a character needs differs, so this is a guess that comes closer with each turn.
            event = wire.Stream(event.name, event.text[: len(event.text) * self._left // size - 1])


class Turns:
    """Lets one pipe speak only when what was written before to the other one has been taken."""

    def __init__(self, settle: Callable[[], None], turn: mmap.mmap) -> None:
        self._settle = settle
        self._turn = turn
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._pipes = {fd: os.fstat(fd).st_ino for fd in (1, 2)}
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        # A lock that another thread of the parent holds at the fork is never released in the child.
        self._lock = threading.RLock()

    def write(self, fd: int, data: memoryview) -> None:
        """Write all of ``data`` to ``fd`` (1 or 2)."""
        with self._lock:
            if self._holds_something(3 - fd):
                self._wait_settled(3 - fd)
            self._turn[0] = fd
            while data:
                data = data[os.write(fd, data) :]

    def _holds_something(self, fd: int) -> bool:
        count = array.array("i", [0])
        try:
            fcntl.ioctl(fd, termios.FIONREAD, count)
            # The cell may have put something else there: then there is no order to keep.
            return count[0] > 0 and os.fstat(fd).st_ino == self._pipes[fd]
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


def text_stream(fd: int, turns: Turns) -> io.TextIOWrapper:
    """Return a text stream that passes each write on at once, as people expect of a notebook."""
    raw = _Raw(fd, turns)
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", "\n", write_through=True)


def whole_print(streams: Tuple[TextIO, TextIO], real_print: Callable[..., None]) -> Callable[..., None]:
    """Return a ``print`` that writes to ``streams`` once per call.

    The built-in one writes each value and each separator by itself. As nothing here waits for the end of a line, that
    would tear the lines of threads and of forked processes, and cost several times the system calls.
    """

    def print(*values: Any, sep: Any = " ", end: Any = "\n", file: Any = None, flush: Any = False) -> None:
        stream = sys.stdout if file is None else file
        # Everything else, errors among them, is as it always was.
        ours = any(stream is item for item in streams)
        if not (ours and isinstance(sep or "", str) and isinstance(end or "", str)):
            real_print(*values, sep=sep, end=end, file=file, flush=flush)
            return
        stream.write((" " if sep is None else sep).join(map(str, values)) + ("\n" if end is None else end))

    print.__module__, print.__qualname__, print.__doc__ = "builtins", "print", real_print.__doc__
    print.__annotations__ = {}  # Not in the signature that ``print?`` shows.
    return print

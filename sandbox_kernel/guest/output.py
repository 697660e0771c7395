"""What the cell writes, as events: the keeper's end of the pipes and of the memory that :mod:`.streams` writes to.

It is quick to pass on the first words after a silence and merges what follows at short intervals: a frame for each ``print``
would cost a hundred times what the text does, on both sides of the wire. Where prints come very fast it has their text come
through memory and looks there at such intervals, see :mod:`.burst`.
"""

from __future__ import annotations

import codecs
import os
import time

from . import TYPE_CHECKING, wire
from .burst import Burst
from .updates import UPDATE_S, Updates

if TYPE_CHECKING:
    from typing import Callable, Dict, List, Optional

READ_BYTES = 1 << 16
#: Text that comes within this time of the last frame waits for it and goes in one frame. Nobody reads faster.
MERGE_S = 0.01
#: A stream that was read so often in a row, a little each time, is left alone for REST_S: each wake-up of the keeper
#: costs the cell more than its print (of one processor). Whatever writes to both streams never gets there.
ROW = 20
LITTLE_BYTES = 4096
REST_S = 0.005
#: A row that takes no longer than this is a burst. It is over when nothing came in so many looks.
ROW_S = 0.02
LOOKS = 3

#: Characters of what functions for a fork say.
MOST_TOLD = 10_000

_NEVER = float("inf")


class Pump:
    """The keeper's end: bytes from the two pipes to Stream events, up to the output limit of the cell.

    Attributes:
        rest_until: Until when the pipes need not be looked at, on the monotonic clock.
    """

    def __init__(self, emit: Callable[..., None]) -> None:
        """``emit`` takes an event and, where that is known, what wire.dump() makes of it."""
        self._emit = emit
        self._decoders: Dict[int, codecs.IncrementalDecoder] = {}
        self._names: Dict[int, str] = {}
        self._left = 0
        self._limit = 0
        self._burst = Burst()
        #: By what the cell's process calls them; and whose text comes, or came last, through memory.
        self._fds: Dict[int, int] = {}
        self._bursting = -1
        self._looks = 0
        self._look_at = _NEVER
        self._flush_at = _NEVER
        self._waiting: List[str] = []
        self._waiting_name = ""
        #: Either text waits or these: whatever comes of one sends the other.
        self._updates = Updates()
        self._flushed = 0.0
        self._row = 0
        self._row_began = 0.0
        self._last_fd = -1
        self.rest_until = 0.0
        #: What is said while somebody listens; None: nobody does.
        self._heard: Optional[str] = None

    def next_at(self, now: float) -> float:
        """Return when :meth:`go_on` must be called, or the pipes be looked at again."""
        at = min(self._flush_at, self._look_at)
        return min(at, self.rest_until) if self.rest_until > now else at

    def attach(self, stdout: int, stderr: int, burst: Burst) -> None:
        """Take over the reading ends of a cell process's pipes, and the memory that it shares."""
        self._burst, self._bursting = burst, -1
        self._fds = {1: stdout, 2: stderr}
        decoder = codecs.getincrementaldecoder("utf-8")
        self._names = {stdout: "stdout", stderr: "stderr"}
        self._decoders = {fd: decoder("replace") for fd in self._names}
        for fd in self._names:
            os.set_blocking(fd, False)

    def begin(self, limit_bytes: int) -> None:
        """Start to count a cell's output against its limit."""
        self._left = self._limit = limit_bytes
        self._heard = None

    def listen(self) -> None:
        """From now on keep what is said, no matter by which process, for the next ``Told``."""
        self.flush()
        self._heard = ""

    def _hear(self, text: str) -> None:
        self._heard = ((self._heard or "") + text)[:MOST_TOLD]

    def read(self, fd: int) -> Optional[int]:
        """Take what one read of ``fd`` gives. Returns its bytes: 0 at the end, None when it holds nothing now."""
        # Who writes to a pipe has put what it said before into memory; and sees there that what it says next is not.
        self._burst.begin_reading()
        try:
            data: Optional[bytes] = os.read(fd, READ_BYTES)
        except BlockingIOError:
            data = None
        self._take_burst()
        if data is not None:
            self._take(fd, data)
        self._burst.end_reading()
        return None if data is None else len(data)

    def _take(self, fd: int, data: bytes) -> None:
        now = time.monotonic()
        if fd != self._last_fd or len(data) >= LITTLE_BYTES:
            self._row, self._row_began = 0, now
        else:
            self._row += 1
        self._last_fd = fd
        self.rest_until = now + REST_S if self._row >= ROW else 0.0
        if self._row and self._row % ROW == 0:
            if now - self._row_began <= ROW_S and self._burst.stream == 0:
                self._bursting, self._looks, self._look_at = fd, LOOKS, now + REST_S
                self._burst.open(1 if fd == self._fds[1] else 2)
            self._row_began = now
        self._decode(fd, data, now)

    def _decode(self, fd: int, data: bytes, now: float) -> None:
        text = self._decoders[fd].decode(data, final=not data)
        if self._heard is not None:
            self._hear(text)
        elif text and self._left > 0:
            self._add(self._names[fd], text, now)

    def _take_burst(self) -> None:
        data = self._burst.take()
        # Of memory that was never opened, or not since the process began, only a cell that meddles with it can have text.
        if data and self._bursting in self._decoders:
            self._looks = LOOKS
            self._decode(self._bursting, data, time.monotonic())

    def go_on(self, now: float) -> None:
        """Do what is due."""
        if now >= self._look_at:
            self._looks -= 1
            self._take_burst()
            if self._looks == 0:
                self._burst.open(0)
                self._row, self._row_began = 0, now
            # Once more after the last: who has put something when it was open just now.
            self._look_at = now + REST_S if self._looks >= 0 else _NEVER
        if now >= self._flush_at:
            self.flush()

    def _add(self, name: str, text: str, now: float) -> None:
        if name != self._waiting_name or self._updates:
            self.flush()
        self._waiting_name = name
        self._waiting.append(text)
        if now - self._flushed >= MERGE_S or len(text) >= LITTLE_BYTES:
            self.flush()
        else:
            self._flush_at = self._flushed + MERGE_S

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
        self._flush_at = _NEVER

    def in_order(self) -> List[int]:
        """Return the two pipes, that to read first first."""
        return sorted(self._names, key=lambda fd: self._names[fd] == "stderr", reverse=self._burst.turn == 2)

    def drain(self) -> None:
        """Take all from both pipes. Bounded, because a process that the cell left behind may write for ever."""
        for fd in self.in_order():
            for _ in range(64):
                if (self.read(fd) or 0) < READ_BYTES:
                    break
        self._take_burst()

    def end(self, *, last: bool) -> None:
        """Pass on everything; what is ``last``, half a character too."""
        self.drain()
        for fd, decoder in self._decoders.items() if last else ():
            text = decoder.decode(b"", final=True)
            if text and self._left > 0:
                self._add(self._names[fd], text, 0.0)
        self.flush()

    def show(self, event: wire.Event) -> None:
        """Send an event that counts as output, after the text that came before it; of updates of widgets few.

        While somebody listens only the text of what is displayed is kept; with what was kept goes a ``Told``.
        """
        if isinstance(event, wire.Told):
            self._tell(event)
            return
        if self._heard is not None and isinstance(event, wire.Display):
            self._hear("%s\n" % event.data.get("text/plain", ""))
            return
        if self._waiting:
            self.flush()
        if self._updates.add(event):
            self._flush_at = self._flushed + UPDATE_S
            if time.monotonic() >= self._flush_at:
                self.flush()
            return
        self.flush()
        self._count(event)

    def _tell(self, event: wire.Told) -> None:
        heard, self._heard = self._heard or "", None
        told = "\n".join([*heard.splitlines(), *event.text.splitlines()])[:MOST_TOLD]
        if told:
            self._emit(wire.Told(told))

    def _count(self, event: wire.Event) -> None:
        if self._left <= 0:
            return
        body = wire.dump(event)
        if len(body) <= self._left:
            self._left -= len(body)
            self._emit(event, body)
            return
        if isinstance(event, wire.Stream):
            self._emit_beginning(event)
        self._left = 0
        self._emit(wire.Truncated(self._limit))

    def _emit_beginning(self, event: wire.Stream) -> None:
        """Send as much of ``event`` as the limit lets through."""
        while event.text:
            body = wire.dump(event)
            if len(body) <= self._left:
                self._emit(event, body)
                return
            # How many bytes a character needs differs, so this is a guess that comes closer with each turn.
            event = wire.Stream(event.name, event.text[: len(event.text) * self._left // len(body) - 1])

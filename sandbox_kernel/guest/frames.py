"""Events to frames and back: the bytes of the wire. No I/O here.

A frame is one line, at most :data:`FRAME_BYTES` long, written with one ``write(2)``: that is the size up to which writes
through gVisor and a pipe were never torn, and far below the 8 or 16 KiB at which container runtimes split lines::

    sk1 NUMBER MARK FRAGMENT\\n

NUMBER counts frames from 0. MARK is ``+`` when the event goes on in the next frame, ``.`` when it ends here. The fragments
of an event joined are what :func:`.wire.dump` made of it.

The decoder treats every byte as hostile, because a cell shares the sandbox with the program that writes frames and can
forge any of them. It returns, for one line, a list of events: none while an event is incomplete or when a frame was seen
before (a log that was read twice), a Gap ahead of the first frame after lost ones, and Noise for a line that is no frame.
It raises nothing for any input.
"""

from __future__ import annotations

from . import TYPE_CHECKING
from .wire import Event, Gap, Noise, dump, load_event

if TYPE_CHECKING:
    from typing import List, Optional

FRAME_BYTES = 4096
#: One event, all fragments joined. A larger one is dropped and reported as a gap.
EVENT_BYTES = 16 * 2**20
#: More frames than this are not from our guest: its own limits end a cell long before.
LAST_NUMBER = 10**9

_FRAME = rb"sk1 (0|[1-9][0-9]{0,9}) ([+.]) (.*)"


class Encoder:
    """Events to frames. Holds the number of the next frame."""

    def __init__(self) -> None:
        self.number = 0

    def encode(self, event: Event) -> List[bytes]:
        """Return the frames of one event, each to be written with one write(2)."""
        return self.frames(dump(event))

    def frames(self, body: bytes) -> List[bytes]:
        """Return the frames of an event that dump() has made ``body`` of."""
        room = FRAME_BYTES - len(b"sk1 1000000000 . \n")
        parts = [body[at : at + room] for at in range(0, len(body), room)]
        frames = []
        for index, part in enumerate(parts):
            mark = b"." if index == len(parts) - 1 else b"+"
            frames.append(b"sk1 %d %s %s\n" % (self.number, mark, part))
            self.number += 1
        return frames


class Decoder:
    """Lines to events: ``decode(line)`` returns what the line completes. Bounded, and never raises."""

    def __init__(self, first: int = 0) -> None:
        """``first`` is the number of the first frame: a restored guest goes on counting."""
        #: Bytes of all lines that were new: what came twice does not count.
        self.taken = 0
        #: The number of the next frame.
        self.next = first
        self._first_part = 0
        #: The fragments of the event that is on its way; None between events.
        self._body: Optional[bytearray] = None
        self._size = 0
        import re  # Which the host has, and the guest seldom needs.

        self._frame = re.compile(_FRAME, re.DOTALL)

    def decode(self, line: bytes) -> List[Event]:
        """Return the events that ``line`` (without its newline) completes; see the module's text."""
        match = self._frame.fullmatch(line) if len(line) < FRAME_BYTES else None
        if match is None or int(match.group(1)) > LAST_NUMBER:
            self.taken += len(line) + 1
            text = line[:FRAME_BYTES].decode("utf-8", "replace")
            return [Noise(text)] if text.strip() else []
        number, mark, fragment = int(match.group(1)), match.group(2), match.group(3)
        if number < self.next:
            return []
        self.taken += len(line) + 1
        events: List[Event] = []
        if number > self.next:
            events.append(Gap(self.next if self._body is None else self._first_part, number - 1))
            self._body = None
        if self._body is None:
            self._first_part, self._body, self._size = number, bytearray(), 0
        self.next = number + 1
        self._size += len(fragment)
        if self._size <= EVENT_BYTES:
            self._body += fragment
        if mark == b".":
            # One that is too large was followed to its end without being kept.
            event = load_event(bytes(self._body)) if self._size <= EVENT_BYTES else None
            self._body = None
            events.append(event if event is not None else Gap(self._first_part, number))
        return events

"""The words host and guest exchange, as JSON. No I/O here; :mod:`.frames` has the bytes.

Guest to host: *events*, in numbered frames on the container's stdout, so in the pod's log on Kubernetes. Host to guest:
*messages*, one a line on stdin or one a file in the mailbox directory. Both are JSON arrays ``[kind, fields]``, and what may
stand in each field is checked by a table when they are read: the host reads what hostile code may have written.
"""

from __future__ import annotations

from . import TYPE_CHECKING, events, messages, notation
from .checks import load
from .events import (
    GUEST_OUTCOMES,
    ClearOutput,
    Comm,
    Display,
    Error,
    Event,
    Expressions,
    File,
    Finished,
    Gap,
    Heartbeat,
    InputRequest,
    Names,
    Noise,
    NotSaved,
    Outline,
    Page,
    Part,
    Ready,
    Result,
    Saved,
    Seen,
    Started,
    Stream,
    Taken,
    Told,
    Truncated,
    Unloadable,
)
from .messages import Ask, Cell, Input, Interrupt, Look, Wake
from .records import replace, values_of

if TYPE_CHECKING:
    from typing import Any

__all__ = [
    "GUEST_OUTCOMES",
    "HEARTBEAT_S",
    "Ask",
    "Cell",
    "ClearOutput",
    "Comm",
    "Display",
    "Error",
    "Event",
    "Expressions",
    "File",
    "Finished",
    "Gap",
    "Heartbeat",
    "Input",
    "InputRequest",
    "Interrupt",
    "Look",
    "Names",
    "Noise",
    "NotSaved",
    "Outline",
    "Page",
    "Part",
    "Ready",
    "Result",
    "Saved",
    "Seen",
    "Started",
    "Stream",
    "Taken",
    "Told",
    "Truncated",
    "Unloadable",
    "Wake",
    "dump",
    "load_event",
    "load_message",
    "replace",
]

HEARTBEAT_S = 5.0

_KINDS = {kind: name for table in (events.TABLE, messages.TABLE) for name, (kind, _) in table.items()}


def dump(thing: Any) -> bytes:
    """Return an event or a message as one line of ASCII JSON, without its newline."""
    return notation.dumps([_KINDS[type(thing)], values_of(thing)]).encode("ascii")


def load_event(data: bytes) -> Any:
    """Return the event in ``data``, or None when it is none of this version's."""
    return load(data, events.TABLE)


def load_message(data: bytes) -> Any:
    """Return the message in ``data``, or None when it is none of this version's."""
    return load(data, messages.TABLE)

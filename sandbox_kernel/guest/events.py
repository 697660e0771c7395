"""What the guest says to the host: see :mod:`.wire`."""

from __future__ import annotations

from . import TYPE_CHECKING
from .checks import (
    are,
    is_bundle,
    is_comm_id,
    is_count,
    is_digest,
    is_flag,
    is_lines,
    is_seconds,
    is_status,
    is_text,
    one_of,
    or_none,
)
from .records import field, record

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Union

    from .checks import Table


@record(frozen=True)
class Ready:
    """The guest is up and waits for a cell. ``system`` is what the kernel inside calls itself."""

    python: str
    system: str


@record(frozen=True)
class Started:
    """The cell with this number was taken from the mailbox; its time runs."""

    cell: int


@record(frozen=True)
class Stream:
    """Text the cell wrote to ``stdout`` or ``stderr``."""

    name: str
    text: str


@record(frozen=True)
class Display:
    """Something to show. ``data`` maps MIME types to text (base64 where the type is binary)."""

    data: Dict[str, Any]
    metadata: Dict[str, Any] = field(default_factory=dict)
    display_id: Optional[str] = None
    update: bool = False


@record(frozen=True)
class ClearOutput:
    """Remove what the cell has shown; with ``wait``, when the next output comes."""

    wait: bool = False


@record(frozen=True)
class Result:
    """The value of the cell's last expression."""

    data: Dict[str, Any]
    metadata: Dict[str, Any] = field(default_factory=dict)


@record(frozen=True)
class Error:
    """The exception that ended the cell. ``missing`` is the file name of a FileNotFoundError."""

    name: str
    value: str
    traceback: List[str]
    missing: Optional[str] = None


@record(frozen=True)
class File:
    """A file the cell left in its working directory. ``content`` is base64, None when it is over the limit."""

    name: str
    size: int
    content: Optional[str]


@record(frozen=True)
class Truncated:
    """The cell's output reached its limit (bytes on the wire); what follows is dropped. Sent once."""

    limit_bytes: int


@record(frozen=True)
class Heartbeat:
    """Nothing to say, still here."""


#: What a guest may say of a cell's end; ``lost`` and ``refused`` are raised by the host.
GUEST_OUTCOMES = ("ok", "error", "timeout", "interrupted", "out_of_memory")


@record(frozen=True)
class Finished:
    """The trailer: how the cell ended, and after it nothing more of that cell.

    Attributes:
        outcome: One of :data:`GUEST_OUTCOMES`.
        exit_status: What a shell would show: 0, the argument of ``sys.exit``, 128 plus a signal. None: not known.
        wall_s: Seconds from taking the cell to its end.
        cpu_s: Seconds of processor time, when the guest could tell.
        reason: One sentence when the outcome alone does not say it.
        lives: The cell's process goes on, and with it all that the cell made.
    """

    outcome: str
    exit_status: Optional[int] = None
    wall_s: float = 0.0
    cpu_s: Optional[float] = None
    reason: Optional[str] = None
    lives: bool = False


@record(frozen=True)
class Names:
    """What the namespace holds: ``[name, type, bytes]`` each; bytes is an estimate. Sent when asked for, or with Saved."""

    names: List[List[Any]]


@record(frozen=True)
class Part:
    """A piece of a carried part: bytes from ``offset`` on, in base64. ``digest`` names the part: sha256 of all of it."""

    digest: str
    size: int
    offset: int
    data: str


@record(frozen=True)
class Saved:
    """The namespace has been carried out. ``parts`` is ``[digest, size]`` of all that it needs, the head first.

    ``lost`` is ``[name, why]`` of what could not be carried.
    """

    parts: List[List[Any]]
    lost: List[List[str]] = field(default_factory=list)


@record(frozen=True)
class NotSaved:
    """The namespace could not be carried out at all. What was carried before is still good."""

    reason: str


@record(frozen=True)
class Unloadable:
    """The state the sandbox should start from is none that it can load. No cell is run."""

    reason: str


@record(frozen=True)
class Told:
    """What the user's functions of a new life and their programs said, and how they failed. Before Ready, at most once."""

    text: str


@record(frozen=True)
class InputRequest:
    """The cell waits for a line from the user: the answer is :class:`Input`. With ``password`` it is not to be shown."""

    prompt: str
    password: bool = False


@record(frozen=True)
class Taken:
    """The guest has read so many messages for the cell that runs: answers and interrupts."""

    messages: int


@record(frozen=True)
class Page:
    """Text to show beside the notebook, as ``name?`` does. ``data`` is a bundle as in :class:`Display`."""

    data: Dict[str, Any]


@record(frozen=True)
class Expressions:
    """The values of the cell's ``expressions``, by name.

    Each is ``{"status": "ok", "data": .., "metadata": ..}`` or ``{"status": "error", "ename": .., "evalue": ..,
    "traceback": ..}``.
    """

    values: Dict[str, Any]


@record(frozen=True)
class Outline:
    """What the namespace holds at the end of a cell that asked for it. ``text`` is JSON: see :mod:`.outline`."""

    text: str


@record(frozen=True)
class Seen:
    """The answer to a Look. ``text`` is JSON: see :mod:`.explaining`."""

    number: int
    text: str


@record(frozen=True)
class Comm:
    """What a widget says to its other half in the front end.

    Attributes:
        kind: ``open``, ``msg`` or ``close``.
        id: Names the pair of halves.
        target: Who in the front end is to make the other half; for ``open``.
        buffers: Binary parts, each in base64.
    """

    kind: str
    id: str
    target: str = ""
    data: Dict[str, Any] = field(default_factory=dict)
    metadata: Dict[str, Any] = field(default_factory=dict)
    buffers: List[str] = field(default_factory=list)


# -- events the decoder itself makes ------------------------------------------------------------------------------


@record(frozen=True)
class Gap:
    """Frames ``first`` to ``last`` never came, or could not be read."""

    first: int
    last: int


@record(frozen=True)
class Noise:
    """A line that is no frame: the runtime's or the cluster's own words, or a forgery."""

    text: str


if TYPE_CHECKING:
    Event = Union[
        Ready, Started, Stream, Display, ClearOutput, Result, Error, File, Truncated, Heartbeat, Finished, Names, Part,
        Saved, NotSaved, Unloadable, Told, InputRequest, Taken, Page, Expressions, Outline, Seen, Comm, Gap, Noise,
    ]  # fmt: skip
else:  # For who asks for the name; a Union needs typing.
    Event = object


#: What may stand in each field, by the event's word.
TABLE: Table = {
    "ready": (Ready, {"python": is_text, "system": is_text}),
    "started": (Started, {"cell": is_count}),
    "stream": (Stream, {"name": one_of("stdout", "stderr"), "text": is_text}),
    "display": (
        Display,
        {"data": is_bundle, "metadata": is_bundle, "display_id": or_none(is_text), "update": is_flag},
    ),
    "clear": (ClearOutput, {"wait": is_flag}),
    "result": (Result, {"data": is_bundle, "metadata": is_bundle}),
    "error": (
        Error,
        {"name": is_text, "value": is_text, "traceback": is_lines, "missing": or_none(is_text)},
    ),
    "file": (File, {"name": is_text, "size": is_count, "content": or_none(is_text)}),
    "truncated": (Truncated, {"limit_bytes": is_count}),
    "heartbeat": (Heartbeat, {}),
    "finished": (
        Finished,
        {
            "outcome": one_of(*GUEST_OUTCOMES),
            "exit_status": or_none(is_status),
            "wall_s": is_seconds,
            "cpu_s": or_none(is_seconds),
            "reason": or_none(is_text),
            "lives": is_flag,
        },
    ),
    "names": (Names, {"names": are(is_text, is_text, is_count)}),
    "part": (Part, {"digest": is_digest, "size": is_count, "offset": is_count, "data": is_text}),
    "saved": (Saved, {"parts": are(is_digest, is_count), "lost": are(is_text, is_text)}),
    "not_saved": (NotSaved, {"reason": is_text}),
    "unloadable": (Unloadable, {"reason": is_text}),
    "told": (Told, {"text": is_text}),
    "input_request": (InputRequest, {"prompt": is_text, "password": is_flag}),
    "taken": (Taken, {"messages": is_count}),
    "page": (Page, {"data": is_bundle}),
    "expressions": (Expressions, {"values": is_bundle}),
    "outline": (Outline, {"text": is_text}),
    "seen": (Seen, {"number": is_count, "text": is_text}),
    "comm": (
        Comm,
        {
            "kind": one_of("open", "msg", "close"),
            "id": is_comm_id,
            "target": is_text,
            "data": is_bundle,
            "metadata": is_bundle,
            "buffers": is_lines,
        },
    ),
}

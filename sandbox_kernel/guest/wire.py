"""The words host and guest exchange, as JSON. No I/O here; :mod:`.frames` has the bytes.

Guest to host: *events*, in numbered frames on the container's stdout, so in the pod's log on Kubernetes. Host to guest:
*messages*, one a line on stdin or one a file in the mailbox directory. Both are JSON arrays ``[kind, fields]``, and what may
stand in each field is checked by a table when they are read: the host reads what hostile code may have written.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, List, Optional, Union

from .checks import (
    Table,
    are,
    is_bundle,
    is_count,
    is_digest,
    is_flag,
    is_lines,
    is_seconds,
    is_status,
    is_text,
    is_texts,
    load,
    one_of,
    or_none,
)

HEARTBEAT_S = 5.0

# -- events: guest to host ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ready:
    """The guest is up and waits for a cell. ``system`` is what the kernel inside calls itself."""

    python: str
    system: str


@dataclass(frozen=True)
class Started:
    """The cell with this number was taken from the mailbox; its time runs."""

    cell: int


@dataclass(frozen=True)
class Stream:
    """Text the cell wrote to ``stdout`` or ``stderr``."""

    name: str
    text: str


@dataclass(frozen=True)
class Display:
    """Something to show. ``data`` maps MIME types to text (base64 where the type is binary)."""

    data: Dict[str, Any]
    metadata: Dict[str, Any] = field(default_factory=dict)
    display_id: Optional[str] = None
    update: bool = False


@dataclass(frozen=True)
class ClearOutput:
    """Remove what the cell has shown; with ``wait``, when the next output comes."""

    wait: bool = False


@dataclass(frozen=True)
class Result:
    """The value of the cell's last expression."""

    data: Dict[str, Any]
    metadata: Dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Error:
    """The exception that ended the cell. ``missing`` is the file name of a FileNotFoundError."""

    name: str
    value: str
    traceback: List[str]
    missing: Optional[str] = None


@dataclass(frozen=True)
class File:
    """A file the cell left in its working directory. ``content`` is base64, None when it is over the limit."""

    name: str
    size: int
    content: Optional[str]


@dataclass(frozen=True)
class Truncated:
    """The cell's output reached its limit (bytes on the wire); what follows is dropped. Sent once."""

    limit_bytes: int


@dataclass(frozen=True)
class Heartbeat:
    """Nothing to say, still here."""


#: What a guest may say of a cell's end. The host adds ``interrupted``; ``lost`` and ``refused`` are raised there.
GUEST_OUTCOMES = ("ok", "error", "timeout", "out_of_memory")


@dataclass(frozen=True)
class Finished:
    """The trailer: how the cell ended, and after it nothing more of that cell.

    Attributes:
        outcome: One of :data:`GUEST_OUTCOMES`, or ``interrupted``.
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


@dataclass(frozen=True)
class Names:
    """What the namespace holds: ``[name, type, bytes]`` each; bytes is an estimate. Sent when asked for, or with Saved."""

    names: List[List[Any]]


@dataclass(frozen=True)
class Part:
    """A piece of a carried part: bytes from ``offset`` on, in base64. ``digest`` names the part: sha256 of all of it."""

    digest: str
    size: int
    offset: int
    data: str


@dataclass(frozen=True)
class Saved:
    """The namespace has been carried out. ``parts`` is ``[digest, size]`` of all that it needs, the head first.

    ``lost`` is ``[name, why]`` of what could not be carried.
    """

    parts: List[List[Any]]
    lost: List[List[str]] = field(default_factory=list)


@dataclass(frozen=True)
class NotSaved:
    """The namespace could not be carried out at all. What was carried before is still good."""

    reason: str


@dataclass(frozen=True)
class Unloadable:
    """The state the sandbox should start from is none that it can load. No cell is run."""

    reason: str


# -- events the decoder itself makes ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gap:
    """Frames ``first`` to ``last`` never came, or could not be read."""

    first: int
    last: int


@dataclass(frozen=True)
class Noise:
    """A line that is no frame: the runtime's or the cluster's own words, or a forgery."""

    text: str


Event = Union[
    Ready,
    Started,
    Stream,
    Display,
    ClearOutput,
    Result,
    Error,
    File,
    Truncated,
    Heartbeat,
    Finished,
    Names,
    Part,
    Saved,
    NotSaved,
    Unloadable,
    Gap,
    Noise,
]

# -- messages: host to guest --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """The code to run.

    Attributes:
        number: Counts the cells of one session.
        code: The source.
        name: What tracebacks call it.
        timeout_s: Seconds after which the guest ends it. None: no limit.
        output_bytes: Limit of its output on the wire.
        files: Input files by name, contents in base64, written to the working directory first.
        collect_bytes: Limit for the contents of files it leaves there. 0: files are not looked at.
        silent: Nothing is shown, no result.
    """

    number: int
    code: str
    name: str = "<cell>"
    timeout_s: Optional[float] = None
    output_bytes: int = 8 * 2**20
    files: Dict[str, str] = field(default_factory=dict)
    collect_bytes: int = 0
    silent: bool = False


@dataclass(frozen=True)
class Wake:
    """The first message to a restored sandbox, which then says Ready.

    Attributes:
        session: The session it belongs to now.
        anew: It is a new life, not the next cell of the life that was saved: what nobody seeded is seeded again.
    """

    session: str
    anew: bool = False


@dataclass(frozen=True)
class Ask:
    """Asks what the namespace holds; the answer is Names."""


# -- what may stand in a field ------------------------------------------------------------------------------------

_EVENTS: Table = {
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
}

_MESSAGES: Table = {
    "cell": (
        Cell,
        {
            "number": is_count,
            "code": is_text,
            "name": is_text,
            "timeout_s": or_none(is_seconds),
            "output_bytes": is_count,
            "files": is_texts,
            "collect_bytes": is_count,
            "silent": is_flag,
        },
    ),
    "wake": (Wake, {"session": is_text, "anew": is_flag}),
    "ask": (Ask, {}),
}

_KINDS = {kind: name for table in (_EVENTS, _MESSAGES) for name, (kind, _) in table.items()}


def dump(thing: Any) -> bytes:
    """Return an event or a message as one line of ASCII JSON, without its newline."""
    return json.dumps([_KINDS[type(thing)], asdict(thing)], separators=(",", ":")).encode("ascii")


def load_event(data: bytes) -> Any:
    """Return the event in ``data``, or None when it is none of this version's."""
    return load(data, _EVENTS)


def load_message(data: bytes) -> Any:
    """Return the message in ``data``, or None when it is none of this version's."""
    return load(data, _MESSAGES)

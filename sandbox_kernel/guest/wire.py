"""The words host and guest exchange, as JSON. No I/O here; :mod:`.frames` has the bytes.

Guest to host: *events*, in numbered frames on the container's stdout, so in the pod's log on Kubernetes. Host to guest:
*messages*, one a line on stdin or one a file in the mailbox directory. Both are JSON arrays ``[kind, fields]``, and what may
stand in each field is checked by a table when they are read: the host reads what hostile code may have written.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Callable, Dict, List, Optional, Union

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
    """

    outcome: str
    exit_status: Optional[int] = None
    wall_s: float = 0.0
    cpu_s: Optional[float] = None
    reason: Optional[str] = None


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


Event = Union[Ready, Started, Stream, Display, ClearOutput, Result, Error, File, Truncated, Heartbeat, Finished, Gap, Noise]

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


# -- what may stand in a field ------------------------------------------------------------------------------------

_Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e9


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_status(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**32


def _is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _is_bundle(value: Any) -> bool:
    return isinstance(value, dict)


def _is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _one_of(*words: str) -> _Check:
    return lambda value: isinstance(value, str) and value in words


_Table = Dict[str, "tuple[type, Dict[str, _Check]]"]

_EVENTS: _Table = {
    "ready": (Ready, {"python": _is_text, "system": _is_text}),
    "started": (Started, {"cell": _is_count}),
    "stream": (Stream, {"name": _one_of("stdout", "stderr"), "text": _is_text}),
    "display": (
        Display,
        {"data": _is_bundle, "metadata": _is_bundle, "display_id": _or_none(_is_text), "update": _is_flag},
    ),
    "clear": (ClearOutput, {"wait": _is_flag}),
    "result": (Result, {"data": _is_bundle, "metadata": _is_bundle}),
    "error": (
        Error,
        {"name": _is_text, "value": _is_text, "traceback": _is_lines, "missing": _or_none(_is_text)},
    ),
    "file": (File, {"name": _is_text, "size": _is_count, "content": _or_none(_is_text)}),
    "truncated": (Truncated, {"limit_bytes": _is_count}),
    "heartbeat": (Heartbeat, {}),
    "finished": (
        Finished,
        {
            "outcome": _one_of(*GUEST_OUTCOMES),
            "exit_status": _or_none(_is_status),
            "wall_s": _is_seconds,
            "cpu_s": _or_none(_is_seconds),
            "reason": _or_none(_is_text),
        },
    ),
}

_MESSAGES: _Table = {
    "cell": (
        Cell,
        {
            "number": _is_count,
            "code": _is_text,
            "name": _is_text,
            "timeout_s": _or_none(_is_seconds),
            "output_bytes": _is_count,
            "files": _is_texts,
            "collect_bytes": _is_count,
            "silent": _is_flag,
        },
    ),
}

_KINDS = {kind: name for table in (_EVENTS, _MESSAGES) for name, (kind, _) in table.items()}


def dump(thing: Any) -> bytes:
    """Return an event or a message as one line of ASCII JSON, without its newline."""
    return json.dumps([_KINDS[type(thing)], asdict(thing)], separators=(",", ":")).encode("ascii")


def _load(data: bytes, table: _Table) -> Any:
    try:
        kind, values = json.loads(data, parse_constant=_refuse_constant, parse_float=_finite)
        made, checks = table[kind]
        names = {item.name for item in fields(made)}
        if isinstance(values, dict) and set(values) <= names and all(checks[name](value) for name, value in values.items()):
            return made(**values)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def _refuse_constant(word: str) -> None:
    raise ValueError(word)


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(digits)
    return number


def load_event(data: bytes) -> Any:
    """Return the event in ``data``, or None when it is none of this version's."""
    return _load(data, _EVENTS)


def load_message(data: bytes) -> Any:
    """Return the message in ``data``, or None when it is none of this version's."""
    return _load(data, _MESSAGES)

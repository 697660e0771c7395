"""What comes of one snippet: events to one result."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import policy
from ..errors import ConfigurationError
from ..guest import wire
from ..limits import MIB
from ..outcomes import OURS, ROLLED_BACK, Timings
from ..session import Session
from .words import for_programs, told_to_programs

#: Contents of output files of one snippet, on the wire.
COLLECT_BYTES = 8 * MIB


@dataclass(frozen=True)
class CellError:
    """The exception that ended a snippet, or our word for how else it ended (CellTimeout, KeyboardInterrupt, ...)."""

    name: str
    value: str
    traceback: str


@dataclass(frozen=True)
class Result:
    """What came of one snippet. All of it is the snippet's word: data to show, never to trust.

    Attributes:
        outcome: ``ok``, ``error``, ``timeout``, ``interrupted`` or ``out_of_memory``.
        exit_status: 0 when ok; what ``sys.exit`` was given; 124 timeout, 130 interrupted, 137 and so on. None: unknown.
        stdout, stderr: Text, without terminal sequences.
        error: What ended it; None when ok.
        result: MIME bundle of the last expression's value; None when there is none.
        displays: MIME bundles of what it displayed, figures included.
        files: Files it left new or changed in its working directory.
        files_left_out: Names of those too large to bring along.
        complete: False when output was cut at its limit or lost on its way.
        timings: Seconds of the phases.
    """

    outcome: str
    exit_status: int | None
    stdout: str = ""
    stderr: str = ""
    error: CellError | None = None
    result: dict[str, Any] | None = None
    displays: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    files_left_out: list[str] = field(default_factory=list)
    complete: bool = True
    timings: Timings = field(default_factory=Timings)

    @property
    def ok(self) -> bool:
        """Whether it ended by itself without an error."""
        return self.outcome == "ok"


async def run_snippet(
    session: Session,
    code: str,
    files: Mapping[str, bytes | str] | None,
    timeout_s: float | None,
    on_stream: Callable[[str, str], None] | None,
    name: str = "snippet.py",
) -> Result:
    """Run a snippet in a session and return what came of it."""
    sent = {_checked(name): _encoded(content) for name, content in (files or {}).items()}
    execution = session.run(code, timeout_s=timeout_s, name=name, files=sent, collect_bytes=COLLECT_BYTES)
    gathered = _Gathered(on_stream)
    with told_to_programs():
        async for event in execution:
            gathered.add(event)
    return gathered.result(execution.timings)


def _checked(name: str) -> str:
    if not name or name.startswith("/") or posixpath.normpath(name) != name or name.split("/", 1)[0] in (".", ".."):
        raise ConfigurationError(
            f"{name!r} cannot be the name of an input file.",
            "Use a relative name without '..', for example data/a.csv.",
        )
    return name


def _encoded(content: bytes | str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return base64.b64encode(data).decode("ascii")


class _Gathered:
    """Collects the events of one execution."""

    def __init__(self, on_stream: Callable[[str, str], None] | None) -> None:
        self._on_stream = on_stream
        self._streams: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._values: dict[str, Any] = {"displays": [], "files": {}, "files_left_out": []}

    def add(self, event: wire.Event) -> None:
        if isinstance(event, wire.Stream):
            self._stream(event.name, policy.clean_text(event.text))
        elif isinstance(event, wire.Noise):
            self._stream("stderr", policy.clean_text(event.text) + "\n")
        elif isinstance(event, wire.Result):
            self._values["result"] = policy.clean_bundle(event.data)
        elif isinstance(event, wire.Display):
            self._values["displays"].append(policy.clean_bundle(event.data))
        elif isinstance(event, wire.Error):
            texts = [policy.clean_text(text) for text in (event.name, event.value, "\n".join(event.traceback))]
            if event.name in OURS or event.value.endswith(ROLLED_BACK):
                texts[1:] = [for_programs(text) for text in texts[1:]]
            self._values["error"] = CellError(*texts)
        elif isinstance(event, wire.File):
            self._file(event)
        elif isinstance(event, wire.Truncated | wire.Gap):
            self._values["complete"] = False
        elif isinstance(event, wire.Finished):
            self._values.update(outcome=event.outcome, exit_status=event.exit_status)

    def _stream(self, name: str, text: str) -> None:
        self._streams[name].append(text)
        if self._on_stream is not None:
            self._on_stream(name, text)

    def _file(self, event: wire.File) -> None:
        try:
            _checked(event.name)  # The guest's word too: nobody should get "../x" from us and write to it.
        except ConfigurationError:
            return
        try:
            self._values["files"][event.name] = base64.b64decode(event.content or "", validate=True)
        except ValueError:
            event = wire.File(event.name, event.size, None)
        if event.content is None:
            self._values["files"].pop(event.name, None)
            self._values["files_left_out"].append(event.name)

    def result(self, timings: Timings) -> Result:
        stdout, stderr = ("".join(self._streams[name]) for name in ("stdout", "stderr"))
        return Result(stdout=stdout, stderr=stderr, timings=timings, **self._values)

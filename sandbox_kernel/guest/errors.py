"""An exception of the user's code to what the user reads of it.

Frames of this program, and of what drives an ``await``, are not theirs. A broken ``__str__`` or a lack of memory must not
hide that there was an error.
"""

from __future__ import annotations

import os

from . import TYPE_CHECKING, finding, offline, text, wire

if TYPE_CHECKING:
    import traceback
    from typing import Callable, Iterator, List, Optional

_HERE = os.path.dirname(__file__)


def describe(error: BaseException, name: str, label: Callable[[str], str] = str) -> wire.Error:
    """Return the event for ``error`` that ended the cell in the file ``name``. Raises nothing.

    ``label`` is given the name of each file and returns what to call it.
    """
    try:
        lines = _lines(error, name, label)
    except BaseException:
        error.__traceback__ = None  # What its frames hold may be what there is too much of.
        lines = [str(type(error).__name__)]
    return event_of(error, lines)


def event_of(error: BaseException, lines: List[str]) -> wire.Error:
    """Return the event for an error that is told in these ``lines``. Raises nothing."""
    kind = str(type(error).__name__)
    try:
        value = text.cut(str(error))
    except BaseException:
        value = ""
    missing = getattr(error, "filename", None) if isinstance(error, FileNotFoundError) else None
    try:
        advice = offline.hint(error)
    except BaseException:
        advice = None
    return wire.Error(
        kind, value, [*lines, advice] if advice else lines, text.cut(missing) if isinstance(missing, str) else None
    )


#: What a shell shows of an exit, as IPython does.
EXIT_HEADING = "An exception has occurred, use %tb to see the full traceback.\n"
#: Causes of an error that are looked at.
_MOST_CAUSES = 100


def drop_our_tail(error: BaseException) -> None:
    """Leave out of its traceback, and of those of what it came of, the frames of this program that they end in."""
    seen: List[BaseException] = []
    rest: List[Optional[BaseException]] = [error]
    while rest and len(seen) < _MOST_CAUSES:
        part = rest.pop()
        if part is None or any(part is other for other in seen):
            continue
        seen.append(part)
        rest += [part.__cause__, part.__context__]
        last, step = None, part.__traceback__
        while step is not None:
            if not _is_ours(step.tb_frame.f_code.co_filename):
                last = step
            step = step.tb_next
        if last is not None:
            last.tb_next = None


def _is_ours(filename: str) -> bool:
    return os.path.dirname(filename) == _HERE


def exit_status(exit: SystemExit) -> int:
    """Return the status that a shell would show; what was no success does not become one by losing bits."""
    code = exit.code
    if code is None or (isinstance(code, int) and code == 0):
        return 0
    return (code & 0xFF) or 1 if isinstance(code, int) and -(2**31) <= code < 2**31 else 1


def _lines(error: BaseException, name: str, label: Callable[[str], str]) -> List[str]:
    finding.standard("tokenize")  # Which some Pythons import when they first look for a line.
    told = finding.standard("traceback").TracebackException(type(error), error, error.__traceback__)
    for part in _parts(told):
        part.stack[:] = _theirs(part.stack, name)
        for frame in part.stack:
            _ = frame.line  # Which is looked for by the name, and remembered.
            frame.filename = label(frame.filename)
        if isinstance(getattr(part, "filename", None), str):  # Of a SyntaxError.
            part.filename = label(part.filename)
    lines = text.cut("".join(told.format())).rstrip("\n").split("\n")
    # Where the cell itself does not compile there is no frame, and then no need for a heading.
    return lines[1:] if not told.stack and lines[0].startswith("Traceback") else lines


def _parts(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield it and everything it is told with: causes, contexts, members of a group."""
    rest = [told]
    while rest:
        part = rest.pop()
        yield part
        inner = [part.__cause__, part.__context__, *(getattr(part, "exceptions", None) or [])]
        rest += [item for item in inner if item is not None]


def _theirs(stack: List[traceback.FrameSummary], name: str) -> List[traceback.FrameSummary]:
    frames = [frame for frame in stack if not _is_ours(frame.filename)]
    if len(frames) < len(stack):
        # Between us and the cell only the event loop can stand.
        for index, frame in enumerate(frames):
            if frame.filename == name:
                return frames[index:]
    return frames

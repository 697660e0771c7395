"""An exception of the user's code to what the user reads of it.

Frames of this program, and of what drives an ``await``, are not theirs. A broken ``__str__`` or a lack of memory must not
hide that there was an error.
"""

from __future__ import annotations

import os
import traceback
from typing import Iterator, List

from . import text, wire

_HERE = os.path.dirname(__file__)


def describe(error: BaseException, name: str) -> wire.Error:
    """Return the event for ``error`` that ended the cell called ``name``. Raises nothing."""
    kind = str(type(error).__name__)
    try:
        lines = _lines(error, name)
    except BaseException:
        error.__traceback__ = None  # What its frames hold may be what there is too much of.
        lines = [kind]
    try:
        value = text.cut(str(error))
    except BaseException:
        value = ""
    missing = getattr(error, "filename", None) if isinstance(error, FileNotFoundError) else None
    return wire.Error(kind, value, lines, text.cut(missing) if isinstance(missing, str) else None)


def _lines(error: BaseException, name: str) -> List[str]:
    told = traceback.TracebackException(type(error), error, error.__traceback__)
    for part in _parts(told):
        part.stack[:] = _theirs(part.stack, name)
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
    frames = [frame for frame in stack if os.path.dirname(frame.filename) != _HERE]
    if len(frames) < len(stack):
        # Between us and the cell only the event loop can stand.
        for index, frame in enumerate(frames):
            if frame.filename == name:
                return frames[index:]
    return frames

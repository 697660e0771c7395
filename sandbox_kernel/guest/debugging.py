"""``breakpoint()``: Python's debugger, which stops in the user's frames and in no other.

Between the lines of a cell IPython and this program run, and what they call. A debugger that steps would stop there: after
``breakpoint()`` in the last line in what shows its value, and at the end of the cell in what tells the keeper.
"""

from __future__ import annotations

import os
import sys

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, List, Tuple

_MAIN = "__main__"
#: Packages that run cells.
_OURS = ("IPython", __package__ or "")
_DEFAULT = ("", "pdb.set_trace")


def install() -> None:
    """Let ``breakpoint()`` call ours, unless PYTHONBREAKPOINT names another."""
    sys.breakpointhook = _stop


def end() -> None:
    """A cell has ended: a debugger that would step on stops with it."""
    owner = getattr(sys.gettrace(), "__self__", None)
    if owner is not None and any(base.__module__ == "bdb" for base in type(owner).__mro__):
        sys.settrace(None)


def _stop(*arguments: Any, **named: Any) -> Any:
    if os.environ.get("PYTHONBREAKPOINT", "") not in _DEFAULT:
        return sys.__breakpointhook__(*arguments, **named)  # noqa: T100 - what the user chose
    debugger = _class()()
    if named.get("header") is not None:
        debugger.message(named["header"])
    debugger.set_trace(sys._getframe().f_back)  # noqa: SLF001 - there is no other name for it
    return None


def _is_theirs(frame: Any) -> bool:
    """Whether a frame is the user's, or was called from one of theirs and not by what runs the cell."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if name == _MAIN:
            return True
        if isinstance(name, str) and any(name == package or name.startswith(package + ".") for package in _OURS):
            return False
        frame = frame.f_back
    return True


def _class() -> Any:
    import pdb  # noqa: T100 - which few cells need

    class Debugger(pdb.Pdb):
        """Python's, see the module's text."""

        def stop_here(self, frame: Any) -> bool:
            return _is_theirs(frame) and super().stop_here(frame)

        def user_exception(self, frame: Any, exc_info: Any) -> None:
            if _is_theirs(frame):  # Of a coroutine's end it is called wherever that is seen.
                super().user_exception(frame, exc_info)

        def get_stack(self, f: Any, t: Any) -> Tuple[List[Any], int]:
            stack, index = super().get_stack(f, t)
            first = next((at for at in range(index, -1, -1) if not _is_theirs(stack[at][0])), -1) + 1
            return (stack[first:], index - first) if first <= index else (stack, index)

    return Debugger

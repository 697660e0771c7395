"""Pure: what the user reads when a cell did not end by an exception of its own."""

from __future__ import annotations

from collections.abc import Collection

from .guest import wire
from .limits import Limits

#: What becomes of the state after a cell that did not end by itself.
ROLLED_BACK = "The next cell has the state from before this one."


def explain(finished: wire.Finished, cell: wire.Cell, limits: Limits, *, rolls_back: bool = False) -> wire.Error:
    """Return the error to show for a Finished that is not ok and that no Error of the guest preceded.

    ``rolls_back``: the session keeps state, and goes back to that before the cell.
    """
    name, value = _explain(finished, cell, limits)
    return _error(name, f"{value} {ROLLED_BACK}".lstrip() if rolls_back and not finished.lives else value)


def _explain(finished: wire.Finished, cell: wire.Cell, limits: Limits) -> tuple[str, str]:
    if finished.outcome == "timeout":
        limit = "its limit" if cell.timeout_s is None else f"{cell.timeout_s:g} s"
        return "CellTimeout", f"The cell was ended after {limit}. Runner.timeout_s sets the limit."
    if finished.outcome == "interrupted":
        return "KeyboardInterrupt", ""
    if finished.outcome == "out_of_memory":
        return "CellOutOfMemory", f"The cell likely ran out of memory: {limits.memory_mib} MiB, set by Runner.memory_mib."
    reason = finished.reason or "The cell's Python process ended before the cell did."
    return "CellDied", reason if reason.endswith(".") else reason + "."


def _error(name: str, value: str) -> wire.Error:
    return wire.Error(name, value, [f"{name}: {value}" if value else name])


def hint(missing: str | None, beside: Collection[str], advice: str) -> str | None:
    """Return a line that explains a FileNotFoundError for a file that does exist outside of the sandbox.

    ``beside`` are the names of the notebook's folder. The guest's file name is only ever compared with them.
    """
    if not missing:
        return None
    first = missing.removeprefix("./").split("/", 1)[0]
    if first not in beside:
        return None
    return f"{first} lies beside the notebook, which the sandbox does not see. {advice}"

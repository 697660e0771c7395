"""Pure: what the user reads when a cell did not end by an exception of its own."""

from __future__ import annotations

from collections.abc import Collection

from .guest import wire
from .limits import Limits


def explain(finished: wire.Finished, cell: wire.Cell, limits: Limits) -> wire.Error:
    """Return the error to show for a Finished that is not ok and that no Error of the guest preceded."""
    if finished.outcome == "timeout":
        limit = "its limit" if cell.timeout_s is None else f"{cell.timeout_s:g} s"
        return _error("CellTimeout", f"The cell was ended after {limit}. Runner.timeout_s sets the limit.")
    if finished.outcome == "interrupted":
        return _error("KeyboardInterrupt", "")
    if finished.outcome == "out_of_memory":
        said = f"The cell likely ran out of memory: {limits.memory_mib} MiB, set by Runner.memory_mib."
        return _error("CellOutOfMemory", said)
    return _error("CellDied", finished.reason or "The cell's Python process ended before the cell did.")


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

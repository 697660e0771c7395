"""Pure: what the user reads when a cell did not end by an exception of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

from .guest import wire
from .limits import Limits

#: What becomes of the state after a cell that did not end by itself.
ROLLED_BACK = "The next cell has the state from before this one."
#: And after one that ended by itself when it was told to.
KEPT = "What it made until then is kept; `%sandbox undo` goes back to before it."


#: Errors that are our word for how a cell ended.
OURS = ("CellTimeout", "CellOutOfMemory", "CellDied")

#: Outcome and exit status of a cell that was ended by us, by why.
BY_US = {"interrupted": ("interrupted", 130), "timeout": ("timeout", 124)}


@dataclasses.dataclass
class Timings:
    """Seconds from the start of the execution; None: not reached."""

    ready_s: float | None = None
    started_s: float | None = None
    first_output_s: float | None = None
    finished_s: float | None = None


def believed(finished: wire.Finished, killed_for: str | None, *, interrupted: bool, rolls_back: bool) -> wire.Finished:
    """Return what is to be believed of a guest's word.

    ``killed_for``: why we ended its sandbox, if we did. ``interrupted``: the cell was told to stop. ``rolls_back``: the
    session keeps state.
    """
    if rolls_back and finished.lives and killed_for in BY_US:
        # It ended at the moment at which we ended its sandbox, and with that its state.
        outcome, status = BY_US[killed_for]
        return wire.replace(finished, outcome=outcome, exit_status=status, lives=False)
    if finished.outcome == "out_of_memory":
        # Each runtime has its own number for it; users know one.
        return wire.replace(finished, exit_status=137)
    if finished.outcome == "interrupted" and not interrupted:
        return wire.replace(finished, outcome="error", reason=finished.reason or "the cell says it was interrupted")
    return finished


def explain(
    finished: wire.Finished,
    cell: wire.Cell,
    limits: Limits,
    where: wire.Error | None = None,
    *,
    rolls_back: bool = False,
) -> wire.Error:
    """Return the error to show for a Finished that is not ok and that no Error of the guest explains.

    ``where``: the guest's KeyboardInterrupt, which tells where the cell was. ``rolls_back``: the session keeps state, and
    goes back to that before the cell when that does not live.
    """
    name, value = _explain(finished, cell, limits)
    if rolls_back and not finished.lives:
        value = f"{value} {ROLLED_BACK}".lstrip()
    elif rolls_back and finished.outcome == "timeout":
        value = f"{value} {KEPT}"
    told = _error(name, value)
    if where is None:
        return told
    last = "".join(where.traceback[-1:])
    lines = where.traceback[:-1] if "KeyboardInterrupt" in last and "\n" not in last else where.traceback
    # IPython begins with the name of the exception, too.
    lines = [line.replace("KeyboardInterrupt", name) if "Traceback (most recent" in line else line for line in lines]
    return wire.Error(name, value, [*lines, *told.traceback])


def _explain(finished: wire.Finished, cell: wire.Cell, limits: Limits) -> tuple[str, str]:
    if finished.outcome == "timeout":
        limit = "its limit" if cell.timeout_s is None else f"{cell.timeout_s:g} s"
        return "CellTimeout", f"The cell was ended after {limit}. Runner.timeout_s sets the limit."
    if finished.outcome == "interrupted":
        return "KeyboardInterrupt", ""
    if finished.outcome == "out_of_memory":
        # What ended a container says no more than this; the guest knows the signal that ended its process.
        how = f" {_sentence(finished.reason)}" if finished.reason and " by SIG" in finished.reason else ""
        value = f"The cell likely ran out of memory: {limits.memory_mib} MiB, set by Runner.memory_mib.{how}"
        return "CellOutOfMemory", value
    return "CellDied", _sentence(finished.reason or "the cell's Python process ended before the cell did")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


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

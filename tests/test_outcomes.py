"""What the user reads of a cell that ended by no exception of its own."""

from __future__ import annotations

import pytest

from sandbox_kernel import outcomes
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits

LIMITS = Limits(memory_mib=512)


@pytest.mark.parametrize(
    ("finished", "timeout_s", "name", "value"),
    [
        pytest.param(
            wire.Finished("timeout", 124),
            30.0,
            "CellTimeout",
            "The cell was ended after 30 s. Runner.timeout_s sets the limit.",
            id="timeout",
        ),
        pytest.param(
            wire.Finished("timeout"),
            0.25,
            "CellTimeout",
            "The cell was ended after 0.25 s. Runner.timeout_s sets the limit.",
            id="a short timeout",
        ),
        pytest.param(
            wire.Finished("timeout"),
            None,
            "CellTimeout",
            "The cell was ended after its limit. Runner.timeout_s sets the limit.",
            id="a cluster's own limit",
        ),
        pytest.param(
            wire.Finished("out_of_memory", 137, reason="OOMKilled"),
            30.0,
            "CellOutOfMemory",
            "The cell likely ran out of memory: 512 MiB, set by Runner.memory_mib.",
            id="memory",
        ),
        pytest.param(
            wire.Finished("out_of_memory", 137, reason="the process was ended by SIGSEGV when it held 500 MiB"),
            30.0,
            "CellOutOfMemory",
            "The cell likely ran out of memory: 512 MiB, set by Runner.memory_mib."
            " The process was ended by SIGSEGV when it held 500 MiB.",
            id="memory, or a crash of a large process",
        ),
        pytest.param(
            wire.Finished("error", 4, reason="it left with status 4"), 30.0, "CellDied", "It left with status 4.", id="died"
        ),
        pytest.param(
            wire.Finished("error"),
            30.0,
            "CellDied",
            "The cell's Python process ended before the cell did.",
            id="died without a word",
        ),
    ],
)
def test_an_end_is_explained(finished: wire.Finished, timeout_s: float | None, name: str, value: str) -> None:
    """An end without an exception is shown as one: its name, a sentence with the limit, and the setting."""
    cell = wire.Cell(1, "pass", timeout_s=timeout_s)
    assert outcomes.explain(finished, cell, LIMITS) == wire.Error(name, value, [f"{name}: {value}"])


def test_an_interrupt_looks_like_pythons() -> None:
    """Whoever interrupts a cell reads KeyboardInterrupt and no more."""
    expected = wire.Error("KeyboardInterrupt", "", ["KeyboardInterrupt"])
    assert outcomes.explain(wire.Finished("interrupted", 130), wire.Cell(1, ""), LIMITS) == expected


@pytest.mark.parametrize(
    ("finished", "said"),
    [
        pytest.param(wire.Finished("error", 4, reason="it left"), "It left. " + outcomes.ROLLED_BACK, id="died"),
        pytest.param(wire.Finished("interrupted", 130), outcomes.ROLLED_BACK, id="interrupted"),
        pytest.param(wire.Finished("error", reason="no room", lives=True), "No room.", id="its process goes on"),
    ],
)
def test_a_session_that_keeps_state_says_that_it_goes_back(finished: wire.Finished, said: str) -> None:
    """Where state is kept, whoever ends a cell is told what the next one starts from; but only when it was ended."""
    error = outcomes.explain(finished, wire.Cell(1, ""), LIMITS, rolls_back=True)
    assert error.value == said
    assert error.traceback == [f"{error.name}: {said}"]


@pytest.mark.parametrize("outcome", wire.GUEST_OUTCOMES[1:])
def test_every_bad_outcome_of_a_guest_is_explained(outcome: str) -> None:
    """Whatever a guest may say of a bad end has a name and a text."""
    error = outcomes.explain(wire.Finished(outcome), wire.Cell(1, ""), LIMITS)
    assert error.name.startswith("Cell") or outcome == "interrupted"
    assert error.value or outcome == "interrupted"


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["Traceback:", "  here", "KeyboardInterrupt"], ["Traceback:", "  here"]),
        (["Traceback:", "  here", "\x1b[31mKeyboardInterrupt\x1b[39m: "], ["Traceback:", "  here"]),
        (["a traceback\nin one piece\nKeyboardInterrupt"], ["a traceback\nin one piece\nKeyboardInterrupt"]),
        ([], []),
    ],
)
def test_a_time_limit_tells_where_the_cell_was(lines: list[str], kept: list[str]) -> None:
    """A cell that was stopped inside has the traceback of where it was, under the name of its limit."""
    where = wire.Error("KeyboardInterrupt", "", lines)
    finished = wire.Finished("timeout", 124, lives=True)
    error = outcomes.explain(finished, wire.Cell(1, "", timeout_s=2.0), LIMITS, where, rolls_back=True)
    value = f"The cell was ended after 2 s. Runner.timeout_s sets the limit. {outcomes.KEPT}"
    assert error == wire.Error("CellTimeout", value, [*kept, f"CellTimeout: {value}"])


BESIDE = ["data.csv", "folder"]


@pytest.mark.parametrize(
    ("missing", "first"),
    [
        pytest.param("data.csv", "data.csv", id="a file"),
        pytest.param("./data.csv", "data.csv", id="with a dot"),
        pytest.param("folder/deep/a.txt", "folder", id="a file in a folder"),
        pytest.param("other.csv", None, id="not there either"),
        pytest.param("/data.csv", None, id="an absolute path"),
        pytest.param("../data.csv", None, id="above"),
        pytest.param("/etc/passwd", None, id="a file of the system"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="another error"),
        pytest.param("data.csv\x1b]0;x\x07", None, id="not quite the name"),
    ],
)
def test_a_missing_file_beside_the_notebook_is_explained(missing: str | None, first: str | None) -> None:
    """A file that lies in the notebook's folder is not in the sandbox: the hint says so in the folder's own words."""
    hint = outcomes.hint(missing, BESIDE, "Mount it.")
    expected = None if first is None else f"{first} lies beside the notebook, which the sandbox does not see. Mount it."
    assert hint == expected

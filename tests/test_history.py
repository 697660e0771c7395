"""The points that a session can go back to."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox_kernel.backends.terms import Snapshot
from sandbox_kernel.errors import StateUnusable
from sandbox_kernel.state.history import History


def snapshot(name: str, size: int = 10, **fields: object) -> Snapshot:
    """Return a snapshot with nothing behind it."""
    return Snapshot(name, "exact", size, Path("/nowhere"), **fields)  # type: ignore[arg-type]


def history(*cells: str, points: int = 100, size: int = 10**6) -> History:
    """Return the history of a session in which these cells ran."""
    made = History(points, size)
    for cell in cells:
        made.add(snapshot(cell), cell)
    return made


def kept(made: History) -> list[str]:
    """Return the cells whose states are kept, oldest first."""
    return [point.cell for point in made]


def here(made: History) -> str:
    """Return the cell whose state the next one starts from."""
    point = made.at_head()
    return "beginning" if point is None else point.cell


def test_the_newest_point_is_the_head() -> None:
    """After a cell the next one starts from its state."""
    made = history("1", "2")
    assert (here(made), kept(made)) == ("2", ["1", "2"])
    assert [point.parent for point in made] == [0, 1]
    assert here(History(1, 1)) == "beginning"


@pytest.mark.parametrize(("cells", "where"), [(0, "3"), (1, "2"), (2, "1"), (3, "beginning")])
def test_undo(cells: int, where: str) -> None:
    """Going back takes as many cells as it is told, to the beginning at most; what was left stays."""
    made = history("1", "2", "3")
    made.undo(cells)
    assert (here(made), kept(made)) == (where, ["1", "2", "3"])


def test_undo_of_more_than_there_is() -> None:
    """Who goes back too far is told how far it goes, and stays."""
    made = history("1", "2")
    with pytest.raises(StateUnusable, match=r"^There are 2 cells to take back, not 3\. `%sandbox log`"):
        made.undo(3)
    assert here(made) == "2"


def test_undo_follows_the_line_one_is_on() -> None:
    """After going back and on, the cells before are those that the state was made by, not those that ran last."""
    made = history("1", "2")
    made.undo(1)
    made.add(snapshot("3"), "3")
    made.undo(1)
    assert here(made) == "1"
    assert kept(made) == ["1", "2", "3"]


def test_rewind() -> None:
    """Each kept state can be gone to by its cell, those of abandoned lines too; 0 is the beginning."""
    made = history("1", "2")
    made.undo(1)
    made.add(snapshot("3"), "3")
    for cell, where in (("2", "2"), ("0", "beginning"), ("3", "3"), ("1", "1")):
        made.rewind(cell)
        assert here(made) == where


def test_rewind_to_a_cell_that_ran_twice() -> None:
    """Of two cells of one name the newest is meant."""
    made = History(9, 999)
    for name in ("first", "other", "second"):
        made.add(snapshot(name), name if name == "other" else "load x")
    made.rewind("load x")
    assert made.at_head().snapshot.id == "second"  # type: ignore[union-attr]


@pytest.mark.parametrize(("made", "names"), [(history("1", "4"), "1, 4"), (history(), "none")])
def test_rewind_to_what_is_not_there(made: History, names: str) -> None:
    """Who names a cell that left no state is told which did."""
    before = made.head
    with pytest.raises(StateUnusable, match=rf"no state after a cell '7'\. Kept are those after: {names}\."):
        made.rewind("7")
    assert made.head == before


def test_the_oldest_go_first() -> None:
    """Over the number of points the oldest is dropped, and returned to be removed."""
    made = History(2, 999)
    dropped = [[item.id for item in made.add(snapshot(cell), cell)] for cell in "1234"]
    assert dropped == [[], [], ["1"], ["2"]]
    assert kept(made) == ["3", "4"]


def test_the_heaviest_history_is_bounded() -> None:
    """Over the number of bytes the oldest are dropped until it fits."""
    made = History(99, 25)
    made.add(snapshot("1"), "1")
    made.add(snapshot("2"), "2")
    assert [item.id for item in made.add(snapshot("3", size=20), "3")] == ["1", "2"]
    assert made.weight() == 20


def test_the_newest_is_never_dropped() -> None:
    """A state that alone is over the limit is kept: the next cell needs it."""
    made = History(1, 5)
    made.add(snapshot("1", size=100), "1")
    assert [item.id for item in made.add(snapshot("2", size=100), "2")] == ["1"]
    assert (kept(made), here(made)) == (["2"], "2")


def test_undo_to_what_was_dropped() -> None:
    """A state that is not kept any longer cannot be gone to, and the settings that say how many are named."""
    made = history("1", "2", "3", points=1)
    with pytest.raises(StateUnusable, match=r"from 1 cells ago is not kept.*Runner\.history_points"):
        made.undo(1)
    assert here(made) == "3"
    made.undo(3)
    assert here(made) == "beginning"


@pytest.mark.parametrize(("points", "where"), [(3, "2"), (1, "beginning")])
def test_the_head_steps_back_to_what_is_kept(points: int, where: str) -> None:
    """From a state that turned out to be of no use the session goes to the newest one before it that is kept."""
    made = history("1", "2", "3", points=points)
    point = made.step_back()
    assert (here(made), "beginning" if point is None else point.cell) == (where, where)


def test_the_head_steps_over_what_was_dropped() -> None:
    """Stepping back follows the line one is on, over states that are not kept any longer."""
    made = history("1", "2", "3", "4")
    made.rewind("1")
    made.add(snapshot("5"), "5")
    del made._points[1]
    made.step_back()
    assert here(made) == "beginning"
    made.step_back()
    assert here(made) == "beginning"


def test_shared_parts_weigh_once() -> None:
    """What several states need is held once and counted once."""
    made = History(9, 9999)
    made.add(snapshot("1", size=30, parts=(("a", 10), ("b", 20))), "1")
    made.add(snapshot("2", size=50, parts=(("c", 30), ("b", 20))), "2")
    assert made.weight() == 60
    made.add(snapshot("3", size=7), "3")
    assert made.weight() == 67


def test_everything_can_be_forgotten() -> None:
    """At the end all snapshots are given out to be removed, and nothing is left to go to."""
    made = history("1", "2")
    assert [item.id for item in made.clear()] == ["1", "2"]
    assert (kept(made), here(made), made.weight()) == ([], "beginning", 0)


def test_it_gets_no_slower_with_depth() -> None:
    """A session of very many cells goes back over all of them in one step."""
    made = history(*map(str, range(5000)), points=3)
    made.undo(5000)
    assert here(made) == "beginning"

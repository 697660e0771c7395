"""History requests: what is kept, and which of it is asked for."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from sandbox_kernel import histories
from sandbox_kernel.histories import Histories


@pytest.fixture
def kept() -> Histories:
    """Five cells, two of them the same, one with a result."""
    made = Histories()
    for line, code in enumerate(["x = 1", "print(x)", "x", "print(x)", "y = 2"], 1):
        made.add(line, code)
    made.result(3, "1")
    return made


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"hist_access_type": "tail", "n": 2}, [4, 5]),
        ({"hist_access_type": "tail", "n": 0}, []),
        ({"hist_access_type": "tail", "n": 100}, [1, 2, 3, 4, 5]),
        ({"hist_access_type": "tail"}, [1, 2, 3, 4, 5]),
        ({"hist_access_type": "range", "session": 1, "start": 2, "stop": 4}, [2, 3]),
        ({"hist_access_type": "range", "session": 0, "start": 4}, [4, 5]),
        ({"hist_access_type": "range", "session": 7, "start": 1, "stop": 3}, []),
        ({"hist_access_type": "search", "pattern": "print*"}, [2, 4]),
        ({"hist_access_type": "search", "pattern": "print*", "unique": True}, [4]),
        ({"hist_access_type": "search", "pattern": "*x*", "n": 3}, [2, 3, 4]),
        ({"hist_access_type": "search", "pattern": "[[["}, []),
        ({"hist_access_type": "search", "pattern": None}, [1, 2, 3, 4, 5]),
        ({"hist_access_type": "elsewhere", "n": "x", "start": []}, []),
        ({"hist_access_type": "tail", "n": "x"}, [1, 2, 3, 4, 5]),
    ],
)
def test_what_is_asked_for(kept: Histories, asked: dict[str, Any], expected: list[int]) -> None:
    """tail, range and search return the rows of the one session, oldest first."""
    rows = kept.answer(**asked)
    assert [line for _, line, _ in rows] == expected
    assert {session for session, _, _ in rows} <= {histories.SESSION}


def test_results_come_when_they_are_asked_for(kept: Histories) -> None:
    """With output each input comes as a pair with the text of its result."""
    assert kept.answer("range", start=2, stop=4, output=True) == [(1, 2, ("print(x)", None)), (1, 3, ("x", "1"))]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest cells go first, by number and by characters; a result is cut."""
    monkeypatch.setattr(histories, "MOST_CELLS", 3)
    monkeypatch.setattr(histories, "MOST_CHARACTERS", 100)
    made = Histories()
    for line, size in zip(itertools.count(1), [1, 1, 1, 1, 60, 60, 500], strict=False):
        made.add(line, "x" * size)
    assert [line for _, line, _ in made.answer("tail")] == [7]
    made.result(7, "x" * 10**6)
    assert len(made.answer("tail", output=True)[0][2][1]) == histories.MOST_OUTPUT

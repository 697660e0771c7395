"""Pure: what was run in a session, as Jupyter's history requests ask for it. Kept in memory, bounded."""

from __future__ import annotations

import collections
import fnmatch
import itertools
from typing import Any

#: Cells and characters that are kept; the oldest go first. Results are cut.
MOST_CELLS = 10_000
MOST_CHARACTERS = 8_000_000
MOST_OUTPUT = 10_000
#: The number of the one session that there is: 0 asks for the current one, and is answered with this.
SESSION = 1

Row = tuple[int, int, Any]


class Histories:
    """The inputs of one session, and the text of their results."""

    def __init__(self) -> None:
        self._cells: collections.deque[list[Any]] = collections.deque()
        self._characters = 0

    def add(self, line: int, code: str) -> None:
        """Note a cell by its number."""
        self._cells.append([line, code, None])
        self._characters += len(code)
        while len(self._cells) > MOST_CELLS or (self._characters > MOST_CHARACTERS and len(self._cells) > 1):
            self._characters -= len(self._cells.popleft()[1])

    def result(self, line: int, text: str) -> None:
        """Note the text of a cell's result."""
        for cell in itertools.islice(reversed(self._cells), 10):
            if cell[0] == line:
                cell[2] = text[:MOST_OUTPUT]
                return

    def answer(
        self,
        hist_access_type: str,
        output: bool = False,
        session: int | None = None,
        start: int | None = None,
        stop: int | None = None,
        n: int | None = None,
        pattern: str | None = None,
        unique: bool = False,
        **_: Any,
    ) -> list[Row]:
        """Return rows as a history_request wants them, oldest first; nothing for one that cannot be understood."""
        cells = list(self._cells)
        if hist_access_type == "tail":
            cells = _last(cells, n)
        elif hist_access_type == "range":
            cells = _range(cells, session, start, stop)
        elif hist_access_type == "search":
            cells = _last(_search(cells, pattern, unique), n)
        else:
            cells = []
        return [(SESSION, line, (code, result) if output else code) for line, code, result in cells]


def _last(cells: list[list[Any]], n: Any) -> list[list[Any]]:
    return cells if type(n) is not int else cells[-n:] if n > 0 else []


def _range(cells: list[list[Any]], session: Any, start: Any, stop: Any) -> list[list[Any]]:
    if session not in (None, 0, SESSION):
        return []
    first = start if type(start) is int else 0
    return [cell for cell in cells if cell[0] >= first and (type(stop) is not int or cell[0] < stop)]


def _search(cells: list[list[Any]], pattern: Any, unique: bool) -> list[list[Any]]:
    glob = pattern if isinstance(pattern, str) else "*"
    found = [cell for cell in cells if fnmatch.fnmatchcase(cell[1], glob)]
    if unique:  # The newest of each.
        newest = {cell[1]: cell for cell in found}
        found = [cell for cell in found if newest[cell[1]] is cell]
    return found

"""Pure: the points a session can go back to.

Each cell that ends by itself makes a point: a snapshot and the name of the cell. A point knows the one it was made from, so
going back and on from there loses nothing: the abandoned points stay until their turn to be dropped comes. How many points
and bytes are kept is bounded; the oldest go first, never the newest of the line one is on. Nothing gets slower with depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..backends.terms import Snapshot
from ..errors import StateUnusable


@dataclass(frozen=True)
class Point:
    """The state after one cell.

    Attributes:
        number: Counts the points of a session, from 1.
        cell: What the user calls the cell, for example ``7`` for ``In [7]``, or what else made the point.
        snapshot: The state.
        parent: Number of the point that the cell started from; 0: the beginning.
        code: The first line of the cell.
        mark: What whoever uses the session wants to find again with the point.
    """

    number: int
    cell: str
    snapshot: Snapshot
    parent: int
    code: str = ""
    mark: object = None


class History:
    """The points of one session, and the one the next cell starts from."""

    def __init__(self, most_points: int, most_bytes: int) -> None:
        self._most_points = most_points
        self._most_bytes = most_bytes
        self._points: dict[int, Point] = {}
        self._parents: dict[int, int] = {}  # Of dropped points too: undo goes over them and says so.
        self._count = 0
        #: Number of the point the next cell starts from; 0: the beginning.
        self.head = 0

    def __iter__(self) -> Iterator[Point]:
        """Yield the points that are kept, oldest first."""
        return iter(list(self._points.values()))

    def at_head(self) -> Point | None:
        """Return the point the next cell starts from; None: the beginning."""
        return self._points[self.head] if self.head else None

    def add(self, snapshot: Snapshot, cell: str, code: str = "", mark: object = None) -> list[Snapshot]:
        """Note the state after a cell and start from there. Returns the snapshots that are not kept any longer."""
        self._count += 1
        self._points[self._count] = Point(self._count, cell, snapshot, self.head, code, mark)
        self._parents[self._count] = self.head
        self.head = self._count
        return self._prune()

    def _prune(self) -> list[Snapshot]:
        dropped = []
        for number in list(self._points):
            if len(self._points) <= self._most_points and self.weight() <= self._most_bytes:
                break
            if number != self.head:
                dropped.append(self._points.pop(number).snapshot)
        return dropped

    def weight(self) -> int:
        """Return the bytes of all points; what several of them share counts once."""
        parts = {part for point in self._points.values() for part in point.snapshot.parts}
        whole = sum(point.snapshot.size for point in self._points.values() if not point.snapshot.parts)
        return whole + sum(size for _, size in parts)

    def undo(self, cells: int) -> None:
        """Go back by a number of cells. Raises StateUnusable."""
        number = self.head
        for step in range(cells):
            if number == 0:
                raise StateUnusable(
                    f"There {'is 1 cell' if step == 1 else f'are {step} cells'} to take back, not {cells}.",
                    "`%sandbox log` lists the states; `%sandbox rewind CELL` goes to any, also to one from before a reset.",
                )
            number = self._parents[number]
        if number and number not in self._points:
            raise StateUnusable(
                f"The state from {cells} cells ago is not kept any longer: older ones go as new ones come.",
                "`%sandbox log` lists what is. Runner.history_points and Runner.history_mib set how much is kept.",
            )
        self.head = number

    def step_back(self) -> Point | None:
        """Go to the newest point that is kept of those before the head, which is of no use; None: the beginning."""
        while self.head:
            self.head = self._parents[self.head]
            if self.head in self._points:
                break
        return self.at_head()

    def give_up(self) -> Snapshot:
        """Forget the head, from which nothing can start, and go back. Returns its snapshot."""
        number = self.head
        self.step_back()
        return self._points.pop(number).snapshot

    def rewind(self, cell: str) -> None:
        """Go to the state after the cell of this name, the newest of them; ``0`` is the beginning. Raises StateUnusable."""
        if cell == "0":
            self.head = 0
            return
        for point in reversed(self._points.values()):
            if point.cell == cell:
                self.head = point.number
                return
        kept = ", ".join(point.cell for point in self) or "none"
        raise StateUnusable(
            f"There is no state after a cell {cell!r}. Kept are those after: {kept}.", "`%sandbox log` lists them."
        )

    def clear(self) -> list[Snapshot]:
        """Forget everything. Returns the snapshots."""
        dropped = [point.snapshot for point in self._points.values()]
        self._points.clear()
        self.head = 0
        return dropped

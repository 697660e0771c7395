"""What widgets say of their own state, merged: a bar that is moved a hundred thousand times is drawn twenty times a second.

A front end drops what comes faster, and each word counts as output of the cell.
"""

from __future__ import annotations

from . import TYPE_CHECKING, wire

if TYPE_CHECKING:
    from typing import Dict, List

#: Updates that come within this time of the last ones wait, and go as one for each widget.
UPDATE_S = 0.05


class Updates:
    """Updates that wait to be sent."""

    def __init__(self) -> None:
        self._waiting: Dict[str, wire.Comm] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, event: wire.Event) -> bool:
        """Keep an update of plain state, with what waits of its widget. False: it is none, and nothing may overtake it."""
        if not isinstance(event, wire.Comm) or event.kind != "msg" or event.buffers or event.metadata:
            return False
        state = event.data.get("state")
        if event.data.get("method") != "update" or not isinstance(state, dict):
            return False
        before = self._waiting.get(event.id)
        if before is not None:
            event = wire.replace(event, data={**event.data, "state": {**before.data["state"], **state}})
        self._waiting[event.id] = event
        return True

    def take(self) -> List[wire.Comm]:
        """Return what waits; then nothing does."""
        waiting, self._waiting = list(self._waiting.values()), {}
        return waiting

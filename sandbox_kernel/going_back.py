"""What moves the head of a session that keeps state: going back, forking, and what is saved by name."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable
from typing import Any

from .backends.base import Snapshot
from .conversation import Conversation
from .errors import OR_BEGIN_ANEW, SandboxError, StateNotSaved, StateUnusable
from .execution import Execution
from .session import Session
from .state import saved
from .state.history import History, Point
from .state.keeper import Keeper

#: What a widget is asked that changes nothing.
REQUEST_STATE = "request_state"


class GoesBack(Session):
    """A part of :class:`.lasting.LastingSession`, which tells what these are."""

    _keeper: Keeper
    _history: History
    _turn: asyncio.Lock
    _next: asyncio.Task[Conversation] | None
    _unsaved: list[Execution]
    _anew: bool
    _touched: Execution | None
    _settling: dict[asyncio.Task[None], Conversation]
    #: Those of the points that were saved by name here; of those that others saved nothing is known.
    _saved_marks: dict[str, object]
    moved: Callable[[Point | None], None]
    tell: Callable[[str], None]

    @abstractmethod
    async def _keep(self, execution: Execution, conversation: Conversation) -> None: ...

    @abstractmethod
    def _prepare(self, *, replaces: bool = False) -> None: ...

    @abstractmethod
    def _abandon(self, waiting: asyncio.Task[Conversation]) -> None: ...

    def _waits_again(self, conversation: Conversation) -> bool:
        """Whether a sandbox that a cell was called off from is what it was: the next cell's, the session in it."""
        good = not (conversation.ended or conversation.killed or self._closed)
        return good and conversation.ahead and self.mode == "exact"

    async def look(self, what: str, subject: str, within_s: float) -> str | None:
        """See :class:`.session.Session`."""
        if self.mode == "exact" and not self._running:
            with contextlib.suppress(asyncio.TimeoutError, SandboxError):
                return await asyncio.wait_for(self._look(what, subject), within_s)
        return None

    async def _look(self, what: str, subject: str) -> str | None:
        """Ask the sandbox in which the session goes on, when it is there."""
        if self._next is None and self._settling:
            await asyncio.wait(self._settling)
        conversation = await asyncio.shield(self._next) if self._next is not None else None
        if conversation is None or not await conversation.wait_ready(conversation.request.limits.start_s) or self._running:
            return None
        return await conversation.look(what, subject)

    async def _replace(self, old: Conversation, held: list[Execution]) -> None:
        """Close a sandbox that was saved when the next one runs; where that cannot be had the session goes on in the old."""
        if self._next is not None:
            await asyncio.wait({self._next})
            error = None if self._next.cancelled() else self._next.exception()
            if isinstance(error, SandboxError) and not self._closed and not old.ended and old.sandbox is not None:
                with contextlib.suppress(StateNotSaved):
                    await old.sandbox.resume()
                    self._next = asyncio.ensure_future(at_once(old))
                    await self._keeper.drop([self._history.give_up()])
                    self._unsaved = held
                    self.tell(
                        f"The state after cell {held[-1].label} is not saved, because it cannot be restored: {error.message} "
                        f"It goes on in the same sandbox; the state is saved after the next cell for which that is possible."
                    )
                    return
        self._close_later(old)  # Nobody waits for its end: that takes as long as a tenth of the way from cell to cell.

    @contextlib.asynccontextmanager
    async def _moving(self) -> AsyncIterator[History]:
        """Hold the turn while the head is moved, then start from where it is."""
        async with self._turn:
            before, anew, self._anew = self._history.head, self._anew, False
            try:
                yield self._history
            except BaseException:
                self._anew = anew
                raise
            self.outlines.go(self._history.head)
            self._standbys.clear()
            if self._next is not None:
                waiting, self._next = self._next, None
                self._abandon(waiting)
            self._unsaved.clear()
            self._touched = None
            self._prepare()
            if self._next is not None:
                try:
                    await asyncio.shield(self._next)
                except SandboxError:
                    self._next = None
                    self._history.head, self._anew = before, anew
                    self.outlines.go(self._history.head)
                    self._prepare()
                    raise
            self.moved(self._history.at_head())

    async def undo(self, cells: int = 1) -> None:
        """Go back by a number of cells. Raises StateUnusable."""
        async with self._moving() as history:
            held = len(self._unsaved)
            if cells < held:
                raise StateUnusable(
                    f"The states after the last {held} cells could not be saved, so there is none from {cells} cells ago.",
                    f"`%sandbox undo {held}` goes back to before them.",
                )
            history.undo(cells - held)

    async def rewind(self, cell: str | int) -> None:
        """Go to the state after a cell; 0 is the beginning. Raises StateUnusable."""
        async with self._moving() as history:
            history.rewind(str(cell))

    async def reset(self) -> None:
        """Begin anew. What can be gone back to stays."""
        await self.rewind(0)

    async def save(self, name: str) -> Snapshot:
        """Save the state under a name; it outlives this process. Raises StateNotSaved or StateUnusable."""
        saved.checked_name(name)
        async with self._turn:
            snapshot = await self._newest()
            await saved.save(name, snapshot, self._keeper.export)
            point = self._history.at_head()
            self._saved_marks[name] = None if point is None else point.mark
            return snapshot

    async def _newest(self) -> Snapshot:
        """Return the newest snapshot; what could not be saved before is tried again. Raises StateNotSaved."""
        ahead = self._unsaved[-1] if self._unsaved else self._touched
        if ahead is not None and self._next is not None:
            waiting, self._next, head = self._next, None, self._history.head
            await self._keep(ahead, await waiting)
            if self._history.head == head:
                advice = "The session goes on in its sandbox." if self._unsaved else ""
                raise StateNotSaved("The state after the last cell could not be saved.", advice)
        point = self._history.at_head()
        if point is None:
            raise StateNotSaved("There is nothing to save: no cell has run yet.")
        return point.snapshot

    async def load(self, name: str) -> Snapshot:
        """Go on from a saved session, as a new life of it. Raises StateUnusable; then the session is as it was."""
        try:
            return await self._load(name)
        except StateUnusable as error:
            advice = error.advice.replace(OR_BEGIN_ANEW, ".")  # Nothing keeps this session from going on.
            if error.damaged:
                advice = f"`sandbox-kernel sessions remove {name}` removes what was saved."
            message = f"{error.message} The session is as it was before."
            raise StateUnusable(message, advice, damaged=error.damaged) from error

    async def _load(self, name: str) -> Snapshot:
        found = await asyncio.to_thread(saved.find, name)
        if found.mode != self.mode:
            raise StateUnusable(
                f"{name!r} was saved with state {found.mode!r}; this session keeps {self.mode!r}.",
                f"Set Runner.state to {found.mode!r}.",
            )
        snapshot = await self._keeper.adopt(found)
        async with self._moving() as history:
            await self._keeper.drop(history.add(snapshot, f"load {name}", mark=self._saved_marks.get(name)))
            self._anew = True
        return snapshot

    async def fork_into(self, other: GoesBack) -> None:
        """Give another session, which has not begun, the state of this one. Raises StateNotSaved."""
        async with self._turn:
            if self._history.at_head() is not None or self._unsaved or self._touched:
                snapshot = await self._newest()
                self._keeper.hold(snapshot)
                other._history.add(snapshot, "fork")
                other._anew = True
        other._prepare()


def only_asks(comm: dict[str, Any]) -> bool:
    """Whether a word to a widget leaves it as it is."""
    data = comm.get("data")
    return isinstance(data, dict) and data.get("method") == REQUEST_STATE


async def at_once(conversation: Conversation) -> Conversation:
    """Return it: what others have to wait for is there."""
    return conversation

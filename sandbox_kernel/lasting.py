"""A session in which everything that a cell made is there in the next one, and that can go back in time.

After each cell the state is taken as a snapshot, the sandbox ends, and the next sandbox starts from the snapshot: at once
where the backend keeps whole sandboxes, because threads of the session go on in it. The *head* is the point that the next
cell starts from. A cell that does not end by itself makes no point, so the next one starts from the same head: that is all
there is to rolling back. Going back moves the head; a fork is a session with a head of its own at the same snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Callable, Iterator

from .backends.base import Backend, Request
from .conversation import Conversation
from .errors import SandboxError, StateUnusable
from .execution import Execution
from .going_back import GoesBack, at_once, only_asks
from .guest import wire
from .limits import Limits
from .standby import Setup, Terms
from .state.exact import BaseImages
from .state.history import History, Point
from .state.keeper import Keeper

#: Of what a guest's functions of a new life say, and what is put before it.
TOLD_CHARACTERS = 10_000
SAID = "What sandbox_session.on_fork called said: "


class LastingSession(GoesBack):
    """See the module's text. Cells run one after another.

    Attributes:
        background: Takes what threads of earlier cells say between two cells.
        tell: Takes sentences about the state that the user should read.
        mark: Gives what goes into each point; see Point.
        moved: Takes the point that was gone to; None: the beginning.
        kept: Takes each point that a cell makes.
        where: Where its states lie, as the user is told.
    """

    where = "on disk"

    def __init__(
        self,
        backend: Backend,
        bases: BaseImages,
        limits: Callable[[], Limits],
        timeout_s: Callable[[], float | None],
        close_later: Callable[[Conversation], None],
        terms: Terms,
        *,
        keeper: Keeper,
        history: History,
    ) -> None:
        super().__init__(backend, bases, limits, timeout_s, close_later, terms)
        self.mode = keeper.mode
        self.where = keeper.where
        self.background: Callable[[wire.Event], None] = lambda _: None
        self.tell: Callable[[str], None] = lambda _: None
        self.mark: Callable[[], object] = lambda: None
        self.moved: Callable[[Point | None], None] = lambda _: None
        self.kept: Callable[[Point], None] = lambda _: None
        self._keeper = keeper
        self._history = history
        #: Held from the start of a cell until its state is settled, and by whoever moves the head.
        self._turn = asyncio.Lock()
        #: exact: the sandbox in which the session goes on. Where the state is carried one of the standbys takes its place.
        self._next: asyncio.Task[Conversation] | None = None
        self._made_for: Setup | None = None
        #: The cells whose state only the sandbox holds, because it could not be saved.
        self._unsaved: list[Execution] = []
        #: The last word to a widget since the head's state was taken: the sandbox that waits is ahead of it.
        self._touched: Execution | None = None
        self._anew = False
        self._saved_marks: dict[str, object] = {}
        self._settling: dict[asyncio.Task[None], Conversation] = {}

    # -- a cell

    async def _acquire(self, limits: Limits, timeout_s: float | None) -> Conversation:
        await self._turn.acquire()
        try:
            return await self._take_next(limits, timeout_s)
        except BaseException:
            self._turn.release()
            raise

    def _preparing(self) -> str:
        """See :class:`.session.Session`."""
        return "The state after the last cell is being saved." if self._settling else super()._preparing()

    async def _take_next(self, limits: Limits, timeout_s: float | None) -> Conversation:
        """Return the sandbox that waits, or one that is started now. Raises StateUnusable."""
        wanted = self._setup(limits, timeout_s)
        with self._going_back():
            conversation = await self._take_waiting(wanted) if self._next is not None else await self._standbys.take(wanted)
        return conversation or await self._start_for(limits, timeout_s)

    async def _take_waiting(self, wanted: Setup) -> Conversation | None:
        """Return the sandbox in which the session goes on; None when it has ended."""
        assert self._next is not None
        waiting, self._next = self._next, None
        blank = self._history.at_head() is None and not self._unsaved
        if blank and self._made_for is not None and not self._made_for.serves(wanted):
            self._abandon(waiting)
            return None
        try:
            conversation = await asyncio.shield(waiting)
        except asyncio.CancelledError:
            self._next = waiting  # For the next cell.
            raise
        except SandboxError as error:
            if isinstance(error, StateUnusable) and error.damaged:
                raise
            return None  # It is started again, and says again why not.
        if not conversation.ended:
            conversation.ahead = True
            return conversation
        self._close_later(conversation)
        self._tell_of_the_end()
        return None

    async def _acquire_again(self, limits: Limits, timeout_s: float | None, lost: Conversation) -> Conversation:
        """See :class:`.session.Session`. The turn is the cell's already."""
        self._close_later(lost)
        if self.mode == "exact":
            self._tell_of_the_end()
        return await self._start_for(limits, timeout_s)

    def _tell_of_the_end(self) -> None:
        if not self._lose_unsaved() and self._history.at_head() is not None:
            self.tell("The sandbox ended between two cells; the session is as it was after the last cell.")

    async def _start_for(self, limits: Limits, timeout_s: float | None) -> Conversation:
        """Start a sandbox for a cell. Raises StateUnusable."""
        with self._going_back():
            return await self._start_from_head(self._request(limits, timeout_s))

    @contextlib.contextmanager
    def _going_back(self) -> Iterator[None]:
        """Where a state is lost, say so and go to the one before."""
        try:
            yield
        except StateUnusable as error:
            if not error.damaged or self._history.at_head() is None:
                raise
            raise self._go_without(error) from error

    def _lose_unsaved(self) -> bool:
        """Say that what only a sandbox held is gone with it. False: there was nothing."""
        self._touched = None
        if not self._unsaved:
            return False
        label = self._unsaved[0].label
        self.tell(f"The sandbox that held the state after cell {label} is gone; the session is back before that cell.")
        self._unsaved.clear()
        return True

    def _go_without(self, error: StateUnusable) -> StateUnusable:
        """Move the head from a point that is lost to the newest one before it, and say so."""
        point = self._history.at_head()
        assert point is not None
        now = self._history.step_back()
        self.outlines.go(self._history.head)
        where = "begins anew" if now is None else f"is back at the state after cell {now.cell}"
        return StateUnusable(
            f"The state after cell {point.cell} is lost. {error.message}", f"The session {where}; run what is missing again."
        )

    async def _start_from_head(self, request: Request) -> Conversation:
        point = self._history.at_head()
        if point is not None:
            await self._keeper.check(point.snapshot)
            request = dataclasses.replace(request, snapshot=point.snapshot, anew=self._anew)
        request = await self._keeper.request(request)
        return await self._start(request)

    def _setup(self, limits: Limits, timeout_s: float | None) -> Setup:
        origin = f"{self._history.head}, anew" if self._anew else f"{self._history.head}"
        return dataclasses.replace(super()._setup(limits, timeout_s), origin=origin)

    async def _start_ahead(self, setup: Setup, idle_s: float) -> Conversation:
        return await self._start_from_head(dataclasses.replace(self._request(setup.limits, setup.timeout_s), idle_s=idle_s))

    def _converse(self, request: Request) -> Conversation:
        conversation = Conversation(self._backend, request, self._in_background)
        self._keeper.listen(conversation)
        return self._listen(conversation)

    def _in_background(self, event: wire.Event) -> None:
        if isinstance(event, wire.Noise):  # No guest's word: the backend has something to say.
            self.tell(event.text)
        elif isinstance(event, wire.Told):
            self.tell(f"{SAID}{event.text[:TOLD_CHARACTERS].strip()}")
        else:
            self.background(event)  # Which may be set at any time.

    # -- after a cell

    def _ended(self, execution: Execution) -> None:
        self._running.discard(execution)
        if execution.conversation is None:
            if not execution.called_off and self._next is not None and not self._turn.locked():
                waiting, self._next = self._next, None  # It was waited for long enough.
                self._abandon(waiting)
            return
        task = asyncio.ensure_future(self._settle(execution, execution.conversation))
        self._settling[task] = self._told_by = execution.conversation
        task.add_done_callback(self._settling.pop)

    async def _settle(self, execution: Execution, conversation: Conversation) -> None:
        """Take the state after a cell, or let go of the sandbox: then the next cell starts from the head again."""
        lives = execution.finished is not None and execution.finished.lives and not execution.called_off
        try:
            if execution.called_off and self._waits_again(conversation):
                self._next = asyncio.ensure_future(at_once(conversation))
            elif not lives or conversation.killed or self._closed:
                self.outlines.go(self._history.head)
                self._lose_unsaved()
                self._close_later(conversation)
                self._prepare()
            elif execution.cell.comm is not None:
                # A slider speaks ten times a second: its state is taken with that of the next cell.
                self._next = asyncio.ensure_future(at_once(conversation))
                self._touched = self._touched if only_asks(execution.cell.comm) else execution
            else:
                await self._keep(execution, conversation)
        finally:
            self._turn.release()

    async def _keep(self, execution: Execution, conversation: Conversation) -> None:
        label = execution.label
        self._touched = None
        await conversation.wait_told()
        try:
            snapshot = await self._keeper.take(conversation)
        except SandboxError as error:
            if getattr(error, "alive", False) and not conversation.ended:
                self._unsaved += [execution] if execution not in self._unsaved else []
                self._next = asyncio.ensure_future(at_once(conversation))
                self.tell(f"The state after cell {label} is not saved: {error} It goes on in the same sandbox.")
                return
            self._close_later(conversation)
            first = (self._unsaved or [execution])[0].label
            self._unsaved.clear()
            self.outlines.go(self._history.head)
            if not self._closed:
                instead = f"The next cell has the state from before cell {first}."
                self.tell(f"The state after cell {label} is lost: {error} {instead}")
            self._prepare()
            return
        held = [*(cell for cell in self._unsaved if cell is not execution), execution]
        self._unsaved.clear()
        self._anew = False  # The life has begun.
        code = execution.cell.code.strip().partition("\n")[0][:80]
        dropped = self._history.add(snapshot, label, code, self.mark())
        self.outlines.keep(self._history.head, {point.number for point in self._history})
        point = self._history.at_head()
        assert point is not None
        self.kept(point)
        stands_by = self.mode == "exact" and not conversation.killed
        self._prepare(replaces=stands_by)
        await self._keeper.drop(dropped)
        if stands_by:
            await self._replace(conversation, held)
        else:
            self._close_later(conversation)

    def prepare(self) -> None:
        """See :class:`.session.Session`."""
        if self._terms.number() and self._next is None and not self._turn.locked():
            self._prepare()

    async def standing_by(self) -> None:
        """See :class:`.session.Session`. Also when the sandbox goes on in which the session is kept whole."""
        await super().standing_by()
        if self._next is not None:
            await asyncio.wait({self._next})

    def _prepare(self, *, replaces: bool = False) -> None:
        """Start the next sandbox. Where they are kept whole, always: threads of the session go on in it."""
        if self._closed:
            return
        if self.mode != "exact":
            self._standbys.fill()
            return
        self._made_for = setup = self._next_setup()
        request = dataclasses.replace(self._request(setup.limits, setup.timeout_s), replaces=replaces)
        self._next = asyncio.ensure_future(self._start_from_head(request))
        self._next.add_done_callback(lambda task: task.cancelled() or task.exception())

    def _abandon(self, waiting: asyncio.Task[Conversation]) -> None:
        """Close a sandbox that is on its way."""
        waiting.cancel()

        def close(task: asyncio.Task[Conversation]) -> None:
            if not task.cancelled() and task.exception() is None:
                self._close_later(task.result())

        waiting.add_done_callback(close)

    # -- looking

    def log(self) -> list[tuple[Point, bool]]:
        """Return the points that can be gone back to, oldest first, and which of them the next cell starts from."""
        return [(point, point.number == self._history.head) for point in self._history]

    def weight(self) -> int:
        """Return the bytes that all points take on disk."""
        return self._history.weight()

    def head(self) -> Point | None:
        """Return the point that the next cell starts from; None: the beginning."""
        return self._history.at_head()

    async def names(self) -> list[tuple[str, str, int]]:
        """Return name, type and estimated bytes of what the namespace holds. A guest's word."""
        async with self._turn:
            point = self._history.at_head()
            if self.mode != "exact":
                return list(point.snapshot.names) if point is not None else []
            if self._next is None:
                self._prepare()
            return [] if self._next is None else await (await self._next).names()

    async def settled(self) -> None:
        """Return when the state of the last cell has been taken."""
        async with self._turn:
            pass

    async def close(self) -> None:
        """End the session. May be called twice."""
        await super().close()
        for task, conversation in list(self._settling.items()):
            if self._next is not None:
                self._next.cancel()
            await conversation.kill()
            await asyncio.wait({task})
        if self._next is not None:
            waiting, self._next = self._next, None
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError, SandboxError):
                self._close_later(await waiting)
        await self._keeper.drop(self._history.clear())

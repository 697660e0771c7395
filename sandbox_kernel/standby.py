"""Sandboxes that are started ahead, so that a cell finds one that waits.

Each is used once. One is given only to a cell that wants what it was started with, and nobody keeps one for longer than the
idle limit; it also goes by itself then, should we be gone. One that cannot be had, or has ended, costs nobody anything: the
cell starts its own, and says what is wrong if that cannot be had either.

None is started in the way of who waits. Of a hundred cells that come at once twenty find one; twenty more, started ahead for
nobody, would take the room and the processors that the other eighty wait for.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from .conversation import Conversation
from .errors import SandboxError
from .guest import wire
from .limits import Limits

#: Who has not been heard for so many beats of its heart is not relied on.
SILENCE_S = 3 * wire.HEARTBEAT_S
#: What a start that is under way may take when all is closed. One that is cut off may leave something to its deadline.
CLOSE_S = 1.0


@dataclass(frozen=True)
class Setup:
    """What a sandbox is started with, as far as a cell can want something else.

    Attributes:
        limits: What it may use.
        timeout_s: What its cell may take at most, for the deadlines of the backend. None: no limit.
        backend: The backend's own settings, to compare.
        origin: Names the state that it starts from.
    """

    limits: Limits
    timeout_s: float | None
    backend: str = ""
    origin: str = ""

    def serves(self, wanted: Setup) -> bool:
        """Tell whether a cell that wants ``wanted`` can have this. A shorter time is kept by guest and host."""
        enough = self.timeout_s is None or (wanted.timeout_s is not None and wanted.timeout_s <= self.timeout_s)
        return enough and replace(self, timeout_s=None) == replace(wanted, timeout_s=None)


@dataclass(frozen=True)
class Terms:
    """How sandboxes are started ahead; each is asked for when it is needed.

    Attributes:
        number: How many. 0: none, every cell starts its own.
        idle_s: How long one may wait for its cell.
        backend: The settings of the backend as they are now.
    """

    number: Callable[[], int]
    idle_s: Callable[[], float]
    backend: Callable[[], str]


#: Nothing is started ahead.
NONE = Terms(lambda: 0, lambda: 0.0, lambda: "")


class _Standby:
    def __init__(self, setup: Setup, starting: asyncio.Task[Conversation]) -> None:
        self.setup = setup
        self.starting = starting
        self.watching: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether it waits for its cell."""
        if not self.starting.done() or self.starting.cancelled() or self.starting.exception() is not None:
            return False
        ready = self.starting.result().ready
        return ready.done() and ready.result()


class Standbys:
    """See the module's text. Those of one session; belongs to one event loop."""

    def __init__(
        self,
        terms: Terms,
        setup: Callable[[], Setup],
        start: Callable[[Setup, float], Awaitable[Conversation]],
        close_later: Callable[[Conversation], None],
    ) -> None:
        """``setup`` returns what the next cell will want, ``start`` starts a sandbox that may wait for so many seconds."""
        self._terms = terms
        self._setup = setup
        self._start = start
        self._close_later = close_later
        self._waiting: list[_Standby] = []
        #: Cells on their way to a sandbox, until it has taken them.
        self._cells: set[object] = set()
        #: Those of them that came before what is missing was to be started. They are all that it waits for: who comes later
        #: finds it on its way, and in a stream of cells that never ends it would not come otherwise.
        self._before: set[object] = set()
        #: Starts that nobody wants any more.
        self._leaving: set[asyncio.Task[Conversation]] = set()
        self._closed = False

    async def first(self, acquiring: Awaitable[Conversation]) -> Conversation:
        """Return what ``acquiring`` gets for a cell, which what is started ahead then does not hold up until it has begun."""
        cell = object()
        self._cells.add(cell)
        try:
            conversation = await acquiring
        except BaseException:
            self._served(cell)
            raise
        conversation.began.add_done_callback(lambda _: self._served(cell))
        return conversation

    def _served(self, cell: object) -> None:
        self._cells.discard(cell)
        if cell in self._before:
            self._before.discard(cell)
            if not self._before:
                self._fill()

    def fill(self) -> None:
        """Start those that are missing, after the cells that wait now; those that were started with other settings go."""
        if not self._before:
            self._before = set(self._cells)
        if not self._before:
            self._fill()

    def _fill(self) -> None:
        if self._closed:
            return
        setup = self._setup()
        for standby in [standby for standby in self._waiting if standby.setup != setup]:
            self._drop(standby)
        while len(self._waiting) < self._terms.number():
            self._begin(setup)

    def _begin(self, setup: Setup) -> None:
        idle_s = self._terms.idle_s()
        standby = _Standby(setup, asyncio.ensure_future(self._start(setup, idle_s)))
        standby.watching = asyncio.ensure_future(self._watch(standby, idle_s))
        self._waiting.append(standby)

    async def _watch(self, standby: _Standby, idle_s: float) -> None:
        """Let go of one that cannot be had, ends, or has waited long enough."""
        with contextlib.suppress(SandboxError):
            conversation = await asyncio.shield(standby.starting)
            if await conversation.wait_ready(standby.setup.limits.start_s):
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(conversation.wait_ended(), idle_s)
        standby.watching = None
        if standby in self._waiting:
            self._drop(standby)

    async def take(self, wanted: Setup) -> Conversation | None:
        """Return one for this cell and no other; the caller closes it. None: there is none, start one."""
        for standby in [standby for standby in self._waiting if not standby.setup.serves(wanted)]:
            if standby.setup != self._setup():  # Not for another cell either.
                self._drop(standby)
        while (chosen := self._next(wanted)) is not None:
            self._release(chosen)
            try:
                conversation = await asyncio.shield(chosen.starting)
            except asyncio.CancelledError:
                self._put_back(chosen)
                raise
            except SandboxError:
                continue
            silent = conversation.ready.done() and time.monotonic() - conversation.heard_s >= SILENCE_S
            if not conversation.ended and not silent:
                conversation.ahead = True
                return conversation
            self._close_later(conversation)
        return None

    def _next(self, wanted: Setup) -> _Standby | None:
        """Return one that is ready, else the one that will be ready first."""
        fitting = [standby for standby in self._waiting if standby.setup.serves(wanted)]
        return next((standby for standby in fitting if standby.ready), fitting[0] if fitting else None)

    def _release(self, standby: _Standby) -> None:
        self._waiting.remove(standby)
        if standby.watching is not None:
            standby.watching.cancel()

    def _put_back(self, standby: _Standby) -> None:
        """Keep one whose cell was called off, as long as it may wait."""
        if self._closed or standby.starting.cancelled():
            self._leave(standby.starting)
            return
        standby.watching = asyncio.ensure_future(self._watch(standby, self._terms.idle_s()))
        self._waiting.insert(0, standby)

    def _drop(self, standby: _Standby) -> None:
        self._release(standby)
        self._leave(standby.starting)

    def _leave(self, starting: asyncio.Task[Conversation]) -> None:
        """Close a sandbox as soon as there is something to close: a start that is cut off may have made it already."""

        def close(task: asyncio.Task[Conversation]) -> None:
            self._leaving.discard(task)
            if not task.cancelled() and task.exception() is None:
                self._close_later(task.result())

        if starting.done():
            close(starting)
        else:
            self._leaving.add(starting)
            starting.add_done_callback(close)

    async def ready(self) -> None:
        """Return when each of those that are there now waits for its cell, or will not be had."""
        for standby in list(self._waiting):
            await asyncio.wait({standby.starting})
            if not standby.starting.cancelled() and standby.starting.exception() is None:
                await asyncio.wait({standby.starting.result().ready})

    def clear(self) -> None:
        """Let go of all: what they were started from is not what the next cell starts from."""
        while self._waiting:
            self._drop(self._waiting[0])

    async def close(self) -> None:
        """Let go of all, for good. Returns when there is nothing that is not left to ``close_later``."""
        self._closed = True
        self.clear()
        leaving = set(self._leaving)
        if leaving:
            await asyncio.wait(leaving, timeout=CLOSE_S)
        for task in leaving:
            task.cancel()
        if leaving:
            await asyncio.wait(leaving)
            await asyncio.sleep(0)  # Their callbacks, which close, are called in the next turn.

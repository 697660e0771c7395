"""One cell on its way: turns a sandbox's bytes into events and owns time.

Have a sandbox, wait for its Ready, deliver the cell once, pass on what it says, give the sandbox back. Every cell ends
within its timeout plus a grace, by whoever notices first: the guest's timer, ours, or the deadlines of the backend. Waiting
for its user does not count, up to a bound. A cell that is interrupted has a grace to end by itself, its state kept; then its
sandbox is killed. One that no sandbox has yet is only called off. The events end with exactly one Finished, ours when the
guest's did not come; what the cluster or the runtime did wrong is raised instead. Nothing here runs a cell a second time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from . import outcomes
from .chores import Alarm, Chores
from .conversation import Conversation
from .delivery import Delivery
from .errors import BackendError, SandboxError, SandboxGone, SandboxRefused, as_lost
from .guest import wire
from .limits import Limits
from .telling import Telling, as_input

#: How much later than the guest's, its grace included, our own timer ends a cell.
GRACE_S = 5.0


class Execution:
    """Iterate it once: events, the last of them Finished. Heartbeats, Ready and Started are not passed on.

    An outcome other than ok comes after an Error that explains it, the cell's own or ours. An InputRequest, which only a cell
    with ``stdin`` can make, wants an :meth:`answer`.

    Raises BackendUnavailable or SandboxRefused when the cell was not run, SandboxLost or GuestProtocolError when it is not
    known how it ended.
    """

    def __init__(
        self,
        cell: wire.Cell,
        limits: Limits,
        acquire: Callable[[], Awaitable[Conversation]],
        ended: Callable[[Execution], None],
        *,
        rolls_back: bool = False,
        preparing: Callable[[], str] = lambda: "A sandbox is being started.",
        acquire_again: Callable[[Conversation], Awaitable[Conversation]] | None = None,
    ) -> None:
        """``preparing`` says in a sentence what is done until ``acquire`` has a sandbox to ask."""
        self.cell = cell
        #: What the user calls the cell.
        self.label = cell.name
        self.timings = outcomes.Timings()
        self.conversation: Conversation | None = None
        #: How it ended; None while it runs, and when that is not known.
        self.finished: wire.Finished | None = None
        self._limits = limits
        self._acquire = acquire
        self._acquire_again = acquire_again
        self._ended = ended
        self._rolls_back = rolls_back
        self._preparing = preparing
        self._starting: asyncio.Task[Conversation] | None = None
        self._chores = Chores()
        self._limit = Alarm()
        self._killed_for: str | None = None
        self._delivery: Delivery | None = None
        self._delivery_error: SandboxError | None = None
        self._telling = Telling(cell)
        #: What is said to the cell: unlike the other chores not over when it starts.
        self._words = Chores()
        self._interrupted = False
        #: It was interrupted before the sandbox had it: that sandbox is as it was.
        self.called_off = False
        self._grace = Alarm()
        self._delivering: asyncio.Task[None] | None = None
        self._problem: BackendError | None = None  # What ended the conversation, when it was no end of its own.
        self._gap = False
        self._said: AsyncGenerator[wire.Event, None] | None = None

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the cell; end it when it goes on, and at the second time. Before it is delivered it is
        called off, which costs its sandbox nothing; one that was delivered early goes with it. May be called at any time."""
        if self.called_off or self.finished is not None:
            return
        sent = self._delivery is not None and self._delivery.sent
        if not sent and not self._killed_for:
            self._interrupted = self.called_off = True
            if self._starting is not None:
                self._starting.cancel()
            if self.conversation is not None:
                await self.conversation.hang_up()
        elif self._interrupted or self._killed_for or not self.cell.grace_s or (self._delivery and self._delivery.waits):
            await self.end()
        else:
            self._interrupted = True
            self._answered()
            self._arm_grace()
            self._words.begin(self._tell(wire.Interrupt()))

    def _arm_grace(self) -> None:
        # What is on its way to the guest is taken from the mailbox before the interrupt: it is ended where it begins.
        so_long_s = self.cell.grace_s + (GRACE_S if self.timings.started_s is None else 0.0)
        self._grace.set(so_long_s, lambda: self._chores.begin(self.end()))

    async def end(self) -> None:
        """End the cell now; the events end with the outcome ``interrupted``. May be called at any time."""
        self._interrupted = True
        await self._kill("interrupted")

    def waiting_for(self) -> str | None:
        """Say in a sentence what keeps the cell from running. None: nothing, it runs or has run."""
        if self.timings.started_s is not None or self.finished is not None:
            return None
        return ("" if self.conversation is None else self.conversation.waiting_for()) or self._preparing()

    async def answer(self, text: str | None) -> None:
        """Answer the cell's question, if one is open; None: there is no answer. Raises ConfigurationError for a long one."""
        message = as_input(text)
        if self._answered():
            self._words.begin(self._tell(message))

    def _answered(self) -> bool:
        waited = self._telling.answered()
        if waited:
            self._arm_limit()
        return waited

    async def _tell(self, message: wire.Input | wire.Interrupt) -> None:
        assert self.conversation is not None and self.conversation.sandbox is not None and self._delivering is not None
        await asyncio.wait({self._delivering})
        await self._say(self._telling.say, self.conversation.sandbox, message)

    async def _kill(self, why: str) -> None:
        if self.finished is not None:  # Its state is being taken.
            return
        self._killed_for = self._killed_for or why
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
        if self.conversation is not None:
            await self.conversation.kill()

    async def __aiter__(self) -> AsyncIterator[wire.Event]:
        """Run the cell."""
        self._began = time.monotonic()
        explained = False
        held: wire.Error | None = None
        try:
            async for event in self._events():
                if isinstance(event, wire.Finished):
                    for last in self._last(event, held, explained=explained):
                        yield last
                    return
                if held is not None and not isinstance(event, wire.File):
                    yield held
                    held = None
                explained = explained or isinstance(event, wire.Error)
                if self.timings.first_output_s is None:
                    self.timings.first_output_s = self._elapsed()
                if isinstance(event, wire.Error) and event.name == "KeyboardInterrupt":
                    held = event  # How the cell ended tells what it is. Only its files come before that.
                    continue
                yield event
        finally:
            self._grace.clear()
            self._words.drop()
            self._limit.clear()
            self._chores.drop()
            if self._said is not None:  # Now: left to its finalizer, it would take the words to the next cell for its own.
                await self._said.aclose()
            self._ended(self)

    def _last(self, said: wire.Finished, held: wire.Error | None, *, explained: bool) -> list[wire.Event]:
        """Return what is left to say at the end."""
        self.finished = finished = outcomes.believed(
            said, self._killed_for, interrupted=self._interrupted, rolls_back=self._rolls_back
        )
        self.timings.finished_s = self._elapsed()
        if finished.outcome == "timeout" or (said.lives and not finished.lives):
            explained = False  # What the cell itself told of its end is not all of it.
        elif held is not None:
            return [held, finished]
        if finished.outcome == "ok" or explained:
            return [finished]
        return [outcomes.explain(finished, self.cell, self._limits, held, rolls_back=self._rolls_back), finished]

    async def _events(self) -> AsyncIterator[wire.Event]:
        if await self._start(self._acquire()):
            async for event in self._listen():
                yield event
            never_ran = await self._never_ran()
            self.called_off = self.called_off or (never_ran and self._interrupted)
            if never_ran and not self.called_off:
                # The next one is started for this cell, so there is no third.
                assert self.conversation is not None and self._acquire_again is not None
                self._problem = self._delivery_error = None
                self._chores.drop()
                if await self._start(self._acquire_again(self.conversation)):
                    async for event in self._listen():
                        yield event
        if self._problem is not None and not self.called_off:
            raise self._as_known(self._problem)
        yield await self._end()

    async def _listen(self) -> AsyncIterator[wire.Event]:
        """Deliver the cell to the sandbox that there is, and yield what it says."""
        assert self.conversation is not None
        self._delivery = Delivery(self.conversation)
        self._delivering = self._chores.begin(self._deliver(self._delivery))
        self._said = self.conversation.attach(outline=self.cell.outline is not None)
        try:
            async for event in self._said:
                self._gap = self._gap or isinstance(event, wire.Gap)
                if isinstance(event, wire.Started):
                    self._on_started()
                elif isinstance(event, wire.Taken):
                    self._telling.taken(event.messages)
                elif not isinstance(event, wire.InputRequest):
                    yield event
                elif self.cell.stdin and not self._killed_for:
                    self._telling.asked()
                    self._arm_limit()
                    yield event
        except BackendError as error:
            self._problem = error

    async def _never_ran(self) -> bool:
        """Tell whether it is certain that a sandbox which was started ahead has ended without having taken the cell."""
        conversation = self.conversation
        if self._acquire_again is None or conversation is None or not conversation.ahead or self._delivering is None:
            return False
        # Who is about to deliver has done so then, or sees that it has ended.
        await asyncio.wait({self._delivering}, timeout=GRACE_S)
        if (
            self._killed_for
            or self.called_off
            or self._gap
            or self.timings.started_s is not None
            or not self._delivering.done()
        ):
            return False
        assert self._delivery is not None
        if not self._delivery.sent and conversation.ready.result():
            return True
        if self._problem is not None:  # What kept it from getting ready would keep the next one, too.
            return False
        assert conversation.sandbox is not None
        ending = await conversation.sandbox.ending()
        return not self._killed_for and (ending.heard_all if self._delivery.sent else ending.outcome != "refused")

    async def _start(self, acquire: Awaitable[Conversation]) -> bool:
        """Get the sandbox; False when we were ended before there was one to listen to."""
        self._starting = asyncio.ensure_future(acquire)
        if self._over:
            self._starting.cancel()
        self._arm(self._limits.start_s, "not ready")
        try:
            self.conversation = await self._starting
        except asyncio.CancelledError:
            if self._starting.done() and not self._starting.cancelled() and self._starting.exception() is None:
                self.conversation = self._starting.result()
            self._starting.cancel()
            if not self._over:  # It is our caller who was cancelled.
                raise
        if self._killed_for and self.conversation is not None:
            await self.conversation.kill()
        return not self._over

    @property
    def _over(self) -> bool:
        return self.called_off or self._killed_for is not None

    async def _deliver(self, delivery: Delivery) -> None:
        try:
            if await delivery.bring(self.cell, lambda: self._over, self._on_ready):
                self._chores.begin(self._say(delivery.remind))
        except SandboxGone as error:
            delivery.sent = False
            self._delivery_error = error
            if self.conversation is not None:
                await self.conversation.kill()
        except SandboxError as error:
            await self._not_delivered(error)

    async def _say(self, say: Callable[..., Awaitable[None]], *what: object) -> None:
        try:
            await say(*what)
        except SandboxError as error:
            await self._not_delivered(error)

    async def _not_delivered(self, error: SandboxError) -> None:
        self._delivery_error = self._as_known(error)
        await self._kill("not delivered")

    def _as_known(self, error: SandboxError) -> SandboxError:
        """Return what an error means now: a refusal says that nothing was run, which a delivered cell may have been."""
        it = self._delivery
        return as_lost(error) if it and (it.arrived or it.unsure) and isinstance(error, BackendError) else error

    def _on_ready(self) -> None:
        self.timings.ready_s = self.timings.ready_s or self._elapsed()

    def _on_started(self) -> None:
        if self.timings.started_s is not None:  # Said again by the cell, which would like more time.
            return
        self.timings.started_s = self._elapsed()
        self._on_ready()
        assert self._delivery is not None
        self._delivery.arrived = True  # Whoever delivers may not have heard it yet, and need not.
        self._limit.clear()
        self._chores.drop()
        self._arm_limit()
        if self._interrupted:
            self._arm_grace()

    def _arm_limit(self) -> None:
        if self.cell.timeout_s is not None and self.timings.started_s is not None:
            so_long_s = self.cell.timeout_s + self._telling.waited_s() + self.cell.grace_s + GRACE_S
            self._arm(self.timings.started_s + so_long_s - self._elapsed(), "timeout")

    def _arm(self, seconds: float, why: str) -> None:
        self._limit.set(seconds, lambda: self._chores.begin(self._kill(why)))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    async def _end(self) -> wire.Finished:
        """Say how a cell ended that has no trailer, or raise why that cannot be said."""
        if self.called_off:
            return wire.Finished("interrupted", 130, lives=self._rolls_back)
        wall_s = self._elapsed() - (self.timings.started_s or 0.0)
        if self._killed_for in outcomes.BY_US:
            return wire.Finished(*outcomes.BY_US[self._killed_for], wall_s)
        if self._delivery_error is not None:
            raise self._delivery_error
        if self._killed_for == "not ready" or self.conversation is None or self.conversation.sandbox is None:
            what = "" if self.conversation is None else self.conversation.waiting_for()
            said = f"The sandbox was not ready within {self._limits.start_s:g} s. {what}".rstrip()
            raise self._as_known(SandboxRefused(said, "Runner.start_timeout_s sets how long to wait."))
        started = self.timings.started_s is not None
        assert self._delivery is not None
        return await self.conversation.without_trailer(
            wall_s, delivered=self._delivery.arrived, unsure=self._delivery.unsure, started=started
        )

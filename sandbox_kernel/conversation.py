"""One sandbox and all that it says, from its start to its end.

A task reads the sandbox's lines as long as there are any. While a cell is attached its events go into a short queue, so that
a cell that says more than anybody takes waits in its own pipe; between cells they go to ``elsewhere``: what threads of
earlier cells print.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

from .backends.base import Backend, Request, Sandbox
from .errors import GO_BACK, GuestProtocolError, SandboxError, SandboxLost, SandboxRefused, StateUnusable
from .guest import frames, wire
from .limits import MIB

#: What a guest may say beyond its output limit: output files, frames, a day of heartbeats.
SLACK_BYTES = 32 * MIB
#: Events on their way to who reads them.
QUEUE = 64
#: What the guest may take to say what it holds.
ANSWER_S = 10.0
#: What it may take to tell what the namespace holds, after the end of a cell.
TOLD_S = 2.0
#: What the rest of what a killed sandbox said may take to arrive.
CLOSE_S = 5.0


class Conversation:
    """See the module's text.

    Attributes:
        sandbox: None until open() has got one.
        ready: Becomes True when the guest waits for a cell, False when it never will.
        began: Becomes True when the guest has taken a cell, False when it has ended.
        ahead: It was not started for the cell that it is given to.
        telling: After the end of a cell that wants an outline it is still to come; done when it has, or never will.
        heard_s: When anything was heard from it, by the clock that only goes on.
    """

    def __init__(self, backend: Backend, request: Request, elsewhere: Callable[[wire.Event], None] = lambda _: None) -> None:
        self.request = request
        self.sandbox: Sandbox | None = None
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.began: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.ahead = False
        self.telling: asyncio.Future[bool] | None = None
        self._owes_outline = False
        self.heard_s = time.monotonic()
        self._ended = asyncio.Event()
        self.killed = False
        self._backend = backend
        #: Takes what is said while no cell is attached.
        self.elsewhere = elsewhere
        #: Takes what the namespace holds at the end of a cell.
        self.outlined: Callable[[wire.Outline], None] = lambda _: None
        self._decoder = frames.Decoder()
        self._queue: asyncio.Queue[wire.Event | SandboxError | None] | None = None
        self._reader: asyncio.Task[None] | None = None
        self._problem: SandboxError | None = None
        self._known = 0
        #: What is asked of it while somebody types.
        self._looks: dict[int, asyncio.Future[str]] = {}
        self._looked = 0

    @property
    def ended(self) -> bool:
        """Whether the sandbox has said its last."""
        return self._ended.is_set()

    async def wait_ready(self, timeout_s: float) -> bool:
        """Return whether the guest waits for a cell; False after ``timeout_s`` too."""
        await asyncio.wait({self.ready}, timeout=timeout_s)
        return self.ready.done() and self.ready.result()

    async def wait_ended(self) -> None:
        """Return when the sandbox has said its last."""
        await self._ended.wait()

    async def open(self) -> None:
        """Get the sandbox and begin to listen. Raises what Backend.start() raises."""
        try:
            self.sandbox = await self._backend.start(self.request)
        except BaseException:
            self._ended.set()
            raise
        self._decoder.next = self.sandbox.frames
        self._reader = asyncio.ensure_future(self._read())
        if self.sandbox.restored:
            anew = self.request.snapshot is None or self.request.anew
            await self.sandbox.deliver(wire.dump(wire.Wake(self.request.session, anew)))

    async def _read(self) -> None:
        assert self.sandbox is not None
        try:
            async for line in self.sandbox.lines():
                self.heard_s = time.monotonic()
                for event in self._decoder.decode(line):
                    await self._take(event)
                if self._decoder.taken - self._known > self.request.limits.output_bytes + SLACK_BYTES:
                    said = f"The sandbox sent over {(self._decoder.taken - self._known) // MIB} MiB and was ended."
                    self._problem = GuestProtocolError(said)
                    await self.sandbox.kill()
                    break
        except SandboxError as error:
            self._problem = error
        finally:
            self._ended.set()
            for answer in (self.ready, self.began, self.telling):
                _resolve(answer, False)
            if self._queue is not None:
                await self._queue.put(self._problem)

    async def _take(self, event: wire.Event) -> None:
        if isinstance(event, wire.Heartbeat):
            return
        if isinstance(event, wire.Finished) and event.lives and self._owes_outline:
            self.telling = asyncio.get_running_loop().create_future()
        if isinstance(event, wire.Started):
            _resolve(self.began, True)
        if isinstance(event, wire.Ready):
            _resolve(self.ready, True)
        elif isinstance(event, wire.Outline):
            self._owes_outline = False
            self.outlined(event)
            _resolve(self.telling, True)
        elif isinstance(event, wire.Seen):
            _resolve(self._looks.pop(event.number, None), event.text)
        elif isinstance(event, wire.Unloadable):
            self._problem = StateUnusable(f"The session's state cannot be loaded: {event.reason.rstrip('.')}.", GO_BACK)
        elif (queue := self._queue) is None or isinstance(event, wire.Told):  # Which is no cell's.
            self.elsewhere(event)
        else:
            await queue.put(event)
            if self._queue is not queue:  # Nobody reads it any more, and it was full until that moment.
                self._pass_on(queue)

    async def wait_told(self) -> None:
        """Return when what the namespace holds after the cell was told. It is told after the end, so that nobody waits."""
        if self.telling is not None:
            await asyncio.wait({self.telling}, timeout=TOLD_S)

    async def attach(self, *, outline: bool = False) -> AsyncGenerator[wire.Event, None]:
        """Yield what is said from now on, until the sandbox has ended or the iteration is closed. Raises SandboxError.

        ``outline``: the cell that begins now is to tell one.
        """
        self.telling, self._owes_outline = None, outline
        queue: asyncio.Queue[wire.Event | SandboxError | None] = asyncio.Queue(QUEUE)
        self._queue = queue
        self._known = self._decoder.taken
        if self.ended:
            queue.put_nowait(self._problem)
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, SandboxError):
                    raise event
                yield event
        finally:
            if self._queue is queue:  # Another cell may have come meanwhile.
                self._detach()

    async def hang_up(self) -> None:
        """Let the iteration of attach() end, of which nothing more is wanted; the sandbox goes on."""
        if self._queue is not None:
            await self._queue.put(None)

    def _detach(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            self._pass_on(queue)

    def _pass_on(self, queue: asyncio.Queue[wire.Event | SandboxError | None]) -> None:
        while not queue.empty():
            event = queue.get_nowait()
            if event is not None and not isinstance(event, SandboxError):
                self.elsewhere(event)

    async def names(self) -> list[tuple[str, str, int]]:
        """Ask what the namespace holds: name, type, estimated bytes. Between two cells. Empty when there is no answer."""
        answer: asyncio.Future[list[tuple[str, str, int]]] = asyncio.get_running_loop().create_future()
        before = self.elsewhere

        def take(event: wire.Event) -> None:
            if isinstance(event, wire.Names) and not answer.done():
                answer.set_result([(str(name), str(kind), int(size)) for name, kind, size in event.names])
            else:
                before(event)

        assert self.sandbox is not None
        self.elsewhere = take
        ended = asyncio.ensure_future(self.wait_ended())
        try:
            await self.sandbox.deliver(wire.dump(wire.Ask()))
            waiting: set[asyncio.Future[Any]] = {answer, ended}
            await asyncio.wait(waiting, timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
            return answer.result() if answer.done() else []
        finally:
            ended.cancel()
            self.elsewhere = before

    async def look(self, what: str, subject: str) -> str:
        """Ask of one thing, see :class:`.guest.messages.Look`. Waits for ever when a cell has begun meanwhile."""
        self._looked += 1
        number = self._looked
        answer = self._looks[number] = asyncio.get_running_loop().create_future()
        try:
            assert self.sandbox is not None
            # Whole, also when nobody waits for the answer any more.
            await asyncio.shield(self.sandbox.deliver(wire.dump(wire.Look(number, what, subject))))
            text: str = await answer
            return text
        finally:
            self._looks.pop(number, None)

    async def without_trailer(self, wall_s: float, *, delivered: bool, unsure: bool, started: bool) -> wire.Finished:
        """Return how a cell ended whose guest did not say it. Raises SandboxRefused or SandboxLost when that is not known.

        ``unsure``: it may have been delivered, unless the sandbox ended by itself without a word.
        """
        assert self.sandbox is not None
        ending = await self.sandbox.ending()
        if not delivered and not (unsure and ending.outcome == "lost"):
            raise SandboxRefused(ending.reason)
        if not started or ending.outcome in ("lost", "refused"):
            raise SandboxLost(ending.reason)
        return wire.Finished(ending.outcome, ending.exit_status, wall_s, reason=ending.reason)

    @property
    def problem(self) -> SandboxError | None:
        """What was wrong with what it said, or why it said nothing."""
        return self._problem

    def waiting_for(self) -> str:
        """Say in a sentence what keeps it from being ready; nothing when there is no sandbox to ask."""
        return "" if self.sandbox is None else self.sandbox.waiting_for()

    def frames(self) -> int:
        """Return the number of the next frame."""
        return self._decoder.next

    async def kill(self) -> None:
        """End the sandbox. May be called at any time."""
        self.killed = True
        if self.sandbox is not None:
            await self.sandbox.kill()

    async def close(self) -> None:
        """Remove the sandbox, and hear the rest of what it said. May be called twice."""
        await self.wait_told()
        self.killed = True
        if self.sandbox is not None:
            self._detach()
            await self.sandbox.kill()
            if self._reader is not None:
                await asyncio.wait({self._reader}, timeout=CLOSE_S)
            await self.sandbox.close()
        if self._reader is not None:
            self._reader.cancel()
        if self.request.out is not None:
            await asyncio.to_thread(shutil.rmtree, self.request.out, ignore_errors=True)


def _resolve(answer: asyncio.Future[Any] | None, value: object) -> None:
    if answer is not None and not answer.done():
        answer.set_result(value)

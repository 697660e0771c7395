"""Sandboxes and a keeper of states that only play, for tests of sessions that keep state.

What happens is decided by the code of a cell and by hooks that a test sets; nothing waits for anything but for the test.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from sandbox_kernel.backends.base import Check, Ending, Request, Sandbox, Snapshot
from sandbox_kernel.conversation import Conversation
from sandbox_kernel.errors import StateUnusable
from sandbox_kernel.guest import frames, wire
from sandbox_kernel.state.keeper import Keeper

READY = wire.Ready("3.11.2", "Linux 4.4.0")


class PlayingSandbox:
    """Answers each message at once; ``state`` is the codes of the cells that ran in it and in those it comes from.

    Attributes:
        at_cell: Called in place of playing the cell that comes.
        heard_all: What is told of its end.
    """

    frames = 0
    early = False
    has_run = True

    def __init__(self, request: Request, state: list[str], backend: PlayingBackend) -> None:
        self.request = request
        self.restored = request.snapshot is not None and request.mode == "exact"
        self.state = state
        self.heard: list[Any] = []
        self.killed = self.closed = self.resumed = 0
        self.at_cell: Callable[[], None] | None = None
        self.heard_all = False
        self._backend = backend
        self._encoder = frames.Encoder()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        if not self.restored and not backend.never_ready:
            self.say(READY)

    def say(self, *events: wire.Event) -> None:
        """Say something now."""
        for event in events:
            for line in self._encoder.encode(event):
                self._lines.put_nowait(line[:-1])

    def end(self) -> None:
        """End by itself."""
        self._lines.put_nowait(None)

    async def lines(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line

    async def deliver(self, message: bytes) -> None:
        said = wire.load_message(message)
        self.heard.append(said)
        if isinstance(said, wire.Wake) and not self._backend.never_ready:
            self.say(READY)
        elif isinstance(said, wire.Ask):
            self.say(wire.Names([[name, "cell", 1] for name in self.state]))
        elif isinstance(said, wire.Cell) and self.at_cell is not None:
            self.at_cell()
        elif isinstance(said, wire.Cell):
            self.say(wire.Started(said.number))
            await self._play(said.code)

    async def _play(self, code: str) -> None:
        if code == "hang":
            return
        if code == "die":
            self.say(wire.Finished("error", 9, reason="it died"))
            self.end()
            return
        self.state = [*self.state, code]
        self.say(wire.Stream("stdout", " ".join(self.state)), wire.Finished("ok", 0, lives=True))

    async def remind(self) -> None:
        pass

    def waiting_for(self) -> str:
        return "It waits for its cue."

    async def save(self, folder: Path) -> Snapshot:
        raise AssertionError("the keeper plays")

    async def resume(self) -> None:
        self.resumed += 1

    async def kill(self) -> None:
        self.killed += 1
        self.end()

    async def ending(self) -> Ending:
        return Ending("lost", "It has ended.", heard_all=self.heard_all)

    async def close(self) -> None:
        self.closed += 1
        await self.kill()


class PlayingBackend:
    """Makes sandboxes that play.

    Attributes:
        before: Awaited before each start; may raise.
        never_ready: Sandboxes never say Ready.
    """

    modes = ("exact", "carry", "fresh")
    keeps_parts = False

    def __init__(self) -> None:
        self.made: list[PlayingSandbox] = []
        self.before: Callable[[Request], Awaitable[None]] | None = None
        self.never_ready = False

    @property
    def last(self) -> PlayingSandbox:
        """The newest sandbox."""
        return self.made[-1]

    @property
    def open(self) -> list[PlayingSandbox]:
        """Those that nobody has closed."""
        return [sandbox for sandbox in self.made if not sandbox.closed]

    async def start(self, request: Request) -> Sandbox:
        if self.before is not None:
            await self.before(request)
        await asyncio.sleep(0)
        state = [] if request.snapshot is None else list(request.snapshot.manifest["state"])
        self.made.append(PlayingSandbox(request, state, self))
        return self.made[-1]

    async def needs(self, request: Request) -> None:
        return None

    async def check(self) -> list[Check]:
        return []

    async def close(self) -> None:
        pass


class PlayingKeeper(Keeper):
    """Holds states as lists.

    Attributes:
        before: Awaited before a state is taken; may raise.
        bad: Ids of snapshots with the error that check() raises for them.
        removed: Ids of those that nobody can go to any more.
    """

    def __init__(self, mode: str = "exact") -> None:
        super().__init__(self._nowhere)
        self.mode = mode
        self.before: Callable[[], Awaitable[None]] | None = None
        self.bad: dict[str, StateUnusable] = {}
        self.removed: list[str] = []
        self._count = 0

    async def _nowhere(self) -> Path:
        return Path("/nowhere")

    async def take(self, conversation: Conversation) -> Snapshot:
        if self.before is not None:
            await self.before()
        sandbox = conversation.sandbox
        assert isinstance(sandbox, PlayingSandbox)
        await conversation.close()
        return self.hold(self._snapshot(sandbox.state))

    def _snapshot(self, state: list[str]) -> Snapshot:
        self._count += 1
        held = {"state": tuple(state)}
        return Snapshot(f"s{self._count}", self.mode, 10, Path("/nowhere"), manifest=held)

    async def check(self, snapshot: Snapshot) -> None:
        await asyncio.sleep(0)
        if snapshot.id in self.bad:
            raise self.bad[snapshot.id]

    async def _remove(self, snapshot: Snapshot) -> None:
        self.removed.append(snapshot.id)

    async def export(self, snapshot: Snapshot, folder: Path) -> Snapshot:
        folder.mkdir()
        return snapshot

    async def adopt(self, snapshot: Snapshot) -> Snapshot:
        return self.hold(self._snapshot(snapshot.manifest["state"]))

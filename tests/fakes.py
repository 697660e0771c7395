"""Two sandboxes without gVisor, for tests of what stands above a backend.

:class:`ChildSandbox` runs the guest that we ship as a plain child process, so it says what a sandbox says. It isolates
nothing: only code of the tests runs in it. :class:`ScriptedSandbox` says what it is told to say, for faults that no real
sandbox has on request. test_execution.py holds both to the same contract.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from sandbox_kernel.backends import oci
from sandbox_kernel.backends.base import Check, Ending, Request, Sandbox, Snapshot
from sandbox_kernel.errors import StateNotSaved
from sandbox_kernel.guest import events, frames, wire
from sandbox_kernel.shipped import write_guest

EVENTS = {kind for kind, _ in events.TABLE.values()}
LINE_BYTES = 1 << 16


class _NoState:
    """What a sandbox is that nobody can save."""

    frames = 0
    restored = False
    early = False
    has_run = True

    async def save(self, folder: Path) -> Snapshot:
        raise StateNotSaved("This one cannot be saved.", alive=True)

    async def resume(self) -> None:
        pass


class _NoImages:
    """A backend without images."""

    modes: tuple[str, ...] = ("fresh",)

    async def needs(self, request: Request) -> None:
        pass


class ChildSandbox(_NoState):
    """The real guest, its stdin the mailbox and its stdout the wire."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.closed = 0

    async def lines(self) -> AsyncIterator[bytes]:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            if line.endswith(b"\n"):
                yield line[:-1]

    async def deliver(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message + b"\n")
        await self._process.stdin.drain()

    async def remind(self) -> None:
        """A pipe needs no reminder."""

    def waiting_for(self) -> str:
        return "The guest is starting."

    async def kill(self) -> None:
        # A container goes as a whole; here the cell's process has to be found while its parent lives.
        with suppress(psutil.NoSuchProcess):
            for process in [*psutil.Process(self._process.pid).children(recursive=True), self._process]:
                with suppress(psutil.NoSuchProcess, ProcessLookupError):
                    process.kill()

    async def ending(self) -> Ending:
        status = await self._process.wait()
        return Ending("lost", f"The guest ended with status {status}.", status)

    async def close(self) -> None:
        self.closed += 1
        await self.kill()
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


class ChildBackend(_NoImages):
    """Starts the real guest in directories below ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._package = folder / oci.GUEST_PACKAGE
        write_guest(self._package)
        self.made: list[ChildSandbox] = []

    async def start(self, request: Request) -> Sandbox:
        home = self._folder / f"{request.session}-{request.number}"
        home.mkdir()
        boot = oci.BOOT.replace(oci.GUEST, str(self._folder))
        settings = {"mailbox": "-", "memory_mib": request.limits.memory_mib}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", boot, json.dumps(settings)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=home,
            limit=LINE_BYTES,
        )
        self.made.append(ChildSandbox(process))
        return self.made[-1]

    async def check(self) -> list[Check]:
        return []

    async def close(self) -> None:
        for sandbox in self.made:
            await sandbox.close()


#: One step of a script: an event to frame, a line as it is, or what to call.
Step = wire.Event | bytes | Callable[["ScriptedSandbox"], object]


class Until:
    """A step that waits until something is true of the sandbox, or it is killed."""

    def __init__(self, true: Callable[[ScriptedSandbox], bool]) -> None:
        self.true = true


#: Wait until the cell has been delivered.
DELIVERED = Until(lambda sandbox: bool(sandbox.delivered))
#: Say nothing more, until killed.
HANG = Until(lambda _: False)


class ScriptedSandbox(_NoState):
    """Says what ``steps`` say, then ends as ``ending`` says."""

    def __init__(self, *steps: Step | Until, ending: Ending | None = None) -> None:
        self._steps = steps
        self._ending = ending or Ending("lost", "The script is over.")
        self._encoder = frames.Encoder()
        self._changed = asyncio.Event()
        self.delivered: list[bytes] = []
        self.reminded = 0
        self.killed = 0
        self.closed = 0
        #: Raised by deliver().
        self.delivery_error: Exception | None = None

    async def lines(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if self.killed:
                return
            if isinstance(step, Until):
                while not step.true(self) and not self.killed:
                    self._changed.clear()
                    await self._changed.wait()
            elif isinstance(step, bytes):
                yield step
            elif type(step) in EVENTS:
                for frame in self._encoder.encode(step):
                    yield frame[:-1]
            else:
                made = step(self)
                if asyncio.iscoroutine(made):
                    await made
            await asyncio.sleep(0)  # As a real one: whoever else is ready comes to run between two lines.

    async def deliver(self, message: bytes) -> None:
        if self.delivery_error is not None:
            raise self.delivery_error
        self.delivered.append(message)
        self._changed.set()

    async def remind(self) -> None:
        self.reminded += 1
        self._changed.set()

    def waiting_for(self) -> str:
        return "It waits for its cue."

    async def kill(self) -> None:
        self.killed += 1
        self._changed.set()

    async def ending(self) -> Ending:
        return self._ending

    async def close(self) -> None:
        self.closed += 1
        await self.kill()


class ScriptedBackend(_NoImages):
    """Gives out the sandboxes it was given, in order; raises those that are exceptions, awaits those that are awaitable."""

    def __init__(self, *sandboxes: ScriptedSandbox | Exception | Callable[[], object]) -> None:
        self._sandboxes = list(sandboxes)
        self.requests: list[Request] = []

    async def start(self, request: Request) -> Sandbox:
        self.requests.append(request)
        made = self._sandboxes.pop(0)
        if isinstance(made, Exception):
            raise made
        if callable(made):
            made = await made()  # type: ignore[misc]
        return made  # type: ignore[return-value]

    async def check(self) -> list[Check]:
        return []

    async def close(self) -> None:
        pass


def a_cell(*said: Step | Until, ready: bool = True) -> Sequence[Step | Until]:
    """Return the steps of a well-behaved guest that says ``said`` of its cell."""
    hello = [wire.Ready("3.11.2", "Linux 4.4.0")] if ready else []
    return (*hello, DELIVERED, wire.Started(1), *said)

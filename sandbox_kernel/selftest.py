"""Whether a runsc can be trusted with cells, found out with real sandboxes: one is run, one restored from its image.

A version number does not tell. Debian's gVisor of 2024 panics at random when a process forks, some kernels and
containers refuse what a sandbox needs, and without cgroups each limit hangs on a detail. So what cells rely on is tried
once, as this user, on this kernel, with the flags and the walls of real cells. What runs inside is :mod:`.probe`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from .backends import interpreter, oci
from .backends.base import Check
from .errors import ConfigurationError
from .limits import Limits
from .processes import Process, Processes

#: Counts what is tested: a good result of an older self-test is none.
NUMBER = 1

#: What is tried, in this order. Nothing less is a passed self-test.
STEPS = ("start", "network", "forks", "reads", "processes", "disk", "checkpoint", "restore", "memory")

#: The smallest sandbox there is: the memory wall stands on whole GiB, and gVisor has room for 61 processes behind one.
LIMITS = Limits(memory_mib=1024, processes=40, disk_mib=16)

#: For each answer and each runsc command: a broken gVisor hangs, a busy machine takes its time.
WAIT_S = 20.0

#: So many characters of what a runsc said are shown: the first, because an error comes before its usage or its stack.
WORDS = 400


async def run(runsc: str) -> list[Check]:
    """Try the runsc at this path. Returns a line for each thing tried; when all are ok, it can be trusted.

    The lines end early when a step takes the sandbox with it. Raises ConfigurationError when there is no Python to try
    it with, BackendUnavailable when no process can be started.
    """
    processes = Processes()
    try:
        # Where the sandboxes of cells live, too.
        home = await processes.home(Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()))
        return await _Trial(processes, runsc, home).run()
    finally:
        await processes.close()


class _Failed(Exception):
    """The sandbox is gone, or a command did not work. The text says what was seen."""


class _Trial:
    """The steps in order, and their lines."""

    def __init__(self, processes: Processes, runsc: str, home: Path) -> None:
        self._processes = processes
        self._runsc = runsc
        self._home = home
        self._image = home / "image"
        self._step = ""
        self._began = 0.0
        self._checks: list[Check] = []

    async def run(self) -> list[Check]:
        _prepare(self._home)
        try:
            await self._live()
            await self._live_again()
        except _Failed as error:
            self._tell(ok=False, found=str(error))
        return self._checks

    async def _live(self) -> None:
        self._begin("start")
        sandbox = await self._sandbox("run", "first")
        try:
            ok, found = await sandbox.ask("start")
            if not ok:
                raise _Failed(f"what answers is not gVisor: {found}")  # It gets nothing else to do.
            self._tell(ok=True, found=found)
            for word in ("network", "forks", "reads", "processes", "disk"):
                self._begin(word)
                await self._ask(sandbox, word)
            self._begin("checkpoint")
            await sandbox.ask("hold")
            # Not a plain checkpoint: that kills the guest also when the save failed.
            await self._runsc_command("pause", "first")
            await self._runsc_command("checkpoint", "--leave-running", f"--image-path={self._image}", "first")
            size = sum(file.stat().st_size for file in self._image.iterdir())
            self._tell(ok=True, found=f"saved in {size / 1e6:.0f} MB")
        finally:
            await sandbox.close()

    async def _live_again(self) -> None:
        self._begin("restore")
        sandbox = await self._sandbox("restore", f"--image-path={self._image}", "second")
        try:
            await self._ask(sandbox, "hold")
            # Last, because it is the one that may end everything, and here to see that the wall is back too.
            self._begin("memory")
            await self._ask(sandbox, "memory")
        finally:
            await sandbox.close()

    def _begin(self, step: str) -> None:
        self._step, self._began = step, time.monotonic()

    def _tell(self, *, ok: bool, found: str) -> None:
        self._checks.append(Check(self._step, ok, f"{found} ({time.monotonic() - self._began:.2f} s)"))

    async def _ask(self, sandbox: _Sandbox, word: str) -> None:
        ok, found = await sandbox.ask(word)
        self._tell(ok=ok, found=found)

    async def _sandbox(self, command: str, *rest: str) -> _Sandbox:
        return await _Sandbox.start(self._processes, self._argv(command, f"--bundle={self._home}", *rest))

    async def _runsc_command(self, command: str, *rest: str) -> None:
        sandbox = await _Sandbox.start(self._processes, self._argv(command, *rest))
        try:
            await sandbox.succeed()
        finally:
            await sandbox.close()

    def _argv(self, *command: str) -> list[str]:
        return oci.runsc_args(self._runsc, root=str(self._home / "root"), command=command)


class _Sandbox:
    """An attached ``runsc``: one that a probe answers through, or a command that ends by itself."""

    def __init__(self, processes: Processes, process: Process) -> None:
        self._processes = processes
        self._process = process
        self._transport: asyncio.BaseTransport | None = None
        self._answers = asyncio.StreamReader()

    @classmethod
    async def start(cls, processes: Processes, argv: Sequence[str]) -> _Sandbox:
        process = await processes.spawn(argv, rlimits=oci.runsc_rlimits(LIMITS))
        sandbox = cls(processes, process)
        stdout = os.fdopen(process.take("stdout"), "rb", buffering=0)
        sandbox._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(sandbox._answers), stdout
        )
        return sandbox

    async def ask(self, word: str) -> tuple[bool, str]:
        """Have the probe do what ``word`` names. Raises _Failed when it cannot answer."""
        with contextlib.suppress(BrokenPipeError):  # It ended, and the missing answer says so.
            os.write(self._process.stdin, word.encode() + b"\n")
        try:
            line = await asyncio.wait_for(self._answers.readline(), WAIT_S)
        except asyncio.TimeoutError:
            raise _Failed(f"no answer within {WAIT_S:.0f} s") from None
        if not line:
            raise _Failed(f"the sandbox is gone, runsc ended with {await self._end()}")
        try:
            ok, seen = json.loads(line)
        except (ValueError, TypeError):
            raise _Failed(f"the answer makes no sense: {line[:WORDS]!r}") from None
        return ok is True, str(seen)

    async def succeed(self) -> None:
        """Wait for the end of a command. Raises _Failed unless it is a good one."""
        try:
            status = await asyncio.wait_for(asyncio.shield(self._process.status), WAIT_S)
        except asyncio.TimeoutError:
            raise _Failed(f"no end within {WAIT_S:.0f} s") from None
        if status != 0:
            raise _Failed(f"runsc ended with {await self._end()}")

    async def _end(self) -> str:
        # Its pipes close before its status is known, and the status tells more than that of a kill.
        await asyncio.wait([self._process.status], timeout=1)
        await self._processes.kill(self._process)
        os.set_blocking(self._process.stderr, False)
        try:
            words = os.read(self._process.stderr, 1 << 16).decode("utf-8", "replace").split()
        except BlockingIOError:
            words = []
        said = " ".join(words)[:WORDS]
        return f"status {self._process.status.result()}" + (f": {said}" if said else "")

    async def close(self) -> None:
        """End it. May be called twice."""
        await self._processes.kill(self._process)
        self._process.close()
        if self._transport is not None:
            self._transport.close()


def _prepare(home: Path) -> None:
    """Write the bundle that both lives share: a restored sandbox must be described as the saved one was."""
    python = _python()
    for name in ("root", "image"):
        (home / name).mkdir(mode=0o700)
    rootfs = home / "rootfs"
    interpreter.make_rootfs(rootfs)
    shutil.copyfile(Path(__file__).with_name("probe.py"), rootfs / "probe.py")
    config = oci.config(
        args=[python.path, "-I", "/probe.py"],
        env=oci.environment(python.path, {}),
        mounts=python.mounts(),
        limits=LIMITS,
        rootfs=str(rootfs),
        euid=os.geteuid(),
    )
    (home / "config.json").write_text(json.dumps(config))


def _python() -> interpreter.Interpreter:
    """Any Python will do: where the one that runs this may not be shown to cells, another can still try the runtime."""
    try:
        return interpreter.look()
    except ConfigurationError:
        if shutil.which("python3") in (None, sys.executable):
            raise
        return interpreter.look("python3")

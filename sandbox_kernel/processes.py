"""The one file that starts processes.

:class:`Processes` is the host's side of :mod:`.supervisor`: what it starts dies with this process, whatever kills it.
:func:`run_tool` is for programs that end by themselves (a build, a version).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import supervisor
from .errors import BackendUnavailable

#: A packet that the socket does not take would end the supervisor, and all it started; Linux takes 200 KiB.
WILL_BYTES = 100 * 1024


class Process:
    """A child of the supervisor: our ends of its three pipes, and how it ended."""

    def __init__(self, stdin: int, stdout: int, stderr: int) -> None:
        self.key = 0
        self.pid = 0
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        #: Its exit status, negative for a signal.
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Close our ends of the pipes that nobody has taken over. May be called twice."""
        for name in ("stdin", "stdout", "stderr"):
            self.take(name, close=True)

    def take(self, name: str, *, close: bool = False) -> int:
        """Hand over a pipe: its new owner closes it."""
        fd: int = getattr(self, name)
        setattr(self, name, -1)
        if close and fd >= 0:
            os.close(fd)
        return fd


class Processes:
    """Starts the supervisor on first use and talks to it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._sock: socket.socket | None = None
        self._program: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._count = 0
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._running: dict[int, Process] = {}
        self._homes: set[Path] = set()

    async def spawn(
        self,
        argv: Sequence[str],
        *,
        cwd: str = "/",
        env: Mapping[str, str] | None = None,
        rlimits: Mapping[str, int] | None = None,
        cpus: int | None = None,
    ) -> Process:
        """Start a program on three pipes. It is killed when this process ends. ``env`` None: a PATH and nothing else."""
        stdin_read, stdin_write = os.pipe()
        stdout_read, stdout_write = os.pipe()
        stderr_read, stderr_write = os.pipe()
        process = Process(stdin_write, stdout_read, stderr_read)
        environment = {"PATH": os.defpath} if env is None else dict(env)
        request = {"argv": list(argv), "cwd": cwd, "env": environment, "rlimits": rlimits or {}, "cpus": cpus}
        try:
            reply = self._send("spawn", request, [stdin_read, stdout_write, stderr_write])
        finally:
            for fd in (stdin_read, stdout_write, stderr_write):
                os.close(fd)
        # Known before its end can be told: a program may end before we hear that it began.
        process.key = self._count
        self._running[process.key] = process
        try:
            process.pid = (await self._answer("spawn", reply))["pid"]
        except BaseException:
            self._send("kill", {"key": process.key})
            process.close()
            raise
        return process

    async def call(self, argv: Sequence[str], *, timeout_s: float) -> tuple[int, str]:
        """Run a program to its end. Returns its exit status and what it printed, errors included; 124 after ``timeout_s``.

        Like all that is started here it is killed when this process ends.
        """
        process = await self.spawn(argv)
        try:
            said = asyncio.gather(_read_all(process.take("stdout")), _read_all(process.take("stderr")))
            stdout, stderr = await asyncio.wait_for(said, timeout_s)
            return await asyncio.shield(process.status), (stdout + stderr).decode("utf-8", "replace")
        except asyncio.TimeoutError:
            await self.kill(process)
            return 124, f"{os.path.basename(argv[0])} did not answer within {timeout_s:g} s."
        finally:
            process.close()

    async def kill(self, process: Process) -> None:
        """SIGKILL a program that may have ended already, and wait until it has."""
        if not process.status.done():
            await self._answer("kill", self._send("kill", {"key": process.key}))
        await asyncio.shield(process.status)

    async def nudge(self, process: Process) -> None:
        """Stop a program, which may have ended, and let it go on: what it waits for in the kernel is begun anew."""
        await self._answer("nudge", self._send("nudge", {"key": process.key}))

    async def home(self, parent: Path) -> Path:
        """Make a directory of mode 0700 that is gone when this process is."""
        made = Path((await self._answer("home", self._send("home", {"parent": str(parent)})))["path"])
        self._homes.add(made)
        return made

    async def forget(self, home: Path) -> None:
        """Remove a directory that home() made."""
        await self._answer("forget", self._send("forget", {"path": str(home)}))

    async def bequeath(self, argv: Sequence[str], env: Mapping[str, str]) -> None:
        """Say what is run when this process is gone, whatever ends it, instead of what was said before. Empty: nothing.

        It may take a minute. Raises BackendUnavailable when it cannot be said.
        """
        if not argv and self._sock is None:
            return
        request = {"argv": list(argv), "env": dict(env)}
        if len(json.dumps(request)) > WILL_BYTES:
            raise BackendUnavailable("The environment is too large to be handed on.")
        await self._answer("bequeath", self._send("will", request))

    async def close(self) -> None:
        """End everything that was started here and wait for it. May be called twice."""
        if self._sock is not None:
            # The supervisor sees the end of our words, cleans up and ends, and we see the end of its. No thread has a part
            # in it: an interpreter that is exiting has none to give.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            await asyncio.shield(self._gone)
        for home in self._homes:  # Of a supervisor that was killed; otherwise it is gone.
            shutil.rmtree(home, ignore_errors=True)
        self._homes.clear()

    def _send(self, do: str, request: dict[str, Any], fds: Sequence[int] = ()) -> asyncio.Future[dict[str, Any]]:
        if self._sock is None:
            self._start()
        assert self._sock is not None and self._loop is not None
        self._count += 1
        reply: asyncio.Future[dict[str, Any]] = self._loop.create_future()
        self._replies[self._count] = reply
        packet = json.dumps({"id": self._count, "do": do, **request}).encode()
        try:
            socket.send_fds(self._sock, [packet], list(fds))
        except OSError as error:
            self._lose(str(error))
        return reply

    async def _answer(self, do: str, reply: asyncio.Future[dict[str, Any]]) -> dict[str, Any]:
        values = await reply
        if "error" in values:
            raise BackendUnavailable(f"Cannot {do} for a local sandbox: {values['error']}.")
        return values

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._program = subprocess.Popen(
                [sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                # Not ours: what is written to a kernel's stderr appears in the user's cell.
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Jupyter sends SIGINT and SIGKILL to the kernel's process group; this one has work to do after it.
                start_new_session=True,
                cwd="/",
                env={},
            )
        ours.setblocking(False)
        self._sock = ours
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(ours, self._read)

    def _read(self) -> None:
        while self._sock is not None:
            try:
                data = self._sock.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError as error:
                self._lose(str(error))
                return
            if not data:
                self._lose("it ended")
                return
            message = json.loads(data)
            if "ended" in message:
                self._end(message["ended"], message["status"])
            else:
                self._reply(message)

    def _reply(self, message: dict[str, Any]) -> None:
        reply = self._replies.pop(message["id"], None)
        if reply is not None and not reply.done():
            reply.set_result(message)

    def _end(self, key: int, status: int) -> None:
        process = self._running.pop(key, None)
        if process is not None and not process.status.done():
            process.status.set_result(status)

    def _lose(self, why: str) -> None:
        """The supervisor is gone, and with it all that it started. The next request starts another."""
        if self._sock is not None and self._program is not None and self._loop is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._program.wait()
            self._sock = self._program = None
            self._gone.set_result(None)
        for reply in self._replies.values():
            if not reply.done():
                reply.set_result({"error": f"the supervisor of the sandboxes is gone: {why}"})
        self._replies.clear()
        for key in list(self._running):
            self._end(key, -9)


async def _read_all(fd: int) -> bytes:
    """Read a pipe to its end and close it; the first MiB is kept."""
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    file = os.fdopen(fd, "rb", buffering=0)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
    kept = b""
    try:
        while data := await reader.read(1 << 16):
            kept = (kept + data)[: 1 << 20]
        return kept
    finally:
        transport.close()


def run_tool(
    argv: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[int, str]:
    """Run a program to its end. Returns its exit status and what it printed, errors included.

    With ``tell``, each line is also passed on as it comes. After ``timeout_s`` the program is killed and the status is 124;
    one that cannot be started has status 127.
    """
    try:
        program = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        return 127, str(error)
    killed = threading.Event()

    def kill() -> None:
        killed.set()
        os.killpg(program.pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, kill)
    timer.start()
    lines = []
    try:
        assert program.stdout is not None
        with program.stdout:
            for line in program.stdout:
                lines.append(line)
                if tell is not None:
                    tell(line.rstrip("\n"))
        status = program.wait()
    except BaseException:
        kill()
        program.wait()
        raise
    finally:
        timer.cancel()
    return (124 if killed.is_set() else status), "".join(lines)

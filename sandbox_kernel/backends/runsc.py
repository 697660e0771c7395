"""Local sandboxes: one gVisor container per cell, for root and for an ordinary user alike.

Each backend has a home directory that its supervisor removes, whatever ends this process. Each sandbox has a bundle in it,
a ``runsc run`` that is attached to three pipes, and nothing else: the mailbox is its stdin, the wire its stdout, and what
runsc itself has to say comes from its stderr. A sandbox is ended by SIGKILL of that process, never through runsc's control
plane, which a guest can make hang.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from traitlets import Dict, List, Unicode
from traitlets.config import LoggingConfigurable

from .. import guest, runtime
from ..errors import BackendUnavailable, ConfigurationError
from ..processes import Process, Processes
from . import interpreter, oci
from .base import Check, Ending, Request, Sandbox

#: A line that is longer is not from our guest; what follows of it is dropped.
LINE_BYTES = 1 << 16
#: Kept of what runsc writes to stderr, for the message when it fails.
STDERR_BYTES = 1 << 14


class LocalSandbox:
    """One running ``runsc``."""

    def __init__(self, backend: LocalBackend, processes: Processes, bundle: Path, name: str) -> None:
        self._backend = backend
        self._processes = processes
        self._bundle = bundle
        self._name = name
        self._process: Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._stderr = b""
        self._stderr_done: asyncio.Task[None] | None = None

    async def start(self, runsc: str, request: Request) -> None:
        """Start the container and take over its pipes."""
        command = ["run", f"--bundle={self._bundle}", self._name]
        self._process = await self._processes.spawn(
            oci.runsc_args(runsc, root=str(self._bundle.parent / "root"), command=command),
            cwd="/",
            env={"PATH": os.defpath},
            rlimits=oci.runsc_rlimits(request.limits),
            cpus=oci.processors(request.limits),
        )
        self._reader = await self._connect(self._process.take("stdout"), LINE_BYTES)
        stderr = await self._connect(self._process.take("stderr"), STDERR_BYTES)
        self._stderr_done = asyncio.ensure_future(self._collect(stderr))

    async def _connect(self, fd: int, limit: int) -> asyncio.StreamReader:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=limit)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb", buffering=0))
        self._transports.append(transport)
        return reader

    async def _collect(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data)[-STDERR_BYTES:]

    async def lines(self) -> AsyncIterator[bytes]:
        """See :class:`.base.Sandbox`."""
        assert self._reader is not None
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as overrun:
                await self._reader.readexactly(overrun.consumed)
                continue
            except asyncio.IncompleteReadError:
                return
            yield line[:-1]

    async def deliver(self, message: bytes) -> None:
        """See :class:`.base.Sandbox`."""
        assert self._process is not None
        # In a thread of its own: a cell with large files is more than a pipe holds.
        fd = os.dup(self._process.stdin)
        try:
            await asyncio.to_thread(_write_all, fd, message + b"\n")
        except BrokenPipeError:
            pass  # It ended; lines() says so.
        finally:
            os.close(fd)

    async def remind(self) -> None:
        """See :class:`.base.Sandbox`. A pipe needs no reminder."""

    def waiting_for(self) -> str:
        """See :class:`.base.Sandbox`."""
        return f"gVisor is starting {self._name}."

    async def kill(self) -> None:
        """See :class:`.base.Sandbox`."""
        if self._process is not None:
            await self._processes.kill(self._process)

    async def ending(self) -> Ending:
        """See :class:`.base.Sandbox`."""
        assert self._process is not None
        status = await asyncio.shield(self._process.status)
        if self._stderr_done is not None:
            await self._stderr_done
        return ending(status, self._stderr.decode("utf-8", "replace"))

    async def close(self) -> None:
        """See :class:`.base.Sandbox`."""
        await self.kill()
        if self._process is not None:
            self._process.close()
        for transport in self._transports:
            transport.close()
        if self._stderr_done is not None:
            self._stderr_done.cancel()
        shutil.rmtree(self._bundle, ignore_errors=True)
        for path in (self._bundle.parent / "root").glob(f"*{self._name}*"):
            path.unlink(missing_ok=True)
        self._backend.forget(self)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def ending(status: int, stderr: str) -> Ending:
    """Say what the exit status of ``runsc run`` (negative: a signal) and its stderr mean for a cell without a trailer."""
    said = " ".join(stderr.split())[-500:]
    if status == 128 and said:
        return Ending("refused", f"gVisor could not start the sandbox: {said}", status)
    if status == 2:
        # The kernel inside panicked; running into the memory wall with its own heap is how a cell gets there.
        return Ending("out_of_memory", "gVisor's kernel gave up, likely out of memory.", status)
    if status in (137, 139):
        return Ending("out_of_memory", f"The sandbox was ended with status {status}, likely out of memory.", status)
    if status < 0:
        return Ending("lost", f"The sandbox was killed from outside by signal {-status}.", 128 - status)
    return Ending("lost", f"The sandbox ended with status {status} before the cell did. {said}".rstrip(), status)


class LocalBackend(LoggingConfigurable):
    """Makes local sandboxes."""

    runsc = Unicode(
        "",
        help="""Path of the gVisor runtime. Empty (the default): RUNSC_PATH of the environment, else the one that
        `sandbox-kernel setup` built, else runsc on PATH when it is new enough.""",
    ).tag(config=True)
    python = Unicode(
        "",
        help="""The Python that runs the cells, 3.9 or newer; it and its packages are visible inside, read-only. Empty (the
        default): the one this kernel is installed in, so that its packages can be imported.""",
    ).tag(config=True)
    mounts = List(
        Unicode(),
        help="""Directories of this machine that cells see: SOURCE:TARGET:ro or SOURCE:TARGET:rw. TARGET is an absolute path
        inside; without it the directory has its own name there. Without :rw it is read-only. SOURCE may begin with ~ and
        is taken relative to the kernel's working directory, which is the notebook's folder. Default: none, because what a
        cell can read it can show, and what it can write it can destroy.""",
    ).tag(config=True)
    environment = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="""Environment variables of the cells. Default: none; nothing of this process's environment gets in.""",
    ).tag(config=True)
    home = Unicode(
        "",
        help="""Where sandboxes keep their files while they live. Empty (the default): XDG_RUNTIME_DIR, else the system's
        temporary directory. The path is kept short, because gVisor's control socket lies in it.""",
    ).tag(config=True)

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._processes = Processes()
        self._home: Path | None = None
        self._interpreter: interpreter.Interpreter | None = None
        self._sandboxes: set[LocalSandbox] = set()
        self._opening = asyncio.Lock()

    async def start(self, request: Request) -> Sandbox:
        """See :class:`.base.Backend`."""
        found = await asyncio.to_thread(runtime.find, self.runsc or None)
        home = await self._open()
        name = f"{request.session}-{request.number}"
        bundle = home / name
        sandbox = LocalSandbox(self, self._processes, bundle, name)
        self._sandboxes.add(sandbox)
        try:
            await asyncio.to_thread(self._write_bundle, bundle, request)
            await sandbox.start(found.path, request)
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    async def _open(self) -> Path:
        async with self._opening:
            if self._home is None or not (self._home / "rootfs").exists():  # Who removed it has ended its owner too.
                home = await self._processes.home(self._parent())
                (home / "root").mkdir(mode=0o700)
                interpreter.make_rootfs(home / "rootfs")
                self._interpreter = await asyncio.to_thread(interpreter.look, self.python or None)
                self._home = home
            return self._home

    def _parent(self) -> Path:
        chosen = os.path.expanduser(self.home) or os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(os.path.abspath(chosen))

    def _write_bundle(self, bundle: Path, request: Request) -> None:
        assert self._home is not None and self._interpreter is not None
        limits, python = request.limits, self._interpreter
        settings = {"mailbox": "-", "rlimits": limits.guest_rlimits(), "memory_mib": limits.memory_mib}
        guest_mount = oci.Mount(os.path.dirname(guest.__file__), f"{oci.GUEST}/{oci.GUEST_PACKAGE}")
        config = oci.config(
            args=oci.guest_args([python.path], settings),
            env=oci.environment(self.environment),
            mounts=[*python.mounts(), guest_mount, *(parse_mount(text) for text in self.mounts)],
            limits=limits,
            rootfs=str(self._home / "rootfs"),
            euid=os.geteuid(),
            as_owner=bool(self.mounts) or not python.public(),
        )
        bundle.mkdir(mode=0o700)
        (bundle / "config.json").write_text(json.dumps(config))

    def forget(self, sandbox: LocalSandbox) -> None:
        """Called by a sandbox that closed itself."""
        self._sandboxes.discard(sandbox)

    async def check(self) -> list[Check]:
        """See :class:`.base.Backend`."""
        checks = []
        try:
            python = interpreter.look(self.python or None)
            checks.append(Check("python", True, f"{python.path} ({'.'.join(map(str, python.version))})"))
        except ConfigurationError as error:
            checks.append(Check("python", False, error.message, error.advice))
        for text in self.mounts:
            try:
                mount = parse_mount(text)
                checks.append(Check("mount", True, f"{mount.source} at {mount.target}"))
            except ConfigurationError as error:
                checks.append(Check("mount", False, error.message, error.advice))
        return checks

    async def close(self) -> None:
        """See :class:`.base.Backend`."""
        for sandbox in list(self._sandboxes):
            with contextlib.suppress(BackendUnavailable):
                await sandbox.close()
        await self._processes.close()
        self._home = None


def parse_mount(text: str) -> oci.Mount:
    """Read ``SOURCE[:TARGET][:ro|:rw]``. Raises ConfigurationError that says what is wrong with it."""
    advice = "LocalBackend.mounts takes SOURCE:TARGET:ro or SOURCE:TARGET:rw, for example ./data:/data:ro."
    parts = text.split(":")
    mode = parts.pop() if parts[-1] in ("ro", "rw") else "ro"
    if not 1 <= len(parts) <= 2 or not parts[0]:
        raise ConfigurationError(f"Cannot read the mount {text!r}.", advice)
    source = os.path.realpath(os.path.expanduser(parts[0]))
    target = os.path.normpath(parts[1] if len(parts) == 2 else os.path.abspath(os.path.expanduser(parts[0])))
    if not os.path.isdir(source):
        raise ConfigurationError(f"The mount {text!r}: there is no directory {source}.", advice)
    if not target.startswith("/") or target in ("/", "/proc", "/dev", "/sys", "/tmp", oci.HOME):
        raise ConfigurationError(f"The mount {text!r}: {target!r} cannot be its place in the sandbox.", advice)
    return oci.Mount(source, target, mode == "rw")

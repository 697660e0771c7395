"""One local sandbox: an attached ``runsc run``, or a ``runsc restore`` of an image, on three pipes.

The mailbox is its stdin, the wire its stdout, and what runsc itself has to say comes from its stderr. A sandbox is ended by
SIGKILL of that process, never through runsc's control plane, which a guest can make hang; everything that is asked of that
plane (pause, checkpoint, resume) has a time limit.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import select
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import StateNotSaved, StateUnusable
from ..processes import Process, Processes
from . import affinity, blank, control, images, oci, openfiles, pipes
from .base import Ending, Request, Snapshot

#: A line that is longer is not from our guest; what follows of it is dropped.
LINE_BYTES = 1 << 16
#: Kept of what runsc writes to stderr, for the message when it fails.
STDERR_BYTES = 1 << 14
#: For what is left in the pipe of a sandbox that stands still.
DRAIN_S = 5.0
#: Files that have gone from a mount and are put back, empty, for a restore.
MOST_PLACEHOLDERS = 20


class LocalSandbox:
    """One running ``runsc``."""

    frames = 0

    def __init__(
        self,
        processes: Processes,
        runsc: str,
        bundle: Path,
        request: Request,
        needs: Mapping[str, Any],
        closed: Callable[[LocalSandbox], None],
        *,
        made: blank.Blank | None = None,
        heard: Callable[[], None] = lambda: None,
        version: str = "",
    ) -> None:
        """``made`` is a container in ``bundle`` that waits for the image; ``heard`` is called when the guest is heard.

        ``version`` is that of runsc.
        """
        self._processes = processes
        self._runsc = runsc
        self._bundle = bundle
        self._name = bundle.name
        self._request = request
        self._needs = needs
        self._closed = closed
        self._image = request.snapshot.folder if request.snapshot is not None and request.mode != "carry" else None
        self.restored = self._image is not None
        self.early = False
        self.has_run = True
        if request.snapshot is not None:
            self.frames = request.snapshot.frames
        self._mounts: Sequence[oci.Mount] = ()
        self._users_mounts = [oci.Mount(*row) for row in needs.get("mounts", ())]
        self._process: Process | None = None
        self._reader: pipes.Reader | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._stderr = b""
        self._stderr_done: asyncio.Task[None] | None = None
        self._unheard: list[bytes] = []
        self._writing = asyncio.Lock()
        self._heard = False
        self._blank = made
        self._processors = affinity.Processors(0)
        self._on_heard = heard
        self._control: control.Plane = control.Commands(processes, self._command, self._name)
        if version == control.SPOKEN:
            self._control = control.Socket(bundle.parent / "root" / f"runsc-{self._name}.sock")

    def _write_bundle(self, config: dict[str, Any]) -> None:
        self._bundle.mkdir(mode=0o700)
        (self._bundle / "config.json").write_text(json.dumps(config))

    async def start(self, config: dict[str, Any], mounts: Sequence[oci.Mount]) -> None:
        """Start the container and take over its pipes. ``mounts`` are those of the configuration."""
        self._mounts = mounts
        if self._blank is None:
            await asyncio.to_thread(self._write_bundle, config)
        await self._begin()

    async def _begin(self) -> None:
        self._stderr = b""
        self._process = await self._start_process()
        self._reader = pipes.Reader(limit=LINE_BYTES)
        await self._connect(self._process.take("stdout"), self._reader)
        stderr = asyncio.StreamReader(limit=STDERR_BYTES)
        await self._connect(self._process.take("stderr"), stderr)
        self._stderr_done = asyncio.ensure_future(self._collect(stderr))

    async def _start_process(self) -> Process:
        if self._blank is not None:
            made, self._blank = self._blank, None
            assert self._image is not None and made.process is not None
            self._process = made.process  # To be ended, too, should this be cut off.
            if await made.fill(self._image):
                self._processors = affinity.Processors(made.process.pid)
                await asyncio.to_thread(self._processors.let_out)
                return self._process
        command = ["run"] if self._image is None else ["restore", f"--image-path={self._image}"]
        process = await self._processes.spawn(
            self._command(*command, f"--bundle={self._bundle}", self._name),
            rlimits=oci.runsc_rlimits(self._request.limits),
            cpus=oci.processors(self._request.limits),
        )
        self._processors = affinity.Processors(process.pid)
        return process

    def _command(self, *words: str) -> list[str]:
        return oci.runsc_args(self._runsc, root=str(self._bundle.parent / "root"), command=words)

    async def _connect(self, fd: int, reader: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_read_pipe(lambda: protocol, os.fdopen(fd, "rb", buffering=0))
        self._transports.append(transport)

    async def _collect(self, stderr: asyncio.StreamReader) -> None:
        while data := await stderr.read(4096):
            self._stderr = (self._stderr + data)[-STDERR_BYTES:]

    async def lines(self) -> AsyncIterator[bytes]:
        """See :class:`.base.Sandbox`."""
        placeholders: list[images.Placeholder] = []
        try:
            while True:
                async for line in self._lines():
                    if not self._heard and self.restored and not placeholders:
                        await self._check_restored()
                    if not self._heard:
                        self._heard = True
                        self._processors.bring_back()
                        self._on_heard()
                    for made in placeholders:
                        yield made.told.encode("utf-8", "replace")
                    self._remove(placeholders)
                    yield line
                if self._heard or not self.restored or not await self._put_placeholder(placeholders):
                    return
        finally:
            self._remove(placeholders)

    async def _lines(self) -> AsyncIterator[bytes]:
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
            self._reader.taken += 1  # Whoever asks for the next one has taken this.

    async def _check_restored(self) -> None:
        """Raise StateUnusable when what was restored has opened other files than were open."""
        assert self._process is not None and self._request.snapshot is not None
        held = self._request.snapshot.manifest.get("open", {})
        if not any(held.values()):
            return
        try:
            await asyncio.to_thread(openfiles.check_restored, held, self._process.pid, self._users_mounts)
        except StateUnusable:
            await self.kill()
            raise

    async def _put_placeholder(self, placeholders: list[images.Placeholder]) -> bool:
        """Restore once more when the image wants a file that has gone from a mount. False: that is not what it lacks."""
        ending = await self.ending()
        said = self._stderr.decode("utf-8", "replace")
        missing = openfiles.walked(said) if ending.exit_status == 128 else None
        if missing is None:
            return False
        more = not self._request.replaces and len(placeholders) < MOST_PLACEHOLDERS
        made = images.put_placeholder(said, self._mounts) if more else None
        if made is None:
            raise openfiles.gone(missing)
        placeholders.append(made)
        self._close_process()
        await asyncio.to_thread(blank.forget_container, self._bundle)
        await self._begin()
        for message in self._unheard:
            await self._write(message)
        return True

    def _remove(self, placeholders: list[images.Placeholder]) -> None:
        while placeholders:
            placeholders.pop().remove()

    async def deliver(self, message: bytes) -> None:
        """See :class:`.base.Sandbox`."""
        if not self._heard:
            self._unheard.append(message)
        await self._write(message)

    async def _write(self, message: bytes) -> None:
        assert self._process is not None
        fd = os.dup(self._process.stdin)
        try:
            async with self._writing:  # Another message must not cut in.
                if len(message) < select.PIPE_BUF and select.select([], [fd], [], 0)[1]:
                    os.write(fd, message + b"\n")  # A pipe that takes anything takes as much at one go.
                else:  # In a thread of its own: a cell with large files is more than a pipe holds.
                    await asyncio.to_thread(pipes.write_all, fd, message + b"\n")
        except BrokenPipeError:
            pass  # It ended; lines() says so.
        finally:
            os.close(fd)

    async def remind(self) -> None:
        """See :class:`.base.Sandbox`. A pipe needs no reminder."""

    def waiting_for(self) -> str:
        """See :class:`.base.Sandbox`."""
        return "gVisor is starting the sandbox."

    async def save(self, folder: Path) -> Snapshot:
        """See :class:`.base.Sandbox`. Three steps, of which only the last, close(), ends what is being saved.

        What it has said until then is heard before this returns.
        """
        assert self._process is not None
        try:
            await _all(self._control.pause(), asyncio.to_thread(folder.mkdir, mode=0o700))
            # It stands still, so what it uses can be looked at while it is written.
            _, libraries, _ = await _all(
                self._control.checkpoint(folder),
                asyncio.to_thread(images.mapped, self._process.pid, self._mounts),
                asyncio.to_thread(self._processors.let_out),
            )
            held: dict[str, Any] = {}
            if self._users_mounts:
                held = await asyncio.to_thread(openfiles.look, self._process.pid, self._users_mounts)
            await self._drain()
            marks = images.marks(folder)
        except (StateNotSaved, OSError) as error:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            await self._go_on()
            if isinstance(error, OSError):
                raise StateNotSaved(f"The state could not be saved: {error}.", alive=True) from error
            raise
        size = sum(mark[0] for mark in marks.values())
        manifest = {"needs": self._needs, "mapped": libraries, "open": held, "files": marks}
        return Snapshot(folder.name, "exact", size, folder, manifest=manifest)

    async def _drain(self) -> None:
        """Return when all that a paused sandbox has said was taken. An end that is under way says so itself."""
        deadline = asyncio.get_running_loop().time() + DRAIN_S
        while asyncio.get_running_loop().time() < deadline and self._transports:
            pipe = self._transports[0]
            assert self._reader is not None
            if pipe.is_closing() or not (pipes.waits(pipe) or self._reader.fed > self._reader.taken):
                return
            await asyncio.sleep(0.001)
        if self._transports:
            raise StateNotSaved("What the sandbox still had to say was not taken in time.", alive=True)

    async def resume(self) -> None:
        """See :class:`.base.Sandbox`."""
        await self._go_on()

    async def _go_on(self) -> None:
        """Let a paused sandbox run again. Raises StateNotSaved (not alive) when it does not."""
        try:
            self._processors.bring_back()
            await self._control.resume()
        except StateNotSaved as error:
            await self.kill()
            raise StateNotSaved(f"The sandbox broke while its state was being saved: {error.message}") from error

    @property
    def pid(self) -> int | None:
        """See :class:`.base.Sandbox`."""
        return None if self._process is None else self._process.pid or None

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
        # Its stdout is a pipe: lines() ended where it ended.
        return dataclasses.replace(ending(status, self._stderr.decode("utf-8", "replace")), heard_all=True)

    def _close_process(self) -> None:
        if self._process is not None:
            self._process.close()
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        if self._stderr_done is not None:
            self._stderr_done.cancel()

    async def close(self) -> None:
        """See :class:`.base.Sandbox`."""
        await self.kill()
        self._close_process()
        await asyncio.to_thread(blank.remove_container, self._bundle)
        self._closed(self)


async def _all(*works: Awaitable[Any]) -> list[Any]:
    """Return what each of them does, when all have ended. Raises the first error."""
    found = await asyncio.gather(*works, return_exceptions=True)
    for item in found:
        if isinstance(item, BaseException):
            raise item
    return found


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

"""Containers that are made ahead: each a ``runsc restore`` that waits for its image.

More than half of what a restore takes is making the container: the runtime, the gofer, the sandbox's process. runsc does that
first and opens the image then. So it is started before there is an image, with a FIFO in the image's place, on which its
open(2) waits. Once the image is there it takes the FIFO's place, and runsc is stopped and continued: the kernel begins an
open(2) that was interrupted anew, by name. It is an attached runsc like all others, so it ends as they do, whatever happens.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SandboxError
from ..limits import Limits
from ..processes import Process, Processes
from . import images, oci

#: The FIFO's other name.
_WAITING = "waiting"


@dataclass(frozen=True)
class Plan:
    """What a container is made with: one is good for what wants the same.

    Attributes:
        runsc: Path of the runtime.
        config: The configuration, as JSON.
        rlimits: Limits of the runsc process.
        cpus: Processors it may run on.
    """

    runsc: str
    config: str
    rlimits: tuple[tuple[str, int], ...]
    cpus: int

    @classmethod
    def of(cls, runsc: str, config: dict[str, Any], limits: Limits) -> Plan:
        """Return the plan for a container with these limits."""
        return cls(runsc, json.dumps(config), tuple(oci.runsc_rlimits(limits).items()), oci.processors(limits))


class Blank:
    """One container without an image. Who fills it owns its bundle and its process.

    Attributes:
        plan: What it was made with.
        bundle: Its directory, which has its name.
        process: None until start().
    """

    def __init__(self, processes: Processes, plan: Plan, home: Path) -> None:
        self.plan = plan
        self.bundle = home / f"blank-{secrets.token_hex(6)}"
        self._processes = processes
        self._image = self.bundle / "image"
        self.process: Process | None = None

    async def start(self) -> None:
        """Have it made. Raises BackendUnavailable or OSError."""
        await asyncio.to_thread(self._write)
        root = str(self.bundle.parent / "root")
        command = ["restore", f"--image-path={self._image}", f"--bundle={self.bundle}", self.bundle.name]
        self.process = await self._processes.spawn(
            oci.runsc_args(self.plan.runsc, root=root, command=command),
            rlimits=dict(self.plan.rlimits),
            cpus=self.plan.cpus,
        )

    def _write(self) -> None:
        self.bundle.mkdir(mode=0o700)
        (self.bundle / "config.json").write_text(self.plan.config)
        self._image.mkdir(mode=0o700)
        os.mkfifo(self._image / _WAITING, 0o600)
        os.link(self._image / _WAITING, self._image / images.FILES[0])

    @property
    def usable(self) -> bool:
        """Whether it has not ended."""
        return self.process is not None and not self.process.status.done()

    async def fill(self, image: Path) -> bool:
        """Have it restore an image. False: it has not begun to, has ended, and the bundle is as good as new."""
        assert self.process is not None
        await asyncio.to_thread(self._put, image)
        await self._processes.nudge(self.process)
        if self._let_go():
            return True
        await self._processes.kill(self.process)
        self.process.close()
        await asyncio.to_thread(forget_container, self.bundle)
        return False

    def _put(self, image: Path) -> None:
        first, *others = images.FILES
        for name in others:
            (self._image / name).symlink_to(image / name)
        (self._image / "ready").symlink_to(image / first)
        (self._image / "ready").rename(self._image / first)

    def _let_go(self) -> bool:
        """Whether nobody waits at the FIFO: who comes now finds the image."""
        try:
            os.close(os.open(self._image / _WAITING, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            return error.errno == errno.ENXIO
        return False

    async def close(self) -> None:
        """Remove one that nobody has filled."""
        if self.process is not None:
            await self._processes.kill(self.process)
            self.process.close()
        await asyncio.to_thread(remove_container, self.bundle)


def forget_container(bundle: Path) -> None:
    """Remove what an attached restore, and whoever is killed, leaves behind in the root directory."""
    root = bundle.parent / "root"
    for path in (*root.glob(f"{bundle.name}_sandbox:*"), root / f"runsc-{bundle.name}.sock"):
        path.unlink(missing_ok=True)


def remove_container(bundle: Path) -> None:
    """Remove the bundle too. 10 ms, so in a thread: the next cell is under way meanwhile."""
    forget_container(bundle)
    shutil.rmtree(bundle, ignore_errors=True)


class Blanks:
    """One container at most, made ahead for the next restore."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._waiting: Blank | None = None
        self._making: asyncio.Task[None] | None = None
        self._closed = False

    def make(self, plan: Plan, home: Path, *, after_s: float = 0.0) -> None:
        """Begin to make one, unless there is one. Nobody hears of it when that fails: a restore makes its own then."""
        if self._closed or self._making is not None:
            return
        if self._waiting is not None and self._waiting.plan == plan and self._waiting.usable:
            return
        self._making = asyncio.ensure_future(self._make(plan, home, after_s))

    async def _make(self, plan: Plan, home: Path, after_s: float) -> None:
        blank = Blank(self._processes, plan, home)
        try:
            await self._drop()
            await asyncio.sleep(after_s)
            await blank.start()
            self._waiting = blank
        except (SandboxError, OSError):
            await self._remove(blank)
        except BaseException:
            await self._remove(blank)
            raise
        finally:
            self._making = None

    async def take(self, plan: Plan) -> Blank | None:
        """Return the one that was made like this, for the caller to fill; None: there is none."""
        if self._making is not None:
            await asyncio.wait({self._making})
        blank = self._waiting
        if blank is None or blank.plan != plan or not blank.usable:
            return None
        self._waiting = None
        return blank

    async def _drop(self) -> None:
        blank, self._waiting = self._waiting, None
        if blank is not None:
            await self._remove(blank)

    async def _remove(self, blank: Blank) -> None:
        with contextlib.suppress(SandboxError):  # The supervisor is gone, and everything with it.
            await blank.close()

    async def close(self) -> None:
        """Remove what is there. May be called twice."""
        self._closed = True
        if self._making is not None:
            await asyncio.wait({self._making})
        await self._drop()

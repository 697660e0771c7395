"""Local sandboxes: one gVisor container per cell, for root and for an ordinary user alike: the settings.

Each backend has a home directory that its supervisor removes, whatever ends this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets import Dict, List, Unicode
from traitlets.config import LoggingConfigurable

from .. import runtime, shipped
from ..errors import BackendUnavailable, ConfigurationError
from ..processes import Processes
from . import images, interpreter, oci, openfiles
from .base import Check, Request, Sandbox, Snapshot
from .blank import Blanks, Plan
from .container import LocalSandbox
from .oci import carry_settings

#: What is told to code that looks for a network.
OFFLINE = (
    "A sandbox has no network. Packages come from the environment that the kernel is installed in: install them there."
    " LocalBackend.mounts shows it files."
)
#: What a restore is given of both processors before the next container is begun: of 0, 30 and 60 ms the middle one made
#: cell after cell fastest on two processors, by a tenth.
RESTORE_FIRST_S = 0.03
#: Limits that belong to each cell: a snapshot does not depend on them.
_OF_CELLS = ("output_bytes", "start_s", "timeout_s", "grace_s", "answer_s")


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
    preload = List(
        Unicode(),
        help="""Modules to import before the first cell, for example pandas. They are imported once, kept in an image of a
        sandbox in the user's cache directory, and each start is from there. Default: none.""",
    ).tag(config=True)
    home = Unicode(
        "",
        help="""Where sandboxes keep their files while they live. Empty (the default): XDG_RUNTIME_DIR, else the system's
        temporary directory. The path is kept short, because gVisor's control socket lies in it.""",
    ).tag(config=True)

    modes: tuple[str, ...] = ("exact", "carry", "fresh")
    keeps_parts = False

    def __init__(self, processes: Processes | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._processes = processes if processes is not None else Processes()
        self._home: Path | None = None
        self._python: interpreter.Interpreter | None = None
        self._sandboxes: set[LocalSandbox] = set()
        self._blanks = Blanks(self._processes)
        self._opening = asyncio.Lock()

    async def start(self, request: Request) -> Sandbox:
        """See :class:`.base.Backend`."""
        await self._open()
        assert self._home is not None
        found, needs = await asyncio.to_thread(self._checked, request)
        config, home = self._config(request), self._home
        plan = Plan.of(found.path, config, request.limits)
        restores = request.snapshot is not None and request.mode != "carry"
        made = await self._blanks.take(plan) if restores else None
        sandbox = LocalSandbox(
            self._processes,
            found.path,
            home / f"{request.session}-{request.number}" if made is None else made.bundle,
            request,
            needs,
            self.forget,
            made=made,
            version=found.version,
            # One that keeps its state whole is followed by another.
            heard=(lambda: self._blanks.make(plan, home)) if request.mode == "exact" else lambda: None,
        )
        self._sandboxes.add(sandbox)
        try:
            await sandbox.start(config, self._all_mounts())
            if made is not None:
                # Cells follow each other, and making one takes longer than a short cell and the saving after it.
                self._blanks.make(plan, home, after_s=RESTORE_FIRST_S)
        except BaseException:
            await sandbox.close()
            raise
        return sandbox

    async def needs(self, request: Request) -> dict[str, Any]:
        """See :class:`.base.Backend`."""
        await self._open()
        return (await asyncio.to_thread(self._look, request))[1]

    def _look(self, request: Request) -> tuple[runtime.Runtime, dict[str, Any]]:
        assert self._python is not None
        found = runtime.find(self.runsc or None)
        return found, {
            "gVisor": found.version,
            "gVisor flags": oci.FLAGS,
            "processor": _processor(),
            "Python": [self._python.path, list(self._python.version), _mark_of(self._python.path)],
            "sandbox-kernel": shipped.guest_digest(),
            "settings": {**dataclasses.asdict(request.limits), **dict.fromkeys(_OF_CELLS, 0)},
            "environment": dict(self.environment),
            "preload": list(self.preload),
            "mounts": sorted([item.source, item.target, item.writable] for item in self._mounts()),
            "user": os.geteuid(),
        }

    def _checked(self, request: Request) -> tuple[runtime.Runtime, dict[str, Any]]:
        """Return the runtime, and what a sandbox depends on. Raises StateUnusable when its snapshot needs something else."""
        found, needs = self._look(request)
        if request.snapshot is not None and request.mode != "carry":
            check_snapshot(request.snapshot, needs, strict=request.replaces)
        return found, needs

    async def _open(self) -> None:
        async with self._opening:
            if self._home is None or not (self._home / "rootfs").exists():  # Who removed it has ended its owner too.
                await asyncio.to_thread(runtime.find, self.runsc or None)
                home = await self._processes.home(self._parent())
                (home / "root").mkdir(mode=0o700)
                interpreter.make_rootfs(home / "rootfs")
                shipped.write_guest(home / "guest")
                self._python = await asyncio.to_thread(interpreter.look, self.python or None)
                self._home = home

    def _parent(self) -> Path:
        chosen = os.path.expanduser(self.home) or os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
        return Path(os.path.abspath(chosen))

    def _mounts(self) -> list[oci.Mount]:
        """Return those of the user's choice. Raises ConfigurationError."""
        return [parse_mount(text) for text in self.mounts]

    def _all_mounts(self) -> list[oci.Mount]:
        assert self._python is not None and self._home is not None
        guest = oci.Mount(str(self._home / "guest"), f"{oci.GUEST}/{oci.GUEST_PACKAGE}")
        return [*self._python.mounts(), guest, *self._mounts()]

    def _config(self, request: Request) -> dict[str, Any]:
        assert self._python is not None and self._home is not None
        limits = request.limits
        settings: dict[str, Any] = {
            "mailbox": "-",
            "rlimits": limits.guest_rlimits(),
            "memory_mib": limits.memory_mib,
            "preload": list(self.preload),
            "offline": OFFLINE,
        }
        mounts = self._all_mounts()
        own: dict[str, str] = {}
        if request.mode == "carry":
            assert request.folder is not None and request.out is not None
            settings["carry"] = carry_settings(request, oci.PARTS, oci.NEW_PARTS, exact=True)
            own = oci.hash_seed(request.session)
            mounts += [oci.Mount(str(request.folder), oci.PARTS), oci.Mount(str(request.out), oci.NEW_PARTS, writable=True)]
        else:
            # One that is fresh can come from an image too.
            settings["lasting"] = True
        return oci.config(
            args=oci.guest_args([self._python.path], settings),
            env=oci.environment(self._python.path, {**own, **self.environment}),
            mounts=mounts,
            limits=limits,
            rootfs=str(self._home / "rootfs"),
            euid=os.geteuid(),
            as_owner=bool(self.mounts) or not self._python.public(),
        )

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
        await self._blanks.close()
        for sandbox in list(self._sandboxes):
            with contextlib.suppress(BackendUnavailable):
                await sandbox.close()
        await self._processes.close()
        self._home = None


def _mark_of(path: str) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns]


@functools.lru_cache(maxsize=1)
def _processor() -> str:
    """Return what gVisor and compiled code may depend on: the model and features of the processor."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n", 1)[0].splitlines()
    kept = [line for line in lines if line.split("\t")[0] in ("vendor_id", "model name", "flags", "Features")]
    return hashlib.sha256("\n".join(kept).encode()).hexdigest()[:16]


def check_snapshot(snapshot: Snapshot, needs: Mapping[str, Any], *, strict: bool = False) -> None:
    """Raise StateUnusable when a sandbox cannot be started from it as things are; ``strict``: see openfiles.check()."""
    images.check_needs(snapshot.manifest["needs"], needs)
    images.check_mapped(snapshot.manifest["mapped"])
    images.check_files(snapshot.folder, snapshot.manifest["files"])
    openfiles.check(snapshot.manifest.get("open", {}), [oci.Mount(*row) for row in needs["mounts"]], strict=strict)


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

"""The settings of a run, the backend they choose, and what is still being cleaned up."""

from __future__ import annotations

import asyncio
from typing import Any

from traitlets import Enum, Float, Integer
from traitlets.config import LoggingConfigurable

from .backends.base import Backend, Sandbox
from .errors import SandboxError
from .limits import MIB, Limits, is_amount
from .session import Session


class Amount(Float):  # type: ignore[type-arg] # generic for type checkers alone
    """A number that can be counted with: not negative, not endless, and a number."""

    def validate(self, obj: Any, value: Any) -> Any:
        """See traitlets."""
        amount = super().validate(obj, value)
        if not is_amount(amount):
            self.error(obj, value)
        return amount


class Runner(LoggingConfigurable):
    """Opens sessions on one backend. Belongs to one event loop."""

    backend_name = Enum(
        ["local", "kubernetes"],
        default_value="local",
        help="""Where sandboxes come from: `local`, a gVisor container on this machine, or `kubernetes`, a Job per cell.
        Default: local, which needs no cluster.""",
    ).tag(config=True)
    timeout_s = Amount(
        300.0,
        allow_none=True,
        help="""Seconds that a cell may run; then it is ended and the cell shows CellTimeout. None: no limit. Default: 300,
        so that a forgotten loop does not hold a machine for ever.""",
    ).tag(config=True)
    start_timeout_s = Amount(
        120.0,
        help="""Seconds until a sandbox must be ready for the cell, pulling its image and waiting for a node included.
        Default: 120; with a node pool that grows from zero, 600 is better.""",
    ).tag(config=True)
    memory_mib = Integer(
        2048,
        min=64,
        help="""Memory of a sandbox in MiB, its files in /tmp and the working directory included. The local backend rounds
        up to whole GiB. Default: 2048.""",
    ).tag(config=True)
    cpu_millis = Integer(
        1000,
        min=10,
        help="""Processor time of a sandbox in thousandths of a processor. The local backend rounds up to whole processors.
        Default: 1000.""",
    ).tag(config=True)
    processes = Integer(
        100,
        min=4,
        help="""Processes and threads that a cell may have at once. Locally at most 50 for each GiB of memory are safe:
        gVisor needs memory for each. Default: 100.""",
    ).tag(config=True)
    disk_mib = Integer(
        512,
        min=1,
        help="""Size in MiB of each writable directory: the working directory, /tmp and /dev/shm. They lie in
        memory and count there too. Default: 512.""",
    ).tag(config=True)
    output_mib = Amount(
        8.0,
        help="""Output of a cell in MiB, as it is encoded on its way; more is dropped, and said so once. Default: 8, because
        a Kubernetes node keeps 10 MiB of a container's log.""",
    ).tag(config=True)

    def __init__(self, backend: Backend | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backend = backend if backend is not None else self._make_backend()
        self._sessions: set[Session] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def _make_backend(self) -> Backend:
        # The kubernetes package takes two seconds to import and is not needed locally.
        if self.backend_name == "kubernetes":
            from .backends.kubernetes import KubernetesBackend  # noqa: PLC0415

            return KubernetesBackend(parent=self)
        from .backends.runsc import LocalBackend  # noqa: PLC0415

        return LocalBackend(parent=self)

    def limits(self) -> Limits:
        """Return the limits that the settings make."""
        return Limits(
            memory_mib=self.memory_mib,
            cpu_millis=self.cpu_millis,
            processes=self.processes,
            disk_mib=self.disk_mib,
            output_bytes=int(self.output_mib * MIB),
            start_s=self.start_timeout_s,
        )

    def open_session(self) -> Session:
        """Begin a session: what lives as long as one notebook."""
        session = Session(self.backend, self.limits, lambda: self.timeout_s, self.close_later)
        self._sessions.add(session)
        return session

    def close_later(self, sandbox: Sandbox) -> None:
        """Remove a sandbox off the user's path. close() waits for it."""
        task = asyncio.ensure_future(self._close(sandbox))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, sandbox: Sandbox) -> None:
        try:
            await sandbox.close()
        except SandboxError as error:
            # Its own deadline removes it; but somebody should know.
            self.log.warning("A sandbox could not be removed: %s", error)

    async def close(self) -> None:
        """End and remove everything. May be called twice."""
        for session in self._sessions:
            await session.close()
        self._sessions.clear()
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        await self.backend.close()

"""The settings of a run, the backend they choose, and what is still being cleaned up."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from traitlets import Enum, Float, HasTraits, Integer
from traitlets.config import LoggingConfigurable

from .backends.base import Backend
from .backends.oci import SAVE_S
from .conversation import Conversation
from .errors import ConfigurationError, SandboxError
from .lasting import LastingSession
from .limits import MIB, Limits, is_amount
from .processes import Processes
from .session import Session
from .standby import Terms
from .state import places
from .state.carried import CarryKeeper
from .state.exact import BaseImages, ExactKeeper
from .state.history import History
from .state.keeper import Keeper


class Amount(Float):  # type: ignore[type-arg] # generic for type checkers alone
    """A number that can be counted with: not negative, not endless, and a number."""

    info_text = "a finite number, 0 or more"

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
    state = Enum(
        ["", "exact", "carry", "fresh"],
        default_value="",
        help="""What is there in the next cell. `exact`: everything, by a checkpoint of the whole sandbox (local only).
        `carry`: what can be pickled, with a name for what cannot. `fresh`: nothing. Empty (the default): exact locally,
        carry on Kubernetes; executors keep nothing but in sessions.""",
    ).tag(config=True)
    history_points = Integer(
        20,
        min=1,
        help="""How many earlier states of a session can be gone back to; the oldest go first. Default: 20.""",
    ).tag(config=True)
    history_mib = Amount(
        2048.0,
        help="""How much disk the states of a session may take, in MiB; the newest is always kept. Default: 2048.""",
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
    interrupt_grace_s = Amount(
        3.0,
        help="""Seconds that a cell has to end by itself after it was interrupted, by the stop button or at its time limit:
        KeyboardInterrupt is raised in it, and what it made until then is kept. A cell that goes on is killed then, and the
        session goes back to the state before it. 0: it is killed at once. Default: 3, as nbval waits 5 for a kernel.""",
    ).tag(config=True)
    answer_timeout_s = Amount(
        3600.0,
        help="""Seconds that a cell may wait for answers to `input()`, all together, that do not count as its time; what is
        over that does. Default: 3600; it is bounded so that a forgotten question does not hold a pod for ever.""",
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

    widgets = Enum(
        ["controls", "none", "trusted"],
        default_value="controls",
        help="""Which widgets a cell may show in a notebook. `controls`: those of ipywidgets, with markup cleaned and nothing
        that loads code. `none`: none. `trusted`: all that the front end has, ipympl and plotly for example, unchecked; these
        can run code of the cell's in the page, with your rights on the Jupyter server. Default: controls.""",
    ).tag(config=True)
    standby = Integer(
        None,
        allow_none=True,
        min=0,
        help="""How many sandboxes are started ahead and wait for a cell, each for one: a session that keeps state has one at
        most, snippets of an executor that keep none as many as this. 0: none, each cell waits for its own to start. None
        (the default): 1 for a notebook, 0 for executors, so that nothing is started that nobody asked for. In state exact
        the sandbox of a session that has begun goes on between its cells in any case.""",
    ).tag(config=True)
    standby_idle_s = Amount(
        600.0,
        max=3600.0,
        help="""Seconds that a sandbox which was started ahead waits for a cell; then it goes, and the next cell starts its
        own. It goes by itself, too, should nobody be left to end it. Default: 600, because what waits holds the memory that
        a node sets aside for it. At most 3600.""",
    ).tag(config=True)

    def __init__(self, backend: Backend | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._processes = Processes()
        self.backend = backend if backend is not None else self._make_backend()
        self._bases = BaseImages(self.backend)
        self._keepers: dict[str, Keeper] = {}
        self._home: Path | None = None
        self._opening = asyncio.Lock()
        self._sessions: set[Session] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    def _make_backend(self) -> Backend:
        # The kubernetes package takes two seconds to import and is not needed locally.
        if self.backend_name == "kubernetes":
            from .backends.kubernetes import KubernetesBackend  # noqa: PLC0415

            return KubernetesBackend(self._processes, parent=self)
        from .backends.runsc import LocalBackend  # noqa: PLC0415

        return LocalBackend(self._processes, parent=self)

    @property
    def programs(self) -> Processes:
        """Return what programs are started with that die with us."""
        return self._processes

    def limits(self) -> Limits:
        """Return the limits that the settings make."""
        return Limits(
            memory_mib=self.memory_mib,
            cpu_millis=self.cpu_millis,
            processes=self.processes,
            disk_mib=self.disk_mib,
            output_bytes=int(self.output_mib * MIB),
            start_s=self.start_timeout_s,
            grace_s=self.interrupt_grace_s,
            answer_s=self.answer_timeout_s,
        )

    def open_session(self, state: str | None = None, *, standby: int = 0) -> Session:
        """Begin a session: what lives as long as one notebook. ``state`` None: as the settings say.

        ``standby``: how many sandboxes are started ahead when the settings do not say.

        Raises ConfigurationError when the backend cannot keep state like that, or after close(): what began now, nobody
        would end.
        """
        if self._closed:
            raise ConfigurationError("This runner is closed.", "Make another.")
        mode = state or self.state or self.backend.modes[0]
        if mode not in self.backend.modes:
            raise ConfigurationError(
                f"The backend {self.backend_name!r} cannot keep state {mode!r}.",
                f"Set Runner.state to one of: {', '.join(self.backend.modes)}.",
            )
        session: Session
        terms = self._terms(standby, 1 if mode != "fresh" else None)
        if mode == "fresh":
            session = Session(self.backend, self._bases, self.limits, lambda: self.timeout_s, self.close_later, terms)
        else:
            session = LastingSession(
                self.backend,
                self._bases,
                self.limits,
                lambda: self.timeout_s,
                self.close_later,
                terms,
                keeper=self._keeper(mode),
                history=History(self.history_points, int(self.history_mib * MIB)),
            )
        self._sessions.add(session)
        return session

    def _terms(self, default: int, most: int | None) -> Terms:
        """Return how sandboxes are started ahead, as the settings are when one is."""

        def number() -> int:
            wanted = default if self.standby is None else self.standby
            return wanted if most is None else min(wanted, most)

        return Terms(number, lambda: self.standby_idle_s, self._backend_settings)

    def _backend_settings(self) -> str:
        """Return the settings of the backend, to see whether one has changed."""
        values = self.backend.trait_values(config=True) if isinstance(self.backend, HasTraits) else {}
        return repr(sorted(values.items()))

    async def fork(self, session: LastingSession) -> LastingSession:
        """Begin another session with the state of this one. Raises StateNotSaved."""
        other = self.open_session(session.mode)
        assert isinstance(other, LastingSession)
        await session.fork_into(other)
        return other

    def _keeper(self, mode: str) -> Keeper:
        if mode not in self._keepers:
            if mode == "exact":
                self._keepers[mode] = ExactKeeper(self._workplace)
            else:
                self._keepers[mode] = CarryKeeper(
                    self._workplace, int(self.history_mib * MIB), SAVE_S, elsewhere=self.backend.keeps_parts
                )
        return self._keepers[mode]

    async def _workplace(self) -> Path:
        """Return the directory for the snapshots of this process, which is gone when this process is."""
        async with self._opening:
            if self._home is None or not self._home.exists():
                self._home = await self._processes.home(places.private(places.live()))
            return self._home

    def close_later(self, conversation: Conversation) -> None:
        """Remove a sandbox off the user's path. close() waits for it."""
        task = asyncio.ensure_future(self._close(conversation))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, conversation: Conversation) -> None:
        try:
            await conversation.close()
        except SandboxError as error:
            # Its own deadline removes it; but somebody should know.
            self.log.warning("A sandbox could not be removed: %s", error)

    async def close(self) -> None:
        """End and remove everything. May be called twice."""
        self._closed = True
        while self._sessions:
            await self._sessions.pop().close()
        if self._closing:
            await asyncio.gather(*self._closing, return_exceptions=True)
        await self.backend.close()
        if self._home is not None:
            home, self._home = self._home, None
            with contextlib.suppress(SandboxError):
                await self._processes.forget(home)
        await self._processes.close()

"""The executors that the shims for agent frameworks stand on."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .. import settings
from ..errors import ConfigurationError
from ..lasting import LastingSession
from ..portal import Portal
from ..runner import Runner
from ..session import Session
from .result import Result, run_snippet
from .session import AgentSession, SyncAgentSession

if TYPE_CHECKING:
    from typing_extensions import Self


class SandboxExecutor:
    """Runs each snippet in a fresh sandbox that keeps nothing. Belongs to one event loop; runs may overlap.

    ``settings`` are those of the runner and of the chosen backend by their names, for example ``timeout_s=10``,
    ``memory_mib=512``, ``image="..."``.
    """

    def __init__(self, backend: str = "local", *, config: Any = None, **settings_: Any) -> None:
        self._config = config if config is not None else settings.from_keywords(backend, settings_)
        self._runner: Runner | None = None
        self._session: Session | None = None
        self._closed = False

    async def run(
        self,
        code: str,
        files: Mapping[str, bytes | str] | None = None,
        timeout_s: float | None = None,
        on_stream: Callable[[str, str], None] | None = None,
    ) -> Result:
        """Run ``code`` with ``files`` in its working directory and return what came of it.

        What the snippet does wrong is in the result. Raises BackendUnavailable, SandboxRefused, SandboxLost,
        GuestProtocolError or ConfigurationError for the rest. Cancelling the call ends the snippet. ``on_stream`` gets
        ``("stdout" | "stderr", text)`` as it comes.
        """
        return await run_snippet(self._open(), code, files, timeout_s, on_stream)

    def _open(self) -> Session:
        if self._closed:
            raise ConfigurationError("This executor is closed.", "Make another.")
        if self._session is None:
            self._runner = Runner(config=self._config)
            self._session = self._runner.open_session("fresh")
        return self._session

    def session(self) -> AgentSession:
        """Begin a session: what one run() makes is there in the next. State is kept as the settings say."""
        self._open()
        assert self._runner is not None
        state = self._runner.state
        opened = self._runner.open_session(None if state != "fresh" else self._runner.backend.modes[0])
        assert isinstance(opened, LastingSession)
        return AgentSession(self._runner, opened)

    async def standing_by(self) -> None:
        """Return when the sandboxes that ``standby`` says are started ahead wait for a snippet, or will not be had."""
        session = self._open()
        session.prepare()
        await session.standing_by()

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in all snippets that run now, and end those that go on; the outcome is ``interrupted``."""
        if self._session is not None:
            await self._session.interrupt()

    async def close(self) -> None:
        """End and remove everything. May be called twice."""
        self._closed = True
        runner, self._runner, self._session = self._runner, None, None
        if runner is not None:
            await runner.close()

    async def __aenter__(self) -> Self:
        self._open().prepare()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


class SyncSandboxExecutor:
    """The same for callers without an event loop, and from any thread."""

    def __init__(self, backend: str = "local", *, config: Any = None, **settings_: Any) -> None:
        self._executor = SandboxExecutor(backend, config=config, **settings_)
        self._portal = Portal()
        self._finalizer = weakref.finalize(self, _close, self._executor, self._portal)
        # atexit is too late: concurrent.futures has ended its threads by then, and closing connections needs some. It uses
        # this hook itself, last registered is first called, and asyncio has imported it before us.
        threading._register_atexit(self._finalizer)  # type: ignore[attr-defined]  # noqa: SLF001

    def run(
        self,
        code: str,
        files: Mapping[str, bytes | str] | None = None,
        timeout_s: float | None = None,
        on_stream: Callable[[str, str], None] | None = None,
    ) -> Result:
        """See :meth:`SandboxExecutor.run`. ``on_stream`` is called on another thread."""
        return self._portal.call(self._executor.run(code, files, timeout_s, on_stream))

    def session(self) -> SyncAgentSession:
        """See :meth:`SandboxExecutor.session`."""

        async def begin() -> AgentSession:  # On its loop, which all of it belongs to.
            return self._executor.session()

        return SyncAgentSession(self._portal, self._portal.call(begin()))

    def standing_by(self) -> None:
        """See :meth:`SandboxExecutor.standing_by`."""
        self._portal.call(self._executor.standing_by())

    def interrupt(self) -> None:
        """See :meth:`SandboxExecutor.interrupt`."""
        self._portal.call(self._executor.interrupt())

    def close(self) -> None:
        """End and remove everything. May be called twice."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _close(executor: SandboxExecutor, portal: Portal) -> None:
    portal.close(executor.close())

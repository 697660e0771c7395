"""Sessions of an executor: what one snippet makes is there in the next."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

from .. import policy
from ..errors import ConfigurationError
from ..lasting import SAID, LastingSession
from ..portal import Portal
from ..runner import Runner
from ..state.history import Point
from .result import Result, run_snippet
from .words import for_programs, told_to_programs

if TYPE_CHECKING:
    from typing_extensions import Self

#: Names in one notice.
MOST_NAMES = 20


class AgentSession:
    """A session of an executor: its runs see what earlier ones made, it can go back, and it can be forked.

    Attributes:
        notices: Sentences about the state that somebody should read: what could not be saved or carried, and why; what
            functions of ``sandbox_session.on_fork`` printed and raised. What a run left is told when its state has been
            taken, at the latest when the next run begins.
    """

    def __init__(self, runner: Runner, session: LastingSession) -> None:
        self._runner = runner
        self._session = session
        self.notices: list[str] = []
        self._told: dict[str, str] = {}
        #: Held by each call: what was asked first is done first, whatever it has to wait for before it begins.
        self._order = asyncio.Lock()
        session.tell = self._tell
        session.kept = self._note

    @property
    def id(self) -> str:
        """Its id; ``sandbox_session.id`` in the sandbox."""
        return self._session.id

    @contextlib.asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[LastingSession]:
        async with self._order:
            if self._session.closed:
                raise ConfigurationError("This session is closed.", "Open another.")
            with told_to_programs():
                yield self._session

    def _tell(self, sentence: str) -> None:
        text = policy.clean_text(sentence)
        self.notices.append(text if text.startswith(SAID) else for_programs(text))  # What it said is not ours to reword.

    def _note(self, point: Point) -> None:
        """Tell of what a run's state lacks, of each once."""
        lost = dict(_lost(point))
        new = [f"{name}: {why}" for name, why in lost.items() if self._told.get(name) != why]
        self._told = lost
        if new:
            more = f"; and {len(new) - MOST_NAMES} more" if len(new) > MOST_NAMES else ""
            self.notices.append(f"Not carried into the next run: {'; '.join(new[:MOST_NAMES])}{more}")

    async def not_carried(self) -> list[tuple[str, str]]:
        """Return the names that the next run will not have, and why; waits until the state of the last one is taken."""
        async with self._in_turn() as session:
            await session.settled()
            point = session.head()
            return [] if point is None else _lost(point)

    async def run(
        self,
        code: str,
        files: Mapping[str, bytes | str] | None = None,
        timeout_s: float | None = None,
        on_stream: Callable[[str, str], None] | None = None,
    ) -> Result:
        """See :meth:`SandboxExecutor.run`. The state after a run that ended by itself is there in the next."""
        async with self._in_turn() as session:
            # A name of its own each: tracebacks through earlier runs show the lines of those.
            name = f"snippet {session.count + 1}"
            return await run_snippet(session, code, files, timeout_s, on_stream, name)

    async def fork(self) -> AgentSession:
        """Return a new session with this one's state; from now on they are independent. Raises StateNotSaved."""
        async with self._in_turn() as session:
            return AgentSession(self._runner, await self._runner.fork(session))

    async def undo(self, runs: int = 1) -> None:
        """Take back a number of runs, at least 1. Raises StateUnusable, or ConfigurationError for what is no such number."""
        if isinstance(runs, bool) or not isinstance(runs, int) or runs < 1:
            raise ConfigurationError(f"{runs!r} is no number of runs to take back.", "Use: session.undo(2)")
        async with self._in_turn() as session:
            await session.undo(runs)

    async def rewind(self, run: int) -> None:
        """Go to the state after a run, counted from 1; 0 is the beginning. Raises StateUnusable."""
        async with self._in_turn() as session:
            await session.rewind(run)

    async def save(self, name: str) -> None:
        """Save the state under a name; it outlives this process. Raises StateNotSaved or StateUnusable."""
        async with self._in_turn() as session:
            await session.save(name)

    async def load(self, name: str) -> None:
        """Go on from a saved session, as a new life of it. Raises StateUnusable."""
        async with self._in_turn() as session:
            await session.load(name)

    async def interrupt(self) -> None:
        """Raise KeyboardInterrupt in what runs now, and end it when it goes on; its outcome is ``interrupted``."""
        await self._session.interrupt()

    async def close(self) -> None:
        """End it. May be called twice; the executor's close() does it too."""
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()


def _lost(point: Point) -> list[tuple[str, str]]:
    return [(policy.clean_word(name), policy.clean_word(why, 300)) for name, why in point.snapshot.lost]


class SyncAgentSession:
    """The same for callers without an event loop; see :class:`AgentSession` for what each method does and raises."""

    def __init__(self, portal: Portal, session: AgentSession) -> None:
        self._portal = portal
        self._session = session

    @property
    def id(self) -> str:
        """See :class:`AgentSession`."""
        return self._session.id

    @property
    def notices(self) -> list[str]:
        """See :class:`AgentSession`."""
        return self._session.notices

    def run(
        self,
        code: str,
        files: Mapping[str, bytes | str] | None = None,
        timeout_s: float | None = None,
        on_stream: Callable[[str, str], None] | None = None,
    ) -> Result:
        """See :meth:`AgentSession.run`. ``on_stream`` is called on another thread."""
        return self._portal.call(self._session.run(code, files, timeout_s, on_stream))

    def not_carried(self) -> list[tuple[str, str]]:
        """See :meth:`AgentSession.not_carried`."""
        return self._portal.call(self._session.not_carried())

    def fork(self) -> SyncAgentSession:
        """See :meth:`AgentSession.fork`."""
        return SyncAgentSession(self._portal, self._portal.call(self._session.fork()))

    def undo(self, runs: int = 1) -> None:
        """See :meth:`AgentSession.undo`."""
        self._portal.call(self._session.undo(runs))

    def rewind(self, run: int) -> None:
        """See :meth:`AgentSession.rewind`."""
        self._portal.call(self._session.rewind(run))

    def save(self, name: str) -> None:
        """See :meth:`AgentSession.save`."""
        self._portal.call(self._session.save(name))

    def load(self, name: str) -> None:
        """See :meth:`AgentSession.load`."""
        self._portal.call(self._session.load(name))

    def interrupt(self) -> None:
        """See :meth:`AgentSession.interrupt`."""
        self._portal.call(self._session.interrupt())

    def close(self) -> None:
        """See :meth:`AgentSession.close`."""
        self._portal.call(self._session.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

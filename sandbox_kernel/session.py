"""One notebook's life, or one agent's: a chain of cells, each in a sandbox of its own. Here: nothing is kept between them."""

from __future__ import annotations

import dataclasses
import functools
import secrets
from collections.abc import Callable
from typing import Any

from .backends.base import Backend, Request
from .conversation import Conversation
from .errors import ConfigurationError, StateUnusable
from .execution import Execution
from .guest import wire
from .limits import Limits, is_amount
from .outline import Outline, Outlines
from .standby import NONE, Setup, Standbys, Terms
from .state.exact import BaseImages


class Session:
    """Numbers the cells and knows those that run. Its id names every object that is made for it.

    Cells may overlap: each begins in a new sandbox, which comes from a base image where there are such.
    """

    mode = "fresh"

    def __init__(
        self,
        backend: Backend,
        bases: BaseImages,
        limits: Callable[[], Limits],
        timeout_s: Callable[[], float | None],
        close_later: Callable[[Conversation], None],
        terms: Terms = NONE,
    ) -> None:
        self.id = secrets.token_hex(5)
        self._backend = backend
        self._bases = bases
        self._limits = limits
        self._timeout_s = timeout_s
        self._close_later = close_later
        self._count = 0
        self._sandboxes = 0
        self._running: set[Execution] = set()
        self._closed = False
        #: What the namespace holds, for who completes and explains names; with ``wanted`` cells tell it at their end.
        self.outlines = Outlines()
        self._newest_conversation: Conversation | None = None
        #: The sandbox of the last cell, which may still be telling what it holds.
        self._told_by: Conversation | None = None
        self._terms = terms
        self._standbys = Standbys(terms, self._next_setup, self._start_ahead, close_later)

    def pid(self) -> int | None:
        """Return the process below which all of the newest sandbox is. None: there is none on this machine."""
        newest = self._newest_conversation
        return None if newest is None or newest.ended or newest.sandbox is None else newest.sandbox.pid

    @property
    def closed(self) -> bool:
        """Whether close() was called."""
        return self._closed

    async def outline(self) -> Outline:
        """Return what the namespace held after the last cell, as its guest told. Empty unless ``outlines.wanted``."""
        if self._told_by is not None:
            await self._told_by.wait_told()
        return self.outlines.now

    @property
    def count(self) -> int:
        """How many cells were run, or wait to be."""
        return self._count

    def run(self, code: str, *, timeout_s: float | None = None, label: str | None = None, **options: Any) -> Execution:
        """Return the execution of one cell; iterate it to run it.

        ``timeout_s`` None means the setting, infinity no limit. ``label`` is what the user
        calls the cell; None: its number in the session. The other options are those of
        :class:`.guest.wire.Cell`. Raises ConfigurationError for what cannot be a cell, or when the session is closed.
        """
        if self._closed:
            raise ConfigurationError("This session is closed.", "Open another.")
        if not isinstance(code, str):
            raise ConfigurationError(f"The code of a cell is text, not {type(code).__name__}.", "Decode it first.")
        self._count += 1
        limits = self._limits()
        limit_s = self._timeout_s() if timeout_s is None else timeout_s
        if limit_s == float("inf"):
            limit_s = None
        if limit_s is not None and not is_amount(limit_s):
            raise ConfigurationError(f"{limit_s!r} cannot be a timeout.", "It is a number of seconds, 0 or more.")
        options["outline"] = self.outlines.known()
        cell = wire.Cell(
            self._count,
            code,
            timeout_s=limit_s,
            grace_s=limits.grace_s,
            answer_s=limits.answer_s,
            output_bytes=limits.output_bytes,
            **options,
        )
        longest_s = limits.longest_s(limit_s, stdin=cell.stdin)
        execution = Execution(
            cell,
            limits,
            functools.partial(self._acquire, limits, longest_s),
            self._ended,
            rolls_back=self.mode != "fresh",
            preparing=self._preparing,
            acquire_again=functools.partial(self._acquire_again, limits, longest_s),
        )
        execution.label = str(self._count) if label is None else label
        self._running.add(execution)
        return execution

    async def _acquire(self, limits: Limits, timeout_s: float | None) -> Conversation:
        """Return a sandbox for one cell."""
        conversation = await self._standbys.first(self._take_or_start(limits, timeout_s))
        # Not now: what starts would be in the way of what is delivered.
        conversation.began.add_done_callback(lambda _: self.prepare())
        return conversation

    async def _take_or_start(self, limits: Limits, timeout_s: float | None) -> Conversation:
        conversation = await self._standbys.take(self._setup(limits, timeout_s))
        return conversation or await self._start(self._request(limits, timeout_s))

    async def _acquire_again(self, limits: Limits, timeout_s: float | None, lost: Conversation) -> Conversation:
        """Return another sandbox for a cell; ``lost``, which was started ahead, ended without having taken it."""
        self._close_later(lost)
        return await self._standbys.first(self._start(self._request(limits, timeout_s)))

    def _preparing(self) -> str:
        """Say in a sentence what is done before there is a sandbox."""
        if self._bases.making:
            return "The image that sandboxes start from is being made, once for these settings."
        return "A sandbox is being started."

    def prepare(self) -> None:
        """Start ahead what the settings say. The next cell does it too."""
        self._standbys.fill()

    async def standing_by(self) -> None:
        """Return when what is started ahead waits for its cell, or will not be had."""
        await self._standbys.ready()

    def _setup(self, limits: Limits, timeout_s: float | None) -> Setup:
        return Setup(limits, timeout_s, self._terms.backend())

    def _next_setup(self) -> Setup:
        limits = self._limits()
        return self._setup(limits, limits.longest_s(self._timeout_s(), stdin=True))

    async def _start_ahead(self, setup: Setup, idle_s: float) -> Conversation:
        return await self._start(dataclasses.replace(self._request(setup.limits, setup.timeout_s), idle_s=idle_s))

    def _request(self, limits: Limits, timeout_s: float | None) -> Request:
        self._sandboxes += 1
        return Request(self.id, self._sandboxes, limits, timeout_s, self.mode)

    async def _start(self, request: Request) -> Conversation:
        """Start a sandbox; one without a snapshot of its own from the base image, when there is one that is good."""
        base = await self._bases.get(request) if request.snapshot is None and request.mode != "carry" else None
        if base is not None:
            try:
                return await self._open(dataclasses.replace(request, snapshot=base, anew=True))
            except StateUnusable:
                self._bases.forget(base)
        return await self._open(request)

    def _converse(self, request: Request) -> Conversation:
        return self._listen(Conversation(self._backend, request))

    def _listen(self, conversation: Conversation) -> Conversation:
        conversation.outlined = self.outlines.hear
        self._newest_conversation = conversation
        return conversation

    async def _open(self, request: Request) -> Conversation:
        conversation = self._converse(request)
        try:
            await conversation.open()
            await self._wait_restored(conversation)
        except BaseException:
            self._close_later(conversation)
            raise
        return conversation

    async def _wait_restored(self, conversation: Conversation) -> None:
        """Return when what was restored goes on. Raises StateUnusable when it does not."""
        sandbox = conversation.sandbox
        assert sandbox is not None
        if sandbox.restored and not await conversation.wait_ready(conversation.request.limits.start_s):
            if isinstance(conversation.problem, StateUnusable):
                raise conversation.problem
            why = (await sandbox.ending()).reason if conversation.ended else "It did not answer."
            raise StateUnusable(f"It could not be restored: {why}", damaged=True)

    def _ended(self, execution: Execution) -> None:
        self._running.discard(execution)
        self._told_by = execution.conversation
        if execution.conversation is not None:
            self._close_later(execution.conversation)

    async def look(self, what: str, subject: str, within_s: float) -> str | None:
        """Ask the sandbox that waits for the next cell of one thing, see :class:`.guest.messages.Look`.

        None: there is no answer in time, or a cell runs, or nothing of the session waits.
        """
        del what, subject, within_s
        return None

    async def interrupt(self) -> None:
        """Interrupt what runs now: see Execution.interrupt()."""
        for execution in list(self._running):
            await execution.interrupt()

    async def close(self) -> None:
        """End the session, and what runs in it at once. May be called twice."""
        self._closed = True
        for execution in list(self._running):
            await execution.end()
        await self._standbys.close()

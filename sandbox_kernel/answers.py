"""The kernel's answers to what a front end asks while somebody types: completion, inspection, history, and the like.

They are given at once, also while a cell runs. ipykernel has all requests of the shell channel wait for the cell; these it
need not, because nothing of them happens in the sandbox: they are answered in the thread that reads the channel, from what
the guest told at the end of the last cell (:mod:`.outline`) and from the cells' sources.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from typing import Any

from ipykernel.kernelbase import Kernel
from traitlets import Dict, List

from . import commands, completeness, completion, inspection, policy
from .errors import SandboxError
from .guest import wire
from .histories import Histories
from .limits import MIB
from .outline import Outline
from .runner import Runner
from .session import Session
from .sources import Jedi, Sources
from .usage import Meter, memory_bytes

AT_ONCE = ("complete_request", "inspect_request", "is_complete_request", "history_request")
#: How long jedi is waited for: when there is an answer without it, and when there is none.
SOON_S = 0.15
LONG_S = 1.0
#: How long the sandbox is waited for that waits itself; after a cell it may be on its way.
LOOK_S = 0.8
MOST_SUBJECT = 1000
#: How long after a cell jedi learns: what starts the next sandbox comes first. How many types, and for how long each.
LEARN_AFTER_S = 0.5
MOST_LEARNED = 3
LEARN_S = 15.0
_KNOWN = ("builtins.", "__main__.")
#: For IPython's rules of what is a whole cell.
RULES_S = 1.0

_LINKS = (
    ("Python", "https://docs.python.org/3"),
    ("IPython", "https://ipython.readthedocs.io/en/stable/"),
    ("NumPy", "https://numpy.org/doc/stable/"),
    ("pandas", "https://pandas.pydata.org/docs/"),
    ("Matplotlib", "https://matplotlib.org/stable/"),
    ("gVisor", "https://gvisor.dev/docs/"),
)


class Answers(Kernel):
    """What a kernel answers without its sandbox. Who inherits has the session."""

    help_links = List(Dict(), [{"text": text, "url": url} for text, url in _LINKS])

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self._histories = Histories()
        self._sources = Sources()
        self._meter = Meter()
        self._jedi: Jedi | None = None
        #: The types that jedi was asked about ahead.
        self._learned: set[str] = set()
        self._runner: Runner | None = None
        self._sandbox_session: Session | None = None
        #: That which cells run in; None before the session is opened.
        self._main_loop: asyncio.AbstractEventLoop | None = None

    def _session(self) -> Session:
        """Return the session, opened when there is none. Called in the main loop."""
        raise NotImplementedError

    def note_cell(self, code: str, count: int, *, stored: bool) -> None:
        """Called before a cell runs."""
        self._sources.add(code)
        if stored:
            self._histories.add(count, code)

    def note_event(self, event: wire.Event, count: int) -> None:
        """Called with what a cell says."""
        text = event.data.get("text/plain") if isinstance(event, wire.Result) else None
        if isinstance(text, str):
            self._histories.result(count, policy.clean_text(text))

    # -- at once

    async def shell_channel_thread_main(self, msg: Any) -> None:
        """Take a message of the shell channel, in the thread of that name."""
        message = self._message_for_us(msg)
        if message is None:
            await super().shell_channel_thread_main(msg)  # type: ignore[no-untyped-call]
            return
        idents, request = message
        self._publish_status("busy", "shell", parent=request)  # type: ignore[no-untyped-call]
        try:
            await self.shell_handlers[request["header"]["msg_type"]](self.shell_stream, idents, request)
        except Exception:
            self.log.exception("No answer to %s", request["header"]["msg_type"])
        self._publish_status("idle", "shell", parent=request)  # type: ignore[no-untyped-call]
        self.io_loop.add_callback(self._say_busy_again)

    def _message_for_us(self, msg: Any) -> tuple[Any, dict[str, Any]] | None:
        if self.session is None:
            return None
        idents, frames = self.session.feed_identities(msg, copy=False)
        try:
            header = self.session.deserialize(frames, content=False, copy=False)["header"]
            if header["msg_type"] not in AT_ONCE or header.get("subshell_id") is not None:
                return None
            return idents, self.session.deserialize(frames, content=True, copy=False)
        except Exception:  # noqa: BLE001 - whatever is wrong with it, the base class says so
            return None

    def _say_busy_again(self) -> None:
        """Front ends show the state that was said last; while a cell runs it is busy. Runs where the cell's idle is said."""
        if self._main_asyncio_lock.locked():
            self._publish_status("busy", "shell")  # type: ignore[no-untyped-call]

    # -- answers

    async def do_complete(self, code: str, cursor_pos: int | None) -> dict[str, Any]:
        """See Jupyter's complete_request."""
        cursor = _within(code, cursor_pos)
        asked = completion.question(code, cursor)
        if asked.kind == "path":
            said = await self._ask_sandbox("paths", completion.path_asked(asked), LOOK_S)
            return completion.reply(asked, cursor, completion.of_paths(asked, said))
        outline = await self._outline()
        words = commands.NAMES
        if asked.kind == "word":
            words = tuple(await asyncio.to_thread(commands.choices, asked.subject, self._sandbox_session))
        known = completion.answer(asked, outline, words)
        if known is None and asked.subject and asked.kind in ("attribute", "key"):
            return completion.reply(asked, cursor, await self._of_value(asked, code, cursor))
        proposals = known or []
        if asked.kind == "name" and self._main_asyncio_lock.locked():  # Of what runs nobody has told yet.
            proposals = [*proposals, *completion.made_by(self._sources.newest(), asked)]
        if asked.kind == "name" and asked.subject and not completion.signature(asked.subject, outline):
            said = await self._ask_sandbox("name", asked.subject, SOON_S)
            proposals = [*completion.arguments(said), *proposals]
        if asked.kind == "name" or known is None:
            has = any(proposal.text.startswith(asked.prefix) for proposal in proposals)
            source = self._sources.before(code, cursor, alone=asked.kind == "name")
            of_modules = asked.kind in ("from", "import")
            found = await self._ask_jedi("complete", source, SOON_S if has else LONG_S, of_modules=of_modules)
            proposals = [*proposals, *_proposals(found)]
        return completion.reply(asked, cursor, proposals)

    async def _of_value(self, asked: completion.Question, code: str, cursor: int) -> list[completion.Proposal]:
        """Return what the sandbox that waits knows of an expression, else what jedi does, in the time that jedi may take."""
        looking = asyncio.ensure_future(self._ask_sandbox("members", asked.subject, LOOK_S))
        await asyncio.wait({looking}, timeout=SOON_S)
        known = completion.of_guest(asked, looking.result()) if looking.done() else None
        found = None
        if known is None and asked.kind == "attribute":
            found = await self._ask_jedi("complete", self._sources.before(code, cursor), LONG_S)
        known = completion.of_guest(asked, await looking) if known is None else known
        return _proposals(found) if known is None else known

    async def do_inspect(
        self, code: str, cursor_pos: int | None, detail_level: int = 0, omit_sections: Any = ()
    ) -> dict[str, Any]:
        """See Jupyter's inspect_request."""
        cursor = _within(code, cursor_pos)
        magic = inspection.magic(code, cursor)
        path = inspection.subject(code, cursor)
        if magic or not path:
            return inspection.reply(self._of_magic(magic) if magic else None, set(omit_sections))
        found = inspection.from_guest(path, await self._ask_sandbox("name", path, LOOK_S))
        if found is None:
            found = await self._without_sandbox(code, cursor, path)
        source = self._sources.definition(path) if detail_level else ""
        if source:
            found = {**(found or {}), "Docstring": "", "Source": source}
        return inspection.reply(found, set(omit_sections))

    def _of_magic(self, magic: str) -> dict[str, str] | None:
        return {"Docstring": commands.USAGE} if magic == "%sandbox" else inspection.of_magic(magic)

    async def _without_sandbox(self, code: str, cursor: int, path: str) -> dict[str, str] | None:
        """Return what is known of a name while a cell runs."""
        found = inspection.facts(path, await self._outline())
        if found is None or ("." in path and "\n" not in found.get("Docstring", "")):
            before = code[: code.rfind("\n", 0, cursor) + 1] + path
            said = await self._ask_jedi("explain", self._sources.before(before, len(before)), LONG_S)
            found = inspection.with_jedi(path, found, said)
        return inspection.cut(found)

    async def do_is_complete(self, code: str) -> dict[str, Any]:
        """See Jupyter's is_complete_request."""
        try:
            return await asyncio.wait_for(asyncio.to_thread(completeness.is_complete, code), RULES_S)
        except asyncio.TimeoutError:
            return {"status": "unknown"}

    async def do_history(self, hist_access_type: str, output: bool = False, *_: Any, **asked: Any) -> dict[str, Any]:
        """See Jupyter's history_request."""
        return {"status": "ok", "history": self._histories.answer(hist_access_type, output, **asked)}

    async def usage_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Tell what the sandbox takes; what is not known is left out. Comes on the control thread."""
        assert self.session is not None
        self.session.send(stream, "usage_reply", self._usage(), parent, ident)

    def _usage(self) -> dict[str, Any]:
        said: dict[str, Any] = {"hostname": socket.gethostname(), "pid": os.getpid()}
        runner, session = self._runner, self._sandbox_session
        if runner is None or session is None:
            return said
        limit = runner.memory_mib * MIB
        said["cpu_count"] = max(1, -(-runner.cpu_millis // 1000))
        said["host_virtual_memory"] = {"total": limit}
        pid = session.pid()
        if pid is not None:
            used = memory_bytes(pid)
            said["kernel_memory"], said["kernel_cpu"] = used, self._meter.percent(pid)
            said["host_virtual_memory"].update(
                used=used, available=max(0, limit - used), free=max(0, limit - used), percent=round(100 * used / limit, 1)
            )
        return said

    def learn_soon(self) -> None:
        """Called after a cell that somebody looks at: have jedi read what the next questions will likely be about.

        Its first look at a package takes seconds, which is longer than front ends wait for an answer.
        """
        if self._same_packages():
            self._loop().call_later(LEARN_AFTER_S, lambda: asyncio.ensure_future(self._learn()))

    async def _learn(self) -> None:
        outline = await self._outline()
        new = {
            variable.of: name
            for name, variable in outline.names.items()
            if variable.kind == "instance" and not variable.of.startswith(_KNOWN)
        }
        for kind in [kind for kind in new if kind not in self._learned][:MOST_LEARNED]:
            if self._main_asyncio_lock.locked():  # A cell runs, and has the processor.
                return
            self._learned.add(kind)
            code = new[kind] + "."
            with contextlib.suppress(SandboxError):
                await self._jedi_answer("learn", self._sources.before(code, len(code)), LEARN_S, of_modules=True)

    # -- where they come from

    async def _outline(self) -> Outline:
        """Return it when that of the last cell has come: it comes after the reply."""
        session = self._sandbox_session
        if session is None or self._main_loop is None:
            return Outline()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(session.outline(), self._main_loop))

    def _same_packages(self) -> bool:
        """Whether the cells' interpreter is this one, so that its packages are what jedi reads."""
        runner = self._runner
        return runner is not None and runner.backend_name == "local" and not getattr(runner.backend, "python", "")

    async def _ask_sandbox(self, what: str, subject: str, within_s: float) -> Any:
        """Return what the sandbox that waits says of one thing; None when it does not. It is a guest's word."""
        session = self._sandbox_session
        if session is None or self._main_loop is None or len(subject) > MOST_SUBJECT:
            return None
        asking = asyncio.run_coroutine_threadsafe(session.look(what, subject, within_s), self._main_loop)
        with contextlib.suppress(asyncio.TimeoutError, SandboxError, ValueError, RecursionError):
            text = await asyncio.wait_for(asyncio.wrap_future(asking), within_s + SOON_S)
            return None if text is None or len(text) > MIB else json.loads(text)
        return None

    def _loop(self) -> asyncio.AbstractEventLoop:
        """Return the main loop."""
        loop: asyncio.AbstractEventLoop = self.io_loop.asyncio_loop  # type: ignore[attr-defined]
        return loop

    async def _ask_jedi(self, do: str, source: tuple[str, int, int], within_s: float, *, of_modules: bool = False) -> Any:
        """Return jedi's answer, which is asked in the main loop; None when there is none in time.

        ``of_modules``: it is about what can be imported, of which jedi knows the host's alone.
        """
        answer = self._jedi_answer(do, source, within_s, of_modules=of_modules)
        asking = asyncio.run_coroutine_threadsafe(answer, self._loop())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(asking), within_s + SOON_S)
        except (asyncio.TimeoutError, SandboxError):
            return None

    async def _jedi_answer(self, do: str, source: tuple[str, int, int], within_s: float, *, of_modules: bool) -> Any:
        if self._runner is None and self._main_loop is not None:
            return None  # The kernel is shutting down.
        self._session()
        assert self._runner is not None
        if of_modules and not self._same_packages():
            return None
        if self._jedi is None:
            self._jedi = Jedi(self._runner.programs)
        return await self._jedi.ask(do, source, within_s)


def _within(code: str, cursor: int | None) -> int:
    return len(code) if cursor is None else max(0, min(cursor, len(code)))


def _proposals(said: Any) -> list[completion.Proposal]:
    rows = said if isinstance(said, list) else []
    return [completion.Proposal(str(text), str(kind), str(signature)) for text, kind, signature in rows]

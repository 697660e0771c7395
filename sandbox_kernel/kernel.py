"""The Jupyter kernel: requests to cells, events to messages. It knows no backend."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from typing import Any

from ipykernel.iostream import OutStream
from ipykernel.kernelapp import IPKernelApp
from jupyter_core.paths import jupyter_config_path
from traitlets import Type

from . import __version__, commands, iopub, outcomes, pace, policy, progress
from .answers import Answers
from .backends.kubernetes import KubernetesBackend
from .backends.runsc import LocalBackend
from .comms import CommHandlers, Comms
from .errors import ConfigurationError, SandboxError
from .execution import Execution
from .guest import wire
from .lasting import LastingSession
from .output_policy import OutputPolicy
from .questions import Questions
from .runner import Runner
from .session import Session

#: jupyter_client waits half of its five seconds for a shutdown before it sends SIGTERM.
SHUTDOWN_S = 2.0
_MOUNT_ADVICE = "To show it there, set LocalBackend.mounts, for example --LocalBackend.mounts=.:/home/sandbox/files:ro"


class SandboxKernel(CommHandlers, Answers):
    """Runs each cell in a sandbox of its own."""

    implementation = "sandbox-kernel"
    implementation_version = __version__
    banner = "Python in gVisor: every cell runs in its own sandbox."
    language_info = {  # noqa: RUF012 - the base class declares it so
        "name": "python",
        "mimetype": "text/x-python",
        "file_extension": ".py",
        "pygments_lexer": "ipython3",
        "codemirror_mode": {"name": "ipython", "version": 3},
        "nbconvert_exporter": "python",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._pace: pace.Pace | None = None
        self._ended = False
        self._background = self._outlet({}, silent=True)
        self._rules = OutputPolicy(parent=self).policy()
        self._questions: Questions | None = None

    @property
    def kernel_info(self) -> dict[str, Any]:
        """As the base class makes it, without what it promises on our behalf: a debugger and subshells."""
        return {**super().kernel_info, "supported_features": []}

    # -- cells

    async def do_execute(
        self,
        code: str,
        silent: bool,
        store_history: bool = True,
        user_expressions: dict[str, str] | None = None,
        allow_stdin: bool = False,
        *,
        cell_meta: dict[str, Any] | None = None,
        cell_id: str | None = None,
    ) -> dict[str, Any]:
        """Run a cell and return the reply."""
        count = self.execution_count
        reply = iopub.Reply(user_expressions or {})
        if code.strip():
            self.note_cell(code, count, stored=store_history and not silent)
            # Whoever shows cells to a person names the cell and lets it ask.
            watched = allow_stdin and not silent and cell_id is not None
            before = self._background
            self._background = self._outlet(self.get_parent("shell"), silent, watched=watched)  # type: ignore[no-untyped-call]
            self._questions = self._asking() if allow_stdin else None
            options = {
                "silent": silent,
                "store_history": store_history,
                "expressions": reply.asked,
                "stdin": self._questions is not None,
            }
            await self._run(code, count, reply, options, watched=watched)
            if self._pace is not None:
                await self._pace.wait_sent()
                self.learn_soon()
            if silent:  # Nobody looks there for what threads of the user's cells go on to say.
                self._background = before
        if not silent and not (store_history and code.strip()):
            self.execution_count -= 1  # The base class counts every request; IPython only what goes into its history.
        return {**reply.content(), "execution_count": count}

    async def _run(self, code: str, count: int, reply: iopub.Reply, options: dict[str, Any], *, watched: bool) -> None:
        """Run one cell and show what it says."""
        outlet = self._background
        try:
            orders, code = commands.split(code)
            for words in orders:
                outlet.put(("stream", {"name": "stdout", "text": await commands.run(self._session(), words) + "\n"}))
            await self.follow(outlet)
            if code.strip():
                options = {**options, "name": f"Cell In[{count}]", "notebook": True, "count": count}
                execution = self._session().run(code, label=str(count), parent=outlet.parent_id, **options)
                with progress.shown(execution.waiting_for, outlet, wanted=watched):
                    await self._run_cell(execution, count, outlet, reply)
                await self.follow(outlet)
        except SandboxError as error:
            said = wire.Error(type(error).__name__, str(error), [f"{type(error).__name__}: {error}"])
            reply.take(said)
            outlet.put(("error", iopub.error(said)))
        finally:
            if self._questions is not None:
                self._questions.close()
        outlet.flush()

    def _asking(self) -> Questions:
        """Return what asks the front end that sent the request which is being answered."""
        ident = self._get_shell_context_var(self._shell_parent_ident)
        return Questions(self.session, self.stdin_socket, self.get_parent("shell"), ident)  # type: ignore[no-untyped-call]

    async def _run_cell(self, execution: Execution, count: int, outlet: iopub.Outlet, reply: iopub.Reply) -> None:
        questions, widgets = self._questions, self.comms.open

        async def answer(text: str | None) -> None:
            try:
                await execution.answer(text)
            except ConfigurationError as error:
                self._tell(str(error))
                await execution.answer(None)

        async for event in execution:
            if isinstance(event, wire.InputRequest) and questions is not None:
                outlet.flush()
                questions.ask(event, answer)
            if isinstance(event, wire.Error):
                event = self._with_hint(event)
            reply.take(event)
            self.note_event(event, count)
            self._show(event, outlet)
        self.comms.settle(execution, widgets)

    def _show(self, event: wire.Event, outlet: iopub.Outlet) -> None:
        if isinstance(event, wire.Comm):
            self.comms.put(event, outlet)
            return
        message = iopub.message(self.comms.shown(event), self.execution_count, self._rules)
        if message is not None:
            outlet.put(message)

    def _outlet(self, parent: dict[str, Any], silent: bool, *, watched: bool = False) -> iopub.Outlet:
        """Return what sends messages about one cell, also when it has ended: its threads may go on to print.

        Without a parent nobody is told; of a silent cell all but its value.
        """

        def send(kind: str, content: dict[str, Any], **more: Any) -> None:
            if parent and not (silent and kind == "execute_result") and self.session is not None:
                topic = self._topic(kind)  # type: ignore[no-untyped-call]
                self.session.send(self.iopub_socket, kind, content, parent=parent, ident=topic, **more)

        self._pace = pace.Pace(send) if watched else None
        return iopub.Outlet(send if self._pace is None else self._pace.send, parent.get("header", {}).get("msg_id", ""))

    def _session(self) -> Session:
        if self._sandbox_session is None:
            self._main_loop = asyncio.get_running_loop()
            self._runner = Runner(parent=self)
            session = self._sandbox_session = self._runner.open_session(standby=1)
            self.comms = Comms(self._runner.widgets)
            if isinstance(session, LastingSession):
                session.outlines.wanted = True
                session.background = self._show_later
                session.tell = self._tell
                session.mark, session.moved = lambda: self.comms.open, self.comms.go_to
        return self._sandbox_session

    async def kernel_info_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Answer; then there is time to start the first sandbox ahead. It comes on two threads."""
        await super().kernel_info_request(stream, ident, parent)  # type: ignore[no-untyped-call]
        self.io_loop.add_callback(self._prepare)

    async def _prepare(self) -> None:
        if self._sandbox_session is None and not self._ended:
            try:
                self._session().prepare()
            except SandboxError as error:  # The first cell says it to the user.
                self.log.info("No sandbox is started ahead: %s", error)

    def _show_later(self, event: wire.Event) -> None:
        """Show what a thread of an earlier cell says between two cells, with the last one."""
        self._show(event, self._background)

    def _tell(self, sentence: str) -> None:
        self._background.put(("stream", {"name": "stderr", "text": f"[sandbox: {policy.clean_text(sentence)}]\n"}))

    def finish_metadata(self, parent: dict[str, Any], metadata: dict[str, Any], reply_content: Any) -> dict[str, Any]:
        """Name what could not be carried into this cell. Here it disturbs nobody who compares outputs."""
        session = self._sandbox_session
        point = session.head() if isinstance(session, LastingSession) else None
        if point is not None and point.snapshot.lost:
            metadata["sandbox_kernel"] = {
                "not_carried": [[policy.clean_word(name), policy.clean_word(why, 300)] for name, why in point.snapshot.lost]
            }
        return metadata

    def _with_hint(self, error: wire.Error) -> wire.Error:
        hint = outcomes.hint(error.missing, os.listdir(), _MOUNT_ADVICE)
        return wire.Error(error.name, error.value, [*error.traceback, hint]) if hint else error

    # -- the end of a cell

    def pre_handler_hook(self) -> None:
        """Make SIGINT interrupt the cell: the base class would have it raise in the event loop and end the kernel."""
        self.saved_sigint_handler = signal.signal(signal.SIGINT, lambda *_: self._interrupt_soon())

    async def interrupt_request(self, stream: Any, ident: Any, parent: Any) -> None:
        """Interrupt the cell. Comes on the control thread; the base class would signal its process group."""
        self._interrupt_soon()
        assert self.session is not None
        self.session.send(stream, "interrupt_reply", {"status": "ok"}, parent, ident=ident)

    def _interrupt_soon(self) -> None:
        # The session is looked for there: the first cell may be opening it now.
        asyncio.run_coroutine_threadsafe(self._interrupt(), self._main_loop or self._loop())

    async def _interrupt(self) -> None:
        if self._questions is not None:
            self._questions.close()
        if self._pace is not None:
            self._pace.hurry()
        if self._sandbox_session is not None:
            await self._sandbox_session.interrupt()

    async def do_shutdown(self, restart: bool) -> dict[str, Any]:
        """End what runs and leave nothing. Comes on the control thread."""
        self._ended = True
        runner, loop = self._runner, self._main_loop
        self._runner = self._sandbox_session = None
        if runner is not None and loop is not None:
            closing = asyncio.run_coroutine_threadsafe(runner.close(), loop)
            try:
                await asyncio.wait_for(asyncio.wrap_future(closing), SHUTDOWN_S)
            except (asyncio.TimeoutError, SandboxError) as error:
                self.log.warning("Sandboxes are left to the supervisor: %r", error)
        return {"status": "ok", "restart": restart}


class OwnStream(OutStream):
    """The kernel's own stdout or stderr, through which nothing of the user's goes."""

    def flush(self) -> None:
        """Have sent what waits, and wait for nobody.

        At the end the control thread flushes through the IOPub thread, which may be gone by then, while the main thread
        waits for the control thread; the base class waits ten seconds, Jupyter kills after five.
        """
        if not any(held.tell() for held in list(self._buffers.values())):
            return  # As nearly always. The thread has nothing to do, and is not woken while it ends.
        thread = self.pub_thread.thread
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            self.pub_thread.schedule(self._flush)
        else:
            self._flush()  # type: ignore[no-untyped-call]


class SandboxKernelApp(IPKernelApp):
    """The kernel as a program. Reads ``jupyter_sandbox_kernel_config.py`` from Jupyter's configuration directories."""

    name = "jupyter_sandbox_kernel"
    kernel_class = Type(SandboxKernel, config=True, help="The kernel's class.")
    classes = [SandboxKernel, Runner, LocalBackend, KubernetesBackend, OutputPolicy]  # noqa: RUF012

    @property
    def config_file_paths(self) -> list[str]:  # type: ignore[override]
        """Jupyter's own, and not the notebook's folder: a file that lies there would run on the host."""
        return list(jupyter_config_path())

    def init_io(self) -> None:
        """Keep what programs that we start write to our own stderr out of the user's cell."""
        self.capture_fd_output = False
        self.outstream_class = f"{__name__}.{OwnStream.__name__}"
        super().init_io()  # type: ignore[no-untyped-call]

    def init_signal(self) -> None:
        """End in order on SIGTERM, as on a shutdown request."""
        super().init_signal()  # type: ignore[no-untyped-call]
        signal.signal(signal.SIGTERM, lambda *_: self._terminate())

    def _terminate(self) -> None:
        # What we do not get done in time the supervisor does.
        loop = self.io_loop
        loop.add_callback_from_signal(self._stop)

    async def _stop(self) -> None:
        runner = self.kernel._runner  # noqa: SLF001 - one program
        if runner is not None:
            with contextlib.suppress(asyncio.TimeoutError, SandboxError):
                await asyncio.wait_for(runner.close(), SHUTDOWN_S)
        self.io_loop.stop()

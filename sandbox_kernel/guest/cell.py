"""The cell's process: a ``__main__`` of its own in which cells run, with the standard library alone.

What a cell shows goes two ways: text through the pipes (:mod:`.streams`), everything with a type over ``talk``.
"""

from __future__ import annotations

import builtins
import faulthandler
import fcntl
import gc
import io
import os
import resource
import select
import stat
import sys
import types

from . import TYPE_CHECKING, ask, burst, channel, debugging, finding, frames, offline, outline, rich, source, streams, wire
from .comms import Comms
from .errors import describe, exit_status
from .hooks import ImportWatch
from .interrupts import Interrupts, run_until_complete
from .shell import Shells
from .state import State

if TYPE_CHECKING:
    import _socket
    from typing import Any, Callable, Dict, Iterator

#: Nobody who runs cell after cell is kept waiting by what is done ahead.
QUIET_S = 0.05


class CellProcess:
    """Takes cells from ``orders`` and runs them one after another until the keeper is gone."""

    def __init__(self, orders: _socket.socket, talk: _socket.socket, shared: burst.Burst, settings: Dict[str, Any]) -> None:
        self._orders = orders
        self._interrupts = Interrupts()
        self._talk = channel.Talk(talk, self._interrupts)
        self._questions = ask.Questions(orders, self._talk, self._interrupts)
        self._pid = os.getpid()
        turns = streams.Turns(self._settle, shared)
        sys.stdout = streams.text_stream(1, turns)
        sys.stderr = streams.text_stream(2, turns)
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
        faulthandler.enable(2)
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        sys.argv = [""]
        sys.path.insert(0, "")
        builtins.display = rich.Display(self.emit)  # type: ignore[attr-defined]
        builtins.clear_output = self._clear_output  # type: ignore[attr-defined]
        builtins.print = streams.whole_print((sys.stdout, sys.stderr), builtins.print)
        self._questions.install()
        ImportWatch({"getpass": self._questions.watch_getpass, "linecache": source.watch_linecache}).begin()
        debugging.install()
        self._loop: Any = None
        offline.set_advice(str(settings.get("offline", "")))
        self._shells = Shells(self._main, self.emit, self._evaluate, self._complete)
        self._state = State(self._main, settings, self.emit, self._shells, lambda: self._talk.say("listen"))
        self._comms = Comms(self.emit)
        #: This process goes on after its cell.
        self._lives = bool(settings.get("lasting")) or "carry" in settings

    def _clear_output(self, wait: bool = False) -> None:
        """Remove what the cell has shown; with ``wait``, when the next output comes."""
        self.emit(wire.ClearOutput(bool(wait)))

    def _settle(self) -> None:
        self._talk.say("settle")

    def emit(self, event: wire.Event) -> None:
        """Say an event after everything that was written before it."""
        data = wire.dump(event)
        if len(data) > frames.EVENT_BYTES and isinstance(event, (wire.Display, wire.Result)):
            said = "%s\n(%d MiB, too much to show)" % (event.data.get("text/plain", ""), len(data) >> 20)
            data = wire.dump(wire.replace(event, data={"text/plain": said}, metadata={}))
        if not self._talk.say("event", body=data):
            _write_as_text(event)

    def serve(self) -> None:
        """Run cells until the keeper is gone, or the state has been carried out."""
        self._comms.watch()
        finding.note()
        if not self._state.begin():
            return
        self._shells.prepare()  # Before anybody waits for it, or has a time limit.
        self._talk.say("awake")
        self._while_quiet(self._state.get_ahead())
        while True:
            order = channel.receive(self._orders)
            if order is None:
                return
            word, *rest = order
            if word == "wake":
                self._state.wake(*rest)
                self._talk.say("awake")
                self._while_quiet(self._rehearsal())
            elif word == "names":
                self.emit(wire.Names(self._state.names()))
            elif word == "look":
                number, what, subject = rest
                from . import explaining

                self.emit(wire.Seen(number, explaining.answer(what, subject, self._main.__dict__)))
            elif word == "cell":
                self._run_and_tell(wire.Cell(**rest[0]), rest[1])
                if self._state.carry_out():
                    return

    def _run_and_tell(self, cell: wire.Cell, ordered: float) -> None:
        self._questions.begin(stdin=cell.stdin, notebook=cell.notebook)
        status = self._interrupts.around(lambda: self._act(cell), ordered)
        debugging.end()
        self._questions.end()
        _flush_streams()
        later = self._lives and not cell.collect_bytes
        if not later:
            self._flush(cell)
        if not self._lives:
            outline.tell(self.emit, self._main.__dict__, cell.outline)
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        heard = self._talk.say("done", status, sum(item.ru_utime + item.ru_stime for item in usage))
        if later:  # Nobody waits for it any more then.
            self._flush(cell)
        if not heard:
            # A fork that came to the end of the cell too; or the cell closed our socket.
            os._exit(status)
        if self._lives:
            outline.tell(self.emit, self._main.__dict__, cell.outline)

    def _while_quiet(self, steps: Iterator[None]) -> None:
        """Take steps until there are no more, or somebody says something."""
        wait_s = QUIET_S
        while not select.select([self._orders], [], [], wait_s)[0] and next(steps, steps) is not steps:
            wait_s = 0.0

    def _rehearsal(self) -> Iterator[None]:
        """Go the way of a cell once: in a restored sandbox the first step onto each page of memory is a fault of its own."""
        self._shells.rehearse()
        _flush_streams()
        _has_files()
        yield

    def _flush(self, cell: wire.Cell) -> None:
        if cell.comm is None:  # After a word to a widget no state is taken, and there may be many of those.
            _flush_files()

    def run(self, code: str, name: str, silent: bool) -> int:
        """Run one cell and return its exit status; everything else about it has been said by then."""
        source.remember(code, name)
        try:
            compiled = source.compile_cell(code, name)
            value = self._evaluate(compiled)
            if compiled.shows and value is not None and not silent and not source.ends_quietly(code):
                self.emit(wire.Result(*rich.bundle(value)))
                self._main.__dict__["_"] = value
            rich.show_figures(self.emit)
        except SystemExit as exit:
            return self._exit(exit, name)
        except BaseException as error:
            self.emit(describe(error, name))
            return 1
        return 0

    def _act(self, cell: wire.Cell) -> int:
        """Run a cell, or give a widget what the front end says to it. Returns the exit status."""
        self._comms.begin(cell.parent)
        if cell.comm is None:
            return self._shells.run(cell) if cell.notebook else self.run(cell.code, cell.name, cell.silent)
        try:
            self._comms.handle(cell.comm)
            rich.show_figures(self.emit)
        except SystemExit as exit:
            return self._exit(exit, cell.name)
        except BaseException as error:
            self.emit(describe(error, cell.name))
            return 1
        return 0

    def _evaluate(self, compiled: source.Compiled) -> Any:
        """Return the value of the last part. An ``await`` anywhere puts all of them into one event loop."""
        value = None
        if not compiled.in_loop:
            for part in compiled.parts:
                value = eval(part, self._main.__dict__)
            return value

        async def evaluate() -> Any:
            value = None
            for part in compiled.parts:
                value = eval(part, self._main.__dict__)
                if part.co_flags & source.COROUTINE:
                    value = await value
            return value

        return self._complete(evaluate())

    def _complete(self, coroutine: Any) -> Any:
        """Run a coroutine to its end. The loop stands still between cells."""
        import asyncio  # A twentieth of a second that few cells need.

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return run_until_complete(self._loop, coroutine)

    def _exit(self, exit: SystemExit, name: str) -> int:
        status = exit_status(exit)
        if status:
            self.emit(describe(exit, name))
        return status


def _write_as_text(event: wire.Event) -> None:
    """For who cannot be heard: a forked child, or a cell that closed our socket."""
    if isinstance(event, wire.Error):
        _quietly(lambda lines: print(*lines, sep="\n", file=sys.stderr), event.traceback)
    elif isinstance(event, (wire.Display, wire.Result)):
        _quietly(print, event.data.get("text/plain", ""))


def _flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        _quietly(lambda stream=stream: stream.flush())


def _flush_files() -> None:
    """Write out what the cell left in the buffers of open files: who reads them next is not this process."""
    if not _has_files():
        return  # Most cells. To look at all that there is takes a hundredth of a second.
    # By their ids: to compare a class with another runs its metaclass, which may be the user's.
    kinds = set(map(id, (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)))
    for item in gc.get_objects():
        if id(type(item)) in kinds and _quietly(_is_file, item):
            _quietly(item.flush)


def _has_files() -> bool:
    """Whether a regular file is open here for writing. Without a /proc that is not known."""
    try:
        return any(_quietly(_takes_writes, int(fd)) for fd in os.listdir("/proc/self/fd"))
    except OSError:
        return True


def _is_file(opened: Any) -> bool:
    # Nothing else: who should read a pipe may wait for us.
    return not opened.closed and _is_regular(opened.fileno())


def _takes_writes(fd: int) -> bool:
    return _is_regular(fd) and fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def _is_regular(fd: int) -> bool:
    return stat.S_ISREG(os.fstat(fd).st_mode)


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except BaseException:
        return None

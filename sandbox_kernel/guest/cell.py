"""The cell's process: a ``__main__`` of its own in which cells run, with the standard library alone.

What a cell shows goes two ways: text through the pipes (:mod:`.output`), everything with a type over ``talk``.
"""

from __future__ import annotations

import ast
import builtins
import dataclasses
import faulthandler
import gc
import inspect
import io
import linecache
import mmap
import operator
import os
import resource
import socket
import stat
import sys
import types
from typing import Any, Callable, Dict, List, Tuple

from . import ask, channel, frames, output, rich, wire
from .errors import describe
from .interrupts import Interrupts, run_until_complete
from .state import State


class CellProcess:
    """Takes cells from ``orders`` and runs them one after another until the keeper is gone."""

    def __init__(self, orders: socket.socket, talk: socket.socket, turn: mmap.mmap, settings: Dict[str, Any]) -> None:
        self._orders = orders
        self._interrupts = Interrupts()
        self._talk = channel.Talk(talk, self._interrupts)
        self._questions = ask.Questions(orders, self._talk, self._interrupts)
        self._pid = os.getpid()
        turns = output.Turns(self._settle, turn)
        sys.stdout = output.text_stream(1, turns)
        sys.stderr = output.text_stream(2, turns)
        sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
        faulthandler.enable(2)
        self._main = types.ModuleType("__main__")
        self._main.__dict__["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        sys.argv = [""]
        sys.path.insert(0, "")
        builtins.display = rich.Display(self.emit)  # type: ignore[attr-defined]
        builtins.print = output.whole_print((sys.stdout, sys.stderr), builtins.print)
        self._questions.install()
        self._loop: Any = None
        self._state = State(self._main, settings, self.emit)

    def _settle(self) -> None:
        self._talk.say("settle")

    def emit(self, event: wire.Event) -> None:
        """Say an event after everything that was written before it."""
        data = wire.dump(event)
        if len(data) > frames.EVENT_BYTES and isinstance(event, (wire.Display, wire.Result)):
            said = "%s\n(%d MiB, too much to show)" % (event.data.get("text/plain", ""), len(data) >> 20)
            data = wire.dump(dataclasses.replace(event, data={"text/plain": said}, metadata={}))
        if not self._talk.say("event", body=data):
            _write_as_text(event)

    def serve(self) -> None:
        """Run cells until the keeper is gone, or the state has been carried out."""
        if not self._state.begin():
            return
        self._talk.say("awake")
        while True:
            order = channel.receive(self._orders)
            if order is None:
                return
            word, *rest = order
            if word == "wake":
                self._state.wake(*rest)
                self._talk.say("awake")
            elif word == "names":
                self.emit(wire.Names(self._state.names()))
            elif word == "cell":
                self._run_and_tell(wire.Cell(**rest[0]), rest[1])
                if self._state.carry_out():
                    return

    def _run_and_tell(self, cell: wire.Cell, ordered: float) -> None:
        self._questions.begin(stdin=cell.stdin)
        status = self._interrupts.around(lambda: self.run(cell.code, cell.name, cell.silent), ordered)
        self._questions.end()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            _quietly(operator.methodcaller("flush"), stream)
        _flush_files()
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        if not self._talk.say("done", status, sum(item.ru_utime + item.ru_stime for item in usage)):
            # A fork that came to the end of the cell too; or the cell closed our socket.
            os._exit(status)

    def run(self, code: str, name: str, silent: bool) -> int:
        """Run one cell and return its exit status; everything else about it has been said by then."""
        lines = io.StringIO(code, newline=None).readlines()
        linecache.cache[name] = (len(code), None, lines, name)
        try:
            parts, shows = _compile(code, name)
            value = self._evaluate(parts)
            if shows and value is not None and not silent and not _ends_quietly(code):
                self.emit(wire.Result(*rich.bundle(value)))
                self._main.__dict__["_"] = value
            rich.show_figures(self.emit)
        except SystemExit as exit:
            return self._exit(exit, name)
        except BaseException as error:
            self.emit(describe(error, name))
            return 1
        return 0

    def _evaluate(self, parts: List[types.CodeType]) -> Any:
        """Return the value of the last part. An ``await`` anywhere puts all of them into one event loop."""
        value = None
        if not any(part.co_flags & inspect.CO_COROUTINE for part in parts):
            for part in parts:
                value = eval(part, self._main.__dict__)
            return value
        import asyncio  # A twentieth of a second that few cells need.

        async def evaluate() -> Any:
            value = None
            for part in parts:
                value = eval(part, self._main.__dict__)
                if part.co_flags & inspect.CO_COROUTINE:
                    value = await value
            return value

        if self._loop is None or self._loop.is_closed():
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return run_until_complete(self._loop, evaluate())

    def _exit(self, exit: SystemExit, name: str) -> int:
        code = exit.code
        if code is None or (isinstance(code, int) and code == 0):
            return 0
        self.emit(describe(exit, name))
        # As a shell shows it; but what was no success does not become one by losing bits.
        return (code & 0xFF) or 1 if isinstance(code, int) and -(2**31) <= code < 2**31 else 1


def _compile(code: str, name: str) -> Tuple[List[types.CodeType], bool]:
    """Return what to evaluate in turn, and whether the last is an expression whose value shows."""
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # dont_inherit: the cell is not written under this module's __future__ imports.
    tree = compile(code, name, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    parts = [compile(tree, name, "exec", flags, dont_inherit=True)] if tree.body else []
    if last is None:
        return parts, False
    return [*parts, compile(ast.Expression(last.value), name, "eval", flags, dont_inherit=True)], True


def _ends_quietly(code: str) -> bool:
    """A semicolon at the end says: do not show the value."""
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code, newline=None).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    blank = (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER, tokenize.DEDENT)
    words = [token.string for token in tokens if token.type not in blank]
    return bool(words) and words[-1] == ";"


def _write_as_text(event: wire.Event) -> None:
    """For who cannot be heard: a forked child, or a cell that closed our socket."""
    if isinstance(event, wire.Error):
        _quietly(lambda lines: print(*lines, sep="\n", file=sys.stderr), event.traceback)
    elif isinstance(event, (wire.Display, wire.Result)):
        _quietly(print, event.data.get("text/plain", ""))


def _flush_files() -> None:
    """Write out what the cell left in the buffers of open files: who reads them next is not this process."""
    kinds = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)
    for item in gc.get_objects():
        if type(item) in kinds and _quietly(_is_file, item):
            _quietly(item.flush)


def _is_file(opened: Any) -> bool:
    # Nothing else: who should read a pipe may wait for us.
    return not opened.closed and stat.S_ISREG(os.fstat(opened.fileno()).st_mode)


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except BaseException:
        return None

"""The sources of a session's cells, and what jedi makes of them: in a program of its own that is ended when it is slow."""

from __future__ import annotations

import ast
import asyncio
import collections
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import Any

from . import directories, jedi_worker
from .errors import SandboxError
from .processes import Process, Processes

#: Characters of earlier cells that are looked at, newest first.
MOST_CHARACTERS = 60_000
#: For one answer. It is longer than anybody waits for: the first answers teach the program a package.
ANSWER_S = 15.0
#: Of one answer.
LINE_BYTES = 1 << 20
_ELSEWHERE = re.compile(r"^([ \t]*)(?:[%!?].*|[^#\n]*[?])$", re.MULTILINE)
_CELL_MAGIC = re.compile(r"\s*%%(\w+).*\n?")
_PYTHON = ("time", "timeit", "capture", "prun")


class Sources:
    """What was run, as Python."""

    def __init__(self) -> None:
        self._cells: collections.deque[str] = collections.deque()
        self._characters = 0

    def add(self, code: str) -> None:
        """Take the source of a cell that runs."""
        cell = as_python(code)
        if len(cell) > MOST_CHARACTERS:
            return
        self._cells.append(cell)
        self._characters += len(cell) + 1
        while self._characters > MOST_CHARACTERS:
            self._characters -= len(self._cells.popleft()) + 1

    def newest(self) -> str:
        """Return the source of the cell that began last."""
        return self._cells[-1] if self._cells else ""

    def before(self, code: str, cursor: int, *, alone: bool = False) -> tuple[str, int, int]:
        """Return earlier cells and this one up to its cursor, as one source, and line and column of the cursor in it.

        ``alone``: without the earlier cells, whose names may have been taken back since.
        """
        here = as_python(code[:cursor])[-MOST_CHARACTERS:]
        text = here if alone else "\n".join((*self._cells, here))
        return text, text.count("\n") + 1, len(here.rpartition("\n")[2])

    def definition(self, path: str) -> str:
        """Return the newest source of a function or class by its dotted name; nothing when no cell has it."""
        for cell in reversed(self._cells):
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                node = _find(ast.parse(cell), path.split("."))
                if node is not None:
                    return _segment(cell, node)
        return ""


def as_python(code: str) -> str:
    """Return a cell with what is no Python blanked out, line by line."""
    magic = _CELL_MAGIC.match(code)
    if magic is not None:
        code = "\n" * magic[0].count("\n") + code[magic.end() :] if magic[1] in _PYTHON else ""
    return _ELSEWHERE.sub(r"\1pass", code)


def _find(node: ast.AST, path: Sequence[str]) -> ast.AST | None:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    for inner in reversed(getattr(node, "body", [])):
        if isinstance(inner, kinds) and inner.name == path[0]:
            return inner if len(path) == 1 else _find(inner, path[1:])
    return None


def _segment(cell: str, node: ast.AST) -> str:
    assert isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
    return "\n".join(cell.split("\n")[first - 1 : node.end_lineno])


class Jedi:
    """Asks the program. Belongs to one event loop; one question at a time."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._process: Process | None = None
        self._reader: asyncio.StreamReader | None = None
        self._transports: list[asyncio.BaseTransport] = []
        self._turn = asyncio.Lock()
        #: The newest question, and its answer.
        self._asked = b""
        self._task: asyncio.Task[Any] | None = None

    async def ask(self, do: str, source: tuple[str, int, int], within_s: float = ANSWER_S) -> Any:
        """Return its answer; None when there is none, or not in time. A late one still teaches it a package."""
        code, line, column = source
        request = json.dumps({"do": do, "code": code, "line": line, "column": column}).encode() + b"\n"
        until = time.monotonic() + within_s
        if self._asked != request or self._task is None or _is_nothing(self._task):
            try:
                await asyncio.wait_for(self._turn.acquire(), within_s)
            except asyncio.TimeoutError:
                return None
            self._asked, self._task = request, asyncio.ensure_future(self._hold_turn(request))
        # Who asks the same once more, as one does who has got no answer, has that to the first question.
        task = self._task
        await asyncio.wait({task}, timeout=max(0.0, until - time.monotonic()))
        return task.result() if task.done() and not task.cancelled() else None

    async def _hold_turn(self, request: bytes) -> Any:
        try:
            return await asyncio.wait_for(self._ask(request), ANSWER_S)
        except (OSError, EOFError, ValueError, SandboxError, asyncio.TimeoutError, asyncio.LimitOverrunError):
            await self._stop()
            return None
        finally:
            self._turn.release()

    async def close(self) -> None:
        """End the program. May be called twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._stop()

    async def _ask(self, request: bytes) -> Any:
        if self._process is None or self._process.status.done():
            await self._stop()
            await self._start()
        assert self._reader is not None
        writer = self._transports[0]
        assert isinstance(writer, asyncio.WriteTransport)
        writer.write(request)
        return json.loads(await self._reader.readuntil(b"\n"))

    async def _start(self) -> None:
        command = [sys.executable, "-I", jedi_worker.__file__, json.dumps(paths()), str(directories.cache() / "jedi")]
        self._process = await self._processes.spawn(command, env={"PATH": os.defpath})
        loop = asyncio.get_running_loop()
        stdin = os.fdopen(self._process.take("stdin"), "wb", buffering=0)
        writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, stdin)
        self._transports.append(writer)
        self._reader = asyncio.StreamReader(limit=LINE_BYTES)
        protocol = asyncio.StreamReaderProtocol(self._reader)
        stdout = os.fdopen(self._process.take("stdout"), "rb", buffering=0)
        reader, _ = await loop.connect_read_pipe(lambda: protocol, stdout)
        self._transports.append(reader)
        self._process.take("stderr", close=True)

    async def _stop(self) -> None:
        process, self._process = self._process, None
        for transport in self._transports:
            transport.close()
        self._transports.clear()
        if process is not None:
            process.close()
            with contextlib.suppress(SandboxError):
                await self._processes.kill(process)


def _is_nothing(task: asyncio.Task[Any]) -> bool:
    return task.done() and (task.cancelled() or task.result() is None)


def paths() -> list[str]:
    """Return where the host's packages are: not the working directory, which is the notebook's folder."""
    here = os.path.realpath(os.getcwd())
    return [path for path in sys.path if os.path.isabs(path) and os.path.realpath(path) != here]

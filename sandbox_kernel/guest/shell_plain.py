"""The shell of notebook cells where there is no IPython: see :mod:`.shell`."""

from __future__ import annotations

import builtins
import contextlib
import pprint
import sys
import types
from typing import Any, Callable, Dict, List

from . import magics_plain, notebook_words, programs, rich, session_names, source, text, wire
from .errors import EXIT_HEADING, describe, exit_status
from .transform import transform

#: Longest value on one line; IPython breaks those that are longer.
WIDTH = 79
#: As IPython says it.
NO_TRACE = "No traceback available to show."
_BROKEN = (list, tuple, dict, set, frozenset)


class PlainShell:
    """See :mod:`.shell`."""

    def __init__(
        self,
        main: types.ModuleType,
        emit: Callable[[wire.Event], None],
        evaluate: Callable[[source.Compiled], Any],
    ) -> None:
        self._names = main.__dict__
        self._emit = emit
        self._evaluate = evaluate
        self._cells = source.CellNames()
        self._cell = wire.Cell(0, "")
        self._in: List[str] = [""]
        self._out: Dict[int, Any] = {}
        #: ``_``, ``__`` and ``___`` as we set them: what the user puts there stays.
        self._last: List[Any] = ["", "", ""]
        self._magics = magics_plain.Magics(self._names, self._run_source, self._divert, self._is_hidden)
        self._ours: Dict[str, Any] = {"In": self._in, "Out": self._out, "get_ipython": self._get_ipython}
        #: The last error in full, for ``%tb``.
        self._trace: List[str] = []
        self._api = PlainIPython(self)
        builtins.display = rich.Display(self._say)  # type: ignore[attr-defined]
        builtins.get_ipython = self._get_ipython  # type: ignore[attr-defined]
        self._names.update(self._ours)
        self._names.update(zip(session_names.UNDERSCORES, self._last))

    def _get_ipython(self) -> Any:
        """Return what magics are called by."""
        return self._api

    # -- a cell

    def run(self, cell: wire.Cell) -> int:
        """Run a cell and return its exit status."""
        self._cell = cell
        keeps = cell.store_history and not cell.silent
        if keeps:
            session_names.fit(self._in, cell.count)
            self._in.append(cell.code)
        name = self._cells.add(cell.code, cell.count)
        status = self._finish(self._run, name)
        status = self._finish(self._show_figures, name) or status
        if not status and cell.expressions:
            self._emit(wire.Expressions({key: self._value(code) for key, code in cell.expressions.items()}))
        if keeps:
            session_names.remove_inputs(self._names)
            session_names.add_inputs(self._names, self._in)
        return status

    def _finish(self, act: Callable[[str], None], name: str) -> int:
        try:
            act(name)
        except notebook_words.Left:
            notebook_words.tell_left()
        except SystemExit as exit:
            said = self._told(exit, name)
            line = "%s: %s" % (said.name, said.value) if said.value else said.name
            self._emit(wire.Error(said.name, said.value, [EXIT_HEADING, line]))
            return exit_status(exit) or 1
        except BaseException as error:
            self._emit(self._told(error, name))
            return 1
        return 0

    def _told(self, error: BaseException, name: str) -> wire.Error:
        said = describe(error, name, self._cells.label)
        self._trace = said.traceback
        if isinstance(error, magics_plain.UsageError):
            return wire.Error(said.name, said.value, ["%s: %s" % (said.name, said.value)])
        return said

    def _run(self, name: str) -> None:
        cell = self._cell
        value = self._compute(transform(cell.code), name)
        if value is None or cell.silent or source.ends_quietly(cell.code):
            return
        data, metadata = rich.bundle(value)
        data["text/plain"] = _broken(value, data.get("text/plain", ""))
        self._say(wire.Result(data, metadata))
        self._remember(value)

    def _compute(self, code: str, name: str) -> Any:
        compiled = source.compile_cell(code, name)
        value = self._evaluate(compiled)
        return value if compiled.shows else None

    def _run_source(self, code: str) -> Any:
        """Run a part of the cell, as magics do."""
        return self._compute(transform(code), self._cells.add(code, self._cell.count))

    def _remember(self, value: Any) -> None:
        if value is self._out:
            return
        ours = all(self._names.get(name) is last for name, last in zip(session_names.UNDERSCORES, self._last))
        self._last = [value, *self._last[:2]]
        if ours:
            self._names.update(zip(session_names.UNDERSCORES, self._last))
        self._out[self._cell.count] = self._names["_%d" % self._cell.count] = value

    def _show_figures(self, _name: str) -> None:
        rich.show_figures(self._say)

    def _value(self, code: str) -> Dict[str, Any]:
        """Return the answer to one of the expressions that came with a cell."""
        try:
            data, metadata = rich.bundle(eval(code, self._names))
        except BaseException as error:
            said = describe(error, "<string>")
            return {"status": "error", "ename": said.name, "evalue": said.value, "traceback": said.traceback[-1:]}
        return {"status": "ok", "data": rich.small(data), "metadata": metadata}

    # -- what is said

    def _say(self, event: wire.Event) -> None:
        self._emit(event)

    def _divert(self, emit: Callable[[wire.Event], None]) -> Callable[[wire.Event], None]:
        before, self._emit = self._emit, emit
        return before

    # -- what get_ipython() has

    def run_line_magic(self, name: str, line: str) -> Any:
        """Run ``%name line``."""
        if name in ("pinfo", "pinfo2"):
            self._page(line, more=name == "pinfo2")
            return None
        if name == "tb":
            print(*self._trace or [NO_TRACE], sep="\n", file=sys.stderr)
            return None
        return self._magics.run_line(name, line)

    def run_cell_magic(self, name: str, line: str, body: str) -> Any:
        """Run ``%%name line`` over the rest of a cell."""
        return self._magics.run_cell(name, line, body)

    def system(self, command: str) -> None:
        """Run ``!command``. Raises OSError for one that would go on in the background."""
        if command.rstrip().endswith("&"):
            raise OSError("Background processes not supported.")
        self._names["_exit_code"] = programs.at_terminal(programs.expand(command, self._names))

    def getoutput(self, command: str) -> List[str]:
        """Return the lines of ``!!command``."""
        return programs.output_of(programs.expand(command, self._names))

    def _page(self, name: str, *, more: bool) -> None:
        if name == "%" + notebook_words.SANDBOX:
            raise magics_plain.UsageError(notebook_words.AT_THE_TOP)
        try:
            value = eval(name, self._names)
        except Exception:
            print("Object `%s` not found." % name)
            return
        self._emit(wire.Page({"text/plain": text.cut(magics_plain.pages(value, name, more))}))

    @property
    def names(self) -> Dict[str, Any]:
        """The namespace."""
        return self._names

    # -- from sandbox to sandbox

    def rehearse(self) -> None:
        """Nothing: its way is short."""

    def hides(self, name: str, value: Any) -> bool:
        """Say whether the shell put this into the namespace."""
        return name in self._ours and self._ours[name] is value

    def _is_hidden(self, name: str) -> bool:
        return self.hides(name, self._names.get(name))

    def park(self) -> None:
        """Leave what is to be carried in the namespace."""
        names = self._names
        for name in [name for name in self._ours if self._is_hidden(name)]:
            del names[name]
        session_names.remove_inputs(names)
        in_step = all(names.get(name) is last for name, last in zip(session_names.UNDERSCORES, self._last))
        for name, last in zip(session_names.UNDERSCORES, self._last) if in_step else ():
            if type(last) is str and not last:
                del names[name]
        names[session_names.STATE] = {
            "in": session_names.take_inputs(self._in),
            "out": session_names.take_results(names, self._out),
            "in_step": in_step,
            "cells": dict(self._cells.numbers),
            "trace": session_names.take_trace(self._trace),
        }

    def resume(self, state: Dict[str, Any]) -> None:
        """Go on with what another shell parked."""
        self._in[:] = state["in"]
        self._out.update(session_names.found_results(self._names, state["out"]))
        self._cells.numbers.update(state["cells"])
        self._trace = state.get("trace", [])
        if state["in_step"]:
            self._last = [self._names.get(name, "") for name in session_names.UNDERSCORES]
        session_names.add_inputs(self._names, self._in)


class PlainIPython:
    """What ``get_ipython()`` returns: magics and programs, and nothing else that IPython has."""

    #: pandas asks whether there is one, and shows as many columns as a notebook has room for.
    kernel = None

    def __init__(self, shell: PlainShell) -> None:
        self._shell = shell
        self.config: Dict[str, Any] = {}
        self.user_ns = shell.names
        self.run_line_magic = shell.run_line_magic
        self.run_cell_magic = shell.run_cell_magic
        self.system = shell.system
        self.getoutput = shell.getoutput

    @property
    def execution_count(self) -> int:
        """The number of the cell that runs."""
        return self._shell._cell.count  # noqa: SLF001 - one module

    def magic(self, line: str) -> Any:
        """Run ``%line``."""
        name, _, rest = line.partition(" ")
        return self.run_line_magic(name, rest)


def _broken(value: Any, plain: str) -> str:
    """Return the text of a value as IPython breaks it: one item a line, when it is too long for one."""
    if type(value) in _BROKEN and len(plain) > WIDTH and len(plain) < text.MOST_CHARACTERS:
        with contextlib.suppress(Exception):
            return pprint.pformat(value, width=WIDTH + 1, sort_dicts=False)
    return plain

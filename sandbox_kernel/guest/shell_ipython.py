"""The shell of notebook cells where the sandbox has IPython: see :mod:`.shell`.

IPython's own ``InteractiveShell`` with a publisher, a display hook and a way to tell errors that say our events. It reads no
profile, writes no history and makes no directory. IPython is the user's: any version from 8 on is welcome, so little is
taken from it, and by names that have been there for long.
"""

from __future__ import annotations

import builtins
import contextlib
import functools
import importlib
import importlib.util
import os
import sys
import types
from typing import Any, Callable, Dict, Iterator, List

from . import notebook_words, offline, programs, rich, session_names, source, text, wire
from .errors import describe, event_of, exit_status
from .shell_ipython_parts import parts, usage_error

INLINE = "module://matplotlib_inline.backend_inline"
_NOTHING = "pass  # rehearsed"
#: Methods of IPython's that a cell goes through; who replaces one has put it into the shell itself.
_WAY = ("run_cell", "_run_cell", "run_cell_async", "run_code", "run_ast_nodes", "transform_cell", "transform_ast")
_OWN_NAMES = ("In", "Out", "_ih", "_oh", "_dh", "get_ipython")


class IPythonShell:
    """See :mod:`.shell`. Raises whatever an IPython raises that cannot be used like this."""

    def __init__(self, main: types.ModuleType, emit: Callable[[wire.Event], None], complete: Callable[[Any], Any]) -> None:
        self._names = main.__dict__
        self.emit = emit
        self.cell = wire.Cell(0, "")
        self.cells = source.CellNames()
        self._told = False
        #: Within callbacks of IPython, or a cell that a cell runs: what fails there is not the cell.
        self._within = 0
        #: The last error in full, for ``%tb`` in a sandbox where the error itself is not.
        self.trace: List[str] = []
        self._depth = 0
        _use_inline_figures()
        kind = parts(self)
        self.shell = kind.instance(user_module=main, user_ns=self._names)
        self.shell.loop_runner = complete
        builtins.get_ipython = self.shell.get_ipython  # type: ignore[attr-defined]
        if not programs.has_terminals():
            self.shell.system = self.shell.system_raw
        self.shell.system = self._telling(self.shell.system)
        _add_figures(self.shell)
        self._add_magics()
        self._untouched = _changes_of(self.shell)

    def _telling(self, system: Callable[[str], None]) -> Callable[[str], None]:
        @functools.wraps(system)
        def telling(command: str) -> None:
            system(command)
            offline.after(command, self._names.get("_exit_code"))

        return telling

    def _add_magics(self) -> None:
        def sandbox(_line: str, _cell: object = None) -> None:
            raise usage_error()(notebook_words.AT_THE_TOP)

        sandbox.__doc__ = notebook_words.AT_THE_TOP
        their_tb = self.shell.find_line_magic("tb")

        def tb(line: str) -> None:
            with self.within():
                their_tb(line)

        tb.__doc__ = their_tb.__doc__
        self.shell.register_magic_function(sandbox, "line_cell", notebook_words.SANDBOX)
        self.shell.register_magic_function(tb, "line", "tb")

    # -- a cell

    def run(self, cell: wire.Cell) -> int:
        """Run a cell and return its exit status."""
        self.cell, self._told = cell, False
        history = self.shell.history_manager
        keeps = cell.store_history and not cell.silent
        for lines in (history.input_hist_parsed, history.input_hist_raw) if keeps else ():
            session_names.fit(lines, cell.count)
        self.shell.execution_count = cell.count
        try:
            result = self.shell.run_cell(cell.code, store_history=keeps, silent=cell.silent)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as raised:
            error = raised
        if isinstance(error, notebook_words.Left) and not self._told:
            notebook_words.tell_left()
            error = None
        elif isinstance(error, SystemExit) and not self._told:
            self.shell.show_exit(error)
            self._tell_if_untold(error)
            return exit_status(error) or 1
        if error is not None:
            self._tell_if_untold(error)
        if self._told:
            return 1
        if cell.expressions:
            values = self.shell.user_expressions(cell.expressions)
            self.emit(wire.Expressions({name: _answer(value) for name, value in values.items()}))
        return 0

    def rehearse(self) -> None:
        """Run a cell that does nothing. Nobody hears of it; where code of the user's would run it is left out."""
        shell = self.shell
        if _changes_of(shell) != self._untouched:
            return
        kept = {name: getattr(shell, name) for name in ("events", "last_execution_result", "last_execution_succeeded")}
        shell.events = _Nobody()
        try:
            shell.run_cell(_NOTHING, store_history=False, silent=True)
        finally:
            for name, value in kept.items():
                setattr(shell, name, value)
            for names in (self.cells.numbers, source.lines_of(), shell.compile._filename_map):  # noqa: SLF001 - as in resume()
                names.pop(source.file_name(_NOTHING), None)

    def describe(self, error: BaseException) -> wire.Error:
        """Return the event for an error as Python tells it."""
        return describe(error, source.file_name(self.cell.code), self.cells.label)

    def _tell_if_untold(self, error: BaseException) -> None:
        if not self._told:
            self.tell(self.describe(error))

    def tell(self, event: wire.Error) -> None:
        """Say what ended the cell, once; another error is only printed."""
        if self._told or self._within:
            print(*event.traceback, sep="\n", file=sys.stderr)
        else:
            self._told = True
            self.emit(event)

    def told(self, error: Any, lines: List[str]) -> None:
        """Say an error as IPython tells it."""
        kept = [text.cut(str(line)) for line in lines]
        if sum(map(len, kept)) > text.MOST_CHARACTERS:
            kept = [text.cut("\n".join(kept))]
        self.trace = kept
        self.tell(event_of(error, kept))

    @contextlib.contextmanager
    def within(self) -> Iterator[None]:
        """Take what fails now not for the cell's failure."""
        self._within += 1
        try:
            yield
        finally:
            self._within -= 1

    @contextlib.contextmanager
    def nested(self) -> Iterator[None]:
        """Run a cell; what it runs in its turn is within."""
        self._depth += 1
        try:
            if self._depth == 1:
                yield
            else:
                with self.within():
                    yield
        finally:
            self._depth -= 1

    def page(self, said: Any, _start: int = 0, *_: Any, **__: Any) -> None:
        """Show a text beside the notebook, as ``name?`` does."""
        data = said if isinstance(said, dict) else {"text/plain": str(said)}
        kept = {mime: text.cut(item) for mime, item in data.items() if isinstance(mime, str) and isinstance(item, str)}
        self.emit(wire.Page({mime: kept[mime] for mime in kept if mime == "text/plain"}))

    # -- from sandbox to sandbox

    def hides(self, name: str, value: Any) -> bool:
        """Say whether the shell put this into the namespace."""
        hidden = self.shell.user_ns_hidden
        return name in hidden and hidden[name] is value

    def park(self) -> None:
        """Leave what is to be carried in the namespace."""
        names, hook, history = self._names, self.shell.displayhook, self.shell.history_manager
        results = session_names.take_results(names, history.output_hist)
        in_step = all(names.get(name) is getattr(hook, name) for name in session_names.UNDERSCORES)
        for name in session_names.UNDERSCORES if in_step else ():
            if type(names[name]) is str and not names[name]:
                del names[name]
        for name in _OWN_NAMES:
            if self.hides(name, names.get(name)):
                del names[name]
        if names.get("__builtin__") is builtins:
            del names["__builtin__"]
        session_names.remove_inputs(names)
        names[session_names.STATE] = {
            "in": session_names.take_inputs(list(history.input_hist_raw)),
            "out": results,
            "in_step": in_step,
            "cells": dict(self.cells.numbers),
            "extensions": sorted(self.shell.extension_manager.loaded),
            "config": _config_of(self.shell),
            "trace": session_names.take_trace(self.trace),
        }

    def resume(self, state: Dict[str, Any]) -> None:
        """Go on with what another shell parked."""
        names, hook, history = self._names, self.shell.displayhook, self.shell.history_manager
        history.input_hist_raw[:] = state["in"]
        history.input_hist_parsed[:] = [self.shell.transform_cell(code).rstrip("\n") if code else "" for code in state["in"]]
        history.output_hist.update(session_names.found_results(names, state["out"]))
        for back, name in enumerate(("_i00", "_i", "_ii", "_iii"), 1):  # Each moves on by one with the next input.
            setattr(history, name, state["in"][-back] if back < len(state["in"]) else "")
        self.cells.numbers.update(state["cells"])
        self.trace = state.get("trace", [])
        self.shell.compile._filename_map.update(state["cells"])  # noqa: SLF001 - there is no other way to name a cell
        if state["in_step"]:
            for name in session_names.UNDERSCORES:
                setattr(hook, name, names.setdefault(name, ""))
        session_names.add_inputs(names, state["in"])
        _configure(self.shell, state.get("config", {}))
        for name in state.get("extensions", ()):
            try:
                self.shell.extension_manager.load_extension(name)
            except Exception as error:
                print("%%load_ext %s: %s: %s" % (name, type(error).__name__, error), file=sys.stderr)


class _Nobody:
    """Whom events of a rehearsal reach."""

    def trigger(self, *_: object, **__: object) -> None:
        pass


def _changes_of(shell: Any) -> List[Any]:
    """Return what the way of a cell goes through that users may add to, to be compared."""
    manager = shell.input_transformer_manager
    added = (
        shell.ast_transformers,
        shell.input_transformers_cleanup,
        shell.input_transformers_post,
        manager.line_transforms,
        manager.token_transformers,
    )
    return [list(map(id, items)) for items in added] + [sorted(name for name in vars(shell) if name in _WAY)]


def _answer(value: Any) -> Dict[str, Any]:
    if value.get("status") != "ok":
        told = {key: text.cut(str(value.get(key, ""))) for key in ("ename", "evalue")}
        return {"status": "error", **told, "traceback": [text.cut(str(line)) for line in value.get("traceback") or ()][:100]}
    data, metadata = rich.sendable(value.get("data") or {}, value.get("metadata"))
    return {"status": "ok", "data": rich.small(data), "metadata": metadata}


# -- settings of IPython: what ``%config`` set


def _config_of(shell: Any) -> Dict[str, Dict[str, Any]]:
    """Return plain values that were set, by class and name."""
    found: Dict[str, Dict[str, Any]] = {}
    for item in shell.configurables:
        for kind, section in item.config.items():
            values = {name: value for name, value in dict(section).items() if _is_plain(value)}
            if values and kind != "HistoryManager":
                found.setdefault(kind, {}).update(values)
    return found


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple, set, frozenset):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str)


def _configure(shell: Any, config: Dict[str, Dict[str, Any]]) -> None:
    made: Any = importlib.import_module("traitlets.config").Config
    # As %config does: who is not there yet, such as what draws figures, takes it from the shell's.
    for item in shell.configurables:
        item.update_config(made(config))


# -- figures


def _use_inline_figures() -> None:
    """Have figures drawn into the notebook, unless the user's environment chose something else than what has no screen."""
    if importlib.util.find_spec("matplotlib_inline") is None or os.environ.get("MPLBACKEND", "agg") != "agg":
        return
    os.environ["MPLBACKEND"] = INLINE
    matplotlib: Any = sys.modules.get("matplotlib")
    if matplotlib is not None and matplotlib.rcParams._get("backend") == "agg":  # noqa: SLF001 - asking would choose one
        matplotlib.rcParams["backend"] = INLINE


def _add_figures(shell: Any) -> None:
    """Let a figure be shown also before anything was drawn in this sandbox, as one that was carried into it."""
    formatter = shell.display_formatter.formatters["image/png"]
    formatter.for_type_by_name("matplotlib.figure", "Figure", rich.png_of)

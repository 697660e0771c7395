"""The classes that IPython's shell is made of here. They are made when IPython is imported: see :mod:`.shell_ipython`."""

from __future__ import annotations

import bdb
import contextlib
import importlib
import os
import sys
import tempfile
from typing import Any, Iterator

from . import rich, source, wire
from .errors import EXIT_HEADING, drop_our_tail
from .interrupts import STOPPING

#: What this module's classes are put before: IPython's, when there is one.
_ANY: Any = object


def parts(owner: Any) -> Any:
    """Return the class of a shell that says what it has to say through ``owner``, an ``IPythonShell``."""
    core: Any = importlib.import_module("IPython.core.interactiveshell")
    config: Any = importlib.import_module("traitlets.config")
    their: Any = core.InteractiveShell

    class ZMQInteractiveShell(_Birth, _Running, their):  # type: ignore[misc]
        """The shell of a notebook. Its name is what programs look for that want to know whether they are in one."""

        #: pandas asks whether there is one, and shows as many columns as a notebook has room for.
        kernel = None
        display_pub_class = _publisher_class(owner)
        displayhook_class = _hook_class(owner)
        compiler_class = _compiler_class(owner)

        def __init__(self, **options: Any) -> None:
            # No file, no thread that writes it.
            memory = config.Config({"HistoryManager": {"enabled": False, "hist_file": ":memory:"}})
            super().__init__(config=memory, **options)

    ZMQInteractiveShell.owner = owner
    return ZMQInteractiveShell


def _publisher_class(owner: Any) -> Any:
    module: Any = importlib.import_module("IPython.core.displaypub")

    class Publisher(module.DisplayPublisher):  # type: ignore[misc]
        """What ``display`` gives its bundles to."""

        def publish(
            self, data: Any, metadata: Any = None, *_: Any, transient: Any = None, update: bool = False, **__: Any
        ) -> None:
            name = (transient or {}).get("display_id")
            owner.emit(wire.Display(*rich.sendable(data, metadata), None if name is None else str(name), bool(update)))

        def clear_output(self, wait: bool = False) -> None:
            owner.emit(wire.ClearOutput(bool(wait)))

    return Publisher


def _hook_class(owner: Any) -> Any:
    module: Any = importlib.import_module("IPython.core.displayhook")

    class Hook(module.DisplayHook):  # type: ignore[misc]
        """Takes the value of a cell's last expression."""

        @property
        def prompt_count(self) -> int:
            return int(owner.cell.count)

        def quiet(self) -> bool:
            return source.ends_quietly(owner.cell.code)

        def write_output_prompt(self) -> None:
            pass

        def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
            owner.emit(wire.Result(*rich.sendable(format_dict, md_dict)))

        def log_output(self, format_dict: Any) -> None:
            pass

        def finish_displayhook(self) -> None:
            self._is_active = False

    return Hook


def _compiler_class(owner: Any) -> Any:
    module: Any = importlib.import_module("IPython.core.compilerop")

    class Compiler(module.CachingCompiler):  # type: ignore[misc]
        """Knows the names of cells."""

        def get_code_name(self, raw_code: str, _transformed_code: str, number: int) -> str:
            name = source.file_name(raw_code)
            owner.cells.numbers[name] = number
            return name

    return Compiler


def _profile_class() -> Any:
    module: Any = importlib.import_module("IPython.core.profiledir")

    class Profile(module.ProfileDir):  # type: ignore[misc]
        """Some magics keep something in it; until then it is not made."""

        def _location_changed(self, change: Any) -> None:
            pass

    return Profile


def usage_error() -> Any:
    """Return the class of what a magic raises that was used as it cannot be."""
    return importlib.import_module("IPython.core.error").UsageError


class _Birth(_ANY):  # type: ignore[misc]
    """How a shell begins: without all that is for a terminal, and for more than one life."""

    owner: Any

    def init_ipython_dir(self, _ipython_dir: Any) -> None:
        pass

    def init_profile_dir(self, _profile_dir: Any) -> None:
        self.profile_dir = _profile_class()(location=os.path.join(tempfile.gettempdir(), "ipython"))

    def init_virtualenv(self) -> None:
        pass

    def init_builtins(self) -> None:
        super().init_builtins()
        # exit() is that of any Python: the cell ends with its status.
        self.builtin_trap.auto_builtins = {"get_ipython": self.get_ipython}

    def init_user_ns(self) -> None:
        super().init_user_ns()
        for name in ("exit", "quit", "open"):
            self.user_ns.pop(name, None)
            self.user_ns_hidden.pop(name, None)

    def init_hooks(self) -> None:
        super().init_hooks()
        page: Any = importlib.import_module("IPython.core.page")
        self.set_hook("show_in_pager", page.as_hook(self.owner.page), 99)

    def init_events(self) -> None:
        super().init_events()
        trigger = self.events.trigger

        def trigger_within(*arguments: Any, **named: Any) -> None:
            with self.owner.within():
                trigger(*arguments, **named)

        self.events.trigger = trigger_within

    @contextlib.contextmanager
    def _tee(self, **_: Any) -> Iterator[None]:
        yield  # IPython 9 would keep a copy of all that is printed.


class _Running(_ANY):  # type: ignore[misc]
    """How cells run, and how errors are told."""

    owner: Any

    def run_cell(self, *arguments: Any, **named: Any) -> Any:
        with self.owner.nested():
            return super().run_cell(*arguments, **named)

    def should_run_async(self, raw_cell: str, *, transformed_cell: Any = None, preprocessing_exc_tuple: Any = None) -> bool:
        if super().should_run_async(
            raw_cell, transformed_cell=transformed_cell, preprocessing_exc_tuple=preprocessing_exc_tuple
        ):
            return True
        broken = preprocessing_exc_tuple is not None or transformed_cell is None
        return bool(self.autoawait) and not broken and source.wants_loop(transformed_cell)

    async def run_code(self, code_obj: Any, result: Any = None, *, async_: bool = False) -> bool:
        """As IPython's, but that what sys.exit() raises is left to us."""
        __tracebackhide__ = "__ipython_bottom__"
        before, sys.excepthook = sys.excepthook, self.excepthook
        self.sys_excepthook = before
        raised: Any = None
        try:
            try:
                if async_:
                    await eval(code_obj, self.user_global_ns, self.user_ns)
                else:
                    exec(code_obj, self.user_global_ns, self.user_ns)  # noqa: S102 - the purpose of this package
            finally:
                sys.excepthook = before
        except (SystemExit, bdb.BdbQuit) as error:
            raised = error
        except self.custom_exceptions:
            kind, raised, trace = sys.exc_info()
            self.CustomTB(kind, raised, trace)
        except BaseException as error:
            raised = error
            with contextlib.suppress(BaseException):  # It is told all the same, at the end.
                self.showtraceback(running_compiled_code=True)
        if result is not None and raised is not None:
            result.error_in_exec = raised
        return raised is not None

    def showtraceback(
        self,
        exc_tuple: Any = None,
        filename: Any = None,
        tb_offset: Any = None,
        exception_only: bool = False,
        running_compiled_code: bool = False,
    ) -> None:
        try:
            kind, value, trace = self._get_exc_info(exc_tuple)
        except ValueError:
            print(*self.owner.trace or ["No traceback available to show."], sep="\n", file=sys.stderr)
            return
        if STOPPING and kind.__name__ == "CancelledError":
            kind, value = KeyboardInterrupt, KeyboardInterrupt().with_traceback(trace)
        if issubclass(kind, SyntaxError):
            self.showsyntaxerror(filename, running_compiled_code)
        elif issubclass(kind, usage_error()):
            self.owner.told(value, ["UsageError: %s" % value])
        elif _has_group(value):
            self.owner.tell(self.owner.describe(value))  # IPython cannot draw a group.
        elif exception_only:
            self.owner.told(value, [EXIT_HEADING, *self.InteractiveTB.get_exception_only(kind, value)])
        else:
            self.owner.told(value, self._drawn(kind, value, trace, tb_offset))
        if self.call_pdb:
            self.debugger(force=True)

    def show_exit(self, error: SystemExit) -> None:
        """Tell of an exit: %tb has its traceback."""
        with contextlib.suppress(BaseException):  # It is told all the same, at the end.
            self.showtraceback((type(error), error, error.__traceback__), exception_only=True)
            self.owner.trace = list(self._drawn(type(error), error, error.__traceback__, None))

    def _drawn(self, kind: Any, value: Any, trace: Any, tb_offset: Any) -> Any:
        try:
            if hasattr(value, "_render_traceback_"):
                return value._render_traceback_()
            drop_our_tail(value)
            if trace is not None and trace.tb_frame.f_code.co_filename == __file__:
                trace, tb_offset = trace.tb_next, 0  # Some versions leave out the first frame, some that of IPython.
            return self.InteractiveTB.structured_traceback(kind, value, trace, tb_offset=tb_offset)
        except BaseException:  # A __str__ may raise anything.
            return self.owner.describe(value).traceback

    def _format_exception_for_storage(self, _error: Any, **_: Any) -> Any:
        return {}  # IPython 9 would keep what was told.

    def _showtraceback(self, _kind: Any, value: Any, lines: Any) -> None:
        self.owner.told(value, lines)

    def enable_gui(self, gui: Any = None) -> None:
        if gui not in (None, "", "inline"):
            raise usage_error()("%s: a sandbox has no screen; figures are shown as with `inline`" % gui)

    def set_next_input(self, text: str, *_: Any, **__: Any) -> None:
        print("A cell in a sandbox cannot write into the notebook; it would have been:\n%s" % text)


def _has_group(error: Any) -> bool:
    """Say whether an error, or one that it came of, is a group of errors."""
    seen = 0
    while error is not None and seen < 1000:
        if any(base.__name__ == "BaseExceptionGroup" for base in type(error).__mro__):
            return True
        error, seen = error.__context__, seen + 1
    return False

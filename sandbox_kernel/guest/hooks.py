"""Who is told of what: we of the import of a module, and the user's functions of a new life (:mod:`.life`)."""

from __future__ import annotations

import sys
from _frozen_importlib import ModuleSpec  # Which importlib.machinery has, too, with more.
from types import FunctionType, ModuleType

from . import TYPE_CHECKING, finding, text

if TYPE_CHECKING:
    from functools import wraps as wraps  # noqa: PLC0414 - for others, too
    from typing import Any, Callable, Dict, Hashable, List, Optional, Sequence, TypeVar

    _Function = TypeVar("_Function", bound=Callable[[], Any])
else:

    def wraps(function: Any) -> Any:
        """As that of ``functools``, which a new sandbox has not imported."""
        return finding.standard("functools").wraps(function)


class ImportWatch:
    """Tells of the import of some modules, after they were executed and before who imports them goes on.

    It stands in ``sys.meta_path`` for good: ``importlib.reload`` and a second import of a forgotten module are told too.
    It finds nothing itself; what other finders found is left as it is but for one call.
    """

    def __init__(self, told: Dict[str, Callable[[Any], None]]) -> None:
        self._told = told
        #: What was raised by those who were told, one line each: an import does not fail for us.
        self.complaints: List[str] = []

    def begin(self) -> None:
        """Watch from now on; what is imported already is told at once."""
        sys.meta_path.insert(0, self)
        for name in self._told:
            if name in sys.modules:
                self._tell(name, sys.modules[name])

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Let the others find a module that is watched."""
        if name not in self._told:
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec: Optional[ModuleSpec] = find(name, path, target) if find and finder is not self else None
            if spec is not None:
                self._listen(name, spec.loader)
                return spec
        return None

    def _listen(self, name: str, loader: Any) -> None:
        execute = getattr(loader, "exec_module", None)
        # The loader of a file is made anew for each search: an attribute hides its method for one import. A loader that is
        # a class is that of all built-in modules.
        if execute is None or isinstance(loader, type) or not hasattr(loader, "__dict__"):
            return

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            execute(module)
            if module.__name__ == name:
                self._tell(name, module)

        loader.exec_module = exec_module

    def _tell(self, name: str, module: ModuleType) -> None:
        try:
            self._told[name](module)
        except Exception as error:
            self.complaints.append(complaint("watching %s" % name, error))


SESSION = "sandbox_session"

_SESSION_DOC = """The session that this cell belongs to.

A session can be forked: every fork starts from the same memory. Random numbers that nobody seeded differ between the forks
without any doing; what else must not be shared is for a function of yours:

    import sandbox_session

    @sandbox_session.on_fork
    def reconnect():
        global db
        db = connect(client=sandbox_session.id)

``id`` is the name of the session as a ``str``, empty until it has one.
"""


class SessionHooks:
    """The module ``sandbox_session`` and the functions that were given to it."""

    def __init__(self) -> None:
        self._functions: Dict[Hashable, Callable[[], Any]] = {}
        module: Any = ModuleType(SESSION, _SESSION_DOC)
        module.__spec__ = ModuleSpec(SESSION, None)
        module.id = ""
        self.module = module

        def on_fork(function: _Function) -> _Function:
            """Call ``function`` without arguments in every fork of this session, before its first cell; return ``function``.

            Functions are called in the order in which they were first given. Of several with the same full name, as when a
            cell is run again, the last is called. What one raises is shown, and the others are called all the same.

            Raises:
                TypeError: It cannot be called, or has to be awaited.
            """
            import inspect  # Which needs five modules more.

            if not callable(function) or inspect.iscoroutinefunction(function):
                raise TypeError("on_fork needs a function that is called without arguments and not awaited: %r" % (function,))
            self._functions[_key(function)] = function
            return function

        on_fork.__module__, on_fork.__qualname__ = SESSION, "on_fork"  # So that it is pickled by its name.
        module.on_fork = on_fork

    def functions(self) -> List[Callable[[], Any]]:
        """Return the functions that were given, in order."""
        return list(self._functions.values())

    def run(self) -> List[str]:
        """Call the functions; return a line for each that raised."""
        lines = []
        for function in self.functions():
            try:
                function()
            except BaseException as error:
                lines.append(complaint("on_fork function " + _name(function), error))
        return lines


def _key(function: Callable[[], Any]) -> Hashable:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    # A name with <locals> or <lambda> in it may be that of many functions; so may the name of a method.
    named = isinstance(function, FunctionType) and isinstance(name, str) and "<" not in name
    return (module, name) if named else id(function)


def _name(function: Callable[[], Any]) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def complaint(what: str, error: BaseException) -> str:
    """Return one line: what raised, where in it, and the error. Raises nothing."""
    try:
        words = str(error).strip().split("\n")[0][:300]
    except BaseException:
        words = ""
    trace = error.__traceback__ and error.__traceback__.tb_next
    where = " (%s, line %d)" % (trace.tb_frame.f_code.co_filename, trace.tb_lineno) if trace else ""
    return text.sendable("%s raised %s%s%s" % (what, type(error).__name__, ": " + words if words else "", where))

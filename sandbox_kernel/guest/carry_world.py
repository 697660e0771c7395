"""The namespace as a whole, as its items are written: what has a name that others can refer to it by."""

from __future__ import annotations

import functools
import sys
import types
import typing
from typing import Any, Callable, Dict, Optional, Set, Tuple

from . import cloudpickle  # type: ignore[attr-defined]

LRU = type(functools.lru_cache(None)(len))
#: What describes types and is pickled by its name.
BY_NAME = tuple(
    getattr(typing, name)
    for name in ("NewType", "TypeVar", "ParamSpec", "TypeVarTuple", "TypeAliasType")
    if isinstance(getattr(typing, name, None), type)
)
#: Types without a name that is theirs, and the one in ``types``; by id: what has a hash is up to the user.
BUILT_IN: Dict[int, str] = {id(kind): name for kind, name in cloudpickle._BUILTIN_TYPE_NAMES.items()}


class World:
    """What is the same for all items of one namespace: where functions and classes have their names."""

    def __init__(
        self, main: types.ModuleType, items: Dict[str, Any], module_name: Callable[[types.ModuleType], Optional[str]]
    ) -> None:
        self.globals = main.__dict__
        self.module_name = module_name
        self.paths: Dict[int, str] = {}
        for name, value in items.items():
            if id(value) not in self.paths and is_definition(value):
                self._enter(name, value)
        #: By type: names of those of its objects that its module has.
        self.singles: Dict[type, Dict[int, str]] = {}
        #: Modules that were made by cells, by the id of their globals.
        self.modules = {
            id(vars(value)): value
            for value in items.values()
            if issubclass(type(value), types.ModuleType) and module_name(value) is None
        }
        #: Dictionaries and lists that a process has one of, by id.
        self.known: Dict[int, Tuple[str, str]] = {
            id(vars(module)): ("vars", name)
            for name, module in list(sys.modules.items())
            if type(module) is types.ModuleType and name != "__mp_main__"
        }
        self.known[id(sys.path)] = ("attribute", "sys.path")
        self.known[id(sys.modules)] = ("attribute", "sys.modules")
        self.known[id(main.__dict__)] = ("vars", "__main__")
        #: Members of containers that cannot be carried, by id: what is written in their place, and they themselves.
        self.gone: Dict[int, Tuple[Any, Any]] = {}
        #: Whether objects of a class have nothing but their ``__dict__``, as far as that was asked.
        self.plain: Dict[type, bool] = {}
        #: When to stop looking for them, on the monotonic clock; 0: nobody has begun.
        self.search_until = 0.0
        #: Ids of arrays whose memory several arrays see.
        self.shared: Set[int] = set()

    def _enter(self, path: str, value: Any) -> None:
        self.paths.setdefault(id(value), path)
        if not isinstance(value, type):
            return
        for name, inner in vars(value).items():
            if isinstance(inner, (staticmethod, classmethod)):
                inner = inner.__func__
            if isinstance(inner, (types.FunctionType, type)) and id(inner) not in self.paths and is_definition(inner):
                self._enter("%s.%s" % (path, name), inner)

    def single(self, value: Any) -> Optional[str]:
        """Return under which name its module knows a value that is one of a kind, such as ``dataclasses.MISSING``."""
        kind = type(value)
        names = self.singles.get(kind)
        if names is None:
            module = sys.modules.get(kind.__module__)
            found = list(vars(module).items()) if type(module) is types.ModuleType and kind.__module__ != "__main__" else []
            names = self.singles[kind] = {id(item): name for name, item in found if type(item) is kind}
        return names.get(id(value))


def is_definition(value: Any) -> bool:
    """Say whether a value is a function or class (or near to it) that no module has."""
    kind = type(value)
    if kind is types.FunctionType or issubclass(kind, type):
        return not by_reference(value)
    return (kind is LRU or kind in BY_NAME) and getattr(value, "__module__", "") == "__main__"


def by_reference(value: Any) -> bool:
    """Say whether a function or class is that of a module, which can import it again."""
    if getattr(value, "__module__", None) == "__main__":
        return False
    return id(value) in BUILT_IN or bool(cloudpickle._should_pickle_by_reference(value))

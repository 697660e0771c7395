"""Warning filters, carried from process to process; and what importing a module a second time must not disturb.

A filter names a class. Where its module is not imported yet a class of the same name stands in the filter's place, which no
warning is an instance of, until the module is there.
"""

from __future__ import annotations

import sys
import types
import warnings

from . import TYPE_CHECKING, finding
from .hooks import ImportWatch

if TYPE_CHECKING:
    from functools import partial
    from typing import Any, Callable, Dict, List, Optional, Set, Tuple

    #: A filter as plain values: action, message, module and name of the class, module, line.
    _Plain = Tuple[str, Any, Tuple[str, str], Any, int]
else:  # What functools has it from; that needs more.
    from _functools import partial

#: Let no warning be heard.
_SILENT = ("ignore", None, Warning, None, 0)


class Watch(ImportWatch):
    """Tells of the import of modules whose settings we carry.

    Modules that were imported in an earlier cell are imported once more in this process, later than it was then. What they
    warn of was told then; warning filters and random numbers go on as if they had not been imported now.
    """

    def __init__(self) -> None:
        super().__init__({})
        self._functions: Dict[str, List[Callable[[Any], None]]] = {}
        self._again: Set[str] = set()

    def begin(self) -> None:
        super().begin()
        for name in self._functions:
            if name not in self._told and name in sys.modules:
                self._all(name, sys.modules[name])

    def add(self, name: str, function: Callable[[Any], None]) -> None:
        """Call ``function`` with the module ``name`` when it was imported. Before :meth:`begin`, or it is not there yet."""
        self.known([name], again=False)
        self._functions[name].append(function)

    def known(self, names: List[str], *, again: bool = True) -> None:
        """Take these modules for imported in an earlier cell."""
        for name in names:
            if name not in self._functions:
                self._functions[name] = []
                self._listen_to(name)
            if again:
                self._again.add(name)

    def _listen_to(self, name: str) -> None:
        tell = partial(self._all, name)
        for finder in sys.meta_path:
            if isinstance(finder, ImportWatch) and finder is not self and name in finder._told:
                # Two who watch the same name would ask each other for it without end: let the other tell us too.
                finder._told[name] = partial(_both, finder._told[name], tell)
                return
        self._told[name] = tell

    def _all(self, name: str, module: types.ModuleType) -> None:
        for function in self._functions[name]:
            function(module)

    def _listen(self, name: str, loader: Any) -> None:
        super()._listen(name, loader)
        execute = getattr(loader, "__dict__", {}).get("exec_module")
        if execute is None or isinstance(loader, type) or name not in self._again:
            return

        def exec_module(module: types.ModuleType) -> None:
            before = _disturbable()
            _set([_SILENT])
            try:
                execute(module)
            finally:
                for restore, value in before:
                    restore(value)

        loader.exec_module = exec_module


def _both(first: Callable[[Any], None], second: Callable[[Any], None], module: types.ModuleType) -> None:
    first(module)
    second(module)


def attribute(module: str, name: str) -> Any:
    """Return an attribute of a module that was imported; None without it. Imports nothing, lazily neither."""
    found = sys.modules.get(module)
    if not isinstance(found, types.ModuleType):
        return None
    return types.ModuleType.__getattribute__(found, "__dict__").get(name)


def unseen(function: Any) -> Any:
    """Return the function without the wrapper by which :mod:`.life` learns what was seeded."""
    return getattr(function, "__wrapped__", function)


def _disturbable() -> List[Tuple[Callable[[Any], Any], Any]]:
    """Return how to set what importing may disturb, and to what."""
    found: List[Tuple[Callable[[Any], Any], Any]] = [(_put_back, list(warnings.filters))]
    generator = attribute("random", "_inst")
    if generator is not None:
        found.append((partial(unseen(type(generator).setstate), generator), generator.getstate()))
    get_state, set_state = attribute("numpy.random", "get_state"), attribute("numpy.random", "set_state")
    if get_state and set_state:
        found.append((unseen(set_state), get_state(legacy=False)))
    return found


def _put_back(filters: List[Any]) -> None:
    known = [_describe(item) for item in [_SILENT, *filters]]
    new = [item for item in warnings.filters if _describe(item) not in known]
    _set(list(map(_renewed, new + filters)))


def _set(filters: List[Any]) -> None:
    warnings.resetwarnings()  # It also tells the registries of modules that there are others now.
    warnings.filters.extend(filters)  # type: ignore[attr-defined]


class Filters:
    """The warning filters, and what was imported when they became so."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._before: List[_Plain] = []
        self._modules: Set[str] = set()
        self._carried: Optional[List[_Plain]] = None
        self._known: Set[str] = set()

    def begin(self) -> None:
        self._before = _described()
        self._modules = {name for name in sys.modules if "." not in name}

    def dump(self) -> Dict[str, Any]:
        """Return plain values; empty when nothing differs from the beginning."""
        imported = {name for name in list(sys.modules) if isinstance(name, str) and "." not in name} | self._known
        filters = _described()
        values: Dict[str, Any] = {"filters": filters} if filters != self._before else {}
        if imported - self._modules:
            values["imported"] = sorted(imported - self._modules)
        return values

    def load(self, values: Dict[str, Any]) -> None:
        self._known.update(values.get("imported", ()))
        self._watch.known(sorted(self._known))
        self._carried = values.get("filters")
        for module in {item[2][0] for item in self._carried or ()} - set(sys.modules):
            self._watch.add(module, lambda _module: self.resolve())
        self.settle()

    def settle(self) -> None:
        """Set the carried filters, in the order in which they were."""
        if self._carried is not None:
            _set([_filter(item) for item in self._carried])

    def resolve(self) -> None:
        """Put classes that have become known in the place of those that stand for them."""
        _set(list(map(_renewed, warnings.filters)))


def _described() -> List[_Plain]:
    return [plain for plain in map(_describe, warnings.filters) if plain]


def _describe(item: Any) -> Optional[_Plain]:
    """Return a filter as plain values; None when it is of somebody's own making."""
    try:
        action, message, category, module, line = item
        name = (str(category.__module__), str(category.__qualname__))
        return str(action), _text(message), name, _text(module), int(line)
    except (AttributeError, TypeError, ValueError):
        return None


def _renewed(item: Any) -> Any:
    plain = _describe(item)
    return _filter(plain) if plain else item


def _text(pattern: Any) -> Any:
    # The interpreter's own filters have a text where others have an expression.
    if pattern is None or isinstance(pattern, str):
        return pattern
    return str(pattern.pattern), int(pattern.flags)


def _filter(plain: _Plain) -> Tuple[Any, ...]:
    action, message, (module, name), module_pattern, line = plain
    return action, _pattern(message), _category(module, name), _pattern(module_pattern), line


def _pattern(plain: Any) -> Any:
    if plain is None or isinstance(plain, str):
        return plain
    return finding.standard("re").compile(*plain)


def _category(module: str, name: str) -> type:
    first, *rest = name.split(".")
    found = attribute(module, first)
    for part in rest:
        found = getattr(found, part, None)
    if isinstance(found, type) and issubclass(found, Warning):
        return found
    return type(name.rpartition(".")[2], (Warning,), {"__module__": module, "__qualname__": name})

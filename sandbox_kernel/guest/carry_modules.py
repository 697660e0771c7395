"""Modules that were imported in an earlier cell: there under their names, and imported when they are first used.

Until then a stand-in is bound to the name. It is not in ``sys.modules``: whoever looks there sees what is really imported.
As soon as anybody imports the module, the stand-in becomes it: the same object, so nothing has to be bound anew. Modules
that are not made of Python source are made by their loaders; for those the stand-in passes everything on.
"""

from __future__ import annotations

import _thread  # What threading is made of; that needs more.
import sys
from _frozen_importlib import ModuleSpec  # Which importlib.machinery has, too, with more.
from _frozen_importlib_external import SourceFileLoader, SourcelessFileLoader
from types import ModuleType

from . import TYPE_CHECKING, finding

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

_plain: Any = object.__getattribute__


class StandIn(ModuleType):
    """Becomes the module when it is used."""

    def __getattribute__(self, name: str) -> Any:
        return _plain(self, name) if name == "__class__" else getattr(_use(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_use(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_use(self), name)

    def __dir__(self) -> List[str]:
        return dir(_use(self))

    def __repr__(self) -> str:
        return repr(_use(self))


StandIn.__name__ = StandIn.__qualname__ = "module"
StandIn.__module__ = "builtins"

_REAL, _OWNER = "__real__", "__owner__"


def _use(module: ModuleType) -> ModuleType:
    state = _plain(module, "__dict__")
    if type(module) is not StandIn:
        return module  # Meanwhile it became the module, in another thread.
    if _REAL in state:
        real: ModuleType = state[_REAL]
        return real
    owner: Modules = state[_OWNER]
    return owner.use(module, state["__name__"])


class Modules:
    """The stand-ins of this process. It finds nothing itself, but says into which object a module is loaded."""

    def __init__(self, main: ModuleType) -> None:
        self._main = main
        self._waiting: Dict[str, ModuleType] = {}
        #: Everything that was a stand-in, by id, and the name of its module.
        self._names: Dict[int, str] = {}
        self._kept: List[ModuleType] = []
        #: Submodules that were imported of each package.
        self._inner: Dict[str, List[str]] = {}
        self._asking: Set[Tuple[str, int]] = set()

    def name_of(self, module: ModuleType) -> Optional[str]:
        """Return by which name a module can be imported, if it can, without importing it."""
        if type(module) is StandIn:
            name: str = _plain(module, "__dict__")["__name__"]
            return name
        found = self._names.get(id(module))
        name = getattr(module, "__name__", "")
        return found or (name if isinstance(name, str) and sys.modules.get(name) is module else None)

    def dump(self, names: Set[str]) -> Dict[str, List[str]]:
        """Return the submodules that are there of each package in ``names``, and of those in turn: for :meth:`load`."""
        inner: Dict[str, Set[str]] = {}
        for name, module in list(sys.modules.items()):
            parent, _, last = name.rpartition(".")
            # Whoever needs what begins with an underscore imports it.
            package = sys.modules.get(parent) if parent and not last.startswith("_") else None
            if type(package) is ModuleType and vars(package).get(last) is module:
                inner.setdefault(parent, set()).add(last)
        for parent, children in self._inner.items():
            if parent not in sys.modules:
                inner.setdefault(parent, set()).update(children)
        found: Dict[str, List[str]] = {}
        left = sorted(names)
        while left:
            name = left.pop()
            if name in inner and name not in found:
                found[name] = sorted(inner[name])
                left += ["%s.%s" % (name, child) for child in found[name]]
        return found

    def load(self, inner: Dict[str, List[str]]) -> None:
        """Begin, with what :meth:`dump` returned in another process."""
        self._inner.update(inner)
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)
        for name in inner:
            if name in sys.modules:
                self._give_children(name, sys.modules[name])

    def get(self, name: str) -> ModuleType:
        """Return a module, or what stands for it. Raises ImportError where that is known at once."""
        if name in sys.modules:
            return sys.modules[name]
        top = name.partition(".")[0]
        if name not in self._waiting and top not in sys.modules and not finding.is_there(top):
            raise ModuleNotFoundError("No module named %r" % top, name=top)
        return self._stand_in(name)

    def _stand_in(self, name: str) -> ModuleType:
        if name not in self._waiting:
            module = self._waiting[name] = StandIn(name)
            self._names[id(module)] = name
            self._kept.append(module)
            _plain(module, "__dict__")[_OWNER] = self
        return self._waiting[name]

    def use(self, module: ModuleType, name: str) -> ModuleType:
        """Import the module that ``module`` stands for."""
        try:
            real: ModuleType = finding.imported(name)
        except BaseException:
            self._reset(module, name)
            raise
        if real is not module:
            # Of a kind that is made by its loader, or it put another in its place.
            self._waiting.pop(name, None)
            if type(module) is not StandIn:
                module.__class__ = StandIn
            _plain(module, "__dict__")[_REAL] = real
            for bound, value in list(self._main.__dict__.items()):
                if value is module:
                    self._main.__dict__[bound] = real
        return real

    def _reset(self, module: ModuleType, name: str) -> None:
        if type(module) is not StandIn:
            module.__class__ = StandIn
        state = _plain(module, "__dict__")
        state.clear()
        state.update({"__name__": name, _OWNER: self})
        self._waiting[name] = module

    def find_spec(
        self, name: str, path: Optional[Sequence[str]] = None, target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        """Let the finders after this one find a module that something stands for."""
        key = (name, _thread.get_ident())
        if key in self._asking or (name not in self._waiting and name not in self._inner):
            return None  # Who asks is another finder that asks all the others in its turn.
        self._asking.add(key)
        try:
            for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
                find = getattr(finder, "find_spec", None)
                spec: Optional[ModuleSpec] = find(name, path, target) if find else None
                if spec is not None:
                    self._prepare(name, spec)
                    return spec
        finally:
            self._asking.discard(key)
        return None

    def _prepare(self, name: str, spec: ModuleSpec) -> None:
        loader: Any = spec.loader
        if type(loader) not in (SourceFileLoader, SourcelessFileLoader):
            return
        execute = loader.exec_module

        def create_module(_spec: ModuleSpec) -> ModuleType:
            vars(loader).pop("create_module", None)
            made = self._waiting.pop(name, None)
            if made is None:
                return ModuleType(name)
            if type(made) is StandIn:
                object.__setattr__(made, "__class__", ModuleType)
            state = vars(made)
            state.clear()
            state["__name__"] = name
            return made

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            execute(module)
            self._give_children(name, module)

        loader.create_module, loader.exec_module = create_module, exec_module

    def _give_children(self, name: str, module: ModuleType) -> None:
        for child in self._inner.get(name, ()):
            whole = "%s.%s" % (name, child)
            if child not in vars(module) and whole not in sys.modules:
                vars(module)[child] = self._stand_in(whole)

"""Pickles of one item of the namespace at a time: a name, or several whose values share what can be changed.

A function or class that has a name in the namespace is written once, with the item of that name; the others refer to it by
name, so that each item can be written, compared, loaded and lost on its own. What runs at load is :mod:`.carry_load`.
"""

from __future__ import annotations

import copyreg
import enum
import pickle
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from . import carry_define as define
from . import cloudpickle  # type: ignore[attr-defined]
from .carry_arrays import Arrays
from .carry_load import TOOLS
from .carry_names import Member, Tombstone, facts
from .carry_reduce import DISPATCH, reducers
from .carry_world import BUILT_IN, BY_NAME, LRU, World, by_reference

#: Buffers of at least so many bytes are parts of their own.
BUFFER_BYTES = 64 << 10

_Reduced = Any


class Pickling:
    """Writes one item. ``own`` names those functions and classes of the namespace that are written in full."""

    def __init__(self, file: Any, world: World, own: Set[str]) -> None:
        super().__init__(file, protocol=5, buffer_callback=self._buffer)  # type: ignore[call-arg]
        self.dispatch_table: Any = {**copyreg.dispatch_table, **DISPATCH}
        self._world = world
        self._own = own
        self._filled: Set[int] = set()
        self._reducers: List[Tuple[Any, Callable[[Any], _Reduced]]] = [
            *((kind, getattr(self, name)) for kind, name in _HANDLERS),
            *reducers(),
        ]
        self._handlers: Dict[type, Optional[Callable[[Any], _Reduced]]] = {}
        #: Types of all that was written, functions and classes of modules among them.
        self.kinds: Set[type] = set()
        #: Names of functions and classes that this item refers to.
        self.needs: Set[str] = set()
        self.by_value: Set[int] = set()
        #: Names of modules that this item refers to.
        self.modules: Set[str] = set()
        self.buffers: List[pickle.PickleBuffer] = []
        #: What was written stands for values that are not carried: their names, and why.
        self.tombstones: Dict[str, str] = {}
        self.arrays = Arrays(world.shared)
        self._looking = False

    def _buffer(self, buffer: pickle.PickleBuffer) -> bool:
        try:
            raw = buffer.raw()
        except BufferError:
            return True
        if raw.nbytes < BUFFER_BYTES:
            return True
        self.buffers.append(buffer)
        return False

    def look_for(self, value: Any) -> None:
        """Write a reference to something that was written already. It may raise, or write something else, if it was not."""
        self._looking = True
        try:
            self.dump(value)  # type: ignore[attr-defined]
        finally:
            self._looking = False

    def reducer_override(self, value: Any) -> _Reduced:
        if self._looking:
            raise pickle.PicklingError("it was not written")
        if id(value) in self._world.gone:
            return self._tombstone(self._world.gone[id(value)][0])
        kind = type(value)
        try:
            handler = self._handlers[kind]
        except KeyError:
            handler = self._handlers[kind] = self._handler(kind)
        return NotImplemented if handler is None else handler(value)

    def _handler(self, kind: type) -> Optional[Callable[[Any], _Reduced]]:
        self.kinds.add(kind)
        if issubclass(kind, type):
            return self._class
        for base, reduce in self._reducers:
            if issubclass(kind, base):
                return reduce
        if kind in BY_NAME:
            return self._named_type
        plain = kind.__reduce_ex__ is object.__reduce_ex__ and kind.__reduce__ is object.__reduce__
        if plain and kind not in self.dispatch_table:
            if kind.__module__ not in ("builtins", "__main__"):
                return self._maybe_single
            if isinstance(kind.__new__, types.FunctionType):
                return self._without_new
        return self.arrays.handler(kind)

    def _refer(self, value: Any) -> _Reduced:
        """Return how to find a function or class by its name in the namespace; None: it has none, or is to be written."""
        path = self._world.paths.get(id(value))
        if path is None or path.partition(".")[0] in self._own:
            self.by_value.add(id(value))
            return None
        self.needs.add(path.partition(".")[0])
        return TOOLS["named"], (path,)

    def _name(self, value: Any) -> Optional[str]:
        path = self._world.paths.get(id(value))
        return path if path is None or "." not in path else None

    def _function(self, function: types.FunctionType) -> _Reduced:
        if by_reference(function):
            return NotImplemented
        found = self._refer(function)
        if found is not None:
            return found
        code, cells = function.__code__, function.__closure__
        self._filled.update(map(id, cells or ()))
        arguments = (self._name(function), code, self._globals_of(function), function.__name__, cells)
        return TOOLS["function"], arguments, define.function_state(function), None, None, TOOLS["set_function"]

    def _globals_of(self, function: types.FunctionType) -> Any:
        """Return None for the namespace, the name of a module, or the globals of a function that has its own."""
        own = function.__globals__
        if own is self._world.globals:
            return None
        name = own.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and getattr(module, "__dict__", None) is own:
            return name
        return self._world.modules.get(id(own), own)

    def _code(self, code: types.CodeType) -> _Reduced:
        try:
            return TOOLS["code"], (define.dump_code(code),)
        except ValueError:
            return cloudpickle._code_reduce(code)

    def _cell(self, cell: Any) -> _Reduced:
        if id(cell) in self._filled or define.is_empty(cell):
            return TOOLS["cell"], ()
        return TOOLS["cell"], (), cell.cell_contents, None, None, TOOLS["fill_cell"]

    def _class(self, cls: type) -> _Reduced:
        if cls is type(None) or cls is type(NotImplemented) or cls is type(Ellipsis):
            return NotImplemented
        if id(cls) in BUILT_IN:
            return cloudpickle._builtin_type, (BUILT_IN[id(cls)],)
        if by_reference(cls):
            return NotImplemented
        found = self._refer(cls)
        if found is not None:
            return found
        self.kinds.update(cls.__mro__)
        with_class, functions, others = define.class_parts(cls)
        later: List[Any] = [_Step("set_class", cls, functions)]
        if define.is_enum(cls):
            later.append(_Step("members", cls, *define.member_states(cls)))
        later.append(_Step("set_class", cls, others))
        subclasses = define.registered(cls)
        if subclasses:
            later.append(_Step("register", cls, subclasses))
        arguments = (self._name(cls), type(cls), cls.__name__, cls.__bases__, with_class)
        return TOOLS["class"], arguments, later, None, None, TOOLS["nothing"]

    def _member(self, member: Any) -> _Reduced:
        cls = type(member)
        if by_reference(cls):
            return NotImplemented
        if cls._member_map_.get(member._name_) is member:
            return TOOLS["member"], (cls, member._name_)
        return cls, (member._value_,)

    def _lru(self, value: Any) -> _Reduced:
        if cloudpickle._lookup_module_and_qualname(value) is not None:
            return NotImplemented
        found = self._refer(value)
        if found is not None:
            return found
        settings = value.cache_parameters()
        state = vars(value)
        arguments = (self._name(value), value.__wrapped__, settings["maxsize"], settings["typed"])
        return TOOLS["lru"], arguments, state, None, None, TOOLS["update"]

    def _named_type(self, value: Any) -> _Reduced:
        module = sys.modules.get(getattr(value, "__module__", None) or "")
        if getattr(value, "__module__", "") != "__main__" and getattr(module, value.__name__, None) is value:
            return NotImplemented
        found = self._refer(value)
        if found is not None:
            return found
        kind = type(value).__name__
        if kind == "NewType":
            arguments: Tuple[Any, ...] = (value.__supertype__,)
            more: Dict[str, Any] = {}
        elif kind == "TypeAliasType":
            arguments, more = (value.__value__,), {"type_params": value.__type_params__}
        elif kind == "TypeVarTuple":
            arguments, more = (), {}
        else:
            more = {"bound": value.__bound__, "covariant": value.__covariant__, "contravariant": value.__contravariant__}
            arguments = value.__constraints__ if kind == "TypeVar" else ()
            if getattr(value, "__infer_variance__", False):
                more = {"bound": value.__bound__, "infer_variance": True}
        if getattr(value, "has_default", bool)():
            more["default"] = value.__default__
        return TOOLS["named_type"], (self._name(value), type(value), value.__name__, value.__module__, arguments, more)

    def _method(self, method: types.MethodType) -> _Reduced:
        name = method.__func__.__name__ if hasattr(method.__func__, "__name__") else ""
        found = getattr(method.__self__, name, None) if name else None
        if isinstance(found, types.MethodType) and found.__func__ is method.__func__:
            return getattr, (method.__self__, name)
        return types.MethodType, (method.__func__, method.__self__)

    def _module(self, module: types.ModuleType) -> _Reduced:
        name = self._world.module_name(module)
        if name is not None:
            self.modules.add(name)
            return TOOLS["module"], (name,)
        state = {name: value for name, value in vars(module).items() if name != "__builtins__"}
        self._world.modules[id(vars(module))] = module
        return TOOLS["new_module"], (module.__name__, module.__doc__), state, None, None, TOOLS["update"]

    def _maybe_single(self, value: Any) -> _Reduced:
        name = self._world.single(value)
        if name is None:
            return NotImplemented
        return TOOLS["attribute"], (type(value).__module__, name)

    def _error(self, error: Any) -> _Reduced:
        if not _is_plain_error(type(error)):
            return NotImplemented
        # Its own __init__ may want other arguments than those it passed on.
        make, arguments, *rest = error.__reduce__()
        return (copyreg.__newobj__, (make, *arguments), *rest)  # type: ignore[attr-defined]

    def _tombstone(self, stone: Any) -> _Reduced:
        name, _, why = facts(stone)
        self.tombstones[name] = why
        return type(stone), facts(stone)

    def _without_new(self, value: Any) -> _Reduced:
        # What the user's __new__ does was done, and may need what is not loaded yet.
        make, arguments, *rest = value.__reduce_ex__(4)
        simple = make is copyreg.__newobj__ and len(arguments) == 1 and "__getnewargs__" not in dir(type(value))  # type: ignore[attr-defined]
        return (TOOLS["bare"], arguments, *rest) if simple and type(value).__base__ is not None else NotImplemented


def _is_plain_error(kind: type) -> bool:
    """Say whether a class is an exception of the user's that has an ``__init__`` and nothing else that makes it."""
    if not issubclass(kind, BaseException) or kind.__reduce__ is not BaseException.__reduce__:
        return False
    own = [base for base in kind.__mro__ if base.__module__ == "__main__"]
    special = ("__new__", "__reduce_ex__", "__slots__", "__setstate__", "__getstate__")
    if any(vars(base).get(name) is not None for base in own for name in special):
        return False
    # Those with fields of their own, as OSError, fill them in their __init__.
    plain = all(
        base.__basicsize__ == BaseException.__basicsize__ for base in kind.__mro__ if base not in own and base is not object
    )
    return plain and any("__init__" in vars(base) for base in own)


class _Step:
    """Pickled as a call that is made before what follows it is loaded."""

    def __init__(self, tool: str, *arguments: Any) -> None:
        self._call = (TOOLS[tool], arguments)

    def __reduce__(self) -> Any:
        return self._call


_HANDLERS: Tuple[Tuple[type, str], ...] = (
    (types.FunctionType, "_function"),
    (types.CodeType, "_code"),
    (types.CellType, "_cell"),
    (types.MethodType, "_method"),
    (types.ModuleType, "_module"),
    (enum.Enum, "_member"),
    (LRU, "_lru"),
    (BaseException, "_error"),
    (Tombstone, "_tombstone"),
    (Member, "_tombstone"),
)


class _Careful(Pickling):
    def persistent_id(self, value: Any) -> Optional[Tuple[str, str]]:
        return self._world.known.get(id(value)) if type(value) in (dict, list) else None


class Pickler(Pickling, pickle.Pickler):
    """The usual one."""


class Careful(_Careful, pickle.Pickler):
    """Knows dictionaries and lists that the process has one of; much slower, so only for items that have one."""


_InPython: Any = pickle._Pickler


class Deep(_Careful, _InPython):  # type: ignore[misc]
    """Written in Python: it goes as deep as the recursion limit says; slower by far."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Write an object.

        What is made of parts is taken apart here: from Python 3.12 on the way through the base class needs a call by
        way of C for each, and there is a limit to those that cannot be raised.
        """
        kind = type(obj)
        if id(obj) not in self.memo and kind not in self.dispatch and not issubclass(kind, type):
            reduced = self.reducer_override(obj)
            if reduced is NotImplemented:
                reduce = self.dispatch_table.get(kind)
                reduced = obj.__reduce_ex__(5) if reduce is None else reduce(obj)
            if isinstance(reduced, tuple):
                make, arguments, state, items, pairs, put = (*reduced, None, None, None, None)[:6]
                self.save_reduce(make, arguments, state, items, pairs, put, obj=obj)
                return
        _InPython.save(self, obj, save_persistent_id)

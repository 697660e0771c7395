"""The other side of :mod:`.carry_pickle`: what is called while an item is loaded, and in which order items are."""

from __future__ import annotations

import _pickle  # What pickle is made of; that needs re and more. The same is true of threading and weakref.
import _thread
import _weakref
import builtins
import io
import marshal
import os
import sys
import types

from . import TYPE_CHECKING, finding
from . import carry_define as define

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List, Optional, Set

#: Why a value was not carried that needs one of another name.
NEEDS = "it needs '%s', which was not carried: %s"


class Item:
    """One item as it was written: one pickle for each of its names, in ``data``, and the buffers they need."""

    def __init__(self, names: List[str], data: Any, buffers: Iterable[Any]) -> None:
        self.names = names
        self.data = data
        self.buffers = list(buffers)


class LoadError(Exception):
    """Something that a value needs is not there."""


class Loader:
    """Loads items into a namespace; each is loaded when it is first asked for by another."""

    def __init__(self, main: types.ModuleType, items: List[Item], module: Callable[[str], types.ModuleType]) -> None:
        self._main = main
        self._globals = main.__dict__
        self._module = module
        self._by_name = {name: item for item in items for name in item.names}
        self._items = items
        self._begun: Set[int] = set()
        #: Functions and classes of the namespace, as soon as there is anything of them.
        self._made: Dict[str, Any] = {}
        #: Why a name could not be loaded.
        self.failed: Dict[str, BaseException] = {}

    def load_all(self, tell_of: Callable[..., Any] = lambda *_: None) -> None:
        """Load what can be loaded. What fails is tried once more when all else is there, which it may need.

        Args:
            tell_of: Is called with the number of an item before it is loaded, and with that and None, or why it cannot be.
        """
        again: List[int] = []
        for number, item in enumerate(self._items):
            tell_of(number)
            if self.load(item):
                tell_of(number, None)
            else:
                again.append(number)
        first = dict(self.failed)
        self.failed.clear()
        for number in again:
            tell_of(number)
            item = self._items[number]
            done = self.load(item)
            for name in item.names:
                # An import that fails leaves things behind over which the next attempt falls.
                if isinstance(first.get(name), ImportError) and name in self.failed:
                    self.failed[name] = first[name]
            tell_of(number, None if done else tell(next(self.failed[name] for name in item.names if name in self.failed)))

    def load(self, item: Item) -> bool:
        """Load an item, if it is not or only partly there; say whether all of it is."""
        if id(item) in self._begun:
            return True
        self._begun.add(id(item))
        unpickler = _Unpickler(self, item)
        for name in item.names:
            try:
                self._globals[name] = unpickler.load()
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                for missing in item.names[item.names.index(name) :]:
                    self.failed[missing] = error
                    self._made.pop(missing, None)
                self._begun.discard(id(item))
                return False
        return True

    def named(self, path: str) -> Any:
        """Return a function or class of the namespace."""
        name, *inner = path.split(".")
        if name not in self._made and name not in self._globals:
            item = self._by_name.get(name)
            if item is not None and name not in self.failed:
                self.load(item)
        if name not in self._made and name not in self._globals:
            why = self.failed.get(name)
            raise LoadError(NEEDS % (name, tell(why) if why else "it is not there"))
        value = self._made[name] if name in self._made else self._globals[name]
        for part in inner:
            value = vars(value)[part]
            value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        return value

    def _keep(self, name: Optional[str], value: Any) -> Any:
        if name is not None:
            self._made[name] = value
        return value

    def function(self, path: Optional[str], code: types.CodeType, own: Any, name: str, cells: Any) -> Any:
        if own is None:
            own = self._globals
        elif isinstance(own, str):
            own = vars(finding.imported(own))
        elif isinstance(own, types.ModuleType):
            own = vars(own)
        return self._keep(path, types.FunctionType(code, own, name, None, cells))

    def class_(self, path: Optional[str], metaclass: type, name: str, bases: Any, with_class: Any) -> Any:
        return self._keep(path, define.make_class(metaclass, name, bases, with_class))

    def lru(self, path: Optional[str], function: Any, maxsize: Optional[int], typed: bool) -> Any:
        return self._keep(path, finding.standard("functools").lru_cache(maxsize, typed)(function))

    def named_type(self, path: Optional[str], kind: Any, name: str, module: str, arguments: Any, more: Any) -> Any:
        made = self._keep(path, kind(name, *arguments, **more))
        try:
            made.__module__ = module
        except (AttributeError, TypeError):
            pass
        return made

    def module(self, name: str) -> types.ModuleType:
        return self._module(name)

    def known(self, kind: str, name: str) -> Any:
        """Return a dictionary or list that the process has one of."""
        if kind == "attribute":
            module, _, attribute = name.rpartition(".")
            return getattr(finding.imported(module), attribute)
        return self._globals if name == "__main__" else vars(finding.imported(name))

    def find(self, name: str) -> Any:
        """Return what a pickle knows as ``__main__.name``."""
        return self.named(name)


class _Unpickler(_pickle.Unpickler):
    def __init__(self, loader: Loader, item: Item) -> None:
        super().__init__(io.BytesIO(item.data), buffers=item.buffers)
        self._loader = loader

    def persistent_load(self, known: Any) -> Any:
        return self._loader.known(*known)

    def find_class(self, module: str, name: str) -> Any:
        if module == __name__ and name in _OF_LOADER:
            return getattr(self._loader, _OF_LOADER[name])
        if module == "__main__":
            return self._loader.find(name)
        return super().find_class(module, name)


def tell(error: BaseException, doing: str = "loading it") -> str:
    """Return why a value was not carried, given what was raised: one sentence of bounded length. Raises nothing."""
    try:
        words = " ".join(str(error).split())[:300].rstrip(".")
    except BaseException:
        words = ""
    if isinstance(error, RecursionError):
        words = "it is nested too deeply"
    elif not (words and (isinstance(error, (LoadError, _pickle.PicklingError, ImportError)) or "pickle" in words)):
        words = "%s raised %s%s" % (doing, type(error).__name__, ": " + words if words else "")
    return words + "."


# -- what pickles call: of the loader ---------------------------------------------------------------------------------


def _of_loader(*_: Any) -> Any:
    raise LoadError("this is called by a loader alone")


def tool_named(*_: Any) -> Any:
    return _of_loader()


def tool_function(*_: Any) -> Any:
    return _of_loader()


def tool_class(*_: Any) -> Any:
    return _of_loader()


def tool_lru(*_: Any) -> Any:
    return _of_loader()


def tool_named_type(*_: Any) -> Any:
    return _of_loader()


def tool_module(*_: Any) -> Any:
    return _of_loader()


_OF_LOADER = {
    "tool_named": "named",
    "tool_function": "function",
    "tool_class": "class_",
    "tool_lru": "lru",
    "tool_named_type": "named_type",
    "tool_module": "module",
}


# -- and of its own ---------------------------------------------------------------------------------------------------


def tool_set_function(function: Any, state: Any) -> None:
    define.set_function(function, state)


def tool_code(data: bytes) -> Any:
    return marshal.loads(data)


def tool_cell() -> Any:
    return define.make_cell()


def tool_fill_cell(cell: Any, content: Any) -> None:
    define.fill_cell(cell, content)


def tool_set_class(cls: type, attributes: Dict[str, Any]) -> None:
    define.set_class(cls, attributes)


def tool_members(cls: type, kind: type, members: Any, aliases: Any) -> None:
    define.make_members(cls, kind, members, aliases)


def tool_member(cls: Any, name: str) -> Any:
    return cls._member_map_[name]


def tool_register(cls: Any, subclasses: Any) -> None:
    define.register(cls, subclasses)


def tool_update(value: Any, attributes: Dict[str, Any]) -> None:
    vars(value).update(attributes)


def tool_nothing(*_: Any) -> None:
    pass


def tool_attribute(module: str, name: str) -> Any:
    return getattr(finding.imported(module), name)


def tool_cached_property(function: Any, name: Optional[str], doc: Optional[str]) -> Any:
    made = finding.standard("functools").cached_property(function)
    made.attrname, made.__doc__ = name, doc
    return made


def tool_lock(kind: str) -> Any:
    return _thread.RLock() if kind == "RLock" else _thread.allocate_lock()


def tool_bare(cls: Any) -> Any:
    return object.__new__(cls)


def tool_new_module(name: str, doc: Optional[str]) -> types.ModuleType:
    module = types.ModuleType(name, doc)
    module.__dict__["__builtins__"] = builtins
    return module


def tool_array(buffer: Any, dtype: Any, shape: Any, order: Any) -> Any:
    numpy: Any = finding.imported("numpy")
    return numpy.ndarray(shape, dtype, buffer, order=order)


def tool_set_array(array: Any, state: Any) -> None:
    whole, attributes = state
    array.__setstate__(whole)
    vars(array).update(attributes)


def tool_view(root: Any, offset: int, shape: Any, strides: Any, dtype: Any, writeable: bool) -> Any:
    numpy: Any = finding.imported("numpy")
    if dtype.hasobject:
        flat = root.reshape(-1, order="A")[offset // dtype.itemsize :]
        made = numpy.lib.stride_tricks.as_strided(flat, shape, strides)
    else:
        made = numpy.ndarray(shape, dtype, root, offset, strides)
    if not writeable:
        made.flags.writeable = False
    return made


class _Gone:
    pass


def tool_weak(value: Any) -> Any:
    return _weakref.ref(_Gone() if value is None else value)


def tool_file(name: str, mode: str, settings: Dict[str, Any], position: int) -> Any:
    if os.path.getsize(name) < position and "b" in mode:
        raise LoadError("the file %r is shorter than it was" % name)
    file = open(name, mode, **settings)  # noqa: SIM115 it is the user's
    file.seek(position)
    return file


TOOLS: Dict[str, Callable[..., Any]] = {
    name[len("tool_") :]: value for name, value in list(vars(sys.modules[__name__]).items()) if name.startswith("tool_")
}

"""How functions and classes of cells are taken apart and made again: their code, and what they hold.

Everything made here is there for others, under its name, before what it holds is loaded: what it holds may need it.
Nothing of the user's runs for it: no metaclass, no ``__init_subclass__``, no decorator.
"""

from __future__ import annotations

import abc
import marshal
import sys
import types

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

    _Namespace = Dict[str, Any]


#: Made with the class; what else it has is set afterwards.
_WITH_CLASS = ("__module__", "__qualname__", "__slots__", "__orig_bases__")
_OF_TYPE = ("__dict__", "__weakref__", "__annotate_func__", "__annotations_cache__", "__classdictcell__", "_abc_impl")
_ANNOTATE = "__annotate__"
_OF_C = (types.BuiltinFunctionType, types.WrapperDescriptorType)


# -- code -------------------------------------------------------------------------------------------------------------


def dump_code(code: types.CodeType) -> bytes:
    """Return the code as bytes, which are the same for the same code wherever that is possible."""
    try:
        return marshal.dumps(code, 2)  # Later versions write how often something is referred to.
    except ValueError:
        return marshal.dumps(code)


# -- functions --------------------------------------------------------------------------------------------------------


def function_state(function: types.FunctionType) -> Tuple[_Namespace, _Namespace, List[Tuple[Any, Any]]]:
    """Return what a function has beyond its code: attributes of the user's, its own, and what its cells hold."""
    own = {
        "__qualname__": function.__qualname__,
        "__module__": function.__module__,
        "__doc__": function.__doc__,
        "__defaults__": function.__defaults__,
        "__kwdefaults__": function.__kwdefaults__,
    }
    if sys.version_info >= (3, 14):
        own[_ANNOTATE] = getattr(function, _ANNOTATE, None)
    else:
        own["__annotations__"] = function.__annotations__
    if getattr(function, "__type_params__", ()):
        own["__type_params__"] = getattr(function, "__type_params__", ())
    cells = [(cell, cell.cell_contents) for cell in function.__closure__ or () if not is_empty(cell)]
    return vars(function), own, cells


def set_function(function: types.FunctionType, state: Tuple[_Namespace, _Namespace, List[Tuple[Any, Any]]]) -> None:
    """Give a function back what :func:`function_state` returned."""
    vars(function).update(state[0])
    for name, value in state[1].items():
        setattr(function, name, value)
    for cell, content in state[2]:
        cell.cell_contents = content


def is_empty(cell: Any) -> bool:
    """Say whether nothing has been put into a cell of a closure yet."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return True
    return False


def make_cell() -> Any:
    """Return an empty cell."""
    return types.CellType()


def fill_cell(cell: Any, content: Any) -> None:
    """Put something into a cell."""
    cell.cell_contents = content


# -- classes ----------------------------------------------------------------------------------------------------------


def class_parts(cls: type) -> Tuple[_Namespace, _Namespace, _Namespace]:
    """Return what a class is made with, its functions, and its other attributes."""
    with_class, functions, others = {}, {}, {}
    for name, value in vars(cls).items():
        if name in _WITH_CLASS:
            with_class[name] = value
        elif name in _OF_TYPE or isinstance(value, types.MemberDescriptorType) or type(value).__module__ == "_ctypes":
            continue
        elif isinstance(value, (types.FunctionType, classmethod, staticmethod, property)):
            functions[name] = value
        elif not (isinstance(value, types.GetSetDescriptorType) and value.__objclass__ is cls):
            others[name] = value
    if is_enum(cls):
        members: Any = others["_member_map_"]
        del others["_member_map_"]
        # Combinations of flags are there only because they were asked for.
        values = others.get("_value2member_map_", {}).items()
        others["_value2member_map_"] = {value: member for value, member in values if member._name_ in members}
    if sys.version_info >= (3, 14) and vars(cls).get("__annotate_func__") is not None:
        functions[_ANNOTATE] = vars(cls)["__annotate_func__"]
    with_class.setdefault("__qualname__", cls.__qualname__)
    return with_class, functions, others


def make_class(metaclass: type, name: str, bases: Tuple[type, ...], with_class: _Namespace) -> type:
    """Return a class that has nothing but its place in the hierarchy yet."""
    make = _of_metaclass(metaclass, "__new__")
    try:
        with _Muted(bases, only_users=True):
            made: type = make(metaclass, name, bases, dict(with_class))
    except Exception:
        # A library's __init_subclass__ that looks for what the class does not have yet.
        with _Muted(bases, only_users=False):
            made = make(metaclass, name, bases, dict(with_class))
    return made


def set_class(cls: type, attributes: _Namespace) -> None:
    """Set attributes as the class statement did, past what a metaclass makes of it."""
    first_line = attributes.get("__firstlineno__")
    put = _of_metaclass(type(cls), "__setattr__")
    for name, value in attributes.items():
        put(cls, name, value)
    if first_line is not None:  # Forgotten whenever another attribute is set.
        put(cls, "__firstlineno__", first_line)


def _of_metaclass(metaclass: type, name: str) -> Any:
    """Return a method as the nearest metaclass has it that is not of the user's or a library's making."""
    for kind in metaclass.__mro__:
        own = vars(kind).get(name)
        if own is not None and (kind is abc.ABCMeta or isinstance(own, _OF_C)):
            return getattr(kind, name)
    return getattr(type, name)


def registered(cls: type) -> List[type]:
    """Return the classes that were registered as virtual subclasses of an abstract one."""
    if not isinstance(cls, abc.ABCMeta):
        return []
    get_dump: Any = getattr(abc, "_get_dump")  # noqa: B009 - what abc shows for tests
    return [found for found in (item() for item in get_dump(cls)[0]) if found is not None]


def register(cls: abc.ABCMeta, subclasses: Sequence[type]) -> None:
    """Register virtual subclasses."""
    for subclass in subclasses:
        abc.ABCMeta.register(cls, subclass)


class _Muted:
    """Keeps the ``__init_subclass__`` that would run for a subclass of ``bases`` from running."""

    def __init__(self, bases: Tuple[type, ...], *, only_users: bool) -> None:
        ordered = types.new_class("_", (object,)).__mro__ if not bases else _order(bases)
        owner = next((base for base in ordered if "__init_subclass__" in vars(base)), object)
        users = owner.__module__ == "__main__" or not hasattr(sys.modules.get(owner.__module__), owner.__name__)
        self._owner: Optional[type] = (
            None
            if owner in (object, getattr(sys.modules.get("typing"), "Generic", object)) or (only_users and not users)
            else owner
        )
        self._hidden: Any = None

    def __enter__(self) -> None:
        if self._owner is not None:
            self._hidden = vars(self._owner)["__init_subclass__"]
            type.__setattr__(self._owner, "__init_subclass__", classmethod(_do_nothing))

    def __exit__(self, *_: object) -> None:
        if self._owner is not None:
            type.__setattr__(self._owner, "__init_subclass__", self._hidden)


def _do_nothing(_cls: type, /, **_named: Any) -> None:
    pass


def _order(bases: Tuple[type, ...]) -> List[type]:
    # Near enough to the order of resolution for one attribute that most hierarchies have once.
    return [item for base in bases for item in type.mro(base)]


# -- enumerations -----------------------------------------------------------------------------------------------------


def member_states(cls: Any) -> Tuple[type, List[Tuple[str, Tuple[Any, ...], _Namespace]], Dict[str, str]]:
    """Return what :func:`make_members` needs: the type that members are made of, name, arguments and attributes, aliases."""
    members, aliases = [], {}
    for name, member in cls._member_map_.items():
        if member.name != name:
            aliases[name] = member.name
            continue
        plain = cls._member_type_
        arguments = () if plain is object else (_plain(plain, member),)
        members.append((name, arguments, vars(member)))
    return cls._member_type_, members, aliases


def _plain(kind: type, member: Any) -> Any:
    if kind in (int, str, float, bytes, complex):
        make: Callable[..., Any] = kind.__new__
        return make(kind, member) if kind is not str else str.__str__(member)
    return member._value_


def make_members(
    cls: Any, kind: Any, members: Sequence[Tuple[str, Tuple[Any, ...], _Namespace]], aliases: Dict[str, str]
) -> None:
    """Make the members of an enumeration again."""
    made = {}
    for name, arguments, attributes in members:
        member = kind.__new__(cls, *arguments)
        vars(member).update(attributes)
        made[name] = member
    made.update({alias: made[name] for alias, name in aliases.items()})
    type.__setattr__(cls, "_member_map_", made)


def is_enum(cls: type) -> bool:
    """Say whether a class is an enumeration with members."""
    enum = sys.modules.get("enum")
    return enum is not None and isinstance(cls, enum.EnumMeta) and bool(vars(cls).get("_member_map_"))

"""What stands for a name, or in a container, where a value could not be carried into this cell."""

from __future__ import annotations

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, List, NoReturn, Tuple


class NotCarried(NameError):
    """A value of an earlier cell was used that could not be carried into this one."""

    __module__ = "builtins"  # Shown as what it is: an error of the language that cells are written in.


_FACTS = ("name", "kind", "why")
#: The next step for who uses what was not carried: one sentence, for all of this process.
_REMEDY = ["Make it again in this cell."]


def _words(text: str) -> List[str]:
    return text.split()


def _special_names() -> List[str]:
    binary = _words("add sub mul matmul truediv floordiv mod divmod pow lshift rshift and xor or")
    places = [prefix + name for prefix in ("", "r", "i") for name in binary if prefix + name != "idivmod"]
    others = _words(
        """
        call getitem setitem delitem contains len length_hint iter next reversed bool hash eq ne lt le gt ge neg pos abs
        invert int float complex index round trunc floor ceil str format bytes fspath enter exit aenter aexit await aiter
        anext setattr delattr dir get set delete instancecheck subclasscheck mro_entries array array_ufunc array_function
        buffer sizeof copy deepcopy dataframe
        """
    )
    return ["__%s__" % name for name in places + others]


def _refusing(kind: type) -> Any:
    """Make every operation on instances of ``kind`` say what they stand for."""

    def refuse(self: Any, *_arguments: Any, **_named: Any) -> NoReturn:
        _refuse(self)

    for name in _special_names():
        setattr(kind, name, refuse)
    return kind


@_refusing
class _Stone:
    __slots__ = ("_facts",)

    def __init__(self, name: str, kind: str, why: str) -> None:
        object.__setattr__(self, "_facts", (name, kind, why))

    def __repr__(self) -> str:
        name, kind, why = facts(self)
        return "<%s%s was not carried into this cell: %s>" % (name, " (%s)" % kind if kind else "", _sentence(why)[:-1])

    def __reduce_ex__(self, _protocol: object) -> Tuple[Any, ...]:
        return type(self), facts(self)

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__reduce_ex__"):
            return object.__getattribute__(self, name)
        if name.startswith(("_repr_", "_ipython_")):  # What shows a value asks for these.
            raise AttributeError(name)
        return _refuse(self)


class Tombstone(_Stone):
    """Bound to the name of a value that was not carried. ``repr`` tells of it; any other use raises :class:`NotCarried`."""

    __slots__ = ()


class Member(_Stone):
    """In the place of a member that was not carried, if that was equal to nothing but itself: so is this one.

    So what holds it has its length and what it is equal to as before, and a set or the keys of a dictionary can hold it.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__


def set_remedy(sentence: str) -> None:
    """Set what is advised to who uses something that was not carried."""
    _REMEDY[0] = sentence


def is_member(name: str) -> bool:
    """Say whether what a tombstone tells of was in a container, given the name that it has."""
    return not name.isidentifier()


def is_lost(value: Any) -> bool:
    """Say whether a value is what stands for one that was not carried. Uses nothing of it."""
    return issubclass(type(value), _Stone)


def kind_of(value: Any) -> str:
    """Return the name of a value's type, as a user knows it."""
    kind = type(value)
    module = getattr(kind, "__module__", "")
    return kind.__qualname__ if module in ("builtins", "__main__") else "%s.%s" % (module, kind.__qualname__)


def facts(tombstone: _Stone) -> Tuple[str, str, str]:
    """Return the name, the name of the value's type, and why it was not carried."""
    found: Tuple[str, str, str] = object.__getattribute__(tombstone, "_facts")
    return found


def _sentence(why: str) -> str:
    return why if why.endswith(".") else why + "."


def _refuse(tombstone: _Stone) -> NoReturn:
    name, kind, why = facts(tombstone)
    raise NotCarried(
        "%s%s was not carried into this cell: %s %s"
        % (name if is_member(name) else "'%s'" % name, " (%s)" % kind if kind else "", _sentence(why), _REMEDY[0])
    )

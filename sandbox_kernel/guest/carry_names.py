"""What stands for a name whose value could not be carried into this cell."""

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
class Tombstone:
    """Bound to the name of a value that was not carried. ``repr`` tells of it; any other use raises :class:`NotCarried`."""

    __slots__ = ("_facts",)

    def __init__(self, name: str, kind: str, why: str) -> None:
        object.__setattr__(self, "_facts", (name, kind, why))

    def __repr__(self) -> str:
        name, kind, why = facts(self)
        return "<%s%s was not carried into this cell: %s>" % (name, " (%s)" % kind if kind else "", _sentence(why)[:-1])

    def __reduce_ex__(self, _protocol: object) -> Tuple[Any, ...]:
        return Tombstone, facts(self)

    def __getattribute__(self, name: str) -> Any:
        if name in ("__class__", "__reduce_ex__"):
            return object.__getattribute__(self, name)
        if name.startswith(("_repr_", "_ipython_")):  # What shows a value asks for these.
            raise AttributeError(name)
        return _refuse(self)


def set_remedy(sentence: str) -> None:
    """Set what is advised to who uses something that was not carried."""
    _REMEDY[0] = sentence


def facts(tombstone: Tombstone) -> Tuple[str, str, str]:
    """Return the name, the name of the value's type, and why it was not carried."""
    found: Tuple[str, str, str] = object.__getattribute__(tombstone, "_facts")
    return found


def _sentence(why: str) -> str:
    return why if why.endswith(".") else why + "."


def _refuse(tombstone: Tombstone) -> NoReturn:
    name, kind, why = facts(tombstone)
    raise NotCarried(
        "'%s'%s was not carried into this cell: %s %s" % (name, " (%s)" % kind if kind else "", _sentence(why), _REMEDY[0])
    )

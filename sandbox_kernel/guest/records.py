"""Classes of plain values with names, as ``dataclasses`` makes them, but without that module.

It needs ``inspect`` and makes source of each class, which it then compiles: on half a processor a new sandbox waited a tenth
of a second for both, and several where Python's own modules are not compiled, as in the images of that name. Who reads the
types takes these for its own.
"""

from __future__ import annotations

from . import TYPE_CHECKING

__all__ = ["field", "names_of", "record", "replace", "values_of"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
    from dataclasses import field, replace
    from typing import Any, Callable, Dict, Tuple
else:

    def record(*, frozen: bool = False) -> Any:
        """Make a class one of these. Frozen ones cannot be changed, and have a hash if their values have."""
        return lambda cls: _prepare(cls, frozen)

    def field(*, default_factory: Callable[[], Any]) -> Any:
        """A default that is made anew for each."""
        return _Maker(default_factory)

    def replace(thing: Any, **changes: Any) -> Any:
        """Return one of the same kind with some values changed."""
        return type(thing)(**{**thing.__dict__, **changes})


class _Maker:
    def __init__(self, make: Callable[[], Any]) -> None:
        self.make = make


def _prepare(cls: Any, frozen: bool) -> Any:
    names = tuple(getattr(cls, "__annotations__", {}))
    cls.__match_args__ = names  # type: ignore[misc]
    cls._makers = {name: vars(cls)[name].make for name in names if isinstance(vars(cls).get(name), _Maker)}
    for name in cls._makers:
        delattr(cls, name)
    cls.__init__, cls.__repr__, cls.__eq__, cls.__hash__ = _init, _repr, _eq, _hash if frozen else None
    if frozen:
        cls.__setattr__ = cls.__delattr__ = _refuse
    return cls


def _init(self: Any, *values: Any, **named: Any) -> None:
    kind, names = type(self), self.__match_args__
    given = dict(zip(names, values))
    if len(values) > len(names) or given.keys() & named.keys() or named.keys() - set(names):
        raise TypeError("%s has the values %s" % (kind.__name__, ", ".join(names) or "none"))
    given.update(named)
    for name in names:
        if name in given:
            self.__dict__[name] = given[name]
        elif name in self._makers:
            self.__dict__[name] = self._makers[name]()
        elif hasattr(kind, name):
            self.__dict__[name] = getattr(kind, name)
        else:
            raise TypeError("%s needs a value for %s" % (kind.__name__, name))


def _repr(self: Any) -> str:
    return "%s(%s)" % (type(self).__qualname__, ", ".join("%s=%r" % item for item in self.__dict__.items()))


def _eq(self: Any, other: Any) -> Any:
    return self.__dict__ == other.__dict__ if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(tuple(self.__dict__.values()))


def _refuse(self: Any, name: str, *_: Any) -> None:
    raise AttributeError("%s of a %s cannot be changed" % (name, type(self).__name__))


def names_of(kind: Any) -> Tuple[str, ...]:
    """Return the names of the values of a class of these, in order."""
    names: Tuple[str, ...] = kind.__match_args__
    return names


def values_of(thing: Any) -> Dict[str, Any]:
    """Return the values by name."""
    return dict(thing.__dict__)

"""Which items share an object that can be changed, or whose identity can be told: those are written as one."""

from __future__ import annotations

import enum
import io
import pickle
import types
from collections import Counter
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from . import cloudpickle, finding  # type: ignore[attr-defined]
from .carry_arrays import Arrays
from .carry_names import Tombstone
from .carry_world import World, by_reference

#: Of smaller items a list of all that is in them is made, which takes as long as writing them; so does comparing lists.
LARGE_BYTES = 256 << 10
#: More than this is not looked for one by one.
MOST_LOOKED_FOR = 50_000

#: Nobody can tell whether two names have the same one of these, or only equal ones.
_ALIKE: Tuple[type, ...] = (
    str, bytes, int, float, complex, bool, tuple, frozenset, range, slice, type(None), type(Ellipsis), type(NotImplemented),
    types.CodeType, types.ModuleType, types.BuiltinFunctionType, types.MethodDescriptorType, types.WrapperDescriptorType,
    types.GetSetDescriptorType, types.MemberDescriptorType, types.GenericAlias, types.FunctionType, type,
    enum.Enum, Tombstone,
)  # fmt: skip
#: Nor of these, where their modules are imported: there is no value of a type that is not there.
_ALIKE_OF_MODULES = (
    ("datetime", ("date", "time", "timedelta", "tzinfo")), ("decimal", ("Decimal",)), ("fractions", ("Fraction",)),
    ("logging", ("Logger",)), ("pathlib", ("PurePath",)), ("re", ("Pattern",)), ("uuid", ("UUID",)),
)  # fmt: skip
#: From this length on, though, it is better not to have it twice.
LONG = 4096
_LONG = (str, bytes, tuple, frozenset)
_ALIKE_FROM = ("typing", "numpy.dtypes")


class Constants:
    """What libraries have one of, at a module or a class, as pandas has ``_metadata``, which each of its frames refers to.

    That two values refer to it does not make one of them. ``singles`` are those that are written by their names.
    """

    def __init__(self, pieces: List[Piece], singles: Dict[type, Dict[int, str]], named: FrozenSet[int] = frozenset()) -> None:
        """``named``: Ids of what is the value of several names, which are to remain the same."""
        self._pieces = pieces
        self._singles = singles
        self._named = named
        self._of_classes: Optional[Set[int]] = None
        self.alike = (*_ALIKE, *_alike_of_modules()) if pieces else _ALIKE

    def has(self, value: Any) -> bool:
        kind = type(value)
        if kind not in (list, dict, set):
            return id(value) in self._singles.get(kind, ()) or _is_named(value)
        if self._of_classes is None:  # Most items share nothing that anybody asks about.
            kinds = {base for piece in self._pieces for kind in piece.kinds for base in kind.__mro__}
            of_modules = [vars(kind) for kind in kinds if by_reference(kind)]
            self._of_classes = {
                id(item) for space in of_modules for item in space.values() if type(item) in (list, dict, set)
            }
        return id(value) in self._of_classes and id(value) not in self._named


def _alike_of_modules() -> Iterator[type]:
    for name, kinds in _ALIKE_OF_MODULES:
        module = finding.loaded(name)
        for kind in kinds if module is not None else ():
            yield getattr(module, kind)


def _is_named(value: Any) -> bool:
    """Say whether a value of a library's type is written as the name that a module has for it."""
    kind: Any = type(value)
    try:
        if not by_reference(kind):
            return False
        if callable(value):
            return cloudpickle._lookup_module_and_qualname(value) is not None
        # What is large is not asked: its answer may be a copy of all that it holds.
        return kind.__basicsize__ <= 64 and kind.__reduce__ is not object.__reduce__ and isinstance(value.__reduce__(), str)
    except Exception:
        return False


class Piece:
    """One item, written. ``sizes`` estimates the bytes of each of its names."""

    def __init__(self, names: List[str]) -> None:
        self.names = names
        self.data = b""
        self.sizes: Dict[str, int] = {}
        self.buffers: List[pickle.PickleBuffer] = []
        self.needs: Set[str] = set()
        self.kinds: Set[type] = set()
        self.by_value: Set[int] = set()
        self.modules: Set[str] = set()
        self.tombstones: Dict[str, str] = {}
        self.arrays = Arrays(set())
        self.constants = Constants([], {})
        #: What wrote it, and into what.
        self.pickler: Any = None
        self.file = io.BytesIO()
        self._all: Optional[Dict[int, Any]] = None
        self._count: Optional[int] = None

    @property
    def all(self) -> Dict[int, Any]:
        """All objects in it, by id; each is the last of a tuple. Takes time where it is large."""
        if self._all is None:
            self._all = dict(self.pickler.memo.copy())
        return self._all

    def done(self) -> None:
        """Forget what only groups need to know."""
        self._all = self.pickler = None
        self.constants = Constants([], {})
        self.file = io.BytesIO()

    def counts(self, key: int) -> bool:
        """Say whether it matters that another item has the object with this id as well."""
        if key in self.by_value:
            return True
        value = self.all[key][1]
        kind = type(value)
        if kind in _LONG and len(value) >= LONG:
            return True
        if key in self.arrays.apart or issubclass(kind, self.constants.alike) or kind.__module__ in _ALIKE_FROM:
            return False
        return not self.constants.has(value)

    def has(self, value: Any) -> bool:
        """Say whether an object is in it, without :attr:`all`."""
        if self._count is None:
            mark: List[Any] = []
            self._reference(mark)  # Now it is written, and by its number we know what came later.
            self._count = self._reference(mark) or 0
        number = self._reference(value)
        # What is looked for may be noted as written, up to where something in it was not.
        return number is not None and number < self._count

    def _reference(self, value: Any) -> Optional[int]:
        """Return the number under which the pickler knows an object. If it does not, it may do so from now on."""
        file = self.file
        file.seek(0)
        file.truncate()
        try:
            self.pickler.look_for(value)
        except Exception:
            return None
        written = file.getvalue()
        start = 11 if written[2:3] == pickle.FRAME else 2
        size = {pickle.BINGET: 1, pickle.LONG_BINGET: 4}.get(written[start : start + 1])
        return None if size is None else int.from_bytes(written[start + 1 : start + 1 + size], "little")


def groups(pieces: List[Piece], world: World, values: Dict[str, Any]) -> List[List[Piece]]:
    """Put together what has to be written as one; ``values`` are those of the names."""
    several = frozenset(key for key, count in Counter(map(id, values.values())).items() if count > 1)
    constants = Constants(pieces, world.singles, several)
    for piece in pieces:
        piece.constants = constants
    group_of = {id(piece): [piece] for piece in pieces}

    def join(one: Piece, other: Piece) -> None:
        ours, theirs = group_of[id(one)], group_of[id(other)]
        if ours is not theirs:
            theirs.extend(ours)
            group_of.update({id(member): theirs for member in ours})

    *others, largest = sorted(pieces, key=lambda piece: len(piece.data)) or [Piece([])]
    owners: Dict[int, Piece] = {}
    for piece in others:
        _compare(piece, owners, join)
        owners.update(dict.fromkeys(piece.all, piece))
    if len(largest.data) < LARGE_BYTES or len(owners) > MOST_LOOKED_FOR:
        _compare(largest, owners, join)
    else:
        tried: Set[int] = set()
        for piece in others:
            if _reaches(piece, largest, tried):
                join(piece, largest)
    return list({id(group): group for group in group_of.values()}.values())


def _reaches(piece: Piece, large: Piece, tried: Set[int]) -> bool:
    """Say whether something of ``piece`` is in ``large``, without asking for all that is; but nothing that was ``tried``."""
    # What was found first holds what was found later, and looking for it is as good as adding all that it holds.
    for key, (_, value) in sorted(piece.all.items(), key=lambda item: -item[1][0]):
        if key not in tried and piece.counts(key):
            tried.add(key)
            # What is written in full here may be referred to by its name there.
            found = key in large.by_value if key in piece.by_value else large.has(value)
            if found:
                return True
    return False


def _compare(piece: Piece, owners: Dict[int, Piece], join: Any) -> None:
    if owners:
        for key in owners.keys() & piece.all.keys():
            if piece.counts(key) and owners[key].counts(key):
                join(piece, owners[key])

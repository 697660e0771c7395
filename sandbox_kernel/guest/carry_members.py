"""Which members of containers cannot be carried, so that the rest of what holds them can be.

Where a name cannot be written, its value is looked through: everything in dictionaries, lists, tuples, sets and the
attributes of plain instances of the cells' own classes is tried alone, cut off from all else that was found so. In the place
of what fails something is written that says so when it is used (:mod:`.carry_names`).

Nothing else is opened: what a library, or a ``__reduce__`` of the user's, holds is its own affair, and something else there
could pass for a value. Such an object is a member as a whole. So it is where it holds a member that cannot be carried.
"""

from __future__ import annotations

import copyreg
import pickle
from collections import deque
from time import monotonic
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple

from .carry_load import NEEDS, tell
from .carry_names import Member, Tombstone, facts, kind_of
from .carry_pickle import Pickling
from .carry_trial import PLAIN
from .carry_world import World, by_reference
from .session_names import nearness

#: For all searches while one state is written: whoever waits for that gives up at some time, and then all of it is lost.
PATIENCE_S = 15.0
#: With more of them than this a value is lost as a whole: that is better told in one line.
MOST_MEMBERS = 1000
#: Of one key in a path, and of a path.
MOST_OF_KEY = 40
MOST_OF_PATH = 100

_ATOMS = frozenset(
    {type(None), type(Ellipsis), type(NotImplemented), bool, int, float, complex, str, bytes, bytearray, range}
)
_NOTHING: Set[int] = set()
_KEYS = (str, int, float, bool, bytes, type(None), tuple)
#: What is looked through and is written without any code of its own.
_OPENED = frozenset({dict, list, tuple, set, frozenset})
#: What makes an instance one that is not plain.
_OWN_WAYS = (
    "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__", "__slots__", "__getattribute__",
)  # fmt: skip


class Place(NamedTuple):
    """A value and how it was come to; ``hashed``: something is found by its hash there, or was on the way."""

    value: Any
    step: str
    key: Any
    within: Optional[Place]
    hashed: bool

    def path(self) -> str:
        """Return it as it is written in a cell, as far as it can be."""
        steps: List[str] = []
        place: Optional[Place] = self
        while place is not None:
            if place.step in ("member", "key"):
                steps = ["a %s of " % place.step]  # What is within that cannot be written.
                outer = place.within.path() if place.within else ""
                return _short(steps[0] + outer)
            steps.append(_STEPS[place.step] % (_key(place.key) if place.step == "item" else place.key))
            place = place.within
        return _short("".join(reversed(steps)))


_STEPS = {"name": "%s", "item": "[%s]", "attribute": ".%s"}


def _key(key: Any) -> str:
    text = (
        repr(key)
        if type(key) in _KEYS and (type(key) is not tuple or all(type(part) in _KEYS[:-1] for part in key))
        else "..."
    )
    return text if len(text) <= MOST_OF_KEY else text[: MOST_OF_KEY - 3] + "..."


def _short(path: str) -> str:
    return path if len(path) <= MOST_OF_PATH else "%s...%s" % (path[:30], path[-(MOST_OF_PATH - 33) :])


class _Nothing:
    def write(self, data: Any) -> int:
        return len(data)


class _Trying(Pickling, pickle.Pickler):
    """Tries values that were found, each without the others."""

    def __init__(self, world: World, own: Set[str]) -> None:
        super().__init__(_Nothing(), world, own)
        #: What else was found, by id.
        self.found: Dict[int, Place] = {}
        self.touched: Set[int] = set()
        self._tried = 0

    def persistent_id(self, value: Any) -> Optional[bool]:
        key = id(value)
        if key == self._tried or not (key in self.found or key in self._world.gone or key in self._world.known):
            return None
        self.touched.add(key)
        return True

    def attempt(self, value: Any, lost: Mapping[str, str]) -> Tuple[Optional[str], Set[int]]:
        """Return why a value cannot be written, None if it can, and what it holds of what was found."""
        self._tried, self.touched, self.needs, self.buffers = id(value), set(), set(), []
        why = None
        try:
            self.dump(value)
        except (KeyboardInterrupt, RecursionError):
            raise
        except BaseException as error:
            why = tell(error, "pickling it")
        missing = sorted(self.needs & lost.keys())
        if why is None and missing:
            why = NEEDS % (missing[0], lost[missing[0]])
        if why is not None or self.touched:
            self.clear_memo()  # What was noted as written may be so in part, or tell nothing of what it touches again.
        return why, self.touched


def find(world: World, values: Mapping[str, Any], lost: Mapping[str, str]) -> bool:
    """Put what cannot be carried of containers that are ``values``, by name, into ``world.gone``; say whether there is any.

    Raises what looking through them raises; then nothing was put there. ``lost``: names that are not carried, and why.
    """
    trying = _Trying(world, set(values))
    _look_through(world, values, trying.found)
    return leave_out(world, [(trying.found[key], why) for key, why in _bad(world, trying, lost).items()])


def leave_out(world: World, bad: List[Tuple[Place, str]]) -> bool:
    """Put members into ``world.gone``; False: there are none, or what holds them has to be lost as a whole."""
    if len(bad) > MOST_MEMBERS or any(place.within is None for place, _ in bad):
        return False
    if any(place.hashed and not _by_identity(type(place.value)) for place, _ in bad):
        return False  # Whoever asks whether an equal one is there would be told that it is not.
    for place, why in bad:
        kind = Member if _by_identity(type(place.value)) else Tombstone
        world.gone.setdefault(id(place.value), (kind(place.path(), kind_of(place.value), why), place.value))
    return bool(bad)


def own_ways(world: World, values: Mapping[str, Any]) -> List[Place]:
    """Return those members of containers that are made again in ways of their own, by which that may fail."""
    found: Dict[int, Place] = {}
    _look_through(world, values, found)
    return [
        place
        for place in found.values()
        if id(place.value) not in world.gone and not (type(place.value) in _OPENED or _is_plain(world, type(place.value)))
    ]


def _look_through(world: World, values: Mapping[str, Any], found: Dict[int, Place]) -> None:
    # The shortest path is that to tell of; and of a name rather than of a result that shows the same.
    rest = deque(Place(values[name], "name", name, None, False) for name in sorted(values, key=nearness))
    while rest:
        place = rest.popleft()
        _keep_to(world)
        key = id(place.value)
        before = found.get(key)
        if key in world.known or (before is not None and before.hashed >= place.hashed):
            continue
        found[key] = place if before is None else before._replace(hashed=True)
        rest.extend(_inside(world, place))


def _inside(world: World, place: Place) -> Iterator[Place]:
    for value, step, key, hashed in _members(world, place.value, place.hashed):
        if type(value) not in _ATOMS:
            yield Place(value, step, key, place, hashed)


def _keep_to(world: World) -> None:
    now = monotonic()
    world.search_until = world.search_until or now + PATIENCE_S
    if now > world.search_until:
        raise TimeoutError


def _members(world: World, value: Any, hashed: bool) -> Iterator[Tuple[Any, str, Any, bool]]:
    kind = type(value)
    if (
        kind in _OPENED
        and _ATOMS.issuperset(map(type, value))
        and (kind is not dict or _ATOMS.issuperset(map(type, value.values())))
    ):
        return  # Most, and quickly seen.
    if kind is dict:
        for key, item in list(value.items()):
            yield key, "key", None, True
            yield item, "item", key, hashed
    elif kind in (list, tuple):
        for index, item in enumerate(list(value)):
            yield item, "item", index, hashed
    elif kind in (set, frozenset):
        for item in list(value):
            yield item, "member", None, True
    elif _is_plain(world, kind):
        hashed = hashed and not _by_identity(kind)
        for name, item in list(object.__getattribute__(value, "__dict__").items()):
            yield item, "attribute", name, hashed


def _is_plain(world: World, kind: Any) -> bool:
    """Say whether objects of a class of the cells are made again by nothing but filling their ``__dict__``."""
    known = world.plain.get(kind)
    if known is None:
        known = world.plain[kind] = _look_at(kind)
    return known


def _look_at(kind: Any) -> bool:
    if type(kind).__module__ not in ("builtins", "abc") or kind in copyreg.dispatch_table or not kind.__dictoffset__:
        return False
    own = [base for base in kind.__mro__ if base not in PLAIN]
    return (
        bool(own)
        and kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and not any(by_reference(base) or any(name in vars(base) for name in _OWN_WAYS) for base in own)
    )


def _by_identity(kind: Any) -> bool:
    """Say whether an object of a type equals itself and nothing else, as what stands in its place does."""
    return kind.__eq__ is object.__eq__ and kind.__hash__ is object.__hash__


def _bad(world: World, trying: _Trying, lost: Mapping[str, str]) -> Dict[int, str]:
    """Return why what was found cannot be written, by id, of what cannot."""
    bad = {key: facts(stone)[2] for key, (stone, _) in world.gone.items()}
    touching: List[Tuple[int, Set[int]]] = []
    plain: Dict[type, Optional[str]] = {}
    for key, place in trying.found.items():
        kind = type(place.value)
        if key in bad or kind in _OPENED:
            continue
        why, touched = plain.get(kind), _NOTHING
        if kind not in plain:
            _keep_to(world)
            why, touched = trying.attempt(place.value, lost)
            if _is_plain(world, kind):  # What they hold was found, so it is one and the same with all of them.
                plain[kind], touched = why, _NOTHING
        if why is not None:
            bad[key] = why
        elif touched:
            touching.append((key, touched))
    more = True
    while more:  # What is not opened and holds what is bad is bad, too.
        found = [(key, touched & bad.keys()) for key, touched in touching if key not in bad]
        bad.update({key: bad[min(held)] for key, held in found if held})
        more = any(held for _, held in found)
    return {key: why for key, why in bad.items() if key in trying.found}

"""One snapshot in the making: what of the namespace is written, and what fits."""

from __future__ import annotations

import pickle
import types
from collections import Counter
from typing import Any, Dict, List, Optional, Set, Tuple

from . import carry_members, carry_trial, carry_write
from .carry_groups import Piece
from .carry_head import pack
from .carry_load import Item
from .carry_modules import Modules
from .carry_names import Tombstone, facts, is_member, kind_of
from .carry_parts import Part, Parts
from .carry_world import World
from .session_names import is_result, rank

#: Items of at least so many bytes are parts of their own.
ITEM_BYTES = 64 << 10
#: For what the head has beside the items.
HEAD_BYTES = 4 << 10


class Saving:
    """Writes what is in the namespace of ``main`` and was not ``before``.

    Args:
        main: The module whose namespace it is.
        parts: Where to read parts from and write them to.
        modules: The modules that are there, or stand-ins for them.
        before: What was there before the first cell.
        loaded: The data of items that were loaded in this process, or the part that it is.
        cap_bytes: See :class:`.carry.Carrier`.
        advice: The same.
    """

    def __init__(
        self,
        main: types.ModuleType,
        parts: Parts,
        modules: Modules,
        before: Dict[str, Any],
        loaded: Set[Any],
        cap_bytes: Optional[int],
        advice: str,
    ) -> None:
        self._cap_bytes = cap_bytes
        self._advice = advice
        self._main = main
        self._parts = parts
        parts.begin()
        self._loaded = loaded
        self._modules = modules
        self._order: List[str] = []
        self._bound: Dict[str, str] = {}
        self._items: Dict[str, Any] = {}
        self._pieces: List[Piece] = []
        self._used: Dict[int, Tuple[Optional[Part], List[Part]]] = {}
        #: By name: the name of the type, and why.
        self.lost: Dict[str, Tuple[str, str]] = {}
        for name, value in list(main.__dict__.items()):
            if type(name) is str and not (name in before and before[name] is value):
                self._order.append(name)
                self._sort(name, value)
        self._world = World(main, self._items, modules.name_of)

    def _sort(self, name: str, value: Any) -> None:
        if type(value) is Tombstone:
            self.lost[name] = facts(value)[1:]
            return
        module = self._modules.name_of(value) if issubclass(type(value), types.ModuleType) else None
        if module is not None:
            self._bound[name] = module
        else:
            self._items[name] = value

    def write_names(self) -> None:
        """Pickle the items, as far as they fit."""
        written = carry_write.write_all(self._world, self._items)
        for name, why in written.lost.items():
            self._lose(name, why)
        for piece in written.pieces:
            self._name_parts(piece)
        self._pieces = written.pieces
        self._drop_unloadable()
        if self._cap_bytes is not None:
            self._shrink(self.total - self._cap_bytes)

    def _name_parts(self, piece: Piece) -> None:
        data = self._parts.name(piece.data) if len(piece.data) >= ITEM_BYTES else None
        self._used[id(piece)] = data, [self._parts.name(buffer.raw()) for buffer in piece.buffers]

    def _drop_unloadable(self) -> None:
        failed = self._failures(self._pieces)
        for piece in [piece for piece in self._pieces if failed.keys() & piece.names]:
            self._pieces.remove(piece)
            bad: Dict[str, str] = {}
            rest = self._without_members(piece, failed)
            if rest is None and len(piece.names) > 1:
                rest, bad = self._without_guilty(piece)
            if rest is not None:
                self._name_parts(rest)
                self._pieces.append(rest)
            for name in piece.names:
                if rest is None or name not in rest.names:
                    self._lose(name, bad.get(name, failed[name]))
        self._drop_needy()

    def _without_members(self, piece: Piece, failed: Dict[str, str]) -> Optional[Piece]:
        """Write an item without those members of containers that cannot be loaded; None if that does not help."""
        values = {name: self._items[name] for name in piece.names}
        if carry_trial.ENDLESS in failed.values():
            return None  # There is no time for another one.
        try:
            places = carry_members.own_ways(self._world, values)
            alone = [carry_write.write(self._world, {place.path(): place.value}) for place in places if place.within]
            bad = self._failures(alone)
            if not carry_members.leave_out(
                self._world, [(place, bad[place.path()]) for place in places if place.path() in bad]
            ):
                return None
            rest = carry_write.write(self._world, values)
        except KeyboardInterrupt:
            raise
        except BaseException:
            return None
        return None if self._failures([rest]) else rest

    def _without_guilty(self, piece: Piece) -> Tuple[Optional[Piece], Dict[str, str]]:
        """Write those names of an item together that can be loaded alone; return what came of it, and why not the others."""
        alone = [carry_write.write(self._world, {name: self._items[name]}) for name in piece.names]
        bad = self._failures(alone)
        good = {name: self._items[name] for name in piece.names if name not in bad}
        if not bad or not good:
            return None, bad
        rest = carry_write.write(self._world, good)
        return (None if self._failures([rest]) else rest), bad

    def _failures(self, pieces: List[Piece]) -> Dict[str, str]:
        items = []
        for piece in pieces:
            data, _ = self._used.get(id(piece), (None, []))
            if (piece.data if data is None else data) not in self._loaded:
                items.append((Item(piece.names, piece.data, piece.buffers), piece.kinds))
        return carry_trial.failures(self._main, items, self._modules.get)

    def _drop_needy(self) -> None:
        lost = {name: why for name, (_, why) in self.lost.items() if name in self._items}
        known = set(lost)
        kept = carry_write.drop_needy(self._world, self._items, self._pieces, lost)
        for name in lost.keys() - known:
            self._lose(name, lost[name])
        for piece in kept:
            if piece not in self._pieces:
                self._name_parts(piece)
        self._pieces = kept

    def _lose(self, name: str, why: str) -> None:
        self.lost[name] = kind_of(self._items[name]), why

    def _shrink(self, over: int) -> None:
        """Leave out results, then the largest items, until ``over`` bytes are saved."""
        users = Counter(part for piece in self._pieces for part in set(self._used[id(piece)][1]))
        largest = sorted(self._pieces, key=lambda piece: rank(piece.names, self._size(piece)))
        while largest and over > 0:
            piece = largest.pop()
            results = [name for name in piece.names if is_result(name)]
            if results and len(results) < len(piece.names):
                self._pieces = [other for other in self._pieces if other is not piece] + self._without(results, piece)
                self._shrink(self.total - (self._cap_bytes or 0))
                return
            buffers = set(self._used[id(piece)][1])
            users.subtract(buffers)
            over -= len(piece.data) + sum(part.size for part in buffers if not users[part])
            for name in piece.names:
                self._lose(name, self._does_not_fit(piece))
        kept = set(map(id, largest))
        self._pieces = [piece for piece in self._pieces if id(piece) in kept]
        self._drop_needy()

    def _without(self, results: List[str], piece: Piece) -> List[Piece]:
        """Write the variables of an item without the results that refer to them: alone again, if only those joined them."""
        for name in results:
            self._lose(name, self._does_not_fit(piece))
        written = carry_write.write_all(self._world, {n: self._items[n] for n in piece.names if n not in results})
        for name, why in written.lost.items():
            self._lose(name, why)
        for rest in written.pieces:
            self._name_parts(rest)
        return written.pieces

    def lost_members(self) -> Dict[str, str]:
        """Return what of containers that are carried is not, by its path, and why."""
        return {name: why for piece in self._pieces for name, why in piece.tombstones.items() if is_member(name)}

    def _does_not_fit(self, piece: Piece) -> str:
        shared = "it and what it shares have %d bytes, which do not fit."
        why = (shared if len(piece.names) > 1 else "its %d bytes do not fit.") % self._size(piece)
        return ("%s %s" % (why, self._advice)).strip()

    def _size(self, piece: Piece) -> int:
        return len(piece.data) + sum(part.size for part in self._used[id(piece)][1])

    @property
    def total(self) -> int:
        """Bytes of all parts that the items need, and about those of the head."""
        buffers = {part for piece in self._pieces for part in self._used[id(piece)][1]}
        return HEAD_BYTES + sum(len(piece.data) for piece in self._pieces) + sum(part.size for part in buffers)

    def write(self, process: Dict[str, Any], files: List[Dict[str, Any]], needed: Set[Part]) -> Part:
        """Write all parts and, last, the head, and return it; ``needed`` are parts that the files need and have written."""
        while True:
            head = self._head(process, files)
            parts = needed | {part for piece in self._pieces for part in self._parts_of(piece)}
            over = len(head) + sum(part.size for part in parts) - (self._cap_bytes or 0)
            if self._cap_bytes is None or over <= 0 or not self._pieces:
                break
            self._shrink(over)
        self._parts.used = {part.digest: part for part in needed}
        for piece in self._pieces:
            for part, data in zip(self._parts_of(piece), [*piece.buffers, piece.data]):
                self._parts.write(part, data.raw() if isinstance(data, pickle.PickleBuffer) else data)
        return self._parts.put(head)

    def _parts_of(self, piece: Piece) -> List[Part]:
        data, buffers = self._used[id(piece)]
        return buffers if data is None else [*buffers, data]

    def _head(self, process: Dict[str, Any], files: List[Dict[str, Any]]) -> bytes:
        modules = set(self._bound.values()).union(*(piece.modules for piece in self._pieces))
        return pack(
            {
                # In the order of the namespace, functions and classes first: code that runs for a value may need them.
                "items": [self._entry(piece) for piece in self._pieces],
                "modules": self._bound,
                "inner": self._modules.dump(modules),
                "order": self._order,
                "kinds": {name: kind_of(value) for name, value in self._items.items()},
                "lost": self.lost,
                "process": process,
                "files": files,
            }
        )

    def _entry(self, piece: Piece) -> Tuple[List[str], Any, List[Tuple[str, int]]]:
        data, buffers = self._used[id(piece)]
        return piece.names, piece.data if data is None else tuple(data), [(part.digest, part.size) for part in buffers]

    def names(self) -> List[Dict[str, Any]]:
        """Return name, type and estimated bytes of what was written, without names that begin with an underscore."""
        sizes = {name: size for piece in self._pieces for name, size in piece.sizes.items() if not name.startswith("_")}
        return [
            {"name": name, "type": kind_of(self._items[name]), "size": sizes[name]} for name in self._order if name in sizes
        ]

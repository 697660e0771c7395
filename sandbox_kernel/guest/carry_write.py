"""The namespace to items: each name alone, or several together whose values share what can be changed."""

from __future__ import annotations

import sys
import threading
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Dict, List

from .carry_arrays import shared
from .carry_groups import LARGE_BYTES, Piece, groups
from .carry_load import NEEDS, tell
from .carry_pickle import Careful, Deep, Pickler
from .carry_world import World, is_definition

#: Calls within calls: as many as any stack has room for.
FRAMES = 3000
#: Python frames, and the stack they need where each is also one of C.
DEEP_FRAMES = 200_000
DEEP_STACK_BYTES = 256 << 20


class Written:
    """What was written, and why the rest was not, by name."""

    def __init__(self, pieces: List[Piece], lost: Dict[str, str]) -> None:
        self.pieces = pieces
        self.lost = lost


def write_all(world: World, values: Dict[str, Any]) -> Written:
    """Write each value that can be written."""
    lost: Dict[str, str] = {}

    def attempt(names: List[str]) -> List[Piece]:
        try:
            return [write(world, {name: values[name] for name in names})]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            lost.update(dict.fromkeys(names, tell(error, "pickling it")))
            return []

    pieces = [piece for name in values for piece in attempt([name])]
    world.shared = shared(piece.arrays for piece in pieces)
    if world.shared:
        written = [attempt(piece.names) if world.shared & piece.arrays.seen.keys() else [piece] for piece in pieces]
        pieces = [piece for some in written for piece in some]
    kept = []
    for group in groups(pieces, world, values):
        kept += group if len(group) == 1 else attempt([name for piece in group for name in piece.names])
    for piece in kept:
        piece.done()
    kept = drop_needy(kept, lost)
    definitions = {name for name, value in values.items() if is_definition(value)}
    kept.sort(key=lambda piece: not definitions.intersection(piece.names))
    return Written(kept, lost)


def write(world: World, values: Dict[str, Any]) -> Piece:
    """Write some values as one item. Raises what pickling them raises."""
    limit = sys.getrecursionlimit()
    try:
        # What the user allows may be more than fits on the stack of C.
        sys.setrecursionlimit(FRAMES)
        return _write_safely(world, values)
    except RecursionError:
        pass
    finally:
        sys.setrecursionlimit(limit)
    return _deeply(lambda: _write_with(Deep, world, values, []))


def _write_safely(world: World, values: Dict[str, Any]) -> Piece:
    known = world.known.keys()
    if any(id(value) in known for value in values.values()):
        return _write_with(Careful, world, values, [])
    made: List[Any] = []
    try:
        piece = _write_with(Pickler, world, values, made)
    except Exception:
        if made and known & made[0].memo.copy().keys():
            return _write_with(Careful, world, values, [])
        raise
    # A dictionary of a module has its specification, or what is built in; so a large item without them has none.
    suspect = len(piece.data) < LARGE_BYTES or ModuleSpec in piece.kinds or "builtins" in piece.modules
    return _write_with(Careful, world, values, []) if suspect and known & piece.all.keys() else piece


def _write_with(kind: Any, world: World, values: Dict[str, Any], made: List[Any]) -> Piece:
    """Write with one kind of pickler, which is put into ``made``."""
    piece = Piece(sorted(values, key=lambda name: not is_definition(values[name])))
    file = piece.file
    pickler = piece.pickler = kind(file, world, set(values))
    made.append(pickler)
    for name in piece.names:
        before = file.tell() + sum(len(item.raw()) for item in pickler.buffers)
        pickler.dump(values[name])
        piece.sizes[name] = file.tell() + sum(len(item.raw()) for item in pickler.buffers) - before
    piece.data = file.getvalue()
    for attribute in ("buffers", "needs", "kinds", "by_value", "modules", "arrays"):
        setattr(piece, attribute, getattr(pickler, attribute))
    return piece


def _deeply(call: Callable[[], Piece]) -> Piece:
    """Call with room for deep recursion. Raises RecursionError where that is not enough either."""
    results: List[Any] = []

    def catch() -> None:
        try:
            results.append(call())
        except BaseException as error:
            results.append(error)

    limit, size = sys.getrecursionlimit(), threading.stack_size(DEEP_STACK_BYTES)
    try:
        sys.setrecursionlimit(DEEP_FRAMES)
        thread = threading.Thread(target=catch)
        thread.start()
        thread.join()
    except RuntimeError:
        raise RecursionError("it is nested too deeply") from None
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    [result] = results
    if isinstance(result, BaseException):
        raise result
    made: Piece = result
    return made


def drop_needy(pieces: List[Piece], lost: Dict[str, str]) -> List[Piece]:
    """Leave out what needs something that is lost, adding that to ``lost``."""
    while True:
        gone = [piece for piece in pieces if piece.needs & lost.keys()]
        if not gone:
            return pieces
        for piece in gone:
            missing = min(piece.needs & lost.keys())
            lost.update(dict.fromkeys(piece.names, NEEDS % (missing, lost[missing])))
        pieces = [piece for piece in pieces if piece not in gone]

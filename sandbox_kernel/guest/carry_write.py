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

PICKLING = "pickling it"
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
    pieces = []
    for name, value in values.items():
        try:
            pieces.append(write(world, {name: value}))
        except BaseException as error:
            lost[name] = tell(error, PICKLING)
    world.shared = shared(piece.arrays for piece in pieces)
    if world.shared:
        pieces = [_again(world, values, piece) if world.shared & piece.arrays.seen.keys() else piece for piece in pieces]
    joined = [_join(world, values, group, lost) for group in groups(pieces)]
    kept = [piece for group in joined for piece in group]
    for piece in kept:
        piece.done()
    kept = drop_needy(kept, lost)
    definitions = {name for name, value in values.items() if is_definition(value)}
    kept.sort(key=lambda piece: not definitions.intersection(piece.names))
    return Written(kept, lost)


def write(world: World, values: Dict[str, Any]) -> Piece:
    """Write some values as one item. Raises what pickling them raises."""
    try:
        return _write_safely(world, values)
    except RecursionError:
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
        sys.setrecursionlimit(max(limit, DEEP_FRAMES))
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


def _again(world: World, values: Dict[str, Any], piece: Piece) -> Piece:
    return write(world, {name: values[name] for name in piece.names})


def _join(world: World, values: Dict[str, Any], group: List[Piece], lost: Dict[str, str]) -> List[Piece]:
    if len(group) == 1:
        return group
    try:
        return [write(world, {name: values[name] for piece in group for name in piece.names})]
    except BaseException as error:
        lost.update({name: tell(error, PICKLING) for piece in group for name in piece.names})
        return []


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

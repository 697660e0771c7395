"""The namespace to items: each name alone, or several together whose values share what can be changed."""

from __future__ import annotations

import sys
import threading
from importlib.machinery import ModuleSpec
from typing import Any, Callable, Dict, List, Optional

from .carry_arrays import shared
from .carry_groups import LARGE_BYTES, Piece, groups
from .carry_load import NEEDS, tell
from .carry_members import find
from .carry_pickle import Careful, Deep, Pickler
from .carry_world import World, is_definition
from .session_names import STATE, nearness

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

    alone = {name: attempt([name]) for name in values}
    for name in sorted(lost, key=nearness):  # What a name and a result share is told of by the name.
        # A shell reads what it finds there, and cannot be told of gaps.
        found = mend(world, {name: values[name]}, lost) if name != STATE else None
        if found is not None:
            alone[name] = [found]
            del lost[name]
    pieces = [piece for name in values for piece in alone[name]]
    world.shared = shared(piece.arrays for piece in pieces)
    if world.shared:
        written = [attempt(piece.names) if world.shared & piece.arrays.seen.keys() else [piece] for piece in pieces]
        pieces = [piece for some in written for piece in some]
    kept = []
    for group in groups(pieces, world, values):
        kept += group if len(group) == 1 else attempt([name for piece in group for name in piece.names])
    for piece in kept:
        piece.done()
    kept = drop_needy(world, values, kept, lost)
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
    for attribute in ("buffers", "needs", "kinds", "by_value", "modules", "arrays", "tombstones"):
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


def mend(world: World, values: Dict[str, Any], lost: Dict[str, str]) -> Optional[Piece]:
    """Write values as one item without those members of containers that cannot be; None if there is no such way.

    ``lost``: names that are not carried, and why.
    """
    limit = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(FRAMES)
        if not find(world, values, lost):
            return None
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None
    finally:
        sys.setrecursionlimit(limit)
    try:
        return write(world, values)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return None


def drop_needy(world: World, values: Dict[str, Any], pieces: List[Piece], lost: Dict[str, str]) -> List[Piece]:
    """Leave out what needs something that is lost, adding that to ``lost``; of a container only the member that does."""
    while any(piece.needs & lost.keys() for piece in pieces):
        kept = []
        for piece in pieces:
            missing = sorted(piece.needs & lost.keys())
            mended = mend(world, {name: values[name] for name in piece.names}, lost) if missing else piece
            if mended is None or mended.needs & lost.keys():
                lost.update(dict.fromkeys(piece.names, NEEDS % (missing[0], lost[missing[0]])))
                continue
            if mended is not piece:
                mended.done()
            kept.append(mended)
        pieces = kept
    return pieces

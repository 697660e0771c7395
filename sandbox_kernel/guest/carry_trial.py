"""What was written is read again before the sandbox ends, by a forked child: what cannot be loaded is better known now.

Only what could fail is tried: items that run code of the user's, or of a library that we do not know, as they are loaded,
and that are not as they were loaded in this very process. Whatever it does, it does to the child alone, but for files.
"""

from __future__ import annotations

import os
import select
import time
import types
import typing
import warnings
from abc import ABC
from typing import TYPE_CHECKING, Callable, Dict, FrozenSet, List, NoReturn, Optional, Set, Tuple

from . import notation
from .carry_load import Item, Loader

if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # What signal is made of; that has names for the numbers, and needs more time for it.

Find = Callable[[str], types.ModuleType]

#: For all items of a cell together.
PATIENCE_S = 10.0
ENDLESS = "loading it did not come to an end within %d seconds." % PATIENCE_S
#: The child has it all once more.
MOST_BYTES = 64 << 20


def _words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


#: Whose objects are loaded as they were written.
_KNOWN = _words(
    """
    _abc _collections _collections_abc _decimal _io _operator _random _sandbox_guest _thread abc argparse array ast base64
    bisect builtins calendar collections colorsys concurrent configparser contextlib copy copyreg csv dataclasses datetime
    decimal difflib email enum fractions functools heapq html http io ipaddress itertools json logging math numbers numpy
    operator pandas pathlib pickle pprint queue random re shlex statistics string subprocess sys textwrap threading time
    traceback types typing urllib uuid weakref xml zoneinfo
    """
)
#: What a type may have that is called, or may be, as its objects are loaded.
_HOOKS = _words(
    """
    __setstate__ __reduce__ __reduce_ex__ __getstate__ __getnewargs__ __getnewargs_ex__ __getattr__ __getattribute__
    __setattr__ __new__ __hash__ __setitem__ append extend add update
    """
)
#: What classes are made of that have nothing of their own.
PLAIN = frozenset({object, ABC, typing.Generic, getattr(typing, "Protocol", object)})


class Known:
    """Tells which types are loaded without any code that could fail."""

    def __init__(self) -> None:
        self._found: Dict[type, bool] = {}

    def __call__(self, kind: type) -> bool:
        found = self._found.get(kind)
        if found is None:
            found = self._found[kind] = self._look(kind)
        return found

    def _look(self, kind: type) -> bool:
        own = [base for base in kind.__mro__ if base.__module__ == "__main__"]
        others = [base for base in kind.__mro__ if base.__module__ != "__main__"]
        if not all(map(_has_known_home, others)):
            return False
        # A type that is made of another may be made by calling it.
        hooks = _HOOKS if set(others) <= PLAIN else _HOOKS | {"__init__"}
        return all(type(base) is type and all(vars(base).get(name) is None for name in hooks) for base in own)


def _has_known_home(kind: type) -> bool:
    home: object = kind.__module__
    top = home.partition(".")[0] if isinstance(home, str) else ""
    # Functions of Cython are written by name, as any others. Frames of pandas and generators of numpy are made by them.
    return top in _KNOWN or (kind.__name__ == "cython_function_or_method" and top.startswith("_cython_"))


def failures(main: types.ModuleType, items: List[Tuple[Item, Set[type]]], find: Find) -> Dict[str, str]:
    """Return why a name cannot be loaded, of those that cannot.

    Args:
        main: The module whose namespace has their values.
        items: What was written, each with the types that are in it; without what was loaded just so in this process.
        find: Returns a module by its name.
    """
    known = Known()
    doubtful = [item for item, kinds in items if len(item.data) <= MOST_BYTES and not all(map(known, kinds))]
    found: Dict[str, str] = {}
    until = time.monotonic() + PATIENCE_S
    while doubtful:
        done, guilty = _try(main, doubtful, find, until)
        if guilty is not None:
            done[guilty[0]] = guilty[1]
        for number, why in done.items():
            if why is not None:
                found.update(dict.fromkeys(doubtful[number].names, why))
        if guilty is None:
            break
        doubtful = [item for number, item in enumerate(doubtful) if number not in done]
    return found


def _try(
    main: types.ModuleType, items: List[Item], find: Find, until: float
) -> Tuple[Dict[int, Optional[str]], Optional[Tuple[int, str]]]:
    """Load items in a child; return, by number, what became of those that it told of, and which one was the end of it."""
    ours, theirs = os.pipe()
    try:
        child = os.fork()
    except OSError:
        os.close(ours)
        os.close(theirs)
        return {}, None
    if child == 0:
        _be_child(main, items, find, theirs)
    os.close(theirs)
    try:
        data, in_time = _read(ours, until)
    finally:
        os.close(ours)
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    done: Dict[int, Optional[str]] = {}
    begun: Optional[int] = None
    for line in data.split(b"\n")[:-1]:
        begun, *end = notation.loads(line)
        if end:
            done[int(begun or 0)] = end[0]
            begun = None
    if begun is None:
        return done, None
    if not in_time:
        return done, (begun, ENDLESS)
    end = "signal %d" % os.WTERMSIG(status) if os.WIFSIGNALED(status) else "status %d" % os.WEXITSTATUS(status)
    return done, (begun, "loading it ended the process, with %s." % end)


def _read(pipe: int, until: float) -> Tuple[bytes, bool]:
    data = b""
    while True:
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        piece = os.read(pipe, 1 << 16) if ready else b""
        if not piece:
            return data, bool(ready)
        data += piece


def _be_child(main: types.ModuleType, items: List[Item], find: Find, pipe: int) -> NoReturn:
    try:
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        warnings.simplefilter("ignore")
        # Kept: nothing of the user's is to end here, nor what is made of it.
        kept = [main.__dict__.pop(name, None) for item in items for name in item.names]
        loader = Loader(main, items, find)
        loader.load_all(lambda *told: os.write(pipe, notation.dumps(told).encode("ascii") + b"\n"))
        del kept
    finally:
        os._exit(0)

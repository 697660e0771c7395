"""What of the process itself goes on from cell to cell: the working directory, the environment, settings of modules.

Only what differs from the process as it was before the first cell is carried, and of modules that the cell did not import
nothing is imported for it: their settings wait (:mod:`.carry_settings`).

Carried: working directory, umask, ``os.environ`` and the time zone that ``time.tzset`` made of it, ``sys.path``,
``sys.argv``, the recursion limit, the limit of digits of ``int``, sources in ``linecache`` that are no files, warning
filters; and what :mod:`.carry_settings` lists.

Not carried: the locale, signal handlers, resource limits, ``sys.stdout`` and other hooks of ``sys``, timers, and what was
assigned to attributes of modules.
"""

from __future__ import annotations

import os
import sys
import time

from . import TYPE_CHECKING, source
from .carry_settings import Settings
from .carry_warnings import Filters, Watch

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Tuple

    _Values = Dict[str, Any]

#: Sources of earlier cells, in characters; older ones are left out first.
MOST_SOURCE = 2_000_000


class ProcessState:
    """Tells what of the process differs from its beginning, and makes another process the same.

    Args:
        dumps: Makes bytes of a setting that is an object (a formatting function, a cycle of colours); default: ours.
        loads: The reverse.
        is_seeded: Tells of a generator whether somebody seeded it (``Life.is_seeded``). Without it all count as seeded.
    """

    def __init__(
        self,
        dumps: Optional[Callable[[Any], bytes]] = None,
        loads: Optional[Callable[[bytes], Any]] = None,
        is_seeded: Optional[Callable[[Any], bool]] = None,
    ) -> None:
        self._watch = Watch()
        self._settings = Settings(self._watch, dumps, loads, is_seeded or (lambda _generator: True))
        self._filters = Filters(self._watch)
        self._before: _Values = {}
        self._loaded: _Values = {}
        self._zone = time.tzname, time.timezone, time.altzone
        self._sources: FrozenSet[Any] = frozenset()

    def begin(self) -> None:
        """Note the process as it is before the first cell."""
        self._before = {name: _quietly(part[0]) for name, part in _parts().items()}
        self._zone = time.tzname, time.timezone, time.altzone
        self._sources = frozenset(source.lines_of())
        self._filters.begin()
        self._settings.begin()
        self._watch.begin()

    def dump(self) -> _Values:
        """Return what differs now, for :meth:`load`: a ``dict`` of built-in types, to be pickled. Raises nothing."""
        values = {name: _quietly(part[0]) for name, part in _parts().items()}
        values = {name: value for name, value in values.items() if value is not None and value != self._before.get(name)}
        if "environ" in values:
            values["environ"] = _difference(self._before["environ"], values["environ"])
        if (time.tzname, time.timezone, time.altzone) != self._zone:
            values["zone"] = True
        more = {
            "sources": _quietly(self._new_sources),
            "warnings": _quietly(self._filters.dump),
            "settings": _quietly(self._settings.dump),
        }
        return {**values, **{name: value for name, value in more.items() if value}}

    def load(self, values: _Values) -> None:
        """Apply what :meth:`dump` returned in another process. To be called before the namespace is filled.

        What cannot be applied is left out. Raises nothing.
        """
        self._loaded = values
        self._set_parts()
        if values.get("zone"):
            _quietly(time.tzset)
        _quietly(
            source.lines_of().update, {name: (size, None, lines, name) for name, size, lines in values.get("sources", ())}
        )
        _quietly(self._filters.load, values.get("warnings", {}))
        _quietly(self._settings.load, values.get("settings", {}))

    def settle(self) -> None:
        """Apply once more what filling the namespace may have disturbed: it may run any code. Raises nothing."""
        self._set_parts()
        _quietly(self._filters.settle)
        _quietly(self._settings.settle)

    def begin_anew(self) -> None:
        """Begin a new life, whose siblings load the same: beside ``Life.begin_anew``, before any module is imported."""
        self._settings.forget_unseeded()

    def _set_parts(self) -> None:
        for name, part in _parts().items():
            if name in self._loaded:
                _quietly(part[1], self._loaded[name])

    def _new_sources(self) -> List[Tuple[str, int, List[str]]]:
        """Return ``(name, size, lines)`` of what no file holds, the newest as far as there is room."""
        found = []
        left = MOST_SOURCE
        for name, entry in reversed(list(source.lines_of().items())):
            # An entry of one item is a file not read yet; one with a time is a file.
            if name in self._sources or len(entry) != 4 or entry[1] is not None or not isinstance(name, str):
                continue
            size, _, lines, _ = entry
            left -= size
            if left < 0:
                break
            found.append((name, size, list(lines)))
        return found[::-1]


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _difference(before: Dict[str, str], now: Dict[str, str]) -> Dict[str, Optional[str]]:
    """Return what to set and, with None, what to remove."""
    gone = {name: None for name in before if name not in now}
    return {**gone, **{name: value for name, value in now.items() if before.get(name) != value}}


def _set_environ(values: Dict[str, Optional[str]]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _texts(items: List[Any]) -> List[str]:
    return [item for item in items if isinstance(item, str)]


def _set_path(items: List[str]) -> None:
    sys.path[:] = items


def _set_argv(items: List[str]) -> None:
    sys.argv[:] = items


def _digits() -> Optional[int]:
    return sys.get_int_max_str_digits() if hasattr(sys, "get_int_max_str_digits") else None


def _set_digits(limit: int) -> None:
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(limit)


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception:
        return None


def _parts() -> Dict[str, Tuple[Callable[[], Any], Callable[[Any], Any]]]:
    """Return how to read each, and how to set it; in this order."""
    return {
        "umask": (_umask, os.umask),
        "environ": (lambda: dict(os.environ), _set_environ),
        "cwd": (os.getcwd, os.chdir),
        "path": (lambda: _texts(sys.path), _set_path),
        "argv": (lambda: _texts(sys.argv), _set_argv),
        "recursion": (sys.getrecursionlimit, sys.setrecursionlimit),
        "digits": (_digits, _set_digits),
    }

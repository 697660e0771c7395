"""Modules of ours that are imported when code of the user has run: found as they were before it did.

The user may have files that are named as modules of Python, may have imported those, and may have changed how any module is
found. What saves the state must not take them for Python's own; and to import all of it before the first cell, which may
never need it, kept people waiting.
"""

from __future__ import annotations

import os
import sys

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Dict, Iterable, List

_WAYS = ("path", "meta_path", "path_hooks")
_before: Dict[str, List[Any]] = {}
#: With more than so many files in a directory nobody looks whether one is named as a module.
MOST_NAMES = 1000
_PACKAGES = ("site-packages", "dist-packages")


def note() -> None:
    """Note how modules are found now, without the working directory, where files of the user are."""
    _before.update({way: list(getattr(sys, way)) for way in _WAYS})
    _before["path"] = [entry for entry in sys.path if entry]


def imported(name: str) -> Any:
    """Import a module by its full name. As ``importlib.import_module``, which needs more."""
    __import__(name)
    return sys.modules[name]


def is_there(name: str) -> bool:
    """Whether a module can be imported."""
    return standard("importlib.util").find_spec(name) is not None


def ours(name: str) -> ModuleType:
    """Import a module of this package, and what it needs."""
    whole = "%s.%s" % (__package__, name)
    return sys.modules.get(whole) or _as_before(whole)


def standard(name: str) -> Any:
    """Import a module of Python's own, and what it needs."""
    return loaded(name) or _as_before(name)


def loaded(name: str) -> Any:
    """Return a module of Python's own if it is imported; else None."""
    module = sys.modules.get(name)
    return module if module is not None and _is_pythons(module) else None


def is_shadowed() -> bool:
    """Whether files of the user may be named as modules of Python: those are the user's to import first. Or not known."""
    known: Any = getattr(sys, "stdlib_module_names", None)
    try:
        for place in [entry or "." for entry in sys.path if entry not in _before["path"]]:
            names = os.listdir(place)
            if known is None or len(names) > MOST_NAMES or any(name.partition(".")[0] in known for name in names):
                return True
    except OSError:
        return True
    return False


def _as_before(whole: str) -> Any:
    if not _before:
        return imported(whole)
    theirs = {name: sys.modules.pop(name) for name in _shadows(list(sys.modules))}
    found = {way: getattr(sys, way) for way in _WAYS}
    try:
        for way, entries in _before.items():
            setattr(sys, way, list(entries))
        return imported(whole)
    finally:
        for way, entries in found.items():
            setattr(sys, way, entries)
        sys.modules.update(theirs)


def _shadows(names: Iterable[Any]) -> List[str]:
    """Return which of the modules, those in them too, have the name of one of Python's and are none of its own."""
    known: Any = getattr(sys, "stdlib_module_names", ())  # From 3.10 on.
    theirs = {name for name in names if type(name) is str and name in known and not _is_pythons(sys.modules[name])}
    return [name for name in names if type(name) is str and name.partition(".")[0] in theirs]


def _is_pythons(module: Any) -> bool:
    try:
        origin = module.__spec__.origin
        library = os.path.join(os.path.dirname(os.__file__), "")
        return origin in ("built-in", "frozen") or (
            origin.startswith(library) and not any(part in origin for part in _PACKAGES)
        )
    except Exception:  # It may be anything at all.
        return False

"""Objects of the standard library that are not pickled as they should be, or should not be where they are."""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import types
import typing
import weakref
from typing import Any, Callable, Dict, Iterator, Tuple

from . import cloudpickle, finding  # type: ignore[attr-defined]
from .carry_load import TOOLS

_Reduced = Any
_Reduce = Callable[[Any], _Reduced]


def reducers() -> Iterator[Tuple[Any, _Reduce]]:
    """Yield types and what reduces their objects, and those of subclasses. What a cell did not import is not among them."""
    yield functools.cached_property, _cached_property
    yield (io.TextIOWrapper, io.BufferedReader, io.BufferedWriter, io.BufferedRandom, io.FileIO), _file
    yield threading.Thread, _thread
    yield weakref.finalize, _refused
    for name, kind, reduce in _OF_MODULES:
        module = finding.loaded(name)
        if module is not None:
            yield getattr(module, kind), reduce


def _refused(value: Any) -> _Reduced:
    raise pickle.PicklingError("a %s belongs to the process that made it" % type(value).__name__)


def _future(future: Any) -> _Reduced:
    return NotImplemented if future.done() else _refused(future)  # Whoever would wait for it, would for ever.


def _thread(thread: Any) -> _Reduced:
    return _refused(thread) if thread.is_alive() else NotImplemented


def _program(program: Any) -> _Reduced:
    return _refused(program) if program.returncode is None else NotImplemented


_OF_MODULES: Tuple[Tuple[str, str, _Reduce], ...] = (
    ("subprocess", "Popen", _program),
    ("concurrent.futures", "Future", _future),
    ("tempfile", "TemporaryDirectory", _refused),
)


def _cached_property(value: Any) -> _Reduced:
    # Some versions of Python have a lock in it.
    return TOOLS["cached_property"], (value.func, value.attrname, value.__doc__)


def _file(file: Any) -> _Reduced:
    for name in ("stdin", "stdout", "stderr"):
        if file is getattr(sys, name) or file is getattr(sys, "__%s__" % name):
            return TOOLS["attribute"], ("sys", name)
    if file.closed:
        raise pickle.PicklingError("it is a closed file")
    mode = getattr(file, "mode", None)
    if mode not in ("r", "rb") or not isinstance(file.name, str):
        raise pickle.PicklingError("it is a file that is open for writing")
    text = isinstance(file, io.TextIOBase)
    settings = {"encoding": file.encoding, "errors": file.errors} if text else {}
    return TOOLS["file"], (file.name, mode, settings, file.tell())


def _lock(lock: Any) -> _Reduced:
    owned = getattr(lock, "_is_owned", bool)
    if owned() or not lock.acquire(blocking=False):
        raise pickle.PicklingError("it is a lock that is held")
    lock.release()
    return TOOLS["lock"], (type(lock).__name__,)


def _weak(reference: Any) -> _Reduced:
    if reference.__callback__ is not None:
        raise pickle.PicklingError("it is a weak reference with a callback")
    return TOOLS["weak"], (reference(),)


def _weak_dictionary(value: Any) -> _Reduced:
    return type(value), (), None, None, iter(list(value.items()))


#: What cloudpickle knows, without what is done better elsewhere here.
_KNOWN: Dict[type, _Reduce] = {
    kind: reduce
    for kind, reduce in cloudpickle.Pickler._dispatch_table.items()
    if kind not in (io.TextIOWrapper, types.CodeType, types.ModuleType, types.MethodType, types.CellType, typing.TypeVar)
}
#: And what is better done here.
DISPATCH: Dict[type, _Reduce] = {
    **_KNOWN,
    type(threading.Lock()): _lock,
    type(threading.RLock()): _lock,
    weakref.ReferenceType: _weak,
    weakref.WeakKeyDictionary: _weak_dictionary,
    weakref.WeakValueDictionary: _weak_dictionary,
}

"""Arrays of numpy, and what pandas has in them: memory that is shared stays shared, where it is meant to be.

An array alone says nothing of who else looks at its memory. So everything is written once without regard to that, noting
every array; where several look at the same memory, those items are written again, as one, views as views.

pandas shares memory between frames that have nothing to do with each other, and keeps books, which are not pickled, on who
must copy before writing. So what is in a frame or an index is never shared here.
"""

from __future__ import annotations

import pickle
import sys
from typing import Any, Callable, Dict, Iterable, List, Optional, Set

from .carry_load import TOOLS

_Reduced = Any


class Arrays:
    """The arrays that one item has; ``shared`` are the ids of those whose memory several arrays see."""

    def __init__(self, shared: Set[int]) -> None:
        self.shared = shared
        #: By the id of the array that the memory belongs to: the arrays that look at it, by id.
        self.seen: Dict[int, Dict[int, Any]] = {}
        #: Ids of what is never shared.
        self.apart: Set[int] = set()

    def handler(self, kind: type) -> Optional[Callable[[Any], _Reduced]]:
        """Return what reduces objects of a type, if it is one of those that are looked at here."""
        package = kind.__module__.partition(".")[0]
        if package == "numpy":
            return self._array if kind is sys.modules["numpy"].ndarray else None
        if package == "pandas":
            if kind.__name__.endswith("Block"):
                return self._block
            if kind.__name__.endswith("Index"):
                return self._index
            return None
        return _with_attributes if _is_plain_subclass(kind) else None

    def _index(self, index: Any) -> _Reduced:
        inner = getattr(index, "__dict__", {}).get("_data")
        self.apart.update((id(index), id(inner)))
        return NotImplemented

    def _block(self, block: Any) -> _Reduced:
        make, arguments, *rest = block.__reduce__()
        values = arguments[0]
        if hasattr(values, "view"):
            values = values.view()  # Another object than that of other frames.
            self.apart.add(id(values))
            inner = getattr(values, "__dict__", None) or {}
            self.apart.update(map(id, inner.values()))
        return (make, (values, *arguments[1:]), *rest)

    def _array(self, array: Any) -> _Reduced:
        if id(array) not in self.apart:
            root = owner(array)
            self.seen.setdefault(id(root), {})[id(array)] = array
            if array is not root and id(root) in self.shared:
                offset = _address(array) - _address(root)
                arguments = (root, offset, array.shape, array.strides, array.dtype, bool(array.flags.writeable))
                return TOOLS["view"], arguments
        flags = array.flags
        if array.dtype.hasobject or not array.nbytes or not (flags.c_contiguous or flags.f_contiguous):
            return NotImplemented
        try:
            buffer = pickle.PickleBuffer(array)
        except (ValueError, BufferError, TypeError):
            return NotImplemented  # Dates, for instance, have no form that a buffer knows.
        return TOOLS["array"], (buffer, array.dtype, array.shape, "C" if flags.c_contiguous else "F")


def _is_plain_subclass(kind: type) -> bool:
    """Whether these are arrays that are written as numpy writes its own."""
    ndarray = getattr(sys.modules.get("numpy"), "ndarray", None)
    if not isinstance(ndarray, type) or not issubclass(kind, ndarray):
        return False
    return all(getattr(kind, way) is getattr(ndarray, way) for way in ("__reduce_ex__", "__reduce__", "__setstate__"))


def _with_attributes(array: Any) -> _Reduced:
    own = getattr(array, "__dict__", None)
    if not own:
        return NotImplemented
    make, arguments, state = array.__reduce__()  # What numpy takes along of a subclass is the array alone.
    return make, arguments, (state, dict(own)), None, None, TOOLS["set_array"]


def owner(array: Any) -> Any:
    """Return the last array in the chain of those that an array is a view of."""
    ndarray = sys.modules["numpy"].ndarray
    base = array.base
    while isinstance(base, ndarray):
        array, base = base, base.base
    return array


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def shared(found: Iterable[Arrays]) -> Set[int]:
    """Return the ids of the arrays whose memory is looked at by several."""
    seen: Dict[int, Dict[int, Any]] = {}
    for arrays in found:
        for root, views in arrays.seen.items():
            seen.setdefault(root, {}).update(views)
    several: List[Any] = [owner(next(iter(views.values()))) for views in seen.values() if len(views) > 1]
    numpy: Any = sys.modules.get("numpy")
    return {
        id(root)
        for root in several
        if type(root) is numpy.ndarray and (root.flags.c_contiguous or root.flags.f_contiguous) and root.nbytes
    }

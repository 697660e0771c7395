"""The state of the cells, written out at the end of one sandbox and read in at the beginning of the next.

A snapshot is a head, which says what there is and holds everything small, and parts with what is large. Each part is named
by its sha256, so what did not change is not written again. Nothing of this is imported by the host.

What differs from a session in one process:

* What belongs to a process is lost: generators and coroutines in progress, sockets, connections, threads, programs that run,
  files open for writing, held locks. Where a container holds one, the rest of it is carried (:mod:`.carry_members`);
  anything else is lost as a whole. What stands in its place says so when it is used.
* Of modules the name is carried, not what was assigned to their attributes; one of the user's own is imported again.
* Contents of ``lru_cache`` and callbacks of weak references are gone; ``__del__`` and ``atexit`` are for each sandbox anew.
* ``id()`` changes, and with it the order of sets of what is hashed by it; other sets may change their order too.
* Arrays do not own their memory after they were carried: ``resize`` in place fails. Memory that arrays share stays shared;
  memory that frames of pandas share does not. Large immutable values stay shared, small ones may become several.
* Time and memory are bounded for loading what could fail, which is tried (:mod:`.carry_trial`), but not for what the user's
  own ``__reduce__`` and the like do while it is written.
"""

from __future__ import annotations

import gc
import os
import types
import warnings

from . import TYPE_CHECKING, carry_load, finding
from .carry_files import Files, parts
from .carry_head import Unloadable, unpack
from .carry_modules import Modules
from .carry_names import Tombstone, set_remedy
from .carry_parts import Part, Parts
from .carry_process import ProcessState
from .records import record

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Set

__all__ = ["Carrier", "Lost", "Part", "Saved", "Store", "Unloadable"]

MOST_NAMES = 1000
#: What saving needs, in the order in which it comes; each takes no longer than people notice.
_AHEAD = ("pickle", "typing", "inspect", "dataclasses", "logging", "uuid")
_OURS_AHEAD = ("cloudpickle", "carry_pickle", "carry_save")


class Store:
    """Where parts come from and go to."""

    #: The host has verified every part that it gives.
    trusted = False

    def read(self, digest: str, size: int) -> memoryview:
        """Return all bytes of a part, writable and private to this process. Raises OSError."""
        raise NotImplementedError

    def path(self, digest: str) -> str:
        """Return the file that the memory of a part is mapped from."""
        raise NotImplementedError

    def write(self, digest: str, data: memoryview) -> None:
        """Take a part that the host does not hold yet. Raises OSError."""
        raise NotImplementedError


@record()
class Lost:
    """A name (or a path such as ``d['db']``, or ``file PATH``) that was not carried, and why, in one sentence."""

    name: str
    why: str


@record()
class Saved:
    """What was saved. ``parts`` are all that the snapshot needs, head and reused ones included."""

    head: Part
    parts: List[Part]
    names: List[Dict[str, Any]]
    lost: List[Lost]


class Carrier:
    """Carries the namespace of ``main`` and the state of the process from sandbox to sandbox by way of ``store``.

    Args:
        main: The module ``__main__``, in whose namespace cells run.
        store: A :class:`Store`, or what behaves as one.
        cap_bytes: Limit of all parts together. What does not fit, the largest first, is lost; variables go before files.
        advice: What can be done about that; one more sentence.
        remedy: What can be done in the next cell about what was lost for any reason; one sentence.
        is_seeded: Tells of a random generator whether somebody seeded it. Without it all count as seeded.
    """

    def __init__(
        self,
        main: types.ModuleType,
        store: Any,
        *,
        cap_bytes: Optional[int] = None,
        advice: str = "",
        remedy: str = "",
        is_seeded: Optional[Callable[[Any], bool]] = None,
    ) -> None:
        self._main = main
        self._parts = Parts(store)
        self._cap_bytes = cap_bytes
        self._advice = advice
        if remedy:
            set_remedy(remedy)
        self._before: Dict[str, Any] = {}
        self._process = ProcessState(is_seeded=is_seeded)
        self._files = Files(os.getcwd())
        self._modules = Modules(main)
        #: Data of items that were loaded, or the part that it is.
        self._loaded: Set[Any] = set()

    def begin(self) -> None:
        """Note the process as it is before the first cell: only what differs from it is carried."""
        self._before = dict(self._main.__dict__)
        self._files.begin()
        self._process.begin()
        finding.note()

    def import_ahead(self) -> Iterator[None]:
        """Import what only :meth:`save` needs, in steps, while there is time. Raises nothing: that tells what fails."""
        if finding.is_shadowed():
            return
        for find, names in ((finding.standard, _AHEAD), (finding.ours, _OURS_AHEAD)):
            for name in names:
                try:
                    find(name)
                except Exception:
                    return
                yield

    def load(self, head: Part) -> List[Lost]:
        """Fill the namespace from a snapshot; return what could not be made again and was there before.

        Raises:
            Unloadable: It is none of ours, of another version of Python, or not whole.
        """
        body = unpack(self._parts.read(Part(*head)))
        items = [
            carry_load.Item(
                names,
                self._parts.read(Part(*data)) if isinstance(data, tuple) else data,
                # Each once more, even if it is the same part: who writes to one means no other.
                [self._parts.lend(Part(*buffer)) for buffer in buffers],
            )
            for names, data, buffers in body["items"]
        ]
        files = self._files.load(body["files"], lambda digest, size: self._parts.read(Part(digest, size)))
        self._process.load(body["process"])
        with _Uncollected():
            failed = self._fill(body, items)
        self._loaded = {data for names, data, _ in body["items"] if not failed.keys() & names}
        self._process.settle()
        return [Lost(name, why) for name, why in [*files, *failed.items()]]

    def _fill(self, body: Dict[str, Any], items: List[carry_load.Item]) -> Dict[str, str]:
        space = self._main.__dict__
        failed: Dict[str, str] = {}
        self._modules.load(body["inner"])
        for name, module in body["modules"].items():
            try:
                space[name] = self._modules.get(module)
            except Exception as error:
                failed[name] = carry_load.tell(error)
        loader = carry_load.Loader(self._main, items, self._modules.get)
        loader.load_all()
        failed.update({name: carry_load.tell(error) for name, error in loader.failed.items()})
        kinds = body["kinds"]
        lost = {**{name: (kinds.get(name, "module"), why) for name, why in failed.items()}, **body["lost"]}
        for name, (kind, why) in lost.items():
            space[name] = Tombstone(name, kind, why)
        for name in body["order"]:
            if name in space:
                space[name] = space.pop(name)
        return failed

    def begin_anew(self) -> None:
        """Begin a new life after :meth:`load`: others that load the same are not to be the same."""
        self._process.begin_anew()

    def save(self) -> Saved:
        """Write out everything that differs from the beginning. Raises what the store raises."""
        process = self._process.dump()
        # All that only this needs. The settings were read before: those of what is imported now are nobody's.
        saving = finding.ours("carry_save").Saving(
            self._main, self._parts, self._modules, self._before, self._loaded, self._cap_bytes, self._advice
        )
        with warnings.catch_warnings(), _Uncollected():
            warnings.simplefilter("ignore")
            saving.write_names()
        left = None if self._cap_bytes is None else max(0, self._cap_bytes - saving.total)
        entries, lost_files = self._files.dump(self._parts.put, left, self._advice)
        head = saving.write(process, entries, {Part(digest, size) for digest, size in parts(entries)})
        lost = [*((name, why) for name, (_, why) in saving.lost.items()), *saving.lost_members().items(), *lost_files]
        return Saved(head, self._parts.list(), saving.names()[:MOST_NAMES], [Lost(*item) for item in lost])


class _Uncollected:
    """Keeps Python from looking for garbage again and again while very many objects are made, none of which is any."""

    def __enter__(self) -> None:
        self._collecting = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._collecting:
            gc.enable()

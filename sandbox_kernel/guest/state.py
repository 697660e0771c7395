"""What is there when a cell begins, and what becomes of it at its end, seen from the cell's process.

Where gVisor saves the whole sandbox there is little to do here: modules to have ready, and after a restore a word on whether
the life goes on or a new one begins. Where the state is carried, this brings it in and out. Its settings:

    head       [digest, bytes] of the snapshot to start from; null: a new session
    anew       the snapshot begins a new life: a fork, or a saved session that is loaded
    session    the session's id
    folder     a directory with the parts that the host holds, each named by its digest
    inline     the parts themselves in base64 by digest, when they are small; the folder is not there then
    out        "wire", or a directory for new parts
    cap_bytes  limit of all parts together; null: none
    advice     what to tell of what does not fit
    remedy     what to tell who uses something that was not carried
    save_s     seconds that carrying out may take
    dropped    digests of parts in ``out`` that nothing needs any more
"""

from __future__ import annotations

import binascii
import itertools
import mmap
import os
import sys
import types

from . import TYPE_CHECKING, finding, notation, session_names, text, wire
from .hooks import SESSION
from .life import Life
from .output import MOST_TOLD
from .shell import Shells

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

#: Bytes of a part in one event: a frame's event must stay far below its limit.
PIECE_BYTES = 3 << 20
MOST_NAMES = 1000
_MAIN = "__main__"
#: The name under which they are carried.
ON_FORK = "_sandbox_on_fork"


class State:
    """The state of the cell's process."""

    def __init__(
        self,
        main: types.ModuleType,
        settings: Dict[str, Any],
        emit: Callable[[wire.Event], None],
        shells: Shells,
        listen: Callable[[], Any],
    ) -> None:
        """``listen`` has the keeper keep what is said until a ``Told`` is emitted: before a cell it passes on no text."""
        self._main = main
        self._shells = shells
        self._emit = emit
        self._listen = listen
        self._preload = settings.get("preload", [])
        self._lasting = bool(settings.get("lasting"))
        self._life = Life()
        self._carry: Optional[Dict[str, Any]] = settings.get("carry")
        self._carrier: Any = None

    def begin(self) -> bool:
        """Have everything ready for the first cell. False: there is a state to load, and it cannot be."""
        self._life.watch()
        for name in self._preload:
            try:
                finding.imported(name)
            except Exception as error:
                print("preload: %s: %s: %s" % (name, type(error).__name__, error), file=sys.stderr)
        if self._lasting:  # What is imported now is there in every sandbox that is restored from this one.
            self._shells.warm()
            finding.imported("%s.explaining" % __package__)
        return self._carry is None or self._carry_in(self._carry)

    def _carry_in(self, settings: Dict[str, Any]) -> bool:
        # Nothing of it is needed where gVisor saves the sandbox.
        from .carry import Carrier, Part, Unloadable
        from .carry_names import is_lost

        store = _PartStore(settings["folder"], settings["out"], self._emit, settings.get("inline", {}))
        self._carrier = Carrier(
            self._main,
            store,
            cap_bytes=settings["cap_bytes"],
            advice=settings["advice"],
            remedy=settings.get("remedy", ""),
            is_seeded=self._life.is_seeded,
        )
        self._carrier.begin()
        if settings["head"] is not None:
            try:
                self._carrier.load(Part(*settings["head"]))
            except Unloadable as error:
                self._emit(wire.Unloadable(str(error)))
                return False
        self._shells.carried = self._main.__dict__.pop(session_names.STATE, None)
        functions = self._main.__dict__.pop(ON_FORK, None)
        for function in functions if isinstance(functions, list) else ():
            if not is_lost(function):
                sys.modules[SESSION].on_fork(function)
        for digest in settings["dropped"]:
            try:
                os.unlink(os.path.join(settings["out"], digest))
            except OSError:
                pass
        if settings["head"] is None or settings["anew"]:
            self.wake(settings["session"], True)
        else:
            sys.modules[SESSION].id = settings["session"]  # type: ignore[attr-defined]
        return True

    def wake(self, session: str, anew: bool) -> None:
        """Go on after a restore, or begin a new life from what was restored."""
        if not anew:
            self._life.go_on()
            return
        if self._carrier is not None:
            self._carrier.begin_anew()
        self._listen()  # Not earlier: importing the state may print some.
        lines = self._life.begin_anew(session)
        self._emit(wire.Told(text.sendable("\n".join(lines)[:MOST_TOLD])))

    def get_ahead(self) -> Iterator[None]:
        """Do what the end of a cell needs, in short steps, as long as no cell has come."""
        return iter(()) if self._carrier is None else self._carrier.import_ahead()

    def carry_out(self) -> bool:
        """At a cell's end: carry the state out. False: it is not ours to carry."""
        if self._carrier is None:
            return False
        try:
            functions = self._life.functions()
            if functions:  # They go with the variables, as one that nobody sees.
                self._main.__dict__[ON_FORK] = functions
            self._shells.park()
            saved = self._carrier.save()
            names = [[item["name"], item["type"], int(item["size"])] for item in saved.names]
            self._emit(wire.Names(names))
            parts = [[part.digest, part.size] for part in [saved.head] + [item for item in saved.parts if item != saved.head]]
            self._emit(wire.Saved(parts, session_names.told([[item.name, item.why] for item in saved.lost])))
        except BaseException as error:
            self._emit(wire.NotSaved("%s: %s" % (type(error).__name__, error)))
        return True

    def names(self) -> List[List[Any]]:
        """Return ``[name, type, bytes]`` of what the user's cells made."""
        found = [
            [name, _kind(value), _weigh(value)]
            for name, value in list(self._main.__dict__.items())
            if not (name.startswith("_") or isinstance(value, types.ModuleType) or self._shells.hides(name, value))
        ]
        return found[:MOST_NAMES]


class _PartStore:
    """See :class:`.carry.Store`. Parts that the host holds come from a directory; new ones go into another or to the wire."""

    def __init__(
        self, folder: str, out: str, emit: Callable[[wire.Event], None], inline: Optional[Dict[str, str]] = None
    ) -> None:
        #: What cannot be written to here the host has checked.
        self.trusted = out != folder
        self._folder = folder
        self._out = out
        self._emit = emit
        self._inline = inline or {}

    def path(self, digest: str) -> str:
        return os.path.join(self._folder, digest)

    def read(self, digest: str, size: int) -> memoryview:
        if digest in self._inline:
            return memoryview(bytearray(binascii.a2b_base64(self._inline[digest])))
        if not os.path.exists(self.path(digest)):
            return memoryview(bytearray(b"".join(self._read_pieces(digest))))
        with open(self.path(digest), "rb") as file:
            if size == 0 or os.fstat(file.fileno()).st_size != size:
                return memoryview(bytearray(file.read()))
            return memoryview(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY))

    def _read_pieces(self, digest: str) -> Iterator[bytes]:
        """Yield what a ConfigMap was too small to hold in one: ``DIGEST.0``, ``DIGEST.1``, ..."""
        for number in itertools.count():
            path = os.path.join(self._folder, "%s.%d" % (digest, number))
            if number and not os.path.exists(path):
                return
            with open(path, "rb") as file:
                yield file.read()

    def write(self, digest: str, data: memoryview) -> None:
        data = memoryview(data).cast("B")
        if self._out != "wire":
            path = os.path.join(self._out, digest)
            making = "%s.%s" % (path, os.urandom(4).hex())  # Forks may write the same at the same time.
            with open(making, "wb") as file:
                file.write(data)
            os.rename(making, path)
            return
        for offset, piece in _pieces(data):
            self._emit(wire.Part(digest, len(data), offset, notation.base64(piece)))


def _pieces(data: memoryview) -> List[Tuple[int, memoryview]]:
    return [(at, data[at : at + PIECE_BYTES]) for at in range(0, max(1, len(data)), PIECE_BYTES)]


def _kind(value: Any) -> str:
    return "%s" % type(value).__name__


def _weigh(value: Any) -> int:
    """Estimate the bytes of a value without running the user's code."""
    from . import looking  # When it is asked for.

    try:
        if any(looking.home(base) == _MAIN for base in type.mro(type(value))):
            return object.__sizeof__(value)
        size = getattr(value, "nbytes", None)
        if type(size) is not int and looking.home(type(value)).partition(".")[0] == "pandas":
            size = value.memory_usage(deep=False)
            size = size if isinstance(size, int) else int(size.sum())
        return max(0, size if type(size) is int else sys.getsizeof(value, 0))
    except Exception:
        return 0

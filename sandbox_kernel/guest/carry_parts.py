"""The parts of a snapshot, read and written through a store. What did not change since it was read is not hashed again."""

from __future__ import annotations

import os

from . import TYPE_CHECKING
from .carry_head import Unloadable

if TYPE_CHECKING:
    from typing import Any, Dict, List, NamedTuple, Optional, Tuple

try:  # What hashlib has beside OpenSSL, which takes longer to load than to hash what most states are.
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found] # before 3.12
    except ImportError:
        from hashlib import sha256

#: From this on it is worth loading OpenSSL, which is several times as fast.
MANY_BYTES = 1 << 20
#: Below this a part is verified although the store says that the host did.
VERIFY_BYTES = 1 << 20
#: From this on it is worth comparing memory before hashing it.
COMPARE_BYTES = 64 << 10
#: From this on the kernel is asked who wrote to it, which takes less time than to compare.
ASK_BYTES = 1 << 20


if TYPE_CHECKING:

    class Part(NamedTuple):
        """Some bytes, named by their sha256 as hex digits."""

        digest: str
        size: int

else:

    class Part(tuple):
        """The same without ``collections``, which needs more than all that this does."""

        __slots__ = ()

        def __new__(cls, digest: str, size: int) -> Part:
            return tuple.__new__(cls, (digest, size))

        def __getnewargs__(self) -> Tuple[str, int]:
            return tuple(self)

        @property
        def digest(self) -> str:
            return self[0]

        @property
        def size(self) -> int:
            return self[1]


def digest_of(data: Any) -> str:
    """Return the sha256 of some bytes as hex digits."""
    if len(data) >= MANY_BYTES:
        try:  # Not hashlib: a cell may put something else into that.
            import _hashlib

            return str(_hashlib.openssl_sha256(data).hexdigest())
        except (ImportError, ValueError):
            pass
    return str(sha256(data).hexdigest())


class Parts:
    """What the host holds (``held``), and what the next snapshot needs (``used``)."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.held: Dict[str, Part] = {}
        self.used: Dict[str, Part] = {}
        #: Where in memory a part was given out.
        self._places: Dict[Tuple[int, int], Part] = {}
        self._memory: Optional[_Memory] = None
        #: What the kernel told of this process's memory when this snapshot was begun.
        self._ranges: Optional[bytes] = None

    def begin(self) -> None:
        """Begin a snapshot: what is written to from now on is not noticed."""
        self._ranges = None

    def read(self, part: Part) -> memoryview:
        """Return a part. Raises Unloadable: it cannot be read, or is not what was written."""
        try:
            data = memoryview(self._store.read(part.digest, part.size)).cast("B")
        except OSError as error:
            raise Unloadable("A part of the saved state cannot be read: %s." % (error.strerror or error)) from error
        trusted = part == self.held.get(part.digest) or (part.size > VERIFY_BYTES and getattr(self._store, "trusted", False))
        if len(data) != part.size or not (trusted or digest_of(data) == part.digest):
            raise Unloadable("A part of the saved state is not what was saved: it was changed or cut short.")
        self.held[part.digest] = part
        return data

    def lend(self, part: Part) -> memoryview:
        """Return a part as :meth:`read` does, for somebody who may write to it, and notice later whether they did."""
        data = self.read(part)
        if part.size >= COMPARE_BYTES and not data.readonly:
            self._memory = self._memory or _Memory.find()
            if self._memory is not None:
                self._places[(self._memory.address(data), part.size)] = part
        return data

    def name(self, data: Any) -> Part:
        """Return the part that some bytes are."""
        data = memoryview(data)
        data = data if data.format == "B" and data.ndim == 1 else data.cast("B")
        if self._places and self._memory is not None:
            address = self._memory.address(data)
            known = self._places.get((address, len(data)))
            if known is not None and self._is_still(known, address):
                return known
        return Part(digest_of(data), len(data))

    def _is_still(self, part: Part, address: int) -> bool:
        memory = self._memory
        if part.size >= ASK_BYTES and self._store.trusted:
            self._ranges = self._ranges if self._ranges is not None else ranges()
            if is_untouched(self._ranges, self._store.path(part.digest), address, part.size):
                return True
        try:
            data = memoryview(self._store.read(part.digest, part.size))
        except OSError:
            return False
        return memory is not None and len(data) == part.size and memory.equal(address, memory.address(data), part.size)

    def put(self, data: Any) -> Part:
        """Take some bytes for the next snapshot."""
        part = self.name(data)
        self.write(part, data)
        return part

    def write(self, part: Part, data: Any) -> None:
        """Take bytes that are named already."""
        if part.digest not in self.used and part.digest not in self.held:
            self._store.write(part.digest, memoryview(data).cast("B"))
        self.used[part.digest] = part

    def list(self) -> List[Part]:
        """Return all parts that the next snapshot needs."""
        return list(self.used.values())


def ranges() -> bytes:
    """Return what the kernel tells of the memory of this process; nothing where it does not."""
    try:
        with open("/proc/self/smaps", "rb") as file:
            return b"\n" + file.read()
    except OSError:
        return b""


def is_untouched(text: bytes, path: str, address: int, size: int) -> bool:
    """Whether, by what :func:`ranges` told, a file is mapped there privately and nobody wrote to that memory."""
    begins = text.find(b"\n%08x-" % address) + 1
    head, *lines = text[begins : begins + 4096].split(b"\n")
    try:
        ends, mode, offset, _device, _inode, mapped = head.split(None, 5)
        whole = int(ends.partition(b"-")[2], 16) >= address + size and int(offset, 16) == 0
    except ValueError:  # Nothing begins there, or no file.
        return False
    facts = {}
    for line in lines:
        name, _, value = line.partition(b":")
        if b"-" in name:
            break  # The next range.
        facts[name] = value.strip()
    # A page becomes anonymous when it is written to; and it may have been swapped out since.
    same = facts.get(b"Anonymous") == b"0 kB" and facts.get(b"Swap", b"0 kB") == b"0 kB"
    return same and whole and mode.endswith(b"p") and mapped == os.fsencode(path)


class _Memory:
    """Addresses of buffers, and whether two pieces of memory are equal."""

    def __init__(self, ctypes: Any) -> None:
        class View(ctypes.Structure):  # type: ignore[misc]
            # As far as it is the same in all versions; what follows is Python's.
            _fields_ = (
                ("buf", ctypes.c_void_p),
                ("obj", ctypes.c_void_p),
                ("len", ctypes.c_ssize_t),
                ("rest", ctypes.c_char * 256),
            )

        self._view = View
        self._ctypes = ctypes
        self._compare = ctypes.CDLL(None).memcmp
        self._compare.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        self._get = ctypes.pythonapi.PyObject_GetBuffer
        self._get.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
        self._release = ctypes.pythonapi.PyBuffer_Release
        self._release.argtypes = [ctypes.c_void_p]
        self._release.restype = None

    @classmethod
    def find(cls) -> Optional[_Memory]:
        """Return it, or None where Python was built without ctypes."""
        try:
            import ctypes

            return cls(ctypes)
        except Exception:
            return None

    def address(self, data: memoryview) -> int:
        view = self._view()
        self._get(data, self._ctypes.byref(view), 0)
        address = view.buf or 0
        self._release(self._ctypes.byref(view))
        return int(address)

    def equal(self, one: int, other: int, size: int) -> bool:
        return bool(self._compare(one, other, size) == 0)

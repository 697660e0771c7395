"""What must not repeat when one image is restored several times, as each fork of a session is.

A restored process goes on with the generators it had. For the next cell of a session that is right; forks would all draw the
same numbers. So a fork begins with new randomness wherever *nobody seeded*; a generator that the user seeded stays as it is,
to the last bit, however much was drawn from it. How that is known, and where it is wrong; where there is doubt, a generator
counts as seeded, and then it repeats in every fork:

random, random.Random()
    ``seed`` and ``setstate`` of ``random.Random`` are wrapped and mark the instance. ``seed()`` takes the mark away, and so
    does the return to the state before the first seed: ``s = getstate(); seed(1); ...; setstate(s)``. A copy is made by
    ``setstate`` and counts as seeded. Names of :mod:`tempfile` come from an instance that nobody seeds.
numpy.random.rand() and the like
    The same, with ``numpy.random.seed`` and ``numpy.random.set_state``.
Generator, RandomState, BitGenerator, SeedSequence
    What numpy itself draws from the system as a seed is made a :class:`Drawn`, and stays in the SeedSequence that each
    generator keeps. A state that does not follow from its own SeedSequence was set by somebody. It follows, for PCG64,
    PCG64DXSM and Philox by a part of it that no drawing changes; for MT19937 and SFC64 if at most :data:`MOST_DRAWN` numbers
    lead to it, after more it counts as seeded. So do: what was unpickled (before numpy 2 also copied), ``jumped`` ones,
    ``RandomState.seed()`` of an instance, and bit generators of other packages. Wrongly new becomes a generator that was
    seeded with what a Drawn was read from (``default_rng(SeedSequence().entropy)``), or was given an earlier own state.
torch
    As long as its initial seed is that of the import, nobody seeded it. ``torch.seed()`` counts as seeded.

What a fork cannot change: ``hash`` of text, generators in C libraries that do not show them (SQLite's ``random()``, numba,
polars), a ``/dev/urandom`` opened with a buffer, and what other processes of the sandbox have.
"""

# ruff: noqa: SLF001 - who seeded what, random, uuid and numpy tell in private names alone.

from __future__ import annotations

import gc
import itertools
import os
import sys

from . import TYPE_CHECKING
from .hooks import SESSION, ImportWatch, SessionHooks, complaint, wraps

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Optional, Tuple

#: How many numbers an MT19937 or SFC64 is followed from its seed; all of them take 20 ms.
MOST_DRAWN = 624 * 2**12

#: In the ``__dict__`` of a ``random.Random`` that somebody seeded; pickles and copies leave it out. The value is
#: the digest of the state before, or None.
_MARK = "_seeded_over"


class Drawn(int):
    """A seed that numpy drew from the operating system, so nobody's. To everybody else the ``int`` that it is."""

    __slots__ = ()

    def __reduce_ex__(self, _protocol: Any) -> Tuple[Any, ...]:
        return int, (int(self),)  # Who reads the pickle may not have this class.

    def __deepcopy__(self, _memo: Any) -> Drawn:
        return self


class Life:
    """Tells what the user seeded, and gives a fork randomness, temporary names and a session name of its own."""

    def __init__(self) -> None:
        self._session = SessionHooks()
        #: What the user gave to ``sandbox_session.on_fork``.
        self.functions = self._session.functions
        self._imports = ImportWatch(
            {
                "random": _watch_random,
                "numpy.random.bit_generator": _watch_bit_generator,
                "numpy.random.mtrand": self._watch_mtrand,
                "torch": self._watch_torch,
            }
        )
        #: numpy's global bit generator, whether somebody seeded it, and then the digest of the state before. None until
        #: ``numpy.random.seed`` or ``set_state`` was called.
        self._legacy: Optional[Tuple[Any, bool, Optional[int]]] = None
        self._torch_seed: Optional[int] = None

    def watch(self) -> None:
        """Learn from now on who seeds what, and make the module ``sandbox_session``. Once, before any code of the user."""
        sys.modules[SESSION] = self._session.module
        self._imports.begin()

    def go_on(self) -> None:
        """After every restore: mix fresh entropy into the OpenSSLs that are loaded. Nothing that was seeded changes."""
        entropy = os.urandom(48)
        add = getattr(sys.modules.get("_ssl"), "RAND_add", None)
        if add is not None:
            add(entropy, 48.0)
        # The wheels of `cryptography` bring an OpenSSL of their own, and make keys with it.
        openssl = getattr(sys.modules.get("cryptography.hazmat.bindings._rust"), "_openssl", None)
        add = getattr(getattr(openssl, "lib", None), "RAND_add", None)
        if add is not None:
            add(entropy[::-1], 48, 48.0)

    def begin_anew(self, session_id: str) -> List[str]:
        """Begin the life of the session ``session_id``, whose siblings have the same memory. Raises nothing.

        In this order: :meth:`go_on`; what nobody seeded gets new randomness; ``sandbox_session.id`` is set; the functions
        of ``sandbox_session.on_fork`` are called.

        Returns:
            A line for each thing that failed, the user's functions among them, fit to be shown.
        """
        lines, self._imports.complaints = self._imports.complaints, []
        for renew in (self.go_on, self._renew_generators, self._renew_torch, _renew_uuid):
            try:
                renew()
            except BaseException as error:
                lines.append(complaint("making %s new" % renew.__name__.replace("_renew_", ""), error))
        self._session.module.id = session_id
        return lines + self._session.run()

    def is_seeded(self, generator: Any) -> bool:
        """Whether somebody seeded it: a ``random.Random``, or a Generator, RandomState or BitGenerator of numpy."""
        inner = getattr(generator, "_bit_generator", generator)
        numpy = sys.modules.get("numpy.random.bit_generator")
        if numpy is not None and issubclass(type(inner), numpy.BitGenerator):
            return not self._is_nobodys(inner)
        return _MARK in vars(generator)

    def _renew_generators(self) -> None:
        python: Any = sys.modules.get("_random")
        numpy: Any = sys.modules.get("numpy.random.bit_generator")
        mtrand: Any = sys.modules.get("numpy.random.mtrand")
        kinds = [python.Random] if python else []
        kinds += [numpy.BitGenerator, numpy.SeedSequence, mtrand.RandomState] if numpy and mtrand else []
        found = _instances(kinds)
        if python:
            _renew_random([item for item in found if isinstance(item, python.Random)])
        if numpy and mtrand:
            nobodys = [item for item in found if isinstance(item, numpy.BitGenerator) and self._is_nobodys(item)]
            _renew_sequences([item for item in found if isinstance(item, numpy.SeedSequence)])
            _renew_numpy(nobodys, [item for item in found if isinstance(item, mtrand.RandomState)])

    # -- numpy's global generator

    def _watch_mtrand(self, module: Any) -> None:
        """Wrap before ``numpy.random`` takes the names over."""
        rand, real_seed, real_set_state = module._rand, module.seed, module.set_state

        def before() -> Optional[int]:
            if self._is_nobodys(rand._bit_generator):
                return _digest(rand)
            return self._legacy[2] if self._legacy else None

        @wraps(real_seed)
        def seed(*arguments: Any, **named: Any) -> None:
            digest = before()
            real_seed(*arguments, **named)
            value = arguments[0] if arguments else named.get("seed")
            self._legacy = (rand._bit_generator, value is not None, digest)

        @wraps(real_set_state)
        def set_state(*arguments: Any, **named: Any) -> None:
            digest = before()
            real_set_state(*arguments, **named)
            self._legacy = (rand._bit_generator, _digest(rand) != digest, digest)

        for function in (seed, set_state):  # Pickled by name, also where it was a method.
            function.__module__, function.__qualname__ = "numpy.random", function.__name__
            setattr(module, function.__name__, function)

    def _is_nobodys(self, inner: Any) -> bool:
        """Whether nobody seeded the bit generator ``inner``, nor set its state."""
        mtrand: Any = sys.modules["numpy.random.mtrand"]
        shared = inner is mtrand._rand._bit_generator
        if shared and self._legacy is not None and inner is self._legacy[0]:
            return not self._legacy[1]
        return _is_drawn(inner._seed_seq) and type(inner).__name__ in _KINDS and (shared or _follows(inner))

    # -- torch

    def _watch_torch(self, module: Any) -> None:
        self._torch_seed = module.initial_seed()

    def _renew_torch(self) -> None:
        torch: Any = sys.modules.get("torch")
        if torch is not None and self._torch_seed is not None and torch.initial_seed() == self._torch_seed:
            torch.seed()
            self._torch_seed = torch.initial_seed()


def _instances(kinds: List[Any]) -> List[Any]:
    """Return the objects of these types and of types made from them."""
    types = list(kinds)
    for kind in types:
        types += type.__subclasses__(kind)
    # By identity: comparing types, and asking objects for theirs, may run code of the user. In C: there may be millions.
    wanted = set(map(id, types))
    gc.unfreeze()  # Or those that were put aside are not seen.
    objects = gc.get_objects() if wanted else []
    return list(itertools.compress(objects, map(wanted.__contains__, map(id, map(type, objects)))))


# -- the module random


def _watch_random(module: Any) -> None:
    """Wrap in the class; the functions of the module are methods of one instance."""
    kind, real_seed, real_setstate = module.Random, module.Random.seed, module.Random.setstate

    @wraps(real_seed)
    def seed(self: Any, a: Any = None, version: int = 2) -> None:
        marks = vars(self)
        # While it is being made there is no state to return to.
        digest = marks[_MARK] if _MARK in marks else _state(self) if "gauss_next" in marks else None
        real_seed(self, a, version)
        marks.pop(_MARK, None)
        if a is not None:
            marks[_MARK] = digest

    @wraps(real_setstate)
    def setstate(self: Any, state: Any) -> None:
        marks = vars(self)
        digest = marks[_MARK] if _MARK in marks else _state(self)
        real_setstate(self, state)
        marks.pop(_MARK, None)
        if _state(self) != digest:
            marks[_MARK] = digest

    kind.seed, kind.setstate = seed, setstate
    module.seed, module.setstate = module._inst.seed, module._inst.setstate


def _state(generator: Any) -> int:
    return hash(_c_random().getstate(generator))


def _c_random() -> Any:
    # What a subclass made of the methods may do anything.
    return sys.modules["_random"].Random


def _renew_random(generators: List[Any]) -> None:
    for generator in generators:
        marks = getattr(generator, "__dict__", {})
        if "gauss_next" in marks and _MARK not in marks:
            _c_random().seed(generator)
            marks["gauss_next"] = None


# -- seeds and states of numpy


def _watch_bit_generator(module: Any) -> None:
    draw: Callable[[int], int] = module.randbits
    module.randbits = lambda bits: Drawn(draw(bits))


#: The bit generators of numpy, and what no drawing changes in their states.
_KINDS = {"PCG64": "inc", "PCG64DXSM": "inc", "Philox": "key", "SFC64": None, "MT19937": None}


def _is_drawn(sequence: Any) -> bool:
    return type(getattr(sequence, "entropy", None)) is Drawn


def _renew_sequences(sequences: List[Any]) -> None:
    # Equal seeds stay equal, as those of a sequence and its children are.
    fresh: Dict[int, Drawn] = {}
    for item in filter(_is_drawn, sequences):
        if item.entropy not in fresh:
            fresh[item.entropy] = Drawn.from_bytes(os.urandom(4 * item.pool_size), "little")
        rest = {name: getattr(item, name) for name in ("spawn_key", "pool_size", "n_children_spawned")}
        # Made once more in place: its attributes cannot be set, and those who hold it must see the new ones.
        sys.modules["numpy.random.bit_generator"].SeedSequence.__init__(item, fresh[item.entropy], **rest)


def _renew_numpy(inners: List[Any], states: List[Any]) -> None:
    for inner in inners:
        with inner.lock:
            inner.state = type(inner)(inner._seed_seq if _is_drawn(inner._seed_seq) else None).state
    renewed = set(map(id, inners))
    for state in states:
        if id(state._bit_generator) in renewed:  # It keeps one number aside.
            state.set_state({**state.get_state(legacy=False), "has_gauss": 0, "gauss": 0.0})


def _digest(generator: Any) -> int:
    return hash(_plain(generator.get_state(legacy=False)))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((name, _plain(item)) for name, item in sorted(value.items()))
    return value.tobytes() if hasattr(value, "tobytes") else value


def _follows(inner: Any) -> bool:
    """Whether drawing leads from the seed of ``inner`` to its state; where it is counted, at most MOST_DRAWN numbers."""
    first = type(inner)(inner._seed_seq)
    now, then = inner.state["state"], first.state["state"]
    constant = _KINDS[type(inner).__name__]
    if constant is not None:
        return bool(_plain(now[constant]) == _plain(then[constant]))
    if "key" in now:
        return _plain(now["key"]) == _plain(then["key"]) or _gives(first, now["key"])
    drawn = int(now["state"][3]) - int(then["state"][3])  # An SFC64 counts.
    if 0 < drawn <= MOST_DRAWN:
        first.random_raw(drawn, output=False)
    return bool(_plain(first.state["state"]) == _plain(now))


def _gives(first: Any, key: Any) -> bool:
    """Whether ``key`` is among the next of the MT19937 ``first``. It has a new one after every 624 numbers."""
    probe = type(first)(0)
    probe.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": 0}}
    begins = probe.random_raw(8)
    first.random_raw(624 - first.state["state"]["pos"])
    for blocks in (2**8, MOST_DRAWN // 624 - 2**8):
        drawn = first.random_raw(624 * blocks).reshape(blocks, 624)
        if (drawn[:, :8] == begins).all(axis=1).any():
            return True
    return False


# -- names


def _renew_uuid() -> None:
    """Let ``uuid1`` have a node and a clock sequence of its own."""
    uuid: Any = sys.modules.get("uuid")
    if uuid is None:
        return
    tail = bytearray(os.urandom(8))
    tail[0] = tail[0] & 0x3F | 0x80  # the variant of RFC 4122
    tail[2] |= 1  # no address of a network card
    uuid._node = int.from_bytes(tail[2:], "big")
    # The C library keeps its own, out of reach; of what it says only the time is taken. Drawing from `random` instead
    # would take numbers from who seeded it.
    generate = getattr(uuid._generate_time_safe, "__wrapped__", uuid._generate_time_safe)
    if generate is not None:

        def generate_time_safe() -> Tuple[bytes, Any]:
            made, safety = generate()
            return made[:8] + bytes(tail), safety

        generate_time_safe.__wrapped__ = generate  # type: ignore[attr-defined]
        uuid._generate_time_safe = generate_time_safe

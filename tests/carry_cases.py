"""What a session's state is made of, as data: what a cell makes of each kind, and what the next cell must find.

A case of :data:`KINDS` is two cells: ``make`` binds ``x``; ``check`` is an expression that must be true in the cell after it.
Where ``carried`` is false, ``check`` says that using ``x`` raises the error that tells so. No two cases bind the same name
except ``x`` and imported modules, so that all of them fit into one session: see :func:`make_all` and :func:`check_all`.

A case of :data:`MEANINGS` is a session of several cells, to be run in turn; each must succeed.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import NamedTuple

import carry_different
from carry_classes import CLASSES
from carry_code import FUNCTIONS
from carry_instances import INSTANCES
from carry_library import ITERATORS, LIBRARY
from carry_lost import LOST
from carry_meanings import NAMES
from carry_meanings_of_classes import TYPES
from carry_meanings_of_packages import MATPLOTLIB as FIGURES
from carry_meanings_of_packages import NUMPY as ARRAYS
from carry_meanings_of_packages import PANDAS as FRAMES
from carry_meanings_of_process import FILES, GONE, PROCESS
from carry_new import NEW
from carry_packages import ATTRS, MATPLOTLIB, NUMPY, NUMPY_LOST, PANDAS, PIL, PYDANTIC
from carry_values import VALUES


class Kind(NamedTuple):
    """A kind of value; ``needs`` names a package, ``since`` and ``before`` are minor versions of Python."""

    id: str
    make: str
    check: str
    needs: str = ""
    carried: bool = True
    since: int = 9
    before: int = 99

    def fits(self, minor: int) -> bool:
        return self.since <= minor < self.before


class Meaning(NamedTuple):
    """Cells to be run in turn. Where ``lossless`` is true they succeed in one process as well."""

    id: str
    cells: list[str]
    needs: str = ""
    lossless: bool = True


#: Part of ``make`` where ``x`` is lost: the name survives as any function does.
REFUSAL = """
def refusal(use):
    try:
        return "it was carried: %r" % (use(),)
    except NameError as error:
        return str(error)
"""


def _clean(source: str) -> str:
    return textwrap.dedent(source).strip() + "\n"


def _carried(rows: Iterable[tuple[str, str, str]], needs: str = "") -> list[Kind]:
    return [Kind(name, _clean(make), check, needs) for name, make, check in rows]


def _lost(rows: Iterable[tuple[str, str, str]], needs: str = "") -> list[Kind]:
    return [
        Kind(name, _clean(REFUSAL) + _clean(make), f"'was not carried' in refusal(lambda: {use})", needs, carried=False)
        for name, make, use in rows
    ]


def _of_some_pythons(rows: Iterable[tuple[int, str, str, str]]) -> list[Kind]:
    return [
        Kind(name, _clean(make), check, since=max(9, minor), before=-minor if minor < 0 else 99)
        for minor, name, make, check in rows
    ]


KINDS: list[Kind] = [
    *_carried(VALUES),
    *_carried(FUNCTIONS),
    *_carried(CLASSES),
    *_carried(INSTANCES),
    *_carried(ITERATORS),
    *_carried(LIBRARY),
    *_of_some_pythons(NEW),
    *_lost(LOST),
    *_carried(NUMPY, "numpy"),
    *_lost(NUMPY_LOST, "numpy"),
    *_carried(PANDAS, "pandas"),
    *_carried(MATPLOTLIB, "matplotlib"),
    *_carried(ATTRS, "attr"),
    *_carried(PYDANTIC, "pydantic"),
    *_carried(PIL, "PIL"),
]


def _meanings(rows: Iterable[tuple[str, str]], needs: str = "", *, lossless: bool = True) -> list[Meaning]:
    return [
        Meaning(name, [cell.strip() + "\n" for cell in _clean(cells).split("\n---\n")], needs, lossless)
        for name, cells in rows
    ]


MEANINGS: list[Meaning] = [
    *_meanings(NAMES),
    *_meanings(TYPES),
    *_meanings(PROCESS),
    *_meanings(FILES),
    *_meanings(GONE, lossless=False),
    *_meanings(ARRAYS, "numpy"),
    *_meanings(FRAMES, "pandas"),
    *_meanings(FIGURES, "matplotlib"),
]

#: Sessions in which the last cell fails for now: what is lost without a word, or is another thing in the next cell.
DIFFERENT: list[Meaning] = [
    *_meanings(carry_different.VALUES),
    *_meanings(carry_different.MODULES),
    *_meanings(carry_different.NUMPY, "numpy"),
    *_meanings(carry_different.PANDAS, "pandas"),
    *_meanings(carry_different.MATPLOTLIB, "matplotlib"),
]


def make_all(kinds: Iterable[Kind]) -> str:
    """Return the source of one cell that makes all of them."""
    return "".join(f"{kind.make}x_{kind.id} = x\n" for kind in kinds) + "del x\n"


def check_all(kinds: Iterable[Kind]) -> str:
    """Return the source of the next cell: it fails, and tells which were wrong and how."""
    checks = [(kind.id, kind.check) for kind in kinds]
    return f"""
wrong = {{}}
for case, expression in {checks!r}:
    x = globals()["x_" + case]
    try:
        right = bool(eval(expression))
    except Exception as error:
        right = "%s: %s" % (type(error).__name__, error)
    if not right:
        wrong[case] = right
assert not wrong, "; ".join("%s: %s" % item for item in wrong.items())
"""


def in_one_process(cells: Iterable[str]) -> str:
    """Return the source of one cell that does what all of them do in turn where nothing has to be carried."""
    return f"""
import linecache
for case, source in enumerate({list(cells)!r}):
    linecache.cache["one %d" % case] = (len(source), None, source.splitlines(True), "one %d" % case)
    exec(compile(source, "one %d" % case, "exec"), globals())
"""

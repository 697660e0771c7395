"""What a cell can leave in the middle of something, as data: only ``exact`` state brings all of it into the next cell.

No entry leans on another, and no two bind the same name (test_live_things.py checks that): all the cells that make can run
first in one session, then all that look. None of them needs the clock to be quick: what a thread or a process does later
waits until the second cell lets it. All together stay below the limits of an ordinary sandbox.
"""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from live_asyncio import ASYNCIO
from live_databases import DATABASES
from live_descriptors import DESCRIPTORS
from live_files import FILES
from live_iterators import ITERATORS
from live_objects import OBJECTS
from live_packages import MATPLOTLIB, NUMPY, PANDAS
from live_parsers import PARSERS
from live_processes import PROCESSES
from live_sockets import SOCKETS
from live_state import STATE
from live_threads import THREADS


class Live(NamedTuple):
    """One thing.

    Attributes:
        id: Its name.
        make: The source of a cell that makes it and leaves it there.
        then: The source of a later cell, whose last expression is True when it is still what it was.
        needs: The package that both cells import; empty when the standard library has all.
    """

    id: str
    make: str
    then: str
    needs: str = ""


def _entries(rows: list[tuple[str, str, str]], needs: str = "") -> list[Live]:
    return [Live(name, *(textwrap.dedent(source).strip() + "\n" for source in cells), needs) for name, *cells in rows]


LIVE: list[Live] = [
    *_entries(ITERATORS),
    *_entries(PARSERS),
    *_entries(THREADS),
    *_entries(ASYNCIO),
    *_entries(PROCESSES),
    *_entries(SOCKETS),
    *_entries(FILES),
    *_entries(DATABASES),
    *_entries(DESCRIPTORS),
    *_entries(OBJECTS),
    *_entries(STATE),
    *_entries(NUMPY, "numpy"),
    *_entries(PANDAS, "pandas"),
    *_entries(MATPLOTLIB, "matplotlib"),
]

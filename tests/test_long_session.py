"""Sessions as long as people's: hundreds of cells, each in a sandbox of its own, while threads of the first go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.state import places

CELLS = 500
BUSY = """
import collections, itertools, sqlite3, threading, time
turns, last = collections.Counter(), collections.deque(maxlen=10)
lock, rows = threading.Lock(), sqlite3.connect(":memory:", check_same_thread=False)
rows.execute("create table seen (n integer)")
def spin(name):
    for n in itertools.count():
        with lock:
            turns[name] += 1
            last.append((name, n))
        time.sleep(0.01)
threads = [threading.Thread(target=spin, args=(name,), daemon=True) for name in "ab"]
for thread in threads: thread.start()
def count():
    for n in itertools.count(1):
        yield n
cells = count()
"""
STEP = """
rows.execute("insert into seen values (?)", (next(cells),))
held = [bytes(1000) for _ in range(100)]
(next(iter(rows.execute("select count(*), max(n) from seen"))), all(thread.is_alive() for thread in threads))
"""


def _weigh(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _resident_kib() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.timeout(1200)
@pytest.mark.usefixtures("gvisor")
async def test_five_hundred_cells_in_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one of 500 cells finds what the one before it left, and neither disk, memory nor descriptors grow."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    sizes, descriptors, resident = [], [], []
    async with SandboxExecutor("local", history_points=5, timeout_s=60) as executor:
        session = executor.session()
        assert (await session.run(BUSY)).ok
        for number in range(1, CELLS + 1):
            result = await session.run(STEP)
            assert result.result == {"text/plain": f"(({number}, {number}), True)"}, (number, result, session.notices)
            if number % 50 == 0:
                await session._session.settled()
                sizes.append(_weigh(places.live()))
                descriptors.append(_descriptors())
                resident.append(_resident_kib())
        turns = await session.run("sorted(turns), min(turns.values()) > 100")
        assert turns.result == {"text/plain": "(['a', 'b'], True)"}
        assert session.notices == []
    assert max(sizes[1:]) < 1.2 * sizes[1]
    assert max(descriptors[1:]) <= descriptors[1] + 3
    assert resident[-1] < resident[1] + 16 * 1024
    assert _weigh(places.live()) == 0

"""``make bench-state``: what saving and restoring cost, ours in both modes against dill, cloudpickle and kishu, in one run.

Ours is timed from the cell's end until the state is safe on disk, and from there until the next sandbox, which is a new one,
waits for a cell. As in a notebook one sandbox is started ahead, and whoever types the cells takes half a second for each.
The others stay in their process, or are given one that is already up and has imported numpy and pandas.
Seconds, medians of ``--rounds``; machines are noisy, so compare within one run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cases import CASES, IDLE, PREPARE

from sandbox_kernel.lasting import LastingSession
from sandbox_kernel.runner import Runner
from sandbox_kernel.text import table

HERE = Path(__file__).resolve().parent
#: Between two cells.
TYPING_S = 0.5
RIVALS = ("dill", "cloudpickle", "kishu")
PACKAGES = ("cloudpickle", "dill", "ipython", "kishu", "numpy", "pandas")
WHAT = ("save", "unchanged", "changed", "restore")
Seconds = dict[str, float]


def rivals_python() -> str:
    """Return the Python of an environment with the rivals in it, made once and kept in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sandbox-kernel" / "bench"
    python = cache / "bin" / "python"
    if not (cache / "ready").exists():
        print("Installing dill, cloudpickle and kishu ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (cache / "ready").touch()
    return str(python)


def rival(python: str, name: str, case: str) -> Seconds:
    """Run one case of a rival."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, "-W", "ignore", str(HERE / "rivals.py"), name, case, folder],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "HOME": folder, "ENV_KISHU_TEST_MODE": "1"},
        )
    lines = done.stdout.strip().splitlines()
    found: Seconds = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    return found


class Timed:
    """Notes how long each call of an async method takes."""

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        self._call = call
        self.last = self.ended = 0.0

    async def __call__(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await self._call(*arguments)
        finally:
            self.ended = time.perf_counter()
            self.last = self.ended - began


async def ours(mode: str, case: str) -> Seconds:
    """Run one case in a session of ours."""
    make, change = CASES[case]
    runner = Runner(backend_name="local", memory_mib=4096)
    session = runner.open_session(mode, standby=1)
    assert isinstance(session, LastingSession)
    take = session._keeper.take = Timed(session._keeper.take)  # type: ignore[method-assign]
    found = {}
    try:
        for name, code in (
            ("prepare", "import numpy, pandas"),
            ("save", f"{PREPARE}\n{make}"),
            ("unchanged", IDLE),
            ("changed", change),
        ):
            outcome = [event async for event in session.run(code)][-1]
            assert outcome.outcome == "ok", outcome  # type: ignore[union-attr]
            await session.settled()
            await session.standing_by()
            found[name], found["restore"] = take.last, time.perf_counter() - take.ended
            await asyncio.sleep(TYPING_S)
        del found["prepare"]
        return found
    finally:
        await runner.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--json", type=Path, help="write the medians there too")
    arguments = parser.parse_args()
    python = rivals_python()
    results: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _ in range(arguments.rounds):
        for case in arguments.case or CASES:
            measured = {name: rival(python, name, case) for name in RIVALS}
            for mode in ("exact", "carry"):
                measured[f"ours, {mode}"] = asyncio.run(ours(mode, case))
            for name, seconds in measured.items():
                for what in WHAT:
                    if what in seconds:
                        results[case, name][what].append(seconds[what])
    medians = {key: {what: statistics.median(values) for what, values in found.items()} for key, found in results.items()}
    rows = [
        [case, name, *(f"{found[what]:.3f}" if what in found else "fails" for what in WHAT)]
        for (case, name), found in medians.items()
    ]
    print(f"Seconds, medians of {arguments.rounds}; {os.cpu_count()} processors, Python {platform.python_version()}\n")
    print(table(["state", "how", "save", "save again, unchanged", "save, all changed", "restore"], rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([[*key, found] for key, found in medians.items()], indent=1))


if __name__ == "__main__":
    main()

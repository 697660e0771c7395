"""Snippets in a row, each in a sandbox of its own: what an agent's host has after the last it had after the first ones.

A hundred by default; as many as the variable SNIPPETS says.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter

import psutil
import pytest

from sandbox_kernel import settings
from sandbox_kernel.executors import SandboxExecutor

SNIPPETS = int(os.environ.get("SNIPPETS", "100"))
WARM = 20
AT_ONCE = 4


def held() -> dict[str, int]:
    """Count what this process and the program that owns its sandboxes hold."""
    gc.collect()
    processes = [
        psutil.Process(),
        *(child for child in psutil.Process().children() if "supervisor.py" in str(child.cmdline())),
    ]
    kinds = Counter(type(item).__name__ for item in gc.get_objects())
    return {
        "descriptors": sum(process.num_fds() for process in processes),
        "threads": sum(process.num_threads() for process in processes),
        "tasks": len(asyncio.all_tasks()),
        "conversations": kinds["Conversation"],
        "executions": kinds["Execution"],
        "MiB": sum(process.memory_info().rss for process in processes) >> 20,
    }


@pytest.mark.timeout(5400)
async def test_snippets_in_a_row_leave_nothing(options: list[str]) -> None:
    """Neither descriptors, threads, tasks nor objects become more with the number of snippets, and memory hardly does."""
    async with SandboxExecutor(config=settings.from_options([*options, f"--Runner.standby={AT_ONCE}"])) as executor:
        before = {}
        for number in range(0, SNIPPETS, AT_ONCE):
            if number == WARM:
                await executor.standing_by()
                before = held()
            results = await asyncio.gather(*(executor.run(f"print({number} + {n})") for n in range(AT_ONCE)))
            assert [result.stdout for result in results] == [f"{number + n}\n" for n in range(AT_ONCE)]
        await executor.standing_by()
        assert executor._runner is not None
        await asyncio.gather(*executor._runner._closing)
        after = held()
    print(before, after)
    assert after.pop("MiB") - before.pop("MiB") < 16
    # The last ones are being put away, others are being started.
    assert {kind: max(0, after[kind] - before[kind] - 4 * AT_ONCE) for kind in after} == dict.fromkeys(after, 0)

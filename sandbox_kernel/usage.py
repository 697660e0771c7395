"""What a local sandbox takes of this machine, read from /proc.

gVisor's memory of the sandbox is a file of its own, ``memfd:runsc-memory``: what the sandbox uses is the blocks of that
file, which no process's own figures show.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_MEMORY = "/memfd:runsc-memory"
_PROC = "/proc"


def children(pid: int) -> list[int]:
    """Return the processes that a process has begun; none where the kernel does not list them."""
    found: list[int] = []
    for task in _listed(Path(_PROC, str(pid)) / "task"):
        with contextlib.suppress(OSError), open(f"{_PROC}/{pid}/task/{task}/children", "rb", buffering=0) as file:
            found += map(int, file.readall().split())
    return found


def tree(pid: int) -> list[int]:
    """Return a process and all that are below it."""
    found = [pid]
    for parent in found:
        found += [child for child in children(parent) if child not in found]
    return found


def memory_bytes(pid: int) -> int:
    """Return the memory of the sandbox whose runsc is ``pid``: its processes' and its files'."""
    files = {}
    for process in tree(pid):
        folder = Path(_PROC, str(process)) / "fd"
        for name in _listed(folder):
            with contextlib.suppress(OSError):
                if os.readlink(folder / name).startswith(_MEMORY):
                    status = os.stat(folder / name)
                    files[status.st_ino] = status.st_blocks * 512
    return sum(files.values())


def cpu_s(pid: int) -> float:
    """Return the processor time that a sandbox has taken."""
    ticks = 0
    for process in tree(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(_PROC, str(process), "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Meter:
    """Percent of a processor since it was read last."""

    def __init__(self) -> None:
        self._pid = 0
        self._last = (0.0, 0.0)

    def percent(self, pid: int) -> float:
        """Return the percentage; 0 when it is read for the first time of a sandbox."""
        now, spent = time.monotonic(), cpu_s(pid)
        before, spent_before = self._last
        first, self._pid, self._last = pid != self._pid, pid, (now, spent)
        return 0.0 if first or now <= before else max(0.0, 100 * (spent - spent_before) / (now - before))


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []

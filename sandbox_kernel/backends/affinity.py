"""All processors for gVisor's kernel while it saves or restores a sandbox; the sandbox's own ones for the cell.

A sandbox may use as many processors as its limit says, kept by affinity. Writing and loading an image is work of ours that
goes on several threads, so it has what this process has: a restore takes a quarter less on two processors than on one.
Only the threads of gVisor's kernel are let out. The processes in which the guest's code runs are others, clones of a first
one that the kernel forks at its start and that keeps the affinity of that time (pkg/sentry/platform/systrap). So a kernel
that has not forked it yet is not let out, and no code of the guest's is ever on more processors than the limit.
"""

from __future__ import annotations

import contextlib
import os

from .. import usage
from . import images

#: A thread that begins meanwhile has the affinity of the one that began it, so it is looked at again.
_ROUNDS = 20


class Processors:
    """Those of the sandbox that belongs to one runsc process."""

    def __init__(self, runsc_pid: int) -> None:
        self._runsc_pid = runsc_pid
        self._pid: int | None = None
        self._own: set[int] | None = None

    def let_out(self) -> None:
        """Give its kernel all that this process may use."""
        self._pid = self._pid or images.sandbox_pid(self._runsc_pid)
        if self._pid is None or not any(map(_is_for_guests, usage.children(self._pid))):
            return
        with contextlib.suppress(OSError):
            own, ours = os.sched_getaffinity(self._pid), os.sched_getaffinity(0)
            if own != ours and self._own is None:
                self._own = own
                _set(self._pid, ours)

    def bring_back(self) -> None:
        """Give its kernel what it had."""
        if self._pid is not None and self._own is not None:
            own, self._own = self._own, None
            with contextlib.suppress(OSError):
                _set(self._pid, own)


def _is_for_guests(pid: int) -> bool:
    """Whether a child of gVisor's kernel is no helper of its start: those are in its session, this has one of its own."""
    try:
        return os.getpgid(pid) == pid
    except OSError:
        return False


def _set(pid: int, processors: set[int]) -> None:
    for _ in range(_ROUNDS):
        changed = [_changed(int(task), processors) for task in os.listdir(f"/proc/{pid}/task")]
        if not any(changed):
            return


def _changed(task: int, processors: set[int]) -> bool:
    try:
        if os.sched_getaffinity(task) == processors:
            return False
        os.sched_setaffinity(task, processors)
    except OSError:  # It has ended, or is not ours to move.
        return False
    return True

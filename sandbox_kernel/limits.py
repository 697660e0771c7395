"""What one cell may use. Values only: traits of the runner make them, the pure builders read them."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 2**20
#: More seconds than this are no limit: some thirty years.
LONGEST_S = 1e9


def is_amount(value: object) -> bool:
    """Tell whether a value can be counted with: a number, not negative, not endless."""
    return isinstance(value, int | float) and 0 <= value < LONGEST_S


@dataclass(frozen=True)
class Limits:
    """Limits of one sandbox, the same words for every backend.

    Attributes:
        memory_mib: All memory of the sandbox, files on its tmpfs included.
        cpu_millis: Thousandths of a processor.
        processes: Processes and threads of the cell.
        open_files: File descriptors of each process of the cell.
        disk_mib: Each of the writable directories: the working directory, ``/tmp``, ``/dev/shm``.
        output_bytes: What the cell may write, as bytes on the wire.
        start_s: Seconds a sandbox may take until it is ready for the cell.
        grace_s: Seconds that a cell has to end by itself after it was interrupted, by the user or at its time limit.
        answer_s: Seconds that a cell may wait for its user's answers beyond its time limit.
    """

    memory_mib: int = 2048
    cpu_millis: int = 1000
    processes: int = 100
    open_files: int = 4096
    disk_mib: int = 512
    output_bytes: int = 8 * MIB
    start_s: float = 120.0
    grace_s: float = 3.0
    answer_s: float = 3600.0

    def longest_s(self, timeout_s: float | None, *, stdin: bool = False) -> float | None:
        """Return what a cell with this time limit may take in all, None when it has none. ``stdin``: it can ask its user."""
        return None if timeout_s is None else timeout_s + self.grace_s + (self.answer_s if stdin else 0.0)

    def guest_rlimits(self) -> dict[str, int]:
        """Return the limits that the guest sets on the cell's process, by name as in ``resource.RLIMIT_``."""
        return {
            "NPROC": self.processes,
            "NOFILE": self.open_files,
            "FSIZE": self.disk_mib * MIB,
            "CORE": 0,
        }

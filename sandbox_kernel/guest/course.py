"""One cell's course as the keeper sees it: its time, whether it was told to stop, and what its end means.

A cell is told to stop by SIGINT, which raises KeyboardInterrupt in it: because the host says so, or because its time is over.
It then has a grace to end by itself, and what it made is kept when it does. The keeper kills it when its time is over and the
grace too; after an interrupt that is the host's, who can also kill a keeper that is in its way.

Time in which the cell waits for the user's answers does not count, up to a bound.
"""

from __future__ import annotations

import os
import time

from . import TYPE_CHECKING, wire

if TYPE_CHECKING:
    import signal
    from typing import Any, Optional
else:
    import _signal as signal  # What signal is made of; that has names for the numbers, and needs enum for it.

FOREVER = float("inf")
#: Their names by their numbers; where one has two, the first.
_SIGNALS = {
    int(getattr(signal, name)): name for name in sorted(dir(signal), reverse=True) if name[:3] == "SIG" and name[3:].isalnum()
}
#: From this part of the memory on it is told how much the cell's process held.
_MUCH = 0.5
#: One cell may ask so often; each question is a frame that counts against no limit of output.
MOST_QUESTIONS = 10_000


class Course:
    """See the module's text.

    Attributes:
        cell: The cell.
        told: The name of the last error that was told of it.
        asked: The number of the question that waits for its answer.
    """

    def __init__(self, cell: wire.Cell) -> None:
        self.cell = cell
        self.told: Optional[str] = None
        self.asked: Optional[int] = None
        self._began = time.monotonic()
        self._why: Optional[str] = None
        self._grace_until = FOREVER
        self._asked_at = 0.0
        self._waited_s = 0.0
        self._questions = 0

    @property
    def wall_s(self) -> float:
        """Seconds since it was taken."""
        return time.monotonic() - self._began

    def deadline(self) -> float:
        """Return when it must stop; once it was told to at its time, when it is killed."""
        if self._why == "timeout":
            return self._grace_until
        if self.cell.timeout_s is None:
            return FOREVER
        waited_s = self.cell.answer_s if self.asked is not None else min(self._waited_s, self.cell.answer_s)
        return self._began + self.cell.timeout_s + waited_s

    # -- questions

    def ask(self, number: Any) -> bool:
        """Note a question. False: it must not be asked."""
        if type(number) is not int or abs(number) > 2**53 or not self.cell.stdin or self._questions >= MOST_QUESTIONS:
            return False
        self.answered()
        self._questions += 1
        self.asked, self._asked_at = number, time.monotonic()
        return True

    def answered(self) -> Optional[int]:
        """Let the time run again; return the number of the question that waited, if any."""
        number, self.asked = self.asked, None
        if number is not None:
            self._waited_s += time.monotonic() - self._asked_at
        return number

    # -- the end

    def tell(self, error: wire.Error) -> bool:
        """Note an error; return whether it is the first."""
        first, self.told = self.told is None, error.name
        return first

    def stop(self, why: str) -> bool:
        """Note that it is told to stop: ``interrupted`` or ``timeout``. False: it had its chance, and is to be killed."""
        if why == "timeout" and (self._why == "timeout" or not self.cell.grace_s):
            return False
        self.answered()
        self._why = why
        if why == "timeout":
            self._grace_until = time.monotonic() + self.cell.grace_s
        return True

    def ended(self, status: int, cpu_s: float, *, lives: bool) -> wire.Finished:
        """Return what it means that it came to its end with this status."""
        if self._why == "timeout":
            return wire.Finished("timeout", 124, cpu_s=cpu_s, lives=lives)
        if self._why is not None and status != 0 and self.told in (None, "KeyboardInterrupt"):
            return wire.Finished("interrupted", 128 + signal.SIGINT, cpu_s=cpu_s, lives=lives)
        return wire.Finished("ok" if status == 0 else "error", status & 0xFF, cpu_s=cpu_s, lives=lives)

    def died(self, status: int, usage: Any, memory_kib: Optional[int]) -> wire.Finished:
        """Return what it means that its process ended with this status of wait4()."""
        cpu_s = usage.ru_utime + usage.ru_stime
        if self._why == "timeout":
            return wire.Finished("timeout", 124, cpu_s=cpu_s)
        if os.WIFEXITED(status):
            code = os.WEXITSTATUS(status)
            reason = "the cell ended its own Python process with exit status %d" % code
            return wire.Finished("error", code or 1, cpu_s=cpu_s, reason=reason)
        number = os.WTERMSIG(status)
        if number == signal.SIGINT and self._why is not None:
            return wire.Finished("interrupted", 128 + number, cpu_s=cpu_s)
        name = _SIGNALS.get(number, "signal %d" % number)
        share = usage.ru_maxrss / memory_kib if memory_kib else 0.0
        held = " when it held %d MiB" % (usage.ru_maxrss >> 10) if share >= _MUCH else ""
        reason = "the cell's Python process was ended by %s%s" % (name, held)
        # gVisor's memory wall shows as a crash, at the limit; a kill may be meant for more processes than this one.
        if share >= {"SIGKILL": 0.8, "SIGSEGV": 0.95, "SIGBUS": 0.95}.get(name, FOREVER):
            return wire.Finished("out_of_memory", 128 + number, cpu_s=cpu_s, reason=reason)
        return wire.Finished("error", 128 + number, cpu_s=cpu_s, reason=reason)

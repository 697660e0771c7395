"""What people write in a cell that a cell cannot do, and what they are told: ``exit()``, and ``%sandbox`` among code.

A cell has a process of its own and ends with it; the kernel and the session are outside. So ``exit()`` ends the cell, as it
ends any program, and ``%sandbox`` is read by the kernel, before there is a cell: here it is only said how to write it.
"""

from __future__ import annotations

import builtins
import sys

SANDBOX = "sandbox"
#: For who writes it where the kernel does not look.
AT_THE_TOP = (
    "%sandbox stands at the top of a cell, before all code: it is for the session that the cell runs in, which cannot change"
    " before the cell has ended. Put the line into a cell of its own; `%sandbox` alone lists what there is."
)
_HOW_TO_LEAVE = "the session goes on. Restart the kernel to end it, or begin anew with `%sandbox reset`."


class Left(SystemExit):
    """A cell called ``exit()`` and named no failure."""


class Leave:
    """``exit`` and ``quit`` of a notebook."""

    def __repr__(self) -> str:
        return "Nothing has ended; " + _HOW_TO_LEAVE

    def __call__(self, code: object = None) -> None:
        """End the cell, and nothing else."""
        # As exit() of Python tells them apart: False and 0 are no failure.
        raise SystemExit(code) if code else Left(code)


def install() -> None:
    """Put ours in the place of Python's own, which would close ``sys.stdin`` for good."""
    builtins.exit = builtins.quit = Leave()  # type: ignore[assignment]


def tell_left() -> None:
    """Say what has ended."""
    print("[sandbox: this cell has ended and nothing else; %s]" % _HOW_TO_LEAVE, file=sys.stderr)

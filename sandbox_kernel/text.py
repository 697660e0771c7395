"""Pure: small texts for people."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable, Sequence

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def amount(size: int) -> str:
    """Return a number of bytes as people say it: ``1.5 MiB``."""
    value = float(size)
    for unit in _UNITS:
        if value < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return rows in columns that line up, each line without trailing spaces."""
    lines = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def date(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as this machine's clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def closest(name: str, known: Iterable[str], mark: str = "") -> str:
    """Return a question for who mistyped a name, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"Did you mean {mark}{near[0]}?" if near else ""

"""Pipes of a local sandbox."""

from __future__ import annotations

import asyncio
import fcntl
import os
import termios
from typing import Any


class Reader(asyncio.StreamReader):
    """Counts the lines that came and those that were taken."""

    fed = taken = 0

    def feed_data(self, data: Any) -> None:
        """See asyncio."""
        self.fed += bytes(data).count(b"\n")
        super().feed_data(data)


def waits(pipe: asyncio.BaseTransport) -> bool:
    """Whether there is something in a pipe."""
    number = fcntl.ioctl(pipe.get_extra_info("pipe").fileno(), termios.FIONREAD, b"\0\0\0\0")
    return number != b"\0\0\0\0"


def write_all(fd: int, data: bytes) -> None:
    """Write as long as it takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

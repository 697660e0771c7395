"""Where messages from the host arrive: a directory of files (Kubernetes) or the lines of a stream (locally)."""

from __future__ import annotations

import os
import time

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import List, Optional

#: A ConfigMap volume has no usable inotify under gVisor, so it is looked at. How often, by how long nothing has come: who
#: works finds a quick sandbox, and one that waits for long costs little. At a hundredth of a second a waiting sandbox used
#: 0.06 s of a processor each second, and delivery takes the kubelet 0.05 to 0.12 s.
LOOKS_S = ((3.0, 0.01), (30.0, 0.02), (float("inf"), 0.05))


class StreamMailbox:
    """Messages as lines on a file descriptor. The end of the stream means that the host is gone."""

    wait_s: Optional[float] = None

    def __init__(self, fd: int) -> None:
        self.fd: Optional[int] = fd
        self.closed = False
        self._rest: List[bytes] = []

    def take(self) -> List[bytes]:
        """Return the messages that have arrived; call when ``fd`` is readable."""
        assert self.fd is not None
        data = os.read(self.fd, 1 << 20)
        self.closed = not data
        # Joined once, not with each piece: a message may be many megabytes.
        self._rest.append(data)
        if b"\n" not in data:
            return []
        *lines, rest = b"".join(self._rest).split(b"\n")
        self._rest = [rest]
        return lines


class DirectoryMailbox:
    """Messages as the files ``0.json``, ``1.json``, ... of a directory that the kubelet swaps as a whole."""

    fd: Optional[int] = None
    closed = False

    def __init__(self, path: str) -> None:
        self._path = path
        self._next = 0
        self._since = time.monotonic()

    @property
    def wait_s(self) -> Optional[float]:
        """How long to wait until the next look."""
        waited_s = time.monotonic() - self._since
        return next(pause_s for until_s, pause_s in LOOKS_S if waited_s < until_s)

    def take(self) -> List[bytes]:
        """Return the messages that have arrived since the last call, in order."""
        messages = []
        while True:
            try:
                with open(os.path.join(self._path, "%d.json" % self._next), "rb") as file:
                    messages.append(file.read())
            except OSError:
                return messages
            self._next += 1
            self._since = time.monotonic()

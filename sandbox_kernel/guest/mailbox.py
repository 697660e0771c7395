"""Where messages from the host arrive: a directory of files (Kubernetes) or the lines of a stream (locally)."""

from __future__ import annotations

import os
from typing import List, Optional

#: A ConfigMap volume has no usable inotify under gVisor, so it is looked at this often. Delivery takes the kubelet
#: 0.05 to 0.12 s; a hundredth of a second adds little to that and costs no measurable processor time.
LOOK_S = 0.01


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
        self.wait_s = LOOK_S
        self._path = path
        self._next = 0

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

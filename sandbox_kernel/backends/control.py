"""What is asked of gVisor's control plane while a sandbox is saved: to stand still, to write its image, to go on.

It can be asked by ``runsc pause``, ``resume`` and ``checkpoint``, or by what these processes say on the sandbox's control
socket: one JSON object ``{"method", "arg"}``, files as SCM_RIGHTS beside it, and one ``{"success", "err"}`` back (gVisor's
pkg/urpc; the methods are those of runsc/boot/controller.go). A process each time costs 10 to 15 ms of waiting and 13 ms of
processor, after every cell. That wire is gVisor's own business and may change with it, so it is spoken with the release that
it was read from, and every other release is asked by its command line.

A guest can make this plane hang: each question has a time limit. The answer is read as text alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from ..errors import StateNotSaved
from ..processes import Processes
from . import images

#: The release whose control socket is spoken; see tests/test_control.py.
SPOKEN = "release-20260905.0"
#: For an answer of runsc's control plane, and for writing an image: 2.3 s for each GB were measured.
ANSWER_S = 20.0
WRITE_S = 180.0
#: Longer than any answer to these questions; what is longer is not understood.
ANSWER_BYTES = 1 << 16
#: What of a question counts for how often the sandbox was told to stand still.
_STEPS = {"Pause": 1, "Checkpoint": 0, "Resume": -1}


class Plane(Protocol):
    """Asks one sandbox. All raise StateNotSaved, with ``alive``, when it says no or nothing in time."""

    async def pause(self) -> None:
        """Have it stand still."""

    async def checkpoint(self, folder: Path) -> None:
        """Have it write its image into an empty directory; it stands still before and after."""

    async def resume(self) -> None:
        """Have it go on, if it stands still."""


class Commands:
    """Asks by processes of runsc."""

    def __init__(self, processes: Processes, command: Callable[..., list[str]], name: str) -> None:
        """``command`` makes a runsc command line of words; ``name`` is the container's."""
        self._processes = processes
        self._command = command
        self._name = name

    async def pause(self) -> None:
        """See :class:`Plane`."""
        await self._ask(["pause"], ANSWER_S)

    async def checkpoint(self, folder: Path) -> None:
        """See :class:`Plane`."""
        await self._ask(["checkpoint", "--leave-running", f"--image-path={folder}"], WRITE_S)

    async def resume(self) -> None:
        """See :class:`Plane`."""
        await self._ask(["resume"], ANSWER_S)

    async def _ask(self, words: Sequence[str], timeout_s: float) -> None:
        status, said = await self._processes.call(self._command(*words, self._name), timeout_s=timeout_s)
        if status != 0 and not (words == ["resume"] and "in state running" in said):
            raise StateNotSaved(*images.why_not_saved(said), alive=True)


class Socket:
    """Asks on the control socket at a path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: Two requests to stand still need two to go on, and one too many is the end of gVisor's kernel.
        self._pauses = 0

    async def pause(self) -> None:
        """See :class:`Plane`."""
        await self._ask("Pause", None, ANSWER_S)

    async def checkpoint(self, folder: Path) -> None:
        """See :class:`Plane`."""
        with contextlib.ExitStack() as closing:
            files = []
            try:
                for name in images.FILES:
                    fd = os.open(folder / name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
                    closing.callback(os.close, fd)
                    files.append(fd)
            except OSError as error:
                raise StateNotSaved(*images.why_not_saved(str(error)), alive=True) from error
            options = {"metadata": {"compression": "none"}, "have_pages_file": True, "Resume": True}
            await self._ask("Checkpoint", options, WRITE_S, files)

    async def resume(self) -> None:
        """See :class:`Plane`."""
        while self._pauses:
            await self._ask("Resume", None, ANSWER_S)

    async def _ask(self, what: str, options: object, timeout_s: float, files: Sequence[int] = ()) -> None:
        question = json.dumps({"method": f"containerManager.{what}", "arg": options}).encode()
        try:
            with _connect(self._path) as connection:
                socket.send_fds(connection, [question], list(files))  # A new socket has room for it all.
                self._pauses += _STEPS[what]
                answer = await asyncio.wait_for(_heard(connection), timeout_s)
            said = None if answer.get("success") is True else str(answer.get("err"))
        except asyncio.TimeoutError:
            said = f"gVisor did not answer within {timeout_s:g} s."
        except (OSError, ValueError) as error:
            said = f"{what}: {error}"
        if said is not None:
            raise StateNotSaved(*images.why_not_saved(said), alive=True)


async def _heard(connection: socket.socket) -> dict[str, Any]:
    """Return the answer. Raises OSError, or ValueError for what is none."""
    answer = b""
    while True:
        data = await asyncio.get_running_loop().sock_recv(connection, ANSWER_BYTES)
        answer += data
        if not data or len(answer) > ANSWER_BYTES:
            raise ValueError("the sandbox ended before it answered" if not data else "the answer has no end")
        with contextlib.suppress(ValueError):  # It is not there as a whole.
            found = json.loads(answer)
            return found if isinstance(found, dict) else {"err": "an answer of another kind"}


def _connect(path: Path) -> socket.socket:
    """Return a connection. Raises OSError: nobody listens there, or has time to."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.setblocking(False)
        # By its folder: the name of a socket can have 107 bytes.
        connection.connect(f"/proc/self/fd/{folder}/{path.name}")
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection

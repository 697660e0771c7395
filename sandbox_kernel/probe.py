"""The program in the sandbox of the self-test: ``python3 -I probe.py``. Standard library only, Python 3.9 and newer.

It reads words from stdin, a line each, does what the word names, and answers with one line of JSON: whether all was as
it should be, and what was seen. :mod:`.selftest` is the other end. Each function tries one thing that cells rely on and
that some released gVisor got wrong, or that the host must have set up right.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import NoReturn

MIB = 2**20
#: Above the self-test's memory wall of 1 GiB, and of its tmpfs of 16 MiB.
TOO_MUCH_MEMORY = 1200 * MIB
TOO_MUCH_DISK = 64 * MIB
#: Few, because each takes time.
FEW_PROCESSES = 8


def start() -> tuple[bool, str]:
    """The kernel that answers is gVisor's, not the host's."""
    name = os.uname()
    return "gvisor" in name.release and os.path.isdir("/proc/gvisor"), f"{name.sysname} {name.release}"


def network() -> tuple[bool, str]:
    """There is the loopback interface, and no way out."""
    names = [name for _, name in socket.if_nameindex()]
    with socket.socket() as sock:
        sock.settimeout(1)
        reached = sock.connect_ex(("198.51.100.1", 9))
    return names == ["lo"] and reached == errno.ENETUNREACH, f"interfaces {names}, {os.strerror(reached).lower()}"


def forks() -> tuple[bool, str]:
    """Many processes at once that all leave at once, again and again; Debian's gVisor of 2024 panics here, at times."""
    for _ in range(3):
        pids, release = _crowd(32)
        os.close(release)
        statuses = {os.waitpid(pid, 0)[1] for pid in pids}
        if len(pids) != 32 or statuses != {0}:
            return False, f"{len(pids)} of 32 processes, exit statuses {sorted(statuses)}"
    return True, "3 times 32 processes"


def reads() -> tuple[bool, str]:
    """Reads that block end with data, with a signal, and with the death of the reader."""
    pairs = [socket.socketpair() for _ in range(8)]
    pids = [_child(lambda sock=theirs: sock.sendall(sock.recv(1))) for _, theirs in pairs]  # type: ignore[misc]
    for ours, _ in pairs[:4]:
        ours.sendall(b"x")
    answers = [ours.recv(1) for ours, _ in pairs[:4]]
    for pid in pids[4:]:
        os.kill(pid, signal.SIGKILL)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    for pair in pairs:
        for sock in pair:
            sock.close()
    interrupted = _interrupted()
    good = answers == [b"x"] * 4 and statuses == [0] * 4 + [-signal.SIGKILL] * 4 and interrupted
    return good, "blocked reads: 4 answered, 4 killed, 1 interrupted" if good else f"{answers} {statuses} {interrupted}"


def _interrupted() -> bool:
    def wake(*_: object) -> NoReturn:
        raise InterruptedError

    before = signal.signal(signal.SIGALRM, wake)
    read_end, write_end = os.pipe()
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        os.read(read_end, 1)
    except InterruptedError:
        return True
    finally:
        signal.signal(signal.SIGALRM, before)
        os.close(read_end)
        os.close(write_end)
    return False


def processes() -> tuple[bool, str]:
    """The limit of the sandbox is in force, and a process beyond a limit is refused."""
    limits = resource.getrlimit(resource.RLIMIT_NPROC)
    resource.setrlimit(resource.RLIMIT_NPROC, (FEW_PROCESSES, limits[1]))
    pids, release = _crowd(2 * FEW_PROCESSES)
    resource.setrlimit(resource.RLIMIT_NPROC, limits)
    os.close(release)
    for pid in pids:
        os.waitpid(pid, 0)
    seen = f"limit {limits[1]}; of {FEW_PROCESSES} allowed, {len(pids) + 1} ran"
    return limits[1] != resource.RLIM_INFINITY and len(pids) < FEW_PROCESSES, seen


def disk() -> tuple[bool, str]:
    """A writable directory is full when it holds what it may."""
    written = 0
    try:
        with open("/tmp/probe", "wb", buffering=0) as file:  # noqa: S108 - the sandbox's own
            while written < TOO_MUCH_DISK:
                written += file.write(bytes(MIB))
        seen = f"all of {written // MIB} MiB written"
    except OSError as error:
        seen = f"{written // MIB} MiB, then {errno.errorcode[error.errno or 0]}"
    finally:
        os.unlink("/tmp/probe")  # noqa: S108 - the same
    return seen.endswith("ENOSPC"), seen


def memory() -> tuple[bool, str]:
    """Whoever takes more memory than the sandbox may is killed, and nobody else.

    One byte of each 2 MiB is enough: gVisor hands out memory in such pieces, and the host gives the pages touched.
    """

    def take() -> None:
        space = mmap.mmap(-1, TOO_MUCH_MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for at in range(0, TOO_MUCH_MEMORY, 2 * MIB):
            space[at] = 1

    status = os.waitstatus_to_exitcode(os.waitpid(_child(take), 0)[1])
    return status in (-signal.SIGSEGV, -signal.SIGBUS, 1), (
        "no limit was met" if status == 0 else f"over the limit: status {status}"
    )


def _held() -> Iterator[tuple[bool, str]]:
    """What a checkpoint must bring back: this generator, its open file, and a process that waits for it."""
    ours, theirs = socket.socketpair()

    def echo() -> None:
        ours.close()
        while data := theirs.recv(1):
            theirs.sendall(data)

    _child(echo)
    theirs.close()
    with open("/tmp/held", "w+b", buffering=0) as file:  # noqa: S108 - the sandbox's own
        for turn in range(1, 10):
            ours.sendall(b"%d" % turn)
            file.write(ours.recv(1))
            file.seek(0)
            seen = file.read().decode()
            yield seen == "123456789"[:turn], f"a generator, a file and a process at turn {turn}"


def _crowd(size: int) -> tuple[list[int], int]:
    """Start up to ``size`` processes, fewer when one is refused, that stay until the descriptor returned is closed."""
    hold, release = os.pipe()

    def stay() -> None:
        os.close(release)
        os.read(hold, 1)

    pids: list[int] = []
    try:
        while len(pids) < size:
            pids.append(_child(stay))
    except BlockingIOError:  # EAGAIN: no process more.
        pass
    os.close(hold)
    return pids, release


def _child(do: Callable[[], None]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        do()
        status = 0
    except BaseException:  # noqa: BLE001 - its exit status tells
        status = 1
    finally:
        os._exit(status)


def main() -> None:
    """Answer until stdin ends."""
    held = _held()
    known: dict[str, Callable[[], tuple[bool, str]]] = {
        check.__name__: check for check in (start, network, forks, reads, processes, disk, memory)
    }
    known["hold"] = lambda: next(held)
    while word := os.read(0, 100).decode().strip():
        try:
            answer = known[word]()
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the answer
            answer = False, f"{type(error).__name__}: {error}"
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

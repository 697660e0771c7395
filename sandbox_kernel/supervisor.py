"""The program that owns all local sandboxes of one host process, and outlives it just long enough to end them.

Started as ``python -I -S supervisor.py FD``; standard library only, one thread. FD is a SOCK_SEQPACKET socket to the
host. The host asks, one JSON object a packet, and gets an object with the same ``id`` back:

    {"id", "do": "home", "parent": DIR}                   -> {"id", "path"}: a new 0700 directory, removed at the end
    {"id", "do": "spawn", "argv", "env", "cwd", "rlimits": {"FSIZE": N}, "cpus": N or null} and three descriptors
                                                          -> {"id", "pid"} and, when it ended, {"ended": ID, "status": N}
    {"id", "do": "kill", "key": ID of the spawn}          -> {"id"}: SIGKILL, if it has not ended
    {"id", "do": "nudge", "key": ID of the spawn}         -> {"id"}: SIGSTOP and SIGCONT, if it has not ended
    {"id", "do": "forget", "path": DIR}                   -> {"id"}: removes a home
    {"id", "do": "will", "argv", "env"}                   -> {"id"}: what to run when the host is gone, instead of what was
                                                             said before; nothing when argv is empty

Why a program of its own:

- Jupyter ends kernels with SIGKILL. A sandbox started by the kernel itself would go on (seen: a busy guest stayed for
  good). This program sees the end of the socket, or of the host by its pidfd, kills what it started and removes the homes.
- Should it be killed too, PR_SET_PDEATHSIG takes every runsc along, and runsc its sandbox. That signal comes when the
  *thread* that forked ends: here there is one, and it lives as long as the program.
- A home carries a locked file. A home with a free lock belongs to nobody: the next supervisor removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
import tempfile
import time
from typing import Any

PREFIX = "sandbox-kernel-"
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
#: A home without a lock file may be one that another supervisor is just making.
MAKING_S = 60
#: What the last will may take.
WILL_S = 60


class Supervisor:
    """Serves one host until it is gone."""

    def __init__(self, sock: socket.socket, host_pid: int) -> None:
        self._sock = sock
        self._prctl = ctypes.CDLL(None).prctl
        self._prctl(PR_SET_CHILD_SUBREAPER, 1)
        self._children: dict[int, int] = {}  # pid -> id of its spawn
        self._homes: dict[str, int] = {}
        self._will: dict[str, Any] = {"argv": []}
        #: Whose turn it is to be given processors: in turn, so that none has twice as many as another.
        self._turn = os.getpid()
        try:
            self._host: int | None = os.pidfd_open(host_pid)
        except OSError:  # It is gone already, or this kernel has no pidfd: the socket tells alone.
            self._host = None
        self._woken, waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # Only the end of the host ends us.

    def serve(self) -> None:
        """Answer until the host is gone, then leave nothing."""
        poll = select.poll()
        for fd in (self._sock.fileno(), self._woken, self._host):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        try:
            while True:
                ready = {fd for fd, _ in poll.poll()}
                if self._woken in ready:
                    self._reap()
                if self._sock.fileno() in ready and not self._answer():
                    return
                if self._host in ready:
                    # What it said last counts. Not to the end of the socket: somebody may have inherited the other end.
                    while select.select([self._sock], [], [], 0)[0] and self._answer():
                        pass
                    return
        finally:
            self._end()

    def _answer(self) -> bool:
        try:
            data, fds, _, _ = socket.recv_fds(self._sock, 1 << 20, 3)
        except OSError:
            return False
        if not data:
            return False
        request = json.loads(data)
        try:
            reply = getattr(self, "_do_" + request["do"])(request, fds)
        except OSError as error:
            reply = {"error": str(error)}
        finally:
            for fd in fds:
                os.close(fd)
        self._send({"id": request["id"], **reply})
        return True

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # Nobody hears it: then the end of the socket is what is read next.
            self._sock.sendall(json.dumps(message).encode())

    def _do_home(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        os.makedirs(request["parent"], mode=0o700, exist_ok=True)
        sweep(request["parent"])
        path = tempfile.mkdtemp(prefix=PREFIX, dir=request["parent"])
        lock = os.open(os.path.join(path, "lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        self._homes[path] = lock
        return {"path": path}

    def _do_forget(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        lock = self._homes.pop(request["path"], None)
        if lock is not None:
            shutil.rmtree(request["path"], ignore_errors=True)
            os.close(lock)
        return {}

    def _do_will(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        self._will = request
        return {}

    def _do_spawn(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        self._turn += request["cpus"] is not None
        pid = os.fork()
        if pid == 0:
            self._become(request, fds)
        self._children[pid] = request["id"]
        return {"pid": pid}

    def _become(self, request: dict[str, Any], fds: list[int]) -> None:
        """In the child: tie it to us, limit it, and run the program."""
        try:
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() == 1:
                os._exit(127)
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            for target, fd in enumerate(fds):
                os.dup2(fd, target)
            for name, limit in request["rlimits"].items():
                _lower(getattr(resource, "RLIMIT_" + name), limit)
            if request["cpus"] is not None:
                _use_processors(request["cpus"], self._turn)
            os.chdir(request["cwd"])
            os.closerange(3, 256)
            os.execve(request["argv"][0], request["argv"], request["env"])
        except BaseException as error:
            os.write(2, f"cannot start {request['argv'][0]}: {error}\n".encode())
        finally:
            os._exit(127)

    def _do_kill(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        self._signal(request["key"], signal.SIGKILL)
        return {}

    def _do_nudge(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        for pid in self._signal(request["key"], signal.SIGSTOP):
            # All its threads have left the kernel then; one that has not stopped yet would never do it for the other signal.
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            os.kill(pid, signal.SIGCONT)
        return {}

    def _signal(self, key: int, number: int) -> list[int]:
        found = [pid for pid, its_key in self._children.items() if its_key == key]
        for pid in found:
            os.kill(pid, number)  # Not reaped yet, so its number cannot mean another process.
        return found

    def _reap(self) -> None:
        self._forget_wakes()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in self._children:
                self._send({"ended": self._children.pop(pid), "status": os.waitstatus_to_exitcode(status)})

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        # The sandboxes of the runsc processes come to us when those are gone: wait for them too, they hold the homes.
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    self._nap()
            except ChildProcessError:
                break
        for path in self._homes:
            shutil.rmtree(path, ignore_errors=True)
        if self._will["argv"]:
            self._execute_will()

    def _execute_will(self) -> None:
        null = os.open(os.devnull, os.O_RDWR)
        pid = os.fork()
        if pid == 0:
            self._become({"rlimits": {}, "cpus": None, "cwd": "/", **self._will}, [null, null, null])
        until = time.monotonic() + WILL_S
        while os.waitpid(pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > until:
                os.kill(pid, signal.SIGKILL)
            self._nap()

    def _nap(self) -> None:
        """Wait a moment for the end of a child."""
        select.select([self._woken], [], [], 0.05)
        self._forget_wakes()

    def _forget_wakes(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._woken, 4096)


def _lower(which: int, limit: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(which, (limit, limit))


def _use_processors(count: int, seed: int) -> None:
    """Keep to ``count`` of the processors we may use; ``seed`` spreads sandboxes over them."""
    allowed = sorted(os.sched_getaffinity(0))
    if count < len(allowed):
        os.sched_setaffinity(0, {allowed[(seed + step) % len(allowed)] for step in range(count)})


def sweep(parent: str) -> list[str]:
    """Remove the homes below ``parent`` that nobody holds, of this user only. Returns their paths."""
    removed = []
    for name in os.listdir(parent):
        path = os.path.join(parent, name)
        try:
            status = os.lstat(path)
            if not name.startswith(PREFIX) or status.st_uid != os.geteuid() or not os.path.isdir(path):
                continue
            lock = os.open(os.path.join(path, "lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            if time.time() - status.st_mtime > MAKING_S:
                shutil.rmtree(path, ignore_errors=True)
                removed.append(path)
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
            removed.append(path)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
    return removed


if __name__ == "__main__":
    Supervisor(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])).serve()

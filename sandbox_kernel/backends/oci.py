"""Pure: what a local sandbox looks like, as an OCI ``config.json`` and the command line of ``runsc``.

The guest sees a virtual ``/proc`` and ``/dev``, three sized tmpfs directories, and of the host the directories in
``mounts`` alone: by default those that Python itself needs, read-only. It is user 65534 without capabilities, as in a pod.

No cgroup is used, so that root and an ordinary user get the same walls (measured with the pinned gVisor): RLIMIT_FSIZE of
the runsc process bounds the file that holds all memory of the sandbox, in whole GiB; RLIMIT_DATA bounds the kernel that
serves it; processors are bounded by affinity.
"""

from __future__ import annotations

import hashlib
import json
import math
import os.path
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..limits import MIB, Limits
from .terms import Request

UID = 65534
HOME = "/home/sandbox"
GUEST = "/opt/sandbox-kernel"
GUEST_PACKAGE = "_sandbox_guest"
#: Where the system's programs are.
_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
#: What carrying the state out may take, beyond the cell's own time.
SAVE_S = 120.0
#: The environment of guests, wherever they are.
EVERYWHERE = {
    "PYTHONDONTWRITEBYTECODE": "1",
    "MPLBACKEND": "agg",
    "PIP_RETRIES": "0",  # There is no network that could come back.
}
#: Where carried state comes in and goes out.
PARTS = "/opt/sandbox-parts"
NEW_PARTS = "/opt/sandbox-new-parts"


def boot(place: str) -> str:
    """Return the program that puts the guest, shipped to ``place``, on the path and starts it."""
    return (
        f"import sys; sys.path.insert(0, {place!r}); from {GUEST_PACKAGE} import piece; piece.begin(); "
        f"from {GUEST_PACKAGE}.__main__ import main; sys.exit(main(sys.argv[1]))"
    )


#: Its settings follow as one argument.
BOOT = boot(GUEST)

#: The heap of gVisor's own kernel, outside every limit of the guest: full pipes alone reached 3.8 GB without it.
SENTRY_HEAP = 1024 * MIB
#: runsc needs two or three descriptors for each open file of the guest, and hangs its control plane without any.
SENTRY_FILES = 65536


@dataclass(frozen=True)
class Mount:
    """A directory of the host inside the sandbox."""

    source: str
    target: str
    writable: bool = False


def config(
    *,
    args: Sequence[str],
    env: Mapping[str, str],
    mounts: Sequence[Mount],
    limits: Limits,
    rootfs: str,
    euid: int,
    as_owner: bool = False,
) -> dict[str, Any]:
    """Return the ``config.json`` of a sandbox that the user ``euid`` starts.

    The guest is user 65534, whom an ordinary user's files belong to inside. Root's files belong to user 0 there: with
    ``as_owner`` the guest is that user, without any capability, because mounts may hold what only their owner may read.
    """
    size = f"size={limits.disk_mib}m"
    uid = 0 if euid == 0 and as_owner else UID
    return {
        "ociVersion": "1.0.2",
        "hostname": "sandbox",
        "root": {"path": rootfs, "readonly": True},
        "process": {
            "user": {"uid": uid, "gid": uid},
            "args": list(args),
            "env": [f"{name}={value}" for name, value in env.items()],
            "cwd": HOME,
            "terminal": False,
            "noNewPrivileges": True,
            "capabilities": {kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")},
            "rlimits": [
                {"type": f"RLIMIT_{name}", "soft": value, "hard": value}
                for name, value in (("NOFILE", limits.open_files), ("NPROC", limits.processes + 8), ("CORE", 0))
            ],
        },
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            *(_tmpfs(target, size) for target in ("/tmp", "/dev/shm", HOME)),
            *(_bind(mount) for mount in mounts),
        ],
        "linux": _linux(euid),
    }


def _linux(euid: int) -> dict[str, Any]:
    linux: dict[str, Any] = {"namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")]}
    if euid != 0:
        linux["namespaces"].append({"type": "user"})
        for kind in ("uidMappings", "gidMappings"):
            linux[kind] = [{"containerID": UID, "hostID": euid, "size": 1}]
    return linux


def _tmpfs(target: str, size: str) -> dict[str, Any]:
    return {
        "destination": target,
        "type": "tmpfs",
        "source": "tmpfs",
        "options": [size, "mode=1777", "nosuid", "nodev"],
    }


def _bind(mount: Mount) -> dict[str, Any]:
    return {
        "destination": mount.target,
        "type": "bind",
        "source": mount.source,
        "options": ["rbind", "rw" if mount.writable else "ro", "nosuid", "nodev"],
    }


def environment(python: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the whole environment of the guest. Nothing of the host's gets in but what ``extra`` names.

    Programs of the Python at ``python`` come first, as in a virtual environment: ``!python`` and ``!pip`` are its own.
    """
    return {
        "PATH": ":".join(dict.fromkeys((os.path.dirname(python), *_PATH))),
        "HOME": HOME,
        "LANG": "C.UTF-8",
        **EVERYWHERE,
        **extra,
    }


def guest_args(python: Sequence[str], settings: Mapping[str, Any], place: str = GUEST) -> list[str]:
    """Return the command that starts the guest, which lies in ``place``; ``python`` is the one that starts Python."""
    return [*python, "-c", boot(place), json.dumps(settings)]


def hash_seed(session: str) -> dict[str, str]:
    """Return the variable that gives all sandboxes of a session the same order of sets, as one process has."""
    return {"PYTHONHASHSEED": str(int(hashlib.sha256(session.encode()).hexdigest()[:8], 16))}


def carry_settings(
    request: Request, folder: str, out: str, *, cap_bytes: int | None = None, advice: str = "", exact: bool = False
) -> dict[str, Any]:
    """Return the guest's settings for state that is carried; ``folder`` and ``out`` as the guest sees them.

    ``exact``: this backend has exact state too, which is how to keep what cannot be carried.
    """
    snapshot = request.snapshot
    return {
        "head": None if snapshot is None else list(snapshot.parts[0]),
        "anew": request.anew,
        "session": request.session,
        "folder": folder,
        "out": out,
        "cap_bytes": cap_bytes,
        "advice": advice,
        "remedy": "Make it again in this cell, or use exact state." if exact else "Make it again in this cell.",
        "save_s": SAVE_S,
        "dropped": list(request.dropped),
    }


#: Part of every checkpoint: they must be the same each time. Above all the network: an image does not hold that policy.
FLAGS = [
    "--platform=systrap",
    "--network=none",
    "--ignore-cgroups",
    "--overlay2=none",
    "--host-uds=none",
    "--host-fifo=none",
    # Without it, root's --root directory keeps a mount that nothing removes.
    "--gofer-network-namespace=new",
]


def runsc_args(runsc: str, *, root: str, command: Sequence[str]) -> list[str]:
    """Return a runsc command line."""
    return [runsc, f"--root={root}", *FLAGS, *command]


def runsc_rlimits(limits: Limits) -> dict[str, int]:
    """Return the limits of the runsc process itself: the walls around the whole sandbox."""
    return {
        "FSIZE": math.ceil(limits.memory_mib / 1024) * 1024 * MIB,
        "DATA": SENTRY_HEAP,
        "NOFILE": SENTRY_FILES,
        "CORE": 0,
    }


def processors(limits: Limits) -> int:
    """Return the number of processors the sandbox may run on."""
    return max(1, math.ceil(limits.cpu_millis / 1000))

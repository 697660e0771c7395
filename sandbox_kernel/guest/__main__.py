"""Start of the guest.

    python3 -c BOOT '{"mailbox": "/mailbox", ...}'

where BOOT (:data:`BOOT`) puts the folder above this package on ``sys.path`` and calls :func:`main`. The settings, all but
``mailbox`` optional:

    mailbox      a directory (files ``0.json``, ``1.json``, ...), or "-" for lines on stdin
    idle_s       leave when no cell came within so many seconds
    rlimits      limits of the cell's process by name: {"NPROC": 100, "NOFILE": 4096, ...}
    heartbeat_s  say Heartbeat after so many seconds of silence
    memory_mib   what the sandbox may use, to tell a crash from running out of memory
    lasting      serve one cell after another: the sandbox is saved and restored from outside
    offline      what to tell code that looks for a network, where there is none: one sentence
    preload      names of modules to import before Ready
    carry        carry the state in and out: see :mod:`.state`

The guest writes Ready, waits for one cell, writes Started, then what the cell says, then Finished, and exits with the
cell's exit status. At the end of stdin it leaves at once: the host is gone.
"""

from __future__ import annotations

import os
import resource
import sys

from . import TYPE_CHECKING, burst, cell, keeper, mailbox, notation, wire

if TYPE_CHECKING:
    import _socket


def main(settings: str) -> int:
    """Run the guest and return its exit status."""
    values = notation.loads(settings)
    rlimits = values.get("rlimits", {})

    def start_cell_process(orders: _socket.socket, talk: _socket.socket, shared: burst.Burst) -> None:
        for name, limit in rlimits.items():
            _lower(getattr(resource, "RLIMIT_" + name), limit)
        folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        sys.path[:] = [entry for entry in sys.path if entry not in ("", folder)]
        cell.CellProcess(orders, talk, shared, values).serve()

    for name in [name for name in os.environ if name.startswith("KUBERNETES_")]:
        del os.environ[name]  # The kubelet tells every container where the apiserver is. A cell has no business there.
    # The wire gets a number of its own, so that nothing that writes to fd 1 by mistake writes into it.
    wire_fd = os.dup(1)
    os.dup2(2, 1)
    place = values["mailbox"]
    box = mailbox.StreamMailbox(0) if place == "-" else mailbox.DirectoryMailbox(place)
    memory_mib = values.get("memory_mib")
    return keeper.Keeper(
        box,
        wire_fd,
        start_cell_process,
        idle_s=values.get("idle_s"),
        lasting=values.get("lasting", False),
        save_s=values["carry"]["save_s"] if "carry" in values else None,
        memory_kib=memory_mib * 1024 if memory_mib else None,
        heartbeat_s=values.get("heartbeat_s", wire.HEARTBEAT_S),
    ).run()


def _lower(which: int, limit: int) -> None:
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(which, (limit, limit))

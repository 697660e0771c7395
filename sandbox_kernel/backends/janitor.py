"""Deletes the Jobs of a host process that is gone; their deadlines would, but much later.

Started as ``python -m sandbox_kernel.backends.janitor KUBECONFIG CONTEXT NAMESPACE JOB...`` by the supervisor, whatever ended
the host: Jupyter gives a kernel five seconds to end, and nbval none at all (it sends SIGKILL). What waited for the next cell
would then wait for its idle limit, ten minutes by default, and hold the memory that the node set aside for it.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .cluster import ApiError, Cluster

#: A request to create one may have been on its way when its sender was killed.
ON_ITS_WAY_S = 3.0


def environment(host: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for it, from the host's: it finds the same modules and files from another directory."""
    ours = str(Path(__file__).parents[2])
    found = {**host, "PYTHONPATH": os.pathsep.join(filter(None, [ours, host.get("PYTHONPATH")]))}
    if kubeconfig := host.get("KUBECONFIG"):
        found["KUBECONFIG"] = os.pathsep.join(map(_absolute, kubeconfig.split(os.pathsep)))
    return found


def argv(kubeconfig: str, context: str, namespace: str, jobs: Sequence[str]) -> list[str]:
    """Return the command that deletes these Jobs."""
    return [sys.executable, "-m", __name__, _absolute(kubeconfig), context, namespace, *jobs]


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""


async def clean(kubeconfig: str, context: str, namespace: str, jobs: Sequence[str]) -> None:
    """Delete Jobs by name, which no other host has, and once more those that come later. Raises SandboxError, ApiError."""
    cluster = await Cluster.connect(kubeconfig, context, namespace)
    try:
        for wait_s in (0.0, ON_ITS_WAY_S):
            await asyncio.sleep(wait_s)
            results = await asyncio.gather(*(cluster.delete("jobs", job) for job in jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, ApiError):
                raise result
    finally:
        await cluster.close()


if __name__ == "__main__":
    asyncio.run(clean(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))

"""The ConfigMaps that a Job mounts: the guest, and the state that is too large to be in the Job itself.

They are shared: whoever comes later becomes one of their owners, and each goes when the last of its owners goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable, Mapping
from typing import Any

from ..errors import StateUnusable
from . import configmaps
from .base import Request
from .cluster import ApiError, Cluster

#: Attempts to own a ConfigMap that others make and lose at the same moment.
TRIES = 3


def read_parts(request: Request) -> dict[str, bytes]:
    """Return the parts of the state that a sandbox is brought. Raises StateUnusable."""
    snapshot, folder = request.snapshot, request.folder
    if snapshot is None or folder is None:
        return {}
    try:
        return {digest: (folder / digest).read_bytes() for digest, _ in snapshot.parts}
    except OSError as error:
        raise StateUnusable(f"A part of the saved state cannot be read: {error.strerror}.", damaged=True) from error


class Mounted:
    """The ConfigMaps of one Job, but for its mailbox.

    Attributes:
        names: Their names.
    """

    def __init__(
        self,
        cluster: Cluster,
        guest: bytes,
        state: Mapping[str, bytes],
        session: str,
        known: Collection[str] = (),
    ) -> None:
        """``known`` are the names of those that are likely there."""
        self._cluster = cluster
        #: The guest's is there but for the first Job of all, and it is large to send for nothing.
        self._known = {*known, configmaps.guest_config_map_name(guest)}
        self._guest = guest
        self._state = state
        sizes = {digest: len(data) for digest, data in state.items()}
        self.names = frozenset((configmaps.guest_config_map_name(guest), *configmaps.state_layout(sizes, session)))

    async def make_new(self, owner: Mapping[str, Any]) -> None:
        """Make those that are not known, before there is a Job of ours: ``owner`` owns them until own()."""
        await _all(self._share(body) for body in self._bodies(owner) if body["metadata"]["name"] not in self._known)
        self._known |= self.names

    async def own(self, job: Mapping[str, Any]) -> None:
        """Make our Job one of the owners of each; make those that are not there."""
        await _all(self._share(body) for body in self._bodies(job))
        self._known |= self.names

    def _bodies(self, job: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [configmaps.guest_config_map(self._guest, job), *configmaps.state_config_maps(self._state, job)]

    async def _share(self, body: dict[str, Any]) -> None:
        """Make a Job one of the owners of a ConfigMap. What is likely there is tried first."""
        new = body["metadata"]["name"] not in self._known
        owners = {"metadata": {"ownerReferences": body["metadata"]["ownerReferences"]}}
        for attempt in range(TRIES):
            try:
                if attempt > 0 or not new:
                    await self._cluster.patch("configmaps", body["metadata"]["name"], owners)
                    return
            except ApiError as error:
                if error.status != 404:
                    raise
            try:
                await self._cluster.create("configmaps", body)
                return
            except ApiError as error:
                if error.status != 409 or attempt == TRIES - 1:
                    raise


async def _all(calls: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Do all of them at once; raise the first of what went wrong, when all are done."""
    for problem in await asyncio.gather(*calls, return_exceptions=True):
        if problem is not None:
            raise problem

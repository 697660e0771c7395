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
        #: That of the guest's owners is there but for the first Job of all.
        self._known = {*known, configmaps.guest_owners_name(guest)}
        self._guest = guest
        self._state = state
        sizes = {digest: len(data) for digest, data in state.items()}
        self.names = frozenset((configmaps.guest_config_map_name(guest), *configmaps.state_layout(sizes, session)))

    async def make_new(self, owner: Mapping[str, Any]) -> None:
        """Make those with state that are not known, before there is a Job of ours: ``owner`` owns them until own()."""
        bodies = configmaps.state_config_maps(self._state, owner)
        await _all(self._share(body) for body in bodies if body["metadata"]["name"] not in self._known)
        self._known |= self.names

    async def own(self, job: Mapping[str, Any], *, missing: bool = False) -> None:
        """Make our Job one of the owners of each; make those that are not there. ``missing``: one is known not to be."""
        state = configmaps.state_config_maps(self._state, job)
        await _all([self._own_guest(job, missing=missing), *(self._share(body) for body in state)])
        self._known |= self.names

    async def _own_guest(self, job: Mapping[str, Any], *, missing: bool) -> None:
        owners, made = await self._share(configmaps.guest_owners(self._guest, job))
        if not (made or missing):
            return  # Whoever made it makes the guest's.
        if "uid" not in owners["metadata"]:  # The answer to our request was lost, and we may not look.
            owners = await self._add_owners(configmaps.guest_owners(self._guest, job))
        await self._share(configmaps.guest_config_map(self._guest, owners))

    async def _share(self, body: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """Add owners to a ConfigMap, or make it; what is likely is tried first. Returns it, and whether it was made."""
        new = body["metadata"]["name"] not in self._known
        for attempt in range(TRIES):
            try:
                if attempt > 0 or not new:
                    return await self._add_owners(body), False
            except ApiError as error:
                if error.status != 404:
                    raise
            try:
                return await self._cluster.create("configmaps", body), True
            except ApiError as error:
                if error.status != 409 or attempt == TRIES - 1:
                    raise
        raise AssertionError  # the last attempt returns or raises

    async def _add_owners(self, body: dict[str, Any]) -> dict[str, Any]:
        owners = {"metadata": {"ownerReferences": body["metadata"]["ownerReferences"]}}
        return await self._cluster.patch("configmaps", body["metadata"]["name"], owners)


async def _all(calls: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Do all of them at once; raise the first of what went wrong, when all are done."""
    for problem in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(problem, BaseException):
            raise problem

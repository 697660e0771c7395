"""What takes the snapshots of sessions and holds them as long as one of them can still go there."""

from __future__ import annotations

import collections
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from ..backends.base import Request, Snapshot
from ..conversation import Conversation


class Keeper(ABC):
    """Shared by the sessions of one runner that keep state in the same way, forks among them."""

    mode: str
    #: Where the states lie, as the user is told.
    where = "on disk"

    def __init__(self, workplace: Callable[[], Awaitable[Path]]) -> None:
        """``workplace`` returns a directory of this user that is gone when this process is. Raises StateNotSaved."""
        self._workplace = workplace
        self._holders: collections.Counter[Snapshot] = collections.Counter()

    async def request(self, request: Request) -> Request:
        """Add what a sandbox needs beyond its snapshot."""
        return request

    def listen(self, conversation: Conversation) -> None:
        """Called before the sandbox of a conversation is started: hear what it says of its state."""

    @abstractmethod
    async def take(self, conversation: Conversation) -> Snapshot:
        """Take the state after a cell. Raises StateNotSaved; when that says alive, the sandbox goes on.

        Where whole sandboxes are kept it stands still, so that the session can go on in it where the state cannot be used.
        To close it is the caller's, who need not wait for that.
        """

    async def check(self, snapshot: Snapshot) -> None:
        """Raise StateUnusable when a snapshot is not what was written."""

    def hold(self, snapshot: Snapshot) -> Snapshot:
        """Count one more who can go there."""
        self._holders[snapshot] += 1
        return snapshot

    async def drop(self, snapshots: Iterable[Snapshot]) -> None:
        """Count one less for each, and remove what nobody can go to any more."""
        for snapshot in snapshots:
            self._holders[snapshot] -= 1
            if self._holders[snapshot] <= 0:
                del self._holders[snapshot]
                await self._remove(snapshot)

    @abstractmethod
    async def _remove(self, snapshot: Snapshot) -> None:
        """Remove what lies behind a snapshot."""

    @abstractmethod
    async def export(self, snapshot: Snapshot, folder: Path) -> Snapshot:
        """Copy a snapshot into a new directory, so that it can be checked there. Raises OSError."""

    @abstractmethod
    async def adopt(self, snapshot: Snapshot) -> Snapshot:
        """Copy a saved snapshot to where ours are, checking each byte. Raises StateUnusable or StateNotSaved."""

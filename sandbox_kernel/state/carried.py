"""Snapshots that the guest makes: the namespace in parts, named by their sha256. The host never looks into one.

New parts come over the wire, or into a directory that the sandbox could write to. They count only when the sandbox has said
that all of it is there, and each has the size and digest it was announced with; until then the last snapshot is the good
one. Parts that several snapshots need are held once.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import os
import secrets
import shutil
import stat
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from ..backends import images
from ..backends.base import Request, Snapshot
from ..conversation import Conversation
from ..errors import GO_BACK, StateNotSaved, StateUnusable
from ..guest import wire
from .keeper import Keeper

#: Beyond the guest's own limit for carrying the state out.
GRACE_S = 10.0
#: Parts up to here are copied: that is sooner done than the end of the sandbox waited for, which would keep them as they are.
COPIED_BYTES = 1 << 20
DAMAGED = "The state was carried out damaged: a part has not the content it was announced with."


class CarryKeeper(Keeper):
    """Snapshots are sets of parts below the workplace."""

    mode = "carry"

    def __init__(
        self, workplace: Callable[[], Awaitable[Path]], cap_bytes: int, save_s: float, *, elsewhere: bool = False
    ) -> None:
        """``elsewhere``: the backend keeps the parts."""
        super().__init__(workplace)
        self._place = f"parts-{secrets.token_hex(5)}" if elsewhere else ""
        if elsewhere:
            self.where = "on the workspace"
        self._dropped: set[str] = set()
        #: The newest sandbox that was told to remove parts from the place.
        self._removing: Conversation | None = None
        #: Held while parts come to be needed or go, so that none goes that has just been found there.
        self._changing = asyncio.Lock()
        self._cap_bytes = cap_bytes
        self._save_s = save_s
        self._parts = Path()
        self._incoming: weakref.WeakKeyDictionary[Conversation, _Incoming] = weakref.WeakKeyDictionary()

    async def _open(self) -> Path:
        folder = await self._workplace()
        self._parts = folder / "parts"
        # The guest, who is another user for root, reads these and writes new ones; nobody else comes in here.
        _make(self._parts, 0o755)
        return folder

    async def request(self, request: Request) -> Request:
        """See :class:`.keeper.Keeper`."""
        if self._place:
            return dataclasses.replace(request, place=self._place, dropped=await self._removable())
        out = await self._open() / f"out-{secrets.token_hex(4)}"
        _make(out, 0o777)
        return dataclasses.replace(request, folder=self._parts, out=out)

    async def _removable(self) -> tuple[str, ...]:
        """Return what the next sandbox is to remove from the place.

        Nothing while there is another: it may be writing the same part anew. So who begins waits until it is removed.
        """
        if self._removing is not None:
            await _either(_is_ready(self._removing), self._removing.wait_ended())
        if any(not conversation.ended for conversation in self._incoming):
            return ()
        dropped, self._dropped = self._dropped - self._needed(), set()
        return tuple(sorted(dropped))

    def _needed(self) -> set[str]:
        return {digest for snapshot in self._holders for digest, _ in snapshot.parts}

    def listen(self, conversation: Conversation) -> None:
        """See :class:`.keeper.Keeper`."""
        if conversation.request.dropped:
            self._removing = conversation
        incoming = self._incoming[conversation] = _Incoming(conversation.request.out, self._cap_bytes, conversation.elsewhere)
        conversation.elsewhere = incoming.take

    async def take(self, conversation: Conversation) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        incoming = self._incoming[conversation]
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(_either(incoming.done.wait(), conversation.wait_ended()), self._save_s + GRACE_S)
        if incoming.saved is None or incoming.problem:
            raise StateNotSaved(f"It was not carried out: {incoming.problem or 'the sandbox ended before'}.")
        parts = {str(digest): int(size) for digest, size in incoming.saved.parts}
        if self._place:  # Nothing is removed there before it has ended.
            await conversation.close()
        async with self._changing:
            if any(size > COPIED_BYTES for size in self._new(parts).values()):
                await conversation.kill()  # Nobody may write to what is being looked at.
            return self.hold(await asyncio.to_thread(self._commit, incoming, incoming.saved, parts))

    def _new(self, parts: dict[str, int]) -> dict[str, int]:
        return {digest: size for digest, size in parts.items() if not (self._parts / digest).exists()}

    def _commit(self, incoming: _Incoming, saved: wire.Saved, parts: dict[str, int]) -> Snapshot:
        size = sum(int(size) for _, size in saved.parts)  # Each, also where one is named twice.
        if not parts or size > self._cap_bytes:
            raise StateNotSaved(
                f"The state has {size} bytes; {self._cap_bytes} may be kept.", "Runner.history_mib sets the limit."
            )
        if incoming.folder is not None:
            self._put_into_place(incoming.folder, self._new(parts))
        names = tuple((str(name), str(kind), int(weight)) for name, kind, weight in incoming.names)
        lost = tuple((str(name), str(why)) for name, why in saved.lost)
        return Snapshot(secrets.token_hex(8), "carry", size, self._parts, parts=tuple(parts.items()), names=names, lost=lost)

    def _put_into_place(self, folder: Path, new: dict[str, int]) -> None:
        """Check all parts that are new, and take them if each is what it was announced as."""
        found: dict[str, Path] = {}
        try:
            for digest, size in new.items():
                if size <= COPIED_BYTES:
                    found[digest] = self._parts / f"{digest}.new"
                    found[digest].write_bytes(_read_new(folder / digest, digest, size))
                else:
                    found[digest] = folder / digest
                    _check_new(folder / digest, digest, size)
                found[digest].chmod(0o444)
            for digest, path in found.items():
                os.rename(path, self._parts / digest)
        except OSError as error:
            raise StateNotSaved(f"A part of the state could not be put into place: {error.strerror}.") from error
        finally:
            for path in found.values():
                with contextlib.suppress(OSError):
                    path.unlink()

    async def _remove(self, snapshot: Snapshot) -> None:
        async with self._changing:
            gone = {digest for digest, _ in snapshot.parts} - self._needed()
            if self._place:
                self._dropped |= gone
                return
            for digest in gone:
                (self._parts / digest).unlink(missing_ok=True)

    async def export(self, snapshot: Snapshot, folder: Path) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        if self._place:
            raise StateNotSaved(
                "The session's state lies on the workspace volume; only what lies here can be saved by name.",
                "What fits into KubernetesBackend.inline_mib can, when KubernetesBackend.workspace is empty; write what is "
                "larger to a store of your own.",
            )
        await asyncio.to_thread(_copy_parts, snapshot, folder)
        return dataclasses.replace(snapshot, folder=folder)

    async def adopt(self, snapshot: Snapshot) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        if self._place:
            raise StateUnusable(
                "This session keeps its state on the workspace volume; it cannot load what lies here.",
                "Leave KubernetesBackend.workspace empty to load it, if KubernetesBackend.inline_mib is enough for it.",
            )
        copying = await self._open() / f"in-{secrets.token_hex(4)}"
        try:
            await asyncio.to_thread(_copy_parts, snapshot, copying)
            for digest in dict(snapshot.parts):
                os.rename(copying / digest, self._parts / digest)
        except OSError as error:
            raise StateNotSaved(f"The saved session could not be copied: {error.strerror}.") from error
        finally:
            shutil.rmtree(copying, ignore_errors=True)
        return self.hold(dataclasses.replace(snapshot, id=secrets.token_hex(8), folder=self._parts))

    async def check(self, snapshot: Snapshot) -> None:
        """See :class:`.keeper.Keeper`. A part is read again where its size and dates tell of a change."""
        if not self._place:
            await asyncio.to_thread(_check_parts, snapshot, self._parts)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(exist_ok=True)
        folder.chmod(mode)
    except OSError as error:
        raise StateNotSaved(f"{folder} cannot be made: {error.strerror}.", "State is kept there between cells.") from error


async def _is_ready(conversation: Conversation) -> None:
    await asyncio.shield(conversation.ready)


async def _either(*waits: Coroutine[Any, Any, Any]) -> None:
    """Return when one of them does."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


class _Incoming:
    """What one sandbox says of its state."""

    def __init__(self, folder: Path | None, cap_bytes: int, others: Callable[[wire.Event], None]) -> None:
        self.folder = folder
        self._others = others
        self.names: list[list[Any]] = []
        self.saved: wire.Saved | None = None
        self.problem = ""
        self.done = asyncio.Event()
        self._left = cap_bytes

    def take(self, event: wire.Event) -> None:
        if isinstance(event, wire.Names):
            self.names = event.names
        elif isinstance(event, wire.Part):
            self._write(event)
        elif isinstance(event, wire.Saved):
            self.saved = event
            self.done.set()
        elif isinstance(event, wire.NotSaved):
            self.problem = event.reason
            self.done.set()
        else:
            self._others(event)

    def _write(self, part: wire.Part) -> None:
        try:
            data = base64.b64decode(part.data, validate=True)
            self._left -= len(data)
            assert self.folder is not None
            # The name is a digest: the wire lets nothing else through.
            with open(self.folder / part.digest, "ab" if part.offset else "wb") as file:
                if self._left >= 0 and file.tell() == part.offset:
                    file.write(data)
                    return
            problem = "it is larger than may be kept" if self._left < 0 else "a piece is missing"
        except (ValueError, OSError) as error:
            problem = str(error)
        self.problem = self.problem or problem


def _read_new(path: Path, digest: str, size: int) -> bytes:
    """Return what a sandbox wrote that may still live; so the file may become any other at any time."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            data = file.read(size + 1) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        data = b""
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        raise StateNotSaved(DAMAGED)
    return data


def _check_new(path: Path, digest: str, size: int) -> None:
    """Check what a sandbox wrote that has ended."""
    try:
        status = os.lstat(path)
        good = stat.S_ISREG(status.st_mode) and status.st_size == size and images.file_digest(path) == digest
    except OSError:
        good = False
    if not good:
        raise StateNotSaved(DAMAGED)


def _check_parts(snapshot: Snapshot, folder: Path) -> None:
    for digest, size in snapshot.parts:
        path = folder / digest
        try:
            good = os.stat(path).st_size == size and images.known_digest(path) == digest
        except OSError:
            good = False
        if not good:
            raise StateUnusable(
                "The saved state is damaged: a part is not what was written.",
                GO_BACK,
                damaged=True,
            )


def _copy_parts(snapshot: Snapshot, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    for digest, size in dict(snapshot.parts).items():
        try:
            shutil.copyfile(snapshot.folder / digest, folder / digest)
        except OSError as error:
            message = f"The saved state is damaged: a part cannot be read: {error.strerror}."
            raise StateUnusable(message, GO_BACK, damaged=True) from error
        if os.stat(folder / digest).st_size != size or images.file_digest(folder / digest) != digest:
            raise StateUnusable("The saved state is damaged: a part is not what was written.", GO_BACK, damaged=True)
        (folder / digest).chmod(0o444)

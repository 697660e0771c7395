"""Snapshots that the backend makes of whole sandboxes: of sessions, and the base images that every start is from."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from ..backends import images
from ..backends.base import Backend, Request, Snapshot
from ..conversation import Conversation
from ..errors import SandboxError, StateError, StateNotSaved, StateUnusable
from . import manifest, places
from .keeper import Keeper

#: Base images are kept for so many sets of settings, those used last.
MOST_BASES = 8


class ExactKeeper(Keeper):
    """Snapshots are directories below the workplace."""

    mode = "exact"

    async def take(self, conversation: Conversation) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        snapshot = await save(conversation, await self._new_folder())
        return self.hold(dataclasses.replace(snapshot, frames=conversation.frames()))

    async def _new_folder(self) -> Path:
        try:
            return await self._workplace() / secrets.token_hex(8)
        except SandboxError as error:
            raise StateNotSaved(error.message, error.advice, alive=True) from error

    async def _remove(self, snapshot: Snapshot) -> None:
        await asyncio.to_thread(shutil.rmtree, snapshot.folder, ignore_errors=True)

    async def export(self, snapshot: Snapshot, folder: Path) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        return await asyncio.to_thread(_copy, snapshot, folder)

    async def adopt(self, snapshot: Snapshot) -> Snapshot:
        """See :class:`.keeper.Keeper`."""
        return self.hold(await asyncio.to_thread(_copy_checked, snapshot, await self._new_folder()))


async def save(conversation: Conversation, folder: Path) -> Snapshot:
    """Save the sandbox of a conversation. Raises StateNotSaved."""
    if conversation.sandbox is None or conversation.ended:
        raise StateNotSaved("The sandbox ended before its state was saved.")
    return await conversation.sandbox.save(folder)


def _copy(snapshot: Snapshot, folder: Path) -> Snapshot:
    folder.mkdir(mode=0o700)
    files = {}
    for name in images.FILES:
        shutil.copyfile(snapshot.folder / name, folder / name)
        size = os.stat(folder / name).st_size
        files[name] = [size, 0, 0, 0, images.file_digest(folder / name)]
    # Whoever loads it sees that it is what was copied; that this is what was written only we can see.
    images.check_files(snapshot.folder, snapshot.manifest["files"])
    return dataclasses.replace(snapshot, folder=folder, manifest={**snapshot.manifest, "files": files})


def _copy_checked(snapshot: Snapshot, folder: Path) -> Snapshot:
    try:
        folder.mkdir(mode=0o700)
        for name in images.FILES:
            shutil.copyfile(snapshot.folder / name, folder / name)
        images.check_files(folder, snapshot.manifest["files"])
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, FileNotFoundError):
            raise StateUnusable("The saved state is damaged: a file of it is missing.", damaged=True) from error
        if isinstance(error, OSError):
            raise StateNotSaved(f"The saved session could not be copied: {error}.") from error
        raise
    marks = images.marks(folder)
    return dataclasses.replace(snapshot, id=folder.name, folder=folder, manifest={**snapshot.manifest, "files": marks})


class BaseImages:
    """Images of sandboxes in which no cell has run yet, by what they depend on. Shared by the processes of one user."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._making = asyncio.Lock()
        #: One is being made now.
        self.making = False
        self._failed: set[str] = set()
        self._forgotten: set[str] = set()

    async def get(self, request: Request) -> Snapshot | None:
        """Return the image for such a sandbox, made now if need be. None: there is none to be had, start without."""
        needs = await self._backend.needs(request)
        if needs is None:
            return None
        key = hashlib.sha256(json.dumps(needs, sort_keys=True).encode()).hexdigest()[:32]
        try:
            folder = places.private(places.base()) / key
        except StateError:
            return None
        async with self._making:
            found = await asyncio.to_thread(manifest.read, folder)
            if found is None and key not in self._failed:
                try:
                    found = await self._make(request, folder)
                except (SandboxError, OSError):
                    self._failed.add(key)  # The sandbox that the cell gets then will say why, if it cannot be had either.
            return found

    def forget(self, snapshot: Snapshot) -> None:
        """Remove an image that cannot be used. The next one is given a chance, and no other after it."""
        key = snapshot.folder.name
        (self._failed if key in self._forgotten else self._forgotten).add(key)
        shutil.rmtree(snapshot.folder, ignore_errors=True)

    async def _make(self, request: Request, folder: Path) -> Snapshot | None:
        # In the name of nobody: its session id is in no image, and a new life begins with each start.
        blank = dataclasses.replace(request, session=f"base{secrets.token_hex(4)}", mode="exact", snapshot=None)
        making = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
        conversation = Conversation(self._backend, blank)
        self.making = True
        try:
            await conversation.open()
            if not await conversation.wait_ready(request.limits.start_s):
                raise StateNotSaved("The sandbox of a base image was not ready in time.")
            snapshot = await save(conversation, making)
            await conversation.close()
            snapshot = dataclasses.replace(snapshot, frames=conversation.frames(), folder=folder)
            files = {name: [*mark[:4], images.file_digest(making / name)] for name, mark in _files(snapshot).items()}
            snapshot = dataclasses.replace(snapshot, manifest={**snapshot.manifest, "files": files})
            manifest.write(making, snapshot)
            making.rename(folder)
            return snapshot
        except OSError:
            return manifest.read(folder)  # Another process was quicker, or there is no room.
        finally:
            self.making = False
            await conversation.close()
            shutil.rmtree(making, ignore_errors=True)
            _keep_newest(folder.parent)


def _files(snapshot: Snapshot) -> dict[str, list[Any]]:
    files: dict[str, list[Any]] = snapshot.manifest["files"]
    return files


def _keep_newest(parent: Path) -> None:
    with contextlib.suppress(FileNotFoundError):  # Another process tidies here too.
        entries = sorted(parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in entries[MOST_BASES:]:
            shutil.rmtree(path, ignore_errors=True)

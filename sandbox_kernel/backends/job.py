"""One sandbox as a Kubernetes Job.

The Job is created first; the ConfigMaps it mounts are created after it, owned by it. The pod's log is the wire: it is
followed from the moment the container runs, read again from the start when the connection is cut (frames are numbered, so
what comes twice is dropped) and read a last time after the container has ended. The end of a cell is taken from its trailer
in the log; the pod's state is asked only when there is none, because the Job controller tells by the second.

A Job whose guest has carried its state out ends by itself, and is left until the next one of the session has taken over the
ConfigMaps that both mount: what has not changed is then neither sent again nor waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from ..errors import BackendError, ConfigurationError, SandboxGone, SandboxRefused, StateNotSaved
from . import configmaps, manifests, podstatus
from .base import Ending, Request, Snapshot
from .cluster import ApiError, Cluster, hang_up, translated
from .mounted import Mounted
from .pods import Pods

#: A line that is longer is not from our guest.
LINE_BYTES = 1 << 16
#: Between two looks at what keeps a pod from running, and at the events about it.
LOOK_S = 1.0
#: Between two questions to the apiserver while a pod waits: its watch may be dead, and some troubles are events alone.
ASK_S = 5.0
#: How long the kubelet may take to say how a container ended.
ENDING_S = 10.0
#: Frames that begin the guest's word that the state is out. A hint: whoever forges one is let live for a moment longer.
_CARRIED_OUT = re.compile(rb'sk1 [0-9]+ [+.] \["saved",')
#: The first frame of all: a log that was read from its beginning has it.
_FIRST = b"sk1 0 "
#: Events of a pod that has its volumes.
_MOUNTED = ("Pulling", "Pulled", "Created", "Started")


class JobSandbox:
    """One Job."""

    frames = 0
    restored = False
    #: What is in the mailbox before the kubelet makes the pod is there when the guest looks first.
    early = True
    pid: int | None = None

    def __init__(
        self,
        cluster: Cluster,
        pods: Pods,
        request: Request,
        patience_s: float,
        closed: Callable[[JobSandbox], None],
        part: Callable[[JobSandbox], None],
    ) -> None:
        """``closed`` is told when the Job is deleted, ``part`` when it is left to whoever calls remove()."""
        self.name = manifests.job_name(request)
        self._patience_s = patience_s
        self.session = request.session
        self.place = request.place
        #: Whether its container has run, so that something may be in its place.
        self.has_run = False
        self._closed = closed
        self._part = part
        self._cluster = cluster
        self._pods = pods
        self._request = request
        self.job: dict[str, Any] | None = None
        self._log: Any = None
        self._mounted = Mounted(cluster, b"", {}, request.session)
        #: Names of the ConfigMaps that its pod mounts, but for the mailbox.
        self.shares: frozenset[str] = frozenset()
        self._carried_out = False
        #: Whether the newest reading of the log went from its first frame to its end.
        self._read_whole = False
        self._heard_all = False
        self._parted = False
        self._killed = False
        self._deleted = False
        self._closing = asyncio.Lock()
        self._creating: asyncio.Task[dict[str, Any]] | None = None
        self._touches = 0
        self._mails = 0
        self._status: podstatus.Status = podstatus.Waiting()
        self._event_trouble: podstatus.Trouble | None = None
        self._pulling = False

    async def start(self, body: dict[str, Any], mounted: Mounted, last: JobSandbox | None = None) -> None:
        """Create the Job and what it mounts. ``last`` is the session's last Job, if it is still there."""
        self._mounted = mounted
        if last is not None and last.job is not None and not self._request.idle_s:
            # With an owner that there is, what is new is there before the pod: the kubelet tries again half a second later
            # when it does not find one. Nobody waits for one that is started ahead, which may save the request.
            await mounted.make_new(last.job)
        self._creating = asyncio.ensure_future(self._cluster.create("jobs", body))
        self.job = await asyncio.shield(self._creating)
        await self._share_all()

    async def _share_all(self, *, missing: bool = False) -> None:
        """Make our Job one of the owners of each ConfigMap that it mounts; make those that are not there."""
        assert self.job is not None
        self.shares = self._mounted.names
        await self._mounted.own(self.job, missing=missing)

    # -- the wire

    async def lines(self) -> AsyncIterator[bytes]:
        """See :class:`.base.Sandbox`."""
        try:
            await self._wait_until_it_runs()
            ended = False
            while not self._killed:
                over = podstatus.is_over(self._pods.get(self.name))
                async for line in self._read_log(follow=not ended):
                    yield line
                self._heard_all = over and self._read_whole
                if ended or self._killed:
                    return
                # A follow may end, or be cut, while the container runs; and what was written last may not be there yet.
                await self._look(refresh=True)
                ended = isinstance(self._status, podstatus.Ended)
                await self._pods.changed(self.name, LOOK_S / 2)
        except ApiError as error:
            if not self._killed:
                raise translated(error, f"following {self.name}", self._cluster.host) from error

    async def _read_log(self, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield the log's lines from its beginning. A connection that is cut ends it; what is cut off a line is dropped."""
        pod = self._pods.get(self.name)
        assert pod is not None
        self._read_whole = began = False
        try:
            async with self._cluster.log(pod["metadata"]["name"], manifests.CONTAINER, follow=follow) as self._log:
                rest = b""
                async for chunk in self._log.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        self._carried_out = self._carried_out or _CARRIED_OUT.match(line) is not None
                        began = began or line.startswith(_FIRST)
                        yield line
                    rest = rest[:LINE_BYTES]
                self._read_whole = began and not rest
        except ApiError as error:
            # Not started, gone already, or a busy server: the pod's state tells whether to read again.
            if not error.passing and error.status not in (400, 404):
                raise
        finally:
            self._log = None

    async def _wait_until_it_runs(self) -> None:
        """Return when the container runs or has run. Raises SandboxRefused when that will not happen."""
        trouble_since: float | None = None
        asked = time.monotonic()
        while not self._killed:
            await self._look()
            now = time.monotonic()
            if isinstance(self._status, podstatus.Running | podstatus.Ended):
                self.has_run = True
                return
            if now - asked > (LOOK_S if self._pods.get(self.name) is None else ASK_S):
                asked = now
                await self._ask()
            if isinstance(self._status, podstatus.Trouble):
                trouble_since = trouble_since or now
                await self._raise_if_hopeless(self._status, now - trouble_since)
            else:
                trouble_since = None
            await self._pods.changed(self.name, LOOK_S)

    async def _ask(self) -> None:
        """Look beyond the watch, which may be dead, and at what only events tell.

        No more than that: where a hundred wait for their room, their questions would be what keeps the apiserver busy.
        """
        pod = self._pods.get(self.name)
        if pod is None:
            self._event_trouble = podstatus.read_events(await self._events(self.job))
        elif pod["spec"].get("nodeName"):
            self._event_trouble = await self._mount_trouble()
        else:
            self._event_trouble = None  # What keeps it from a node its own status tells.
        await self._look(refresh=not self._pods.heard_within(ASK_S))

    async def _mount_trouble(self) -> podstatus.Trouble | None:
        """Say what keeps the pod from having its volumes; a ConfigMap of ours that is missing is made again.

        The garbage collector of Kubernetes before 1.34 may delete one whose owners changed while it looked.
        """
        events = await self._events(self._pods.get(self.name))
        self._pulling = podstatus.is_pulling(events)
        if any(event.get("reason") in _MOUNTED for event in events):
            return None  # An event stays for an hour, also of what has long passed.
        trouble = podstatus.read_pod_events(events)
        if trouble is not None and trouble.reason == "FailedMount" and 'configmap "sandbox-' in trouble.message:
            await self._share_all(missing=True)
            return None
        return trouble

    async def _raise_if_hopeless(self, trouble: podstatus.Trouble, lasted_s: float) -> None:
        if not trouble.final:
            if lasted_s < self._patience_s:
                return
            if trouble.reason in podstatus.NO_ROOM and self._pods.others_hold_room(self.name):
                return  # Of twenty that were asked for at once the first ones make room for the others.
            if trouble.reason == "Unschedulable" and podstatus.help_is_coming(await self._events(self._pods.get(self.name))):
                return
        raise SandboxRefused(f"{self.name}: {trouble.reason}: {trouble.message}", trouble.advice)

    async def _look(self, *, refresh: bool = False) -> None:
        if refresh:
            await self._pods.refresh()
        pod = self._pods.get(self.name)
        self._status = podstatus.Waiting() if pod is None else podstatus.read(pod)
        if isinstance(self._status, podstatus.Waiting) and self._event_trouble is not None:
            self._status = self._event_trouble

    async def _events(self, about: Any) -> list[dict[str, Any]]:
        if about is None:
            return []
        uid = about["metadata"]["uid"]
        items: list[dict[str, Any]] = (await self._cluster.list("events", fieldSelector=f"involvedObject.uid={uid}"))["items"]
        return items

    # -- the mailbox

    async def deliver(self, message: bytes) -> None:
        """See :class:`.base.Sandbox`."""
        assert self.job is not None
        await self._look()
        if isinstance(self._status, podstatus.Ended):
            raise SandboxGone(self._status.ending.reason)
        if not configmaps.room_for_message(message):
            raise ConfigurationError(
                f"The cell and its files are {len(message)} bytes; a ConfigMap holds {configmaps.CONFIG_MAP_BYTES}.",
                "Send less, or put the files into the image.",
            )
        number, self._mails = self._mails, self._mails + 1
        try:
            if number == 0:
                await self._cluster.create("configmaps", configmaps.mail_config_map(message, self.job))
            else:
                await self._cluster.patch("configmaps", f"{self.name}-mail", configmaps.more_mail(number, message))
        except ApiError as error:
            raise translated(error, f"delivering the cell to {self.name}", self._cluster.host) from error
        if self.has_run:  # Else it is mounted with all the rest.
            with contextlib.suppress(BackendError):  # It is delivered; the next reminder is not far.
                await self.remind()

    async def remind(self) -> None:
        """See :class:`.base.Sandbox`. Changes an annotation, at which the kubelet mounts what is new."""
        pod = self._pods.get(self.name)
        if pod is None:
            return
        self._touches += 1
        touch = {"metadata": {"annotations": {manifests.TOUCH_ANNOTATION: str(self._touches)}}}
        try:
            await self._cluster.patch("pods", pod["metadata"]["name"], touch)
        except ApiError as error:
            if error.status != 404:  # Gone: lines() tells why.
                raise translated(error, f"reminding {self.name}", self._cluster.host) from error

    # -- the end

    async def save(self, folder: Path) -> Snapshot:  # noqa: ARG002 - the seam's
        """See :class:`.base.Sandbox`."""
        raise StateNotSaved("A Job cannot be saved as a whole.", "Set Runner.state to carry.", alive=True)

    async def resume(self) -> None:
        """See :class:`.base.Sandbox`. It is never saved."""

    def waiting_for(self) -> str:
        """See :class:`.base.Sandbox`."""
        return podstatus.waiting_for(self._pods.get(self.name), self._status, pulling=self._pulling)

    async def kill(self) -> None:
        """See :class:`.base.Sandbox`."""
        self._killed = True
        if self._log is not None:
            hang_up(self._log)
        self._pods.wake(self.name)
        await self.close()

    async def ending(self) -> Ending:
        """See :class:`.base.Sandbox`."""
        until = time.monotonic() + ENDING_S
        while time.monotonic() < until:
            with contextlib.suppress(ApiError):  # Asked again until the time is up.
                await self._look(refresh=True)
            if isinstance(self._status, podstatus.Ended):
                return dataclasses.replace(self._status.ending, heard_all=self._heard_all)
            await self._pods.changed(self.name, LOOK_S)
        return Ending("lost", f"{self.name} stopped talking, and its pod does not say how it ended.")

    async def close(self) -> None:
        """See :class:`.base.Sandbox`."""
        if self._carried_out and not self._request.place:
            if not self._parted:
                self._parted = True
                self._part(self)
            return
        await self.remove()

    async def has_ended(self, wait_s: float) -> bool:
        """Tell whether the container ends by itself within this time."""
        until = time.monotonic() + wait_s
        while (left_s := until - time.monotonic()) > 0:
            await self._look()
            if isinstance(self._status, podstatus.Ended):
                return True
            await self._pods.changed(self.name, min(left_s, LOOK_S))
        return False

    async def remove(self) -> None:
        """Delete the Job, and with it what nobody else owns. Raises BackendError. May be called twice."""
        # One at a time: whoever comes second (an interrupt is still deleting) may close the connection when we return.
        async with self._closing:
            await self._find_out()
            if self.job is not None and not self._deleted:
                try:
                    await self._cluster.delete("jobs", self.name, self.job["metadata"]["uid"])
                except ApiError as error:
                    raise translated(error, f"deleting {self.name}", self._cluster.host) from error
            self._deleted = True
        self._closed(self)

    async def _find_out(self) -> None:
        """Wait for the answer to a request that nobody else waits for any more: what it made, nobody else would delete."""
        if self.job is None and self._creating is not None:
            with contextlib.suppress(ApiError):
                self.job = await asyncio.shield(self._creating)

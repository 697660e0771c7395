"""One sandbox as a Kubernetes Job.

The Job is created first; the ConfigMaps it mounts are created after it, owned by it. The pod's log is the wire: it is
followed from the moment the container runs, read again from the start when the connection is cut (frames are numbered, so
what comes twice is dropped) and read a last time after the container has ended. The end of a cell is taken from its trailer
in the log; the pod's state is asked only when there is none, because the Job controller tells by the second.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from ..errors import BackendError, ConfigurationError, SandboxRefused
from . import manifests, podstatus
from .base import Ending, Request
from .cluster import ApiError, Cluster, hang_up, translated
from .pods import Pods

#: A line that is longer is not from our guest.
LINE_BYTES = 1 << 16
#: Between two looks at what keeps a pod from running, and at the events about it.
LOOK_S = 1.0
#: Between two questions to the apiserver while a pod waits: its watch may be dead, and some troubles are events alone.
ASK_S = 5.0
#: How long the kubelet may take to say how a container ended.
ENDING_S = 10.0


class JobSandbox:
    """One Job."""

    def __init__(
        self, cluster: Cluster, pods: Pods, request: Request, patience_s: float, closed: Callable[[JobSandbox], None]
    ) -> None:
        self.name = manifests.job_name(request)
        self._patience_s = patience_s
        self._closed = closed
        self._cluster = cluster
        self._pods = pods
        self._request = request
        self._job: dict[str, Any] | None = None
        self._log: Any = None
        self._killed = False
        self._deleted = False
        self._closing = asyncio.Lock()
        self._touches = 0
        self._status: podstatus.Status = podstatus.Waiting()
        self._event_trouble: podstatus.Trouble | None = None

    async def start(self, body: dict[str, Any], sources: Mapping[str, str]) -> None:
        """Create the Job and what it needs to run."""
        self._job = await self._cluster.create("jobs", body)
        await self._share_guest(sources)

    async def _share_guest(self, sources: Mapping[str, str]) -> None:
        """Make our Job one of the owners of the guest's ConfigMap: it goes when the last of them goes."""
        assert self._job is not None
        body = manifests.guest_config_map(sources, self._job)
        owners = {"metadata": {"ownerReferences": body["metadata"]["ownerReferences"]}}
        for _ in range(3):
            try:
                await self._cluster.patch("configmaps", body["metadata"]["name"], owners)
                return
            except ApiError as error:
                if error.status != 404:
                    raise
            try:
                await self._cluster.create("configmaps", body)
                return
            except ApiError as error:
                if error.status != 409:
                    raise

    # -- the wire

    async def lines(self) -> AsyncIterator[bytes]:
        """See :class:`.base.Sandbox`."""
        try:
            await self._wait_until_it_runs()
            ended = False
            while not self._killed:
                async for line in self._read_log(follow=not ended):
                    yield line
                if ended or self._killed:
                    return
                # A follow may end, or be cut, while the container runs; and what was written last may not be there yet.
                await self._look(refresh=True)
                ended = isinstance(self._status, podstatus.Ended)
                await self._pods.changed(LOOK_S / 2)
        except ApiError as error:
            if not self._killed:
                raise translated(error, f"following {self.name}", self._cluster.host) from error

    async def _read_log(self, *, follow: bool) -> AsyncIterator[bytes]:
        """Yield the log's lines from its beginning. A connection that is cut ends it; what is cut off a line is dropped."""
        pod = self._pods.get(self.name)
        assert pod is not None
        try:
            async with self._cluster.log(pod["metadata"]["name"], manifests.CONTAINER, follow=follow) as self._log:
                rest = b""
                async for chunk in self._log.content.iter_any():
                    *lines, rest = (rest + chunk).split(b"\n")
                    for line in lines:
                        yield line
                    rest = rest[:LINE_BYTES]
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
                return
            if now - asked > (LOOK_S if self._pods.get(self.name) is None else ASK_S):
                asked = now
                await self._ask()
            if isinstance(self._status, podstatus.Trouble):
                trouble_since = trouble_since or now
                await self._raise_if_hopeless(self._status, now - trouble_since)
            else:
                trouble_since = None
            await self._pods.changed(LOOK_S)

    async def _ask(self) -> None:
        """Look beyond the watch, which may be dead, and at what only events tell."""
        if self._pods.get(self.name) is None:
            self._event_trouble = podstatus.read_events(await self._events(self._job))
        else:
            self._event_trouble = podstatus.read_pod_events(await self._events(self._pods.get(self.name)))
        await self._look(refresh=True)

    async def _raise_if_hopeless(self, trouble: podstatus.Trouble, lasted_s: float) -> None:
        if not trouble.final:
            if lasted_s < self._patience_s:
                return
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
        assert self._job is not None
        if not manifests.room_for_message(message):
            raise ConfigurationError(
                f"The cell and its files are {len(message)} bytes; a ConfigMap holds {manifests.CONFIG_MAP_BYTES}.",
                "Send less, or put the files into the image.",
            )
        try:
            await self._cluster.create("configmaps", manifests.mail_config_map(message, self._job))
        except ApiError as error:
            raise translated(error, f"delivering the cell to {self.name}", self._cluster.host) from error
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

    def waiting_for(self) -> str:
        """See :class:`.base.Sandbox`."""
        if isinstance(self._status, podstatus.Trouble):
            return f"{self.name}: {self._status.reason}: {self._status.message}"
        return f"{self.name} is waiting for its container."

    async def kill(self) -> None:
        """See :class:`.base.Sandbox`."""
        self._killed = True
        if self._log is not None:
            hang_up(self._log)
        await self._pods.wake()
        await self.close()

    async def ending(self) -> Ending:
        """See :class:`.base.Sandbox`."""
        until = time.monotonic() + ENDING_S
        while time.monotonic() < until:
            with contextlib.suppress(ApiError):  # Asked again until the time is up.
                await self._look(refresh=True)
            if isinstance(self._status, podstatus.Ended):
                return self._status.ending
            await self._pods.changed(LOOK_S)
        return Ending("lost", f"{self.name} stopped talking, and its pod does not say how it ended.")

    async def close(self) -> None:
        """See :class:`.base.Sandbox`."""
        # One at a time: whoever comes second (an interrupt is still deleting) may close the connection when we return.
        async with self._closing:
            if self._job is not None and not self._deleted:
                try:
                    await self._cluster.delete("jobs", self.name, self._job["metadata"]["uid"])
                except ApiError as error:
                    raise translated(error, f"deleting {self.name}", self._cluster.host) from error
            self._deleted = True
        self._closed(self)

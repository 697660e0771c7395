"""One Job with stand-ins for the cluster: what is known of a container that ended before it took its cell."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox_kernel.backends import podstatus
from sandbox_kernel.backends.base import Request
from sandbox_kernel.backends.cluster import ApiError
from sandbox_kernel.backends.job import JobSandbox
from sandbox_kernel.errors import SandboxGone
from sandbox_kernel.limits import Limits

Object = dict[str, Any]
READY = b'sk1 0 . ["ready",{"python":"3.11.2","system":"Linux"}]\n'
BEAT = b'sk1 1 . ["heartbeat",{}]\n'
CUT = ApiError(0, "Connection", "cut")
GONE = ApiError(404, "NotFound", "no such pod")


def pod(state: str, **metadata: Any) -> Object:
    """Return a pod whose container is in this state."""
    status = {"phase": "Running", "containerStatuses": [{"state": {state: {"exitCode": 0, "reason": "Completed"}}}]}
    return {"metadata": {"name": "p", "uid": "u", **metadata}, "status": status}


RUNS, OVER = pod("running"), pod("terminated")
DELETED = pod("running", deletionTimestamp="now")


class Scripted:
    """Cluster and pods: each reading of the log is the next of ``logs``, each look at the pod the next of ``looks``."""

    def __init__(self, looks: list[Object], logs: list[list[bytes | ApiError]]) -> None:
        self.host = "here"
        self.created: list[str] = []
        self._looks = looks
        self._logs = logs

    # The cluster.

    @contextlib.asynccontextmanager
    async def log(self, name: str, container: str, *, follow: bool) -> AsyncIterator[Any]:
        async def chunks() -> AsyncIterator[bytes]:
            for piece in self._logs.pop(0):
                if isinstance(piece, ApiError):
                    raise piece
                yield piece

        yield SimpleNamespace(content=SimpleNamespace(iter_any=chunks))

    async def create(self, kind: str, body: Object) -> Object:
        self.created.append(kind)
        return body

    async def patch(self, kind: str, name: str, body: Object) -> Object:
        return body

    # The pods.

    def get(self, job: str) -> Object:
        return self._looks[0]

    async def refresh(self) -> None:
        if len(self._looks) > 1:
            self._looks.pop(0)

    async def changed(self, job: str, wait_s: float) -> None:
        pass


def sandbox_on(scripted: Scripted) -> JobSandbox:
    """Return a Job that was created."""
    request = Request("abc", 1, Limits(), 5.0)
    made = JobSandbox(cast("Any", scripted), cast("Any", scripted), request, 1.0, lambda _: None, lambda _: None)
    made.job = {"metadata": {"name": made.name, "uid": "u", "labels": {"sandbox-kernel/session": "abc"}}}
    return made


@pytest.mark.parametrize(
    ("looks", "logs", "heard_all"),
    [
        pytest.param([RUNS, OVER], [[READY], [READY, BEAT]], True, id="read once more after it ended"),
        pytest.param([OVER], [[READY, BEAT], [READY, BEAT]], True, id="it had ended before anybody read"),
        pytest.param([RUNS, OVER], [[READY, CUT], [READY, BEAT]], True, id="cut while it ran"),
        pytest.param([RUNS, OVER], [[READY], [READY, CUT]], False, id="the last reading is cut"),
        pytest.param([RUNS, OVER], [[READY], [READY, BEAT[:-1]]], False, id="the last line is not whole"),
        pytest.param([RUNS, OVER], [[READY], [GONE]], False, id="the log is gone"),
        pytest.param([RUNS, OVER], [[READY], [b"unable to retrieve container logs\n"]], False, id="the kubelet's words"),
        pytest.param([RUNS, OVER], [[READY], [BEAT]], False, id="the beginning was rotated away"),
        pytest.param([RUNS, DELETED], [[READY], [READY, BEAT]], False, id="deleted, and it may run on"),
    ],
)
async def test_when_all_was_heard(looks: list[Object], logs: list[list[bytes | ApiError]], heard_all: bool) -> None:
    """What a container said is known to be all when it had ended, and its log was then read from its first frame on."""
    sandbox = sandbox_on(Scripted(list(looks), list(logs)))
    lines = [line async for line in sandbox.lines()]
    assert READY[:-1] in lines
    assert (await sandbox.ending()).heard_all is heard_all


@pytest.mark.parametrize("now", [OVER, DELETED], ids=["ended", "deleted"])
async def test_nothing_is_delivered_to_who_has_ended(now: Object) -> None:
    """When it is known that the pod has ended nothing is sent, so that the cell may run elsewhere."""
    scripted = Scripted([now], [])
    with pytest.raises(SandboxGone):
        await sandbox_on(scripted).deliver(b"[]")
    assert scripted.created == []
    scripted = Scripted([RUNS], [])
    await sandbox_on(scripted).deliver(b"[]")
    assert scripted.created == ["configmaps"]


async def test_a_start_that_is_cut_off_leaves_no_job() -> None:
    """A Job that the apiserver was still making when its start was cancelled is deleted once it is there."""
    asked, answered, deleted = asyncio.Event(), asyncio.Event(), []

    class Slow(Scripted):
        async def create(self, kind: str, body: Object) -> Object:
            asked.set()
            await answered.wait()
            return body

        async def delete(self, kind: str, name: str, uid: str) -> None:
            deleted.append((kind, name, uid))

    sandbox = sandbox_on(Slow([], []))
    body, sandbox.job = sandbox.job, None
    assert body is not None
    starting = asyncio.ensure_future(sandbox.start(body, cast("Any", None)))
    await asked.wait()
    starting.cancel()
    closing = asyncio.ensure_future(sandbox.close())
    await asyncio.wait({starting})
    assert starting.cancelled()
    answered.set()
    await closing
    assert deleted == [("jobs", "sandbox-abc-1", "u")]


def test_what_is_over() -> None:
    """A container is over when its status says so, whatever the pod says; nothing known is not over."""
    deleted = pod("terminated", deletionTimestamp="now")
    assert [podstatus.is_over(item) for item in (OVER, deleted, RUNS, DELETED, {"metadata": {}}, None)] == [
        *(True, True),
        *(False, False, False, False),
    ]


@pytest.mark.parametrize(
    ("looks", "heard", "asks"),
    [
        pytest.param([{**pod("waiting"), "spec": {}}], True, [], id="it has no node, and the watch lives"),
        pytest.param([{**pod("waiting"), "spec": {}}], False, ["pods"], id="it has no node, and the watch may be dead"),
        pytest.param([{**pod("waiting"), "spec": {"nodeName": "n"}}], True, ["events"], id="it has a node"),
        pytest.param([{**pod("waiting"), "spec": {"nodeName": "n"}}], False, ["events", "pods"], id="both"),
        pytest.param([None], True, ["events"], id="there is no pod, which events tell why"),
    ],
)
async def test_what_is_asked_while_a_pod_waits(looks: list[Any], heard: bool, asks: list[str]) -> None:
    """No more than what the watch cannot tell: of a hundred that wait each asks every few seconds."""
    asked = []

    class Asked(Scripted):
        async def list(self, kind: str, **selectors: str) -> Object:
            asked.append(kind)
            return {"items": []}

        async def refresh(self) -> None:
            asked.append("pods")

        def heard_within(self, wait_s: float) -> bool:
            return heard

    await sandbox_on(Asked(looks, []))._ask()
    assert asked == asks

"""What waits for a change of a pod: it is woken by each, in time, whatever became of others who waited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox_kernel.backends.cluster import Cluster
from sandbox_kernel.backends.pods import Pods


class Nowhere:
    """Stands for a cluster that nobody asks anything."""

    async def list(self, kind: str, **selectors: str) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "1"}, "items": []}


@pytest.fixture
def pods() -> Pods:
    cluster: Any = Nowhere()
    assert isinstance(cluster, Nowhere) and not isinstance(cluster, Cluster)
    return Pods(cluster, "a=b")


async def test_a_change_wakes_everybody(pods: Pods) -> None:
    """Each that waits goes on at the next change, long before its time is up."""
    waiting = [asyncio.ensure_future(pods.changed(1000)) for _ in range(3)]
    await asyncio.sleep(0)
    await pods.refresh()
    await asyncio.wait_for(asyncio.gather(*waiting), 60)


async def test_nobody_waits_longer_than_asked(pods: Pods) -> None:
    """Without a change the time that was given ends it."""
    await asyncio.wait_for(pods.changed(0.01), 60)


async def test_who_is_cancelled_twice_holds_nobody_up(pods: Pods) -> None:
    """Others are woken as before: a lock that was lost so once made every session of a kernel hang, its end too."""
    for pause in range(4):
        waiting = [asyncio.ensure_future(pods.changed(1000)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pods.wake()
        for _ in range(2):
            for task in waiting:
                task.cancel()
            for _ in range(pause):
                await asyncio.sleep(0)
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.wait_for(pods.changed(0.01), 60)


def event(kind: str, job: str, **spec: str) -> dict[str, Any]:
    """Return what the watch says about the pod of a Job."""
    labels = {"batch.kubernetes.io/job-name": job}
    metadata = {"uid": f"uid of {job}", "labels": labels, "resourceVersion": "2"}
    return {"type": kind, "object": {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}}}


async def test_a_pod_that_leaves_holds_its_room(pods: Pods) -> None:
    """Others hold room from when they have a node until their pods are gone, also after nobody asks for them any more."""
    pods._take(event("ADDED", "a"))
    pods._take(event("ADDED", "b"))
    assert not pods.others_hold_room("b")
    pods._take(event("MODIFIED", "a", nodeName="node"))
    assert pods.others_hold_room("b")
    assert not pods.others_hold_room("a")
    pods.forget("a")
    pods._take(event("MODIFIED", "a", nodeName="node"))
    assert pods.others_hold_room("b")
    pods._take(event("DELETED", "a", nodeName="node"))
    assert not pods.others_hold_room("b")


@pytest.mark.parametrize("watched", [True, False], ids=["as the watch says", "as a list says"])
async def test_a_session_of_many_cells_keeps_nothing_of_them(pods: Pods, watched: bool) -> None:
    """What is known of a pod that is over and gone is dropped, whenever its last news come."""
    for number in range(3):
        job = f"job-{number}"
        pods._take(event("ADDED", job, nodeName="node"))
        pods.forget(job)
        pods._take(event("MODIFIED", job, nodeName="node"))
        if watched:
            pods._take(event("DELETED", job, nodeName="node"))
    if not watched:
        await pods.refresh()
    assert not pods._pods
    assert not pods._over


async def test_a_pod_that_somebody_deleted_is_known_to_be(pods: Pods) -> None:
    """Who still asks for a pod that is gone hears that it was deleted."""
    pods._take(event("ADDED", "a", nodeName="node"))
    pods._take(event("DELETED", "a", nodeName="node"))
    found = pods.get("a")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    assert not pods.others_hold_room("b")

"""What waits for a change of a pod: it is woken by each, in time, whatever became of others who waited."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from sandbox_kernel.backends.cluster import ApiError
from sandbox_kernel.backends.pods import Pods


class Nowhere:
    """Stands for a cluster in which there is nothing.

    Attributes:
        asked: How often it was.
        busy: Whom it answers when it is set.
        broken: It does not answer.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.busy = asyncio.Event()
        self.busy.set()
        self.broken = False

    async def list(self, kind: str, **selectors: str) -> dict[str, Any]:
        self.asked += 1
        await self.busy.wait()
        if self.broken:
            raise ApiError(0, "Connection", "cut")
        return {"metadata": {"resourceVersion": "1"}, "items": []}


@pytest.fixture
def nowhere() -> Nowhere:
    return Nowhere()


@pytest.fixture
def pods(nowhere: Nowhere) -> Pods:
    cluster: Any = nowhere
    return Pods(cluster, "a=b")


@pytest.mark.parametrize("how", ["watch", "list", "wake", "forget"])
async def test_a_change_wakes_everybody_who_waits_for_that_pod(pods: Pods, how: str) -> None:
    """Each that waits for it goes on at its next change, long before its time is up; who waits for another does not."""
    waiting = [asyncio.ensure_future(pods.changed("a", 1000)) for _ in range(3)]
    other = asyncio.ensure_future(pods.changed("b", 1000))
    await asyncio.sleep(0)
    if how == "watch":
        pods._take(event("ADDED", "a"))
    elif how == "list":
        await pods.refresh()
    else:
        getattr(pods, how)("a")
    await asyncio.wait_for(asyncio.gather(*waiting), 60)
    assert other.done() is (how == "list")
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def test_many_who_ask_at_once_share_an_answer(pods: Pods, nowhere: Nowhere) -> None:
    """It is asked for after each of them asked; there is one question on its way at a time, and one that waits."""
    nowhere.busy.clear()
    first = asyncio.ensure_future(pods.refresh())
    await asyncio.sleep(0.01)
    later = [asyncio.ensure_future(pods.refresh()) for _ in range(50)]
    await asyncio.sleep(0.01)
    assert nowhere.asked == 1
    nowhere.busy.set()
    await asyncio.wait_for(asyncio.gather(first, *later), 60)
    assert nowhere.asked == 2


async def test_who_asks_hears_what_went_wrong(pods: Pods, nowhere: Nowhere) -> None:
    """Each that shares a question does; who gave up meanwhile changes nothing for the others, and the next one asks again."""
    nowhere.busy.clear()
    nowhere.broken = True
    asking = [asyncio.ensure_future(pods.refresh()) for _ in range(3)]
    await asyncio.sleep(0.01)
    asking[0].cancel()
    nowhere.busy.set()
    found = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 60)
    assert [type(answer) for answer in found] == [asyncio.CancelledError, ApiError, ApiError]
    assert not pods.heard_within(1000)
    nowhere.broken = False
    await pods.refresh()
    assert pods.heard_within(1000)


async def test_the_watch_is_heard(pods: Pods) -> None:
    """As long as it tells something, of whichever pod, what is known is right."""
    assert not pods.heard_within(1000)
    pods._take(event("ADDED", "a"))
    assert pods.heard_within(1000)


async def test_closing_ends_what_is_asked(pods: Pods, nowhere: Nowhere) -> None:
    """A question that is on its way is not waited for."""
    nowhere.busy.clear()
    asking = [asyncio.ensure_future(pods.refresh()) for _ in range(2)]
    await asyncio.sleep(0.01)
    asking += [asyncio.ensure_future(pods.refresh())]
    await asyncio.sleep(0.01)
    await asyncio.wait_for(pods.close(), 60)
    found = await asyncio.wait_for(asyncio.gather(*asking, return_exceptions=True), 60)
    assert {type(answer) for answer in found} == {asyncio.CancelledError}


async def test_nobody_waits_longer_than_asked(pods: Pods) -> None:
    """Without a change the time that was given ends it."""
    await asyncio.wait_for(pods.changed("a", 0.01), 60)


async def test_who_is_cancelled_twice_holds_nobody_up(pods: Pods) -> None:
    """Others are woken as before: a lock that was lost so once made every session of a kernel hang, its end too."""
    for pause in range(4):
        waiting = [asyncio.ensure_future(pods.changed("a", 1000)) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        pods.wake("a")
        for _ in range(2):
            for task in waiting:
                task.cancel()
            for _ in range(pause):
                await asyncio.sleep(0)
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.wait_for(pods.changed("a", 0.01), 60)


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
    assert not pods._news


async def test_a_pod_that_somebody_deleted_is_known_to_be(pods: Pods) -> None:
    """Who still asks for a pod that is gone hears that it was deleted."""
    pods._take(event("ADDED", "a", nodeName="node"))
    pods._take(event("DELETED", "a", nodeName="node"))
    found = pods.get("a")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    assert not pods.others_hold_room("b")

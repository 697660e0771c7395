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

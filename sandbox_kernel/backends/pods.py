"""What the pods of one backend look like now: one list and one watch for all of them.

The watch makes it quick, not right: whoever waits for a change waits a bounded time and then asks the apiserver, so a watch
that died costs latency only.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from .cluster import ApiError, Cluster

Object = dict[str, Any]
#: In place of a time: it is not leaving but gone.
GONE = "gone"
JOB_LABEL = "batch.kubernetes.io/job-name"


class Pods:
    """The newest known pod of each Job that ``selector`` selects."""

    def __init__(self, cluster: Cluster, selector: str) -> None:
        self._cluster = cluster
        self._selector = selector
        self._pods: dict[str, Object] = {}
        #: Jobs whose pods nobody asks for any more; each is dropped when it is gone.
        self._over: set[str] = set()
        #: Set at the next change of a Job's pod, and then gone. One for each Job: of a hundred that wait each would be woken
        #: by the changes of all. No lock: one that is awaited again while its owner is being cancelled (as Condition does)
        #: can be lost for good, and then nobody would wake any more.
        self._news: dict[str, asyncio.Event] = {}
        #: The question to the apiserver that is not sent yet, all that have no answer, and their turn: one at a time.
        self._question: asyncio.Task[None] | None = None
        self._questions: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()
        self._heard_s = 0.0
        self._version = ""
        self._task: asyncio.Task[None] | None = None

    def get(self, job: str) -> Object | None:
        """Return the pod of a Job as last seen."""
        return self._pods.get(job)

    def forget(self, job: str) -> None:
        """Drop what is known of a Job that is over, as soon as its pod is gone: until then it holds its room."""
        self._over.add(job)
        self.wake(job)

    def others_hold_room(self, job: str) -> bool:
        """Tell whether pods of other Jobs are on a node, or still leave it."""
        return any(_holds_room(pod) for name, pod in self._pods.items() if name != job)

    async def open(self) -> None:
        """Begin to watch, from before the next object is made."""
        if self._task is None or self._task.done():
            self._task = asyncio.ensure_future(self._watch_for_ever())

    async def refresh(self) -> None:
        """Ask the apiserver, together with all who would ask now. Raises ApiError."""
        if self._question is None:
            self._question = asyncio.ensure_future(self._ask())
            self._questions.add(self._question)
            self._question.add_done_callback(self._answered)
        await asyncio.shield(self._question)

    def _answered(self, question: asyncio.Task[None]) -> None:
        self._questions.discard(question)
        if not question.cancelled():
            question.exception()  # Whoever asked may be gone.

    async def _ask(self) -> None:
        async with self._asking:
            self._question = None  # Who comes now may want to know what this answer is too old for.
            listed = await self._cluster.list("pods", labelSelector=self._selector)
            self._version = listed["metadata"]["resourceVersion"]
            present = {pod["metadata"]["labels"].get(JOB_LABEL, ""): pod for pod in listed["items"]}
            for job, pod in present.items():
                self._keep(job, pod)
            for job in [job for job in self._pods if job not in present]:
                self._deleted(job)
            self._over &= self._pods.keys()
            self._heard_s = time.monotonic()
            for job in list(self._news):
                self.wake(job)

    def heard_within(self, wait_s: float) -> bool:
        """Tell whether the apiserver was heard so lately; what is known is right then."""
        return time.monotonic() - self._heard_s <= wait_s

    async def changed(self, job: str, wait_s: float) -> None:
        """Return at the next change of a Job's pod, or after ``wait_s``."""
        news = self._news.setdefault(job, asyncio.Event())
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(news.wait(), wait_s)

    def wake(self, job: str) -> None:
        """Make everybody who waits for this Job's pod look again."""
        news = self._news.pop(job, None)
        if news is not None:
            news.set()

    async def close(self) -> None:
        """Stop watching. May be called twice."""
        tasks = [*self._questions, *([] if self._task is None else [self._task])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._question = None

    async def _watch_for_ever(self) -> None:
        failures = 0
        while True:
            try:
                if not self._version:
                    await self.refresh()
                async for event in self._cluster.watch("pods", self._version, labelSelector=self._selector):
                    failures = 0
                    self._take(event)
            except ApiError as error:
                # 410: our version is too old. Anything else: whoever waits asks for itself meanwhile, and hears why.
                if error.status == 410 or failures:
                    self._version = ""
                failures = min(failures + 1, 6)
                await asyncio.sleep(0.1 * 2**failures)

    def _take(self, event: Object) -> None:
        pod = event["object"]
        self._heard_s = time.monotonic()
        self._version = pod["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        job = pod["metadata"].get("labels", {}).get(JOB_LABEL, "")
        self._keep(job, pod)
        if event["type"] == "DELETED":
            self._deleted(job)
        self.wake(job)

    def _keep(self, job: str, pod: Object) -> None:
        # A second pod of the same Job would be a second run of the cell: the first is the one we know.
        known = self._pods.get(job)
        if known is None or known["metadata"]["uid"] == pod["metadata"]["uid"]:
            self._pods[job] = pod

    def _deleted(self, job: str) -> None:
        if job in self._over:
            self._over.discard(job)
            del self._pods[job]
        else:
            self._pods[job]["metadata"]["deletionTimestamp"] = GONE


def _holds_room(pod: Object) -> bool:
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    gone = pod["metadata"].get("deletionTimestamp") == GONE
    return not ended and not gone and bool(pod["spec"].get("nodeName"))

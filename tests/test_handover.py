"""Jobs that wait for the next one of their session, with stand-ins for the Jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from sandbox_kernel.backends import handover
from sandbox_kernel.backends.handover import Handover
from sandbox_kernel.backends.job import JobSandbox
from sandbox_kernel.errors import BackendUnavailable


class Job:
    """A Job whose container ends by itself, or does not."""

    def __init__(self, session: str = "s", *, ends: bool = True, error: Exception | None = None) -> None:
        self.session = session
        self.removed = asyncio.Event()
        self._ends = ends
        self._error = error

    async def has_ended(self, wait_s: float) -> bool:
        if not self._ends:
            await asyncio.sleep(wait_s)
        return self._ends

    async def remove(self) -> None:
        self.removed.set()
        if self._error is not None:
            raise self._error


def kept(*jobs: Job, longest_s: float = 600.0) -> Handover:
    """Return what keeps these."""
    made = Handover(lambda: longest_s, logging.getLogger("handover"))
    for job in jobs:
        made.keep(cast("Any", job))
    return made


def last(made: Handover, session: str = "s") -> JobSandbox | None:
    return made.last(session)


async def rounds() -> None:
    """Let everybody who is ready come to run."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_job_is_kept_until_the_next_one_is_there() -> None:
    """A Job that has ended stays until its session has a new one; another session's changes nothing."""
    job, other = Job("s"), Job("t")
    made = kept(job, other)
    await rounds()
    assert last(made) is cast("Any", job)
    assert last(made, "t") is cast("Any", other)
    assert last(made, "u") is None
    made.done("s")
    await job.removed.wait()
    assert last(made) is None
    assert not other.removed.is_set()
    await made.close()


async def test_the_newest_job_is_the_last() -> None:
    """Of two that are kept the one that came later has what the next needs; both go with it."""
    first, second = Job(), Job()
    made = kept(first, second)
    assert last(made) is cast("Any", second)
    made.done("s")
    await asyncio.gather(first.removed.wait(), second.removed.wait())
    await made.close()


async def test_a_container_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that says it is done, and goes on, is not kept."""
    monkeypatch.setattr(handover, "LEAVE_S", 0.01)
    job = Job(ends=False)
    made = kept(job)
    await job.removed.wait()
    await made.close()


async def test_nobody_is_kept_for_longer_than_the_cluster_would() -> None:
    """When no next Job comes it is removed after the time that the cluster itself keeps finished Jobs."""
    job = Job()
    made = kept(job, longest_s=0.01)
    await job.removed.wait()
    await made.close()


async def test_closing_removes_all(caplog: pytest.LogCaptureFixture) -> None:
    """Close returns when everything is removed, tells of what could not be, and may be called twice."""
    jobs = [Job(), Job("t", ends=False), Job("u", error=BackendUnavailable("No answer."))]
    made = kept(*jobs)
    await made.close()
    await made.close()
    assert all(job.removed.is_set() for job in jobs)
    assert [record.getMessage() for record in caplog.records] == ["A Job stays until its deadline: No answer."]

"""Standbys on a cluster: which Job ran which cell, what is lost and what is not, and what a cell costs the apiserver."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TestCluster, check_killed_host, install_kernel, jupyter_path, kernel_manager, wait_until
from jupyter_core.utils import ensure_event_loop

from sandbox_kernel import settings
from sandbox_kernel.backends import manifests
from sandbox_kernel.backends.cluster import Cluster
from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.guest import wire
from sandbox_kernel.lasting import LastingSession
from sandbox_kernel.runner import Runner

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP"),
]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own copies of state lie in a directory of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
async def remote(cluster: TestCluster) -> AsyncIterator[Runner]:
    """A runner on the cluster."""
    made = Runner(config=settings.from_options([*cluster.options(), "--Runner.standby=1"]))
    yield made
    await made.close()


@pytest.fixture
def session(remote: Runner) -> LastingSession:
    """A session that carries its state, with a standby."""
    made = remote.open_session()
    assert isinstance(made, LastingSession)
    return made


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What the apiserver is asked, by method and kind."""
    asked: Counter[str] = Counter()
    send = Cluster._send

    async def count(cluster: Cluster, method: str, path: str, *rest: Any) -> Any:
        kind, *parts = path.split("/namespaces/")[1].split("/")[1:]
        asked[f"{method} {kind}{'/log' if parts[-1:] == ['log'] else ''}"] += 1
        return await send(cluster, method, path, *rest)

    monkeypatch.setattr(Cluster, "_send", count)
    return asked


async def run(session: LastingSession, code: str, **options: Any) -> tuple[str, str]:
    """Run a cell; return what it printed and the Job it ran in, when its state is settled."""
    execution = session.run(code, **options)
    said = "".join([event.text async for event in execution if isinstance(event, wire.Stream)])
    await session.settled()
    sandbox: Any = execution.conversation and execution.conversation.sandbox
    return said, sandbox.name


async def ahead(session: LastingSession) -> Any:
    """Return the sandbox that waits, when it is ready."""
    [standby] = session._standbys._waiting
    conversation = await standby.starting
    assert await conversation.wait_ready(60)
    return conversation.sandbox


async def test_each_cell_runs_in_the_job_that_waited_for_it(cluster: TestCluster, session: LastingSession) -> None:
    """From the first cell on a pod is ready before the cell comes; it runs that cell and no other, and then goes."""
    session.prepare()
    used = []
    for number in range(3):
        waiting = await ahead(session)
        [job] = json.loads(cluster.kubectl("get", "jobs", "-o", "json", f"-l=sandbox-kernel/session={session.id}"))["items"]
        assert (job["metadata"]["name"], job["metadata"]["uid"]) == (waiting.name, waiting.job["metadata"]["uid"])
        said, name = await run(session, "x = globals().get('x', 0) + 1; print(x)")
        assert (said, name) == (f"{number + 1}\n", waiting.name)
        used.append(job["metadata"]["uid"])
        await ahead(session)
        wait_until(lambda job=job: f"Job/{job['metadata']['name']}" not in cluster.objects("jobs"), "the old Job is gone", 30)
    assert len(set(used)) == 3


async def test_a_standby_whose_pod_is_deleted(cluster: TestCluster, session: LastingSession) -> None:
    """Deleted between two cells it costs a start: the next cell runs once, with its state, and nobody is told."""
    told: list[str] = []
    session.tell = told.append
    await run(session, "x = ['a']")
    waiting = await ahead(session)
    cluster.kubectl("delete", "pods", "--all", "--wait=true")
    said, name = await run(session, "x.append('b'); print(x)")
    assert said == "['a', 'b']\n"
    assert name != waiting.name
    assert (await run(session, "print(x)"))[0] == "['a', 'b']\n"
    assert told == []


@pytest.mark.parametrize("sent", [True, False])
async def test_a_standby_that_ends_as_its_cell_comes(
    session: LastingSession, monkeypatch: pytest.MonkeyPatch, sent: bool
) -> None:
    """When the guest leaves with the cell on its way, and its log shows that it did not take it, another runs it."""
    made = manifests.guest_args
    monkeypatch.setattr(
        manifests, "guest_args", lambda python, settings, place: made(python, {**settings, "idle_s": 10.0}, place)
    )
    await run(session, "x = ['a']")
    waiting = await ahead(session)
    deliver = waiting.deliver

    async def nothing() -> None:
        pass

    async def when_it_has_left(message: bytes) -> None:
        assert await waiting.has_ended(60)
        await deliver(message)

    async def into_nothing(_: bytes) -> None:
        pass

    waiting.deliver, waiting.remind = into_nothing if sent else when_it_has_left, nothing
    said, name = await run(session, "x.append('b'); print(x)")
    assert said == "['a', 'b']\n"
    assert name != waiting.name


async def test_settings_that_change(cluster: TestCluster, remote: Runner, session: LastingSession) -> None:
    """What waits with the old settings runs nothing and goes."""
    await run(session, "x = 1")
    waiting = await ahead(session)
    remote.backend.environment = {"GREETING": "hello"}
    said, name = await run(session, "import os; print(os.environ['GREETING'], x)")
    assert (said, name != waiting.name) == ("hello 1\n", True)
    assert name != (await ahead(session)).name != waiting.name


async def test_undo_with_a_standby_waiting(session: LastingSession) -> None:
    """The next cell has the state that was gone to."""
    await run(session, "x = 1")
    await run(session, "x = 2")
    waiting = await ahead(session)
    await session.undo()
    said, name = await run(session, "print(x)")
    assert (said, name != waiting.name) == ("1\n", True)


async def test_the_idle_limit(cluster: TestCluster, remote: Runner, session: LastingSession) -> None:
    """After it nothing is there any more; the next cell starts its own."""
    remote.standby_idle_s = 1.0
    await run(session, "x = 1")
    wait_until_gone = asyncio.get_running_loop().run_in_executor(
        None, lambda: wait_until(lambda: not cluster.objects(), "nothing is left", 60)
    )
    await wait_until_gone
    remote.standby_idle_s = 600.0
    assert (await run(session, "print(x)"))[0] == "1\n"


async def test_a_pool(cluster: TestCluster) -> None:
    """Three that wait for snippets: each of six runs in a Job of its own, and closing leaves nothing."""
    options = [*cluster.options(), "--Runner.standby=3"]
    async with SandboxExecutor(config=settings.from_options(options)) as executor:
        wait_until(lambda: len(cluster.objects("jobs")) == 0, "nothing is started before the loop runs", 5)
        first = await asyncio.gather(*(executor.run("import os; print(os.uname().nodename)") for _ in range(3)))
        second = await asyncio.gather(*(executor.run("import os; print(os.uname().nodename)") for _ in range(3)))
        names = [result.stdout.strip() for result in (*first, *second)]
        assert [result.outcome for result in (*first, *second)] == ["ok"] * 6
        assert len(set(names)) == 6
    assert cluster.objects("jobs") == []


@pytest.mark.parametrize("standby", [1, 0])
async def test_what_a_cell_costs(
    requests: Counter[str], cluster: TestCluster, remote: Runner, session: LastingSession, standby: int
) -> None:
    """At most six requests for a cell and the start of the next, however much it prints and however long it takes."""
    remote.standby = standby
    await run(session, "x = 1")
    for code in ("print('hi')", "for i in range(20_000): print('x' * 80)", "import time; time.sleep(8); print('done')"):
        if standby:
            await ahead(session)
        asked = Counter(requests)
        await run(session, code)
        if standby:
            await ahead(session)
        counted = requests - asked
        reminders = counted["PATCH pods"] - 1  # Of a kubelet that is slow to mount.
        slow = counted["GET events"] + counted["GET pods"]  # Of a pod that is slow to start.
        assert counted.total() - reminders - slow <= 6, counted


HOST = """
import asyncio, sys
from sandbox_kernel import settings
from sandbox_kernel.backends import manifests
from sandbox_kernel.runner import Runner
manifests.SAVE_S, manifests.POD_GRACE_S, manifests.JOB_GRACE_S = 5.0, 1, 5

async def main():
    session = Runner(config=settings.from_options(sys.argv[1:])).open_session()
    async for event in session.run("x = 1"):
        pass
    await session.settled()
    [standby] = session._standbys._waiting
    assert await (await standby.starting).wait_ready(60)
    print("here", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("with_supervisor", "idle_s"),
    [pytest.param(True, 3, id="with its supervisor"), pytest.param(False, 3600, id="alone")],
)
async def test_a_host_that_is_killed_leaves_no_standby(cluster: TestCluster, with_supervisor: bool, idle_s: int) -> None:
    """What waits is deleted by the supervisor; without one it leaves after its idle limit."""
    options = [*cluster.options(), "--Runner.start_timeout_s=15", "--Runner.standby=1", f"--Runner.standby_idle_s={idle_s}"]
    check_killed_host(cluster, HOST, *options, with_supervisor=with_supervisor)


@pytest.mark.parametrize("end", ["shutdown", "restart", "terminate"])
def test_a_kernel_has_a_standby_and_leaves_none(
    cluster: TestCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """A kernel that was started has a sandbox that waits before any cell came; however it ends in order, that goes, too."""
    monkeypatch.setenv("JUPYTER_PATH", jupyter_path(tmp_path))
    manager = kernel_manager(install_kernel(cluster.options(), tmp_path))
    manager.start_kernel(stderr=-3)
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        wait_until(lambda: len(cluster.objects("pods")) == 1, "one waits", 60)
        before = cluster.objects("jobs")
        if end == "restart":
            manager.restart_kernel(now=False)
            client.wait_for_ready(timeout=60)
            wait_until(lambda: len(set(cluster.objects("jobs")) - set(before)) == 1, "another waits", 60)
        elif end == "terminate":
            os.kill(manager.provisioner.process.pid, signal.SIGTERM)
            wait_until(lambda: not manager.is_alive(), "it has ended")
    finally:
        client.stop_channels()
        if manager.has_kernel:
            manager.shutdown_kernel()
        ensure_event_loop().close()
    wait_until(lambda: not cluster.objects("jobs"), lambda: f"gone: {cluster.objects()}", 20)

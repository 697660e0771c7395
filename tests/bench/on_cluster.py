"""Ours on a cluster, cold and from a standby, against Google ADK's GkeCodeExecutor there, in alternation.

Phases, each the seconds since the step before it: *create* (the Job is made), *schedule* (its pod has a node), *sandbox*
(its container runs), *guest* (Python inside waits), *deliver* (the cell has begun), *first byte* (its output is here),
*trailer* (it has ended), *reply* (the caller has it). With a standby the first four have passed before anybody asks.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import on_machine
import pytest
from google.adk.code_executors.code_execution_utils import CodeExecutionInput
from google.adk.code_executors.gke_code_executor import GkeCodeExecutor

from sandbox_kernel import settings
from sandbox_kernel.backends.cluster import Cluster
from sandbox_kernel.backends.pods import Pods
from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.guest import wire
from sandbox_kernel.runner import Runner

CELL = 'print("hi")'
#: As ADK's own, so that both ask the same of the node.
LIMITS = ("--Runner.cpu_millis=500", "--Runner.memory_mib=512")
ASKED = "--KubernetesBackend.cpu_request_millis=200"
#: A hundred at once wait for each other longer than the two minutes that are the default.
PATIENT = "--Runner.start_timeout_s=900"
POOL = 20
#: What waits needs next to nothing: a node of two processors has room for twenty.
POOLED = [PATIENT, f"--Runner.standby={POOL}", "--KubernetesBackend.cpu_request_millis=50"]
#: Before each of them: the Job of the one before is being removed, which takes both processors for a moment.
PAUSE_S = 1.0
Found = dict[str, list[float]]


class Watched:
    """Notes when the newest sandbox reached which step, and counts requests. One at a time."""

    def __init__(self) -> None:
        self.requests = 0
        self.steps: dict[str, float] = {}
        self._job = ""
        send, create, keep = Cluster._send, Cluster.create, Pods._keep
        watched = self

        async def counted_send(cluster: Cluster, *arguments: Any) -> Any:
            watched.requests += 1
            return await send(cluster, *arguments)

        async def timed_create(cluster: Cluster, kind: str, body: Any) -> Any:
            made = await create(cluster, kind, body)
            if kind == "jobs":
                watched._job = made["metadata"]["name"]
                watched.note("create")
            return made

        def timed_keep(pods: Pods, job: str, pod: Any) -> None:
            if job != watched._job or "create" not in watched.steps:  # Of the cell before, or started ahead of this one.
                keep(pods, job, pod)
                return
            if pod["spec"].get("nodeName"):
                watched.note("schedule")
            states = [status.get("state", {}) for status in pod.get("status", {}).get("containerStatuses", [])]
            if any("running" in state or "terminated" in state for state in states):
                watched.note("sandbox")
            keep(pods, job, pod)

        Cluster._send, Cluster.create, Pods._keep = counted_send, timed_create, timed_keep  # type: ignore[method-assign]

    def note(self, step: str) -> None:
        """Keep the first moment of a step."""
        self.steps.setdefault(step, time.perf_counter())


async def ours(runner: Runner, watched: Watched, session: Any, found: Found) -> None:
    """Run one cell and add what each of its phases took."""
    watched.steps = {}
    began = time.perf_counter()
    execution = session.run(CELL)
    async for event in execution:
        if isinstance(event, wire.Stream):
            watched.note("first byte")
    replied = time.perf_counter()
    timings = execution.timings
    assert execution.finished.outcome == "ok"
    moments = {
        **{step: watched.steps[step] - began for step in ("create", "schedule", "sandbox") if step in watched.steps},
        "guest": timings.ready_s or 0.0,
        "deliver": timings.started_s,
        "first byte": watched.steps["first byte"] - began,
        "trailer": timings.finished_s,
        "reply": replied - began,
    }
    last = 0.0
    for step, moment in moments.items():
        found[step].append(max(0.0, moment - last))
        last = max(last, moment)
    found["whole"].append(replied - began)


def theirs(executor: GkeCodeExecutor, found: Found) -> None:
    """Run the same by ADK's executor."""
    began = time.perf_counter()
    context: Any = type("Context", (), {"invocation_id": "bench", "session": None})()
    result = executor.execute_code(context, CodeExecutionInput(code=CELL))
    assert result.stdout.strip() == "hi", result
    found["whole"].append(time.perf_counter() - began)


async def latency(options: Sequence[str], theirs_is: str, samples: int) -> tuple[dict[str, Found], float]:
    """Return what each way took, and the requests of a cell that a standby took."""
    watched = Watched()
    adk = GkeCodeExecutor(kubeconfig_path=os.environ["KUBECONFIG"], namespace=theirs_is)
    runners = {
        way: Runner(config=settings.from_options([*options, *LIMITS, ASKED, f"--Runner.standby={standby}"]))
        for way, standby in (("ours, cold", 0), ("ours, standby", 1))
    }
    sessions = {way: runner.open_session("carry") for way, runner in runners.items()}
    found: dict[str, Found] = {way: defaultdict(list) for way in (*sessions, "ADK GkeCodeExecutor")}
    requests: list[float] = []
    try:
        for way, session in sessions.items():  # Connections, and the standby of the first cell.
            await ours(runners[way], watched, session, defaultdict(list))
        for _ in range(samples):
            for way, session in sessions.items():
                await session.settled()
                if way == "ours, standby":
                    await session.standing_by()
                await asyncio.sleep(PAUSE_S)
                before = watched.requests
                await ours(runners[way], watched, session, found[way])
                if way == "ours, standby":
                    await session.settled()
                    await session.standing_by()
                    requests.append(watched.requests - before)
            await asyncio.sleep(PAUSE_S)
            await asyncio.to_thread(theirs, adk, found["ADK GkeCodeExecutor"])
    finally:
        for runner in runners.values():
            await runner.close()
    return found, sorted(requests)[len(requests) // 2]


def prints(options: Sequence[str]) -> list[float]:
    """Return the seconds from each print in a cell of a notebook to its message on IOPub."""
    with tempfile.TemporaryDirectory() as prefix, pytest.MonkeyPatch.context() as patch:
        command = [sys.executable, "-m", "sandbox_kernel.cli", "install", "--backend=kubernetes", f"--prefix={prefix}"]
        subprocess.run([*command, *options[1:]], check=True, capture_output=True)
        patch.setenv("JUPYTER_PATH", str(Path(prefix) / "share" / "jupyter"))
        with on_machine.running("sandbox-kubernetes", defaultdict(list)) as client:
            on_machine.run(client, CELL)
            return on_machine.prints(client)


async def throughput(options: Sequence[str], theirs_is: str, at_once: int) -> dict[str, float]:
    """Return the snippets a second of each way when ``at_once`` are asked for at the same moment."""
    found = {}
    for way, more in {"ours": [ASKED, PATIENT], f"ours, {POOL} started ahead": POOLED}.items():
        async with SandboxExecutor(config=settings.from_options([*options, *LIMITS, *more])) as executor:
            await executor.run(CELL)
            await executor.standing_by()
            began = time.perf_counter()
            results = await asyncio.gather(*(executor.run(CELL) for _ in range(at_once)))
            found[way] = at_once / (time.perf_counter() - began)
            assert all(result.stdout == "hi\n" for result in results)
    adk = GkeCodeExecutor(kubeconfig_path=os.environ["KUBECONFIG"], namespace=theirs_is)
    began = time.perf_counter()
    await asyncio.gather(*(asyncio.to_thread(theirs, adk, defaultdict(list)) for _ in range(at_once)))
    found["ADK GkeCodeExecutor"] = at_once / (time.perf_counter() - began)
    return found

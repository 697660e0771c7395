"""What is particular to sandboxes on a cluster: the Job as it is there, refusals, and what ends when we are gone."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import IMAGE, TestCluster, check_killed_host, wait_until
from test_backend_contract import finished, run, text_of

from sandbox_kernel import settings
from sandbox_kernel.backends.base import Request
from sandbox_kernel.backends.kubernetes import KubernetesBackend
from sandbox_kernel.errors import BackendUnavailable, SandboxLost, SandboxRefused
from sandbox_kernel.guest import wire
from sandbox_kernel.runner import Runner

pytestmark = pytest.mark.cluster


@pytest.fixture
async def remote(cluster: TestCluster) -> AsyncIterator[Runner]:
    """A runner on the cluster."""
    made = Runner(config=settings.from_options(cluster.options()))
    yield made
    await made.close()


async def test_the_job_of_a_running_cell_is_restricted(cluster: TestCluster, remote: Runner) -> None:
    """A running cell's pod has gVisor, no token, no rights, limits and deadlines, and the namespace enforces it."""
    jobs: dict[str, Any] = {}
    async for event in remote.open_session().run("print('go', flush=True)\nimport time; time.sleep(3)"):
        if isinstance(event, wire.Stream):
            jobs = json.loads(cluster.kubectl("get", "jobs", "-o", "json"))
            pods = json.loads(cluster.kubectl("get", "pods", "-o", "json"))
    namespace = json.loads(cluster.kubectl("get", "namespace", cluster.namespace, "-o", "json"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    (job,) = jobs["items"]
    (pod,) = pods["items"]
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["podReplacementPolicy"] == "Failed"
    assert job["spec"]["activeDeadlineSeconds"] > pod["spec"]["activeDeadlineSeconds"]
    assert pod["spec"]["runtimeClassName"] == "gvisor"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert [sorted(volume) for volume in pod["spec"]["volumes"]] == [["configMap", "name"]] * 2 + [["emptyDir", "name"]] * 2
    security = pod["spec"]["containers"][0]["securityContext"]
    assert security == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert sorted(pod["spec"]["containers"][0]["resources"]["limits"]) == ["cpu", "ephemeral-storage", "memory"]


async def test_the_host_is_the_service_account_of_deploy(cluster: TestCluster) -> None:
    """The tests act as the service account that deploy/ makes, which may not even read a ConfigMap."""
    environment = {**os.environ, "KUBECONFIG": cluster.kubeconfig}
    kubectl = os.environ.get("KUBECTL") or "kubectl"
    who = subprocess.run([kubectl, "auth", "whoami"], env=environment, capture_output=True, text=True, check=True)
    assert f"system:serviceaccount:{cluster.namespace}:sandbox-kernel" in who.stdout
    can = subprocess.run([kubectl, "auth", "can-i", "get", "configmaps"], env=environment, capture_output=True, text=True)
    assert can.stdout.strip() == "no"


async def test_a_bad_image_is_an_error_that_names_it(remote: Runner) -> None:
    """An image that cannot be pulled is reported when the node knows it, long before the start timeout."""
    remote.backend.image = "registry.invalid/nothing:here"
    remote.backend.patience_s = 3.0
    began = time.monotonic()
    with pytest.raises(SandboxRefused, match=r"(ErrImagePull|ImagePullBackOff).*registry\.invalid/nothing:here"):
        await run(remote, "1")
    assert time.monotonic() - began < 40 < remote.start_timeout_s


async def test_an_unschedulable_request_is_an_error_that_says_why(remote: Runner) -> None:
    """A request that no node can meet is reported with the scheduler's words."""
    remote.backend.node_selector = {"no": "such-node"}
    remote.backend.patience_s = 1.0
    with pytest.raises(SandboxRefused, match=r"Unschedulable.*node"):
        await run(remote, "1")


async def test_a_full_quota_is_an_error_that_names_it(cluster: TestCluster, remote: Runner) -> None:
    """A namespace whose quota is used up is reported with the quota's name."""
    remote.backend.patience_s = 1.0
    cluster.kubectl("create", "quota", "full", "--hard=pods=0")
    try:
        wait_until(
            lambda: (
                "full" in cluster.kubectl("get", "quota", "full", "-o", "jsonpath={.status.hard.pods}{.metadata.name}")
                and cluster.kubectl("get", "quota", "full", "-o", "jsonpath={.status.hard.pods}") == "0"
            ),
            "the quota is in force",
        )
        with pytest.raises(SandboxRefused, match=r"exceeded quota: full"):
            await run(remote, "1")
    finally:
        cluster.kubectl("delete", "quota", "full")


async def test_a_refused_admission_is_an_error_with_the_rule(remote: Runner) -> None:
    """A Job that the cluster's policy refuses is reported with the policy's words, at once."""
    remote.backend.annotations = {"dev.gvisor.flag.host-uds": "all"}
    began = time.monotonic()
    with pytest.raises(SandboxRefused, match="annotation"):
        await run(remote, "1")
    assert time.monotonic() - began < 10


async def test_a_missing_interpreter_is_an_error_that_names_the_setting(remote: Runner) -> None:
    """An image without the chosen Python is reported with the setting."""
    remote.backend.command = ["/no/such/python"]
    remote.backend.patience_s = 1.0
    with pytest.raises(SandboxRefused, match=r"KubernetesBackend\.command"):
        await run(remote, "1")


async def test_a_cluster_that_does_not_answer_is_an_error(tmp_path: Any) -> None:
    """An unreachable cluster is reported with its address and a command to check."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "users: [{name: u, user: {token: t}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n"
    )
    runner = Runner(
        config=settings.from_options(["--Runner.backend_name=kubernetes", f"--KubernetesBackend.kubeconfig={kubeconfig}"])
    )
    try:
        with pytest.raises(BackendUnavailable, match=r"127\.0\.0\.1:9.*kubectl cluster-info"):
            await run(runner, "1")
    finally:
        await runner.close()


async def test_a_pod_deleted_by_somebody_else_is_said_to_be_lost(cluster: TestCluster, remote: Runner) -> None:
    """A cell whose pod is deleted under it is lost, is said to be, and is not run again."""
    session = remote.open_session()
    with pytest.raises(SandboxLost, match="deleted"):
        async for event in session.run("print('go', flush=True)\nimport time; time.sleep(60)"):
            if isinstance(event, wire.Stream):
                cluster.kubectl("delete", "pods", "--all", "--wait=false")
    assert len([name for name in cluster.objects("pods") if session.id in name]) <= 1


async def test_a_log_that_is_cut_is_followed_again(cluster: TestCluster, remote: Runner) -> None:
    """When the connection to the log is cut in the middle every line still arrives once, in order."""
    session = remote.open_session()
    execution = session.run("import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.05)")
    text, cuts = "", 0
    async for event in execution:
        if isinstance(event, wire.Stream):
            text += event.text
            if cuts < 2 and text.count("\n") > 10 * (cuts + 1):
                cuts += 1
                assert execution.conversation is not None
                sandbox: Any = execution.conversation.sandbox
                sandbox._log.close()
        else:
            assert isinstance(event, wire.Finished)
    assert text == "".join(f"{i}\n" for i in range(40))
    assert cuts == 2


HOST = """
import asyncio, sys
from sandbox_kernel import settings
from sandbox_kernel.runner import Runner

async def main():
    session = Runner(config=settings.from_options(sys.argv[1:])).open_session()
    async for event in session.run("print(1, flush=True)\\nwhile True: pass", timeout_s=2.0):
        print("here", flush=True)

asyncio.run(main())
"""


async def test_a_host_that_is_killed_leaves_nothing(cluster: TestCluster) -> None:
    """Should the host be killed in the middle of a cell, the deadlines remove Job, pod and ConfigMaps."""
    check_killed_host(cluster, HOST, *cluster.options(), "--Runner.start_timeout_s=30")


async def test_the_guest_program_is_shared_and_goes_with_its_last_job(cluster: TestCluster, remote: Runner) -> None:
    """Two cells at once mount one guest ConfigMap; both Jobs own the one that owns it, and it stays until both are gone."""
    backend = remote.backend
    assert isinstance(backend, KubernetesBackend)
    limits = remote.limits()
    sandboxes = [await backend.start(Request("shared", number, limits, 10.0)) for number in (1, 2)]
    try:
        (name,) = [name for name in cluster.objects("configmaps") if "sandbox-guest-" in name]
        shared = json.loads(cluster.kubectl("get", name, "-o", "json"))
        assert shared["immutable"] is True
        (between,) = [owner["name"] for owner in shared["metadata"]["ownerReferences"]]
        owners = json.loads(cluster.kubectl("get", f"configmap/{between}", "-o", "json"))["metadata"]["ownerReferences"]
        assert sorted(owner["name"] for owner in owners) == ["sandbox-shared-1", "sandbox-shared-2"]
        await sandboxes[0].close()
        third = await backend.start(Request("shared", 3, limits, 10.0))
        sandboxes.append(third)
        await sandboxes[1].close()
        wait_until(lambda: cluster.objects("jobs") == ["Job/sandbox-shared-3"], "one is left")
        assert await anext(third.lines())
        assert cluster.objects("configmaps").count(name) == 1
    finally:
        for sandbox in sandboxes:
            await sandbox.close()


async def test_settings_reach_the_pod(cluster: TestCluster, remote: Runner) -> None:
    """Labels, annotations, environment and limits that are set are on the pod."""
    remote.backend.labels = {"team": "a"}
    remote.backend.annotations = {"note": "b"}
    remote.backend.environment = {"GREETING": "hello"}
    remote.memory_mib = 512
    pod: dict[str, Any] = {}
    async for event in remote.open_session().run(
        "import os; print(os.environ['GREETING'], flush=True)\nimport time; time.sleep(2)"
    ):
        if isinstance(event, wire.Stream):
            assert event.text in ("hello", "\n", "hello\n")
            (pod,) = json.loads(cluster.kubectl("get", "pods", "-o", "json"))["items"]
    assert pod["metadata"]["labels"]["team"] == "a"
    assert pod["metadata"]["annotations"]["note"] == "b"
    assert pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
    assert pod["spec"]["containers"][0]["image"] == IMAGE


async def test_a_cell_on_the_cluster_ends_well(remote: Runner) -> None:
    """The plain case, so that a failure above is seen for what it is."""
    events = await run(remote, "print(6 * 7)")
    assert (text_of(events), finished(events).outcome) == ("42\n", "ok")

"""deploy/ on a real cluster: it applies, a good Job runs with the host's rights alone, and nothing else gets in.

Two act here. The administrator applies the manifests with kubectl and $KUBECONFIG, and tries what even an
administrator may not do in a namespace of ours. The host, by the kubeconfig that deploy/kubeconfig.sh prints, has the
Role and no more. Both speak plain HTTPS where they can: it is quicker, and kubectl reads an object before it patches
or follows it, which the Role does not allow. Bad objects are only offered (dryRun=All): admission answers as it would
for real.

The namespace is a temporary one, made as deploy/README.md tells to for a further trust group. deploy/base is applied,
too, and stays, since it is what the other tests of a session run in.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.xdist_group("deploy")  # One worker makes what they share.

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_IMAGE", "python:3.11-slim")

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="no kubectl on PATH or in $KUBECTL")
needs_cluster = pytest.mark.skipif(
    KUBECTL is None or not os.environ.get("KUBECONFIG"),
    reason="no cluster: set KUBECONFIG to an administrator's file, and have kubectl on PATH or in $KUBECTL",
)

Object = dict[str, Any]


# -- the two who act ---------------------------------------------------------------------------------------------------


def kubectl(*args: str, stdin: Object | None = None) -> subprocess.CompletedProcess[str]:
    """Runs kubectl as the administrator; a refusal is in returncode and stderr, not an exception."""
    return subprocess.run(
        [str(KUBECTL), *args],
        input=None if stdin is None else json.dumps(stdin),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def render(folder: Path) -> list[Object]:
    """What `kubectl apply -k` would send, without a cluster."""
    rendered = kubectl("kustomize", str(folder))
    assert rendered.returncode == 0, rendered.stderr
    return list(yaml.safe_load_all(rendered.stdout))


@dataclass(frozen=True)
class Account:
    """One account's side of the API: one request, its status and what was said, whatever the status is.

    Attributes:
        server: The API server's address.
        token: Of a service account.
        tls: Trusts the cluster's certificate authority and nobody else.
        namespace: The account's own.
    """

    server: str
    token: str = field(repr=False)
    tls: ssl.SSLContext
    namespace: str

    def call(self, method: str, path: str, body: Object | None = None) -> tuple[int, str]:
        """Sends one request; `{ns}` in the path stands for /namespaces/<ours>. Of a refusal, the message comes back."""
        request = urllib.request.Request(
            self.server + path.replace("{ns}", f"/namespaces/{self.namespace}"),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, context=self.tls, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)["message"]

    def expect(self, method: str, path: str, body: Object | None = None) -> Object:
        """The same for a call that must succeed, with the answer parsed."""
        status, text = self.call(method, path, body)
        assert 200 <= status < 300, f"{method} {path}: {status} {text}"
        answer: Object = json.loads(text)
        return answer

    def offer(self, objects: str, body: Object) -> tuple[bool, str]:
        """Whether the cluster would admit this new object, and what it says to it."""
        group = "apis/batch/v1" if objects == "jobs" else "api/v1"
        status, said = self.call("POST", f"/{group}{{ns}}/{objects}?dryRun=All", body)
        assert status in (201, 403, 422), said
        return status == 201, said


@pytest.fixture(scope="module")
def namespace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A further trust group's namespace with everything from deploy/ applied."""
    name = f"sandbox-test-{uuid.uuid4().hex[:8]}"
    overlay = tmp_path_factory.mktemp("group")
    (overlay / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\n"
        "kind: Kustomization\n"
        f"namespace: {name}\n"
        f"resources: [{os.path.relpath(DEPLOY / 'namespace', overlay.resolve())}]\n"
    )
    try:
        for folder in (DEPLOY / "base", overlay):
            applied = kubectl("apply", "-k", str(folder))
            assert applied.returncode == 0, applied.stderr
        yield name
    finally:
        kubectl("delete", "namespace", name, "--ignore-not-found", "--wait=false")


@pytest.fixture(scope="module")
def host(namespace: str) -> Account:
    """The account that starts cells, with the policies in force."""
    printed = subprocess.run(
        [str(DEPLOY / "kubeconfig.sh"), namespace, "10m"],
        env={**os.environ, "KUBECTL": str(KUBECTL)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert printed.returncode == 0, printed.stderr
    config = yaml.safe_load(printed.stdout)
    [cluster], [user], [context] = config["clusters"], config["users"], config["contexts"]
    authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"]).decode()
    host = Account(
        server=cluster["cluster"]["server"],
        token=user["user"]["token"],
        tls=ssl.create_default_context(cadata=authority),
        namespace=context["context"]["namespace"],
    )
    wait_policies_in_force(host)
    return host


@pytest.fixture(scope="module")
def admin(host: Account) -> Account:
    """An administrator of the namespace."""
    for command in (
        ["create", "serviceaccount", "admin"],
        ["create", "rolebinding", "admin", "--clusterrole=admin", f"--serviceaccount={host.namespace}:admin"],
        ["create", "token", "admin"],
    ):
        done = kubectl(*command, "-n", host.namespace)
        assert done.returncode == 0, done.stderr
    admin = replace(host, token=done.stdout.strip())
    give_up = time.monotonic() + 30
    while not (answer := admin.offer("pods", good_pod(host.namespace)))[0]:
        assert time.monotonic() < give_up, answer[1]
    return admin


def wait_policies_in_force(host: Account) -> None:
    """The API server hears of a new policy, and of the Role, a moment after it was stored; of each by itself."""
    unsafe, eager = good_job(host.namespace), good_job(host.namespace)
    del spec_of(unsafe)["runtimeClassName"]
    eager["spec"]["backoffLimit"] = 6
    refusals: dict[str, Callable[[], str]] = {
        "sandbox-kernel-pods": lambda: host.offer("jobs", unsafe)[1],
        "sandbox-kernel-jobs": lambda: host.offer("jobs", eager)[1],
        "sandbox-kernel-entry": lambda: enter(host.namespace, "exec").stderr,
    }
    give_up = time.monotonic() + 30
    for policy, ask in refusals.items():
        while policy not in (said := ask()):
            assert time.monotonic() < give_up, f"{policy} is not in force: {said}"


# -- what a cell's objects look like -----------------------------------------------------------------------------------


def good_job(namespace: str, name: str = "sandbox-0a1b2c3d-1") -> Object:
    """A Job as the Kubernetes backend makes it."""
    labels = {"app.kubernetes.io/managed-by": "sandbox-kernel", "sandbox-kernel/session": "0a1b2c3d"}
    amounts = {"cpu": "500m", "memory": "256Mi", "ephemeral-storage": "256Mi"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": 60,
            "activeDeadlineSeconds": 180,
            "template": {
                "metadata": {"labels": dict(labels)},
                "spec": {
                    "restartPolicy": "Never",
                    "activeDeadlineSeconds": 120,
                    "terminationGracePeriodSeconds": 0,
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "runtimeClassName": "gvisor",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65534,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "tolerations": [
                        {
                            "key": "sandbox.gke.io/runtime",
                            "operator": "Equal",
                            "value": "gvisor",
                            "effect": "NoSchedule",
                        }
                    ],
                    "containers": [
                        {
                            "name": "cell",
                            "image": IMAGE,
                            "imagePullPolicy": "IfNotPresent",
                            "command": ["python3", "/guest/guest.py"],
                            "resources": {"requests": dict(amounts), "limits": dict(amounts)},
                            "securityContext": {
                                "readOnlyRootFilesystem": True,
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "volumeMounts": [
                                {"name": "guest", "mountPath": "/guest", "readOnly": True},
                                {"name": "mail", "mountPath": "/mail", "readOnly": True},
                                {"name": "tmp", "mountPath": "/tmp"},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "guest", "configMap": {"name": "sandbox-guest-4f6e"}},
                        {"name": "mail", "configMap": {"name": f"{name}-mail", "optional": True}},
                        {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
                    ],
                },
            },
        },
    }


def good_pod(namespace: str) -> Object:
    """The pod that the Job controller makes of good_job."""
    return pod_of(good_job(namespace))


def pod_of(job: Object) -> Object:
    """The pod that the Job controller makes of a Job."""
    name = job["metadata"]["name"]
    template = copy.deepcopy(job["spec"]["template"])
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": str(uuid.uuid4()), "controller": True}
    own = {"name": f"{name}-x7k2p", "namespace": job["metadata"]["namespace"], "ownerReferences": [owner]}
    metadata = {"finalizers": ["batch.kubernetes.io/job-tracking"], **template["metadata"], **own}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def spec_of(job: Object) -> Object:
    """The pod spec in a Job."""
    spec: Object = job["spec"]["template"]["spec"]
    return spec


def cell_of(job: Object) -> Object:
    """The container in a Job."""
    cell: Object = spec_of(job)["containers"][0]
    return cell


Change = Callable[[Object], object]


def set_spec(**fields: Any) -> Change:
    """Sets fields of the pod spec; None takes one away."""
    return lambda job: change(spec_of(job), fields)


def set_cell(**fields: Any) -> Change:
    """Sets fields of the container; None takes one away."""
    return lambda job: change(cell_of(job), fields)


def set_job(**fields: Any) -> Change:
    """Sets fields of the Job's own spec; None takes one away."""
    return lambda job: change(job["spec"], fields)


def set_metadata(**fields: Any) -> Change:
    """Sets fields of the pod's metadata."""
    return lambda job: change(job["spec"]["template"]["metadata"], fields)


def change(target: Object, fields: Object) -> None:
    """Sets or takes away fields of one object."""
    for key, value in fields.items():
        if value is None:
            del target[key]
        else:
            target[key] = value


def add_volume(**source: Any) -> Change:
    """One more volume from this source."""
    return lambda job: spec_of(job)["volumes"].append({"name": "extra", **source})


def set_amount(resource: str, amount: str | None) -> Change:
    """Requests and limits of one resource."""

    def changed(job: Object) -> None:
        for amounts in cell_of(job)["resources"].values():
            change(amounts, {resource: amount})

    return changed


def add_init(**fields: Any) -> Change:
    """An init container that is as good as the cell's, but for these fields."""

    def changed(job: Object) -> None:
        init = copy.deepcopy(cell_of(job)) | {"name": "first"}
        change(init, fields)
        spec_of(job)["initContainers"] = [init]

    return changed


def raw_block(job: Object) -> None:
    """A claim of storage, given to the container as a device."""
    add_volume(persistentVolumeClaim={"claimName": "disk"})(job)
    cell_of(job)["volumeDevices"] = [{"name": "extra", "devicePath": "/dev/disk"}]


def add_claim(job: Object, **mount: Any) -> None:
    """A claim of storage, mounted."""
    add_volume(persistentVolumeClaim={"claimName": "workspace"})(job)
    cell_of(job)["volumeMounts"].append({"name": "extra", "mountPath": "/parts", **mount})


def mount_claim_first(job: Object) -> None:
    """A claim of storage, mounted as a whole by an init container."""
    add_claim(job, subPath="sandbox-parts-0a1b2c3d4e")
    add_init(volumeMounts=[{"name": "extra", "mountPath": "/all"}])(job)


def project(**source: Any) -> Change:
    """A projection of a part of the session's state, and of something else."""
    return add_volume(projected={"sources": [{"configMap": {"name": "sandbox-state-4f6e"}}, source]})


def steal_by_short_name(job: Object) -> None:
    """A Job whose name all the others' names begin with."""
    job["metadata"]["name"] = "sandbox"


def pose_as_another(job: Object) -> None:
    """A Job that chooses its pods' labels itself, another Job's name among them."""
    labels = {"batch.kubernetes.io/job-name": "sandbox-ffffffff-9"}
    job["spec"] |= {"manualSelector": True, "selector": {"matchLabels": labels}}
    job["spec"]["template"]["metadata"]["labels"] |= labels


# -- manifests, without a cluster --------------------------------------------------------------------------------------


@needs_kubectl
def test_only_plain_clusters_get_a_runtimeclass() -> None:
    """GKE and clusters like it have a RuntimeClass of their own, which nothing of ours may touch."""
    base = render(DEPLOY / "base")
    assert "RuntimeClass" not in [item["kind"] for item in base]
    assert render(DEPLOY / "overlays/gke") == base
    [runtime] = [item for item in render(DEPLOY / "overlays/plain") if item not in base]
    assert (runtime["kind"], runtime["metadata"]["name"], runtime["handler"]) == ("RuntimeClass", "gvisor", "runsc")


@needs_kubectl
def test_only_namespaced_objects_have_a_namespace() -> None:
    """Everything of one trust group is in its namespace, and nothing cluster-wide claims to be in one."""
    cluster_wide = {
        "Namespace",
        "RuntimeClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    }
    for item in render(DEPLOY / "overlays/plain"):
        expected = None if item["kind"] in cluster_wide else "sandbox-kernel"
        assert item["metadata"].get("namespace") == expected, item["metadata"]["name"]


@needs_kubectl
def test_every_policy_is_bound_to_the_label_and_fails_closed() -> None:
    """Each policy has one binding, which denies in every namespace with the label, and an error counts as a no."""
    objects = render(DEPLOY / "base")
    policies = {o["metadata"]["name"]: o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicy"}
    bindings = [o["spec"] for o in objects if o["kind"] == "ValidatingAdmissionPolicyBinding"]
    assert all(policy["failurePolicy"] == "Fail" for policy in policies.values())
    assert sorted(binding.pop("policyName") for binding in bindings) == sorted(policies)
    everywhere = {"namespaceSelector": {"matchLabels": {"sandbox-kernel/enforce": "true"}}}
    assert all(binding == {"validationActions": ["Deny"], "matchResources": everywhere} for binding in bindings)


@needs_kubectl
def test_network_policy_selects_all_pods_and_allows_nothing() -> None:
    """The network policy is for every pod, in both directions, with no exception."""
    [policy] = [o for o in render(DEPLOY / "base") if o["kind"] == "NetworkPolicy"]
    assert policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


# -- on the cluster: applying ------------------------------------------------------------------------------------------


@needs_cluster
def test_applying_again_changes_nothing(namespace: str) -> None:
    """A second `kubectl apply -k` finds every object as it should be."""
    again = kubectl("apply", "-k", str(DEPLOY / "base"))
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert [line for line in again.stdout.splitlines() if not line.endswith(" unchanged")] == []


# -- on the cluster: what may run --------------------------------------------------------------------------------------

GOOD: dict[str, Change] = {
    "as the kernel makes it": lambda job: None,
    "as the account sandbox": set_spec(serviceAccountName="sandbox"),
    "with a workspace": lambda job: add_claim(job, subPath="sandbox-parts-0a1b2c3d4e"),
    "with a workspace that is not mounted": add_volume(persistentVolumeClaim={"claimName": "workspace"}),
    "with state": add_volume(projected={"sources": [{"configMap": {"name": f"sandbox-state-{i}f6e"}} for i in range(5)]}),
    "with a second ConfigMap of its own": add_volume(configMap={"name": "sandbox-0a1b2c3d-1-state2"}),
    "with plain environment": set_cell(env=[{"name": "LANG", "value": "C.UTF-8"}]),
    "with an init container": add_init(),
    "for a whole day": lambda job: (
        set_spec(activeDeadlineSeconds=90600)(job),
        set_job(activeDeadlineSeconds=94200)(job),
    ),
}


@needs_cluster
@pytest.mark.parametrize("variant", GOOD)
def test_good_is_admitted(variant: str, namespace: str, host: Account, admin: Account) -> None:
    """What the kernel makes, or may come to make, is admitted as a Job and as the pod that becomes of it."""
    job = good_job(namespace)
    GOOD[variant](job)
    admitted, said = host.offer("jobs", job)
    assert admitted, said
    admitted, said = admin.offer("pods", pod_of(job))
    assert admitted, said


OWN_CONFIGMAPS = "a pod may mount the ConfigMaps sandbox-guest-<hash> and those of its own Job"
RECONFIGURE = "they reconfigure the sandbox"
VOLUMES = "volumes must be"
SUBPATH = "a persistentVolumeClaim must be mounted by a subPath sandbox-<name>"
DEVICES = "devices, ports, lifecycle hooks and probes are not allowed"
LIMITS = "every container needs limits for cpu, memory and ephemeral-storage, above 0"
ENV = "envFrom and valueFrom are not allowed"
POD_SECURITY = 'violates PodSecurity "restricted:latest"'

# What is wrong, and the rule that says so.
BAD_PODS: dict[str, tuple[Change, str]] = {
    "no runtime class": (set_spec(runtimeClassName=None), "runtimeClassName must be one of gvisor, "),
    "a runtime class that is no sandbox": (set_spec(runtimeClassName="runc"), "runtimeClassName must be one of"),
    "a token by default": (set_spec(automountServiceAccountToken=None), "automountServiceAccountToken must be false"),
    "a token on request": (set_spec(automountServiceAccountToken=True), "automountServiceAccountToken must be false"),
    "the host's account": (set_spec(serviceAccountName="sandbox-kernel"), "serviceAccountName must be"),
    "the host's account, old spelling": (set_spec(serviceAccount="sandbox-kernel"), "serviceAccountName must be"),
    "a node of its choice": (set_spec(nodeName="node-1"), "nodeName must not be set"),
    "a system priority": (set_spec(priorityClassName="system-node-critical"), "priorityClassName must not be"),
    "the node's network": (set_spec(hostNetwork=True), "hostNetwork, hostPID and hostIPC must not be set"),
    "the node's processes": (set_spec(hostPID=True), "hostNetwork, hostPID and hostIPC must not be set"),
    "the node's IPC": (set_spec(hostIPC=True), "hostNetwork, hostPID and hostIPC must not be set"),
    "no deadline": (set_spec(activeDeadlineSeconds=None), "the pod's activeDeadlineSeconds is required"),
    "too late a deadline": (set_spec(activeDeadlineSeconds=90601), "the pod's activeDeadlineSeconds is required"),
    "a long farewell": (set_spec(terminationGracePeriodSeconds=61), "terminationGracePeriodSeconds must be at most"),
    "restarts": (set_spec(restartPolicy="OnFailure"), "restartPolicy must be Never"),
    "restarts of one container": (
        set_cell(
            restartPolicy="Never",
            restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}],
        ),
        "restartPolicy must be Never",
    ),
    "a sidecar": (add_init(restartPolicy="Always"), "restartPolicy must be Never"),
    "a finalizer": (set_metadata(finalizers=["example.com/never"]), "finalizers are not allowed on a sandbox pod"),
    "a gVisor flag": (set_metadata(annotations={"dev.gvisor.flag.host-uds": "all"}), RECONFIGURE),
    "a gVisor checkpoint": (set_metadata(annotations={"dev.gvisor.internal.checkpoint.path": "/x"}), RECONFIGURE),
    "a containerd setting": (set_metadata(annotations={"io.kubernetes.cri.untrusted-workload": "0"}), RECONFIGURE),
    "a host path": (add_volume(hostPath={"path": "/"}), VOLUMES),
    "a secret": (add_volume(secret={"secretName": "any"}), VOLUMES),
    "a projected token": (project(serviceAccountToken={"path": "t"}), VOLUMES),
    "a projected secret": (project(secret={"name": "any"}), VOLUMES),
    "a projected field": (
        project(downwardAPI={"items": [{"path": "f", "fieldRef": {"fieldPath": "metadata.name"}}]}),
        VOLUMES,
    ),
    "a token beside a part of the state": (
        add_volume(
            projected={
                "sources": [{"serviceAccountToken": {"path": "t"}}, {"configMap": {"name": "sandbox-state-4f6e"}}],
            }
        ),
        VOLUMES,
    ),
    "another Job's mailbox by projection": (project(configMap={"name": "sandbox-0a1b2c3d-2-mail"}), VOLUMES),
    "its own mailbox by projection": (project(configMap={"name": "sandbox-0a1b2c3d-1-mail"}), VOLUMES),
    "a ConfigMap of the cluster by projection": (project(configMap={"name": "kube-root-ca.crt"}), VOLUMES),
    "a mailbox of a session called state": (project(configMap={"name": "sandbox-state-1-mail"}), VOLUMES),
    "all of a workspace": (add_claim, SUBPATH),
    "all of a workspace by a dot": (lambda job: add_claim(job, subPath="."), SUBPATH),
    "a folder of a workspace that is not ours": (lambda job: add_claim(job, subPath="home"), SUBPATH),
    "a folder beside ours": (lambda job: add_claim(job, subPath="sandbox-parts-1/x"), SUBPATH),
    "a folder by the environment": (
        lambda job: (set_cell(env=[{"name": "X", "value": ""}])(job), add_claim(job, subPathExpr="$(X)")),
        SUBPATH,
    ),
    "all of a workspace in an init container": (mount_claim_first, SUBPATH),
    "an image volume": (add_volume(image={"reference": IMAGE}), VOLUMES),
    "a volume without a limit": (add_volume(emptyDir={}), VOLUMES),
    "a volume with a limit of nothing": (add_volume(emptyDir={"sizeLimit": "0"}), VOLUMES),
    "another Job's mailbox": (add_volume(configMap={"name": "sandbox-ffffffff-9-mail"}), OWN_CONFIGMAPS),
    "a later Job's mailbox": (add_volume(configMap={"name": "sandbox-0a1b2c3d-12-mail"}), OWN_CONFIGMAPS),
    "others' mailboxes by a short name": (steal_by_short_name, OWN_CONFIGMAPS),
    "a session called guest": (add_volume(configMap={"name": "sandbox-guest-1-mail"}), OWN_CONFIGMAPS),
    "a ConfigMap of the cluster": (add_volume(configMap={"name": "kube-root-ca.crt"}), OWN_CONFIGMAPS),
    "environment from a Secret": (set_cell(envFrom=[{"secretRef": {"name": "any"}}]), ENV),
    "one variable from a Secret": (
        set_cell(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "any", "key": "x"}}}]),
        ENV,
    ),
    "a limit of 0": (set_amount("cpu", "0"), LIMITS),
    "a port": (set_cell(ports=[{"containerPort": 8888}]), DEVICES),
    "a lifecycle hook": (set_cell(lifecycle={"preStop": {"exec": {"command": ["true"]}}}), DEVICES),
    "a probe": (set_cell(livenessProbe={"exec": {"command": ["true"]}}), DEVICES),
    "a block device": (raw_block, DEVICES),
    "a claim of devices": (set_spec(resourceClaims=[{"name": "gpu", "resourceClaimName": "gpu"}]), DEVICES),
    "a port of an init container": (add_init(ports=[{"containerPort": 8888}]), DEVICES),
}

# Asked of a pod, these are refused by an older guard before the policies are asked; as a Job they reach the policies.
REFUSED_EARLIER: dict[str, str] = {
    "a runtime class that is no sandbox": 'RuntimeClass "runc" not found',
    "the node's network": POD_SECURITY,
    "the node's processes": POD_SECURITY,
    "the node's IPC": POD_SECURITY,
    "a host path": POD_SECURITY,
}


@needs_cluster
@pytest.mark.parametrize("fault", BAD_PODS)
def test_bad_pod_is_refused(fault: str, namespace: str, admin: Account) -> None:
    """A pod with one fault is refused by the rule against that fault."""
    worsen, rule = BAD_PODS[fault]
    job = good_job(namespace)
    worsen(job)
    admitted, said = admin.offer("pods", pod_of(job))
    assert not admitted
    assert REFUSED_EARLIER.get(fault, rule) in said
    if fault not in REFUSED_EARLIER:
        assert "ValidatingAdmissionPolicy 'sandbox-kernel-pods'" in said


@needs_cluster
@pytest.mark.parametrize("fault", BAD_PODS)
def test_job_with_a_bad_pod_is_refused(fault: str, namespace: str, host: Account) -> None:
    """The host is told at once that a Job's pod would be refused, by the same rule."""
    worsen, rule = BAD_PODS[fault]
    job = good_job(namespace)
    worsen(job)
    admitted, said = host.offer("jobs", job)
    assert not admitted
    assert rule in said
    assert "ValidatingAdmissionPolicy 'sandbox-kernel-pods'" in said


BAD_JOBS: dict[str, tuple[Change, str]] = {
    "a second try": (set_job(backoffLimit=1), "backoffLimit 0, parallelism 1 and completions 1"),
    "two pods at once": (set_job(parallelism=2), "backoffLimit 0, parallelism 1 and completions 1"),
    "two pods in a row": (set_job(completions=2), "backoffLimit 0, parallelism 1 and completions 1"),
    "a replacement for a deleted pod": (set_job(podReplacementPolicy=None), "podReplacementPolicy must be Failed"),
    "no deadline": (set_job(activeDeadlineSeconds=None), "the Job's activeDeadlineSeconds is required"),
    "too late a deadline": (set_job(activeDeadlineSeconds=94201), "the Job's activeDeadlineSeconds is required"),
    "staying for ever": (set_job(ttlSecondsAfterFinished=None), "ttlSecondsAfterFinished is required"),
    "staying too long": (set_job(ttlSecondsAfterFinished=3601), "ttlSecondsAfterFinished is required"),
    "a finalizer": (
        lambda job: change(job["metadata"], {"finalizers": ["example.com/never"]}),
        "finalizers are not allowed on a Job",
    ),
    "another controller": (set_job(managedBy="example.com/other"), "managedBy and manualSelector are not allowed"),
    "labels of another Job": (pose_as_another, "managedBy and manualSelector are not allowed"),
    # A pod without limits gets the LimitRange's; a Job of ours must say them itself.
    "no limit for disk": (set_amount("ephemeral-storage", None), LIMITS),
    "no limit in an init container": (add_init(resources={}), LIMITS),
}


@needs_cluster
@pytest.mark.parametrize("fault", BAD_JOBS)
def test_bad_job_is_refused(fault: str, namespace: str, host: Account) -> None:
    """A Job with one fault is refused by the rule against that fault."""
    worsen, rule = BAD_JOBS[fault]
    job = good_job(namespace)
    worsen(job)
    admitted, said = host.offer("jobs", job)
    assert not admitted
    assert rule in said


@needs_cluster
@pytest.mark.parametrize(
    "wish", [{"privileged": True}, {"runAsUser": 0}, {"capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]}}]
)
def test_pod_security_is_on(wish: Object, namespace: str, admin: Account) -> None:
    """What the policies leave to Pod Security is refused by Pod Security."""
    job = good_job(namespace)
    if "privileged" in wish:
        del cell_of(job)["securityContext"]["allowPrivilegeEscalation"]
    cell_of(job)["securityContext"] |= wish
    admitted, said = admin.offer("pods", pod_of(job))
    assert not admitted
    assert POD_SECURITY in said


@needs_cluster
def test_pod_without_limits_gets_the_default_ones(namespace: str, admin: Account) -> None:
    """A pod that states no limits is given the LimitRange's, and so passes the quota."""
    job = good_job(namespace)
    cell_of(job)["resources"] = {}
    admitted, said = admin.offer("pods", pod_of(job))
    assert admitted, said
    resources = json.loads(said)["spec"]["containers"][0]["resources"]
    assert resources["limits"] == {"cpu": "1", "memory": "512Mi", "ephemeral-storage": "1Gi"}
    assert resources["requests"] == {"cpu": "100m", "memory": "128Mi", "ephemeral-storage": "128Mi"}


@needs_cluster
def test_quota_counts(namespace: str) -> None:
    """The quota is known to the cluster with every line that it has in the manifest."""
    [quota] = [o for o in render(DEPLOY / "namespace") if o["kind"] == "ResourceQuota"]
    got = kubectl("get", "resourcequota", quota["metadata"]["name"], "-n", namespace, "-o", "json")
    assert got.returncode == 0, got.stderr
    assert set(json.loads(got.stdout)["spec"]["hard"]) == set(quota["spec"]["hard"])


@needs_cluster
def test_other_namespaces_are_left_alone(host: Account) -> None:
    """A pod that breaks every rule of ours is nothing to us in a namespace without the label."""
    container = {"name": "any", "image": IMAGE, "ports": [{"containerPort": 80}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "any"}, "spec": {"containers": [container]}}
    admitted = kubectl("create", "--raw", "/api/v1/namespaces/default/pods?dryRun=All", "-f", "-", stdin=pod)
    assert admitted.returncode == 0, admitted.stderr


def enter(namespace: str, door: str) -> subprocess.CompletedProcess[str]:
    """Tries one way into a pod as the administrator; admission is asked before the pod is looked for."""
    return kubectl("get", "--raw", f"/api/v1/namespaces/{namespace}/pods/any/{door}?command=id&container=cell")


@needs_cluster
@pytest.mark.parametrize("door", ["exec", "attach", "portforward", "proxy"])
def test_nobody_enters_a_pod(door: str, host: Account) -> None:
    """Even the administrator gets no way into a sandbox."""
    tried = enter(host.namespace, door)
    assert tried.returncode != 0
    assert "exec, attach, port-forward, proxy and ephemeral containers are not allowed here" in tried.stderr


# -- on the cluster: what the host may do ------------------------------------------------------------------------------


@needs_cluster
def test_host_has_exactly_the_rights_in_the_role(host: Account) -> None:
    """In its namespace the host may do these things, and what every account may ask about itself."""
    review = host.expect(
        "POST",
        "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": host.namespace},
        },
    )
    about_itself = {"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}
    rights = {
        resource: set(rule["verbs"])
        for rule in review["status"]["resourceRules"]
        for resource in rule["resources"]
        if resource not in about_itself
    }
    assert rights == {
        "jobs": {"create", "get", "delete"},
        "configmaps": {"create", "patch"},
        "pods": {"list", "watch", "patch"},
        "pods/log": {"get"},
        "events": {"list"},
    }


FORBIDDEN: list[tuple[str, str]] = [
    ("GET", "/api/v1{ns}/configmaps"),
    ("GET", "/api/v1{ns}/configmaps/kube-root-ca.crt"),
    ("DELETE", "/api/v1{ns}/configmaps/kube-root-ca.crt"),
    ("GET", "/api/v1{ns}/secrets"),
    ("GET", "/api/v1{ns}/secrets/any"),
    ("POST", "/api/v1{ns}/secrets"),
    ("POST", "/api/v1{ns}/pods"),
    ("GET", "/api/v1{ns}/pods/any"),
    ("DELETE", "/api/v1{ns}/pods/any"),
    ("GET", "/api/v1{ns}/pods/any/exec?command=id"),
    ("POST", "/api/v1{ns}/pods/any/exec?command=id"),
    ("POST", "/api/v1{ns}/pods/any/attach"),
    ("POST", "/api/v1{ns}/pods/any/portforward"),
    ("GET", "/api/v1{ns}/pods/any/proxy"),
    ("PATCH", "/api/v1{ns}/pods/any/ephemeralcontainers"),
    ("PATCH", "/api/v1{ns}/pods/any/resize"),
    ("POST", "/api/v1{ns}/serviceaccounts/sandbox/token"),
    ("POST", "/api/v1{ns}/events"),
    ("PATCH", "/apis/batch/v1{ns}/jobs/any"),
    ("GET", "/apis/batch/v1{ns}/jobs?watch=true"),
    ("DELETE", "/apis/batch/v1{ns}/jobs"),
    ("POST", "/apis/batch/v1{ns}/cronjobs"),
    ("GET", "/apis/batch/v1/jobs"),
    ("GET", "/api/v1/pods"),
    ("GET", "/api/v1/namespaces/default/pods"),
    ("GET", "/api/v1/namespaces/sandbox-kernel/pods"),
    ("POST", "/apis/batch/v1/namespaces/default/jobs"),
    ("POST", "/api/v1/namespaces/kube-system/configmaps"),
    ("PATCH", "/api/v1/namespaces/kube-system/pods/any"),
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/namespaces"),
    ("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"),
]


@needs_cluster
@pytest.mark.parametrize(("method", "path"), FORBIDDEN)
def test_host_may_do_nothing_else(method: str, path: str, host: Account) -> None:
    """Reading ConfigMaps and Secrets, entering pods, other namespaces: forbidden by RBAC."""
    status, said = host.call(method, path, {} if method in ("POST", "PATCH") else None)
    assert status == 403, said
    assert f"system:serviceaccount:{host.namespace}:sandbox-kernel" in said


@needs_cluster
@pytest.mark.parametrize("account", ["sandbox", "default"])
def test_a_cell_has_no_rights(account: str, namespace: str) -> None:
    """The accounts that a cell's pod may have can read nothing in their own namespace."""
    for verb, objects in (("list", "pods"), ("get", "configmaps"), ("create", "jobs"), ("get", "pods/log")):
        asked = kubectl("auth", "can-i", verb, objects, "-n", namespace, f"--as=system:serviceaccount:{namespace}:{account}")
        assert asked.stdout.strip() == "no", f"{account} may {verb} {objects}: {asked.stdout}{asked.stderr}"


# The guest waits for its letter; the cell in it tells what it sees.
GUEST = """
import os, pathlib, sys
letter = pathlib.Path("/mail/cell.py")
print("ready", flush=True)
while not letter.exists():
    os.stat("/mail")
exec(compile(letter.read_bytes(), "<cell>", "exec"))
"""
CELL = """
import os, pathlib
print("uid", os.getuid())
print("token", pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists())
print("kernel", pathlib.Path("/proc/version").read_text().strip())
"""


@pytest.fixture(scope="module")
def cell(host: Account) -> Object:
    """A cell that the host has started and that has started to run: its Job and its pod."""
    name = f"sandbox-{uuid.uuid4().hex[:8]}-1"
    guest = {
        "metadata": {"name": "sandbox-guest-4f6e"},
        "immutable": True,
        "binaryData": {"guest.py": base64.b64encode(GUEST.encode()).decode()},
    }
    host.expect("POST", "/api/v1{ns}/configmaps", guest)
    job = host.expect("POST", "/apis/batch/v1{ns}/jobs", good_job(host.namespace, name))
    give_up = time.monotonic() + 60
    while True:
        pods = host.expect("GET", f"/api/v1{{ns}}/pods?labelSelector=batch.kubernetes.io/job-name={name}")["items"]
        if pods and pods[0]["status"]["phase"] == "Running":
            return {"job": job, "pod": pods[0]}
        assert time.monotonic() < give_up, json.dumps(
            [pods and pods[0]["status"], host.call("GET", "/api/v1{ns}/events")], indent=1
        )


@needs_cluster
def test_host_may_change_only_annotations_of_a_pod(cell: Object, host: Account) -> None:
    """The right to patch pods is enough to deliver a letter, and not to change what the sandbox is."""
    path = f"/api/v1{{ns}}/pods/{cell['pod']['metadata']['name']}?dryRun=All"
    for patch, rule in (
        ({"spec": {"activeDeadlineSeconds": 1}}, "a pod's spec must not be changed"),
        ({"spec": {"containers": [{**cell["pod"]["spec"]["containers"][0], "image": "x"}]}}, "a pod's spec must not"),
        ({"metadata": {"annotations": {"dev.gvisor.flag.host-uds": "all"}}}, RECONFIGURE),
        ({"metadata": {"labels": {"batch.kubernetes.io/job-name": None}}}, "a pod's labels must not"),
        ({"metadata": {"finalizers": ["batch.kubernetes.io/job-tracking", "example.com/never"]}}, "finalizers must"),
    ):
        status, said = host.call("PATCH", path, patch)
        assert status in (403, 422), said
        assert rule in said
    assert host.call("PATCH", path, {"metadata": {"annotations": {"sandbox-kernel/letter": "1"}}})[0] == 200


@needs_cluster
def test_no_container_is_added_to_a_cell(cell: Object, namespace: str) -> None:
    """Even the administrator cannot start a debug container beside a running cell."""
    name = cell["pod"]["metadata"]["name"]
    tried = kubectl("debug", name, "-n", namespace, f"--image={IMAGE}", "--profile=restricted", "--attach=false")
    assert tried.returncode != 0
    assert "exec, attach, port-forward, proxy and ephemeral containers are not allowed here" in tried.stderr


@needs_cluster
def test_host_runs_a_cell_with_its_rights_alone(cell: Object, host: Account) -> None:
    """A whole cell goes with the Role's verbs: start, letter, prompt delivery, log, end; and it is in a sandbox."""
    name, uid = cell["job"]["metadata"]["name"], cell["job"]["metadata"]["uid"]
    pod = cell["pod"]["metadata"]["name"]
    assert host.expect("GET", f"/apis/batch/v1{{ns}}/jobs/{name}")["metadata"]["uid"] == uid

    owned = {"ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}]}
    host.expect("PATCH", "/api/v1{ns}/configmaps/sandbox-guest-4f6e", {"metadata": owned})
    letter = {
        "metadata": {"name": f"{name}-mail", **owned},
        "binaryData": {"cell.py": base64.b64encode(CELL.encode()).decode()},
    }
    host.expect("POST", "/api/v1{ns}/configmaps", letter)
    host.expect("PATCH", f"/api/v1{{ns}}/pods/{pod}", {"metadata": {"annotations": {"sandbox-kernel/letter": "1"}}})
    status, log = host.call("GET", f"/api/v1{{ns}}/pods/{pod}/log?follow=true")
    assert status == 200, log
    assert log.startswith("ready\nuid 65534\ntoken False\nkernel Linux version ")
    assert "gvisor" in log

    assert host.call("GET", "/api/v1{ns}/events")[0] == 200
    end = {"propagationPolicy": "Background", "preconditions": {"uid": uid}}
    assert host.call("DELETE", f"/apis/batch/v1{{ns}}/jobs/{name}", end)[0] == 200


# -- on the cluster: the optional part ---------------------------------------------------------------------------------

DIGEST = "@sha256:" + "0" * 64


@pytest.fixture(scope="module")
def pinned(namespace: str, admin: Account, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The image policy of components/pinned-images, under a name of its own and for this namespace only."""
    overlay = tmp_path_factory.mktemp("pinned")
    component = os.path.relpath(DEPLOY / "components/pinned-images", overlay.resolve())
    (overlay / "kustomization.yaml").write_text(f"components: [{component}]\n")
    objects = render(overlay)
    for item in objects:
        item["metadata"]["name"] = namespace
        if item["kind"] == "ValidatingAdmissionPolicyBinding":
            here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
            item["spec"] |= {"policyName": namespace, "matchResources": here}
    try:
        created = kubectl("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": objects})
        assert created.returncode == 0, created.stderr
        give_up = time.monotonic() + 30
        while admin.offer("pods", good_pod(namespace))[0]:
            assert time.monotonic() < give_up, "the image policy is not in force"
        yield
    finally:
        kubectl("delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", namespace, "--ignore-not-found")


@needs_cluster
@pytest.mark.usefixtures("pinned")
@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("registry.example/sandbox/python" + DIGEST, True),
        ("registry.example/sandbox/python:3.13" + DIGEST, False),
        ("registry.example/sandbox/python:3.13", False),
        ("registry.example/sandbox/python", False),
        ("registry.example/sandbox/python/more" + DIGEST, False),
        ("registry.example/other/python" + DIGEST, False),
        ("python" + DIGEST, False),
    ],
)
def test_only_listed_images_by_digest(image: str, allowed: bool, namespace: str, admin: Account) -> None:
    """With the component on, a pod runs an image of the list, by its digest, or not at all."""
    for worsen in (set_cell(image=image), add_init(image=image)):
        job = good_job(namespace)
        cell_of(job)["image"] = "registry.example/sandbox/notebook" + DIGEST
        worsen(job)
        admitted, said = admin.offer("pods", pod_of(job))
        assert admitted is allowed, said
        assert admitted or "image must be REPOSITORY@sha256:DIGEST of" in said

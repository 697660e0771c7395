"""Pure: the objects of one sandbox on Kubernetes.

A Job with one pod that runs the guest, and two ConfigMaps that the Job owns: ``JOB-mail``, the mailbox, made when the cell
is delivered, and the guest program, named by its content and shared by all Jobs that run it. Everything is gone when the
Jobs are: they are deleted after the cell, and end by deadlines of their own should nobody be left to do it.

The pod meets Pod Security ``restricted`` and has no token, no service links, a read-only root and sized volumes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .base import Request
from .oci import GUEST, GUEST_PACKAGE, HOME, UID, guest_args

CONTAINER = "cell"
MAILBOX = "/mailbox"
SESSION_LABEL = "sandbox-kernel/session"
#: Changing it makes the kubelet look at the pod, and mount a ConfigMap that has appeared: 0.1 s instead of 45 to 90.
TOUCH_ANNOTATION = "sandbox-kernel/touch"
MANAGED_BY = {"app.kubernetes.io/managed-by": "sandbox-kernel"}

#: The sum of a ConfigMap's values, a limit of the apiserver; a little is left for us.
CONFIG_MAP_BYTES = 1_048_576
#: For cells without a timeout: nothing runs for ever on somebody's cluster.
LONGEST_S = 86_400
#: How much later than our own timers the pod's deadline fires, and the Job's after it.
POD_GRACE_S = 30
JOB_GRACE_S = 60


@dataclass(frozen=True)
class PodSettings:
    """What a site chooses; see the traits of the same names."""

    image: str
    command: tuple[str, ...] = ("python3",)
    runtime_class: str = "gvisor"
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    service_account: str = ""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    cpu_request_millis: int = 100
    memory_request_mib: int = 256
    ttl_s: int = 60


def job_name(request: Request) -> str:
    """Return the name of the Job, its pod's label and the prefix of its mailbox: at most 63 characters."""
    return f"sandbox-{request.session}-{request.number}"


def guest_config_map_name(sources: Mapping[str, str]) -> str:
    """Return the name that the guest's content gives its ConfigMap."""
    digest = hashlib.sha256(json.dumps(sorted(sources.items())).encode()).hexdigest()
    return f"sandbox-guest-{digest[:16]}"


def owner(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ownerReference to a Job as the apiserver returned it."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": job["metadata"]["name"],
        "uid": job["metadata"]["uid"],
    }


def guest_config_map(sources: Mapping[str, str], job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap that holds the guest: file name to source."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": guest_config_map_name(sources),
            "labels": dict(MANAGED_BY),
            "ownerReferences": [owner(job)],
        },
        "immutable": True,
        "data": dict(sources),
    }


def mail_config_map(message: bytes, job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap that brings the cell. Immutable: a mailbox never changes what it has said."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{job['metadata']['name']}-mail",
            "labels": {**MANAGED_BY, SESSION_LABEL: job["metadata"]["labels"][SESSION_LABEL]},
            "ownerReferences": [owner(job)],
        },
        "immutable": True,
        "binaryData": {"0.json": base64.b64encode(message).decode("ascii")},
    }


def pod_deadline_s(request: Request) -> int:
    """Return the pod's ``activeDeadlineSeconds``. It counts from before the image is pulled, so the start is in it."""
    cell_s = LONGEST_S if request.timeout_s is None else request.timeout_s
    return int(request.limits.start_s + cell_s + POD_GRACE_S) + 1


def job(request: Request, settings: PodSettings, sources: Mapping[str, str]) -> dict[str, Any]:
    """Return the Job of one sandbox."""
    labels = {**settings.labels, **MANAGED_BY, SESSION_LABEL: request.session}
    annotations = dict(settings.annotations)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job_name(request), "labels": labels, "annotations": annotations},
        "spec": {
            "completions": 1,
            "parallelism": 1,
            # A cell is not run again: not when it fails, and not when its pod is deleted, preempted or drained.
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "ttlSecondsAfterFinished": settings.ttl_s,
            # The pod's own deadline comes first and keeps the log; this one deletes the pod.
            "activeDeadlineSeconds": pod_deadline_s(request) + JOB_GRACE_S,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": _pod_spec(request, settings, sources),
            },
        },
    }


def _pod_spec(request: Request, settings: PodSettings, sources: Mapping[str, str]) -> dict[str, Any]:
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": pod_deadline_s(request),
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "runtimeClassName": settings.runtime_class,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(request, settings)],
        "volumes": _volumes(request, sources),
    }
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(item) for item in settings.tolerations]
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return spec


def _container(request: Request, settings: PodSettings) -> dict[str, Any]:
    limits = request.limits
    guest_settings = {
        "mailbox": MAILBOX,
        "idle_s": limits.start_s,
        "rlimits": limits.guest_rlimits(),
        "memory_mib": limits.memory_mib,
    }
    environment = {"HOME": HOME, "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg", **settings.environment}
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": guest_args(settings.command, guest_settings),
        "workingDir": HOME,
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "resources": {
            "requests": {
                "cpu": f"{min(settings.cpu_request_millis, limits.cpu_millis)}m",
                "memory": f"{min(settings.memory_request_mib, limits.memory_mib)}Mi",
                "ephemeral-storage": "64Mi",
            },
            "limits": {
                "cpu": f"{limits.cpu_millis}m",
                "memory": f"{limits.memory_mib}Mi",
                # The writable directories lie in memory, so this is for the container's log, which counts.
                "ephemeral-storage": "64Mi",
            },
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "guest", "mountPath": f"{GUEST}/{GUEST_PACKAGE}", "readOnly": True},
            {"name": "mailbox", "mountPath": MAILBOX, "readOnly": True},
            {"name": "home", "mountPath": HOME},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _volumes(request: Request, sources: Mapping[str, str]) -> list[dict[str, Any]]:
    # In memory, as locally: the size of an emptyDir on disk is no wall (400 MB went into 64 MiB), and who is over it is
    # evicted seconds later, log and all. This one answers ENOSPC.
    writable = {"medium": "Memory", "sizeLimit": f"{request.limits.disk_mib}Mi"}
    return [
        {"name": "guest", "configMap": {"name": guest_config_map_name(sources)}},
        # Optional: the sandbox starts without a cell and gets it when there is one.
        {"name": "mailbox", "configMap": {"name": f"{job_name(request)}-mail", "optional": True}},
        {"name": "home", "emptyDir": writable},
        {"name": "tmp", "emptyDir": dict(writable)},
    ]


def room_for_message(message: bytes) -> bool:
    """Tell whether a message fits into a mailbox."""
    return len(message) <= CONFIG_MAP_BYTES

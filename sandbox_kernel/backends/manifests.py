"""Pure: the objects of one sandbox on Kubernetes.

A Job with one pod that runs the guest, and ConfigMaps that the Job owns: ``JOB-mail``, the mailbox, made when the cell is
delivered and patched with what is said to it later; the guest program, named by its content and shared by all Jobs that run
it; and the state that was carried out of the last cell, named by its content too, so that what has not changed is not sent
again. Everything is gone when the Jobs are: they are deleted after the cell, and end by deadlines of their own should nobody
be left to do it.

State that is too large for that lies on a volume, the *workspace*, when there is one: each runner has a folder of its own
there, and its sandboxes see no other.

The pod meets Pod Security ``restricted`` and has no token, no service links, a read-only root and sized volumes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..limits import MIB, Limits
from .base import Request
from .configmaps import GUEST_FILE, MANAGED_BY, SESSION_LABEL, guest_config_map_name, state_layout
from .oci import EVERYWHERE, GUEST, HOME, PARTS, SAVE_S, UID, carry_settings, guest_args, hash_seed

CONTAINER = "cell"
MAILBOX = "/mailbox"
GUEST_ARCHIVE = f"{GUEST}/{GUEST_FILE}"
#: What is told to code that reaches nobody. Whether there is a network at all only the cluster knows.
OFFLINE = (
    "Where the NetworkPolicy deny-all of sandbox-kernel's deploy/base holds, a sandbox has no network. Packages come from the"
    " image, KubernetesBackend.image."
)
#: Changing it makes the kubelet look at the pod, and mount a ConfigMap that has appeared: 0.1 s instead of 45 to 90.
TOUCH_ANNOTATION = "sandbox-kernel/touch"
#: For cells without a timeout: nothing runs for ever on somebody's cluster.
LONGEST_S = 86_400
#: How much later than our own timers the pod's deadline fires, and the Job's after it.
POD_GRACE_S = 30
#: State up to this size is in the Job's command: it needs no ConfigMap then, which is two requests. One argument may have
#: 128 KiB, and each change of the pod that is watched brings it along. Who can read pods can read their logs, where it was.
INLINE_BYTES = 8 * 1024
INLINE_PARTS = 100
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
    workspace: str = ""
    inline_mib: float = 4.0


def job_name(request: Request) -> str:
    """Return the name of the Job, its pod's label and the prefix of its mailbox: at most 63 characters."""
    return f"sandbox-{request.session}-{request.number}"


def sweep_job(place: str, settings: PodSettings) -> dict[str, Any]:
    """Return the Job that empties a runner's folder on the workspace, when it has ended. It goes by its own deadlines."""
    request = Request(place, 0, Limits(), 60.0, place=place)
    body = job(request, settings, b"")
    spec = body["spec"]["template"]["spec"]
    body["metadata"]["name"] = f"sandbox-{place}-sweep"
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in ("guest", "mailbox")]
    container = spec["containers"][0]
    container["command"] = [*settings.command, "-c", _SWEEP, PARTS]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] not in ("guest", "mailbox")]
    return body


#: A cell may have left anything there, directories too. What cannot be removed must not keep the rest.
_SWEEP = """import os, shutil, sys
for entry in os.scandir(sys.argv[1]):
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        os.unlink(entry.path)
"""


def fits_inline(parts: Mapping[str, bytes]) -> bool:
    """Tell whether the parts of a state are small enough to be in the Job itself."""
    return len(parts) <= INLINE_PARTS and sum(map(len, parts.values())) <= INLINE_BYTES


def pod_deadline_s(request: Request) -> int:
    """Return the pod's ``activeDeadlineSeconds``. It counts from before the image is pulled, so the start is in it.

    So is what it may wait for its cell. The order is: we let go of one that waits, then the guest leaves by itself, then
    this; and for a cell, whose own time begins when it is taken, the guest's timer, ours, then this.
    """
    # Without a limit a day is what it gets, waiting for the cell included.
    cell_s = LONGEST_S if request.timeout_s is None else request.idle_s + request.timeout_s
    save_s = SAVE_S if request.mode == "carry" else 0.0
    return int(request.limits.start_s + cell_s + save_s + POD_GRACE_S) + 1


def job(request: Request, settings: PodSettings, guest: bytes, inline: Mapping[str, bytes] | None = None) -> dict[str, Any]:
    """Return the Job of one sandbox. ``inline`` are the parts of its state when they are in it, and in no ConfigMap."""
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
                "spec": _pod_spec(request, settings, guest, inline or {}),
            },
        },
    }


def _pod_spec(request: Request, settings: PodSettings, guest: bytes, inline: Mapping[str, bytes]) -> dict[str, Any]:
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
        "containers": [_container(request, settings, inline)],
        "volumes": _volumes(request, settings, guest),
    }
    if inline:
        spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != "parts"]
    if request.place:
        # Or a volume is root's alone. Not by changing each file on it each time: it is everybody's.
        spec["securityContext"].update(fsGroup=UID, fsGroupChangePolicy="OnRootMismatch")
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dict(item) for item in settings.tolerations]
    if settings.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
    return spec


def _container(request: Request, settings: PodSettings, inline: Mapping[str, bytes]) -> dict[str, Any]:
    limits = request.limits
    guest_settings: dict[str, Any] = {
        "mailbox": MAILBOX,
        "idle_s": limits.start_s + request.idle_s,
        "rlimits": limits.guest_rlimits(),
        "memory_mib": limits.memory_mib,
        "offline": OFFLINE,
    }
    if request.mode == "carry":
        guest_settings["carry"] = _carry(request, settings)
    if inline:
        encoded = {digest: base64.b64encode(data).decode("ascii") for digest, data in inline.items()}
        guest_settings["carry"]["inline"] = encoded
    own = hash_seed(request.session) if request.mode == "carry" else {}
    environment = {"HOME": HOME, **EVERYWHERE, **own, **settings.environment}
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": guest_args(settings.command, guest_settings, GUEST_ARCHIVE),
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
            {"name": "guest", "mountPath": GUEST, "readOnly": True},
            {"name": "mailbox", "mountPath": MAILBOX, "readOnly": True},
            {"name": "home", "mountPath": HOME},
            {"name": "tmp", "mountPath": "/tmp"},
            *([_parts_mount(request)] if _has_parts(request) and not inline else []),
        ],
    }


def _carry(request: Request, settings: PodSettings) -> dict[str, Any]:
    if request.place:
        return carry_settings(request, PARTS, PARTS)
    advice = "To carry more than KubernetesBackend.inline_mib, set KubernetesBackend.workspace to a PersistentVolumeClaim."
    return carry_settings(request, PARTS, "wire", cap_bytes=int(settings.inline_mib * MIB), advice=advice)


def _has_parts(request: Request) -> bool:
    return bool(request.place) or (request.mode == "carry" and request.snapshot is not None)


def _parts_mount(request: Request) -> dict[str, Any]:
    if request.place:
        return {"name": "parts", "mountPath": PARTS, "subPath": f"sandbox-{request.place}"}
    return {"name": "parts", "mountPath": PARTS, "readOnly": True}


def _parts_volume(request: Request, settings: PodSettings) -> dict[str, Any]:
    if request.place:
        return {"name": "parts", "persistentVolumeClaim": {"claimName": settings.workspace}}
    assert request.snapshot is not None
    names = state_layout(dict(request.snapshot.parts), request.session)
    return {"name": "parts", "projected": {"sources": [{"configMap": {"name": name}} for name in names]}}


def _volumes(request: Request, settings: PodSettings, guest: bytes) -> list[dict[str, Any]]:
    # In memory, as locally: the size of an emptyDir on disk is no wall (400 MB went into 64 MiB), and who is over it is
    # evicted seconds later, log and all. This one answers ENOSPC.
    writable = {"medium": "Memory", "sizeLimit": f"{request.limits.disk_mib}Mi"}
    return [
        {"name": "guest", "configMap": {"name": guest_config_map_name(guest)}},
        # Optional: the sandbox starts without a cell and gets it when there is one.
        {"name": "mailbox", "configMap": {"name": f"{job_name(request)}-mail", "optional": True}},
        {"name": "home", "emptyDir": writable},
        {"name": "tmp", "emptyDir": dict(writable)},
        *([_parts_volume(request, settings)] if _has_parts(request) else []),
    ]

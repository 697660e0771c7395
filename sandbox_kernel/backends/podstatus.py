"""Pure: what a pod and the events of its Job say, as one of four things.

The order of the rules matters: what the pod says of itself as a whole (evicted, past its deadline, disrupted) comes before
what its container says, and an exit status is read last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .base import Ending

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Waiting:
    """Not running yet, and nothing is wrong."""


@dataclass(frozen=True)
class Trouble:
    """Not running, for a reason.

    Attributes:
        reason: Kubernetes' own word for it.
        message: What it said about it.
        advice: The next step.
        final: Waiting cannot mend it. Otherwise it may pass: a registry's hiccup, a node pool that grows, a quota that
            another cell still uses.
    """

    reason: str
    message: str
    advice: str
    final: bool = False


@dataclass(frozen=True)
class Running:
    """The container runs."""


@dataclass(frozen=True)
class Ended:
    """The container has ended, or the pod as a whole."""

    ending: Ending


Status = Waiting | Trouble | Running | Ended

_IMAGE = "Check the image's name and that the nodes may pull it: KubernetesBackend.image, image_pull_secrets."
#: Waiting reasons of a container that are trouble: the advice, and whether waiting is of no use.
_WAITING: Mapping[str, tuple[str, bool]] = {
    "ErrImagePull": (_IMAGE, False),
    "ImagePullBackOff": (_IMAGE, False),
    "InvalidImageName": (_IMAGE, True),
    "ErrImageNeverPull": (_IMAGE, True),
    "ImageInspectError": (_IMAGE, False),
    "CreateContainerConfigError": ("Look at it with: kubectl describe pod.", False),
    "CreateContainerError": ("Does the image have KubernetesBackend.command?", False),
    "RunContainerError": ("Does the image have KubernetesBackend.command?", False),
}
#: Reasons of a finished pod.
_POD_REASONS = {
    "Evicted": ("lost", "was evicted"),
    "NodeLost": ("lost", "is on a node that is gone"),
    "NodeShutdown": ("lost", "was on a node that was shut down"),
    "Terminated": ("lost", "was on a node that was shut down"),
    "Preempting": ("lost", "was preempted"),
    "UnexpectedAdmissionError": ("refused", "was not admitted by its node"),
    "OutOfcpu": ("refused", "found no room on its node"),
    "OutOfmemory": ("refused", "found no room on its node"),
    "OutOfpods": ("refused", "found no room on its node"),
}


def read(pod: Object) -> Status:
    """Say what state a pod is in."""
    status = pod.get("status", {})
    name = f"Pod {pod['metadata']['name']}"
    ended = _pod_ended(pod, status, name)
    if ended is not None:
        return ended
    for container in status.get("containerStatuses") or ():
        state = container.get("state") or {}
        if "terminated" in state:
            return Ended(_terminated(state["terminated"], name))
        if "running" in state:
            return Running()
        waiting = state.get("waiting") or {}
        known = _WAITING.get(waiting.get("reason", ""))
        if known is not None:
            return Trouble(waiting["reason"], waiting.get("message", ""), known[0], known[1])
    if status.get("phase") == "Failed":
        why = status.get("message") or status.get("reason") or "no reason given"
        return Ended(Ending("refused", f"{name} has failed: {why}"))
    return _scheduling(status)


def is_over(pod: Object | None) -> bool:
    """Tell whether a pod's container is known to have run and ended, whatever becomes of the pod."""
    status = {} if pod is None else pod.get("status") or {}
    return any("terminated" in (item.get("state") or {}) for item in status.get("containerStatuses") or ())


def _pod_ended(pod: Object, status: Object, name: str) -> Ended | None:
    reason, message = status.get("reason", ""), status.get("message", "")
    if status.get("phase") == "Failed" and reason == "DeadlineExceeded":
        return Ended(Ending("timeout", f"{name} reached its deadline."))
    if reason in _POD_REASONS:
        outcome, words = _POD_REASONS[reason]
        return Ended(Ending(outcome, f"{name} {words}: {message or reason}"))
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            why = condition.get("message") or condition.get("reason", "")
            return Ended(Ending("lost", f"{name} was disrupted: {why}"))
    if "deletionTimestamp" in pod["metadata"]:
        return Ended(Ending("lost", f"{name} was deleted."))
    return None


def _terminated(state: Object, name: str) -> Ending:
    code, reason = state.get("exitCode"), state.get("reason", "")
    said = f"{name}: {reason}, exit status {code}. {state.get('message', '')}".rstrip()
    if reason in ("StartError", "ContainerCannotRun", "RunContainerError"):
        return Ending("refused", f"{said} Does the image have KubernetesBackend.command?", code)
    # Under gVisor running out of memory shows as 137 or 128, with OOMKilled or Error (gVisor #2433, #14679).
    if reason == "OOMKilled" or code in (128, 137):
        return Ending("out_of_memory", f"{said} It likely ran out of memory.", code)
    return Ending("lost", f"{said} It ended before the cell did.", code)


def _scheduling(status: Object) -> Status:
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            advice = "Does a node have the room, the runtime class, the labels and no taint against it?"
            return Trouble("Unschedulable", condition.get("message", ""), advice)
    return Waiting()


#: Troubles that other sandboxes of ours may be the cause of.
NO_ROOM = ("Unschedulable", "QuotaExceeded")
#: Events about a pod that waits, which its status does not tell.
_POD_EVENTS = {
    "FailedCreatePodSandBox": "Does the node have the handler of the runtime class? See KubernetesBackend.runtime_class.",
    "FailedMount": "Look at it with: kubectl describe pod.",
}


#: What a kubelet says that has not got to it yet, as with a hundred pods at once. The start timeout counts then.
_BUSY = "failed to sync configmap cache: timed out"


def read_pod_events(events: Iterable[Object]) -> Trouble | None:
    """Say what keeps a scheduled pod from starting, from the newest events about it."""
    for event in reversed(list(events)):
        advice, message = _POD_EVENTS.get(event.get("reason", "")), event.get("message", "")
        if advice is not None and _BUSY not in message:
            return Trouble(event["reason"], message, advice)
    return None


def is_pulling(events: Iterable[Object]) -> bool:
    """Tell from the events about a pod whether its image is on the way to the node."""
    reasons = [event.get("reason") for event in events]
    return reasons.count("Pulling") > reasons.count("Pulled")


def waiting_for(pod: Object | None, status: Status, *, pulling: bool = False) -> str:
    """Say in plain words what a pod that does not run waits for."""
    if isinstance(status, Trouble):
        what = "waits for a node" if status.reason == "Unschedulable" else f"has a problem, {status.reason}"
        return f"The sandbox {what}: {status.message.rstrip('.')}."
    if pod is None:
        return "The sandbox is being created on the cluster."
    if isinstance(status, Running):
        return "The sandbox is starting Python."
    spec = pod.get("spec", {})
    if not spec.get("nodeName"):
        return "The sandbox waits for a node."
    images = [container.get("image", "") for container in spec.get("containers") or ()]
    return f"The node is pulling the image {images[0]}." if pulling and images else "The node is creating the sandbox."


#: Events that say help is coming: a node pool grows.
_PATIENCE = ("TriggeredScaleUp", "Provisioning", "Nominated")


#: The apiserver lost a race for the namespace's quota, as with a hundred pods at once; the Job controller tries again, each
#: time later. The start timeout counts then.
_RACE = "the object has been modified"


def read_events(events: Iterable[Object]) -> Trouble | None:
    """Say why a Job has no pod, from the events about the Job."""
    for event in events:
        if event.get("reason") != "FailedCreate":
            continue
        message = event.get("message", "")
        if "resourcequotas" in message and _RACE in message:
            continue
        if "RuntimeClass" in message and "not found" in message:
            advice = "KubernetesBackend.runtime_class names it; deploy/overlays/plain makes one for gVisor."
            return Trouble("RuntimeClassNotFound", message, advice, final=True)
        if "exceeded quota" in message:
            return Trouble("QuotaExceeded", message, "Free some of the namespace's quota, or raise it.")
        if "forbidden" in message or "denied" in message or "invalid" in message.lower():
            return Trouble("AdmissionRefused", message, "The namespace's policies decide what pods may be.", final=True)
        return Trouble("FailedCreate", message, "Look at it with: kubectl describe job.")
    return None


def help_is_coming(events: Iterable[Object]) -> bool:
    """Tell from the events about a pod whether an autoscaler is getting a node for it."""
    return any(event.get("reason") in _PATIENCE for event in events)

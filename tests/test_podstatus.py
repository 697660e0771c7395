"""What a pod's status and a Job's events mean, rule by rule and in their order."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox_kernel.backends import podstatus
from sandbox_kernel.backends.base import Ending
from sandbox_kernel.backends.podstatus import Ended, Running, Status, Trouble, Waiting, help_is_coming, read, read_events

Object = dict[str, Any]
IMAGE = "Check the image's name and that the nodes may pull it: KubernetesBackend.image, image_pull_secrets."
PYTHON = "Does the image have KubernetesBackend.command?"


def pod(*, deleted: bool = False, **status: Any) -> Object:
    """Return a pod with a status."""
    metadata: Object = {"name": "sandbox-a-1-x7k2p", "uid": "u1"}
    if deleted:
        metadata |= {"deletionTimestamp": "2026-11-22T08:00:00Z", "deletionGracePeriodSeconds": 0}
    return {"metadata": metadata, "status": status}


def container(**state: Any) -> list[Object]:
    """Return the statuses of one container in a state."""
    return [{"name": "cell", "ready": False, "restartCount": 0, "image": "python:3.11-slim", "state": state}]


def terminated(code: int, reason: str = "Error", **more: Any) -> list[Object]:
    """Return the statuses of a container that has ended."""
    times = {"startedAt": "2026-11-22T07:59:00Z", "finishedAt": "2026-11-22T07:59:30Z"}
    return container(terminated={"exitCode": code, "reason": reason, "containerID": "containerd://1", **times, **more})


SCHEDULED = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-22T07:59:00Z"}
NO_ROOM = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available: 3 Insufficient memory.",
}
DISRUPTED = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "PreemptionByScheduler",
    "message": "default-scheduler: preempting to accommodate a higher priority pod",
}
RUNNING = container(running={"startedAt": "2026-11-22T07:59:00Z"})
OOM = terminated(137, "OOMKilled")


def ended(outcome: str, reason: str, exit_status: int | None = None) -> Ended:
    """Return how the pod ended."""
    return Ended(Ending(outcome, f"Pod sandbox-a-1-x7k2p{reason}", exit_status))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(pod(), Waiting(), id="no status yet"),
        pytest.param({"metadata": {"name": "p"}}, Waiting(), id="no status at all"),
        pytest.param(pod(phase="Pending"), Waiting(), id="pending"),
        pytest.param(pod(phase="Pending", containerStatuses=None, conditions=None), Waiting(), id="nulls"),
        pytest.param(pod(phase="Pending", conditions=[SCHEDULED]), Waiting(), id="scheduled"),
        pytest.param(
            pod(
                phase="Pending",
                conditions=[SCHEDULED],
                containerStatuses=container(waiting={"reason": "ContainerCreating"}),
            ),
            Waiting(),
            id="creating",
        ),
        pytest.param(pod(phase="Pending", containerStatuses=container(waiting={})), Waiting(), id="waiting for no reason"),
        pytest.param(pod(phase="Pending", containerStatuses=[{"name": "cell"}]), Waiting(), id="a container without a state"),
        pytest.param(
            pod(phase="Pending", conditions=[NO_ROOM]),
            Trouble(
                "Unschedulable",
                "0/3 nodes are available: 3 Insufficient memory.",
                "Does a node have the room, the runtime class, the labels and no taint against it?",
            ),
            id="unschedulable",
        ),
        pytest.param(pod(phase="Pending", conditions=[{**NO_ROOM, "reason": "SchedulingGated"}]), Waiting(), id="gated"),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "ErrImagePull", "message": "not found"})),
            Trouble("ErrImagePull", "not found", IMAGE),
            id="image cannot be pulled",
        ),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "ImagePullBackOff", "message": "Back-off pulling"})),
            Trouble("ImagePullBackOff", "Back-off pulling", IMAGE),
            id="image cannot be pulled again",
        ),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "InvalidImageName", "message": "bad"})),
            Trouble("InvalidImageName", "bad", IMAGE, final=True),
            id="no name of an image",
        ),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "ErrImageNeverPull"})),
            Trouble("ErrImageNeverPull", "", IMAGE, final=True),
            id="image is not there",
        ),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "CreateContainerConfigError", "message": "no user"})),
            Trouble("CreateContainerConfigError", "no user", "Look at it with: kubectl describe pod."),
            id="config",
        ),
        pytest.param(
            pod(containerStatuses=container(waiting={"reason": "RunContainerError", "message": "runsc"})),
            Trouble("RunContainerError", "runsc", PYTHON),
            id="cannot be run",
        ),
        pytest.param(pod(phase="Running", conditions=[SCHEDULED], containerStatuses=RUNNING), Running(), id="running"),
        # Ended, by what the pod says of itself.
        pytest.param(
            pod(
                phase="Failed",
                reason="DeadlineExceeded",
                message="Pod was active on the node longer than the specified deadline",
                containerStatuses=terminated(137),
            ),
            ended("timeout", " reached its deadline."),
            id="deadline",
        ),
        pytest.param(
            pod(
                phase="Failed",
                reason="Evicted",
                message='Usage of EmptyDir volume "tmp" exceeds the limit "100Mi".',
                containerStatuses=terminated(137),
            ),
            ended("lost", ' was evicted: Usage of EmptyDir volume "tmp" exceeds the limit "100Mi".'),
            id="evicted",
        ),
        pytest.param(
            pod(phase="Unknown", reason="NodeLost"), ended("lost", " is on a node that is gone: NodeLost"), id="node lost"
        ),
        pytest.param(
            pod(phase="Failed", reason="Terminated", message="Pod was terminated in response to imminent node shutdown."),
            ended("lost", " was on a node that was shut down: Pod was terminated in response to imminent node shutdown."),
            id="node shut down",
        ),
        pytest.param(
            pod(phase="Failed", reason="OutOfcpu", message="Pod was rejected: Node didn't have enough resource: cpu"),
            ended("refused", " found no room on its node: Pod was rejected: Node didn't have enough resource: cpu"),
            id="rejected by its node",
        ),
        pytest.param(
            pod(phase="Failed", reason="NodeAffinity", message="Pod was rejected: Predicate NodeAffinity failed"),
            ended("refused", " has failed: Pod was rejected: Predicate NodeAffinity failed"),
            id="rejected for another reason",
        ),
        pytest.param(
            pod(phase="Failed", reason="OutOfephemeral-storage", message="Pod was rejected: Node didn't have enough"),
            ended("refused", " has failed: Pod was rejected: Node didn't have enough"),
            id="no disk on its node",
        ),
        pytest.param(
            pod(phase="Running", conditions=[SCHEDULED, DISRUPTED], containerStatuses=RUNNING),
            ended("lost", " was disrupted: default-scheduler: preempting to accommodate a higher priority pod"),
            id="preempted",
        ),
        pytest.param(
            pod(conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]),
            ended("lost", " was disrupted: DeletionByTaintManager"),
            id="disrupted without a message",
        ),
        pytest.param(
            pod(phase="Running", conditions=[{**DISRUPTED, "status": "False"}], containerStatuses=RUNNING),
            Running(),
            id="not disrupted any more",
        ),
        pytest.param(
            pod(deleted=True, phase="Running", containerStatuses=RUNNING), ended("lost", " was deleted."), id="deleted"
        ),
        # Ended, by what its container says.
        pytest.param(
            pod(phase="Failed", containerStatuses=OOM),
            ended("out_of_memory", ": OOMKilled, exit status 137. It likely ran out of memory.", 137),
            id="OOMKilled",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(128, "OOMKilled")),
            ended("out_of_memory", ": OOMKilled, exit status 128. It likely ran out of memory.", 128),
            id="OOMKilled under gVisor",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(137)),
            ended("out_of_memory", ": Error, exit status 137. It likely ran out of memory.", 137),
            id="killed",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(128)),
            ended("out_of_memory", ": Error, exit status 128. It likely ran out of memory.", 128),
            id="the sandbox died under gVisor",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(128, "StartError", message="exec: python9: not found")),
            ended("refused", f": StartError, exit status 128. exec: python9: not found {PYTHON}", 128),
            id="no such program",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(127, "ContainerCannotRun", message="no")),
            ended("refused", f": ContainerCannotRun, exit status 127. no {PYTHON}", 127),
            id="cannot run",
        ),
        pytest.param(
            pod(phase="Succeeded", containerStatuses=terminated(0, "Completed")),
            ended("lost", ": Completed, exit status 0. It ended before the cell did.", 0),
            id="a good status without a trailer is not good",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(1)),
            ended("lost", ": Error, exit status 1. It ended before the cell did.", 1),
            id="a bad status",
        ),
        pytest.param(
            pod(phase="Failed", containerStatuses=terminated(255, "Unknown")),
            ended("lost", ": Unknown, exit status 255. It ended before the cell did.", 255),
            id="the node forgot it",
        ),
    ],
)
def test_a_pod_is_read(found: Object, expected: Status) -> None:
    """Each state of a pod is one of four things, in words that name the pod and what was seen."""
    assert read(found) == expected


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        pytest.param(pod(deleted=True, phase="Failed", reason="DeadlineExceeded", containerStatuses=OOM), "timeout", id="1"),
        pytest.param(pod(deleted=True, phase="Failed", reason="Evicted", conditions=[DISRUPTED]), "evicted", id="2"),
        pytest.param(pod(deleted=True, conditions=[DISRUPTED], containerStatuses=OOM), "disrupted", id="3"),
        pytest.param(pod(deleted=True, containerStatuses=RUNNING), "deleted", id="4"),
        pytest.param(pod(conditions=[NO_ROOM], containerStatuses=RUNNING), "running", id="5"),
    ],
)
def test_what_a_pod_says_as_a_whole_comes_first(found: Object, outcome: str) -> None:
    """Where several rules fit, the deadline comes before the eviction, the disruption, the deletion and the container."""
    assert outcome in repr(read(found)).lower()


def event(reason: str, message: str = "") -> Object:
    """Return an event about a Job."""
    return {"reason": reason, "message": message, "type": "Warning", "involvedObject": {"kind": "Job"}, "count": 3}


QUOTA = 'pods "sandbox-a-1-x7k2p" is forbidden: exceeded quota: sandboxes, requested: pods=1, used: pods=20, limited: pods=20'
SECURITY = 'pods "sandbox-a-1-x7k2p" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true'
POLICY = "pods \"sandbox-a-1-x7k2p\" is forbidden: ValidatingAdmissionPolicy 'sandbox-kernel-pods' denied request: no"
WEBHOOK = 'admission webhook "policy.example" denied the request: images must be pinned'
CLASS = 'pods "sandbox-a-1-x7k2p" is forbidden: pod rejected: RuntimeClass "gvisor" not found'
RACE = (
    'Operation cannot be fulfilled on resourcequotas "sandbox-kernel": the object has been modified; please apply your'
    " changes to the latest version and try again"
)
BROKEN = 'Internal error occurred: failed calling webhook "policy.example": context deadline exceeded'
INVALID = 'Pod "x" is invalid: spec.containers[0].resources.requests: Invalid value: "1": must be less than limit'


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param([], None, id="none"),
        pytest.param([event("SuccessfulCreate", "Created pod: x")], None, id="a good one"),
        pytest.param(
            [event("SuccessfulCreate"), event("FailedCreate", f"Error creating: {QUOTA}")],
            Trouble(
                "QuotaExceeded", f"Error creating: {QUOTA}", "Free some of the namespace's quota, or raise it.", final=False
            ),
            id="quota may be freed",
        ),
        *(
            pytest.param(
                [event("FailedCreate", f"Error creating: {text}")],
                Trouble(
                    "AdmissionRefused",
                    f"Error creating: {text}",
                    "The namespace's policies decide what pods may be.",
                    final=True,
                ),
                id=name,
            )
            for name, text in {"PodSecurity": SECURITY, "policy": POLICY, "webhook": WEBHOOK, "invalid": INVALID}.items()
        ),
        pytest.param(
            [event("FailedCreate", f"Error creating: {BROKEN}")],
            Trouble("FailedCreate", f"Error creating: {BROKEN}", "Look at it with: kubectl describe job."),
            id="something that may pass",
        ),
        pytest.param([event("FailedCreate", f"Error creating: {RACE}")], None, id="a race, run again later"),
        pytest.param(
            [event("FailedCreate", f"Error creating: {RACE}"), event("FailedCreate", f"Error creating: {BROKEN}")],
            Trouble("FailedCreate", f"Error creating: {BROKEN}", "Look at it with: kubectl describe job."),
            id="a race, and more",
        ),
        pytest.param(
            [{"reason": "FailedCreate"}], Trouble("FailedCreate", "", "Look at it with: kubectl describe job."), id="no text"
        ),
    ],
)
def test_the_events_of_a_job_say_why_it_has_no_pod(events: list[Object], expected: Trouble | None) -> None:
    """A refused pod is on its Job's events: a quota passes, a policy does not."""
    assert read_events(events) == expected


def test_a_missing_runtime_class_is_named() -> None:
    """The first thing that is missing on a new cluster comes with the setting that names it."""
    found = read_events([event("FailedCreate", f"Error creating: {CLASS}")])
    assert found is not None
    assert "KubernetesBackend.runtime_class" in found.advice
    assert found.final


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ([], False),
        (["FailedScheduling"], False),
        (["FailedScheduling", "NotTriggerScaleUp"], False),
        (["FailedScheduling", "TriggeredScaleUp"], True),
        (["Nominated"], True),
    ],
)
def test_an_autoscaler_announces_itself(reasons: list[str], expected: bool) -> None:
    """An event of an autoscaler that gets a node says that waiting is worth it."""
    assert help_is_coming([event(reason) for reason in reasons]) is expected
    assert help_is_coming([{}]) is False


def test_what_only_events_tell_of_a_waiting_pod_is_told() -> None:
    """A node without the runtime's handler, or a volume that is not there, is the newest of the pod's events."""
    assert podstatus.read_pod_events([]) is None
    assert podstatus.read_pod_events([event("Scheduled", "to node-1")]) is None
    busy = (
        'MountVolume.SetUp failed for volume "mailbox" : failed to sync configmap cache: timed out waiting for the condition'
    )
    assert podstatus.read_pod_events([event("FailedMount", busy)]) is None
    found = podstatus.read_pod_events([event("FailedMount", "old"), event("FailedCreatePodSandBox", "no runtime for runsc")])
    assert found is not None
    assert (found.reason, found.message, found.final) == ("FailedCreatePodSandBox", "no runtime for runsc", False)
    assert "KubernetesBackend.runtime_class" in found.advice


UNSCHEDULABLE = Trouble("Unschedulable", "0/3 nodes are available.", "Does a node have room?")


@pytest.mark.parametrize(
    ("found", "status", "pulling", "expected"),
    [
        (None, Waiting(), False, "The sandbox is being created on the cluster."),
        ({}, Waiting(), False, "The sandbox waits for a node."),
        ({}, UNSCHEDULABLE, False, "The sandbox waits for a node: 0/3 nodes are available."),
        ({"nodeName": "n"}, Waiting(), False, "The node is creating the sandbox."),
        (
            {"nodeName": "n", "containers": [{"image": "python:3.11-slim"}]},
            Waiting(),
            True,
            "The node is pulling the image python:3.11-slim.",
        ),
        ({"nodeName": "n"}, Trouble("ErrImagePull", "no such image", ""), False, None),
        ({"nodeName": "n"}, Running(), False, "The sandbox is starting Python."),
    ],
)
def test_what_a_pod_waits_for_is_told_in_words(
    found: Object | None, status: Status, pulling: bool, expected: str | None
) -> None:
    """A person who waits reads what is waited for."""
    said = podstatus.waiting_for(None if found is None else {"spec": found}, status, pulling=pulling)
    assert said == (expected or "The sandbox has a problem, ErrImagePull: no such image.")


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [([], False), (["Scheduled", "Pulling"], True), (["Pulling", "Pulled"], False), (["Pulling", "Pulled", "Pulling"], True)],
)
def test_an_image_on_its_way_is_seen(reasons: list[str], expected: bool) -> None:
    """An image is being pulled from the event that says so to the one that says it is there."""
    assert podstatus.is_pulling([event(reason) for reason in reasons]) is expected

"""The objects of one sandbox on Kubernetes, compared whole."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from typing import Any

import pytest

from sandbox_kernel.backends import manifests
from sandbox_kernel.backends.base import Request
from sandbox_kernel.backends.manifests import PodSettings
from sandbox_kernel.limits import Limits

Object = dict[str, Any]

LIMITS = Limits(
    memory_mib=512, cpu_millis=500, processes=50, open_files=1024, disk_mib=100, output_bytes=1 << 20, start_s=60.0
)
REQUEST = Request("0a1b2c3d4e", 7, LIMITS, 30.0)
SOURCES = {"wire.py": "# the words\n", "__init__.py": ""}
GUEST_NAME = "sandbox-guest-" + hashlib.sha256(b'[["__init__.py", ""], ["wire.py", "# the words\\n"]]').hexdigest()[:16]

BOOT = (
    "import sys; sys.path.insert(0, '/opt/sandbox-kernel'); "
    "from _sandbox_guest.__main__ import main; sys.exit(main(sys.argv[1]))"
)
GUEST_SETTINGS = {
    "mailbox": "/mailbox",
    "idle_s": 60.0,
    "rlimits": {"NPROC": 50, "NOFILE": 1024, "FSIZE": 104857600, "CORE": 0},
    "memory_mib": 512,
}
LABELS = {"app.kubernetes.io/managed-by": "sandbox-kernel", "sandbox-kernel/session": "0a1b2c3d4e"}

JOB: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "sandbox-0a1b2c3d4e-7", "labels": LABELS, "annotations": {}},
    "spec": {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 0,
        "podReplacementPolicy": "Failed",
        "ttlSecondsAfterFinished": 60,
        "activeDeadlineSeconds": 181,
        "template": {
            "metadata": {"labels": LABELS, "annotations": {}},
            "spec": {
                "restartPolicy": "Never",
                "activeDeadlineSeconds": 121,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "runtimeClassName": "gvisor",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65534,
                    "runAsGroup": 65534,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "cell",
                        "image": "python:3.11-slim",
                        "imagePullPolicy": "IfNotPresent",
                        "command": ["python3", "-c", BOOT, json.dumps(GUEST_SETTINGS)],
                        "workingDir": "/home/sandbox",
                        "env": [
                            {"name": "HOME", "value": "/home/sandbox"},
                            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
                            {"name": "MPLBACKEND", "value": "agg"},
                        ],
                        "resources": {
                            "requests": {"cpu": "100m", "memory": "256Mi", "ephemeral-storage": "64Mi"},
                            "limits": {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "64Mi"},
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "readOnlyRootFilesystem": True,
                            "capabilities": {"drop": ["ALL"]},
                        },
                        "volumeMounts": [
                            {"name": "guest", "mountPath": "/opt/sandbox-kernel/_sandbox_guest", "readOnly": True},
                            {"name": "mailbox", "mountPath": "/mailbox", "readOnly": True},
                            {"name": "home", "mountPath": "/home/sandbox"},
                            {"name": "tmp", "mountPath": "/tmp"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "guest", "configMap": {"name": GUEST_NAME}},
                    {"name": "mailbox", "configMap": {"name": "sandbox-0a1b2c3d4e-7-mail", "optional": True}},
                    {"name": "home", "emptyDir": {"medium": "Memory", "sizeLimit": "100Mi"}},
                    {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "100Mi"}},
                ],
            },
        },
    },
}
#: As the apiserver returns it, as far as it matters here.
CREATED: Object = {"metadata": {**JOB["metadata"], "uid": "5f1c"}}
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": "sandbox-0a1b2c3d4e-7", "uid": "5f1c"}


def test_the_job() -> None:
    """A Job is a hardened pod of one container, bounded in everything, with an optional mailbox."""
    assert manifests.job(REQUEST, PodSettings(image="python:3.11-slim"), SOURCES) == JOB


def test_the_job_with_every_setting() -> None:
    """Each setting of a site is where Kubernetes wants it, and nothing else changes."""
    settings = PodSettings(
        image="registry.example/python@sha256:00",
        command=("conda", "run", "python"),
        runtime_class="kata",
        image_pull_policy="Always",
        image_pull_secrets=("one", "two"),
        service_account="cells",
        node_selector={"pool": "sandbox"},
        tolerations=({"key": "sandbox.gke.io/runtime", "operator": "Exists"},),
        labels={"team": "blue"},
        annotations={"note": "hello"},
        environment={"MPLBACKEND": "svg", "TOKEN_FREE": "1"},
        cpu_request_millis=50,
        memory_request_mib=128,
        ttl_s=5,
    )
    expected = copy.deepcopy(JOB)
    labels, annotations = {"team": "blue", **LABELS}, {"note": "hello"}
    expected["metadata"].update(labels=labels, annotations=annotations)
    expected["spec"]["ttlSecondsAfterFinished"] = 5
    expected["spec"]["template"]["metadata"] = {"labels": labels, "annotations": annotations}
    pod = expected["spec"]["template"]["spec"]
    pod["runtimeClassName"] = "kata"
    pod["serviceAccountName"] = "cells"
    pod["nodeSelector"] = {"pool": "sandbox"}
    pod["tolerations"] = [{"key": "sandbox.gke.io/runtime", "operator": "Exists"}]
    pod["imagePullSecrets"] = [{"name": "one"}, {"name": "two"}]
    container = pod["containers"][0]
    container["image"] = "registry.example/python@sha256:00"
    container["imagePullPolicy"] = "Always"
    container["command"][:1] = ["conda", "run", "python"]
    container["env"] = [
        {"name": "HOME", "value": "/home/sandbox"},
        {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        {"name": "MPLBACKEND", "value": "svg"},
        {"name": "TOKEN_FREE", "value": "1"},
    ]
    container["resources"]["requests"].update(cpu="50m", memory="128Mi")
    assert manifests.job(REQUEST, settings, SOURCES) == expected


def test_our_labels_win() -> None:
    """A site cannot give a Job a label that makes it look like another session's."""
    labels = {"sandbox-kernel/session": "other", "app.kubernetes.io/managed-by": "other"}
    assert manifests.job(REQUEST, PodSettings(image="python:3.11-slim", labels=labels), SOURCES) == JOB


def test_requests_do_not_exceed_limits() -> None:
    """A site's request over the cell's limit is cut to it: the apiserver refuses such pods."""
    settings = PodSettings(image="i", cpu_request_millis=2000, memory_request_mib=4096)
    made = manifests.job(REQUEST, settings, SOURCES)["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert made["requests"] == {"cpu": "500m", "memory": "512Mi", "ephemeral-storage": "64Mi"}


@pytest.mark.parametrize(
    ("start_s", "timeout_s", "expected"),
    [
        pytest.param(60.0, 30.0, 121, id="whole seconds"),
        pytest.param(60.0, 0.5, 91, id="a part of a second"),
        pytest.param(0.2, 0.2, 31, id="small"),
        pytest.param(60.0, None, 60 + 86_400 + 30 + 1, id="no limit is a day"),
    ],
)
def test_deadlines_come_after_our_own_timers(start_s: float, timeout_s: float | None, expected: int) -> None:
    """The pod's deadline is the start's, the cell's and a grace, in whole seconds, never early; the Job a minute later."""
    request = Request("a", 1, Limits(start_s=start_s), timeout_s)
    spec = manifests.job(request, PodSettings(image="i"), SOURCES)["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == expected
    assert spec["activeDeadlineSeconds"] == expected + 60
    assert expected >= start_s + (timeout_s or 0) + 30


def test_the_guests_config_map() -> None:
    """The guest is an immutable ConfigMap of plain files, named by their content, owned by the Job."""
    expected = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": GUEST_NAME,
            "labels": {"app.kubernetes.io/managed-by": "sandbox-kernel"},
            "ownerReferences": [OWNER],
        },
        "immutable": True,
        "data": SOURCES,
    }
    assert manifests.guest_config_map(SOURCES, CREATED) == expected


def test_the_guests_name_follows_its_content() -> None:
    """Another content or another file name is another ConfigMap; the order of the files is not."""
    names = [
        manifests.guest_config_map_name(sources)
        for sources in (SOURCES, {**SOURCES, "wire.py": "x"}, {"wire2.py": "# the words\n", "__init__.py": ""}, {"a": ""})
    ]
    assert len(set(names)) == len(names)
    assert manifests.guest_config_map_name(dict(reversed(SOURCES.items()))) == GUEST_NAME


def test_the_mailbox() -> None:
    """A cell is an immutable ConfigMap of one binary file, owned by its Job and by nobody else."""
    message = b'["cell",{"number":1}]\xff'
    expected = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sandbox-0a1b2c3d4e-7-mail", "labels": LABELS, "ownerReferences": [OWNER]},
        "immutable": True,
        "binaryData": {"0.json": base64.b64encode(message).decode()},
    }
    assert manifests.mail_config_map(message, CREATED) == expected


def test_what_a_mailbox_holds() -> None:
    """A ConfigMap holds a mebibyte of values and not a byte more."""
    assert manifests.room_for_message(b"x" * 1_048_576)
    assert not manifests.room_for_message(b"x" * 1_048_577)


def test_names_fit() -> None:
    """The longest name of a Job is a label, and the mailbox's a name."""
    name = manifests.job_name(Request("0123456789", 10**9, LIMITS, None))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 63


def test_builders_share_nothing() -> None:
    """What is done to one object does not change the next, nor the settings."""
    settings = PodSettings(image="python:3.11-slim", labels={}, annotations={}, environment={})
    made = manifests.job(REQUEST, settings, SOURCES)
    made["spec"]["template"]["spec"]["containers"][0]["env"].clear()
    made["metadata"]["labels"]["x"] = "y"
    made["metadata"]["annotations"]["x"] = "y"
    guest = manifests.guest_config_map(SOURCES, CREATED)
    guest["data"].clear()
    guest["metadata"]["labels"].clear()
    assert manifests.job(REQUEST, settings, SOURCES) == JOB
    assert manifests.guest_config_map(SOURCES, CREATED)["data"] == SOURCES


def test_every_object_is_json() -> None:
    """What is made can be sent as it is."""
    for made in (
        manifests.job(REQUEST, PodSettings(image="i"), SOURCES),
        manifests.guest_config_map(SOURCES, CREATED),
        manifests.mail_config_map(b"x", CREATED),
    ):
        assert json.loads(json.dumps(made)) == made

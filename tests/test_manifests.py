"""The objects of one sandbox on Kubernetes, compared whole."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox_kernel.backends import configmaps, manifests
from sandbox_kernel.backends.base import Request, Snapshot
from sandbox_kernel.backends.manifests import PodSettings
from sandbox_kernel.limits import MIB, Limits

Object = dict[str, Any]

LIMITS = Limits(
    memory_mib=512, cpu_millis=500, processes=50, open_files=1024, disk_mib=100, output_bytes=1 << 20, start_s=60.0
)
REQUEST = Request("0a1b2c3d4e", 7, LIMITS, 30.0)
GUEST = b"an archive"
GUEST_NAME = "sandbox-guest-" + hashlib.sha256(b"an archive").hexdigest()[:16]
#: As the apiserver returns it.
OWNERS = {"metadata": {"name": GUEST_NAME.replace("guest", "owners"), "uid": "of the owners", "resourceVersion": "1"}}

BOOT = (
    "import sys; sys.path.insert(0, '/opt/sandbox-kernel/guest.zip'); "
    "from _sandbox_guest import piece; piece.begin(); "
    "from _sandbox_guest.__main__ import main; sys.exit(main(sys.argv[1]))"
)
GUEST_SETTINGS = {
    "mailbox": "/mailbox",
    "idle_s": 60.0,
    "rlimits": {"NPROC": 50, "NOFILE": 1024, "FSIZE": 104857600, "CORE": 0},
    "memory_mib": 512,
    "offline": manifests.OFFLINE,
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
                            {"name": "PIP_RETRIES", "value": "0"},
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
                            {"name": "guest", "mountPath": "/opt/sandbox-kernel", "readOnly": True},
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
    assert manifests.job(REQUEST, PodSettings(image="python:3.11-slim"), GUEST) == JOB


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
        {"name": "PIP_RETRIES", "value": "0"},
        {"name": "TOKEN_FREE", "value": "1"},
    ]
    container["resources"]["requests"].update(cpu="50m", memory="128Mi")
    assert manifests.job(REQUEST, settings, GUEST) == expected


# -- state that is carried ---------------------------------------------------------------------------------------------

#: What one ConfigMap holds of state.
FULL = 720 * 1024
HEAD, SMALL, ALONE, LARGE = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
PARTS = {HEAD: b"head", SMALL: b"", ALONE: b"c" * 131_072, LARGE: b"d" * (FULL + 1)}
SIZES = tuple((digest, len(data)) for digest, data in PARTS.items())
CARRY = replace(REQUEST, mode="carry", snapshot=Snapshot("s", "carry", sum(map(len, PARTS.values())), Path(), parts=SIZES))


def state_name(*keys: str) -> str:
    """Return the name of the session's ConfigMap with these entries."""
    return "sandbox-state-" + hashlib.sha256(json.dumps(["0a1b2c3d4e", *keys]).encode()).hexdigest()[:16]


def carry_settings(**changed: Any) -> Object:
    """Return what the guest is told of the state."""
    return {
        "head": None,
        "anew": False,
        "session": "0a1b2c3d4e",
        "folder": "/opt/sandbox-parts",
        "out": "wire",
        "cap_bytes": 4 * MIB,
        "advice": "To carry more than KubernetesBackend.inline_mib, "
        "set KubernetesBackend.workspace to a PersistentVolumeClaim.",
        "remedy": "Make it again in this cell.",  # There is no exact state on Kubernetes.
        "save_s": 120.0,
        "dropped": [],
        **changed,
    }


def carry_job(settings: Object) -> Object:
    """Return the Job of a sandbox that carries state, without the volume it comes in by."""
    made = copy.deepcopy(JOB)
    spec = made["spec"]["template"]["spec"]
    made["spec"]["activeDeadlineSeconds"] = 301
    spec["activeDeadlineSeconds"] = 241
    container = spec["containers"][0]
    container["command"][-1] = json.dumps({**GUEST_SETTINGS, "carry": settings})
    seed = int(hashlib.sha256(b"0a1b2c3d4e").hexdigest()[:8], 16)
    container["env"].append({"name": "PYTHONHASHSEED", "value": str(seed)})
    return made


def add_volume(job: Object, volume: Object, mount: Object) -> None:
    """One more volume, mounted."""
    spec = job["spec"]["template"]["spec"]
    spec["volumes"].append(volume)
    spec["containers"][0]["volumeMounts"].append(mount)


def test_the_first_job_of_a_session() -> None:
    """Where nothing is to be loaded yet the guest is told how to carry out, there is time to, and no volume more."""
    request = replace(CARRY, snapshot=None)
    assert manifests.job(request, PodSettings(image="python:3.11-slim"), GUEST) == carry_job(carry_settings())


def test_the_job_with_state() -> None:
    """The state that a sandbox starts from comes by one projected volume of the session's ConfigMaps."""
    expected = carry_job(carry_settings(head=[HEAD, 4], anew=True, cap_bytes=MIB // 2))
    names = [state_name(f"{LARGE}.1"), state_name(f"{LARGE}.0"), state_name(ALONE), state_name(HEAD, SMALL)]
    add_volume(
        expected,
        {"name": "parts", "projected": {"sources": [{"configMap": {"name": name}} for name in names]}},
        {"name": "parts", "mountPath": "/opt/sandbox-parts", "readOnly": True},
    )
    settings = PodSettings(image="python:3.11-slim", inline_mib=0.5)
    assert manifests.job(replace(CARRY, anew=True), settings, GUEST) == expected


def test_the_job_with_its_state_in_it() -> None:
    """State that is small is in the guest's settings; no volume brings any."""
    inline = {HEAD: base64.b64encode(b"head").decode(), SMALL: ""}
    expected = carry_job({**carry_settings(head=[HEAD, 4]), "inline": inline})
    made = manifests.job(CARRY, PodSettings(image="python:3.11-slim"), GUEST, {HEAD: b"head", SMALL: b""})
    assert made == expected


def test_the_largest_state_in_a_job_is_one_argument() -> None:
    """Linux takes 128 KiB in one argument."""
    inline = {f"{number:064d}": b"x" for number in range(manifests.INLINE_BYTES)}
    state = {HEAD: b"x" * manifests.INLINE_BYTES}
    sizes = [len(argument) for argument in _command(manifests.job(CARRY, PodSettings(image="i"), GUEST, state))]
    assert max(sizes) < 128 * 1024
    assert manifests.fits_inline(state)
    assert not manifests.fits_inline({HEAD: b"x" * (manifests.INLINE_BYTES + 1)})
    assert not manifests.fits_inline(inline)


def _command(job: Object) -> list[str]:
    command: list[str] = job["spec"]["template"]["spec"]["containers"][0]["command"]
    return command


@pytest.mark.parametrize("mode", ["carry", "fresh"])
def test_the_job_of_a_standby(mode: str) -> None:
    """What waits for its cell leaves by itself after start and waiting; the deadlines have room for those and the cell."""
    cold = replace(CARRY if mode == "carry" else REQUEST, snapshot=None)
    expected = manifests.job(cold, PodSettings(image="i"), GUEST)
    settings = json.loads(_command(expected)[-1])
    assert settings["idle_s"] == 60.0
    _command(expected)[-1] = json.dumps({**settings, "idle_s": 660.0})
    expected["spec"]["activeDeadlineSeconds"] += 600
    expected["spec"]["template"]["spec"]["activeDeadlineSeconds"] += 600
    assert manifests.job(replace(cold, idle_s=600.0), PodSettings(image="i"), GUEST) == expected


@pytest.mark.parametrize("timeout_s", [0.5, 300.0, None])
@pytest.mark.parametrize("idle_s", [0.0, 0.5, 600.0, 3600.0])
def test_who_ends_a_standby_first(idle_s: float, timeout_s: float | None) -> None:
    """We, then the guest, then the pod's deadline, which also leaves a cell that comes last all its time, then the Job's."""
    request = replace(CARRY, idle_s=idle_s, timeout_s=timeout_s)
    spec = manifests.job(request, PodSettings(image="i"), GUEST)["spec"]
    pod_s = spec["template"]["spec"]["activeDeadlineSeconds"]
    guest_s = json.loads(_command({"spec": spec})[-1])["idle_s"]
    start_s = request.limits.start_s
    ours_s = start_s + idle_s
    cell_s = 82_800 if timeout_s is None else timeout_s  # Without a limit: at least 23 hours of its day.
    assert ours_s <= guest_s < guest_s + cell_s + 120 + 30 <= pod_s < spec["activeDeadlineSeconds"]


def test_the_job_with_a_workspace() -> None:
    """With a workspace the parts come from and go to the runner's own folder there, and no ConfigMap brings any."""
    place = {"folder": "/opt/sandbox-parts", "out": "/opt/sandbox-parts", "cap_bytes": None, "advice": ""}
    expected = carry_job(carry_settings(head=[HEAD, 4], dropped=[SMALL], **place))
    add_volume(
        expected,
        {"name": "parts", "persistentVolumeClaim": {"claimName": "disk"}},
        {"name": "parts", "mountPath": "/opt/sandbox-parts", "subPath": "sandbox-parts-0f"},
    )
    security = expected["spec"]["template"]["spec"]["securityContext"]
    security.update(fsGroup=65534, fsGroupChangePolicy="OnRootMismatch")
    request = replace(CARRY, place="parts-0f", dropped=(SMALL,))
    assert manifests.job(request, PodSettings(image="python:3.11-slim", workspace="disk"), GUEST) == expected


def test_the_sweep() -> None:
    """What empties a runner's folder on the workspace is a sandbox like any other, which sees that folder and no guest."""
    expected = copy.deepcopy(JOB)
    labels = {**LABELS, "sandbox-kernel/session": "parts-0f"}
    expected["metadata"].update(name="sandbox-parts-0f-sweep", labels=labels)
    expected["spec"]["activeDeadlineSeconds"] = 120 + 60 + 30 + 1 + 60
    expected["spec"]["template"]["metadata"]["labels"] = labels
    spec = expected["spec"]["template"]["spec"]
    spec["activeDeadlineSeconds"] = 120 + 60 + 30 + 1
    spec["securityContext"].update(fsGroup=65534, fsGroupChangePolicy="OnRootMismatch")
    container = spec["containers"][0]
    container["resources"]["limits"].update(cpu="1000m", memory="2048Mi")
    home, tmp = ({"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": "512Mi"}} for name in ("home", "tmp"))
    spec["volumes"] = [home, tmp]
    container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] in ("home", "tmp")]
    add_volume(
        expected,
        {"name": "parts", "persistentVolumeClaim": {"claimName": "disk"}},
        {"name": "parts", "mountPath": "/opt/sandbox-parts", "subPath": "sandbox-parts-0f"},
    )
    made = manifests.sweep_job("parts-0f", PodSettings(image="python:3.11-slim", workspace="disk"))
    command = made["spec"]["template"]["spec"]["containers"][0]["command"]
    container["command"] = ["python3", "-c", command[2], "/opt/sandbox-parts"]
    assert made == expected


def test_the_sweep_removes_everything(tmp_path: Path) -> None:
    """The program of the sweep removes files, links and directories, and follows no link out of the folder."""
    folder, other = tmp_path / "parts", tmp_path / "other"
    (folder / "deep" / "deeper").mkdir(parents=True)
    other.mkdir()
    for path in (folder / HEAD, folder / "deep" / "deeper" / "x", other / "kept"):
        path.write_bytes(b"x")
    (folder / "to-a-directory").symlink_to(other)
    (folder / "to-nothing").symlink_to(tmp_path / "nothing")
    command = manifests.sweep_job("p", PodSettings(image="i"))["spec"]["template"]["spec"]["containers"][0]["command"]
    subprocess.run([sys.executable, *command[1:3], str(folder)], check=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["kept", "other", "parts"]


def test_state_in_config_maps() -> None:
    """Small parts go together, larger ones alone, and one that no ConfigMap holds in several entries that go on from it."""
    entries = [{f"{LARGE}.1": b"d"}, {f"{LARGE}.0": b"d" * (FULL)}, {ALONE: PARTS[ALONE]}, {HEAD: b"head", SMALL: b""}]
    assert configmaps.state_config_maps(PARTS, CREATED) == [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": state_name(*data), "labels": LABELS, "ownerReferences": [OWNER]},
            "immutable": True,
            "binaryData": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        for data in entries
    ]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        pytest.param({}, [], id="nothing"),
        pytest.param({HEAD: 0}, [[(HEAD, 0, 0)]], id="no bytes"),
        pytest.param({ALONE: FULL}, [[(ALONE, 0, FULL)]], id="as much as one holds"),
        pytest.param({ALONE: FULL + 1}, [[(f"{ALONE}.1", FULL, FULL + 1)], [(f"{ALONE}.0", 0, FULL)]], id="a byte more"),
        pytest.param(
            {f"{i:064d}": 131_071 for i in range(6)},
            [[(f"{i:064d}", 0, 131_071) for i in range(5)], [(f"{5:064d}", 0, 131_071)]],
            id="more small ones than one holds",
        ),
    ],
)
def test_where_state_lies(sizes: dict[str, int], expected: list[list[tuple[str, int, int]]]) -> None:
    """Every byte of every part is in one entry, and no ConfigMap holds more than it can."""
    layout = configmaps.state_layout(sizes, "0a1b2c3d4e")
    assert list(layout.values()) == expected
    assert list(layout) == [state_name(*(key for key, _, _ in entries)) for entries in expected]
    assert all(sum(end - at for _, at, end in entries) <= FULL for entries in layout.values())


def test_what_has_not_changed_has_the_same_name() -> None:
    """A larger part's ConfigMaps do not depend on the parts beside it, in one session; another session has its own."""
    before = configmaps.state_layout({HEAD: 4, ALONE: 131_072, LARGE: 2 * MIB}, "s")
    after = configmaps.state_layout({SMALL: 5, ALONE: 131_072, LARGE: 2 * MIB}, "s")
    assert len(before) == len(after) == 5
    assert len(before.keys() & after.keys()) == 4
    assert not before.keys() & configmaps.state_layout({HEAD: 4, ALONE: 131_072, LARGE: 2 * MIB}, "t").keys()


def test_deadlines_leave_time_to_carry_out() -> None:
    """A cell that took all its time still has what carrying its state out may take."""
    fresh, carry = (manifests.pod_deadline_s(replace(REQUEST, mode=mode)) for mode in ("fresh", "carry"))
    assert carry == fresh + 120


def test_the_longest_deadlines_are_admitted() -> None:
    """A cell without a timeout on a node pool that grows for an hour stays within what deploy/ admits, ahead or not."""
    request = replace(CARRY, timeout_s=None, limits=replace(LIMITS, start_s=3600.0), idle_s=3600.0)
    spec = manifests.job(request, PodSettings(image="i"), GUEST)["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] <= 90_600
    assert spec["activeDeadlineSeconds"] <= 94_200


# -- all of them -------------------------------------------------------------------------------------------------------


def test_our_labels_win() -> None:
    """A site cannot give a Job a label that makes it look like another session's."""
    labels = {"sandbox-kernel/session": "other", "app.kubernetes.io/managed-by": "other"}
    assert manifests.job(REQUEST, PodSettings(image="python:3.11-slim", labels=labels), GUEST) == JOB


def test_requests_do_not_exceed_limits() -> None:
    """A site's request over the cell's limit is cut to it: the apiserver refuses such pods."""
    settings = PodSettings(image="i", cpu_request_millis=2000, memory_request_mib=4096)
    made = manifests.job(REQUEST, settings, GUEST)["spec"]["template"]["spec"]["containers"][0]["resources"]
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
    spec = manifests.job(request, PodSettings(image="i"), GUEST)["spec"]
    assert spec["template"]["spec"]["activeDeadlineSeconds"] == expected
    assert spec["activeDeadlineSeconds"] == expected + 60
    assert expected >= start_s + (timeout_s or 0) + 30


def test_the_guests_config_maps() -> None:
    """The guest is an immutable ConfigMap with an archive; an empty one, which the Jobs own, owns it."""
    labels = {"app.kubernetes.io/managed-by": "sandbox-kernel"}
    name = GUEST_NAME.replace("guest", "owners")
    owners = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels, "ownerReferences": [OWNER]},
        "immutable": True,
    }
    assert configmaps.guest_owners(GUEST, CREATED) == owners
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": "of the owners"}
    assert configmaps.guest_config_map(GUEST, OWNERS) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": GUEST_NAME, "labels": labels, "ownerReferences": [reference]},
        "immutable": True,
        "binaryData": {"guest.zip": base64.b64encode(GUEST).decode()},
    }


def test_the_guests_name_follows_its_content() -> None:
    """Another content is another ConfigMap."""
    assert configmaps.guest_config_map_name(GUEST) == GUEST_NAME != configmaps.guest_config_map_name(b"another")


def test_the_mailbox() -> None:
    """A cell is a ConfigMap of one binary file, owned by its Job and by nobody else."""
    message = b'["cell",{"number":1}]\xff'
    expected = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "sandbox-0a1b2c3d4e-7-mail", "labels": LABELS, "ownerReferences": [OWNER]},
        "binaryData": {"0.json": base64.b64encode(message).decode()},
    }
    assert configmaps.mail_config_map(message, CREATED) == expected


def test_more_mail() -> None:
    """A further message is a patch that adds it and takes the cell out; of a long talk the last three messages stay."""
    mailbox = configmaps.mail_config_map(b"cell", CREATED)["binaryData"]
    for number in range(1, 10):
        message = b"x" * number
        patch = configmaps.more_mail(number, message)
        assert patch["binaryData"][f"{number}.json"] == base64.b64encode(message).decode()
        mailbox = {key: value for key, value in (mailbox | patch["binaryData"]).items() if value is not None}
        assert list(mailbox) == [f"{kept}.json" for kept in range(max(1, number - 2), number + 1)]


def test_what_a_mailbox_holds() -> None:
    """A ConfigMap holds a mebibyte of values and not a byte more."""
    assert configmaps.room_for_message(b"x" * 1_048_576)
    assert not configmaps.room_for_message(b"x" * 1_048_577)


def test_names_fit() -> None:
    """The longest name of a Job is a label, and the mailbox's a name."""
    name = manifests.job_name(Request("0123456789", 10**9, LIMITS, None))
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    assert len(name) <= 63


def test_builders_share_nothing() -> None:
    """What is done to one object does not change the next, nor the settings."""
    settings = PodSettings(image="python:3.11-slim", labels={}, annotations={}, environment={})
    made = manifests.job(REQUEST, settings, GUEST)
    made["spec"]["template"]["spec"]["containers"][0]["env"].clear()
    made["metadata"]["labels"]["x"] = "y"
    made["metadata"]["annotations"]["x"] = "y"
    guest = configmaps.guest_config_map(GUEST, OWNERS)
    guest["binaryData"].clear()
    guest["metadata"]["labels"].clear()
    assert manifests.job(REQUEST, settings, GUEST) == JOB
    assert configmaps.guest_config_map(GUEST, OWNERS)["binaryData"]


def test_every_object_is_json() -> None:
    """What is made can be sent as it is."""
    for made in (
        manifests.job(REQUEST, PodSettings(image="i"), GUEST),
        configmaps.guest_owners(GUEST, CREATED),
        configmaps.guest_config_map(GUEST, OWNERS),
        configmaps.mail_config_map(b"x", CREATED),
        *configmaps.state_config_maps(PARTS, CREATED),
        manifests.job(CARRY, PodSettings(image="i"), GUEST),
        manifests.sweep_job("p", PodSettings(image="i", workspace="w")),
    ):
        assert json.loads(json.dumps(made)) == made

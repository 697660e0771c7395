"""The doctor: what it looks at here, for real; what it makes of hosts that are not here, from canned readings."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from traitlets.config import Config

from sandbox_kernel import doctor, runtime
from sandbox_kernel.backends.base import Check, Request, Sandbox
from sandbox_kernel.errors import BackendUnavailable

RUNSC = "/home/ada lovelace/runsc"


class FakeBackend:
    """A backend of which only check() counts; an exception stands for one."""

    def __init__(self, result: list[Check] | Exception) -> None:
        self._result = result

    async def check(self) -> list[Check]:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    async def start(self, request: Request) -> Sandbox:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A place for kernelspecs that Jupyter looks at alone; returns its folder of kernels."""
    monkeypatch.setenv("JUPYTER_PATH", "")
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    return tmp_path / "kernels"


def lines(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def trusted(cache: Path) -> int:
    return len(list(cache.rglob("selftest/*")))


# -- everything


async def test_on_this_machine_all_is_well(gvisor: runtime.Runtime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where setup has run, each line is good, each step of the self-test has one, and the runsc is trusted from then on."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    checks = await doctor.examine()
    assert [check for check in checks if not check.ok] == []
    assert {"system", "user namespaces", "runtime", "start", "checkpoint", "memory"} <= lines(checks).keys()
    assert gvisor.version in lines(checks)["runtime"].found
    assert gvisor.path in lines(checks)["runtime"].found
    assert trusted(tmp_path) == 1


async def test_without_a_runsc_the_line_says_setup(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With no runsc there is one failed line for it, with the command that gets one, and the rest is looked at."""
    for name in ("PATH", "XDG_DATA_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    checks = lines(await doctor.examine([FakeBackend([Check("python", ok=True, found="3.13")])]))
    assert not checks["runtime"].ok
    assert checks["runtime"].mend == "Run: sandbox-kernel setup"
    assert "start" not in checks
    assert checks["python"].ok


async def test_a_runsc_that_fails_is_shown_with_its_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The step that failed is a line with what was seen and what mends it; nothing is trusted."""
    runsc = tmp_path / "runsc"
    runsc.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && echo "runsc version release-20991231.0" && exit\necho broken >&2; exit 3\n'
    )
    runsc.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    checks = lines(await doctor.examine(runsc=str(runsc)))
    assert checks["runtime"].ok
    assert not checks["start"].ok
    assert "status 3: broken" in checks["start"].found
    assert checks["start"].mend == "Do without LocalBackend.runsc, and run: sandbox-kernel setup"
    assert trusted(tmp_path) == 0


async def test_what_a_backend_raises_is_a_line(no_kernels: Path) -> None:
    """Whatever goes wrong while something is looked at is that thing's line; advice of our own errors is the mend."""
    backends = [
        FakeBackend(BackendUnavailable("The cluster does not answer.", "Check with: kubectl get nodes")),
        FakeBackend(ZeroDivisionError("surprise")),
        FakeBackend([Check("cluster", ok=True, found="good")]),
    ]
    checks = await doctor.examine(backends, local=False)
    assert checks[:3] == [
        Check("FakeBackend", ok=False, found="The cluster does not answer.", mend="Check with: kubectl get nodes"),
        Check("FakeBackend", ok=False, found="it could not be looked at: ZeroDivisionError: surprise"),
        Check("cluster", ok=True, found="good"),
    ]


def test_lines_and_exit_status() -> None:
    """A line per check, the mend below a failed one; one failure makes the exit status 1."""
    good, bad = Check("runtime", ok=True, found="runsc", mend="unused"), Check("disk", ok=False, found="full", mend="rm x")
    said: list[str] = []
    assert doctor.show([good, bad], said.append) == 1
    assert said == ["ok   runtime  runsc", "FAIL disk     full", "              rm x"]
    assert doctor.show([good], said.append) == 0


def test_the_command_looks_at_what_the_settings_choose(
    gvisor: runtime.Runtime, capsys: pytest.CaptureFixture[str], no_kernels: Path, tmp_path: Path
) -> None:
    """A named backend is looked at alone; a wrong setting of the other does not matter, one of its own is a line."""
    config = Config({"Runner": {"backend_name": "kubernetes"}, "LocalBackend": {"mounts": ["/no/such"]}})
    assert doctor.run("local", config) == 1
    said = capsys.readouterr().out
    assert "FAIL mount" in said
    assert "ok   restore" in said
    assert "cluster" not in said
    config = Config({"LocalBackend": {"runsc": str(tmp_path / "missing")}})
    assert doctor.run(None, config) == 1
    assert "LocalBackend.runsc is" in capsys.readouterr().out


# -- user namespaces


def reading(
    trial: str, *, most: str | None = "95000", clone: str | None = None, apparmor: str | None = None
) -> doctor.Namespaces:
    return doctor.Namespaces(trial, most, clone, apparmor)


@pytest.mark.parametrize(
    ("read", "found", "mend"),
    [
        (reading("unshare ENOSPC", most="0"), "user.max_user_namespaces is 0", "user.max_user_namespaces=15000"),
        (reading("unshare EPERM", clone="0"), "kernel.unprivileged_userns_clone is 0", "kernel.unprivileged_userns_clone=1"),
        (reading("uid_map EPERM", clone="1", apparmor="1"), "AppArmor", "sudo apparmor_parser -r"),
        (reading("unshare EACCES", clone="1", apparmor="1"), "AppArmor", f'"{RUNSC}"'),
        (reading("mounts EPERM", apparmor="1"), "AppArmor", "userns,"),
        (reading("unshare EPERM", clone="1", apparmor="0"), "seccomp", "Kubernetes"),
        (reading("unshare EPERM", most=None), "seccomp", "docker run"),
        (reading("unshare ENOSYS", most=None), "ENOSYS", "Kubernetes"),
    ],
    ids=["RHEL", "Debian", "Ubuntu 24.04", "Ubuntu 23.10", "Ubuntu, mounts", "Docker on Ubuntu", "Docker", "no such kernel"],
)
def test_each_way_to_refuse_user_namespaces_has_its_mend(read: doctor.Namespaces, found: str, mend: str) -> None:
    """The line names what refuses and holds the exact command against it."""
    check = doctor.judge_namespaces(read, RUNSC, starts=False)
    assert not check.ok
    assert read.trial in check.found
    assert found in check.found
    assert mend in check.mend


def test_what_counts_is_whether_runsc_may() -> None:
    """Where AppArmor lets runsc and not Python, a sandbox that starts is the proof; settings alone refuse nothing."""
    refused = reading("uid_map EPERM", apparmor="1")
    assert doctor.judge_namespaces(refused, RUNSC, starts=True).ok
    assert doctor.judge_namespaces(reading("allowed", apparmor="1"), RUNSC, starts=False).ok


def test_the_profile_survives_the_shell() -> None:
    """What the shell makes of the command is a profile for exactly this file."""
    command = doctor.judge_namespaces(reading("uid_map EPERM", apparmor="1"), RUNSC, starts=False).mend
    echo = command.split(" | sudo tee ")[0]
    profile = subprocess.run(["sh", "-c", echo], capture_output=True, text=True, check=True).stdout
    assert profile == (
        'abi <abi/4.0>, profile sandbox-kernel-runsc "/home/ada lovelace/runsc" flags=(unconfined) { userns, }\n'
    )


@pytest.mark.parametrize(("most", "answer"), [("9", "allowed"), ("0", "unshare ENOSPC")])
def test_the_trial_meets_the_kernel(most: str, answer: str) -> None:
    """The trial says what the kernel does: here in a user namespace of its own, whose limit is ours to set."""
    script = f'echo {most} > /proc/sys/user/max_user_namespaces; exec "$0" -I -S -c "$1"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, sys.executable, doctor._TRY_NAMESPACES],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (answer, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_an_ordinary_user_gets_a_line_from_the_kernel() -> None:
    """For a user who is not root the trial is made; this machine allows it."""
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/usr/bin/python3",
            "-I",
            "-S",
            "-c",
            doctor._TRY_NAMESPACES,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("allowed", "")


# -- state


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Places for the state of this test: ``cache`` and ``data`` below the directory that is returned."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


async def state_line() -> Check:
    return lines(await doctor.examine(local=False))["state"]


async def test_state_has_a_line_with_the_room_and_what_is_kept(no_kernels: Path, places: Path) -> None:
    """The line names the directory, the room, and how much there is of what; what others could read is closed."""
    line = await state_line()
    live = places / "cache" / "sandbox-kernel" / "live"
    assert line.ok
    assert line.found.startswith(f"{live} is private and has ")
    assert line.found.endswith("iB of room; no saved sessions, no base images")
    assert list(live.iterdir()) == []
    for folder in (
        "data/sandbox-kernel/sessions/a",
        "data/sandbox-kernel/sessions/b",
        f"cache/sandbox-kernel/base/{'0' * 32}",
    ):
        (places / folder).mkdir(parents=True)
        (places / folder / "pages.img").write_bytes(bytes(1536))
    (places / "cache/sandbox-kernel/base" / f"{'0' * 32}.0011aaff").mkdir()
    live.chmod(0o755)
    line = await state_line()
    assert line.found.endswith("2 saved sessions of 3.0 KiB, 1 base image of 1.5 KiB, 1 unfinished one of 0 bytes")
    assert [path.stat().st_mode & 0o777 for path in (live, places / "data/sandbox-kernel/sessions")] == [0o700, 0o700]


async def test_a_cache_that_cannot_be_used_is_a_failed_line(no_kernels: Path, places: Path) -> None:
    """A file where the directory should be is named, with what it is for."""
    (places / "cache").write_text("")
    line = await state_line()
    assert not line.ok
    assert f"{places / 'cache/sandbox-kernel/live'} cannot be used: Not a directory." in line.found
    assert "between cells" in line.mend


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give directories away")
async def test_a_cache_of_somebody_else_is_a_failed_line(no_kernels: Path, places: Path) -> None:
    """State is kept in no directory whose owner could read it."""
    live = places / "cache" / "sandbox-kernel" / "live"
    live.mkdir(parents=True)
    os.chown(live, 65534, 65534)
    line = await state_line()
    assert not line.ok
    assert f"{live} belongs to somebody else." in line.found


async def test_a_full_disk_is_a_failed_line(no_kernels: Path, places: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where not one file can be written, the line has the kernel's word for it and another directory as the mend."""

    def refuse(**_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    line = await state_line()
    assert not line.ok
    assert "live: No space left on device" in line.found
    assert "XDG_CACHE_HOME" in line.mend


def test_little_room_is_a_warning(tmp_path: Path) -> None:
    """Below one GiB the line says so, with the command that makes room; it fails nothing."""
    little, enough = (doctor.judge_room(tmp_path, room, "no base images") for room in ((1 << 30) - 1, 1 << 30))
    assert (little.ok, enough.ok) == (True, True)
    assert "has only 1024.0 MiB of room" in little.found
    assert little.found.endswith("; to make room: sandbox-kernel sessions prune")
    assert enough.found == f"{tmp_path} is private and has 1.0 GiB of room; no base images"


# -- kernels


def put_kernel(folder: Path, name: str, text: str) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "kernel.json").write_text(text)


async def test_kernels_that_are_not_installed_are_a_note(no_kernels: Path) -> None:
    """Whoever uses the command line alone needs no kernelspec: it is said how to get one, and nothing fails."""
    checks = lines(await doctor.examine(local=False))
    kernels = [check for name, check in checks.items() if name.startswith("kernel ")]
    assert [check.ok for check in kernels] == [True, True]
    assert "sandbox-kernel install --backend local --user" in checks["kernel sandbox-local"].found


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        ([sys.executable, "-m", "sandbox_kernel"], ""),
        (["/gone/python", "-m", "sandbox_kernel"], "starts /gone/python, which is gone"),
        (["false"], "has no sandbox_kernel"),
        ([], "cannot be read"),
        (None, "cannot be read"),
    ],
    ids=["good", "its Python is gone", "its Python lacks us", "no command", "nonsense"],
)
async def test_a_kernel_must_be_able_to_start(no_kernels: Path, argv: list[str] | None, found: str) -> None:
    """An installed kernel whose Python is gone, or has lost this package, is a failed line with the install command."""
    put_kernel(no_kernels, "sandbox-local", json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    check = lines(await doctor.examine(local=False))["kernel sandbox-local"]
    assert check.ok is (found == "")
    assert found in check.found
    assert check.ok or check.mend == "sandbox-kernel install --backend local --user"

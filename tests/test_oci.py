"""What a local sandbox looks like to runsc, compared whole, and what of the host is visible in it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox_kernel.backends import interpreter, oci
from sandbox_kernel.backends.base import Request, Snapshot
from sandbox_kernel.errors import ConfigurationError
from sandbox_kernel.limits import Limits

LIMITS = Limits(memory_mib=1500, cpu_millis=1500, processes=50, open_files=1024, disk_mib=100)


def tmpfs(target: str) -> dict[str, Any]:
    """Return the mount of a writable directory."""
    options = ["size=100m", "mode=1777", "nosuid", "nodev"]
    return {"destination": target, "type": "tmpfs", "source": "tmpfs", "options": options}


def bind(source: str, target: str, mode: str = "ro") -> dict[str, Any]:
    """Return the mount of a directory of the host."""
    return {"destination": target, "type": "bind", "source": source, "options": ["rbind", mode, "nosuid", "nodev"]}


PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
CONFIG: dict[str, Any] = {
    "ociVersion": "1.0.2",
    "hostname": "sandbox",
    "root": {"path": "/run/x/rootfs", "readonly": True},
    "process": {
        "user": {"uid": 65534, "gid": 65534},
        "args": ["python3", "-c", "pass"],
        "env": ["PATH=/bin", "A=b=c"],
        "cwd": "/home/sandbox",
        "terminal": False,
        "noNewPrivileges": True,
        "capabilities": {"bounding": [], "effective": [], "inheritable": [], "permitted": [], "ambient": []},
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 1024},
            {"type": "RLIMIT_NPROC", "soft": 58, "hard": 58},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        ],
    },
    "mounts": [PROC, tmpfs("/tmp"), tmpfs("/dev/shm"), tmpfs("/home/sandbox"), bind("/usr", "/usr")],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network"}],
    },
}


def made(
    euid: int = 0, *, mounts: tuple[oci.Mount, ...] = (oci.Mount("/usr", "/usr"),), as_owner: bool = False
) -> dict[str, Any]:
    """Return the config.json for a user and mounts."""
    return oci.config(
        args=("python3", "-c", "pass"),
        env={"PATH": "/bin", "A": "b=c"},
        mounts=mounts,
        limits=LIMITS,
        rootfs="/run/x/rootfs",
        euid=euid,
        as_owner=as_owner,
    )


def test_the_config_of_root() -> None:
    """Root's sandbox has no capability, no network, a read-only root and three sized tmpfs."""
    assert made() == CONFIG


def test_the_config_of_an_ordinary_user() -> None:
    """An ordinary user's sandbox is the same in a user namespace in which they are nobody."""
    mapping = [{"containerID": 65534, "hostID": 1000, "size": 1}]
    linux = {
        "namespaces": [*CONFIG["linux"]["namespaces"], {"type": "user"}],
        "uidMappings": mapping,
        "gidMappings": mapping,
    }
    assert made(euid=1000) == {**CONFIG, "linux": linux}


@pytest.mark.parametrize("euid", [0, 1000])
@pytest.mark.parametrize(("writable", "mode"), [(True, "rw"), (False, "ro")])
def test_a_mount_is_read_only_unless_it_is_said(euid: int, writable: bool, mode: str) -> None:
    """A mount is read-only unless it is said to be writable."""
    config = made(euid, mounts=(oci.Mount("/home/me/data", "/data", writable),))
    assert config["mounts"][-1] == bind("/home/me/data", "/data", mode)


@pytest.mark.parametrize(
    ("euid", "as_owner", "uid"),
    [
        pytest.param(0, True, 0, id="root's files belong to user 0"),
        pytest.param(0, False, 65534, id="root is nobody"),
        pytest.param(1000, True, 65534, id="an ordinary user is mapped to nobody"),
    ],
)
def test_whoever_owns_the_mounts_has_no_capability(euid: int, as_owner: bool, uid: int) -> None:
    """The guest may be the user that the mounts belong to, and is nothing more than that."""
    config = made(euid, as_owner=as_owner)
    process = {**CONFIG["process"], "user": {"uid": uid, "gid": uid}}
    assert config == {**made(euid), "process": process}


def test_the_environment_is_all_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the host's environment gets in but what the settings name."""
    monkeypatch.setenv("SECRET", "s3cr3t")
    expected = {
        "PATH": "/venv/bin:/usr/local/bin:/usr/bin:/bin",
        "HOME": "/home/sandbox",
        "LANG": "de_DE.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "agg",
        "PIP_RETRIES": "0",
        "MINE": "1",
    }
    assert oci.environment("/venv/bin/python", {"MINE": "1", "LANG": "de_DE.UTF-8"}) == expected


@pytest.mark.parametrize(
    ("python", "path"),
    [
        ("/usr/bin/python3", "/usr/bin:/usr/local/bin:/bin"),
        ("/usr/local/bin/python3", "/usr/local/bin:/usr/bin:/bin"),
        ("/home/me/venv/bin/python", "/home/me/venv/bin:/usr/local/bin:/usr/bin:/bin"),
    ],
)
def test_programs_of_the_python_come_first(python: str, path: str) -> None:
    """Where the Python lies is looked first for programs, and nowhere twice; who sets PATH has it so."""
    assert oci.environment(python, {})["PATH"] == path
    assert oci.environment(python, {"PATH": "/mine"})["PATH"] == "/mine"


def test_the_guests_command() -> None:
    """The guest is started by one line of Python and gets its settings as one argument."""
    boot = (
        "import sys; sys.path.insert(0, '/opt/sandbox-kernel'); "
        "from _sandbox_guest import piece; piece.begin(); "
        "from _sandbox_guest.__main__ import main; sys.exit(main(sys.argv[1]))"
    )
    settings = {"mailbox": "-", "memory_mib": 512}
    assert oci.guest_args(["conda", "python"], settings) == ["conda", "python", "-c", boot, json.dumps(settings)]


def test_a_session_has_one_order_of_sets() -> None:
    """All sandboxes of a session hash alike, those of another one otherwise, and Python takes the seed."""
    seeds = [oci.hash_seed(session) for session in ("aa", "aa", "ab")]
    assert seeds[0] == seeds[1] != seeds[2]
    assert all(0 <= int(seed["PYTHONHASHSEED"]) < 2**32 for seed in seeds)


def test_what_a_guest_is_told_of_carried_state() -> None:
    """A new session has no head; one that goes on has the first part of its snapshot, and JSON holds all of it."""
    request = Request("abc", 1, LIMITS, None, "carry", anew=True, dropped=("d",))
    told = oci.carry_settings(request, "/in", "/out", cap_bytes=5, advice="Set X.")
    assert told == {
        "head": None,
        "anew": True,
        "session": "abc",
        "folder": "/in",
        "out": "/out",
        "cap_bytes": 5,
        "advice": "Set X.",
        "remedy": "Make it again in this cell.",
        "save_s": oci.SAVE_S,
        "dropped": ["d"],
    }
    snapshot = Snapshot("id", "carry", 3, Path("/nowhere"), parts=(("head", 1), ("large", 2)))
    told = oci.carry_settings(dataclasses.replace(request, snapshot=snapshot, anew=False), "/in", "wire")
    assert json.loads(json.dumps(told))["head"] == ["head", 1]
    told_locally = oci.carry_settings(request, "/in", "/out", exact=True)
    assert told_locally["remedy"] == "Make it again in this cell, or use exact state."
    assert (told["anew"], told["out"], told["cap_bytes"]) == (False, "wire", None)


def test_runscs_command_line() -> None:
    """The flags of runsc: no network, no host sockets or pipes, no cgroups, nothing written over the root."""
    expected = [
        "/opt/runsc",
        "--root=/run/x/root",
        "--platform=systrap",
        "--network=none",
        "--ignore-cgroups",
        "--overlay2=none",
        "--host-uds=none",
        "--host-fifo=none",
        "--gofer-network-namespace=new",
        "run",
        "--bundle=/run/x/1",
        "name",
    ]
    assert oci.runsc_args("/opt/runsc", root="/run/x/root", command=["run", "--bundle=/run/x/1", "name"]) == expected


@pytest.mark.parametrize(
    ("memory_mib", "expected_gib"),
    [pytest.param(64, 1, id="small"), pytest.param(1024, 1, id="one"), pytest.param(1025, 2, id="over one")],
)
def test_the_walls_around_a_sandbox(memory_mib: int, expected_gib: int) -> None:
    """The memory wall is whole GiB and never below the limit."""
    expected = {"FSIZE": expected_gib * 2**30, "DATA": 2**30, "NOFILE": 65536, "CORE": 0}
    assert oci.runsc_rlimits(Limits(memory_mib=memory_mib)) == expected


@pytest.mark.parametrize(("millis", "expected"), [(10, 1), (1000, 1), (1001, 2), (4000, 4)])
def test_processors_are_whole(millis: int, expected: int) -> None:
    """A part of a processor is a whole one."""
    assert oci.processors(Limits(cpu_millis=millis)) == expected


# -- the interpreter ---------------------------------------------------------------------------------------------------


def test_this_python_is_visible_read_only() -> None:
    """The Python that runs this can be mounted: its prefix, its base and /usr, all read-only, none inside another."""
    found = interpreter.look()
    mounts = found.mounts()
    targets = [mount.target for mount in mounts]
    assert (found.path, found.version) == (sys.executable, sys.version_info[:2])
    assert not any(mount.writable for mount in mounts)
    assert [(a, b) for a in targets for b in targets if a != b and a.startswith(b + "/")] == []
    for directory in ("/usr", sys.prefix, sys.base_prefix):
        assert any(directory == target or directory.startswith(target + "/") for target in targets)
    assert {"/", "/home", "/root", "/etc", os.path.expanduser("~")} & set(targets) == set()


def test_a_directory_behind_a_link_is_visible_under_both_names(tmp_path: Path) -> None:
    """A prefix that is reached by a link is there under its own name and under the real one."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    mounts = interpreter.Interpreter("x", (3, 11), (str(link),)).mounts()
    assert sorted(mounts, key=lambda mount: mount.target) == [
        oci.Mount(str(real), str(link)),
        oci.Mount(str(real), str(real)),
    ]


def test_nested_directories_are_mounted_once(tmp_path: Path) -> None:
    """A directory inside one that is visible anyway gets no mount of its own."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "ab").mkdir()
    directories = tuple(str(tmp_path / name) for name in ("a/b", "a", "ab"))
    targets = [mount.target for mount in interpreter.Interpreter("x", (3, 11), directories).mounts()]
    assert sorted(targets) == [str(tmp_path / "a"), str(tmp_path / "ab")]


@pytest.mark.parametrize(
    ("python", "message"),
    [
        pytest.param("/nonexistent/python", r"^There is no Python at '/nonexistent/python'\.", id="no file"),
        pytest.param("/bin/false", r"^'/bin/false' does not work as a Python:", id="no Python"),
    ],
)
def test_what_is_no_python_is_an_error(python: str, message: str) -> None:
    """A setting that names no Python is a configuration error that names the setting."""
    with pytest.raises(ConfigurationError, match=message) as caught:
        interpreter.look(python)
    assert "LocalBackend.python" in caught.value.advice


def test_another_python_is_asked() -> None:
    """A Python by its path says itself where it lives."""
    found = interpreter.look(os.path.realpath(sys.executable))
    assert found.version == sys.version_info[:2]
    assert os.path.realpath(sys.base_prefix) in {os.path.realpath(name) for name in found.directories}


@pytest.mark.parametrize("prefix", ["/", "/home", "/opt", "~"])
def test_a_python_that_would_show_too_much_is_refused(prefix: str, tmp_path: Path) -> None:
    """A prefix that is the root, a home or the like would show all of it: an error, not a mount."""
    python = tmp_path / "python"
    shown = json.dumps([os.path.expanduser(prefix)] * 2 + [None, [3, 11]])
    python.write_text(f"#!/bin/sh\necho '{shown}'\n")
    python.chmod(0o755)
    with pytest.raises(ConfigurationError, match="which would show all of it to the cells"):
        interpreter.look(str(python))


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    """Cells need Python 3.9, and the error says which was found."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho \'["/usr", "/usr", null, [3, 8]]\'\n')
    python.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"is Python 3\.8; cells need 3\.9 or newer"):
        interpreter.look(str(python))


def test_the_root_file_system_holds_nothing_of_the_host(tmp_path: Path) -> None:
    """The root has links, two users, one host name and no file of the host's /etc but the linker's cache and the zone."""
    rootfs = tmp_path / "rootfs"
    interpreter.make_rootfs(rootfs)
    names = {path.name for path in (rootfs / "etc").iterdir()}
    assert {"passwd", "group", "hosts", "nsswitch.conf"} <= names
    assert names <= {"passwd", "group", "hosts", "nsswitch.conf", "ld.so.cache", "localtime", "fonts"}
    expected = "root:x:0:0:root:/home/sandbox:/bin/sh\nsandbox:x:65534:65534:sandbox:/home/sandbox:/bin/sh\n"
    assert (rootfs / "etc" / "passwd").read_text() == expected
    assert all(path.is_symlink() for path in rootfs.iterdir() if path.name != "etc")

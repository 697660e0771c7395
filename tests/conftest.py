"""What the tests share: both backends, a cluster when there is one, kernels, and the proof that nothing is left.

A cluster is found by KUBECONFIG, an administrator's; without it the tests that need one are skipped and counted. On it they
live in a namespace of their own, made as deploy/README.md tells, and act as the service account that deploy/ makes: the
administrator only looks and cleans up.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager

from sandbox_kernel import runtime, settings, supervisor
from sandbox_kernel.runner import Runner
from sandbox_kernel.state import places

REPOSITORY = Path(__file__).resolve().parent.parent
KUBECTL = os.environ.get("KUBECTL") or shutil.which("kubectl")
#: Standard library only; and what its notebooks need.
IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_IMAGE", "python:3.11-slim")


#: They are the cluster's, not a namespace's.
POLICIES = REPOSITORY / "deploy" / "base" / "admission.yaml"
_FOUND_POLICIES = pytest.StashKey[bool]()


def pytest_sessionstart(session: pytest.Session) -> None:
    """See whether the cluster has our policies already; who starts the workers looks, as they share the cluster."""
    if not hasattr(session.config, "workerinput") and os.environ.get("KUBECONFIG") and KUBECTL is not None:
        found = subprocess.run(
            [KUBECTL, "get", "validatingadmissionpolicies", "-o", "name"], capture_output=True, text=True, timeout=60
        )
        session.config.stash[_FOUND_POLICIES] = found.returncode != 0 or "sandbox-kernel" in found.stdout


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take the policies away again when nobody needs them any more, if they came with us."""
    if not session.config.stash.get(_FOUND_POLICIES, True):
        _kubectl("delete", "-f", str(POLICIES), "--ignore-not-found")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no worker is left with it at the end."""
    items.sort(key=lambda item: -max((mark.args[0] for mark in item.iter_markers("timeout")), default=0))


def wait_until(true: Callable[[], bool], what: str | Callable[[], object], within_s: float = 60.0) -> None:
    """Return when ``true()``; fail with ``what`` (or what it returns then) when that takes too long."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, f"not within {within_s:g} s: {what() if callable(what) else what}"
        time.sleep(0.05)


# -- this machine ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def home_of_sandboxes() -> Iterator[Path]:
    """Everything local lies below a directory of this session, so that what is left can be told from others' work."""
    path = Path(tempfile.mkdtemp(prefix="skt-", dir=tempfile.gettempdir()))  # short: sockets lie below it
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(path))
        patch.setenv("XDG_CACHE_HOME", str(path / "cache"))
        yield path
    shutil.rmtree(path / "cache", ignore_errors=True)
    path.rmdir()


@pytest.fixture(scope="session", autouse=True)
def runtime_of_jupyter() -> Iterator[None]:
    """Connection files and sockets of kernels lie in a directory of this session, with a short name."""
    with tempfile.TemporaryDirectory(prefix="skr-") as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_RUNTIME_DIR", path)
        yield


def local_leftovers(home: Path) -> list[str]:
    """Name every process, mount and directory of the sandboxes below ``home``."""
    found = [str(path) for path in (*home.glob(f"{supervisor.PREFIX}*"), *home.glob("cache/sandbox-kernel/live/*"))]
    found += [line for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines() if str(home) in line]
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_bytes()
            uses = str(home).encode() in words
            if b"supervisor.py" in words:
                uses = any(os.readlink(fd).startswith(str(home)) for fd in (process / "fd").iterdir())
            if uses and int(process.name) != os.getpid():
                found.append(words.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


@pytest.fixture(autouse=True)
def nothing_left_here(home_of_sandboxes: Path) -> Iterator[None]:
    """After each test no process, mount or directory of a sandbox is left on this machine."""
    yield
    wait_until(lambda: not local_leftovers(home_of_sandboxes), lambda: f"gone: {local_leftovers(home_of_sandboxes)}", 20)


@pytest.fixture(autouse=True)
def clean_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No configuration file of this machine plays a part."""
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path_factory.mktemp("config")))
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")


@pytest.fixture(scope="session")
def gvisor() -> runtime.Runtime:
    """Return this machine's runsc; `make test` gets one first, so its absence is a failure."""
    return runtime.find()


# -- a cluster ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TestCluster:
    """A namespace of our own on the cluster.

    Attributes:
        namespace: Its name.
        kubeconfig: Of the service account that deploy/ makes for the host.
    """

    __test__ = False
    namespace: str
    kubeconfig: str

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Act as the administrator in the namespace and return what kubectl prints."""
        return _kubectl("--namespace", self.namespace, *words, stdin=stdin)

    def objects(self, kinds: str = "jobs,pods,configmaps") -> list[str]:
        """Name the objects there are, but for what Kubernetes itself puts into each namespace."""
        listed = json.loads(self.kubectl("get", kinds, "-o", "json"))["items"]
        names = [f"{item['kind']}/{item['metadata']['name']}" for item in listed]
        return [name for name in names if name != "ConfigMap/kube-root-ca.crt"]

    def options(self, image: str = IMAGE) -> list[str]:
        """Return the settings that make a runner use it, as on a command line."""
        return [
            "--Runner.backend_name=kubernetes",
            f"--KubernetesBackend.kubeconfig={self.kubeconfig}",
            f"--KubernetesBackend.image={image}",
            "--KubernetesBackend.ttl_s=5",
        ]


def start_host(code: str, *words: str) -> subprocess.Popen[str]:
    """Start a program with these arguments; return it when it has printed ``here``: that is where it is to be killed."""
    host = subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    assert host.stdout.readline() == "here\n"
    return host


def kill_host(host: subprocess.Popen[str], *, with_supervisor: bool) -> None:
    """SIGKILL a host; ``with_supervisor``: and the program that outlives it, as when its machine goes."""
    host.send_signal(signal.SIGSTOP)
    children: list[str] = []
    if with_supervisor:
        children = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
        assert children, "it has a supervisor"
        for child in children:
            os.kill(int(child), signal.SIGKILL)
    host.send_signal(signal.SIGKILL)
    assert host.stdout is not None
    host.stdout.close()
    host.wait()
    # A busy machine takes its time to end them, and until then they hold the locks by which a sweep knows them.
    wait_until(lambda: not any(map(_lives, children)), f"ended: {children}")
    if with_supervisor and places.live().exists():
        supervisor.sweep(str(places.live()))  # As the next supervisor of this user does.


def _lives(pid: str) -> bool:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def check_killed_host(cluster: TestCluster, code: str, *words: str, with_supervisor: bool = True) -> None:
    """Start a host as :func:`start_host` does, kill it, and see that of what it has on the cluster nothing is left."""
    host = start_host(code, *words)
    assert cluster.objects("jobs")
    kill_host(host, with_supervisor=with_supervisor)
    wait_until(lambda: not cluster.objects(), lambda: f"gone: {cluster.objects()}", 120)


def _kubectl(*words: str, stdin: str | None = None) -> str:
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, *words], input=stdin, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
    return done.stdout


def _apply(*words: str) -> None:
    """Apply; a few times more when others do the same at the moment, or the cluster makes the namespace's own account."""
    for _ in range(4):
        with suppress(AssertionError):
            _kubectl("apply", *words)
            return
    _kubectl("apply", *words)


@pytest.fixture(scope="session")
def cluster_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestCluster]:
    """A namespace on the cluster with everything of deploy/ in it, gone after the session."""
    if not os.environ.get("KUBECONFIG") or KUBECTL is None:
        pytest.skip("no cluster: set KUBECONFIG to an administrator's file (make cluster makes one)")
    folder = tmp_path_factory.mktemp("deploy")
    namespace = f"sandbox-test-{secrets.token_hex(3)}"
    shutil.copytree(REPOSITORY / "deploy", folder / "deploy")
    (folder / "kustomization.yaml").write_text(f"namespace: {namespace}\nresources:\n- deploy/namespace\n")
    _apply("-f", str(POLICIES))
    _apply("-k", str(folder))
    try:
        made = subprocess.run(
            ["sh", str(REPOSITORY / "deploy" / "kubeconfig.sh"), namespace, "4h"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
            env={**os.environ, "KUBECTL": KUBECTL},
        )
        kubeconfig = folder / "kubeconfig"
        kubeconfig.touch(0o600)
        kubeconfig.write_text(made.stdout)
        yield TestCluster(namespace, str(kubeconfig))
    finally:
        _kubectl("delete", "namespace", namespace, "--wait=true", "--timeout=90s")


@pytest.fixture
def cluster(cluster_session: TestCluster) -> Iterator[TestCluster]:
    """The namespace, and the proof that a test leaves no Job, pod or ConfigMap in it."""
    yield cluster_session
    wait_until(lambda: not cluster_session.objects(), "no Job, pod or ConfigMap left", 60)


# -- both --------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["local", pytest.param("kubernetes", marks=pytest.mark.cluster)])
def options(request: pytest.FixtureRequest) -> list[str]:
    """Settings of one backend after the other, as on a command line."""
    if request.param == "kubernetes":
        found: TestCluster = request.getfixturevalue("cluster")
        return found.options()
    request.getfixturevalue("gvisor")
    return ["--Runner.backend_name=local"]


@pytest.fixture
async def runner(options: list[str]) -> AsyncIterator[Runner]:
    """A runner on one backend after the other."""
    made = Runner(config=settings.from_options(options))
    yield made
    await made.close()


def install_kernel(options: list[str], prefix: Path) -> str:
    """Install a kernel with these settings below ``prefix`` and return its name. It is found by :func:`jupyter_path`."""
    backend = options[0].split("=")[1]
    command = [sys.executable, "-m", "sandbox_kernel.cli", "install", f"--backend={backend}", f"--prefix={prefix}"]
    subprocess.run([*command, *options[1:]], check=True, capture_output=True, timeout=60)
    return f"sandbox-{backend}"


def add_options(kernel_name: str, prefix: Path, *options: str) -> None:
    """Give a kernel that is installed below ``prefix`` more settings, as on its command line."""
    spec = Path(jupyter_path(prefix)) / "kernels" / kernel_name / "kernel.json"
    values = json.loads(spec.read_text())
    values["argv"] += options
    spec.write_text(json.dumps(values))


def jupyter_path(prefix: Path) -> str:
    """Return the JUPYTER_PATH that shows the kernels installed below ``prefix``."""
    return str(prefix / "share" / "jupyter")


def kernel_manager(name: str) -> KernelManager:
    """Return what starts a kernel of this name.

    Not over TCP: its ports are chosen before they are bound, and another kernel may be quicker. Sockets are named after the
    connection file; without one, all kernels that are started from one folder at a time would share theirs.
    """
    file = f"{os.environ['JUPYTER_RUNTIME_DIR']}/{secrets.token_hex(4)}.json"
    return KernelManager(kernel_name=name, transport="ipc", connection_file=file)


@pytest.fixture
def kernel_name(options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An installed kernel of one backend after the other, by its name."""
    monkeypatch.setenv("JUPYTER_PATH", jupyter_path(tmp_path))
    return install_kernel(options, tmp_path)

"""State that is carried from cell to cell on a cluster: what arrives, what is told when it does not, and what is left.

Without a volume it goes out through the pod's log and comes in through ConfigMaps; with a workspace it lies there.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TestCluster, _kubectl, check_killed_host, wait_until

from sandbox_kernel import settings
from sandbox_kernel.backends.job import JobSandbox
from sandbox_kernel.errors import SandboxRefused, StateNotSaved, StateUnusable
from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.executors.plain import AgentSession, Result
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import MIB
from sandbox_kernel.state import carried

pytestmark = pytest.mark.cluster

#: With numpy and pandas.
NOTEBOOK_IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_NOTEBOOK_IMAGE", "docker.io/library/sandbox-notebook:latest")
ADVICE = "set KubernetesBackend.workspace to a PersistentVolumeClaim."

Make = Callable[..., SandboxExecutor]


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's own copies of state lie in a directory of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
async def make(cluster: TestCluster) -> AsyncIterator[Make]:
    """What makes executors on the cluster."""
    made: list[SandboxExecutor] = []

    def make(*options: str) -> SandboxExecutor:
        changed = {option.partition("=")[0] for option in options}
        others = [option for option in cluster.options() if option.partition("=")[0] not in changed]
        made.append(SandboxExecutor(config=settings.from_options([*others, *options])))
        return made[-1]

    yield make
    for executor in made:
        await executor.close()


@pytest.fixture
def session(make: Make) -> AgentSession:
    """A session with all settings as they come."""
    return make().session()


@pytest.fixture
def notebook_image() -> str:
    """An option: the image that has what notebooks need."""
    nodes = _kubectl("get", "nodes", "-o", "jsonpath={.items[*].status.images[*].names}")
    if NOTEBOOK_IMAGE not in nodes:
        pytest.skip(f"no node has {NOTEBOOK_IMAGE}")
    return f"--KubernetesBackend.image={NOTEBOOK_IMAGE}"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of the pieces that come over the wire."""
    digests: list[str] = []
    write = carried._Incoming._write

    def note(incoming: Any, part: wire.Part) -> None:
        digests.append(part.digest)
        write(incoming, part)

    monkeypatch.setattr(carried._Incoming, "_write", note)
    return digests


async def run(session: AgentSession, code: str, **options: Any) -> Result:
    """Run one cell, and return when its state is settled."""
    result = await session.run(code, **options)
    await session._session.settled()
    return result


async def value(session: AgentSession, code: str) -> str:
    """Return what the last expression of a cell shows."""
    result = await run(session, code)
    assert result.result is not None, result
    return str(result.result["text/plain"])


def lost(session: AgentSession) -> dict[str, str]:
    """Return what the newest state does not hold, and why."""
    point = session._session.head()
    assert point is not None
    return dict(point.snapshot.lost)


def parts(session: AgentSession) -> dict[str, int]:
    """Return digests and sizes of what the newest state is made of."""
    point = session._session.head()
    assert point is not None
    return dict(point.snapshot.parts)


def state_config_maps(cluster: TestCluster) -> dict[str, Any]:
    """Return the ConfigMaps that bring state: uid by name."""
    items = json.loads(cluster.kubectl("get", "configmaps", "-o", "json"))["items"]
    found = {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}
    return {name: uid for name, uid in found.items() if name.startswith("sandbox-state-")}


def kept_part(places: Path, digest: str) -> Path:
    """Return where the host keeps a part."""
    (path,) = places.glob(f"cache/sandbox-kernel/live/*/parts/{digest}")
    return path


# -- over the wire -----------------------------------------------------------------------------------------------------


async def test_three_mebibytes_are_carried_inline(cluster: TestCluster, make: Make, sent: list[str]) -> None:
    """State of several parts, one of them too large for a ConfigMap, is there in the next cell byte by byte."""
    session = make().session()
    code = (
        "import random\nrandom.seed(7)\nlarge = bytearray(random.randbytes(1_500_000))\n"
        "several = [bytearray(random.randbytes(300_000)) for _ in range(4)]\nempty = bytearray()\nalias = several\n"
        "import hashlib\ndef digest(): return hashlib.sha256(large + b''.join(several) + empty).hexdigest()[:16]\ndigest()"
    )
    before = await value(session, code)
    assert sum(parts(session).values()) > 2_700_000
    sent.clear()
    assert await value(session, "digest()") == before
    assert len(state_config_maps(cluster)) >= 3
    assert sent, "the head is new each time"
    assert sum(size for digest, size in parts(session).items() if digest in sent) < MIB // 8
    assert await value(session, "several[0][:2] = b'xy'; alias[0][:2] == b'xy'") == "True"
    assert (lost(session), session.notices) == ({}, [])


async def test_what_has_not_changed_is_not_sent_again(cluster: TestCluster, session: AgentSession, sent: list[str]) -> None:
    """A part that is the same in the next cell neither comes over the wire nor goes into a new ConfigMap."""
    await run(session, "import random\nstays = random.randbytes(1_500_000); changes = random.randbytes(200_000)")
    await run(session, "1")
    first, sent[:] = state_config_maps(cluster), []
    await run(session, "changes = random.randbytes(200_000)")
    (stays,) = [digest for digest, size in parts(session).items() if size > MIB]
    assert sent
    assert stays not in sent
    assert await value(session, "len(stays) + len(changes)") == "1700000"
    second = state_config_maps(cluster)
    assert len(first) == 5
    same = first.items() & second.items()
    assert len(same) == 3, "the ConfigMaps of the large part have the uid that they had"


async def test_what_is_too_large_is_named(make: Make, notebook_image: str) -> None:
    """Without a volume 50 MB are left behind, told with the setting that helps, and everything else is carried."""
    session = make(notebook_image).session()
    code = (
        "import numpy, pandas\nframe = pandas.DataFrame({'a': numpy.arange(6_250_000)})\n"
        "small = {'x': 1}\ndef f(): return small"
    )
    assert (await run(session, code)).ok
    assert lost(session).keys() == {"frame"}
    assert lost(session)["frame"].endswith(ADVICE)
    assert await value(session, "f() is small, small") == "(True, {'x': 1})"
    result = await run(session, "frame.sum()")
    assert result.error is not None
    assert result.error.name == "NotCarried"
    assert "'frame'" in result.error.value
    assert ADVICE in result.error.value
    assert "exact" not in result.error.value  # It is local only.
    (notice,) = session.notices
    assert notice.startswith("Not carried into the next run: frame: ")


async def test_eight_mebibytes_of_output_and_four_of_state(session: AgentSession) -> None:
    """All that a cell may print and all that may be carried go through one log: nothing is missing without a word."""
    await run(session, "before = 1")
    code = (
        "import random\nrandom.seed(3); state = random.randbytes(3_900_000)\nline = 'x' * 99\n"
        "for number in range(75_000): print(line)\nprint('end')"
    )
    result = await run(session, code)
    assert (result.outcome, result.complete, session.notices) == ("ok", True, [])
    assert result.stdout == ("x" * 99 + "\n") * 75_000 + "end\n"
    checked = await value(session, "import hashlib; (before, hashlib.sha256(state).hexdigest()[:12])")
    assert checked == f"(1, '{sha(3, 3_900_000)}')"


def sha(seed: int, size: int) -> str:
    """Return what a cell that seeds and hashes like this gets."""
    code = f"import hashlib, random; random.seed({seed}); print(hashlib.sha256(random.randbytes({size})).hexdigest()[:12])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


async def test_a_wrong_digest_is_refused(session: AgentSession) -> None:
    """A part that is not what its digest says is not taken, that is told, and the next cell has the state from before."""
    await run(session, "x = 1")
    spoil = (
        "from _sandbox_guest import state\nstore, whole = state._PartStore, state._PartStore.write\n"
        "def write(self, digest, data): whole(self, %s)\nstore.write = write\nx = 2"
    )
    for how in ("digest, bytes(data[:-1]) + b'?'", "digest, bytes(data[:-1])", "'0' * 64, data", "digest, bytes(data) * 2"):
        assert (await run(session, spoil % how)).ok
        (notice,) = session.notices
        assert "lost" in notice
        assert "damaged" in notice
        session.notices.clear()
    assert await value(session, "x") == "1"


async def test_a_forged_word_is_refused(session: AgentSession) -> None:
    """Words of the wire that a cell writes itself, to its own stdout or to the keeper, do not become its state."""
    await run(session, "x = 1")
    find = (
        "import gc, os\nfrom _sandbox_guest import wire\nfrom _sandbox_guest.cell import CellProcess\n"
        "(process,) = [item for item in gc.get_objects() if type(item) is CellProcess]\n"
        "saved = wire.Saved([['0' * 64, 4]])\n"
    )
    too_early = (
        "x = 2\nos.write(1, b'sk1 1 . ' + wire.dump(saved) + b'\\n')\n"
        "process.emit(saved)\nprocess.emit(wire.Part('0' * 64, 4, 0, 'AAAA'))\ndel process"
    )
    assert (await run(session, find + too_early)).ok
    assert session.notices == []
    assert await value(session, "x") == "2", "while the cell runs the keeper passes on no word of its state"
    instead = "x = 3\nprocess._state.carry_out = lambda: process.emit(saved)"
    assert (await run(session, find + instead)).ok
    (notice,) = session.notices
    assert "lost" in notice
    assert await value(session, "x") == "2"


async def test_a_part_that_was_changed_on_the_host_is_refused(places: Path, session: AgentSession) -> None:
    """One bit that is another one in the host's copy is noticed before anything starts; the session is back one cell."""
    await run(session, "import random; kept = random.randbytes(100_000)")
    await run(session, "y = random.randbytes(100_000)")
    head = next(iter(parts(session)))
    path = kept_part(places, head)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(StateUnusable, match="The state after run 2 is lost"):
        await session.run("1")
    assert await value(session, "len(kept), 'y' in globals()") == "(100000, False)"


# -- going back --------------------------------------------------------------------------------------------------------

#: It is killed at its limit: who hears the interrupt ends by it and keeps its state.
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
ENDS = {
    "timeout": (f"x = 2\n{DEAF}\nwhile True: pass", "timeout"),
    "exit": ("x = 2\nimport os; os._exit(3)", "error"),
    "out of memory": ("x = 2\ny = [bytearray(b'1') * 2**26 for _ in range(40)]", "out_of_memory"),
}


async def test_a_cell_that_is_ended_changes_nothing(make: Make) -> None:
    """After a timeout, an exit of the process and the end of memory the next cell has the state from before."""
    session = make("--Runner.memory_mib=1024").session()
    await run(session, "x = 1")
    for code, outcome in ENDS.values():
        assert (await run(session, code, timeout_s=5.0)).outcome == outcome
        assert await value(session, "x") == "1"
    assert session.notices == []


async def test_undo_rewind_fork_save_and_load(make: Make) -> None:
    """A session on a cluster goes back, goes on twice, and is there in another process's runner by its name."""
    executor = make()
    session = executor.session()
    for code in ("x = [1]", "x.append(2)", "x.append(3)"):
        await run(session, code)
    await session.undo()
    assert await value(session, "x") == "[1, 2]"
    fork = await session.fork()
    await run(fork, "x.append('fork')")
    await run(session, "x.append('trunk')")
    assert await value(fork, "x") == "[1, 2, 'fork']"
    assert await value(session, "x") == "[1, 2, 'trunk']"
    await session.save("three")
    await session.rewind(1)
    assert await value(session, "x") == "[1]"
    await session.rewind(0)
    assert await value(session, "'x' in globals()") == "False"
    await executor.close()
    other = make().session()
    await other.load("three")
    assert await value(other, "x") == "[1, 2, 'trunk']"


async def test_what_is_too_large_to_be_brought_is_refused(make: Make, places: Path) -> None:
    """A saved session that no ConfigMaps would carry is refused with the setting, and the session is as it was."""
    big = make("--KubernetesBackend.inline_mib=4").session()
    await run(big, "x = bytearray(3_000_000)")
    await big.save("big")
    session = make("--KubernetesBackend.inline_mib=0.5").session()
    await run(session, "x = 1")
    await session.load("big")
    with pytest.raises(StateUnusable, match=r"2\.9 MiB.*inline_mib.*workspace"):
        await session.run("x")
    assert await value(session, "x") == "1"


# -- trouble on the way ------------------------------------------------------------------------------------------------


async def test_a_log_that_is_cut_while_state_goes_out(session: AgentSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the connection breaks between two pieces the log is read again, and each piece counts once."""
    write = carried._Incoming._write
    cuts: list[str] = []

    def cut(incoming: Any, part: wire.Part) -> None:
        write(incoming, part)
        if len(cuts) < 2:
            backend: Any = session._runner.backend
            (sandbox,) = backend._sandboxes
            cuts.append(part.digest)
            sandbox._log.close()

    monkeypatch.setattr(carried._Incoming, "_write", cut)
    code = "import random, hashlib\nparts = [bytearray(random.randbytes(200_000)) for _ in range(10)]\n"
    before = await value(session, code + "def digest(): return hashlib.sha256(b''.join(parts)).hexdigest()\ndigest()")
    assert len(cuts) == 2
    assert session.notices == []
    assert await value(session, "digest()") == before


async def test_config_maps_that_vanish_are_made_again(
    cluster: TestCluster, session: AgentSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster may take a ConfigMap away before the pod has it; the cell then starts later, and starts."""
    await run(session, "x = bytearray(300_000)")
    share_all = JobSandbox._share_all
    gone: list[str] = []

    async def vanish(sandbox: JobSandbox, *, missing: bool = False) -> None:
        if gone:
            await share_all(sandbox, missing=missing)
            return
        gone.extend(sandbox._mounted.names)
        cluster.kubectl("delete", "configmaps", *gone, "--wait=true")

    monkeypatch.setattr(JobSandbox, "_share_all", vanish)
    assert await value(session, "len(x)") == "300000"
    assert len(gone) == 3


# -- what is left ------------------------------------------------------------------------------------------------------


async def test_config_maps_go_with_the_session(cluster: TestCluster, make: Make) -> None:
    """Closing takes the last Job and all that it owns."""
    executor = make("--KubernetesBackend.ttl_s=600")
    session = executor.session()
    await run(session, "x = bytearray(300_000)")
    await run(session, "x[0] = 1")
    assert state_config_maps(cluster)
    assert len(cluster.objects("jobs")) == 1
    await executor.close()
    assert cluster.objects("jobs") == []
    wait_until(lambda: not cluster.objects(), "nothing is left", 20)


async def test_a_state_that_the_quota_does_not_admit_is_an_error(cluster: TestCluster, session: AgentSession) -> None:
    """Where no ConfigMap may be made any more the error names the quota; with room again the session goes on."""
    await run(session, "x = bytearray(300_000)")
    cluster.kubectl("create", "quota", "full", "--hard=count/configmaps=1")
    try:
        wait_until(
            lambda: cluster.kubectl("get", "quota", "full", "-o", "jsonpath={.status.hard.count/configmaps}") == "1",
            "the quota is in force",
        )
        with pytest.raises(SandboxRefused, match=r"sandbox-state-.*exceeded quota: full"):
            await session.run("x")
    finally:
        cluster.kubectl("delete", "quota", "full")
    assert await value(session, "len(x)") == "300000"


HOST = """
import asyncio, sys
from sandbox_kernel import settings
from sandbox_kernel.backends import job, manifests
from sandbox_kernel.executors import SandboxExecutor
# The deadlines of a Job that nobody cleans up are what is waited for.
manifests.SAVE_S, manifests.POD_GRACE_S, manifests.JOB_GRACE_S = 5.0, 1, 5

async def hang(*_):
    print("here", flush=True)
    await asyncio.Event().wait()

async def main():
    session = SandboxExecutor(config=settings.from_options(sys.argv[2:])).session()
    await session.run("x = bytearray(2_000_000)")
    await session._session.settled()
    await session.run("x[0] = 1")
    await session._session.settled()
    if sys.argv[1] == "between two cells":
        await hang()
    if sys.argv[1] == "before the ConfigMaps are made":
        session = SandboxExecutor(config=settings.from_options(sys.argv[2:])).session()
        job.JobSandbox._share_all = hang
    await session.run("print(len(x))\\nwhile True: pass", timeout_s=3.0, on_stream=lambda *_: print("here", flush=True))

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["in a cell", "between two cells", "before the ConfigMaps are made"])
async def test_a_host_that_is_killed_leaves_nothing(when: str, cluster: TestCluster) -> None:
    """Whenever the host is killed, the deadlines of its Jobs remove them, their pods and the ConfigMaps that bring state."""
    check_killed_host(cluster, HOST, when, *cluster.options(), "--Runner.start_timeout_s=20")


# -- on a workspace ----------------------------------------------------------------------------------------------------


#: On the node.
VOLUMES = "/var/tmp/sandbox-kernel-tests"


class Volume:
    """A volume as the administrator sees it: through a pod in another namespace, which has it as a directory."""

    def __init__(self, cluster: TestCluster) -> None:
        self.name = f"sandbox-test-{secrets.token_hex(4)}"
        self._cluster = cluster
        self._folder = f"/volumes/{self.name}"

    def make(self) -> None:
        """Make a directory on the node, a PersistentVolume of it and the claim ``workspace``."""
        container = {
            "name": "look",
            "image": "python:3.11-slim",
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", f"mkdir -m 0777 {self._folder} && sleep 3600"],
            "volumeMounts": [{"name": "volumes", "mountPath": "/volumes"}],
        }
        pod = {
            "terminationGracePeriodSeconds": 0,
            "restartPolicy": "Never",
            "runtimeClassName": "gvisor",
            "containers": [container],
            "volumes": [{"name": "volumes", "hostPath": {"path": VOLUMES, "type": "DirectoryOrCreate"}}],
        }
        volume = {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "hostPath": {"path": f"{VOLUMES}/{self.name}"},
        }
        claim = {
            "accessModes": ["ReadWriteMany"],
            "storageClassName": "",
            "volumeName": self.name,
            "resources": {"requests": {"storage": "1Gi"}},
        }
        self._create({"kind": "Pod", "metadata": {"name": self.name, "namespace": "default"}, "spec": pod})
        self._create({"kind": "PersistentVolume", "metadata": {"name": self.name}, "spec": volume})
        there = {"name": "workspace", "namespace": self._cluster.namespace}
        self._create({"kind": "PersistentVolumeClaim", "metadata": there, "spec": claim})
        _kubectl("wait", "pod", self.name, "--namespace=default", "--for=condition=Ready", "--timeout=90s")
        wait_until(lambda: self.shell(f"stat -c %a {self._folder}") == "777\n", "the volume is everybody's")

    def _create(self, body: dict[str, Any]) -> None:
        _kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", **body}))

    def shell(self, command: str) -> str:
        """Return what a command prints that runs in the volume."""
        return _kubectl("exec", self.name, "--namespace=default", "--", "sh", "-c", f"cd {self._folder} && {command}")

    def files(self) -> list[str]:
        """Name all that is in the folders of the volume."""
        return self.shell("find . -mindepth 2").split()

    def remove(self) -> None:
        """Remove all of it."""
        self.shell(f"rm -rf {self._folder}")
        self._cluster.kubectl("delete", "pvc", "workspace", "--wait=true", "--timeout=60s")
        _kubectl("delete", "pv", self.name, "--wait=true", "--timeout=60s")
        _kubectl("delete", "pod", self.name, "--namespace=default", "--wait=true", "--timeout=60s")


@pytest.fixture
def volume(cluster: TestCluster) -> Iterator[Volume]:
    """A claim ``workspace`` that nothing is left on, and no Job that mounts it."""
    made = Volume(cluster)
    made.make()
    yield made
    wait_until(lambda: not cluster.objects("jobs,pods"), "no Job is left", 60)
    left = made.files()
    made.remove()
    assert left == []


WORKSPACE = "--KubernetesBackend.workspace=workspace"


async def test_a_workspace_carries_what_is_large(volume: Volume, make: Make, notebook_image: str, places: Path) -> None:
    """With a claim 50 MB are there in the next cell; the host holds no byte of them, and closing empties the folder."""
    executor = make(WORKSPACE, notebook_image)
    session = executor.session()
    code = "import numpy, pandas\nframe = pandas.DataFrame({'a': numpy.arange(6_250_000)})\nalso = frame"
    assert (await run(session, code)).ok
    assert (lost(session), session.notices) == ({}, [])
    assert await value(session, "int(frame.a.sum()), frame is also") == "(19531246875000, True)"
    assert len(volume.files()) >= len(parts(session))
    assert [path for path in places.rglob("*") if path.is_file() and path.stat().st_size > MIB // 4] == []
    await run(session, "import os; os.makedirs('/opt/sandbox-parts/of a cell/deep')")
    await executor.close()
    wait_until(lambda: volume.files() == [], lambda: f"the folder is empty: {volume.files()}", 60)


async def test_a_workspace_does_not_grow(volume: Volume, make: Make) -> None:
    """Parts that no point of the history needs any more are removed by the sandboxes that come after."""
    session = make(WORKSPACE, "--Runner.history_points=2").session()
    for number in range(5):
        await run(session, f"import random; random.seed({number}); x = random.randbytes(500_000)")
    assert len([name for name in volume.files() if int(volume.shell(f"stat -c %s {name}")) >= 500_000]) == 3
    await session.undo()
    assert await value(session, "random.seed(3); x == random.randbytes(500_000)") == "True"


async def test_sandboxes_see_their_own_folder_of_a_workspace(volume: Volume, make: Make) -> None:
    """Another runner's parts are not there, and what is rolled back and forked lies in the same folder."""
    one, two = make(WORKSPACE).session(), make(WORKSPACE).session()
    await run(one, "x = 1")
    await run(two, "x = 2")
    look = "import os; sorted(name for name in os.listdir('/opt/sandbox-parts'))"
    assert set(json.loads((await value(one, look)).replace("'", '"'))).isdisjoint(parts(two))
    fork = await one.fork()
    assert (await run(one, f"x = 5\n{DEAF}\nwhile True: pass", timeout_s=3.0)).outcome == "timeout"
    assert await value(one, "x") == "1"
    assert await value(fork, "x") == "1"
    with pytest.raises(StateNotSaved, match="workspace"):
        await one.save("here")


async def test_a_part_that_was_changed_on_the_workspace_is_refused(volume: Volume, make: Make) -> None:
    """One bit that is another one is noticed by the sandbox that loads it; going back a cell helps."""
    session = make(WORKSPACE).session()
    await run(session, "x = 1")
    await run(session, "y = bytearray(300_000)")
    digest = max(parts(session), key=parts(session).__getitem__)
    volume.shell(f"cd */ && printf '\\377' | dd of={digest} bs=1 seek=100000 conv=notrunc")
    with pytest.raises(StateUnusable, match="is not what was saved"):
        await session.run("1")
    await session.undo()
    assert await value(session, "x, 'y' in globals()") == "(1, False)"


async def test_a_claim_that_is_not_there_is_an_error(make: Make) -> None:
    """The claim's name and what the cluster says of it are in the error."""
    session = make("--KubernetesBackend.workspace=nowhere", "--KubernetesBackend.patience_s=1").session()
    with pytest.raises(SandboxRefused, match="nowhere"):
        await session.run("1")

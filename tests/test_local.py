"""What is particular to sandboxes on this machine."""

from __future__ import annotations

import os.path
import subprocess
import sys
from pathlib import Path

import pytest
from test_backend_contract import finished, run, text_of

from sandbox_kernel import runtime
from sandbox_kernel.errors import BackendUnavailable, ConfigurationError
from sandbox_kernel.guest import wire
from sandbox_kernel.lasting import LastingSession
from sandbox_kernel.runner import Runner

pytestmark = pytest.mark.usefixtures("gvisor")


@pytest.fixture
async def local() -> Runner:
    """A runner on this machine."""
    made = Runner(backend_name="local")
    yield made
    await made.close()


async def test_only_the_interpreter_is_visible(local: Runner) -> None:
    """Of the host a cell sees the directories of its Python and no home, no /etc, no /var, no notebook folder."""
    code = (
        "import os, sys\n"
        f"print(os.path.exists({str(Path(__file__))!r}), os.path.exists('/etc/shadow'), os.path.exists('/var'))\n"
        f"print(os.path.exists({str(Path.home() / '.bashrc')!r}), os.listdir('.'))\n"
        "import IPython, traitlets; print('imported')\n"
        "try: open(os.path.join(sys.prefix, 'x'), 'w')\n"
        "except OSError: print('refused')"
    )
    assert text_of(await run(local, code)) == "False False False\nFalse []\nimported\nrefused\n"


async def test_there_is_no_network(local: Runner) -> None:
    """A cell has no interface but the loopback."""
    code = "import socket; print([name for _, name in socket.if_nameindex()])"
    assert text_of(await run(local, code)) == "['lo']\n"


async def test_a_mount_is_read_only_unless_said_otherwise(tmp_path: Path) -> None:
    """A chosen directory is visible; written only where the setting says rw."""
    (tmp_path / "file").write_text("content")
    code = (
        "print(open('/data/file').read())\ntry:\n    open('/data/new', 'w').write('x')\n    print('written')\n"
        "except OSError as e: print(e.strerror)"
    )
    for mode, expected in (("", "Read-only file system"), (":ro", "Read-only file system"), (":rw", "written")):
        runner = Runner(backend_name="local", config=_mounts(f"{tmp_path}:/data{mode}"))
        try:
            assert text_of(await run(runner, code)) == f"content\n{expected}\n"
        finally:
            await runner.close()
    assert (tmp_path / "new").read_text() == "x"


def _mounts(*texts: str):
    from traitlets.config import Config

    return Config({"LocalBackend": {"mounts": list(texts)}})


@pytest.mark.parametrize("text", ["", "/nonexistent:/data", "/usr:relative", "/usr:/", "/usr:/data:rx", "a:b:c:ro"])
async def test_a_bad_mount_says_what_is_wrong(text: str) -> None:
    """A mount that cannot work is refused with its text and the form it should have."""
    runner = Runner(backend_name="local", config=_mounts(text))
    try:
        with pytest.raises(ConfigurationError, match=r"LocalBackend\.mounts"):
            await run(runner, "1")
    finally:
        await runner.close()


async def test_the_environment_is_not_inherited(local: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the host's environment is in the cell's."""
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    events = await run(local, "import os; print(sorted(os.environ))")
    assert "SECRET" not in text_of(events)


async def test_pip_is_that_of_the_python_and_says_itself_that_there_is_no_network(local: Runner) -> None:
    """`pip` is the environment's own. It cannot get a package, and who tries reads so in pip's own words."""
    cell = {"notebook": True, "count": 1}
    said = text_of(await run(local, "import pip\nprint(pip.__path__[0])\n!pip --version", **cell))
    place, version = said.splitlines()
    assert version.startswith("pip ") and os.path.realpath(place) in os.path.realpath(version.split()[3])
    said = text_of(await run(local, "!pip install --no-input --retries 0 pip-is-not-asked-for-this", **cell))
    assert "Failed to establish a new connection" in said or "No matching distribution found" in said, said
    assert "not found" not in said.partition("ERROR")[0], said


async def test_another_python_can_be_chosen() -> None:
    """LocalBackend.python runs the cells in that Python."""
    from traitlets.config import Config

    runner = Runner(backend_name="local", config=Config({"LocalBackend": {"python": "/usr/bin/python3"}}))
    try:
        events = await run(runner, "import sys; print(sys.executable)")
        assert (text_of(events), finished(events).outcome) == ("/usr/bin/python3\n", "ok")
    finally:
        await runner.close()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([sys.executable, "-m", "sandbox_kernel.cli", "run", "-c", "print('ran')"], id="run"),
        pytest.param(
            [
                sys.executable,
                "-c",
                "import asyncio, sandbox_kernel.executors as e\nasyncio.run(e.SandboxExecutor().run('print(\"ran\")'))",
            ],
            id="executor",
        ),
    ],
)
def test_without_gvisor_nothing_runs(command: list[str], tmp_path: Path) -> None:
    """Where there is no gVisor every entry point refuses at once with the command that helps, and runs nothing."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    # Nobody is kept waiting: far below what any wait for a sandbox may take, and above a busy machine's start of Python.
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    assert "sandbox-kernel setup" in done.stderr
    assert "ran\n" not in done.stdout


async def test_a_runsc_that_is_none_is_refused(tmp_path: Path) -> None:
    """A file that is no runsc is named and not used."""
    from traitlets.config import Config

    fake = tmp_path / "runsc"
    fake.write_text("#!/bin/sh\necho runsc version release-20200101.0\n")
    fake.chmod(0o755)
    with pytest.raises(BackendUnavailable, match="runsc"):
        runtime.find(str(fake))
    runner = Runner(backend_name="local", config=Config({"LocalBackend": {"runsc": str(fake)}}))
    try:
        with pytest.raises(BackendUnavailable):
            await run(runner, "1")
    finally:
        await runner.close()


@pytest.mark.parametrize("mode", ["fresh", "carry", "exact"])
async def test_sandboxes_that_stand_by(mode: str) -> None:
    """What was started ahead is what the cell runs in, each once; closing leaves nothing."""
    runner = Runner(backend_name="local", standby=2)
    try:
        session = runner.open_session(mode)
        session.prepare()
        used = []
        for _ in range(3):
            await session.standing_by()
            execution = session.run("x = globals().get('x', 0) + 1; print(x)")
            said = "".join([event.text async for event in execution if isinstance(event, wire.Stream)])
            assert execution.conversation is not None
            assert execution.conversation.ahead
            used.append((said, execution.conversation.request.number))
            if isinstance(session, LastingSession):
                await session.settled()
        assert [said for said, _ in used] == (["1\n"] * 3 if mode == "fresh" else ["1\n", "2\n", "3\n"])
        assert len({number for _, number in used}) == 3
    finally:
        await runner.close()

"""The command line, as a shell sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox_kernel import cli
from sandbox_kernel.errors import SandboxError
from sandbox_kernel.runner import Runner
from sandbox_kernel.session import Session

COMMAND = [sys.executable, "-m", "sandbox_kernel.cli"]


def command(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run sandbox-kernel to its end."""
    return subprocess.run([*COMMAND, *words], input=stdin, capture_output=True, text=True, timeout=120)


def run(options: list[str], *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a snippet on one backend."""
    return command("run", *options, *words, stdin=stdin)


def test_a_snippet_a_file_and_standard_input_run(options: list[str], tmp_path: Path) -> None:
    """All three ways to give code run it, its streams apart."""
    code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7\n"
    (tmp_path / "file.py").write_text(code)
    for words, stdin in ((["-c", code], None), ([str(tmp_path / "file.py")], None), (["-"], code)):
        done = run(options, *words, stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr) == (0, "out\n", "err\n")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        pytest.param("1/0", 1, "ZeroDivisionError: division by zero", id="exception"),
        pytest.param("import sys; sys.exit(7)", 7, "", id="exit"),
        pytest.param("import sys; sys.exit('gone')", 1, "gone", id="exit text"),
        pytest.param("import os; os._exit(9)", 9, "CellDied", id="_exit"),
    ],
)
def test_the_exit_status_follows_the_outcome(options: list[str], code: str, status: int, said: str) -> None:
    """A cell's end is the command's exit status, what it said of it is on stderr."""
    done = run(options, "-c", code)
    assert done.returncode == status
    assert said in done.stderr


def test_a_timeout_is_124(options: list[str]) -> None:
    """As `timeout` does, a cell over its time gives 124."""
    done = run(options, "--timeout", "1", "-c", "print('before', flush=True)\nwhile True: pass")
    assert (done.returncode, done.stdout) == (124, "before\n")
    assert "CellTimeout" in done.stderr


def test_output_comes_as_it_is_written_and_an_interrupt_is_130(options: list[str]) -> None:
    """The first line is there while the cell runs; Ctrl-C then ends it with 130."""
    words = [*COMMAND, "run", *options, "-c", "print('first', flush=True)\nimport time; time.sleep(600)"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "first\n"
        began = time.monotonic()
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 130
        assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["run"], "-c CODE", id="nothing"),
        pytest.param(["run", "x.py", "-c", "1"], "-c CODE", id="two things"),
        pytest.param(["run", "/no/such.py"], "/no/such.py", id="no file"),
        pytest.param(["run", "-c", "1", "--Runner.timout_s=1"], "Did you mean --Runner.timeout_s?", id="setting"),
        pytest.param(["run", "-c", "1", "--Runner.timeout_s=soon"], "--Runner.timeout_s=soon", id="value"),
        pytest.param(["install", "--Runner.nothing=1"], "--Runner.nothing=1", id="install"),
        pytest.param(["run", "-c", "1", "--state", "some"], "'some'", id="state"),
        pytest.param(["run", "-c", "1", "--state", "carry", "--Runner.state=exact"], "--Runner.state=exact", id="two states"),
        pytest.param(
            ["run", "-c", "1", "--backend", "local", "--Runner.backend_name=kubernetes"], "--backend local", id="two backends"
        ),
        pytest.param(["install", "--Runner.backend_name=kubernetes"], "--backend local", id="install, two backends"),
        pytest.param(["install", "--name", "not a name", "--prefix", "x"], "not a name", id="name"),
    ],
)
def test_bad_input_is_named_with_the_next_step(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot work is refused before anything starts, naming the thing."""
    monkeypatch.chdir(tmp_path)
    done = command(*words)
    assert done.returncode in (2, 125)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_install_writes_the_settings_into_the_kernelspec(tmp_path: Path) -> None:
    """An installed kernel has its name, its logos, and the settings in its command line."""
    done = command("install", "--backend", "kubernetes", "--prefix", str(tmp_path), "--KubernetesBackend.image=a/b:c")
    assert done.returncode == 0
    folder = tmp_path / "share" / "jupyter" / "kernels" / "sandbox-kubernetes"
    spec = json.loads((folder / "kernel.json").read_text())
    assert spec == {
        "argv": [
            sys.executable,
            "-c",
            "import sys; sys.path[:] = filter(None, sys.path); import sandbox_kernel.__main__ as it; it.main()",
            "-f",
            "{connection_file}",
            "--Runner.backend_name=kubernetes",
            "--KubernetesBackend.image=a/b:c",
        ],
        "display_name": "Python (sandbox, Kubernetes)",
        "language": "python",
        "interrupt_mode": "message",
        "kernel_protocol_version": "5.5",
        "metadata": {"debugger": False, "supported_encryption": ["curve"]},
    }
    assert sorted(os.listdir(folder)) == ["kernel.json", "logo-svg.svg"]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["--backend", "local", "--state", "carry"], id="short"),
        pytest.param(["--state", "carry", "--Runner.state=carry", "--Runner.backend_name=local"], id="said twice"),
        pytest.param(["--Runner.state=carry"], id="long"),
    ],
)
def test_the_state_is_written_into_the_kernelspec_once(tmp_path: Path, words: list[str]) -> None:
    """--state is short for the setting: traitlets refuses a kernel that is given a setting twice."""
    done = command("install", *words, "--prefix", str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    spec = json.loads((tmp_path / "share" / "jupyter" / "kernels" / "sandbox-local" / "kernel.json").read_text())
    assert spec["argv"][5:] == ["--Runner.backend_name=local", "--Runner.state=carry"]


@pytest.mark.parametrize("words", [["--state", "exact"], ["--Runner.state=exact"]], ids=["short", "long"])
def test_a_state_that_the_backend_cannot_keep_is_refused(tmp_path: Path, words: list[str]) -> None:
    """On Kubernetes there are no checkpoints: install says so, with what there is, and installs nothing."""
    done = command("install", "--backend", "kubernetes", *words, "--prefix", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "The backend 'kubernetes' cannot keep state 'exact', and nothing was installed." in done.stderr
    assert "--state carry, --state fresh" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = command("run", "--backend", "kubernetes", *words, "-c", "1")
    assert done.returncode == 2
    assert "cannot keep state 'exact'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "mode"),
    [
        pytest.param([], "fresh", id="nothing said"),
        pytest.param(["--state", "fresh"], "fresh", id="fresh"),
        pytest.param(["--state", "carry"], "carry", id="carry"),
        pytest.param(["--backend", "local", "--state", "exact"], "exact", id="exact"),
        pytest.param(["--Runner.state=exact"], "exact", id="setting"),
    ],
)
def test_run_keeps_no_state_unless_it_is_told_to(
    words: list[str], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes after one file: a configuration file speaks of state for notebooks; the command line's word counts."""
    (tmp_path / "jupyter_sandbox_kernel_config.py").write_text("c.Runner.state = 'carry'\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.delenv("JUPYTER_NO_CONFIG")
    opened: list[str] = []
    open_session = Runner.open_session

    def note(runner: Runner, state: str | None = None) -> Session:
        opened.append(open_session(runner, state).mode)
        raise SandboxError("That was all.")

    monkeypatch.setattr(Runner, "open_session", note)
    assert cli.main(["run", *words, "-c", "1"]) == cli.OUR_FAILURE
    assert opened == [mode]


def test_all_settings_are_listed() -> None:
    """`settings` has a text for every class, and for what becomes of state."""
    listed = command("settings").stdout
    for name in (
        "Runner.timeout_s",
        "Runner.state",
        "Runner.history_points",
        "Runner.history_mib",
        "LocalBackend.mounts",
        "KubernetesBackend.image",
    ):
        assert name in listed

"""Kernelspecs: what is written, and that the kernel reads from it what was meant."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from sandbox_kernel import install, settings
from sandbox_kernel.backends.kubernetes import KubernetesBackend
from sandbox_kernel.backends.runsc import LocalBackend
from sandbox_kernel.kernel import SandboxKernelApp
from sandbox_kernel.runner import Runner

#: It takes the notebook's folder off the path before it imports anything.
START = "import sys; sys.path[:] = filter(None, sys.path); import sandbox_kernel.__main__ as it; it.main()"
COMMAND = [sys.executable, "-c", START, "-f", "{connection_file}"]
SPEC: dict[str, Any] = {
    "argv": [*COMMAND, "--Runner.backend_name=local"],
    "display_name": "Python (sandbox, local)",
    "language": "python",
    "interrupt_mode": "message",
    "kernel_protocol_version": "5.5",
    "metadata": {"debugger": False, "supported_encryption": ["curve"]},
}
OPTIONS = [
    "--Runner.memory_mib=512",
    "--Runner.timeout_s=None",
    "--LocalBackend.mounts=./a b:/data:ro",
    "--LocalBackend.mounts=~/c:/c:rw",
    "--LocalBackend.environment=A=b=c",
    "--LocalBackend.environment=D={connection_file}",
    "--KubernetesBackend.node_selector=pool=sandbox",
    "--KubernetesBackend.tolerations=key=sandbox",
]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(("local", ()), SPEC, id="local"),
        pytest.param(
            ("kubernetes", ()),
            {
                **SPEC,
                "argv": [*COMMAND, "--Runner.backend_name=kubernetes"],
                "display_name": "Python (sandbox, Kubernetes)",
            },
            id="kubernetes",
        ),
        pytest.param(
            ("local", ["--Runner.memory_mib=512"], "Mine"),
            {**SPEC, "argv": [*SPEC["argv"], "--Runner.memory_mib=512"], "display_name": "Mine"},
            id="with options and a name",
        ),
    ],
)
def test_the_kernelspec(arguments: tuple[Any, ...], expected: dict[str, Any]) -> None:
    """A kernelspec starts this Python with the backend and the options, and interrupts by message."""
    assert install.kernelspec(*arguments) == expected


@pytest.mark.parametrize(
    ("backend", "state", "name"),
    [
        ("local", "carry", "Python (sandbox, local, carry)"),
        ("local", "fresh", "Python (sandbox, local, fresh)"),
        ("local", "exact", "Python (sandbox, local)"),
        ("kubernetes", "fresh", "Python (sandbox, Kubernetes, fresh)"),
        ("kubernetes", "carry", "Python (sandbox, Kubernetes)"),
    ],
)
def test_the_name_says_how_state_is_kept(backend: str, state: str, name: str) -> None:
    """In the launcher a kernel is told from another by its state, where that is not what its backend does by itself."""
    options = [f"--Runner.state={state}", "--Runner.memory_mib=512"]
    assert install.kernelspec(backend, options)["display_name"] == name
    assert install.kernelspec(backend, options, "Mine")["display_name"] == "Mine"


def test_the_state_of_a_backend_is_what_it_does_by_itself() -> None:
    """Names leave out the state that a backend keeps when nobody says how."""
    backends = {"local": LocalBackend, "kubernetes": KubernetesBackend}
    assert {name: backend.modes[0] for name, backend in backends.items()} == install.DEFAULT_STATES


def test_it_is_installed_where_jupyter_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The directory is below the prefix, holds the file and a logo, and Jupyter finds it."""
    path = Path(install.install("local", ["--Runner.memory_mib=512"], prefix=str(tmp_path)))
    assert path == tmp_path / "share" / "jupyter" / "kernels" / "sandbox-local"
    assert sorted(entry.name for entry in path.iterdir()) == ["kernel.json", "logo-svg.svg"]
    assert json.loads((path / "kernel.json").read_text()) == install.kernelspec("local", ["--Runner.memory_mib=512"])
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    found = KernelSpecManager().get_kernel_spec("sandbox-local")
    assert found.interrupt_mode == "message"


def test_several_can_be_installed(tmp_path: Path) -> None:
    """Names keep kernels with different settings apart; one of the same name is replaced."""
    for name, display_name in (("one", "One"), ("two", "Two"), ("one", "One again")):
        install.install("local", name=name, display_name=display_name, prefix=str(tmp_path))
    folder = tmp_path / "share" / "jupyter" / "kernels"
    shown = {path.name: KernelSpec.from_resource_dir(str(path)).display_name for path in folder.iterdir()}
    assert shown == {"one": "One again", "two": "Two"}


def test_a_place_that_may_not_be_written_is_an_os_error(tmp_path: Path) -> None:
    """Where nothing can be written, OSError says so."""
    (tmp_path / "share").write_text("in the way")
    with pytest.raises(OSError, match="share"):
        install.install("local", prefix=str(tmp_path))


def test_a_name_that_is_none_is_refused(tmp_path: Path) -> None:
    """A name that Jupyter does not take, as it would be a path, is a ValueError."""
    with pytest.raises(ValueError, match=r"\.\./x"):
        install.install("local", name="../x", prefix=str(tmp_path))


def test_the_kernel_reads_what_was_installed() -> None:
    """Every option of a kernelspec comes to the trait it was meant for, lists and dicts whole."""
    spec = install.kernelspec("local", OPTIONS)
    app = SandboxKernelApp()
    app.parse_command_line(spec["argv"][3:])
    _, local, kubernetes, _ = settings.classes()
    made = Runner(object(), parent=app)  # type: ignore[arg-type]
    assert (made.backend_name, made.memory_mib, made.timeout_s) == ("local", 512, None)
    backend = local(parent=made)
    assert backend.mounts == ["./a b:/data:ro", os.path.expanduser("~/c:/c:rw")]
    assert backend.environment == {"A": "b=c", "D": "{connection_file}"}
    cluster = kubernetes(parent=made)
    assert (cluster.node_selector, cluster.tolerations) == ({"pool": "sandbox"}, [{"key": "sandbox"}])


def test_the_kernel_reads_what_the_command_line_checked() -> None:
    """What `sandbox-kernel install` accepted means the same to the kernel."""
    app = SandboxKernelApp()
    app.parse_command_line(OPTIONS)
    direct = settings.from_options(OPTIONS)
    for kind in settings.classes():
        arguments = {"backend": object()} if kind is Runner else {}
        ours, theirs = kind(config=direct, **arguments), kind(config=app.config, **arguments)
        for name in kind.class_traits(config=True):
            assert getattr(ours, name) == getattr(theirs, name)

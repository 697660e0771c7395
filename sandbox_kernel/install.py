"""Kernelspecs: how Jupyter finds and starts the kernel."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from importlib import resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager

_STATE = "--Runner.state="
DISPLAY_NAMES = {"local": "Python (sandbox, local)", "kubernetes": "Python (sandbox, Kubernetes)"}
#: How each keeps the state when nobody says.
DEFAULT_STATES = {"local": "exact", "kubernetes": "carry"}


def kernelspec(backend: str, options: Sequence[str], display_name: str | None = None) -> dict[str, Any]:
    """Return the ``kernel.json`` for a backend; ``options`` are settings as on a command line."""
    spec: dict[str, Any] = json.loads((_files() / "kernel.json").read_text(encoding="utf-8"))
    command = [sys.executable, *spec["argv"][1:], f"--Runner.backend_name={backend}", *options]
    return {**spec, "argv": command, "display_name": display_name or _display_name(backend, options)}


def _display_name(backend: str, options: Sequence[str]) -> str:
    """Return the name of a kernel, with the state where that is not the backend's own."""
    name = DISPLAY_NAMES[backend]
    states = [option.removeprefix(_STATE) for option in options if option.startswith(_STATE)]
    return name if not states or states[-1] in ("", DEFAULT_STATES[backend]) else f"{name[:-1]}, {states[-1]})"


def _files() -> Traversable:
    """Return the folder ``kernelspec``: in the package when it was built, beside it in a checkout."""
    built = resources.files("sandbox_kernel") / "kernelspec"
    return built if built.is_dir() else resources.files("sandbox_kernel") / ".." / "kernelspec"


def install(
    backend: str,
    options: Sequence[str] = (),
    *,
    name: str | None = None,
    display_name: str | None = None,
    user: bool = False,
    prefix: str | None = None,
) -> str:
    """Install a kernelspec and return its directory. Raises OSError when it may not be written."""
    spec = kernelspec(backend, options, display_name)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "kernel.json").write_text(json.dumps(spec, indent=1) + "\n")
        for logo in _files().iterdir():
            if logo.name.startswith("logo-"):
                Path(folder, logo.name).write_bytes(logo.read_bytes())
        return str(KernelSpecManager().install_kernel_spec(folder, name or f"sandbox-{backend}", user=user, prefix=prefix))

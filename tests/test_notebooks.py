"""The notebooks of this repository, as CI of a user would run them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"


def test_nbval_finds_the_stored_outputs(kernel_name: str) -> None:
    """Every notebook of single cells gives its stored outputs under nbval, with the kernel of each backend."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--nbval",
            "--nbval-kernel-name",
            kernel_name,
            *(str(path) for path in sorted(NOTEBOOKS.glob("0*.ipynb"))),  # The rest: test_notebooks_state.py
        ],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout

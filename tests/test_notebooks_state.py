"""Notebooks whose cells need what earlier cells made, as CI of a user would run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

#: For all of them: a hundred cells, each with a sandbox of its own.
PATIENCE_S = 900

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"

#: Nothing in them is in the middle of something when a cell ends: values, functions and classes are all there is.
CARRY = [
    "10_classes.ipynb",
    "11_closures.ipynb",
    "13_plots.ipynb",
    "14_dataframes.ipynb",
    "15_files.ipynb",
    "16_seeds.ipynb",
]
#: These leave generators, a database connection with an open transaction, waiting tasks, waiting threads.
EXACT = [*CARRY, "12_generators.ipynb", "17_sqlite.ipynb", "18_asyncio.ipynb", "19_threads.ipynb"]
#: Has matplotlib, pandas and numpy, which some of them need.
IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_NOTEBOOK_IMAGE", "sandbox-notebook")


@pytest.fixture(params=["exact", "carry"])
def state(request: pytest.FixtureRequest) -> str:
    """How the kernel keeps state."""
    return request.param


@pytest.fixture
def options(options: list[str], state: str) -> list[str]:
    """Settings of one backend after the other, as on a command line, with one way to keep state after the other."""
    if state == "exact" and not options[0].endswith("=local"):
        pytest.skip("only a local sandbox is checkpointed")
    options = [option for option in options if "KubernetesBackend.image" not in option]
    image = [f"--KubernetesBackend.image={IMAGE}"] if options[0].endswith("=kubernetes") else []
    return [*options, *image, f"--Runner.state={state}"]


def nbval(kernel_name: str, names: list[str], folder: Path) -> None:
    """Run copies of the notebooks in ``folder``, which is their working directory, and compare."""
    for name in names:
        shutil.copy(NOTEBOOKS / name, folder)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--nbval", "--nbval-kernel-name", kernel_name]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


def test_a_plain_ipykernel_finds_the_stored_outputs(tmp_path: Path) -> None:
    """What is stored is what everybody's kernel gives, so it is what ours has to give."""
    nbval("python3", EXACT, tmp_path)


@pytest.mark.timeout(PATIENCE_S + 60)
def test_nbval_finds_the_stored_outputs(kernel_name: str, state: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A notebook that goes on from cell to cell gives the same with a sandbox for each of them."""
    nbval(kernel_name, EXACT if state == "exact" else CARRY, tmp_path_factory.mktemp("notebooks"))


def test_every_notebook_is_on_a_list() -> None:
    """Nobody adds a notebook that no kernel runs."""
    assert sorted(EXACT) == sorted(path.name for path in NOTEBOOKS.glob("1?_*.ipynb"))

"""nbconvert, papermill and nbclient run a notebook as they stand: our kernel's name is all that they are given."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from conftest import TestCluster, install_kernel, jupyter_path
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from sandbox_kernel import runtime

#: What has pandas and matplotlib.
NOTEBOOK_IMAGE = os.environ.get("SANDBOX_KERNEL_TEST_NOTEBOOK_IMAGE", "sandbox-notebook")

CELLS = [
    new_markdown_cell("# Bees"),
    new_code_cell("bees = 3", metadata={"tags": ["parameters"]}),
    new_code_cell("import sys\nprint('bees:', bees)\nprint('buzz', file=sys.stderr)\nbees * 2"),
    new_code_cell("import pandas\npandas.DataFrame({'bees': [bees]}, index=['hive'])"),
    new_code_cell("import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot([1, 3, 2]);"),
    new_code_cell("def sting(bees):\n    return bees / 0\n\nsting(bees)", metadata={"tags": ["raises-exception"]}),
    new_code_cell("for bee in range(bees):\n    last = bee\nlast"),
]

COMMANDS = {
    "nbconvert": "-m nbconvert --execute --to notebook in.ipynb --output out --ExecutePreprocessor.kernel_name={kernel}",
    "papermill": "-m papermill in.ipynb out.ipynb --kernel {kernel} --parameters bees 5 --no-progress-bar",
    "nbclient": "-m jupyter execute in.ipynb --kernel_name={kernel} --output=out",
}

_COLOUR = re.compile(r"\x1b\[[\d;]*m")


def run(program: str, kernel: str, folder: Path, kernels: Path | None) -> list[list[dict[str, Any]]]:
    """Run the notebook with ``program`` and return the outputs of its cells, the injected one left out."""
    folder.mkdir()
    # papermill ends at an error also where the notebook says that it is meant.
    cells = [cell for cell in CELLS if program != "papermill" or "raises-exception" not in cell.metadata.get("tags", [])]
    notebook = new_notebook(cells=cells, metadata={"kernelspec": {"name": "none", "display_name": "", "language": "python"}})
    nbformat.write(notebook, folder / "in.ipynb")
    places = {"IPYTHONDIR": str(folder / "ipython"), "JUPYTER_DATA_DIR": str(folder / "data"), "MPLCONFIGDIR": str(folder)}
    if kernels is not None:
        places["JUPYTER_PATH"] = jupyter_path(kernels)
    done = subprocess.run(
        [sys.executable, *COMMANDS[program].format(kernel=kernel).split()],
        cwd=folder,
        env={**os.environ, **places},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    made = nbformat.read(folder / "out.ipynb", as_version=4)
    cells = [
        cell for cell in made.cells if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    return [[plain(output) for output in cell.outputs] for cell in cells]


def plain(output: Any) -> dict[str, Any]:
    """Leave out colours, counts, pixels and markup: the rest is the same each time."""
    found = json.loads(json.dumps(output))
    data = found.get("data", {})
    text = {"kinds": sorted(data), "text": data.get("text/plain")} if data else {}
    lines = _COLOUR.sub("", "\n".join(found.get("traceback", []))).splitlines()
    kept = {key: found[key] for key in ("output_type", "name", "ename", "evalue") if key in found}
    if "name" in found:
        text = {"text": found["text"]}
    return {**kept, **text, **({"traceback": lines} if lines else {})}


def expected(bees: int) -> list[list[dict[str, Any]]]:
    """Return what the cells show, but for the traceback."""
    table = f"      bees\nhive     {bees}"
    return [
        [],
        [
            {"output_type": "stream", "name": "stdout", "text": f"bees: {bees}\n"},
            {"output_type": "stream", "name": "stderr", "text": "buzz\n"},
            {"output_type": "execute_result", "kinds": ["text/plain"], "text": f"{bees * 2}"},
        ],
        [{"output_type": "execute_result", "kinds": ["text/html", "text/plain"], "text": table}],
        [{"output_type": "display_data", "kinds": ["image/png", "text/plain"], "text": "<Figure size 200x100 with 1 Axes>"}],
        [{"output_type": "error", "ename": "ZeroDivisionError", "evalue": "division by zero"}],
        [{"output_type": "execute_result", "kinds": ["text/plain"], "text": f"{bees - 1}"}],
    ]


def check(program: str, outputs: list[list[dict[str, Any]]]) -> None:
    """Compare what ``program`` made with what there should be."""
    tracebacks = [each.pop("traceback") for cell in outputs for each in cell if "traceback" in each]
    if program == "papermill":
        bees = expected(5)
        assert outputs == [*bees[:4], bees[5]]
    else:
        assert outputs == expected(3)
        assert "Cell In[" in "\n".join(tracebacks[0])


@pytest.mark.parametrize("program", COMMANDS)
def test_it_runs_a_notebook(program: str, gvisor: runtime.Runtime, tmp_path: Path) -> None:
    """Each of them gives a notebook with the right outputs; papermill's parameters reach the cells."""
    kernel = install_kernel(["--Runner.backend_name=local"], tmp_path)
    check(program, run(program, kernel, tmp_path / "run", tmp_path))


def test_the_outputs_are_those_of_ipykernel(gvisor: runtime.Runtime, tmp_path: Path) -> None:
    """The same notebook with ipykernel and with ours has the same outputs, tracebacks included."""
    kernel = install_kernel(["--Runner.backend_name=local"], tmp_path)
    ours = run("nbclient", kernel, tmp_path / "ours", tmp_path)
    assert ours == run("nbclient", "python3", tmp_path / "theirs", None)


@pytest.mark.cluster
@pytest.mark.parametrize("program", COMMANDS)
def test_it_runs_a_notebook_on_a_cluster(program: str, cluster: TestCluster, tmp_path: Path) -> None:
    """The same with a Job for each cell."""
    kernel = install_kernel(cluster.options(NOTEBOOK_IMAGE), tmp_path)
    check(program, run(program, kernel, tmp_path / "run", tmp_path))

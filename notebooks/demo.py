"""Runs 01_hello.ipynb with the kernel of this checkout and prints what a person would see. `make demo` calls it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from sandbox_kernel.install import install

HERE = Path(__file__).parent


def main() -> int:
    """Execute the notebook; return 1 when a cell that should not fail did."""
    with tempfile.TemporaryDirectory() as prefix:
        install("local", prefix=prefix)
        os.environ["JUPYTER_PATH"] = str(Path(prefix, "share", "jupyter"))
        notebook = nbformat.read(HERE / "01_hello.ipynb", as_version=4)
        # Encrypted, or the kernel warns that it is not.
        encrypted = Config({"KernelManager": {"transport_encryption": "auto"}})
        folder = {"metadata": {"path": HERE}}
        client = NotebookClient(notebook, kernel_name="sandbox-local", timeout=120, resources=folder, config=encrypted)
        began = time.monotonic()
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            print(f"\n{cell.source}\n")
        else:
            show(cell)
    print(f"\nDone in {time.monotonic() - began:.1f} s. Next: sandbox-kernel install --user, and pick it in JupyterLab.")
    return 0


def show(cell: nbformat.NotebookNode) -> None:
    """Print a cell and its outputs."""
    for number, line in enumerate(cell.source.splitlines()):
        prompt = f"In [{cell.execution_count}]: "
        print((prompt if number == 0 else " " * len(prompt)) + line)
    for output in cell.outputs:
        if output.output_type == "stream":
            print(output.text, end="")
        elif output.output_type == "error":
            print("\n".join(output.traceback))
        else:
            prompt = f"Out[{cell.execution_count}]: " if output.output_type == "execute_result" else ""
            print(prompt + output.data.get("text/plain", ""))
    print()


if __name__ == "__main__":
    sys.exit(main())

"""Ours on this machine against ipykernel, as a client of Jupyter's sees them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

CELL = 'print("hi")'
MEGABYTES = 20
FLOOD = f"for _ in range({MEGABYTES * 10_000}):\n    print('x' * 99)"
PRINTS = 30
CLOCK = f"import time\nfor _ in range({PRINTS}):\n    print(time.time())\n    time.sleep(0.25)"
PACKAGES = "import numpy, pandas, matplotlib.pyplot"
KERNELS = {"ours": "sandbox-local", "ours, preloaded": "sandbox-preloaded", "ipykernel": "python3"}
Found = dict[str, list[float]]


@contextmanager
def installed() -> Iterator[None]:
    """Have our kernels in a directory of their own, one as it comes and one that has imported packages."""
    with tempfile.TemporaryDirectory() as prefix:
        before = os.environ.get("JUPYTER_PATH")
        os.environ["JUPYTER_PATH"] = str(Path(prefix) / "share" / "jupyter")
        base = [sys.executable, "-m", "sandbox_kernel.cli", "install", f"--prefix={prefix}", "--Runner.output_mib=64"]
        preload = [f"--LocalBackend.preload={name}" for name in ("numpy", "pandas", "matplotlib.pyplot")]
        subprocess.run(base, check=True, capture_output=True)
        subprocess.run([*base, "--name=sandbox-preloaded", *preload], check=True, capture_output=True)
        try:
            yield
        finally:
            if before is None:
                del os.environ["JUPYTER_PATH"]
            else:
                os.environ["JUPYTER_PATH"] = before


@contextmanager
def running(name: str, found: Found) -> Iterator[BlockingKernelClient]:
    """Start a kernel and note how long it took to answer."""
    began = time.perf_counter()
    manager = KernelManager(kernel_name=name, transport="ipc")
    manager.start_kernel(stderr=-3)
    client: BlockingKernelClient = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        found["start"].append(time.perf_counter() - began)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def run(client: BlockingKernelClient, code: str) -> tuple[float, float]:
    """Run a cell and return the seconds to its first output and to its reply."""
    first: list[float] = []

    def take(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and not first:
            first.append(time.perf_counter())

    began = time.perf_counter()
    reply = client.execute_interactive(code, output_hook=take, timeout=600)
    done = time.perf_counter()
    assert reply["content"]["status"] == "ok", reply["content"]
    return (first or [done])[0] - began, done - began


def prints(client: BlockingKernelClient) -> list[float]:
    """Return the seconds from each print in a cell, which prints the time, to its message on IOPub."""
    found: list[float] = []

    def take(message: dict[str, Any]) -> None:
        now = time.time()
        if message["msg_type"] == "stream":
            found.extend(now - float(line) for line in message["content"]["text"].split())

    reply = client.execute_interactive(CLOCK, output_hook=take, timeout=600)
    assert reply["content"]["status"] == "ok", reply["content"]
    assert len(found) == PRINTS
    return found


def measure(samples: int, starts: int) -> dict[str, Found]:
    """Return for each kernel: start, round trip, first output, and megabytes of prints a second."""
    found: dict[str, Found] = {way: defaultdict(list) for way in KERNELS}
    with installed():
        for name in KERNELS.values():  # Makes the base images, once for each set of settings.
            with running(name, defaultdict(list)) as client:
                run(client, CELL)
        for _ in range(starts):
            for way, name in KERNELS.items():
                began = time.perf_counter()
                with running(name, found[way]) as client:
                    run(client, PACKAGES)
                    found[way]["start and imports"].append(time.perf_counter() - began)
        for way in ("ours", "ipykernel"):
            with running(KERNELS[way], defaultdict(list)) as client:
                run(client, CELL)
                for _ in range(samples):
                    first_s, whole_s = run(client, CELL)
                    found[way]["first output"].append(first_s)
                    found[way]["round trip"].append(whole_s)
                    time.sleep(1.0)  # Somebody reads what is there; the next sandbox comes meanwhile.
                found[way]["print to IOPub"] += prints(client)
                for _ in range(3):
                    found[way]["20 MB of prints"].append(run(client, FLOOD)[1])
    return found


def notebook(cells: int = 50) -> dict[str, float]:
    """Return the seconds that each kernel takes for a cell of a notebook that is run at one go."""
    found = {}
    with installed():
        for way in ("ours", "ipykernel"):
            made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"x = {n}\nprint(x)") for n in range(cells)])
            client = NotebookClient(made, kernel_name=KERNELS[way], timeout=120)
            with client.setup_kernel():
                began = time.perf_counter()
                for index, cell in enumerate(made.cells):
                    client.execute_cell(cell, index)
                found[way] = (time.perf_counter() - began) / cells
    return found


def imports(module: str, samples: int = 5) -> Sequence[float]:
    """Return the seconds that a new Python takes to import a module, beyond what it takes to start."""
    found = []
    for _ in range(samples):
        code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        found.append(float(done.stdout))
    return found

"""How others save and restore the same cells: ``python rivals.py NAME CASE FOLDER`` prints seconds as JSON.

Runs in an environment of its own, because kishu brings its own versions of much. What is timed is what the user waits for
or pays: for dill and cloudpickle writing the file and reading it in a new process that has imported what the cell imported;
for kishu the hooks around a cell, and a checkout of the state before.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

from cases import CASES, IDLE, PREPARE


def timed(call: Any, *arguments: Any) -> float:
    began = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - began


def with_dill(make: str, change: str, folder: Path) -> dict[str, float]:
    import dill

    main = types.ModuleType("bench_main")
    sys.modules["bench_main"] = main
    found = {}
    for name, code in (("save", PREPARE + "\n" + make), ("unchanged", IDLE), ("changed", change)):
        exec(code, main.__dict__)
        found[name] = timed(dill.dump_module, str(folder / "dill"), "bench_main")
    return {**found, "restore": _load_in_new_process("dill", folder)}


def with_cloudpickle(make: str, change: str, folder: Path) -> dict[str, float]:
    import cloudpickle

    space: dict[str, Any] = {}

    def dump() -> None:
        kept = {name: value for name, value in space.items() if not name.startswith("__")}
        with open(folder / "cloudpickle", "wb") as file:
            cloudpickle.dump(kept, file, protocol=5)

    found = {}
    for name, code in (("save", PREPARE + "\n" + make), ("unchanged", IDLE), ("changed", change)):
        exec(code, space)
        found[name] = timed(dump)
    return {**found, "restore": _load_in_new_process("cloudpickle", folder)}


_LOAD = """
import sys, time, types
name, path, imports = sys.argv[1:]
exec(imports)
began = time.perf_counter()
if name == "dill":
    import dill
    sys.modules["bench_main"] = main = types.ModuleType("bench_main")
    began = time.perf_counter()
    dill.load_module(path, "bench_main")
else:
    import cloudpickle, pickle
    began = time.perf_counter()
    pickle.load(open(path, "rb"))
print(time.perf_counter() - began)
"""


def _load_in_new_process(name: str, folder: Path) -> float:
    imports = "import numpy, pandas"
    done = subprocess.run(
        [sys.executable, "-c", _LOAD, name, str(folder / name), imports], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def with_kishu(make: str, change: str, folder: Path) -> dict[str, float]:
    from IPython.core.interactiveshell import InteractiveShell
    from kishu.jupyterint import KishuForJupyter
    from kishu.notebook_id import NotebookId

    notebook = folder / "notebook.ipynb"
    notebook.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    shell = InteractiveShell.instance()
    kishu = KishuForJupyter(NotebookId("bench", notebook, "bench"), shell)
    spent: list[float] = []

    def around(hook: Any) -> Any:
        def run(argument: Any) -> None:
            spent.append(timed(hook, argument))

        return run

    shell.events.register("pre_run_cell", around(kishu.pre_run_cell))
    shell.events.register("post_run_cell", around(kishu.post_run_cell))
    found = {}
    for name, code in (("prepare", PREPARE), ("save", make), ("unchanged", IDLE), ("changed", change)):
        spent.clear()
        assert shell.run_cell(code, store_history=True).success
        found[name] = sum(spent)
    commit = kishu._kishu_graph.list_history()[1].commit_id  # Before the change.
    found["restore"] = timed(lambda: kishu.checkout(commit, skip_notebook=True))
    del found["prepare"]
    return found


if __name__ == "__main__":
    rival, case, place = sys.argv[1:]
    make, change = CASES[case]
    act = {"dill": with_dill, "cloudpickle": with_cloudpickle, "kishu": with_kishu}[rival]
    try:
        print(json.dumps(act(make, change, Path(place))))
    except Exception as error:  # noqa: BLE001 - what a rival cannot do is a result too
        print(json.dumps({"failed": f"{type(error).__name__}: {error}"[:80]}))

"""The guest with each of its shells, as a plain child process: with this environment's IPython, and without any."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guests import Guest, Said

from sandbox_kernel.guest import wire

SHELLS = ("ipython", "plain")
#: For each cell: pandas and matplotlib take their time on a busy machine. Reached only when something hangs.
PATIENCE_S = 120.0
#: Read by a Python at its start.
_HIDING = "import sys\nfor name in ('IPython', 'matplotlib_inline', 'ipykernel'):\n    sys.modules[name] = None\n"


def environment(shell: str, folder: Path) -> dict[str, str]:
    """Return what makes a Python of this environment have the shell."""
    values = {"MPLBACKEND": "agg", "HOME": str(folder / "home"), "MPLCONFIGDIR": str(folder / "mpl")}
    if shell == "plain":
        hiding = folder / "hiding"
        hiding.mkdir(exist_ok=True)
        (hiding / "sitecustomize.py").write_text(_HIDING)
        values["PYTHONPATH"] = str(hiding)
    return values


def run_cells(shell: str, folder: Path, cells: Sequence[str], python: str = sys.executable, **fields: Any) -> list[Said]:
    """Run cells one after another in one process, as in a notebook; return what was said of each."""
    said: list[Said] = []
    settings = fields.pop("settings", {})
    with Guest(folder, python, environment(shell, folder), lasting=True, **settings) as guest:
        for number, code in enumerate(cells, 1):
            values = {"number": number, "count": number, "name": f"Cell In[{number}]", "notebook": True, **fields}
            guest._until = time.monotonic() + PATIENCE_S
            guest.deliver(code, **values)
            begun = len(guest.said)
            guest.until(lambda events, wanted=number: len(events.of(wire.Finished)) == wanted)
            kept = guest.said[begun:]
            said.append(Said(event for event in kept if not isinstance(event, (wire.Ready, wire.Started, wire.Heartbeat))))
        assert guest.complaint() == ""
    return said


def words(said: Said) -> list[str]:
    """Return what was said as ``guests.Said.words`` does, pages as ``p:``, clearing as ``c:``; no line without an end."""
    found = []
    for event in said:
        if isinstance(event, wire.Page):
            found.append("p:" + event.data["text/plain"])
        elif isinstance(event, wire.ClearOutput):
            found.append(f"c:{event.wait}")
    return [*said.words, *found]


def carry_cells(shells: Sequence[str], folder: Path, cells: Sequence[str], **fields: Any) -> list[Said]:
    """Run cells one after another, each in a process of its own to which the state is carried, and in the shell named."""
    parts = folder / "parts"
    parts.mkdir()
    said: list[Said] = []
    head = None
    for number, (shell, code) in enumerate(zip(shells, cells, strict=True), 1):
        carry = {"head": head, "anew": False, "session": "abc", "folder": str(parts), "out": str(parts), "save_s": 20.0}
        settings = {"carry": {**carry, "cap_bytes": None, "advice": "", "dropped": []}}
        with Guest(folder, sys.executable, environment(shell, folder), **settings) as guest:
            guest._until = time.monotonic() + PATIENCE_S
            guest.deliver(code, number=number, count=number, name=f"Cell In[{number}]", notebook=True, **fields)
            said.append(guest.rest())
            assert guest.complaint() == ""
        [saved] = said[-1].of(wire.Saved)
        head = saved.parts[0]
    return said

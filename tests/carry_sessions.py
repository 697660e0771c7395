"""Sessions that carry their state, cell by cell, each cell in a process of its own: see :mod:`carry_runner`.

It isolates nothing: only code of the tests runs in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sandbox_kernel.backends import oci
from sandbox_kernel.shipped import write_guest

RUNNER = Path(__file__).with_name("carry_runner.py")


class Result(dict[str, Any]):
    """What became of a cell. Its items are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(f"{name}: the cell said {dict(self)}") from error

    @property
    def trouble(self) -> str | None:
        return self.get("crash") or self.get("error") or self.get("unloadable")

    @property
    def state(self) -> dict[str, Any]:
        """What the next cell of the session is given: all that the host holds then."""
        return {"head": self.get("head"), "held": self.get("parts", [])}

    @property
    def why(self) -> dict[str, str]:
        """What was lost at its end, by name."""
        return dict(self.lost)


class Runner:
    """Runs cells with the guest of this tree under one Python."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        self.python = python
        self.parts = folder / "parts"
        self.parts.mkdir()
        write_guest(folder / oci.GUEST_PACKAGE)

    def run(self, jobs: Iterable[dict[str, Any]], preload: Sequence[str] = ()) -> list[Result]:
        """Run jobs one after another, each in its own fork of one new process."""
        line = json.dumps([{"parts": str(self.parts), "home": str(self.folder / "home"), **job} for job in jobs])
        done = subprocess.run(
            [self.python, str(RUNNER), str(self.folder), *preload],
            input=line + "\n",
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
                "PYTHONHASHSEED": "5",
                "LANG": "C.UTF-8",
                "HOME": str(self.folder),
                "MPLCONFIGDIR": str(self.folder.parent / "matplotlib"),  # One list of fonts for all tests.
                "MPLBACKEND": "agg",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
            },
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # What is carried is carried in silence.
        return [Result(result) for result in json.loads(done.stdout)]

    def plain(self, cells: dict[str, str], preload: Sequence[str] = ()) -> dict[str, str]:
        """Run single cells without any carrier, and return the trouble of those that had some."""
        jobs = [{"code": code, "name": "Cell In[1]", "plain": True} for code in cells.values()]
        results = zip(cells, self.run(jobs, preload), strict=True)
        return {name: result.trouble for name, result in results if result.trouble}

    def sessions(self, sessions: dict[str, Sequence[str]], preload: Sequence[str] = ()) -> dict[str, str]:
        """Run several sessions, half of them beside the other half, and return the trouble of those that had some."""
        names = list(sessions)
        lanes = [{name: sessions[name] for name in names[lane::2]} for lane in range(2)]
        with ThreadPoolExecutor() as pool:
            first, second = pool.map(lambda lane: self._in_step(lanes[lane], preload, str(lane)), range(2))
        return {**first, **second}

    def _in_step(self, sessions: dict[str, Sequence[str]], preload: Sequence[str], lane: str) -> dict[str, str]:
        """Run the first cell of each session, then the second of each, and so on."""
        places = {"home": str(self.folder / f"home{lane}"), "parts": str(self.folder / f"parts{lane}")}
        Path(places["parts"]).mkdir()
        states: dict[str, dict[str, Any]] = {name: {} for name in sessions}
        trouble: dict[str, str] = {}
        for number in range(max(map(len, sessions.values()), default=0)):
            now = [name for name in sessions if len(sessions[name]) > number and name not in trouble]
            cells = [{"code": sessions[name][number], "name": f"Cell In[{number + 1}]"} for name in now]
            jobs = [{**cell, **places, **states[name]} for cell, name in zip(cells, now, strict=True)]
            for name, result in zip(now, self.run(jobs, preload), strict=True):
                if result.trouble:
                    trouble[name] = f"cell {number + 1}: {result.trouble}"
                states[name] = result.state
        return trouble


class Session:
    """One session: ``session.cell("a = 1")`` returns the :class:`Result`."""

    def __init__(self, runner: Runner, **settings: Any) -> None:
        self.runner = runner
        self.settings = settings
        self.state: dict[str, Any] = {}
        self.number = 0

    def cell(self, code: str, **settings: Any) -> Result:
        self.number += 1
        job = {"code": textwrap.dedent(code), "name": f"Cell In[{self.number}]", **self.state}
        [result] = self.runner.run([{**job, **self.settings, **settings}])
        if "head" in result:
            self.state = result.state
        return result

    def good(self, code: str, **settings: Any) -> Result:
        """Run a cell that must succeed."""
        result = self.cell(code, **settings)
        assert result.trouble is None, result.trouble
        return result

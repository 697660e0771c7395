"""What runs when a host is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import kill_host, start_host, wait_until

from sandbox_kernel.errors import BackendUnavailable
from sandbox_kernel.processes import WILL_BYTES, Processes

HOST = """
import asyncio, sys
from sandbox_kernel.processes import Processes

async def main():
    processes = Processes()
    for mark in ("a", "b"):
        await processes.bequeath(["/bin/sh", "-c", f"echo $HEIR {mark} >> '{sys.argv[1]}'"], {"HEIR": "heir"})
    print("here", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_what_was_bequeathed_last_runs_when_the_host_is_killed(tmp_path: Path) -> None:
    """After a SIGKILL of the host its last will is done once, in the environment that it named."""
    said = tmp_path / "said"
    kill_host(start_host(HOST, str(said)), with_supervisor=False)
    wait_until(lambda: said.exists() and said.read_text().endswith("\n"), "the will is done")
    assert said.read_text() == "heir b\n"


async def test_what_is_taken_back_does_not_run(tmp_path: Path) -> None:
    """A host that has nothing left to be done after it ends as if it had never said anything."""
    said = tmp_path / "said"
    processes = Processes()
    await processes.bequeath([], {})
    await processes.bequeath(["/bin/sh", "-c", f"touch '{said}'"], {})
    await processes.bequeath([], {})
    await processes.close()
    assert not said.exists()


async def test_a_close_waits_for_the_will(tmp_path: Path) -> None:
    """Whoever closes with something left to do finds it done."""
    said = tmp_path / "said"
    processes = Processes()
    await processes.bequeath(["/bin/sh", "-c", f"touch '{said}'"], {})
    await processes.close()
    assert said.exists()


async def test_an_environment_that_is_too_large_ends_nothing() -> None:
    """A packet that no socket takes is refused, and what was started goes on."""
    processes = Processes()
    cat = await processes.spawn(["/bin/cat"])
    with pytest.raises(BackendUnavailable, match="too large"):
        await processes.bequeath(["/bin/true"], {"X": "x" * WILL_BYTES})
    assert not cat.status.done()
    await processes.kill(cat)
    cat.close()
    await processes.close()

"""The tables of what is carried, through real sandboxes: the same session, local and on a cluster.

What each kind and each meaning is, and that they hold in every Python, is tested without sandboxes in test_carry.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from carry_cases import KINDS, MEANINGS, Meaning, check_all, make_all

from sandbox_kernel import settings
from sandbox_kernel.executors import AgentSession, SandboxExecutor
from sandbox_kernel.guest import wire
from sandbox_kernel.runner import Runner

#: Of the image on the cluster, and of the interpreter here where it has packages too.
MINOR = 11
#: Sessions at the same time.
AT_ONCE = 4
PLAIN = [kind for kind in KINDS if not kind.needs and kind.fits(MINOR)]


@pytest.fixture
async def executor(options: list[str]) -> AsyncIterator[SandboxExecutor]:
    """An executor on one backend after the other whose sessions carry."""
    chosen = [*options, "--Runner.state=carry", "--Runner.timeout_s=120"]
    async with SandboxExecutor(config=settings.from_options(chosen)) as made:
        yield made


async def _good(session: AgentSession, code: str) -> None:
    result = await session.run(code)
    assert result.ok, f"{result.error and result.error.traceback}\n{result.stderr}\n{session.notices}"


@pytest.mark.timeout(900)
async def test_hundreds_of_values_are_carried(executor: SandboxExecutor) -> None:
    """Every kind of value without packages is there two sandboxes later, or says that it is not."""
    assert len(PLAIN) >= 120
    session = executor.session()
    for code in (make_all(PLAIN), "pass", check_all(PLAIN)):
        await _good(session, code)
    assert all(notice.startswith("Not carried") for notice in session.notices), session.notices


@pytest.mark.timeout(1200)
async def test_cells_mean_what_they_mean_in_one_process(executor: SandboxExecutor) -> None:
    """A session of several sandboxes goes as it would in a single process."""
    plain = [meaning for meaning in MEANINGS if not meaning.needs]
    assert len(plain) >= 25
    turn = asyncio.Semaphore(AT_ONCE)

    async def play(meaning: Meaning) -> str:
        async with turn:
            session = executor.session()
            for number, code in enumerate(meaning.cells, 1):
                result = await session.run(code)
                if not result.ok:
                    return f"{meaning.id}, cell {number}: {result.error and result.error.traceback} {session.notices}"
            await session.close()
            return ""

    # All to their end, also when one raises: what goes on while the executor closes would hide why.
    wrong = await asyncio.gather(*(play(meaning) for meaning in plain), return_exceptions=True)
    assert "".join(map(str, wrong)) == ""


#: Ways to write to memory past the interpreter: an array ``a`` of bytes is 7 at 3,000,000 then.
WRITES = {
    "itself": "a[3_000_000] = 7",
    "a thread": "import threading\nt = threading.Thread(target=a.__setitem__, args=(3_000_000, 7)); t.start(); t.join()",
    "a view": "memoryview(a)[3_000_000:3_000_001] = b'\\x07'",
    "a file that is read": """
with open("seven", "wb") as file: _ = file.write(b"\\x07")
with open("seven", "rb", buffering=0) as file: _ = file.readinto(memoryview(a)[3_000_000:])
""",
    "a pipe": """
import os
ours, theirs = os.pipe(); _ = os.write(theirs, b"\\x07"); _ = os.readv(ours, [memoryview(a)[3_000_000:3_000_001]])
""",
    "a socket": """
import socket
one, other = socket.socketpair(); other.sendall(b"\\x07"); _ = one.recv_into(memoryview(a)[3_000_000:], 1)
del one, other
""",
    "C": "import ctypes\n_ = ctypes.memset(a.ctypes.data + 3_000_000, 7, 1)",
    "an array that is larger": "b[3_000_000 // 4] = 7",
    "a process that had it too": """
import os
if os.fork() == 0:
    a[:] = 1; os._exit(0)
_ = os.wait(); a[3_000_000] = 7
""",
}


@pytest.mark.timeout(300)
async def test_large_arrays_are_as_they_were_last_written_to() -> None:
    """gVisor is asked whether a large array was written to, and tells of each way to do that."""
    pytest.importorskip("numpy")
    chosen = ["--Runner.backend_name=local", "--Runner.state=carry", "--Runner.timeout_s=120"]
    async with SandboxExecutor(config=settings.from_options(chosen)) as executor:
        session = executor.session()
        for name, code in WRITES.items():
            await _good(
                session, "import numpy as np; a = np.zeros(8_000_000, 'u1'); b = a.view('i4'); c = np.ones(9_000_000, 'u1')"
            )
            await _good(session, f"total = a.sum() + c.sum()\nassert total == 9_000_000\n{code}")
            await _good(session, f"assert a[3_000_000] == 7 and a.sum() == 7 and c.sum() == 9_000_000, {name!r}")
            await _good(session, f"assert a[3_000_000] == 7 and a.sum() == 7 and b.sum() > 0, {name!r}")


@pytest.mark.timeout(300)
async def test_files_named_as_modules_of_python_do_not_keep_a_notebook_from_going_on() -> None:
    """What a notebook's shell needs is Python's own, whatever files the cell before it wrote; `import` finds the files."""
    names = "logging json copyreg random pickle tokenize ast inspect dataclasses typing platform colorsys"
    write = f"for name in {names.split()}:\n    with open(name + '.py', 'w') as file: _ = file.write('mine = 1')\nx = [1]"
    runner = Runner(backend_name="local")
    try:
        session = runner.open_session("carry")
        for count, code in enumerate((write, "import colorsys; assert colorsys.mine and x == [1]", "x += [2]", "x"), 1):
            events = [event async for event in session.run(code, notebook=True, name=f"Cell In[{count}]", count=count)]
            assert [event for event in events if isinstance(event, wire.Error | wire.Stream)] == []
        assert [event.data["text/plain"] for event in events if isinstance(event, wire.Result)] == ["[1, 2]"]
    finally:
        await runner.close()

"""State from cell to cell in real local sandboxes: what is there, what is taken back, what can be gone back to."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox_kernel import runtime
from sandbox_kernel.errors import ConfigurationError, StateUnusable
from sandbox_kernel.executors import Result, SandboxExecutor, SyncSandboxExecutor
from sandbox_kernel.executors.plain import AgentSession
from sandbox_kernel.executors.words import for_programs
from sandbox_kernel.guest import wire
from sandbox_kernel.outcomes import KEPT, ROLLED_BACK


@pytest.fixture(autouse=True)
def saved_sessions(gvisor: runtime.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Saved sessions lie in a directory of this test; gVisor is found where it is."""
    monkeypatch.setenv("RUNSC_PATH", gvisor.path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "sandbox-kernel" / "sessions"


@pytest.fixture(params=["exact", "carry"])
def state(request: pytest.FixtureRequest) -> str:
    """How state is kept."""
    return request.param


@asynccontextmanager
async def a_session(state: str, **settings: Any) -> AsyncIterator[AgentSession]:
    """Open a session of an executor of its own."""
    async with SandboxExecutor("local", state=state, **settings) as executor:
        yield executor.session()


async def value(session: AgentSession, code: str) -> str | None:
    """Run a cell that must end well, and return the value it shows."""
    result = await session.run(code)
    assert result.ok, (code, result)
    return None if result.result is None else result.result["text/plain"]


async def settled(session: AgentSession) -> list[str]:
    """Wait until the last cell's state is taken, and return what was told since the last time."""
    await session._session.settled()
    told = list(session.notices)
    session.notices.clear()
    return told


# -- what is there -----------------------------------------------------------------------------------------------------


async def test_a_session_goes_on(state: str) -> None:
    """Variables, functions, classes, shared references, imports, settings and files are there in the next cell."""
    async with a_session(state) as session:
        made = (
            "import os, math as m\nx = [1]\ny = {'x': x}\n"
            "class A:\n    def __init__(self): self.n = 1\n    def more(self):\n        self.n += 1; return self.n\n"
            "a = A()\ndef f(): return x, a.more()\n"
            "os.environ['NEW'] = 'set'\nopen('left.txt', 'w').write('a file')\nos.mkdir('sub'); os.chdir('sub')"
        )
        assert await value(session, made) is None
        assert await value(session, "x.append(2); y['x'] is x, f()") == "(True, ([1, 2], 2))"
        looked = "f(), isinstance(a, A), m.floor(2.5), os.environ['NEW'], open('../left.txt').read(), os.getcwd()[-3:]"
        assert await value(session, looked) == "(([1, 2], 3), True, 2, 'set', 'a file', 'sub')"
        assert await settled(session) == []


async def test_every_cell_has_a_sandbox_of_its_own(state: str) -> None:
    """However the state is kept, the sandbox of a cell is gone after it, and with it what is no state."""
    async with a_session(state) as session:
        before: set[Path] = set()
        for _ in range(3):
            await session.run("pass")
            await settled(session)
            backend = session._runner.backend
            expected: set[Path] = set()
            if state == "exact":
                assert session._session._next is not None
                following = (await session._session._next).sandbox
                if backend._blanks._making is not None:  # The container for the one after it.
                    await backend._blanks._making
                expected = {following._bundle, backend._blanks._waiting.bundle}
                assert len(expected) == 2 and following._bundle not in before
                before.add(following._bundle)
            await asyncio.gather(*session._runner._closing)  # Nobody waits for the end of the one before.
            assert {path.parent for path in backend._home.glob("*/config.json")} == expected


async def test_what_cannot_be_carried_is_named() -> None:
    """A generator is there in an exact session; in one that carries, who uses it is told why it is not."""
    async with a_session("exact") as session:
        await session.run("g = (n * n for n in range(9)); next(g), next(g)")
        assert await value(session, "next(g)") == "4"
    async with a_session("carry") as session:
        await session.run("g = (n * n for n in range(9)); next(g), next(g); kept = 1")
        await settled(session)
        head = session._session.head()
        assert head is not None and [name for name, _ in head.snapshot.lost] == ["g"]
        result = await session.run("next(g)")
        assert result.outcome == "error" and result.error is not None and "generator" in str(result.error)
        assert await value(session, "kept") == "1"


async def test_names_are_told(state: str) -> None:
    """What a session holds can be asked for, between any two cells."""
    async with a_session(state) as session:
        assert await session._session.names() == []
        await session.run("import os\nnumbers = bytes(100_000); _private = 1\ndef f(): pass")
        told = {name: (kind, size) for name, kind, size in await session._session.names()}
        assert {name: kind for name, (kind, _) in told.items() if name != "os"} == {"numbers": "bytes", "f": "function"}
        assert told["numbers"][1] >= 100_000


async def test_threads_go_on_between_two_cells() -> None:
    """In an exact session a thread prints while no cell runs, and who listens there hears it as it comes."""
    async with a_session("exact") as session:
        heard, came = [], asyncio.Event()

        def hear(event: wire.Event) -> None:
            heard.append(event)
            came.set()

        session._session.background = hear
        code = "import threading, time\ndef tick():\n    for n in range(10**6):\n        print('tick', n); time.sleep(0.1)\n"
        assert (await session.run(code + "t = threading.Thread(target=tick, daemon=True)")).ok
        await settled(session)
        assert heard == []
        await session.run("t.start()")
        await settled(session)
        for _ in range(3):
            await asyncio.wait_for(came.wait(), 60)
            came.clear()
        assert all(isinstance(event, wire.Stream) and event.text.startswith("tick") for event in heard)
        assert await value(session, "t.is_alive()") == "True"


# -- what is taken back ------------------------------------------------------------------------------------------------


async def interrupted(session: AgentSession, code: str) -> Result:
    """Run a cell and interrupt it when it has printed."""
    started = asyncio.Event()
    task = asyncio.ensure_future(session.run(code, on_stream=lambda *_: started.set()))
    await asyncio.wait_for(started.wait(), 60)
    await session.interrupt()
    return await task


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        pytest.param("while True: pass", "timeout", id="timeout"),
        pytest.param("import os; os._exit(3)", "error", id="_exit"),
        pytest.param("import os; os.abort()", "error", id="abort"),
        pytest.param("y = [bytearray(b'1') * 2**26 for _ in range(40)]", "out_of_memory", id="memory"),
        pytest.param("import time; time.sleep(600)", "interrupted", id="interrupt"),
    ],
)
async def test_a_cell_that_is_ended_is_taken_back(state: str, end: str, outcome: str) -> None:
    """A cell that is killed leaves nothing: the next has the state from before it, and the user reads that."""
    async with a_session(state, memory_mib=1024, timeout_s=20.0) as session:
        assert (await session.run("x = [1]\nopen('a', 'w').write('before')")).ok
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
        code = f"{deaf}\nx.append(2)\nopen('a', 'w').write('during')\nprint('go', flush=True)\n{end}"
        if outcome == "interrupted":
            result = await interrupted(session, code)
        else:
            result = await session.run(code, timeout_s=2.0 if outcome == "timeout" else None)
        assert (result.outcome, result.stdout) == (outcome, "go\n")
        assert result.error is not None and result.error.value.endswith(for_programs(ROLLED_BACK))
        assert await value(session, "x, open('a').read()") == "([1], 'before')"
        assert await settled(session) == []


@pytest.mark.parametrize(("end", "outcome"), [("while True: pass", "timeout"), ("time.sleep(600)", "interrupted")])
async def test_a_cell_that_is_stopped_inside_keeps_its_state(state: str, end: str, outcome: str) -> None:
    """What a cell did before its time limit or an interrupt ended it inside stays, and can be taken back."""
    async with a_session(state, timeout_s=60.0) as session:
        assert (await session.run("import time\nx = [1]\nopen('a', 'w').write('before')")).ok
        code = f"x.append(2)\nopen('a', 'w').write('during')\nprint('go', flush=True)\n{end}"
        result = await (session.run(code, timeout_s=2.0) if outcome == "timeout" else interrupted(session, code))
        assert (result.outcome, result.stdout) == (outcome, "go\n")
        assert result.error is not None and end in result.error.traceback
        assert (for_programs(KEPT) in result.error.value) is (outcome == "timeout")
        assert await value(session, "x, open('a').read()") == "([1, 2], 'during')"
        await session.undo(2)
        assert await value(session, "x, open('a').read()") == "([1], 'before')"
        assert await settled(session) == []


async def test_an_exception_is_no_end(state: str) -> None:
    """What a cell did before its exception stays, as in any notebook."""
    async with a_session(state) as session:
        await session.run("x = [1]")
        result = await session.run("x.append(2)\n1/0")
        assert result.error is not None and result.error.name == "ZeroDivisionError"
        assert await value(session, "x") == "[1, 2]"


async def test_the_first_cell_can_be_ended_too(state: str) -> None:
    """After a first cell that died the session begins anew."""
    async with a_session(state) as session:
        assert (await session.run("x = 1; import os; os._exit(1)")).outcome == "error"
        assert await value(session, "'x' in globals()") == "False"


async def test_a_session_says_what_it_did_not_carry() -> None:
    """An agent is told once, when a run's state is taken, and can ask what the next run will not have."""
    async with a_session("carry") as session:
        await session.run("g = (n for n in 'ab'); kept = 1")
        ((name, why),) = await session.not_carried()
        assert name == "g" and "generator" in why
        assert session.notices == [f"Not carried into the next run: g: {why}"]
        await session.run("h = open('f', 'w')")
        assert [name for name, _ in await session.not_carried()] == ["g", "h"]
        (notice,) = session.notices[1:]
        assert notice.startswith("Not carried into the next run: h: ")
        await session.run("del g, h")
        assert await session.not_carried() == []
        assert len(session.notices) == 2


async def test_a_session_carries_the_rest_of_a_container() -> None:
    """What of a dictionary can be carried is there in the next run, and what cannot is told by where it was."""
    async with a_session("carry") as session:
        await session.run("import sqlite3; d = {'db': sqlite3.connect(':memory:'), 'n': 1}")
        ((name, why),) = await session.not_carried()
        assert name == "d['db']" and "sqlite3.Connection" in why
        assert await value(session, "d['n'], len(d)") == "(1, 2)"
        result = await session.run("d['db'].execute('select 1')")
        assert result.error is not None and result.error.name == "NotCarried"
        assert result.error.value.startswith("d['db'] (sqlite3.Connection) was not carried into this cell: ")
        await session.run("d['db'] = 'made again'")
        assert await session.not_carried() == []


async def test_a_session_is_a_context() -> None:
    """A session closes at the end of its `with`; the executor goes on."""
    async with SandboxExecutor("local", state="carry") as executor:
        async with executor.session() as session:
            assert await value(session, "6 * 7") == "42"
        with pytest.raises(ConfigurationError, match="closed"):
            await session.run("1")
    with SyncSandboxExecutor("local", state="carry") as plain, plain.session() as other:
        assert other.run("x = 1; g = (n for n in 'ab')").ok
        assert [name for name, _ in other.not_carried()] == ["g"]


# -- going back --------------------------------------------------------------------------------------------------------


async def test_undo_rewind_and_reset(state: str) -> None:
    """Each state can be gone to again, also those that were left, and the session goes on from there."""
    async with a_session(state) as session:
        for number in (1, 2, 3):
            await session.run(f"x = {number}; open('f', 'a').write('{number}')")
        await session.undo()
        assert await value(session, "x, open('f').read()") == "(2, '12')"  # cell 4
        await session.undo(2)
        assert await value(session, "x, open('f').read()") == "(1, '1')"
        await session.rewind(3)
        assert await value(session, "x, open('f').read()") == "(3, '123')"
        await session.rewind(0)
        assert await value(session, "'x' in globals()") == "False"
        for runs in (0, -3, True, "1"):
            with pytest.raises(ConfigurationError, match="no number of runs"):
                await session.undo(runs)  # type: ignore[arg-type]
        with pytest.raises(StateUnusable, match="There is 1 run to take back, not 2"):
            await session.undo(2)
        assert await settled(session) == []


async def test_a_saved_session_goes_on_elsewhere(state: str, saved_sessions: Path) -> None:
    """A session saved under a name goes on in another process's life, where it is and as often as one likes."""
    async with a_session(state) as session:
        await session.run("x = [1]; import os; open('a', 'w').write('file')")
        await session.save("work")
    assert [path.name for path in saved_sessions.iterdir()] == ["work"]
    for more in (2, 3):
        async with a_session(state) as session:
            await session.run("z = 1")
            await session.load("work")
            assert (
                await value(session, f"x.append({more}); x, open('a').read(), 'z' in globals()")
                == f"([1, {more}], 'file', False)"
            )
            await session.undo(2)
            assert await value(session, "z") == "1"


async def test_a_session_saved_in_another_way_is_refused(state: str) -> None:
    """An exact session does not load what was carried, nor the other way round; the setting that does is named."""
    async with a_session(state) as session:
        await session.run("x = 1")
        await session.save("work")
    other = "carry" if state == "exact" else "exact"
    async with a_session(other) as session:
        with pytest.raises(StateUnusable, match=rf"saved with state '{state}'.*Set state to '{state}'"):
            await session.load("work")
        assert await value(session, "1") == "1"


async def test_a_session_saved_with_other_settings_is_refused() -> None:
    """A whole sandbox goes on only under the settings it was made with, which are named."""
    async with a_session("exact") as session:
        await session.run("x = 1")
        await session.save("work")
    async with a_session("exact", memory_mib=1024) as session:
        with pytest.raises(StateUnusable, match=r"another settings: .*The session is as it was") as raised:
            await session.load("work")
        assert raised.value.advice == "Use the same settings and programs as then."
        assert await value(session, "'x' in globals()") == "False"


RANDOM = "import random, uuid, tempfile, os; own = random.Random(1); random.random()"
DRAW = "(random.random(), random.getrandbits(64), str(uuid.uuid4()), os.urandom(8), tempfile.mktemp()), own.random()"


async def test_forks_are_independent(state: str) -> None:
    """Forks of one state do not see each other, nor does what they came from; one that ends ends alone."""
    async with a_session(state) as session:
        await session.run("x = [0]; open('f', 'w').write('0')")
        forks = [await session.fork() for _ in range(3)]
        codes = [f"x.append({n}); open('f', 'a').write('{n}'); x, open('f').read()" for n in range(1, 4)]
        values = await asyncio.gather(*(value(fork, code) for fork, code in zip(forks, codes, strict=True)))
        assert values == [f"([0, {n}], '0{n}')" for n in range(1, 4)]
        await forks[0].close()
        assert (await forks[1].run("import os; os._exit(1)")).outcome == "error"
        assert await value(forks[1], "x") == "[0, 2]"
        assert await value(session, "x, open('f').read()") == "([0], '0')"
        assert await value(await forks[2].fork(), "x") == "[0, 3]"


async def test_what_is_asked_first_is_done_first(state: str) -> None:
    """Who asks for several things without waiting gets them in that order, whatever each has to wait for."""
    async with a_session(state) as session:
        await session.run("x = [1]")
        await session.run("x = x + [2]")
        *_, shown = await asyncio.gather(session.run("x = x + [3]"), session.undo(), session.run("x"))
        assert shown.result["text/plain"] == "[1, 2]"
        *_, shown = await asyncio.gather(session.run("x = x + [4]"), session.rewind(1), session.run("x"))
        assert shown.result["text/plain"] == "[1]"
        _, fork = await asyncio.gather(session.run("x = x + [5]"), session.fork())
        assert await value(fork, "x") == "[1, 5]"


async def test_what_is_closed_says_so(state: str) -> None:
    """A session or an executor that was closed does nothing any more, and says why."""
    executor = SandboxExecutor("local", state=state)
    session = executor.session()
    await session.run("x = 1")
    await session.close()
    for use in (session.run("x"), session.fork(), session.undo(), session.rewind(0), session.save("a"), session.load("a")):
        with pytest.raises(ConfigurationError, match="session is closed"):
            await use
    await executor.close()
    with pytest.raises(ConfigurationError, match="executor is closed"):
        await executor.run("1")
    with pytest.raises(ConfigurationError, match="executor is closed"):
        executor.session()


async def test_looking_at_what_is_held_runs_no_code_of_the_user_s() -> None:
    """Sizes are asked of what packages made, and not of objects of the session's own classes."""
    async with a_session("exact") as session:
        asks = "def __getattr__(self, name): print(name); raise AttributeError(name)"
        weighs = "def __sizeof__(self): print(1); return 1"
        await session.run(f"class Own(list):\n    {asks}\n    {weighs}\nown, data = Own(), bytearray(5000)")
        found = {name: size for name, _, size in await session._session.names()}
        assert found["data"] > 5000 and found["own"] > 0
        result = await session.run("print('end')")
        assert result.stdout == "end\n"


async def test_what_functions_of_a_fork_say_is_a_notice(state: str) -> None:
    """What functions for a fork print, display and raise, and the programs they start, is a notice of the fork, told once."""
    code = (
        "import sandbox_session, subprocess, sys\n@sandbox_session.on_fork\ndef reconnect():\n    print('connecting')\n"
        "    subprocess.run(['echo', 'started'])\n    display({'a': 1})\n    print('slowly', file=sys.stderr)\n"
        "    subprocess.run(['sh', '-c', 'echo badly >&2'])\n    raise OSError('no way')"
    )
    async with SandboxExecutor(state=state) as executor:
        session = executor.session()
        assert (await session.run(code)).ok
        fork = await session.fork()
        result = await fork.run("print(sandbox_session.id)")
        assert (result.stdout, result.stderr, result.displays) == (f"{fork.id}\n", "", [])
        [notice] = fork.notices
        told = ["connecting", "started", "{'a': 1}", "slowly", "badly"]
        assert notice.splitlines() == [
            f"What sandbox_session.on_fork called said: {told[0]}",
            *told[1:],
            "on_fork function reconnect raised OSError: no way (snippet 1, line 9)",
        ]
        assert (await fork.run("1")).ok and len(fork.notices) == 1 and session.notices == []


async def test_forks_draw_other_numbers(state: str) -> None:
    """What nobody seeded is seeded anew in each fork; what the user seeded goes on the same in all."""
    async with a_session(state) as session:
        await session.run(RANDOM)
        forks = [session, await session.fork(), await session.fork()]
        drawn = [eval(str(await value(fork, DRAW))) for fork in forks]
        for different in zip(*(others for others, _ in drawn), strict=True):
            assert len(set(different)) == len(forks)
        assert len({own for _, own in drawn}) == 1


async def test_a_session_id_is_its_own(state: str) -> None:
    """Code can ask which session it is in: it is the one it runs in, in a fork too."""
    async with a_session(state) as session:
        assert await value(session, "import sandbox_session; sandbox_session.id") == repr(session.id)
        fork = await session.fork()
        assert await value(fork, "sandbox_session.id") == repr(fork.id)
        assert await value(session, "sandbox_session.id") == repr(session.id)


# -- the host reads nothing of it --------------------------------------------------------------------------------------

LEADS_TO_CODE = """
import os
class Trap:
    def __reduce__(self): return (os.system, ('touch /tmp/x',))
trap = Trap(); x = {1: [trap]}
"""


async def test_the_host_evaluates_nothing_of_a_state(state: str) -> None:
    """Saving, loading, forking and going back load no pickle and run no code on the host."""
    seen: list[str] = []
    watching = True

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and event in ("pickle.find_class", "marshal.loads", "marshal.load", "exec", "compile"):
            seen.append(f"{event}: {arguments!r:.200}")

    async with a_session(state) as session:
        await session.run("pass")  # All modules are imported by then, and their code is loaded.
        await session.save("first")
        await session.load("first")
        await session._session.names()
        sys.addaudithook(audit)
        try:
            await session.run(LEADS_TO_CODE)
            await session.save("trap")
            await session.load("trap")
            fork = await session.fork()
            await fork.run("x")
            await session.undo()
            await session._session.names()
        finally:
            watching = False
    assert seen == []

"""What a cell can rely on, the same on every backend, in real sandboxes."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from sandbox_kernel.errors import SandboxError
from sandbox_kernel.execution import Execution
from sandbox_kernel.guest import wire
from sandbox_kernel.outcomes import ROLLED_BACK
from sandbox_kernel.runner import Runner


async def run(runner: Runner, code: str, **options: Any) -> list[wire.Event]:
    """Run one cell and return its events, neighbouring writes to one stream joined."""
    return joined([event async for event in runner.open_session().run(code, name="Cell In[1]", **options)])


def joined(events: list[wire.Event]) -> list[wire.Event]:
    """Join what the timing of writes has divided."""
    made: list[wire.Event] = []
    for event in events:
        last = made[-1] if made else None
        if isinstance(event, wire.Stream) and isinstance(last, wire.Stream) and last.name == event.name:
            made[-1] = wire.Stream(event.name, last.text + event.text)
        else:
            made.append(event)
    return made


def text_of(events: list[wire.Event], name: str = "stdout") -> str:
    """Return all that was written to a stream."""
    return "".join(event.text for event in events if isinstance(event, wire.Stream) and event.name == name)


def finished(events: list[wire.Event]) -> wire.Finished:
    """Return the trailer, which comes last."""
    assert isinstance(events[-1], wire.Finished)
    return events[-1]


async def test_out_err_out_keeps_its_order(runner: Runner) -> None:
    """What is written to stdout, stderr and stdout again arrives in that order, from Python and from programs."""
    code = (
        "import os, sys\nprint('a')\nprint('b', file=sys.stderr)\nos.system('echo c')\nos.write(2, b'd\\n')\nprint('e')\n6*7"
    )
    events = await run(runner, code)
    assert events[:-1] == [
        wire.Stream("stdout", "a\n"),
        wire.Stream("stderr", "b\n"),
        wire.Stream("stdout", "c\n"),
        wire.Stream("stderr", "d\n"),
        wire.Stream("stdout", "e\n"),
        wire.Result({"text/plain": "42"}, {}),
    ]
    assert (finished(events).outcome, finished(events).exit_status) == ("ok", 0)


async def test_the_first_line_arrives_while_the_cell_runs(runner: Runner) -> None:
    """A printing loop is seen line by line, not at its end."""
    code = "import time\nfor i in range(3):\n    print(i)\n    time.sleep(0.7)"
    seen = []
    async for event in runner.open_session().run(code):
        if isinstance(event, wire.Stream | wire.Finished):
            seen.append((type(event), time.monotonic()))
    assert seen[0][0] is wire.Stream
    assert seen[-1][1] - seen[0][1] > 1.0


async def test_a_cell_runs_in_gvisor(runner: Runner) -> None:
    """The kernel that a cell talks to says that it is gVisor."""
    assert "gvisor" in text_of(await run(runner, "import os; print(os.uname().release)")).lower()


async def test_an_exception_names_the_cell(runner: Runner) -> None:
    """An exception comes with the cell's name, line and source, and none of our own frames."""
    events = await run(runner, "def f():\n    return 1 / 0\nf()")
    error = next(event for event in events if isinstance(event, wire.Error))
    assert (error.name, error.value) == ("ZeroDivisionError", "division by zero")
    assert '  File "Cell In[1]", line 2, in f' in error.traceback
    assert not any("_sandbox_guest" in line for line in error.traceback)
    assert finished(events).outcome == "error"


async def test_a_timeout_keeps_the_partial_output(runner: Runner) -> None:
    """A cell over its time ends as CellTimeout that names the limit; what it wrote before is there."""
    began = time.monotonic()
    execution = runner.open_session().run("print('before')\nwhile True: pass", timeout_s=1.0)
    events = joined([event async for event in execution])
    assert events[0] == wire.Stream("stdout", "before\n")
    assert isinstance(events[1], wire.Error)
    assert events[1].name == "CellTimeout"
    assert "1 s" in events[1].value
    assert finished(events).outcome == "timeout"
    assert execution.timings.started_s is not None
    assert time.monotonic() - began - execution.timings.started_s < 5


async def test_an_interrupt_ends_the_cell(runner: Runner) -> None:
    """An interrupted cell ends as KeyboardInterrupt; one that ignores signals does when its grace is over."""
    session = runner.open_session()
    events: list[wire.Event] = []
    interrupted = 0.0
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nprint('go', flush=True)\ntime.sleep(60)"
    async for event in session.run(code):
        events.append(event)
        if isinstance(event, wire.Stream) and not interrupted:
            interrupted = time.monotonic()
            await session.interrupt()
    assert time.monotonic() - interrupted < 5
    assert events[-2] == wire.Error("KeyboardInterrupt", ROLLED_BACK, [f"KeyboardInterrupt: {ROLLED_BACK}"])
    assert finished(events).outcome == "interrupted"


async def test_an_interrupt_before_the_sandbox_is_ready_ends_the_cell(runner: Runner) -> None:
    """A cell that is interrupted while its sandbox starts never runs."""
    session = runner.open_session()
    execution: Execution = session.run("print('ran')")

    async def gather() -> list[wire.Event]:
        return [event async for event in execution]

    task = asyncio.ensure_future(gather())
    await asyncio.sleep(0)
    await session.interrupt()
    events = await task
    assert text_of(events) == ""
    assert finished(events).outcome == "interrupted"


async def test_each_cell_has_a_fresh_sandbox(runner: Runner) -> None:
    """Neither a variable nor a file nor a process of one cell is there in the next."""
    code = (
        "x = 1\nopen('left', 'w').write('x')\nopen('/tmp/left', 'w').write('x')\n"
        "import subprocess; subprocess.Popen(['sleep', '600'])"
    )
    assert finished(await run(runner, code)).outcome == "ok"
    code = (
        "import os\nprograms = [open(f'/proc/{pid}/cmdline').read() for pid in os.listdir('/proc') if pid.isdigit()]\n"
        "print('x' in globals(), os.listdir('.'), 'left' in os.listdir('/tmp'), any('sleep' in name for name in programs))"
    )
    assert text_of(await run(runner, code)) == "False [] False False\n"


async def test_running_out_of_memory_is_an_outcome(runner: Runner) -> None:
    """A cell that takes more memory than its limit ends as CellOutOfMemory that names the limit."""
    runner.memory_mib = 1024
    events = await run(
        runner, "print('before', flush=True)\nx = [bytearray(b'1') * 2**26 for _ in range(40)]\nprint('after')"
    )
    error = next(event for event in events if isinstance(event, wire.Error))
    assert error.name == "CellOutOfMemory"
    assert "1024 MiB" in error.value
    assert "after" not in text_of(events)
    assert finished(events).outcome == "out_of_memory"


@pytest.mark.parametrize(
    ("code", "outcome", "status", "name"),
    [
        pytest.param("import sys; sys.exit(0)", "ok", 0, None, id="exit 0"),
        pytest.param("import sys; sys.exit(3)", "error", 3, "SystemExit", id="exit 3"),
        pytest.param("import os; os._exit(4)", "error", 4, "CellDied", id="_exit"),
        pytest.param("import os; os.abort()", "error", 134, "CellDied", id="abort"),
        pytest.param("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "error", 137, "CellDied", id="SIGKILL"),
    ],
)
async def test_the_exit_status_says_how_a_cell_ended(
    runner: Runner, code: str, outcome: str, status: int, name: str | None
) -> None:
    """Leaving the interpreter is an outcome with its status, whichever way it is left."""
    events = await run(runner, code)
    errors = [event.name for event in events if isinstance(event, wire.Error)]
    assert (finished(events).outcome, finished(events).exit_status) == (outcome, status)
    assert errors == ([] if name is None else [name])


async def test_output_over_the_limit_is_cut_once(runner: Runner) -> None:
    """Of 20 MB of output the limit's worth arrives, one event says so, and the cell still ends well."""
    runner.output_mib = 1.0
    events = await run(runner, "for i in range(200_000): print('x' * 99)\n'end'")
    assert sum(isinstance(event, wire.Truncated) for event in events) == 1
    assert 500_000 < len(text_of(events)) < 1_100_000
    assert finished(events).outcome == "ok"


async def test_processes_are_limited(runner: Runner) -> None:
    """A cell cannot start more processes than its limit, and the sandbox survives the attempt."""
    runner.processes = 20
    code = (
        "import subprocess\nstarted = []\ntry:\n    for _ in range(60): started.append(subprocess.Popen(['sleep', '60']))\n"
        "except OSError as error: print(type(error).__name__, 5 < len(started) < 30)"
    )
    assert text_of(await run(runner, code)) == "BlockingIOError True\n"


async def test_a_full_disk_is_the_cells_own_error(runner: Runner) -> None:
    """Writing more than a directory's size is an OSError in the cell, which goes on."""
    runner.disk_mib = 16
    code = (
        "for path in ('big', '/tmp/big'):\n    try:\n        with open(path, 'wb') as file:\n"
        "            for _ in range(20): file.write(bytes(10**6)); file.flush()\n"
        "    except OSError as error: print(path, error.strerror)"
    )
    events = await run(runner, code)
    assert set(text_of(events).split("\n")[0].split(" ", 1)[1:]) <= {"No space left on device", "File too large"}
    assert len(text_of(events).splitlines()) == 2
    assert finished(events).outcome == "ok"


async def test_a_cell_has_no_rights(runner: Runner) -> None:
    """A cell is an ordinary user without capabilities, token or foreign environment."""
    code = (
        "import os\nstatus = dict(line.split(':\\t', 1) for line in open('/proc/self/status') if ':\\t' in line)\n"
        "print(os.getuid(), int(status['CapEff'], 16), int(status['CapBnd'], 16), os.path.exists('/var/run/secrets'))\n"
        "print(sorted(name for name in os.environ if 'KUBE' in name or 'TOKEN' in name or 'SSH' in name))"
    )
    assert text_of(await run(runner, code)) == "65534 0 0 False\n[]\n"


async def test_files_go_in_and_come_out(runner: Runner) -> None:
    """Input files are in the working directory, and what the cell leaves there comes back."""
    code = "data = open('in/a.txt').read()\nopen('out.txt', 'w').write(data.upper())"
    events = await run(runner, code, files={"in/a.txt": "aGVsbG8="}, collect_bytes=1 << 20)
    assert [event for event in events if isinstance(event, wire.File)] == [wire.File("out.txt", 5, "SEVMTE8=")]


async def test_several_cells_run_at_once(runner: Runner) -> None:
    """Executions of one runner overlap and do not mix."""
    results = await asyncio.gather(*(run(runner, f"print({number})") for number in range(4)))
    assert [text_of(events) for events in results] == [f"{number}\n" for number in range(4)]


async def test_an_abandoned_cell_is_ended(runner: Runner) -> None:
    """Whoever stops listening to a cell ends it; the check after each test sees that nothing is left."""
    async for event in runner.open_session().run("print('go', flush=True)\nimport time; time.sleep(600)"):
        assert isinstance(event, wire.Stream)
        break


async def test_large_code_is_delivered_or_refused_clearly(runner: Runner) -> None:
    """Half a megabyte of source runs everywhere; what a backend cannot deliver is an error that says the limit."""
    code = "x = '" + "y" * 500_000 + "'\nprint(len(x))"
    assert text_of(await run(runner, code)) == "500000\n"
    try:
        events = await run(runner, "x = '" + "y" * 2_000_000 + "'\nprint(len(x))")
    except SandboxError as error:
        assert "1048576" in str(error)  # noqa: PT017 - only some backends raise
    else:
        assert text_of(events) == "2000000\n"

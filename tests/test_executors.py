"""The executor on every backend, asynchronous and synchronous."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox_kernel import errors, outcomes, settings
from sandbox_kernel.errors import ConfigurationError, StateUnusable
from sandbox_kernel.executors import SandboxExecutor, SyncSandboxExecutor, words
from sandbox_kernel.runtime import Runtime


@pytest.fixture
async def executor(options: list[str]) -> AsyncIterator[SandboxExecutor]:
    """An executor on one backend after the other."""
    async with SandboxExecutor(config=settings.from_options(options)) as made:
        yield made


async def test_a_result_has_everything_apart(executor: SandboxExecutor) -> None:
    """Streams, the last value, displays, files and timings come in fields of their own."""
    code = (
        "import sys\nprint('out')\nprint('err', file=sys.stderr)\ndisplay([1])\n"
        "open('out.bin', 'wb').write(open('in.txt', 'rb').read()[::-1])\n6 * 7"
    )
    seen: list[tuple[str, str]] = []
    result = await executor.run(code, files={"in.txt": "abc"}, on_stream=lambda *stream: seen.append(stream))
    assert (result.outcome, result.exit_status, result.ok, result.error) == ("ok", 0, True, None)
    assert (result.stdout, result.stderr) == ("out\n", "err\n")
    assert "".join(text for name, text in seen if name == "stdout") == "out\n"
    assert result.result == {"text/plain": "42"}
    assert result.displays == [{"text/plain": "[1]"}]
    assert result.files == {"out.bin": b"cba"}
    assert result.complete
    assert result.timings.finished_s is not None


async def test_what_the_code_does_wrong_is_in_the_result(executor: SandboxExecutor) -> None:
    """An exception is an outcome with name, value and traceback; nothing is raised, and stdout is kept."""
    result = await executor.run("print('before')\n{}['key']")
    assert result.error is not None
    assert (result.outcome, result.exit_status, result.stdout) == ("error", 1, "before\n")
    assert (result.error.name, result.error.value) == ("KeyError", "'key'")
    assert 'File "snippet.py", line 2' in result.error.traceback


async def test_a_timeout_of_one_run_counts_for_that_run(executor: SandboxExecutor) -> None:
    """timeout_s of a call ends that snippet alone."""
    slow, quick = await asyncio.gather(executor.run("while True: pass", timeout_s=1.0), executor.run("print(1)"))
    assert (slow.outcome, quick.outcome) == ("timeout", "ok")
    assert slow.error is not None
    assert slow.error.name == "CellTimeout"


async def test_a_pool_is_there_when_it_is_said_to_be(options: list[str]) -> None:
    """After standing_by() as many sandboxes wait as the setting says, and each of as many snippets gets one of them."""
    async with SandboxExecutor(config=settings.from_options([*options, "--Runner.standby=2"])) as executor:
        await executor.standing_by()
        assert executor._session is not None
        waiting = {standby.starting.result() for standby in executor._session._standbys._waiting if standby.ready}
        assert len(waiting) == 2
        results = await asyncio.gather(*(executor.run("print(1)") for _ in range(2)))
        assert [result.stdout for result in results] == ["1\n", "1\n"]
        assert all(conversation.ahead for conversation in waiting)


async def test_a_cancelled_run_ends_its_snippet(executor: SandboxExecutor) -> None:
    """Cancelling the call ends the sandbox; the check after each test sees that nothing is left."""
    started = asyncio.Event()
    code = "print('go', flush=True)\nimport time; time.sleep(600)"
    task = asyncio.ensure_future(executor.run(code, on_stream=lambda *_: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_terminal_sequences_do_not_reach_the_result(executor: SandboxExecutor) -> None:
    """An agent's transcript gets colours at most."""
    result = await executor.run(r"print('\x1b]52;c;aGk=\x07a\x1b[2Jb\x1b[31mc')")
    assert result.stdout == "ab\x1b[31mc\n"


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", ".", "a//b"])
async def test_a_bad_file_name_is_refused(name: str) -> None:
    """Names of input files stay in the working directory."""
    async with SandboxExecutor() as executor:
        with pytest.raises(ConfigurationError, match="name of an input file"):
            await executor.run("1", files={name: b""})


def test_an_unknown_setting_is_refused() -> None:
    """A setting that does not exist is named, with the nearest that does."""
    with pytest.raises(ConfigurationError, match="timeout_s"):
        SandboxExecutor(timout_s=3)


def test_the_backend_may_be_given_by_the_name_of_the_setting() -> None:
    """backend_name is what it says, with the settings of that backend; two that differ are refused."""
    named = settings.from_keywords("local", {"backend_name": "kubernetes", "namespace": "a"})
    assert named == settings.from_keywords("kubernetes", {"namespace": "a"})
    assert named.Runner.backend_name == "kubernetes"
    with pytest.raises(ConfigurationError, match="no setting 'mounts' for the kubernetes backend"):
        SandboxExecutor(backend_name="kubernetes", mounts=[])
    with pytest.raises(ConfigurationError, match="backend='kubernetes'"):
        SyncSandboxExecutor("kubernetes", backend_name="local")


def test_the_synchronous_one_works_from_any_thread(options: list[str]) -> None:
    """Threads share one synchronous executor, also one that has an event loop of its own."""
    with SyncSandboxExecutor(config=settings.from_options(options)) as executor:
        results: dict[int, str] = {}

        def work(number: int) -> None:
            results[number] = executor.run(f"print({number})").stdout

        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        async def inside_a_loop() -> str:
            return executor.run("print('loop')").stdout

        assert asyncio.run(inside_a_loop()) == "loop\n"
        assert results == {number: f"{number}\n" for number in range(3)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (errors.GO_BACK, "Go back to another with `session.undo()`, or begin anew with `session.rewind(0)`."),
        (outcomes.KEPT, "What it made until then is kept; `session.undo()` goes back to before it."),
        (outcomes.ROLLED_BACK, "The next run has the state from before this one."),
        ("`%sandbox undo 2` goes back to before them.", "`session.undo(2)` goes back to before them."),
        ("`%sandbox log` lists them.", ""),
        ("The state after cell 3 is not saved: /a/cell/b, 'cell', cell.py. Two cells.", None),
        (
            "The cell was ended after 3 s. Runner.timeout_s sets the limit.",
            "The run was ended after 3 s. timeout_s sets the limit.",
        ),
    ],
)
def test_programs_read_what_programs_have(text: str, expected: str | None) -> None:
    """Advice names runs, methods and keywords; what is a name or a path stays as it is."""
    told = "The state after run 3 is not saved: /a/cell/b, 'cell', cell.py. Two runs."
    assert words.for_programs(text) == (told if expected is None else expected)


def test_no_advice_for_notebooks_is_left_to_programs() -> None:
    """Every text below the kernel that names a command of the notebook has other words for programs."""
    root = Path(words.__file__).parent.parent
    above = {"commands", "kernel", "answers", "completion", "completeness", "sessions"}
    found = []
    for path in [*root.glob("*.py"), *root.glob("backends/*.py"), *root.glob("state/*.py")]:
        if path.stem in above:
            continue
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.count("`") % 2 == 0:
                found.append(node.value)
    told = [text for text in found if "%sandbox" in text]
    assert len(told) > 5
    assert [text for text in told if "%" in words.for_programs(text)] == []


async def test_errors_of_a_session_name_its_methods(gvisor: Runtime) -> None:
    """What is raised, noted and told of how a run ended is said with what a program has."""
    async with SandboxExecutor(timeout_s=1, interrupt_grace_s=5) as executor:
        session = executor.session()
        await session.run("a = 1")
        result = await session.run("b = 2\nwhile True: pass")
        assert result.error is not None
        assert result.error.value.endswith("`session.undo()` goes back to before it.") and "timeout_s" in result.error.value
        with pytest.raises(
            StateUnusable, match=r"^There are 2 runs to take back, not 5\. `session\.rewind\(run\)` goes to any"
        ):
            await session.undo(5)
        with pytest.raises(StateUnusable, match=r"^There is no state after a run '9'\. Kept are those after: 1, 2\.$"):
            await session.rewind(9)
        with pytest.raises(StateUnusable, match=r"no saved session 'talk-no'.*`session\.save\(name\)` makes one"):
            await session.load("talk-no")
        result = await session.run("input()")
        assert result.error is not None
        assert (result.error.name, result.error.value) == ("EOFError", "nobody can answer: there is no input here")
        result = await session.run("import os; os.kill(os.getpid(), 11)")
        assert result.error is not None and result.error.value.endswith("The next run has the state from before this one.")


def test_importing_it_brings_no_jupyter() -> None:
    """Neither Jupyter's packages nor the cluster's come with the import."""
    names = ["ipykernel", "jupyter_client", "zmq", "IPython", "kubernetes", "aiohttp"]
    code = f"import sys, sandbox_kernel.executors\nprint([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

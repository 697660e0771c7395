"""The executor on every backend, asynchronous and synchronous."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator

import pytest

from sandbox_kernel import settings
from sandbox_kernel.errors import ConfigurationError
from sandbox_kernel.executors import SandboxExecutor, SyncSandboxExecutor


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


def test_importing_it_brings_no_jupyter() -> None:
    """Neither Jupyter's packages nor the cluster's come with the import."""
    names = ["ipykernel", "jupyter_client", "zmq", "IPython", "kubernetes", "aiohttp"]
    code = f"import sys, sandbox_kernel.executors\nprint([name for name in {names} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

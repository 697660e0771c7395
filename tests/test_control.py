"""gVisor's control plane is asked by its socket and by runsc alike, and what it does not answer well is told."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox_kernel import build, runtime, usage
from sandbox_kernel.backends import affinity, container, control, images
from sandbox_kernel.errors import StateNotSaved
from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.executors.plain import AgentSession


async def test_the_socket_is_spoken_with_the_gvisor_that_is_built() -> None:
    """Whoever takes another gVisor reads its pkg/urpc and runsc/boot/controller.go again, and says so in control.SPOKEN."""
    assert build.pin().version == control.SPOKEN


# -- with real sandboxes: both ways do the same


@pytest.fixture(params=["socket", "commands"])
def way(request: pytest.FixtureRequest, gvisor: runtime.Runtime, monkeypatch: pytest.MonkeyPatch) -> str:
    """Ask gVisor in one way or the other."""
    if request.param == "commands":
        monkeypatch.setattr(control, "SPOKEN", "another release")
    elif gvisor.version != control.SPOKEN:
        pytest.skip(f"this gVisor is {gvisor.version}, whose control socket nobody has read")
    return str(request.param)


@asynccontextmanager
async def a_sandbox() -> AsyncIterator[tuple[AgentSession, container.LocalSandbox]]:
    """Give a session and the sandbox that waits in it."""
    async with SandboxExecutor("local", state="exact") as executor:
        session = executor.session()
        assert (await session.run("x = 1")).ok
        await session._session.settled()
        assert session._session._next is not None
        sandbox = (await session._session._next).sandbox
        assert isinstance(sandbox, container.LocalSandbox)
        yield session, sandbox


async def test_a_sandbox_stands_still_is_written_and_goes_on(way: str, tmp_path: Path) -> None:
    """After an image was written the sandbox goes on as if nothing had been, however often."""
    async with a_sandbox() as (session, sandbox):
        kind = control.Socket if way == "socket" else control.Commands
        assert isinstance(sandbox._control, kind)
        for name in ("once", "again"):
            await sandbox._control.pause()
            (tmp_path / name).mkdir()
            await sandbox._control.checkpoint(tmp_path / name)
            assert {path.name for path in (tmp_path / name).iterdir()} == set(images.FILES)
            assert images.marks(tmp_path / name)["checkpoint.img"][0] > 0
            await sandbox._control.resume()
            await sandbox._control.resume()  # One that goes on is left alone.
        result = await session.run("x + 1")
        assert result.result == {"text/plain": "2"}


async def test_what_cannot_be_written_is_told_and_the_sandbox_lives(way: str, tmp_path: Path) -> None:
    """Where there is no place for an image the cause is named, and the sandbox can go on."""
    async with a_sandbox() as (session, sandbox):
        await sandbox._control.pause()
        (tmp_path / images.FILES[0]).touch()
        with pytest.raises(StateNotSaved, match=r"(?i)file exists") as caught:
            await sandbox._control.checkpoint(tmp_path)
        assert caught.value.alive
        await sandbox._control.resume()
        assert (await session.run("x")).result == {"text/plain": "1"}


async def test_a_sandbox_that_has_ended_is_told(way: str) -> None:
    """Nothing waits for an answer of a sandbox that is gone."""
    async with a_sandbox() as (_, sandbox):
        await sandbox.kill()
        with pytest.raises(StateNotSaved):
            await sandbox._control.pause()


# -- answers that the real one does not give on demand


@asynccontextmanager
async def answering(folder: Path, answer: Callable[[bytes], bytes | None]) -> AsyncIterator[control.Socket]:
    """Serve a control socket that answers like this; None: not at all."""
    asked: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)
        said = answer(await reader.read(1 << 16))
        if said is not None:
            writer.write(said)
            writer.close()

    server = await asyncio.start_unix_server(serve, str(folder / "control.sock"))
    try:
        yield control.Socket(folder / "control.sock")
    finally:
        server.close()
        for writer in asked:
            writer.close()


OK = json.dumps({"success": True, "err": "", "result": {}}).encode()


async def test_what_is_asked(tmp_path: Path) -> None:
    """A question is one object, with gVisor's own names; there are as many ends of standing still as beginnings."""
    asked: list[object] = []

    def answer(question: bytes) -> bytes:
        asked.append(json.loads(question))
        return OK

    async with answering(tmp_path, answer) as plane:
        await plane.resume()
        await plane.pause()
        await plane.pause()
        (tmp_path / "image").mkdir()
        await plane.checkpoint(tmp_path / "image")
        await plane.resume()
    options = {"metadata": {"compression": "none"}, "have_pages_file": True, "Resume": True}
    assert asked == [
        {"method": "containerManager.Pause", "arg": None},
        {"method": "containerManager.Pause", "arg": None},
        {"method": "containerManager.Checkpoint", "arg": options},
        {"method": "containerManager.Resume", "arg": None},
        {"method": "containerManager.Resume", "arg": None},
    ]
    assert {(path.name, path.stat().st_mode & 0o777) for path in (tmp_path / "image").iterdir()} == {
        (name, 0o600) for name in images.FILES
    }


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (json.dumps({"success": False, "err": "no space left on device"}).encode(), "There is no room"),
        (b"", "ended before it answered"),
        (b'{"success": tr', "ended before it answered"),
        (b"[1]", "an answer of another kind"),
        (b'{"success": 1}', "could not save"),
        (b'"' + b"x" * (2 * control.ANSWER_BYTES), "has no end"),
        (b"\xff\xfe", "ended before it answered"),
        (None, "did not answer within 0.05 s"),
    ],
)
async def test_what_is_no_good_answer_is_told(
    answer: bytes | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever comes back, or nothing, the state counts as not saved, the sandbox as alive, and the cause is told."""
    monkeypatch.setattr(control, "ANSWER_S", 0.05 if answer is None else 30)
    async with answering(tmp_path, lambda _: answer) as plane:
        with pytest.raises(StateNotSaved, match=told) as caught:
            await plane.pause()
    assert caught.value.alive


async def test_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    """The home of sandboxes can be deeper than Linux lets a socket's name be."""
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    here = os.getcwd()
    os.chdir(folder)  # To make one there its name must be short.
    try:
        server = await asyncio.start_unix_server(_say_ok, "control.sock")
    finally:
        os.chdir(here)
    async with server:
        await control.Socket(folder / "control.sock").pause()


async def _say_ok(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1 << 16)
    writer.write(OK)
    writer.close()


# -- processors


async def test_its_kernel_has_all_processors_while_it_is_saved_and_the_guest_never(gvisor: runtime.Runtime) -> None:
    """gVisor's kernel is let out to all processors and brought back; the guest's processes stay where they are."""
    async with a_sandbox() as (session, sandbox):
        assert sandbox.pid is not None
        kernel = images.sandbox_pid(sandbox.pid)
        assert kernel is not None
        own, ours = os.sched_getaffinity(kernel), os.sched_getaffinity(0)
        assert len(own) == 1
        processors = affinity.Processors(sandbox.pid)
        guests = usage.tree(kernel)[1:]
        assert guests
        processors.let_out()
        assert _affinities([kernel]) == [ours]
        assert _affinities(guests) == [own]
        processors.bring_back()
        assert _affinities([kernel]) == [own]
        assert (await session.run("import os; os.cpu_count()")).result == {"text/plain": "1"}
        await session._session.settled()
        after = await session._session._next
        assert after.sandbox is not None and after.sandbox.pid is not None
        kernel = images.sandbox_pid(after.sandbox.pid)
        assert kernel is not None
        assert _affinities([kernel, *usage.tree(kernel)[1:]]) in [[{number}] for number in ours]


def _affinities(pids: list[int]) -> list[set[int]]:
    found: list[set[int]] = []
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            here = os.sched_getaffinity(int(task))
            if here not in found:
                found.append(here)
    return found


@pytest.mark.parametrize("has_one", [False, True])
async def test_a_kernel_is_let_out_when_the_guests_processes_have_begun(
    has_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of the guest's processes has the affinity that gVisor's kernel has then, and all others have its."""
    begin = ["sh", "-c", f"{'setsid ' * has_one}sleep 60 & echo begun; wait"]
    with subprocess.Popen(begin, stdout=subprocess.PIPE, start_new_session=True) as kernel:
        try:
            assert kernel.stdout is not None and kernel.stdout.readline() == b"begun\n"
            [child] = usage.children(kernel.pid)
            while has_one and os.getpgid(child) != child:
                os.sched_yield()
            monkeypatch.setattr(images, "sandbox_pid", lambda _: kernel.pid)
            one = {min(os.sched_getaffinity(0))}
            os.sched_setaffinity(kernel.pid, one)
            affinity.Processors(1).let_out()
            assert os.sched_getaffinity(kernel.pid) == (os.sched_getaffinity(0) if has_one else one)
        finally:
            os.kill(child, signal.SIGKILL)
            kernel.kill()


async def test_a_thread_that_begins_meanwhile_is_brought_back_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that were begun by ones that were still out are found in another round."""
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait)]
    threads[0].start()
    monkeypatch.setattr(images, "sandbox_pid", lambda _: os.getpid())
    ours = os.sched_getaffinity(0)
    if len(ours) < 2:
        pytest.skip("one processor is all there is")
    one = {min(ours)}
    before = affinity._changed

    def and_begin_one(task: int, processors: set[int]) -> bool:
        changed = before(task, processors)
        if len(threads) < 5:
            threads.append(threading.Thread(target=stop.wait))
            threads[-1].start()
        return changed

    try:
        monkeypatch.setattr(affinity, "_changed", and_begin_one)
        affinity._set(os.getpid(), one)
        assert _affinities([os.getpid()]) == [one]
        assert len(threads) == 5
    finally:
        monkeypatch.undo()
        affinity._set(os.getpid(), ours)
        stop.set()
        for thread in threads:
            thread.join()

"""State in real local sandboxes when something goes wrong: nothing is lost in silence, and nothing is left."""

from __future__ import annotations

import asyncio
import ctypes
import glob
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import start_host

from sandbox_kernel import runtime
from sandbox_kernel.backends.blank import Blank
from sandbox_kernel.backends.container import LocalSandbox
from sandbox_kernel.backends.runsc import LocalBackend
from sandbox_kernel.errors import StateUnusable
from sandbox_kernel.executors import SandboxExecutor
from sandbox_kernel.executors.plain import AgentSession
from sandbox_kernel.guest import wire
from sandbox_kernel.processes import Processes
from sandbox_kernel.state import places


@pytest.fixture(autouse=True)
def directories(gvisor: runtime.Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Saved sessions lie in a directory of this test; gVisor is found where it is."""
    monkeypatch.setenv("RUNSC_PATH", gvisor.path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def new_cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use another cache directory, in which it is known that gVisor has been tried."""
    known = places.base().parent / "selftest"
    shutil.copytree(known, path / "sandbox-kernel" / "selftest")
    monkeypatch.setenv("XDG_CACHE_HOME", str(path))


@asynccontextmanager
async def a_session(state: str = "exact", **settings: Any) -> AsyncIterator[AgentSession]:
    """Open a session of an executor of its own."""
    async with SandboxExecutor("local", state=state, **settings) as executor:
        yield executor.session()


async def run(session: AgentSession, code: str) -> str | None:
    """Run a cell that must end well, wait until its state is settled, and return the value it shows."""
    result = await session.run(code)
    assert result.ok, (code, result)
    await session._session.settled()
    return None if result.result is None else result.result["text/plain"]


def told(session: AgentSession) -> list[str]:
    """Return what the session has told since the last time."""
    said = list(session.notices)
    session.notices.clear()
    return said


async def kill_sandbox(session: AgentSession) -> None:
    """SIGKILL the sandbox that waits for the next cell, and return when that is known."""
    assert session._session._next is not None
    conversation = await session._session._next
    assert isinstance(conversation.sandbox, LocalSandbox) and conversation.sandbox._process is not None
    os.kill(conversation.sandbox._process.pid, signal.SIGKILL)
    await conversation.wait_ended()


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 0x10]))


def cut(path: Path) -> None:
    """Cut a file in half."""
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)


HARMS = [pytest.param(flip, id="flipped"), pytest.param(cut, id="cut"), pytest.param(Path.unlink, id="gone")]


def files_of(session: AgentSession) -> list[Path]:
    """Return the files of the state that the next cell starts from, largest first."""
    head = session._session.head()
    assert head is not None
    names = [digest for digest, _ in head.snapshot.parts]
    found = [head.snapshot.folder / name for name in names] if names else list(head.snapshot.folder.iterdir())
    return sorted(found, key=lambda path: -path.stat().st_size)


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("harm", HARMS)
async def test_a_live_image_that_is_damaged(harm: Callable[[Path], None]) -> None:
    """A state that is not what was written is not used: the cell that needs it tells, and the session is back one cell."""
    async with a_session() as session:
        await run(session, "x = 1")
        await run(session, "x = 2")
        await kill_sandbox(session)
        harm(next(path for path in files_of(session) if path.name == "pages.img"))
        with pytest.raises(
            StateUnusable, match=r"state after run 2 is lost.*damaged: pages\.img.*back at the state after run 1"
        ):
            await session.run("x = 3")
        assert await run(session, "x") == "1"


@pytest.mark.parametrize("harm", HARMS)
async def test_a_carried_part_that_is_damaged(harm: Callable[[Path], None]) -> None:
    """The same for a part of what was carried, small or large."""
    async with a_session("carry") as session:
        await run(session, "x = 1; y = bytes(range(256)) * 1000")
        before = set(files_of(session))
        await run(session, "x = 2; z = bytes(range(255)) * 1000")
        harm(next(path for path in files_of(session) if path not in before))
        with pytest.raises(StateUnusable, match=r"state after run 2 is lost.*damaged: a part.*back at the state after run 1"):
            await session.run("x = 3")
        assert await run(session, "x, len(y)") == "(1, 256000)"


@pytest.mark.parametrize("state", ["exact", "carry"])
async def test_a_damaged_state_is_not_saved_by_name(state: str) -> None:
    """Saving by name looks at what it copies: damage is not made good by a new digest."""
    async with a_session(state) as session:
        await run(session, "x = 1")
        if state == "exact":
            await restored(session)
        flip(files_of(session)[0])
        with pytest.raises(StateUnusable, match="damaged"):
            await session.save("work")
        assert list(places.saved().iterdir()) == []
        if state == "exact":
            assert await run(session, "x") == "1"


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("state", ["exact", "carry"])
async def test_a_saved_session_that_is_damaged(state: str, harm: Callable[[Path], None]) -> None:
    """What was saved and is not what was written is not loaded, and the session stays where it is."""
    async with a_session(state) as session:
        await run(session, "x = 1")
        await session.save("work")
        files = [path for path in (places.saved() / "work").iterdir() if path.name != "manifest.json"]
        harm(max(files, key=lambda path: path.stat().st_size))
        await run(session, "x = 2")
        remedy = r"damaged.*The session is as it was before\. `sandbox-kernel sessions remove work`"
        with pytest.raises(StateUnusable, match=remedy):
            await session.load("work")
        assert await run(session, "x") == "2"
        assert told(session) == []


@pytest.mark.parametrize("harm", HARMS)
async def test_a_base_image_that_is_damaged(
    harm: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What every start is from is made again when it is not what was written; nobody has to know."""
    new_cache(tmp_path / "cache", monkeypatch)
    async with a_session() as session:
        await run(session, "x = 1")
    [base] = places.base().iterdir()
    harm(base / "pages.img")
    for _ in range(2):
        async with a_session() as session:
            assert await run(session, "6 * 7") == "42"
            assert told(session) == []
    [again] = places.base().iterdir()
    assert again.name == base.name


# -- sandboxes and hosts that die --------------------------------------------------------------------------------------


async def test_a_sandbox_that_dies_between_two_cells() -> None:
    """The next cell has the state after the last one, and the user is told what that means for threads."""
    async with a_session() as session:
        await run(session, "x = 1")
        await kill_sandbox(session)
        assert await run(session, "x") == "1"
        assert told(session) == ["The sandbox ended between two runs; the session is as it was after the last run."]


async def test_a_sandbox_that_dies_while_it_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox killed in the middle of writing its image leaves no image: the user is told, and is back one cell."""
    async with a_session() as session:
        await run(session, "x = 1")
        with monkeypatch.context() as patch:
            patch.setattr(LocalSandbox, "save", _killing(LocalSandbox.save))
            await run(session, "x = 2; import os; y = os.urandom(50_000_000)")
        [said] = told(session)
        assert said.startswith("The state after run 2 is lost: ") and said.endswith("from before run 2.")
        head = session._session.head()
        assert head is not None
        assert {path.name for path in head.snapshot.folder.parent.iterdir()} == {head.snapshot.id, "lock"}
        assert await run(session, "x") == "1"
        assert told(session) == []


def _killing(save: Callable[..., Any]) -> Callable[..., Any]:
    """Return what saves a sandbox, and kills it when its image has begun to grow."""

    async def save_and_kill(sandbox: LocalSandbox, folder: Path) -> Any:
        saving = asyncio.ensure_future(save(sandbox, folder))
        while not saving.done() and not any(path.stat().st_size for path in folder.glob("pages*")):
            await asyncio.wait({saving}, timeout=0.001)
        assert sandbox._process is not None
        os.kill(sandbox._process.pid, signal.SIGKILL)
        return await saving

    return save_and_kill


HOST = """
import asyncio, sys
from sandbox_kernel.backends.blank import Blank
from sandbox_kernel.backends.control import Socket
from sandbox_kernel.backends.runsc import LocalBackend
from sandbox_kernel.executors import SandboxExecutor

async def main():
    async with SandboxExecutor("local", state=sys.argv[1]) as executor:
        session = executor.session()
        await session.run("x = 1")
        await session._session.settled()
        real = Socket.checkpoint
        async def checkpoint(plane, folder):
            print("here", flush=True)
            await real(plane, folder)
        Socket.checkpoint = checkpoint
        await session.run("import os; y = os.urandom(100_000_000)")
        if sys.argv[1] == "carry":
            print("here", flush=True)
        await session.run("import time; time.sleep(600)")

asyncio.run(main())
"""


@pytest.mark.parametrize("state", ["exact", "carry"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_host_that_is_killed_while_it_saves(state: str, number: int) -> None:
    """Whatever ends the host in the middle of a save: no process, mount or directory is left, the image's included."""
    with start_host(HOST, state) as host:
        host.send_signal(number)
        assert host.wait(60) == -number
    # The check after each test does the rest.


async def test_a_supervisor_that_is_killed() -> None:
    """When what starts our processes is killed, its sandboxes die; the session goes on from its last state."""
    async with a_session() as session:
        await run(session, "x = 1")
        assert session._session._next is not None
        await session._session._next
        processes: Processes = session._runner._processes
        assert processes._program is not None
        processes._program.kill()
        await asyncio.wait_for(asyncio.shield(processes._gone), 30)
        await (await session._session._next).wait_ended()
        assert await run(session, "x") == "1"
        assert told(session) == ["The sandbox ended between two runs; the session is as it was after the last run."]


# -- containers that are made ahead ------------------------------------------------------------------------------------


async def blank_of(session: AgentSession) -> Blank:
    """Return the container that is made ahead for the next restore."""
    assert session._session._next is not None
    await session._session._next
    backend = session._runner.backend
    assert isinstance(backend, LocalBackend)
    if backend._blanks._making is not None:
        await backend._blanks._making
    assert backend._blanks._waiting is not None
    return backend._blanks._waiting


async def place_of(session: AgentSession) -> Path:
    """Return the bundle of the sandbox that waits for the next cell."""
    assert session._session._next is not None
    conversation = await session._session._next
    assert isinstance(conversation.sandbox, LocalSandbox)
    return conversation.sandbox._bundle


@pytest.mark.parametrize("waits", [True, False], ids=["made", "being made"])
async def test_the_next_sandbox_is_restored_in_a_container_made_ahead(waits: bool) -> None:
    """However far it has come: what is restored in it goes on with everything, cell after cell."""
    async with a_session() as session:
        await run(session, "n = iter(range(9))")
        for expected in range(4):
            blank = await blank_of(session)
            if waits:
                await asyncio.wait_for(until_made(blank), 60)
            assert await run(session, "next(n)") == str(expected)
            assert await place_of(session) == blank.bundle
        assert told(session) == []


async def until_made(blank: Blank) -> None:
    """Return when one of runsc's threads waits for the other end of the FIFO."""
    assert blank.process is not None
    threads = f"/proc/{blank.process.pid}/task/*/wchan"

    def waits() -> bool:
        return any(Path(path).read_text(encoding="utf-8") == "wait_for_partner" for path in glob.glob(threads))

    while not waits():  # noqa: ASYNC110 - the kernel alone knows
        await asyncio.sleep(0.01)


async def test_a_container_made_ahead_that_has_ended_is_not_used() -> None:
    """It costs nobody anything: the next sandbox has a container of its own."""
    async with a_session() as session:
        await run(session, "x = 1")
        blank = await blank_of(session)
        assert blank.process is not None
        os.kill(blank.process.pid, signal.SIGKILL)
        await asyncio.shield(blank.process.status)
        assert await run(session, "x") == "1"
        assert await place_of(session) != blank.bundle
        assert told(session) == []


async def test_a_container_made_ahead_that_does_not_take_the_image_is_left() -> None:
    """Where runsc would go on waiting for an image that is there, another is started in its place."""
    async with a_session() as session:
        await run(session, "x = 1")
        blank = await blank_of(session)
        await asyncio.wait_for(until_made(blank), 60)

        async def nothing(_: object) -> None:
            pass

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session._runner._processes, "nudge", nothing)
            assert await run(session, "x") == "1"
            assert await place_of(session) == blank.bundle
        assert await run(session, "x") == "1"
        assert told(session) == []


async def test_a_container_made_ahead_with_other_settings_is_not_used() -> None:
    """A sandbox has the limits of the settings as they are, not as they were when a container was made."""
    async with a_session() as session:
        await run(session, "x = 1")
        before = await blank_of(session)
        session._runner.memory_mib = 1000
        await session._session.reset()
        assert await place_of(session) != before.bundle


# -- no room -----------------------------------------------------------------------------------------------------------


class SmallDisk:
    """A cache directory of 240 MiB, which can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        with (self.path / "filler").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass

    def free(self) -> None:
        (self.path / "filler").unlink()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallDisk]:
    """A small file system as the cache directory."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    path = tmp_path / "cache"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=240m", "tmpfs", path], capture_output=True).returncode != 0:
        pytest.skip("nothing can be mounted here")
    new_cache(path, monkeypatch)
    yield SmallDisk(path)
    subprocess.run(["umount", path], check=True)


async def test_a_full_cache_directory(small_disk: SmallDisk) -> None:
    """Without room the session goes on in its sandbox, says so after each cell, and is saved when there is room again."""
    async with a_session() as session:
        await run(session, "x = 1; import os; pid = os.getpid()")
        small_disk.fill()
        for number in (2, 3):
            assert await run(session, f"x = {number}; y = bytearray(3_000_000); x") == str(number)
            [said] = told(session)
            assert said.startswith(f"The state after run {number} is not saved: There is no room to save the state.")
            assert said.endswith("It goes on in the same sandbox.")
        with pytest.raises(StateUnusable, match=r"`session\.undo\(2\)`"):
            await session.undo()
        small_disk.free()
        assert await run(session, "x") == "3"
        assert told(session) == []
        assert [point.cell for point, _ in session._session.log()] == ["1", "4"]
        await session.undo()
        assert await run(session, "x") == "1"


async def test_what_is_not_saved_can_be_taken_back(small_disk: SmallDisk) -> None:
    """Without room one can still go back to what was saved before."""
    async with a_session() as session:
        await run(session, "x = 1")
        small_disk.fill()
        await run(session, "x = 2; y = bytearray(3_000_000)")
        await session.undo()
        assert await run(session, "x") == "1"


async def test_a_full_cache_directory_when_state_is_carried(small_disk: SmallDisk) -> None:
    """What could not be carried out is lost with its sandbox, and that is said; the session goes on from before."""
    async with a_session("carry") as session:
        await run(session, "x = 1")
        small_disk.fill()
        await run(session, "x = 2; y = bytes(range(255)) * 10_000")
        [said] = told(session)
        assert said.startswith("The state after run 2 is lost: ") and "No space left on device" in said
        small_disk.free()
        assert await run(session, "x") == "1"
        assert told(session) == []


async def test_no_room_from_the_beginning(small_disk: SmallDisk) -> None:
    """Without room for a single image cells still run, and what is not saved is said."""
    small_disk.fill()
    async with a_session() as session:
        assert await run(session, "x = 1; x") == "1"
        assert await run(session, "x + 1") == "2"
        assert all("is not saved" in said for said in told(session))


# -- what changes under a session --------------------------------------------------------------------------------------


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A directory that sessions can write to, with files in it."""
    path = tmp_path / "shared"
    path.mkdir()
    for name in "abc":
        (path / name).write_text("012345")
        (path / name).chmod(0o666)
    path.chmod(0o777)
    return path


OPEN = (
    "import os; fds = {name: os.open('/data/' + name, os.O_RDWR) for name in 'abc'}; [os.read(fd, 1) for fd in fds.values()]"
)


async def restored(session: AgentSession) -> None:
    """Wait until the next sandbox runs."""
    assert session._session._next is not None
    await session._session._next


async def test_files_of_a_mount_stay_open(shared: Path) -> None:
    """A file on a mount is open where it was, in the next sandbox too, and what is written goes there."""
    async with a_session(mounts=[f"{shared}:/data:rw"]) as session:
        await run(session, OPEN)
        assert await run(session, "os.read(fds['a'], 2)") == "b'12'"
        (shared / "a").write_text("abcdef")
        assert await run(session, "os.write(fds['b'], b'x'); os.read(fds['a'], 9)") == "b'def'"
        assert (shared / "b").read_text() == "0x2345"
        assert told(session) == []


def delete(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def rename(path: Path) -> None:
    """Give a file another name on its mount."""
    path.rename(path.with_name("moved"))


def put_another(path: Path) -> None:
    """Put another file in the place of one."""
    path.with_name("new").write_text("abcdef")
    path.with_name("new").rename(path)


def rotate(path: Path) -> None:
    """Do what logrotate does: another name for the file, and a new one in its place."""
    rename(path)
    path.write_text("abcdef")


READ = OPEN.replace("O_RDWR", "O_RDONLY")
#: Until the test has done its harm.
WAIT = "import time\nwhile not os.path.exists('/data/go'): time.sleep(0.01)"


@pytest.mark.parametrize("mode", ["ro", "rw"])
@pytest.mark.parametrize("harm", [delete, rename, put_another, rotate])
@pytest.mark.parametrize("when", ["in a cell", "between two"])
async def test_an_open_file_that_goes_away(shared: Path, when: str, harm: Callable[[Path], None], mode: str) -> None:
    """The session goes on in the sandbox that holds the file, reads what was in it, and the file is named; once it is closed
    the state is saved again.
    """
    async with a_session(mounts=[f"{shared}:/data:{mode}"]) as session:
        if when == "in a cell":
            async for event in session._session.run(f"{READ}; x = 1; print('open', flush=True)\n{WAIT}"):
                if isinstance(event, wire.Stream) and "open" in event.text:
                    harm(shared / "a")
                    (shared / "go").touch()
            await session._session.settled()
        else:
            await run(session, READ + "; x = 1")
            await restored(session)
            harm(shared / "a")
            assert await run(session, "x") == "1"
        [said] = told(session)
        assert "'/data/a'" in said and "goes on in the same sandbox" in said, said
        assert await run(session, "x, os.read(fds['a'], 2), os.read(fds['b'], 1)") == "(1, b'12', b'1')"
        [said] = told(session)
        assert "'/data/a'" in said, said
        assert await run(session, "os.close(fds['a']); x += 1; x") == "2"
        assert told(session) == []
        assert await run(session, "x, os.read(fds['b'], 1)") == "(2, b'2')"
        assert told(session) == []


async def test_a_file_of_a_state_that_nothing_holds_any_more(shared: Path) -> None:
    """Where the sandbox is gone too, each cell names the file, and the state is there again when the file is."""
    async with a_session(mounts=[f"{shared}:/data:ro"]) as session:
        await run(session, READ + "; x = 1")
        await run(session, "x = 2")
        await restored(session)
        (shared / "a").rename(shared / "moved")
        await kill_sandbox(session)
        for _ in range(2):
            with pytest.raises(StateUnusable, match=r"^'/data/a' was deleted or renamed .*Put it back"):
                await session.run("x")
        (shared / "moved").rename(shared / "a")
        assert await run(session, "x, os.read(fds['a'], 1)") == "(2, b'1')"


async def test_going_back_to_a_file_that_was_replaced(shared: Path) -> None:
    """No state is gone back to in which another file would be read; the session stays where it is."""
    async with a_session(mounts=[f"{shared}:/data:ro"]) as session:
        await run(session, READ + "; x = 1")
        await run(session, "os.close(fds['a']); x = 2")
        put_another(shared / "a")
        with pytest.raises(StateUnusable, match=r"^'/data/a' was replaced"):
            await session.undo()
        assert await run(session, "x") == "2"


async def test_files_that_the_cell_replaces_itself(shared: Path) -> None:
    """What a cell renames, replaces and deletes while it is open is what it was, in the next sandbox too."""
    async with a_session(mounts=[f"{shared}:/data:rw"]) as session:
        await run(session, OPEN)
        await run(session, "_ = open('/data/t', 'w').write('abcdef'); os.replace('/data/t', '/data/a')")
        await run(session, "os.rename('/data/b', '/data/bb'); os.unlink('/data/c')")
        await run(session, "pass")
        read = "[os.read(fd, 2) for fd in fds.values()], open('/data/a').read()"
        assert await run(session, read) == "([b'12', b'12', b'12'], 'abcdef')"
        assert told(session) == []


async def test_a_directory_that_goes_away_with_an_open_file(shared: Path) -> None:
    """Also a whole directory, or a mount that is emptied, is no end of the session."""
    (shared / "deep" / "er").mkdir(parents=True)
    (shared / "deep" / "er" / "file").write_text("012345")
    async with a_session(mounts=[f"{shared}:/data:rw"]) as session:
        await run(session, "x = 1; f = open('/data/deep/er/file', 'rb', buffering=0); f.read(1)")
        await restored(session)
        shutil.rmtree(shared / "deep")
        await run(session, "x")
        assert "'/data/deep" in told(session)[0]
        assert await run(session, "x, f.read(1)") == "(1, b'1')"
        assert not (shared / "deep").exists()


async def test_a_file_that_goes_from_a_state_further_back(shared: Path) -> None:
    """Going back to before a cell that removed a file it had open puts an empty one there for a moment, and says so."""
    async with a_session(mounts=[f"{shared}:/data:rw"]) as session:
        await run(session, OPEN + "; x = 1")
        await run(session, "os.close(fds['a']); os.unlink('/data/a'); x = 2")
        await session.undo()
        assert await run(session, "x") == "1"
        assert "'/data/a' has gone while the session had it open; what it has open now is empty." in told(session)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A directory with a shared library in it, as a package has one."""
    path = tmp_path / "package"
    path.mkdir()
    for source in sorted(glob.glob("/usr/lib/*/*.so*"), key=os.path.getsize):
        try:
            ctypes.CDLL(source)
        except OSError:
            continue
        if os.path.getsize(source) > 4096:
            shutil.copyfile(source, path / "liba.so")
            return path
    pytest.skip("there is no small library on this machine")


LOAD = "import ctypes; library = ctypes.CDLL('/opt/package/liba.so'); x = 1"


def replace(path: Path, data: bytes) -> None:
    """Put other bytes in a file's place, as an installer does."""
    path.with_name("new").write_bytes(data)
    path.with_name("new").rename(path)


async def test_a_library_is_replaced_under_a_session(library: Path) -> None:
    """A session that runs goes on with the library it has; its state is not saved with another one beside it, and says so."""
    async with a_session(mounts=[f"{library}:/opt/package"]) as session:
        await run(session, LOAD)
        await restored(session)
        content = (library / "liba.so").read_bytes()
        replace(library / "liba.so", content + b"another")
        assert await run(session, "x") == "1"
        [said] = told(session)
        assert "liba.so was changed while the session uses it. Restart the session" in said
        with pytest.raises(
            StateUnusable, match=r"environment has changed: .*liba\.so is not what it was.*session\.rewind\(0\)"
        ):
            await session.rewind(1)
        replace(library / "liba.so", content)
        await session.rewind(1)
        assert await run(session, "x") == "1"


async def test_a_library_is_replaced_between_two_lives(library: Path) -> None:
    """A saved session whose library is another now is refused with its name; with the old one back it goes on."""
    settings = {"mounts": [f"{library}:/opt/package"]}
    content = (library / "liba.so").read_bytes()
    async with a_session(**settings) as session:
        await run(session, LOAD)
        await session.save("work")
    replace(library / "liba.so", content + b"another")
    async with a_session(**settings) as session:
        with pytest.raises(StateUnusable, match=r"environment has changed: .*liba\.so is not what it was"):
            await session.load("work")
        assert await run(session, "'x' in globals()") == "False"
        replace(library / "liba.so", content)
        await session.load("work")
        assert await run(session, "x") == "1"


async def test_a_carried_session_needs_no_library(library: Path) -> None:
    """What is carried does not depend on it: there the next cell finds what is there."""
    async with a_session("carry", mounts=[f"{library}:/opt/package"]) as session:
        await run(session, LOAD)
        replace(library / "liba.so", b"no library")
        assert await run(session, "x") == "1"

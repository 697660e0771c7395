"""What the host makes of a state that a guest carries out: it trusts no word of it."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import HANG, ScriptedBackend, ScriptedSandbox

from sandbox_kernel.backends.base import Request, Snapshot
from sandbox_kernel.conversation import Conversation
from sandbox_kernel.errors import StateNotSaved, StateUnusable
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits
from sandbox_kernel.state import carried
from sandbox_kernel.state.carried import CarryKeeper

HEAD, LARGE = b"the head", b"large" * 1000
NAMES = wire.Names([["x", "int", 28]])


def digest(data: bytes) -> str:
    """Return what names a part."""
    return hashlib.sha256(data).hexdigest()


def saved(*parts: bytes, lost: tuple[tuple[str, str], ...] = ()) -> wire.Saved:
    """Return what a guest says when all of these are there."""
    return wire.Saved([[digest(data), len(data)] for data in parts], [list(row) for row in lost])


def pieces(data: bytes, size: int = 10**6) -> list[wire.Part]:
    """Return a part as it comes over the wire."""
    offsets = range(0, max(1, len(data)), size)
    texts = [base64.b64encode(data[at : at + size]).decode() for at in offsets]
    return [wire.Part(digest(data), len(data), at, text) for at, text in zip(offsets, texts, strict=True)]


class Carrying:
    """A keeper, and sandboxes that say what a test says."""

    def __init__(self, folder: Path, cap_bytes: int = 10**6, save_s: float = 60.0, **more: Any) -> None:
        self.folder = folder
        self.keeper = CarryKeeper(self._workplace, cap_bytes, save_s, **more)
        self.number = 0
        self.heard: list[wire.Event] = []
        #: Of each: whether taking its state killed it.
        self.killed: list[bool] = []

    async def _workplace(self) -> Path:
        return self.folder

    async def take(self, *said: object, write: Callable[[Path], object] = lambda _: None) -> Snapshot:
        """Have a sandbox write into its directory and say this after its cell; return the state that is taken."""
        self.number += 1
        request = await self.keeper.request(Request("abc", self.number, Limits(), None, "carry"))
        if request.out is not None:
            write(request.out)
        self.sandbox = ScriptedSandbox(*said)  # type: ignore[arg-type]
        conversation = Conversation(ScriptedBackend(self.sandbox), request, self.heard.append)
        self.keeper.listen(conversation)
        await conversation.open()
        try:
            return await self.keeper.take(conversation)
        finally:
            self.killed.append(conversation.killed)
            await conversation.close()
            assert request.out is None or not request.out.exists()

    @property
    def parts(self) -> set[str]:
        """The names of all parts that are kept."""
        return {path.name for path in (self.folder / "parts").iterdir()}


@pytest.fixture
def carrying(tmp_path: Path) -> Carrying:
    """A keeper whose guests write into directories."""
    return Carrying(tmp_path)


def put(*parts: bytes) -> Callable[[Path], None]:
    """Return what writes parts as a guest does."""

    def write(out: Path) -> None:
        for data in parts:
            (out / digest(data)).write_bytes(data)

    return write


# -- what is taken -----------------------------------------------------------------------------------------------------


async def test_parts_that_a_guest_wrote(carrying: Carrying) -> None:
    """What the guest announced and what lies there are the same: that is the state, and it can only be read."""
    snapshot = await carrying.take(NAMES, saved(HEAD, LARGE, lost=(("s", "a socket"),)), write=put(HEAD, LARGE))
    assert snapshot.parts == ((digest(HEAD), len(HEAD)), (digest(LARGE), len(LARGE)))
    assert (snapshot.size, snapshot.names, snapshot.lost) == (
        len(HEAD) + len(LARGE),
        (("x", "int", 28),),
        (("s", "a socket"),),
    )
    assert {name: (carrying.folder / "parts" / name).stat().st_mode & 0o777 for name in carrying.parts} == {
        digest(HEAD): 0o444,
        digest(LARGE): 0o444,
    }
    await carrying.keeper.check(snapshot)


async def test_parts_that_came_over_the_wire(carrying: Carrying) -> None:
    """The same where the guest has no directory to write to."""
    empty = b""
    said = [*pieces(HEAD), *pieces(LARGE, 999), *pieces(empty), NAMES, saved(HEAD, LARGE, empty)]
    snapshot = await carrying.take(*said)
    assert {name for name, _ in snapshot.parts} == carrying.parts
    assert (carrying.folder / "parts" / digest(LARGE)).read_bytes() == LARGE


async def test_parts_that_are_there_are_not_sent_again(carrying: Carrying) -> None:
    """Who needs what another state has names it; it is held once, as long as one of them needs it."""
    first = await carrying.take(saved(HEAD, LARGE), write=put(HEAD, LARGE))
    second = await carrying.take(saved(b"2", LARGE), write=put(b"2"))
    await carrying.keeper.drop([first])
    assert carrying.parts == {digest(b"2"), digest(LARGE)}
    await carrying.keeper.check(second)
    await carrying.keeper.drop([second])
    assert carrying.parts == set()


async def test_who_holds_twice_drops_twice(carrying: Carrying) -> None:
    """A fork holds the state of what it came from."""
    snapshot = await carrying.take(saved(HEAD), write=put(HEAD))
    carrying.keeper.hold(snapshot)
    await carrying.keeper.drop([snapshot])
    assert carrying.parts == {digest(HEAD)}
    await carrying.keeper.drop([snapshot])
    assert carrying.parts == set()


async def test_what_a_thread_says_meanwhile_is_heard(carrying: Carrying) -> None:
    """What is no word of the state goes to who listens between cells."""
    await carrying.take(wire.Stream("stdout", "late"), saved(HEAD), write=put(HEAD))
    assert carrying.heard == [wire.Stream("stdout", "late")]


# -- what is not -------------------------------------------------------------------------------------------------------


def link(to: str) -> Callable[[Path], None]:
    """Return what puts a link in a part's place."""
    return lambda out: (out / digest(HEAD)).symlink_to(to)


def other(out: Path) -> None:
    """Write other bytes of the same size."""
    (out / digest(HEAD)).write_bytes(HEAD.upper())


@pytest.mark.parametrize(
    "write",
    [
        pytest.param(lambda _: None, id="nothing"),
        pytest.param(other, id="other bytes"),
        pytest.param(lambda out: (out / digest(HEAD)).write_bytes(HEAD + b"x"), id="more"),
        pytest.param(lambda out: (out / digest(HEAD)).mkdir(), id="a directory"),
        pytest.param(lambda out: os.mkfifo(out / digest(HEAD)), id="a pipe that nobody writes to"),
        pytest.param(link("/etc/passwd"), id="a link to a file of the host"),
        pytest.param(link("../parts"), id="a link to a directory of ours"),
        pytest.param(link(digest(HEAD)), id="a link to itself"),
    ],
)
async def test_parts_that_are_not_what_was_announced(carrying: Carrying, write: Callable[[Path], object]) -> None:
    """Whatever lies in a part's place instead is not taken, not followed and not waited for; nothing of it is kept."""
    before = await carrying.take(saved(LARGE), write=put(LARGE))
    with pytest.raises(StateNotSaved, match="carried out damaged") as raised:
        await asyncio.wait_for(carrying.take(saved(HEAD, LARGE), write=write), 20)
    assert not raised.value.alive
    assert carrying.parts == {digest(LARGE)}
    await carrying.keeper.check(before)


async def test_small_parts_do_not_wait_for_the_end_of_the_sandbox(carrying: Carrying) -> None:
    """A small part is copied while its sandbox may still live, which then cannot change it; before a large one is taken the
    sandbox is killed."""
    await carrying.take(saved(HEAD), write=put(HEAD))
    assert carrying.killed == [False]
    large = bytes(carried.COPIED_BYTES + 1)
    carrying = Carrying(carrying.folder / "another", cap_bytes=2 * len(large))
    carrying.folder.mkdir()
    await carrying.take(saved(HEAD, large), write=put(HEAD, large))
    await carrying.take(saved(b"2", large), write=put(b"2"))
    assert carrying.killed == [True, False]
    assert carrying.parts == {digest(HEAD), digest(large), digest(b"2")}


async def test_a_part_that_cannot_be_written(carrying: Carrying) -> None:
    """Where a part cannot be written, nothing of the state is kept, and the reason is told."""
    (carrying.folder / "parts" / f"{digest(HEAD)}.new").mkdir(parents=True)
    with pytest.raises(StateNotSaved, match=r"could not be put into place: Is a directory"):
        await carrying.take(saved(LARGE, HEAD), write=put(LARGE, HEAD))
    assert carrying.parts == {f"{digest(HEAD)}.new"}


async def test_a_link_with_the_right_content_is_no_part(carrying: Carrying, tmp_path: Path) -> None:
    """Also where a link leads to the announced bytes it is not taken: it may lead elsewhere later."""
    (tmp_path / "elsewhere").write_bytes(HEAD)
    with pytest.raises(StateNotSaved):
        await carrying.take(saved(HEAD), write=link(str(tmp_path / "elsewhere")))


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param([], "the sandbox ended before", id="nothing"),
        pytest.param([NAMES], "the sandbox ended before", id="an end in the middle"),
        pytest.param([*pieces(HEAD)], "the sandbox ended before", id="parts alone"),
        pytest.param([wire.NotSaved("no room")], "no room", id="the guest's own word"),
        pytest.param([wire.NotSaved("no room"), saved(HEAD)], "no room", id="a word that is taken back"),
        pytest.param([*pieces(HEAD, 3)[:2], saved(HEAD)], "damaged", id="a part that was cut"),
        pytest.param([*pieces(HEAD, 3)[1:], saved(HEAD)], "a piece is missing", id="a part without its beginning"),
        pytest.param([*reversed(pieces(HEAD, 3)), saved(HEAD)], "a piece is missing", id="a part backwards"),
        pytest.param([wire.Part(digest(HEAD), 8, 0, "%%%"), saved(HEAD)], "Non-base64|Only base64", id="no base64"),
        pytest.param([*pieces(bytes(10**6 + 1)), saved(HEAD)], "larger than may be kept", id="a flood"),
        pytest.param([wire.Saved([])], "has 0 bytes", id="no part"),
        pytest.param([wire.Saved([[digest(HEAD), 10**9]])], "Runner.history_mib", id="a size over the cap"),
        pytest.param([*pieces(HEAD), wire.Saved([[digest(HEAD), 2**40], [digest(HEAD), 8]])], "may be kept", id="two sizes"),
    ],
)
async def test_words_that_make_no_state(carrying: Carrying, said: list[wire.Event], why: str) -> None:
    """A state that did not come whole does not count; what was saved before stays, and the reason is told."""
    before = await carrying.take(saved(LARGE), write=put(LARGE))
    with pytest.raises(StateNotSaved, match=why):
        await carrying.take(*said)
    assert carrying.parts == {digest(LARGE)}
    await carrying.keeper.check(before)


async def test_a_guest_that_never_comes_to_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who does not finish is ended."""
    monkeypatch.setattr(carried, "GRACE_S", 0)
    carrying = Carrying(tmp_path, save_s=0.01)
    with pytest.raises(StateNotSaved, match="the sandbox ended before"):
        await carrying.take(NAMES, HANG)


async def test_a_name_of_a_part_is_a_digest_and_nothing_else(carrying: Carrying) -> None:
    """A part cannot be called like a file of the host: the wire does not let it through."""
    evil = wire.Part("../../x", 1, 0, "eA==")
    assert wire.load_event(wire.dump(evil)) is None
    assert wire.load_event(wire.dump(wire.Saved([["../../x", 1]]))) is None


async def test_no_room_for_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no directory can be made that is said of it, with the reason."""
    (tmp_path / "parts").touch()
    with pytest.raises(StateNotSaved, match=r"parts cannot be made: .*State is kept there between cells"):
        await Carrying(tmp_path).take(saved(HEAD))


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda path: path.write_bytes(HEAD.upper()), id="other bytes"),
        pytest.param(lambda path: os.truncate(path, 1), id="cut"),
        pytest.param(Path.unlink, id="gone"),
    ],
)
async def test_a_part_that_has_changed(carrying: Carrying, harm: Callable[[Path], object]) -> None:
    """Before a state is used each part is what was written, or it is damaged."""
    snapshot = await carrying.take(saved(HEAD), write=put(HEAD))
    path = carrying.folder / "parts" / digest(HEAD)
    path.chmod(0o600)
    await carrying.keeper.check(snapshot)
    harm(path)
    with pytest.raises(StateUnusable, match=r"damaged: a part is not") as raised:
        await carrying.keeper.check(snapshot)
    assert raised.value.damaged
    with pytest.raises(StateUnusable):
        await carrying.keeper.export(snapshot, carrying.folder / "out")


async def test_a_saved_state_is_adopted_by_another(carrying: Carrying, tmp_path: Path) -> None:
    """A copy is checked byte for byte, and is the other's own from then on."""
    snapshot = await carrying.take(saved(HEAD, LARGE), write=put(HEAD, LARGE))
    copy = await carrying.keeper.export(snapshot, tmp_path / "copy")
    (tmp_path / "other").mkdir()
    other_one = Carrying(tmp_path / "other")
    adopted = await other_one.keeper.adopt(copy)
    assert adopted.id != snapshot.id and adopted.parts == snapshot.parts
    await other_one.keeper.check(adopted)
    await other_one.keeper.drop([adopted])
    assert other_one.parts == set()
    path = tmp_path / "copy" / digest(LARGE)
    path.chmod(0o600)
    path.write_bytes(LARGE.upper())
    with pytest.raises(StateUnusable, match="damaged"):
        await other_one.keeper.adopt(copy)
    assert other_one.parts == set()


# -- parts that lie elsewhere ------------------------------------------------------------------------------------------


async def test_parts_on_a_workspace(tmp_path: Path) -> None:
    """Where the backend keeps the parts the host holds digests alone, and tells the next sandbox what nobody needs."""
    carrying = Carrying(tmp_path, elsewhere=True)
    first = await carrying.take(NAMES, saved(HEAD, LARGE))
    second = await carrying.take(saved(b"2", LARGE))
    assert (first.size, second.size) == (len(HEAD) + len(LARGE), 1 + len(LARGE))
    assert list(tmp_path.iterdir()) == []
    await carrying.keeper.drop([first])
    request = await carrying.keeper.request(Request("abc", 9, Limits(), None, "carry"))
    assert request.dropped == (digest(HEAD),) and request.place.startswith("parts-") and request.out is None
    assert (await carrying.keeper.request(Request("abc", 10, Limits(), None, "carry"))).dropped == ()
    assert carrying.keeper.where == "on the workspace"
    with pytest.raises(StateNotSaved, match=r"workspace volume.*KubernetesBackend\.inline_mib can"):
        await carrying.keeper.export(second, tmp_path / "x")
    with pytest.raises(StateUnusable, match="workspace volume"):
        await carrying.keeper.adopt(dataclasses.replace(second, folder=tmp_path))

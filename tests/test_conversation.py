"""One sandbox and all that it says: who hears what, and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fakes import HANG, ScriptedBackend, ScriptedSandbox, Until

from sandbox_kernel import conversation as conversation_module
from sandbox_kernel.backends.base import Ending, Request, Snapshot
from sandbox_kernel.conversation import QUEUE, Conversation
from sandbox_kernel.errors import GuestProtocolError, SandboxLost, SandboxRefused, StateUnusable
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits

READY = wire.Ready("3.11.2", "Linux 4.4.0")
SNAPSHOT = Snapshot("s", "exact", 1, Path("/nowhere"), frames=5)


class Restored(ScriptedSandbox):
    """One that comes from an image, after so many frames."""

    restored = True
    early = False
    has_run = True

    def __init__(self, *steps: object, frames: int = 0) -> None:
        super().__init__(*steps)  # type: ignore[arg-type]
        self.frames = frames
        for _ in range(frames):  # Said before it was saved.
            list(self._encoder.encode(wire.Heartbeat()))


class Talk:
    """A conversation with a sandbox of a script, and what was said while no cell was attached."""

    def __init__(self, *steps: object, sandbox: ScriptedSandbox | None = None, **request: object) -> None:
        self.sandbox = sandbox or ScriptedSandbox(*steps)  # type: ignore[arg-type]
        self.heard: list[wire.Event] = []
        made = Request("abc", 1, Limits(output_bytes=1000), None, **request)  # type: ignore[arg-type]
        self.conversation = Conversation(ScriptedBackend(self.sandbox), made, self.heard.append)


def text(word: str) -> wire.Stream:
    """Return something said."""
    return wire.Stream("stdout", word)


async def all_of(said: AsyncIterator[wire.Event]) -> list[wire.Event]:
    """Return what is said until it ends."""
    return [event async for event in said]


async def turns(number: int = 20) -> None:
    """Let whoever is ready run."""
    for _ in range(number):
        await asyncio.sleep(0)


# -- beginning ---------------------------------------------------------------------------------------------------------


async def test_a_guest_that_becomes_ready() -> None:
    """Who waits is told when the guest waits for a cell; that is no event for anybody else."""
    talk = Talk(READY, HANG)
    await talk.conversation.open()
    assert await talk.conversation.wait_ready(60)
    assert talk.heard == [] and not talk.conversation.ended
    await talk.conversation.close()
    assert talk.sandbox.delivered == []


async def test_a_guest_that_ends_before_it_is_ready() -> None:
    """Nobody waits for a guest that never will be."""
    talk = Talk()
    await talk.conversation.open()
    assert not await talk.conversation.wait_ready(60)
    assert talk.conversation.ended
    await talk.conversation.close()


async def test_a_guest_that_says_nothing() -> None:
    """Waiting ends with its time."""
    talk = Talk(HANG)
    await talk.conversation.open()
    assert not await talk.conversation.wait_ready(0)
    assert not talk.conversation.ended
    await talk.conversation.close()


@pytest.mark.parametrize(
    ("request_", "anew"), [({}, True), ({"snapshot": SNAPSHOT}, False), ({"snapshot": SNAPSHOT, "anew": True}, True)]
)
async def test_what_is_restored_is_woken(request_: dict[str, object], anew: bool) -> None:
    """A guest from an image is told whose it is now, and whether its life goes on or a new one begins."""
    sandbox = Restored(Until(lambda sandbox: bool(sandbox.delivered)), READY, HANG)
    talk = Talk(sandbox=sandbox, **request_)
    await talk.conversation.open()
    assert await talk.conversation.wait_ready(60)
    assert [wire.load_message(message) for message in sandbox.delivered] == [wire.Wake("abc", anew)]
    await talk.conversation.close()


async def test_the_frames_of_what_is_restored_go_on() -> None:
    """Frames are counted through the image: neither the ones before it nor a gap is reported."""
    talk = Talk(sandbox=Restored(READY, text("a"), frames=5), snapshot=SNAPSHOT)
    await talk.conversation.open()
    await talk.conversation.wait_ended()
    assert talk.heard == [text("a")]
    assert talk.conversation.frames() == 7
    await talk.conversation.close()


async def test_a_sandbox_that_cannot_be_had() -> None:
    """What start() raises is raised, and there is nothing to wait for or close."""
    backend = ScriptedBackend(SandboxRefused("No quota."))
    conversation = Conversation(backend, Request("abc", 1, Limits(), None))
    with pytest.raises(SandboxRefused):
        await conversation.open()
    assert conversation.ended
    await conversation.kill()
    await conversation.close()


async def test_an_open_that_is_cancelled() -> None:
    """Whoever gives up while a sandbox is made can close at once."""
    never: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start() -> None:
        await never

    conversation = Conversation(ScriptedBackend(start), Request("abc", 1, Limits(), None))
    task = asyncio.ensure_future(conversation.open())
    await turns()
    task.cancel()
    await asyncio.wait({task})
    assert conversation.ended
    await conversation.close()


# -- listening ---------------------------------------------------------------------------------------------------------


async def test_a_cell_hears_what_is_said_from_its_beginning() -> None:
    """What was said before a cell is attached is for those who listen between cells, what is said after its end too."""
    go = asyncio.Event()
    talk = Talk(READY, text("before"), lambda _: go.wait(), text("cell"), wire.Finished("ok"), text("after"), HANG)
    await talk.conversation.open()
    await turns()
    said = talk.conversation.attach()
    first = asyncio.ensure_future(anext(said))
    await turns()
    go.set()
    assert [await first, await anext(said)] == [text("cell"), wire.Finished("ok")]
    await said.aclose()
    await turns()
    assert talk.heard == [text("before"), text("after")]
    await talk.conversation.close()


async def test_what_nobody_took_is_passed_on() -> None:
    """A cell that is left before its end loses nothing: what was waiting is heard elsewhere, in order."""
    words = [text(str(number)) for number in range(3 * QUEUE)]
    talk = Talk(READY, *words)
    said = talk.conversation.attach()
    await talk.conversation.open()
    assert await anext(said) == words[0]
    await turns(10 * QUEUE)
    await said.aclose()
    await talk.conversation.wait_ended()
    assert talk.heard == words[1:]
    await talk.conversation.close()


async def test_who_does_not_listen_holds_up_only_the_sandbox() -> None:
    """What nobody takes waits in the sandbox's own pipe, not in our memory."""
    talk = Talk(READY, *[text(str(number)) for number in range(1000)], HANG)
    said = talk.conversation.attach()
    await talk.conversation.open()
    await anext(said)
    await turns(2000)
    assert talk.conversation.frames() <= QUEUE + 5
    await said.aclose()
    await talk.conversation.close()


async def test_a_sandbox_that_ended_before_a_cell_was_attached() -> None:
    """Who attaches too late is told of the end at once."""
    talk = Talk(READY, text("a"))
    await talk.conversation.open()
    await talk.conversation.wait_ended()
    assert await all_of(talk.conversation.attach()) == []
    await talk.conversation.close()


@pytest.mark.parametrize("late", [False, True], ids=["while attached", "before"])
async def test_a_sandbox_that_is_lost(late: bool) -> None:
    """What a backend raises is raised to the cell, also when it was attached later."""

    def lose(_: ScriptedSandbox) -> None:
        raise SandboxLost("The node is gone.")

    talk = Talk(READY, lose)
    said = talk.conversation.attach()
    await talk.conversation.open()
    if late:
        await said.aclose()
        await talk.conversation.wait_ended()
        said = talk.conversation.attach()
    with pytest.raises(SandboxLost):
        await all_of(said)
    await talk.conversation.close()


async def test_a_state_that_the_guest_cannot_load() -> None:
    """A guest that says so is heard by the cell that waits for it, with the guest's reason."""
    talk = Talk(wire.Unloadable("it is of Python 3.9"))
    said = talk.conversation.attach()
    await talk.conversation.open()
    assert not await talk.conversation.wait_ready(60)
    with pytest.raises(
        StateUnusable, match=r"^The session's state cannot be loaded: it is of Python 3\.9\. Go back to .*`%sandbox undo`"
    ):
        await all_of(said)
    await talk.conversation.close()


async def test_a_flood_between_two_cells_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """What threads say between cells is bounded, too; the next cell is told why its sandbox is gone."""
    monkeypatch.setattr(conversation_module, "SLACK_BYTES", 0)
    talk = Talk(READY, *[b"x" * 1000] * 10, HANG)
    await talk.conversation.open()
    await talk.conversation.wait_ended()
    assert talk.sandbox.killed
    with pytest.raises(GuestProtocolError):
        await all_of(talk.conversation.attach())
    await talk.conversation.close()


async def test_each_cell_of_a_sandbox_has_its_own_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    """What earlier cells said does not count against a later one in the same sandbox."""
    monkeypatch.setattr(conversation_module, "SLACK_BYTES", 0)
    go = [asyncio.Event() for _ in range(3)]
    steps = [step for event in go for step in ((lambda _, event=event: event.wait()), text("x" * 700))]
    talk = Talk(READY, *steps, HANG)
    await talk.conversation.open()
    for event in go:
        said = talk.conversation.attach()
        event.set()
        assert await anext(said) == text("x" * 700)
        await said.aclose()
    assert not talk.sandbox.killed
    await talk.conversation.close()


# -- asking ------------------------------------------------------------------------------------------------------------


async def test_names_are_asked_for() -> None:
    """The answer comes to who asks, and what is said meanwhile to who listens between cells."""
    asked = Until(lambda sandbox: bool(sandbox.delivered))
    talk = Talk(READY, asked, text("tick"), wire.Names([["x", "int", 28]]), text("tock"), wire.Names([]), HANG)
    await talk.conversation.open()
    assert await talk.conversation.names() == [("x", "int", 28)]
    await turns()
    assert talk.heard == [text("tick"), text("tock"), wire.Names([])]
    assert [wire.load_message(message) for message in talk.sandbox.delivered] == [wire.Ask()]
    await talk.conversation.close()


@pytest.mark.parametrize("end", [True, False])
async def test_names_that_nobody_tells(end: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that ends, or does not answer in its time, has no names."""
    monkeypatch.setattr(conversation_module, "ANSWER_S", 60 if end else 0)
    talk = Talk(READY, *([] if end else [HANG]))
    await talk.conversation.open()
    assert await asyncio.wait_for(talk.conversation.names(), 10) == []
    await talk.conversation.close()


# -- ending ------------------------------------------------------------------------------------------------------------


async def test_a_kill_ends_what_is_said() -> None:
    """A sandbox can be killed at any time; who listens sees the end, and that we did it."""
    talk = Talk(READY, HANG)
    assert not talk.conversation.killed
    await talk.conversation.kill()
    await talk.conversation.open()
    said = asyncio.ensure_future(all_of(talk.conversation.attach()))
    await turns()
    await talk.conversation.kill()
    assert await said == []
    assert talk.conversation.killed
    await talk.conversation.close()


async def test_closing_hears_the_rest(tmp_path: Path) -> None:
    """What was on its way when the sandbox was closed is still heard, and its directory for parts goes with it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out/part").write_text("x")
    words = [text(str(number)) for number in range(3 * QUEUE)]
    talk = Talk(READY, *words, out=tmp_path / "out")
    said = talk.conversation.attach()
    await talk.conversation.open()
    await anext(said)
    await turns(10 * QUEUE)
    await talk.conversation.close()
    assert talk.heard[:QUEUE] == words[1 : QUEUE + 1]
    assert talk.sandbox.closed == 1
    assert not (tmp_path / "out").exists()
    await talk.conversation.close()
    assert await all_of(talk.conversation.attach()) == []
    await said.aclose()


async def test_a_sandbox_whose_lines_never_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not end its lines cannot hold up who closes."""

    class Deaf(ScriptedSandbox):
        async def lines(self) -> AsyncIterator[bytes]:
            await asyncio.get_running_loop().create_future()
            yield b""

    monkeypatch.setattr(conversation_module, "CLOSE_S", 0)
    talk = Talk(sandbox=Deaf(ending=Ending("lost", "")))
    await talk.conversation.open()
    await turns()
    await talk.conversation.close()
    await turns()
    assert talk.conversation.ended
    assert asyncio.all_tasks() == {asyncio.current_task()}

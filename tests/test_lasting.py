"""Sessions that keep state, over sandboxes that only play: what no real one does on request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playing import READY, PlayingBackend, PlayingKeeper

from sandbox_kernel import conversation as conversation_module
from sandbox_kernel.errors import BackendUnavailable, ConfigurationError, SandboxRefused, StateNotSaved, StateUnusable
from sandbox_kernel.guest import wire
from sandbox_kernel.lasting import LastingSession
from sandbox_kernel.outcomes import ROLLED_BACK
from sandbox_kernel.runner import Runner

DAMAGED = StateUnusable("It is damaged.", damaged=True)
CHANGED = StateUnusable("The environment has changed.", "Put it back.")
#: More loop turns than anything here takes.
MANY = 60


class Play:
    """A session with all that plays in it."""

    def __init__(self, mode: str = "exact", **settings: Any) -> None:
        self.backend = PlayingBackend()
        self.runner = Runner(backend=self.backend, **settings)
        self.keeper = PlayingKeeper(mode)
        self.runner._keepers[mode] = self.keeper
        self.told: list[str] = []
        self.session = self.open(self.runner.open_session(mode))

    def open(self, session: Any) -> LastingSession:
        assert isinstance(session, LastingSession)
        session.tell = self.told.append
        return session

    async def run(self, code: str, session: LastingSession | None = None) -> list[wire.Event]:
        """Run one cell and wait until its state is settled."""
        session = session or self.session
        events = [event async for event in session.run(code)]
        await session.settled()
        return events

    async def out(self, code: str, session: LastingSession | None = None) -> str:
        """Return what a cell printed: the codes that ran in its life."""
        return "".join(event.text for event in await self.run(code, session) if isinstance(event, wire.Stream))


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    """A session on sandboxes that play; afterwards nothing of it is left."""
    made = Play()
    yield made
    await left_nothing(made)


async def left_nothing(play: Play) -> None:
    """Close, and see that no sandbox, task or snapshot is left."""
    await play.runner.close()
    await play.runner.close()
    assert play.backend.open == []
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not play.keeper._holders


async def turns(number: int) -> None:
    """Let whoever is ready run, so many times."""
    for _ in range(number):
        await asyncio.sleep(0)


def failing(*errors: Exception | None) -> Callable[..., Awaitable[None]]:
    """Return a hook that raises one after the other, then no more."""
    left = list(errors)

    async def raise_next(*_: object) -> None:
        if left and (error := left.pop(0)) is not None:
            raise error

    return raise_next


def not_saved(*, alive: bool = True) -> StateNotSaved:
    """Return what a keeper raises."""
    return StateNotSaved("No room.", alive=alive)


# -- from cell to cell -------------------------------------------------------------------------------------------------


async def test_everything_is_there_in_the_next_cell(play: Play) -> None:
    """Each cell runs in a sandbox of its own, which starts from the state after the one before."""
    assert [await play.out(code) for code in "abc"] == ["a", "a b", "a b c"]
    await turns(10)
    snapshots = [sandbox.request.snapshot for sandbox in play.backend.made]
    assert [snapshot and snapshot.id for snapshot in snapshots] == [None, "s1", "s2", "s3"]
    assert [sandbox.request.number for sandbox in play.backend.made] == [1, 2, 3, 4]
    assert [sandbox.closed > 0 for sandbox in play.backend.made] == [True, True, True, False]
    assert play.told == []


async def test_the_next_sandbox_starts_at_once(play: Play) -> None:
    """Threads of the session go on between two cells: its sandbox is not waited for by a cell."""
    await play.run("a")
    await turns(10)
    assert play.backend.last.heard == [wire.Wake(play.session.id)]
    await play.run("b")
    assert [type(message) for message in play.backend.made[1].heard] == [wire.Wake, wire.Cell]


async def test_carried_state_needs_no_sandbox_between_cells() -> None:
    """Where the guest carries its state nothing runs between two cells."""
    play = Play("carry")
    assert [await play.out(code) for code in "ab"] == ["a", "a b"]
    assert [len(sandbox.heard) for sandbox in play.backend.made] == [1, 1]
    assert play.backend.open == []
    await left_nothing(play)


@pytest.mark.parametrize("code", ["die", "hang"])
async def test_a_cell_that_does_not_end_by_itself_leaves_nothing(play: Play, code: str) -> None:
    """After a cell that died or was interrupted the next one starts from the state before it, in a sandbox of its own."""
    await play.run("a")
    task = asyncio.ensure_future(play.run(code))
    if code == "hang":
        await turns(30)
        assert wire.Cell in map(type, play.backend.last.heard)
        await play.session.interrupt()
    events = await task
    [error] = [event for event in events if isinstance(event, wire.Error)]
    assert error.value.endswith("The next cell has the state from before this one.")
    assert await play.out("b") == "a b"
    assert play.told == []


async def test_after_a_cell_that_died_the_threads_of_earlier_ones_go_on(play: Play) -> None:
    """A sandbox with the state from before it starts at once."""
    await play.run("a")
    await play.run("die")
    await turns(10)
    assert play.backend.last.heard == [wire.Wake(play.session.id)]
    assert await play.session.names() == [("a", "cell", 1)]


async def test_two_cells_at_once_run_one_after_the_other(play: Play) -> None:
    """Who does not wait for a cell's end gets its turn after it."""
    assert await asyncio.gather(*(play.out(code) for code in "abc")) == ["a", "a b", "a b c"]


async def test_what_is_said_between_two_cells(play: Play) -> None:
    """What threads of earlier cells print between two cells goes to who listens there, also while names are asked for."""
    said: list[wire.Event] = []
    await play.run("a")
    play.session.background = said.append
    await turns(10)
    play.backend.last.say(wire.Stream("stdout", "tick"))
    await turns(10)
    assert said == [wire.Stream("stdout", "tick")]
    play.backend.last.say(wire.Stream("stdout", "tock"))
    assert await play.session.names() == [("a", "cell", 1)]
    assert said[1:] == [wire.Stream("stdout", "tock")]
    assert await play.out("b") == "a b"


async def test_nobody_says_what_a_session_holds(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that does not answer holds up nobody; before the first cell there is nothing to ask."""
    assert await play.session.names() == []
    monkeypatch.setattr(conversation_module, "ANSWER_S", 0)
    await play.run("a")
    await turns(10)

    async def deaf(message: bytes) -> None:
        pass

    play.backend.last.deliver = deaf  # type: ignore[method-assign]
    assert await play.session.names() == []


# -- what cannot be saved ----------------------------------------------------------------------------------------------


async def test_a_state_that_cannot_be_saved_goes_on_in_its_sandbox(play: Play) -> None:
    """The user is told, the session goes on where it is, and is saved when there is room again."""
    play.keeper.before = failing(not_saved(), not_saved(), None)
    assert [await play.out(code) for code in "abc"] == ["a", "a b", "a b c"]
    assert [len(sandbox.heard) for sandbox in play.backend.made] == [3]
    expected = "The state after cell {} is not saved: No room. It goes on in the same sandbox."
    assert play.told == [expected.format(1), expected.format(2)]
    assert [point.cell for point, _ in play.session.log()] == ["3"]


async def test_a_sandbox_with_the_only_state_dies(play: Play) -> None:
    """When the sandbox that alone held some cells' state dies with the next, the user is told from where it goes on."""
    play.keeper.before = failing(None, not_saved(), not_saved())
    for code in "abc":
        await play.run(code)
    del play.told[:]
    await play.run("die")
    assert play.told == ["The sandbox that held the state after cell 2 is gone; the session is back before that cell."]
    assert await play.out("d") == "a d"


async def test_a_sandbox_with_the_only_state_ends_between_two_cells(play: Play) -> None:
    """The same when it ends while nothing runs."""
    play.keeper.before = failing(None, not_saved())
    await play.run("a")
    await play.run("b")
    play.backend.last.end()
    await turns(10)
    del play.told[:]
    assert await play.out("c") == "a c"
    assert play.told == ["The sandbox that held the state after cell 2 is gone; the session is back before that cell."]


@pytest.mark.parametrize(
    "error", [not_saved(alive=False), BackendUnavailable("The supervisor is gone.")], ids=["state", "all"]
)
async def test_a_state_that_is_lost_with_its_sandbox(play: Play, error: Exception) -> None:
    """Where saving breaks the sandbox the user is told, and the next cell starts from before."""
    play.keeper.before = failing(None, error)
    await play.run("a")
    await play.run("b")
    [told] = play.told
    assert told.startswith("The state after cell 2 is lost: ")
    assert told.endswith("The next cell has the state from before cell 2.")
    assert await play.out("c") == "a c"


async def test_states_that_are_lost_together(play: Play) -> None:
    """Cells whose state could not be saved before are lost with it, and the first of them is named."""
    play.keeper.before = failing(None, not_saved(), not_saved(alive=False))
    for code in "abc":
        await play.run(code)
    assert play.told[1:] == ["The state after cell 3 is lost: No room. The next cell has the state from before cell 2."]
    assert await play.out("d") == "a d"


async def test_a_sandbox_that_says_it_lives_and_does_not(play: Play) -> None:
    """What is alive is what can be heard, whatever who saved it believes."""

    async def die() -> None:
        play.backend.made[0].end()
        await turns(5)
        raise not_saved()

    play.keeper.before = die
    await play.run("a")
    assert play.told == ["The state after cell 1 is lost: No room. The next cell has the state from before cell 1."]
    play.keeper.before = None
    assert await play.out("b") == "b"


# -- what cannot be restored -------------------------------------------------------------------------------------------


async def test_a_damaged_state(play: Play) -> None:
    """A state that is lost is told of once, by the cell that needs it, and the session goes on from the one before."""
    play.keeper.bad["s2"] = DAMAGED
    await play.run("a")
    await play.run("b")
    await turns(10)
    with pytest.raises(StateUnusable) as raised:
        await play.run("c")
    assert str(raised.value) == (
        "The state after cell 2 is lost. It is damaged. "
        "The session is back at the state after cell 1; run what is missing again."
    )
    assert await play.out("d") == "a d"


async def test_a_damaged_state_and_none_before_it() -> None:
    """Where no earlier state is kept the session begins anew, and says so."""
    play = Play(history_points=1)
    play.keeper.bad["s2"] = DAMAGED
    await play.run("a")
    await play.run("b")
    with pytest.raises(StateUnusable, match=r"The session begins anew; run what is missing again\."):
        await play.run("c")
    assert await play.out("d") == "d"
    await left_nothing(play)


async def test_a_restore_that_says_nothing(play: Play) -> None:
    """A sandbox that does not wake within its time is a state that cannot be used; nothing waits for ever."""
    await play.run("a")
    await turns(10)
    running = asyncio.ensure_future(play.run("b"))
    await turns(5)
    play.runner.start_timeout_s = 0.0
    play.backend.never_ready = True
    await running
    await turns(10)
    play.runner.start_timeout_s = 60.0
    with pytest.raises(StateUnusable, match=r"after cell 2 is lost\. It could not be restored: It did not answer\."):
        await play.run("c")
    play.backend.never_ready = False
    assert await play.out("d") == "a d"


async def test_a_restore_that_ends(play: Play) -> None:
    """A sandbox that ends when it is woken is a state that cannot be used, and its backend says why."""

    await play.run("a")
    await turns(10)
    play.backend.never_ready = True
    await play.run("b")
    await turns(10)
    play.backend.last.end()
    await turns(10)
    play.backend.never_ready = False
    with pytest.raises(StateUnusable, match=r"after cell 2 is lost\. It could not be restored: It has ended\."):
        await play.run("c")
    assert await play.out("d") == "a d"


async def test_a_changed_environment(play: Play) -> None:
    """What can be put back is no loss: each cell says it until then, and the session stays where it is."""
    play.keeper.bad["s2"] = CHANGED
    await play.run("a")
    await play.run("b")
    for _ in range(2):
        with pytest.raises(StateUnusable, match=r"^The environment has changed\. Put it back\.$"):
            await play.run("c")
    play.keeper.bad.clear()
    assert await play.out("d") == "a b d"


@pytest.mark.parametrize("error", [SandboxRefused("No quota."), BackendUnavailable("No cluster.")], ids=["quota", "cluster"])
async def test_no_sandbox_to_be_had(play: Play, error: Exception) -> None:
    """What keeps a sandbox from starting ahead is tried again by the next cell, and only then told."""
    await play.run("a")
    await turns(10)
    play.backend.before = failing(error)
    await play.run("b")
    await turns(10)
    assert await play.out("c") == "a b c"
    await turns(10)
    play.backend.before = failing(error, error)
    await play.run("d")
    await turns(10)
    with pytest.raises(type(error)):
        await play.run("e")
    assert await play.out("f") == "a b c d f"


async def test_a_sandbox_that_ends_between_two_cells(play: Play) -> None:
    """The next cell gets another from the same state, and the user is told that threads were lost."""
    await play.run("a")
    await turns(10)
    play.backend.last.end()
    await turns(5)
    assert await play.out("b") == "a b"
    assert play.told == ["The sandbox ended between two cells; the session is as it was after the last cell."]


# -- at each moment ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["exact", "carry"])
async def test_a_caller_that_is_cancelled_at_each_moment(mode: str) -> None:
    """Whoever gives up waiting for a cell, whenever, leaves a session that goes on from before or after it."""
    for moment in range(MANY):
        play = Play(mode)
        await play.run("a")
        task = asyncio.ensure_future(play.run("b"))
        await turns(moment)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await asyncio.wait_for(play.out("c"), 5) in ("a c", "a b c")
        await left_nothing(play)


@pytest.mark.parametrize("save", ["saved", "not saved"])
async def test_an_interrupt_at_each_moment(save: str) -> None:
    """An interrupted cell ends as interrupted or as it would have; the next one knows of it what its outcome says."""
    for moment in range(MANY):
        play = Play()
        if save == "not saved":
            play.keeper.before = failing(not_saved())
        await play.run("a")
        del play.told[:]
        task = asyncio.ensure_future(play.run("b"))
        await turns(moment)
        await play.session.interrupt()
        events = await asyncio.wait_for(task, 5)
        assert isinstance(events[-1], wire.Finished)
        lost = ["The sandbox that held the state after cell 1 is gone; the session is back before that cell."]
        assert play.told in ([], lost if save == "not saved" else [])
        expected = ["a", "b", "c"] if events[-1].outcome == "ok" else ["c"] if play.told else ["a", "c"]
        assert await asyncio.wait_for(play.out("c"), 5) == " ".join(expected)
        await left_nothing(play)


async def test_an_interrupt_while_the_next_sandbox_starts(play: Play) -> None:
    """A cell that is interrupted before its sandbox is there is called off: nothing is lost, and that one takes the next."""
    await play.run("a")
    await turns(10)
    held, go = asyncio.Event(), asyncio.Event()

    async def hold(_: object) -> None:
        held.set()
        await go.wait()

    play.backend.before = hold
    running = asyncio.ensure_future(play.run("b"))
    await held.wait()
    task = asyncio.ensure_future(play.run("c"))
    await turns(2)
    await play.session.interrupt()
    *_, error, finished = await asyncio.wait_for(task, 5)
    assert (error.name, error.value) == ("KeyboardInterrupt", "")
    assert (finished.outcome, finished.lives, play.told) == ("interrupted", True, [])
    go.set()
    await running
    assert (await play.out("d"), play.told) == ("a b d", [])
    assert [len(sandbox.heard) for sandbox in play.backend.made[:3]] == [1, 2, 2]


async def test_an_interrupt_before_a_sandbox_that_carries_is_ready() -> None:
    """A cell is called off that has a sandbox which is not ready: no state is waited for there, and the next cell runs."""
    play = Play("carry", standby=0)
    await play.run("a")
    await play.session.settled()
    play.backend.never_ready = True
    task = asyncio.ensure_future(play.run("b"))
    await turns(20)
    await play.session.interrupt()
    await asyncio.wait_for(task, 5)
    await play.session.settled()
    assert len(play.session.log()) == 1
    play.backend.never_ready = False
    assert await asyncio.wait_for(play.out("c"), 5) == "a c"
    await left_nothing(play)


async def test_an_interrupt_before_the_sandbox_is_ready(play: Play) -> None:
    """A sandbox that was not ready for its cell is not lost with it: the next cell runs in it."""
    await play.run("a")
    task = asyncio.ensure_future(play.run("b"))
    while not play.session._running:
        await turns(1)
    await play.session.interrupt()
    await task
    made = len(play.backend.made)
    assert await play.out("c") == "a c"
    assert [type(word) for word in play.backend.made[made - 1].heard] == [wire.Wake, wire.Cell]


@pytest.mark.parametrize("mode", ["exact", "carry"])
async def test_a_close_at_each_moment(mode: str) -> None:
    """Closing while a cell waits, runs or settles ends it; no task, sandbox or snapshot is left."""
    for moment in range(MANY):
        play = Play(mode)
        await play.run("a")
        tasks = [asyncio.ensure_future(play.run(code)) for code in ("b", "hang", "c")]
        await turns(moment)
        await asyncio.wait_for(play.session.close(), 5)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        await left_nothing(play)


async def test_a_close_while_a_state_is_taken_does_not_wait_for_it(play: Play) -> None:
    """What is being saved nobody needs any more: its sandbox is ended, and who saves it gives up."""
    held = asyncio.Event()

    async def hold() -> None:
        held.set()
        [conversation] = play.session._settling.values()
        await conversation.wait_ended()
        raise not_saved(alive=False)

    play.keeper.before = hold
    async for _ in play.session.run("a"):
        pass
    await held.wait()
    await asyncio.wait_for(play.session.close(), 5)
    assert play.told == []


# -- going back --------------------------------------------------------------------------------------------------------


async def test_undo_rewind_and_reset(play: Play) -> None:
    """Going back is a new start from an earlier state; what was left can be gone to again."""
    for code in "abc":
        await play.run(code)
    await play.session.undo(2)
    assert await play.out("d") == "a d"
    await play.session.rewind(3)
    assert await play.out("e") == "a b c e"
    await play.session.reset()
    assert await play.out("f") == "f"
    assert [point.cell for point, here in play.session.log() if here] == ["6"]
    with pytest.raises(StateUnusable):
        await play.session.undo(9)
    assert await play.out("g") == "f g"


async def test_undo_while_a_cell_runs_waits_for_it(play: Play) -> None:
    """Who takes back during a cell takes back that cell."""
    await play.run("a")
    held = asyncio.Event()

    async def hold() -> None:
        await held.wait()

    play.keeper.before = hold
    running = asyncio.ensure_future(play.run("b"))
    await turns(20)
    undoing = asyncio.ensure_future(play.session.undo())
    await turns(20)
    assert not undoing.done()
    held.set()
    await running
    await undoing
    assert await play.out("c") == "a c"


async def test_undo_of_what_could_not_be_saved(play: Play) -> None:
    """The states between are not there to go to: all of them are taken back at once, or none."""
    play.keeper.before = failing(None, not_saved(), not_saved())
    for code in "abc":
        await play.run(code)
    with pytest.raises(StateUnusable, match=r"last 2 cells could not be saved.*`%sandbox undo 2` goes back"):
        await play.session.undo(1)
    assert await play.session.names() == [(code, "cell", 1) for code in "abc"]
    await play.session.undo(2)
    assert await play.out("d") == "a d"


async def test_undo_beyond_what_could_not_be_saved(play: Play) -> None:
    """Cells that were not saved count as cells."""
    play.keeper.before = failing(None, not_saved())
    for code in "ab":
        await play.run(code)
    await play.session.undo(2)
    assert await play.out("d") == "d"


async def test_a_state_that_cannot_be_gone_to(play: Play) -> None:
    """Where an earlier state cannot be used the session stays where it was."""
    for code in "ab":
        await play.run(code)
    play.keeper.bad["s1"] = DAMAGED
    with pytest.raises(StateUnusable, match="It is damaged"):
        await play.session.undo()
    assert await play.out("c") == "a b c"


async def test_who_goes_back_and_is_cancelled() -> None:
    """Whoever gives up going back leaves a session that is before or after it."""
    for moment in range(MANY):
        play = Play()
        for code in "ab":
            await play.run(code)
        task = asyncio.ensure_future(play.session.undo())
        await turns(moment)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert await asyncio.wait_for(play.out("c"), 5) in ("a c", "a b c")
        await left_nothing(play)


# -- saved sessions and forks ------------------------------------------------------------------------------------------


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State lies in directories of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.usefixtures("directories")
async def test_a_saved_session_goes_on_in_another_as_a_new_life(play: Play) -> None:
    """What is loaded wakes anew, once; its cells after that go on."""
    await play.run("a")
    await play.session.save("x")
    other = play.open(play.runner.open_session("exact"))
    await play.run("z", other)
    await other.load("x")
    assert play.backend.last.heard == [wire.Wake(other.id, anew=True)]
    assert await play.out("b", other) == "a b"
    await turns(10)
    assert play.backend.last.heard == [wire.Wake(other.id, anew=False)]
    await other.undo(2)
    assert await play.out("c", other) == "z c"
    assert await play.out("d") == "a d"


@pytest.mark.usefixtures("directories")
async def test_a_saved_session_that_cannot_be_loaded(play: Play) -> None:
    """The session stays where it was, in the life it has."""
    await play.run("a")
    await play.session.save("x")
    await play.run("b")
    play.keeper.bad["s3"] = CHANGED
    with pytest.raises(StateUnusable, match="environment has changed"):
        await play.session.load("x")
    await turns(10)
    assert play.backend.last.heard == [wire.Wake(play.session.id, anew=False)]
    assert await play.out("c") == "a b c"
    with pytest.raises(StateUnusable, match="There is no saved session 'y'"):
        await play.session.load("y")


@pytest.mark.usefixtures("directories")
async def test_a_session_saved_in_another_way(play: Play) -> None:
    """A state is loaded by who keeps it in the same way; the setting is named."""
    await play.run("a")
    await play.session.save("x")
    other = Play("carry")
    with pytest.raises(StateUnusable, match=r"saved with state 'exact'.*Set Runner\.state to 'exact'"):
        await other.session.load("x")
    await other.runner.close()


async def move(play: Play, code: str) -> list[wire.Event]:
    """Say something to a widget, which changes the state as a cell does."""
    events = [event async for event in play.session.run(code, label="widgets", comm={"kind": "msg", "id": "a"})]
    await play.session.settled()
    return events


async def test_no_state_is_taken_after_a_word_to_a_widget(play: Play) -> None:
    """Words to widgets go to the sandbox that waits, one after another, and into the state of the next cell."""
    await play.run("a")
    await turns(10)
    waiting = len(play.backend.made)
    await asyncio.gather(move(play, "x"), move(play, "y"))
    assert len(play.backend.made) == waiting
    assert [point.cell for point, _ in play.session.log()] == ["1"]
    assert await play.out("b") == "a x y b"
    assert [point.snapshot.manifest["state"] for point, _ in play.session.log()] == [("a",), ("a", "x", "y", "b")]
    await move(play, "z")
    await play.session.undo()
    assert await play.out("c") == "a c"
    assert play.told == []


@pytest.mark.parametrize("how", ["in it", "after it"])
async def test_a_sandbox_that_ends_after_a_word_to_a_widget(play: Play, how: str) -> None:
    """When it dies the next cell has the state after the last cell, and the user is told."""
    await play.run("a")
    await move(play, "x")
    if how == "in it":
        [error, finished] = await move(play, "die")
        assert isinstance(error, wire.Error) and error.value.endswith(ROLLED_BACK) and not finished.lives
    else:
        play.backend.last.end()
        await turns(10)
    assert await play.out("b") == "a b"
    assert len(play.told) == (1 if how == "after it" else 0)


@pytest.mark.usefixtures("directories")
async def test_saving_after_a_word_to_a_widget(play: Play) -> None:
    """What is saved, or forked, is the session as it is, widgets moved; that is one more point to go back to."""
    await play.run("a")
    await move(play, "x")
    await play.session.save("name")
    assert [point.cell for point, _ in play.session.log()] == ["1", "widgets"]
    await move(play, "y")
    fork = play.open(await play.runner.fork(play.session))
    assert await play.out("b", fork) == "a x y b"
    await play.session.load("name")
    assert await play.out("c") == "a x c"
    await play.session.undo(2)
    assert await play.out("d") == "a x y d"


async def test_who_uses_a_session_finds_its_marks(play: Play) -> None:
    """Each point has the mark of its moment, and who goes to a point is told of it."""
    marks, gone = iter("xyz"), []
    play.session.mark, play.session.moved = lambda: next(marks), gone.append
    await play.run("a")
    await play.run("b")
    await play.session.undo()
    await play.session.reset()
    assert [point.mark if point else None for point in gone] == ["x", None]


@pytest.mark.usefixtures("directories")
async def test_saving_what_could_not_be_saved_before(play: Play) -> None:
    """Saving by name tries again to take the state; when that works nothing is lost, when not it says so."""
    play.keeper.before = failing(not_saved(), not_saved(), None)
    await play.run("a")
    with pytest.raises(StateNotSaved, match=r"could not be saved\. The session goes on in its sandbox\."):
        await play.session.save("x")
    await play.session.save("x")
    assert await play.out("b") == "a b"
    assert len(play.told) == 2
    assert [point.cell for point, _ in play.session.log()] == ["1", "2"]


@pytest.mark.usefixtures("directories")
async def test_saving_what_is_lost_meanwhile(play: Play) -> None:
    """No older state is saved in place of the one that was meant."""
    play.keeper.before = failing(None, not_saved(), not_saved(alive=False))
    await play.run("a")
    await play.run("b")
    with pytest.raises(StateNotSaved, match=r"could not be saved\.$"):
        await play.session.save("x")
    assert await play.out("c") == "a c"


@pytest.mark.parametrize("name", ["../x", ""])
async def test_saving_under_no_name(play: Play, name: str) -> None:
    """A name that is none is refused before anything else."""
    with pytest.raises(StateUnusable, match="cannot be the name"):
        await play.session.save(name)


async def test_saving_nothing(play: Play) -> None:
    """Before the first cell there is nothing to save."""
    with pytest.raises(StateNotSaved, match="no cell has run yet"):
        await play.session.save("x")


async def test_forks_are_independent(play: Play) -> None:
    """A fork goes on from the same state as a new life; neither sees the other, and either may end first."""
    await play.run("a")
    other = play.open(await play.runner.fork(play.session))
    await turns(10)
    assert play.backend.last.heard == [wire.Wake(other.id, anew=True)]
    assert await play.out("b") == "a b"
    assert await play.out("c", other) == "a c"
    third = play.open(await play.runner.fork(other))
    await play.session.close()
    assert "s1" not in play.keeper.removed
    assert await play.out("d", other) == "a c d"
    await other.close()
    assert await play.out("e", third) == "a c e"


async def test_a_fork_of_what_could_not_be_saved(play: Play) -> None:
    """A fork needs a state that is saved: it is tried again, and the session goes on where that fails."""
    play.keeper.before = failing(not_saved(), not_saved(), None)
    await play.run("a")
    with pytest.raises(StateNotSaved):
        await play.runner.fork(play.session)
    other = play.open(await play.runner.fork(play.session))
    assert await play.out("b", other) == "a b"
    assert await play.out("c") == "a c"


async def test_a_fork_of_the_beginning(play: Play) -> None:
    """A session that has not begun can be forked, too."""
    other = play.open(await play.runner.fork(play.session))
    assert await play.out("a", other) == "a"


async def test_old_states_are_removed() -> None:
    """States over the number that is kept are removed, but for those that a fork still needs."""
    play = Play(history_points=2)
    await play.run("a")
    other = play.open(await play.runner.fork(play.session))
    for code in "bcd":
        await play.run(code)
    assert play.keeper.removed == ["s2"]
    await other.close()
    assert play.keeper.removed == ["s2", "s1"]
    await left_nothing(play)


def test_ready_is_what_a_guest_says() -> None:
    """What plays here speaks the wire's words."""
    assert wire.load_event(wire.dump(READY)) == READY


async def test_after_the_end_nothing_begins(play: Play) -> None:
    """A closed runner opens no session and a closed session runs no cell: nobody would end them."""
    await play.runner.close()
    with pytest.raises(ConfigurationError, match="This runner is closed"):
        play.runner.open_session()
    with pytest.raises(ConfigurationError, match="This session is closed"):
        play.session.run("1")

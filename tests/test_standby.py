"""Sandboxes that are started ahead, over sandboxes that only play: each is used once, and losing one loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playing import READY, PlayingSandbox
from test_lasting import DAMAGED, MANY, Play, failing, left_nothing, turns

from sandbox_kernel import standby as standby_module
from sandbox_kernel.errors import SandboxGone, SandboxLost, SandboxRefused, StateUnusable
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits
from sandbox_kernel.standby import Setup


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    """A session that carries its state, with a standby."""
    made = Play("carry", standby=1)
    yield made
    await left_nothing(made)


@pytest.fixture
async def pool() -> AsyncIterator[Play]:
    """A session that keeps nothing, with three standbys; ``session`` is that session."""
    made = Play("carry", standby=3)
    made.session = made.runner.open_session("fresh")  # type: ignore[assignment]
    made.session.prepare()
    await turns(10)
    yield made
    await left_nothing(made)


async def out(play: Play, code: str) -> str:
    """Return what a cell printed, of a session that has no state to wait for."""
    events = [event async for event in play.session.run(code)]
    return "".join(event.text for event in events if isinstance(event, wire.Stream))


def cells(sandbox: PlayingSandbox) -> list[str]:
    """Return the cells that were delivered to a sandbox."""
    return [message.code for message in sandbox.heard if isinstance(message, wire.Cell)]


async def waiting(play: Play) -> PlayingSandbox:
    """Return the sandbox that waits."""
    await turns(10)
    [sandbox] = play.backend.open
    return sandbox


async def last_closed(play: Play) -> None:
    """Return when there was a sandbox and the newest is closed."""
    while not (play.backend.made and play.backend.last.closed):  # noqa: ASYNC110 - nothing tells but that
        await asyncio.sleep(0.01)


def snapshot_of(sandbox: PlayingSandbox) -> str | None:
    """Return the id of the snapshot it starts from."""
    return sandbox.request.snapshot and sandbox.request.snapshot.id


# -- one for the next cell ---------------------------------------------------------------------------------------------


async def test_the_next_cell_finds_a_sandbox_that_waits(play: Play) -> None:
    """From the first cell on each cell is delivered to a sandbox that was there before it, and none gets a second."""
    play.session.prepare()
    for number, code in enumerate("abc"):
        ahead = await waiting(play)
        assert await play.out(code) == " ".join("abc"[: number + 1])
        assert cells(ahead) == [code]
        assert (ahead.closed > 0, ahead.request.idle_s) == (True, 600.0)
    await turns(10)
    assert [snapshot_of(sandbox) for sandbox in play.backend.made] == [None, "s1", "s2", "s3"]
    assert play.told == []


async def test_a_cell_that_comes_while_one_is_starting_waits_for_it(play: Play) -> None:
    """What is on its way is waited for; nothing is started beside it."""
    held = asyncio.Event()

    async def hold(_: object) -> None:
        await held.wait()

    play.backend.before = hold
    play.session.prepare()
    await turns(10)
    running = asyncio.ensure_future(play.out("a"))
    await turns(10)
    play.backend.before = None
    held.set()
    assert await running == "a"
    assert [len(cells(sandbox)) for sandbox in play.backend.made] == [1]


@pytest.mark.parametrize("mode", ["carry", "fresh"])
async def test_none_is_started_that_nobody_asked_for(mode: str) -> None:
    """With 0, and by default where no kernel asks, each cell starts its own on the same path, and nothing runs after it."""
    for settings in ({"standby": 0}, {}):
        play = Play("carry", **settings)
        session = play.runner.open_session(mode)
        session.prepare()
        await turns(10)
        assert play.backend.made == []
        for code in "ab":
            assert [event async for event in session.run(code)]
            await turns(30)
        assert [sandbox.request.idle_s for sandbox in play.backend.made] == [0.0, 0.0]
        assert play.backend.open == []
        await left_nothing(play)


async def test_a_kernel_has_one_unless_it_is_told_otherwise() -> None:
    """What a kernel asks for is what there is without a setting; a setting of 0 wins over it."""
    for settings, expected in (({}, 1), ({"standby": 0}, 0), ({"standby": 5}, 1)):
        play = Play("carry", **settings)
        play.runner.open_session("carry", standby=1).prepare()
        await turns(10)
        assert len(play.backend.made) == expected
        await left_nothing(play)


async def test_an_exact_session_has_its_first_sandbox_ahead() -> None:
    """Where whole sandboxes are kept the first is started ahead, too, and one that was lost is nobody's concern."""
    play = Play("exact", standby=1)
    play.session.prepare()
    (await waiting(play)).end()
    await turns(5)
    assert await play.out("a") == "a"
    assert play.told == []
    await left_nothing(play)


async def test_another_limit_before_the_first_exact_cell() -> None:
    """A sandbox in which nothing has run is replaced when a setting changes."""
    play = Play("exact", standby=1)
    play.session.prepare()
    first = await waiting(play)
    play.runner.memory_mib = 4096
    assert await play.out("a") == "a"
    assert cells(first) == []
    assert play.backend.made[1].request.limits.memory_mib == 4096
    await left_nothing(play)


# -- what it was started with ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"memory_mib": 4096}, {"timeout_s": 9000.0}, {"timeout_s": None}], ids=str)
async def test_settings_that_change(play: Play, change: dict[str, Any]) -> None:
    """A cell runs with the settings that hold when it comes; what waits with others is ended and runs nothing."""
    await play.run("a")
    old = await waiting(play)
    for name, value in change.items():
        setattr(play.runner, name, value)
    assert await play.out("b") == "a b"
    assert (cells(old), old.closed > 0) == ([], True)
    new = await waiting(play)
    used = play.backend.made[-2]
    assert cells(used) == ["b"]
    assert used.request.limits == new.request.limits == play.runner.limits()
    limits, timeout_s = play.runner.limits(), play.runner.timeout_s
    assert used.request.timeout_s == limits.longest_s(timeout_s)
    assert new.request.timeout_s == limits.longest_s(timeout_s, stdin=True)  # Its cell may ask its user.


async def test_settings_of_the_backend_that_change(play: Play) -> None:
    """The same for the image and all else that the backend makes sandboxes of."""
    image = "one"
    play.session._terms = play.session._standbys._terms = standby_module.Terms(lambda: 1, lambda: 600.0, lambda: image)
    await play.run("a")
    old = await waiting(play)
    image = "two"
    assert await play.out("b") == "a b"
    assert cells(old) == []


async def test_a_cell_with_a_time_of_its_own(play: Play) -> None:
    """A shorter time is kept by guest and host, so what waits serves; a longer one needs other deadlines."""
    await play.run("a")
    first = await waiting(play)
    assert [event async for event in play.session.run("b", timeout_s=1.0)][-1].outcome == "ok"
    assert cells(first) == ["b"]
    await play.session.settled()
    second = await waiting(play)
    assert [event async for event in play.session.run("c", timeout_s=10_000.0)][-1].outcome == "ok"
    assert cells(second) == []
    assert play.backend.made[-1].request.timeout_s == play.runner.limits().longest_s(10_000.0)
    await play.session.settled()
    await turns(10)
    assert second.closed
    assert await play.out("d") == "a b c d"


@pytest.mark.parametrize(
    ("has", "wants", "serves"),
    [
        (300.0, 300.0, True),
        (300.0, 1.0, True),
        (300.0, 301.0, False),
        (300.0, None, False),
        (None, 5.0, True),
        (None, None, True),
    ],
)
def test_which_time_serves(has: float | None, wants: float | None, serves: bool) -> None:
    """The backend's deadlines must not come before the cell's own end."""
    assert Setup(Limits(), has).serves(Setup(Limits(), wants)) is serves
    assert not Setup(Limits(), has, "image one").serves(Setup(Limits(), wants, "image two"))
    assert not Setup(Limits(), has, origin="1").serves(Setup(Limits(), wants, origin="2"))


# -- what it was started from ------------------------------------------------------------------------------------------


@pytest.fixture
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """State lies in directories of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("how", ["undo", "rewind", "reset", "load"])
@pytest.mark.usefixtures("directories")
async def test_going_back_with_a_standby_waiting(play: Play, how: str) -> None:
    """What waits with the state that is left is ended; another waits with the state that is gone to."""
    await play.run("a")
    await play.session.save("one")
    await play.run("b")
    old = await waiting(play)
    await {
        "undo": play.session.undo,
        "rewind": lambda: play.session.rewind(1),
        "reset": play.session.reset,
        "load": lambda: play.session.load("one"),
    }[how]()
    new = await waiting(play)
    assert new is not old
    assert new.request.anew is (how == "load")
    assert await play.out("c") == ("c" if how == "reset" else "a c")
    assert (cells(old), cells(new)) == ([], ["c"])


async def test_a_new_life_begins_also_when_the_first_sandbox_for_it_is_lost(play: Play) -> None:
    """A fork whose standby went away begins a new life all the same, and goes on with it in the next cell."""
    await play.run("a")
    other = play.open(await play.runner.fork(play.session))
    await turns(10)
    assert play.backend.last.request.session == other.id
    play.backend.last.end()
    await turns(10)
    assert await play.out("b", other) == "a b"
    assert await play.out("c", other) == "a b c"
    await turns(10)
    theirs = [sandbox for sandbox in play.backend.made if sandbox.request.session == other.id]
    assert [sandbox.request.anew for sandbox in theirs] == [True, True, False, False]


async def test_after_a_cell_that_was_ended(play: Play) -> None:
    """The next one waits with the state from before it."""
    await play.run("a")
    await play.run("die")
    ahead = await waiting(play)
    assert snapshot_of(ahead) == "s1"
    assert await play.out("b") == "a b"
    assert cells(ahead) == ["b"]


async def test_a_state_that_is_lost_meanwhile(play: Play) -> None:
    """A standby that cannot be had is told of by the cell that needs it, once, and the session goes on before it."""
    play.keeper.bad["s2"] = DAMAGED
    await play.run("a")
    await play.run("b")
    await turns(10)
    with pytest.raises(StateUnusable, match=r"The state after cell 2 is lost\."):
        await play.run("c")
    assert await play.out("d") == "a d"


# -- lost before it took the cell --------------------------------------------------------------------------------------


async def test_one_that_ended_while_it_waited(play: Play) -> None:
    """It is removed when it ends; the cell starts another, runs once, and nobody is told of what was no loss."""
    await play.run("a")
    old = await waiting(play)
    old.end()
    await turns(10)
    assert old.closed
    assert await play.out("b") == "a b"
    assert (cells(old), play.told) == ([], [])


async def test_one_that_has_not_been_heard_for_long(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has missed its heartbeats may be on a node that is gone: nothing is delivered to it."""
    await play.run("a")
    old = await waiting(play)
    monkeypatch.setattr(standby_module, "SILENCE_S", 0.0)
    assert await play.out("b") == "a b"
    assert (cells(old), play.told) == ([], [])


async def test_one_that_takes_long_to_start_is_not_silent(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is heard of a guest before its image is there: it is waited for."""
    monkeypatch.setattr(standby_module, "SILENCE_S", 0.0)
    play.backend.never_ready = True
    play.session.prepare()
    slow = await waiting(play)
    running = asyncio.ensure_future(play.out("a"))
    await turns(20)
    play.backend.never_ready = False
    slow.say(READY)
    assert await running == "a"
    assert cells(slow) == ["a"]


def lost_at_delivery(sandbox: PlayingSandbox, how: str) -> None:
    """Have a sandbox be lost when its cell comes."""
    if how == "gone":

        async def gone(_: bytes) -> None:
            raise SandboxGone("It was deleted.")

        sandbox.deliver = gone  # type: ignore[method-assign]
        return
    sandbox.heard_all = how in ("heard to its end", "with a gap")
    if how == "with a gap":
        sandbox.at_cell = lambda: (sandbox._encoder.encode(wire.Heartbeat()), sandbox.say(wire.Heartbeat()), sandbox.end())  # type: ignore[func-returns-value]
    else:
        sandbox.at_cell = sandbox.end


@pytest.mark.parametrize("mode", ["carry", "exact", "fresh"])
@pytest.mark.parametrize("how", ["gone", "heard to its end"])
async def test_one_that_ends_as_the_cell_comes(how: str, mode: str) -> None:
    """Where it is certain that it did not take the cell another does, which is no error and no second run."""
    play = Play("exact" if mode == "exact" else "carry", standby=1)
    if mode == "fresh":
        play.session = play.runner.open_session("fresh")  # type: ignore[assignment]
        play.session.prepare()
    else:
        await play.run("a")
    lost_at_delivery(await waiting(play), how)
    events = [event async for event in play.session.run("b")]
    said = "".join(event.text for event in events if isinstance(event, wire.Stream))
    assert said == ("b" if mode == "fresh" else "a b")
    assert [type(event) for event in events if isinstance(event, wire.Finished | wire.Error)] == [wire.Finished]
    expected = "The sandbox ended between two cells; the session is as it was after the last cell."
    assert play.told == ([expected] if mode == "exact" else [])
    await left_nothing(play)


@pytest.mark.parametrize("mode", ["carry", "exact", "fresh"])
@pytest.mark.parametrize("how", ["not heard to its end", "with a gap"])
async def test_one_that_may_have_taken_the_cell(how: str, mode: str) -> None:
    """Where it is not certain nothing runs a second time: the cell is lost, and said to be; the next one runs."""
    play = Play("exact" if mode == "exact" else "carry", standby=1)
    if mode == "fresh":
        play.session = play.runner.open_session("fresh")  # type: ignore[assignment]
        play.session.prepare()
    lasting = mode != "fresh"
    if lasting:
        await play.run("a")
    lost_at_delivery(await waiting(play), how)
    with pytest.raises(SandboxLost):
        await out(play, "b")
    assert sum(len(cells(sandbox)) for sandbox in play.backend.made) == (2 if lasting else 1)
    assert await out(play, "c") == ("a c" if lasting else "c")
    await left_nothing(play)


async def test_the_one_in_its_place_is_the_last(play: Play) -> None:
    """When what is started for the cell cannot be had either, that is told as ever; the session goes on."""
    await play.run("a")
    lost_at_delivery(await waiting(play), "gone")
    play.backend.before = failing(SandboxRefused("exceeded quota"))
    with pytest.raises(SandboxRefused, match="exceeded quota"):
        await play.run("b")
    assert await play.out("c") == "a c"


async def test_an_interrupt_while_another_is_started(play: Play) -> None:
    """A cell whose standby was lost can be interrupted while it waits for another."""
    await play.run("a")
    lost_at_delivery(await waiting(play), "gone")
    held = asyncio.Event()

    async def hold(_: object) -> None:
        held.set()
        await asyncio.Event().wait()

    play.backend.before = hold
    running = asyncio.ensure_future(play.run("b"))
    await held.wait()
    play.backend.before = None
    await play.session.interrupt()
    assert (await running)[-1].outcome == "interrupted"
    assert await play.out("c") == "a c"


@pytest.mark.parametrize("what", ["cancel", "interrupt", "close"])
@pytest.mark.parametrize("how", ["waits", "gone", "heard to its end"])
async def test_at_each_moment(how: str, what: str) -> None:
    """Whoever gives up, interrupts or closes, whenever: nothing is left, and what goes on goes on from before or after."""
    for moment in range(MANY):
        play = Play("carry", standby=1)
        await play.run("a")
        if how != "waits":
            lost_at_delivery(await waiting(play), how)
        task = asyncio.ensure_future(play.run("b"))
        await turns(moment)
        if what == "close":
            await asyncio.wait_for(play.session.close(), 5)
        elif what == "interrupt":
            await play.session.interrupt()
        else:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)
        if what != "close":
            assert await asyncio.wait_for(play.out("c"), 5) in ("a c", "a b c")
        await left_nothing(play)


async def test_losing_it_at_each_moment() -> None:
    """A standby that ends at any moment around the cell's coming costs a start at most: the cell runs once."""
    for moment in range(MANY):
        play = Play("carry", standby=1)
        await play.run("a")
        old = await waiting(play)
        old.heard_all = True
        task = asyncio.ensure_future(play.out("b"))
        await turns(moment)
        old.end()
        assert await asyncio.wait_for(task, 5) == "a b"
        assert await asyncio.wait_for(play.out("c"), 5) == "a b c"
        assert play.told == []
        await left_nothing(play)


# -- the idle limit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["carry", "fresh"])
async def test_nobody_waits_for_longer_than_the_limit(mode: str) -> None:
    """After the idle limit it goes; the next cell starts cold, and after it one waits again."""
    play = Play("carry", standby=1, standby_idle_s=0.01)
    session = play.session if mode == "carry" else play.runner.open_session("fresh")
    session.prepare()
    await last_closed(play)
    assert [cells(sandbox) for sandbox in play.backend.made] == [[]]
    play.runner.standby_idle_s = 600.0
    assert [event async for event in session.run("a")][-1].outcome == "ok"
    await turns(30)
    assert [cells(sandbox) for sandbox in play.backend.made] == [[], ["a"], []]
    assert [sandbox.request.idle_s for sandbox in play.backend.made] == [0.01, 0.0, 600.0]
    await left_nothing(play)


async def test_one_that_never_gets_ready_goes() -> None:
    """A start that comes to nothing is given up after the start timeout, and not tried again before the next cell."""
    play = Play("carry", standby=1, start_timeout_s=0.01)
    play.backend.never_ready = True
    play.session.prepare()
    await last_closed(play)
    assert len(play.backend.made) == 1
    await left_nothing(play)


# -- a pool ------------------------------------------------------------------------------------------------------------


async def test_each_of_a_pool_is_used_once(pool: Play) -> None:
    """Snippets take those that wait, at once or one after the other, and the pool is filled again."""
    assert len(pool.backend.made) == 3
    assert await asyncio.gather(*(out(pool, code) for code in "abc")) == ["a", "b", "c"]
    await turns(30)
    assert [cells(sandbox) for sandbox in pool.backend.made] == [["a"], ["b"], ["c"], [], [], []]
    for code in "def":
        await out(pool, code)
        await turns(30)
    used = [cells(sandbox) for sandbox in pool.backend.made if cells(sandbox)]
    assert used == [[code] for code in "abcdef"]
    assert len(pool.backend.open) == 3


async def test_more_snippets_than_a_pool_holds(pool: Play) -> None:
    """Who finds none that waits starts its own."""
    codes = [f"c{number}" for number in range(10)]
    assert await asyncio.gather(*(out(pool, code) for code in codes)) == codes
    assert sorted(code for sandbox in pool.backend.made for code in cells(sandbox)) == sorted(codes)
    assert max(len(cells(sandbox)) for sandbox in pool.backend.made) == 1


async def test_the_next_are_not_started_before_the_snippet_has_begun(pool: Play) -> None:
    """What is started is not in the way of what is delivered."""
    begun = asyncio.Event()
    for sandbox in pool.backend.made:
        sandbox.at_cell = begun.set
    running = asyncio.ensure_future(out(pool, "a"))
    await begun.wait()
    await turns(30)
    assert len(pool.backend.made) == 3
    pool.backend.made[0].say(wire.Started(1), wire.Finished("ok", 0))
    await running
    await turns(30)
    assert len(pool.backend.made) == 4


@pytest.fixture
async def busy(pool: Play) -> list[asyncio.Future[str]]:
    """Three snippets that run in what waited, and two that came with them and wait for their own sandboxes to get ready."""
    pool.backend.never_ready = True
    running = [asyncio.ensure_future(out(pool, code)) for code in "abcde"]
    await turns(30)
    return running


async def test_nothing_is_started_ahead_while_somebody_waits(pool: Play, busy: list[asyncio.Future[str]]) -> None:
    """Snippets that found none that waits have their sandboxes first; when the last of them has begun the pool is filled."""
    assert [running.done() for running in busy] == [True, True, True, False, False]
    own = pool.backend.made[3:]
    assert [sandbox.request.idle_s for sandbox in own] == [0.0, 0.0]
    own[0].say(READY)
    assert await busy[3] == "d"
    await turns(30)
    assert len(pool.backend.made) == 5
    own[1].say(READY)
    assert await busy[4] == "e"
    await turns(30)
    assert [sandbox.request.idle_s for sandbox in pool.backend.made[5:]] == [600.0] * 3


@pytest.mark.parametrize("how", ["interrupted", "cancelled", "ends", "refused"])
async def test_who_waits_no_more_holds_nothing_up(pool: Play, busy: list[asyncio.Future[str]], how: str) -> None:
    """The pool is filled also when who waited gives up, or will not be had."""
    if how == "interrupted":
        await pool.session.interrupt()
    elif how == "cancelled":
        for running in busy:
            running.cancel()
    elif how == "ends":
        for sandbox in pool.backend.made[3:]:
            sandbox.end()
    else:
        pool.backend.before = failing(SandboxRefused("exceeded quota"))
        late = asyncio.ensure_future(out(pool, "late"))
        await turns(30)
        pool.backend.before = None
        assert isinstance(late.exception(), SandboxRefused)
        for sandbox in pool.backend.made[3:]:
            sandbox.say(READY)
    await asyncio.wait(busy, timeout=5)
    await asyncio.gather(*busy, return_exceptions=True)
    await turns(30)
    assert [sandbox.request.idle_s for sandbox in pool.backend.made[5:]] == [600.0] * 3


async def test_those_who_come_later_find_the_pool_on_its_way(pool: Play, busy: list[asyncio.Future[str]]) -> None:
    """It waits for those who waited when it was to be filled, and for nobody who comes later: somebody always may."""
    later = [asyncio.ensure_future(out(pool, code)) for code in "fg"]
    await turns(30)
    for sandbox in pool.backend.made[3:5]:
        sandbox.say(READY)
    await asyncio.gather(*busy)
    await turns(30)
    assert [sandbox.request.idle_s for sandbox in pool.backend.made[3:]] == [0.0] * 4 + [600.0] * 3
    last = asyncio.ensure_future(out(pool, "h"))
    await turns(30)
    assert len(pool.backend.made) == 10
    for sandbox in pool.backend.made[5:8]:
        sandbox.say(READY)
    assert await asyncio.gather(*later, last) == ["f", "g", "h"]
    assert cells(pool.backend.made[7]) == ["h"]


async def test_a_pool_whose_node_is_drained(pool: Play) -> None:
    """All may be lost at once; each snippet runs once."""
    for sandbox in pool.backend.made:
        sandbox.end()
    assert await asyncio.gather(*(out(pool, code) for code in "abcd")) == ["a", "b", "c", "d"]


# -- closing -----------------------------------------------------------------------------------------------------------


async def test_closing_waits_for_what_is_starting(play: Play) -> None:
    """A start that is under way is let finish and then removed: cut off, it might leave what it has just made."""
    held = asyncio.Event()

    async def hold(_: object) -> None:
        await held.wait()

    play.backend.before = hold
    play.session.prepare()
    await turns(10)
    closing = asyncio.ensure_future(play.runner.close())
    await turns(10)
    held.set()
    await closing
    assert [sandbox.closed > 0 for sandbox in play.backend.made] == [True]


async def test_closing_does_not_wait_for_ever(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that hangs is cut off."""
    monkeypatch.setattr(standby_module, "CLOSE_S", 0.01)

    async def hang(_: object) -> None:
        await asyncio.Event().wait()

    play.backend.before = hang
    play.session.prepare()
    await turns(10)
    await asyncio.wait_for(play.runner.close(), 5)


# -- waiting for it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["carry", "exact", "fresh"])
async def test_who_wants_to_wait_for_it(mode: str) -> None:
    """Who measures can wait until one is ready; where there is none, or it cannot be had, nobody waits."""
    play = Play("exact" if mode == "exact" else "carry", standby=1)
    session = play.session if mode != "fresh" else play.runner.open_session("fresh")
    await asyncio.wait_for(session.standing_by(), 5)
    held = asyncio.Event()

    async def hold(_: object) -> None:
        await held.wait()

    play.backend.before = hold
    session.prepare()
    waiting = asyncio.ensure_future(session.standing_by())
    await turns(20)
    assert not waiting.done()
    held.set()
    await asyncio.wait_for(waiting, 5)
    assert len(play.backend.made) == 1
    play.backend.before = failing(SandboxRefused("No quota."))
    if mode == "exact":
        session._abandon(session._next)  # type: ignore[attr-defined]
        session._next = None  # type: ignore[attr-defined]
    session._standbys.clear()
    session.prepare()
    await asyncio.wait_for(session.standing_by(), 5)
    await left_nothing(play)

"""What is said to a cell that runs: interrupts with their grace, answers and the time they take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import HANG, ChildBackend, ScriptedBackend, ScriptedSandbox, Until, a_cell

from sandbox_kernel import delivery, outcomes, telling
from sandbox_kernel.backends.base import Request
from sandbox_kernel.conversation import Conversation
from sandbox_kernel.errors import ConfigurationError, SandboxLost, SandboxRefused
from sandbox_kernel.execution import Execution
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits

HELLO = wire.Stream("stdout", "hello\n")
WHERE = wire.Error("KeyboardInterrupt", "", ["Traceback:", "  here", "KeyboardInterrupt"])
INTERRUPTED = wire.Finished("interrupted", 130, lives=True)
QUESTION = wire.InputRequest("name? ")
GRACE_S = 3600.0


def heard(kind: type, count: int = 1) -> Until:
    """Return a step that waits until so many messages of a kind were delivered."""
    return Until(lambda sandbox: len(messages(sandbox, kind)) >= count)


def messages(sandbox: ScriptedSandbox, kind: type) -> list[Any]:
    return [message for message in map(wire.load_message, sandbox.delivered) if isinstance(message, kind)]


def execution_on(sandbox: Any, *, rolls_back: bool = False, **fields: Any) -> Execution:
    backend = sandbox if isinstance(sandbox, ChildBackend) else ScriptedBackend(sandbox)
    limits = Limits(start_s=3600.0)

    async def acquire() -> Conversation:
        conversation = Conversation(backend, Request("abc", 1, limits, None))
        await conversation.open()
        return conversation

    cell = wire.Cell(**{"number": 1, "code": "pass", "grace_s": GRACE_S, "answer_s": 60.0, **fields})
    return Execution(cell, limits, acquire, lambda _: None, rolls_back=rolls_back)


async def events_of(execution: Execution, on: Callable[[wire.Event], Any] = lambda _: None) -> list[wire.Event]:
    """Run it, in bounded time; ``on`` each event, do what is to be done."""

    async def gather() -> list[wire.Event]:
        events = []
        async for event in execution:
            events.append(event)
            made = on(event)
            if asyncio.iscoroutine(made):
                await made
        return events

    return await asyncio.wait_for(gather(), 20)


def interrupting(execution: Execution, times: int = 1) -> Callable[[wire.Event], Any]:
    async def interrupt() -> None:
        for _ in range(times):
            await execution.interrupt()

    return lambda event: interrupt() if event == HELLO else None


async def test_an_interrupt_is_told_to_the_cell() -> None:
    """A cell that runs is told, and what it then says of its end is what is told."""
    sandbox = ScriptedSandbox(*a_cell(HELLO, heard(wire.Interrupt), wire.Taken(1), WHERE, INTERRUPTED))
    execution = execution_on(sandbox, rolls_back=True)
    assert await events_of(execution, interrupting(execution)) == [HELLO, WHERE, INTERRUPTED]
    assert (sandbox.killed, len(messages(sandbox, wire.Interrupt))) == (0, 1)
    assert execution.finished == INTERRUPTED


@pytest.mark.parametrize("finished", [wire.Finished("ok", 0, lives=True), wire.Finished("error", 1, lives=True)])
async def test_a_cell_that_ends_otherwise_ends_as_it_says(finished: wire.Finished) -> None:
    """A cell that handles the interrupt ends as it likes."""
    zero = wire.Error("ZeroDivisionError", "", ["ZeroDivisionError"])
    said = [finished] if finished.outcome == "ok" else [zero, finished]
    sandbox = ScriptedSandbox(*a_cell(HELLO, heard(wire.Interrupt), *said))
    execution = execution_on(sandbox)
    assert await events_of(execution, interrupting(execution)) == [HELLO, *said]


async def test_a_cell_that_goes_on_is_killed_after_the_grace() -> None:
    """When the grace is over the sandbox is killed, and the session goes back."""
    sandbox = ScriptedSandbox(*a_cell(HELLO, heard(wire.Interrupt), wire.Taken(1), HANG))
    execution = execution_on(sandbox, rolls_back=True, grace_s=0.01)
    _, error, finished = await events_of(execution, interrupting(execution))
    assert (error.value, finished.outcome, finished.lives) == (outcomes.ROLLED_BACK, "interrupted", False)
    assert sandbox.killed


async def test_an_interrupt_of_a_cell_on_its_way_is_told_after_it() -> None:
    """A cell that its guest has not begun is interrupted there, in order: its sandbox and the state in it are not lost."""
    execution: Execution

    async def interrupt(_: ScriptedSandbox) -> None:
        await execution.interrupt()

    ready, delivered, started = a_cell()
    sandbox = ScriptedSandbox(ready, delivered, interrupt, heard(wire.Interrupt), started, wire.Taken(1), INTERRUPTED)
    execution = execution_on(sandbox, rolls_back=True)
    error, finished = await events_of(execution)
    assert (error.name, error.value, finished) == ("KeyboardInterrupt", "", INTERRUPTED)
    assert list(map(type, map(wire.load_message, sandbox.delivered))) == [wire.Cell, wire.Interrupt]
    assert not sandbox.killed


async def test_a_cell_that_is_not_delivered_is_called_off() -> None:
    """A cell whose sandbox is not ready yet ends as interrupted, nothing is said of a state, and the sandbox goes on."""
    execution: Execution

    async def interrupt(_: ScriptedSandbox) -> None:
        await execution.interrupt()
        await execution.interrupt()

    sandbox = ScriptedSandbox(interrupt, wire.Ready("3.11.2", "Linux"), HANG)
    execution = execution_on(sandbox, rolls_back=True)
    error, finished = await events_of(execution)
    assert (error.name, error.value, finished) == ("KeyboardInterrupt", "", INTERRUPTED)
    assert (sandbox.killed, sandbox.delivered) == (0, [])
    assert execution.conversation is not None
    assert await execution.conversation.ready
    await execution.conversation.close()


@pytest.mark.parametrize(("times", "grace_s"), [(2, GRACE_S), (3, GRACE_S), (1, 0.0)])
async def test_a_second_interrupt_kills_at_once(times: int, grace_s: float) -> None:
    """Who is interrupted again, or has no grace, is killed at once."""
    sandbox = ScriptedSandbox(*a_cell(HELLO, HANG))
    execution = execution_on(sandbox, grace_s=grace_s)
    events = await events_of(execution, interrupting(execution, times))
    assert [getattr(event, "outcome", None) for event in events] == [None, None, "interrupted"]


async def test_an_interrupt_that_cannot_be_delivered_is_told() -> None:
    """When the mailbox refuses an interrupt, the sandbox is ended and the trouble is raised."""
    sandbox = ScriptedSandbox(*a_cell(HELLO, HANG))
    execution = execution_on(sandbox)

    def on(event: wire.Event) -> Any:
        if event == HELLO:
            sandbox.delivery_error = SandboxRefused("No permission.")
            return execution.interrupt()
        return None

    with pytest.raises(SandboxLost, match=r"No permission\."):
        await events_of(execution, on)
    assert sandbox.killed


async def test_a_guest_is_reminded_until_it_has_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said to a cell is delivered once, and reminded of until the guest says that it has it."""
    monkeypatch.setattr(telling, "REMIND_S", 0.001)
    monkeypatch.setattr(delivery, "REMIND_S", 3600.0)
    counts: list[int] = []

    async def look(sandbox: ScriptedSandbox) -> None:
        await asyncio.sleep(0.05)
        counts.append(sandbox.reminded)

    reminded = Until(lambda sandbox: sandbox.reminded >= 3)
    script = a_cell(HELLO, heard(wire.Interrupt), reminded, wire.Taken(1), look, look, WHERE, INTERRUPTED)
    sandbox = ScriptedSandbox(*script)
    execution = execution_on(sandbox)
    await events_of(execution, interrupting(execution))
    assert counts[0] == counts[1] <= telling.REMINDERS
    assert len(messages(sandbox, wire.Interrupt)) == 1


async def test_reminders_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that never says that it has read is left alone some time."""
    monkeypatch.setattr(telling, "REMIND_S", 0.0)
    monkeypatch.setattr(telling, "REMINDERS", 5)
    sandbox = ScriptedSandbox(HANG)
    await asyncio.wait_for(telling.Telling(wire.Cell(1, "")).say(sandbox, wire.Interrupt()), 10)
    assert sandbox.reminded == 5


# -- questions ---------------------------------------------------------------------------------------------------------


async def test_questions_are_answered() -> None:
    """Each question gets its answer, in the mailbox, once; who answers twice is not heard."""
    end = wire.Finished("ok", 0)
    script = a_cell(QUESTION, heard(wire.Input), wire.Taken(1), QUESTION, heard(wire.Input, 2), wire.Taken(2), end)
    sandbox = ScriptedSandbox(*script)
    execution = execution_on(sandbox, stdin=True)
    texts = iter(["a", None])

    async def answer() -> None:
        await execution.answer(next(texts))
        await execution.answer("nobody asked")

    events = await events_of(execution, lambda event: answer() if event == QUESTION else None)
    assert events == [QUESTION, QUESTION, end]
    assert messages(sandbox, wire.Input) == [wire.Input("a"), wire.Input(None)]


async def test_who_cannot_be_asked_is_not() -> None:
    """A question of a cell whose front end takes no input is not passed on: it is forged."""
    end = wire.Finished("ok", 0)
    execution = execution_on(ScriptedSandbox(*a_cell(QUESTION, end)))
    assert await events_of(execution) == [end]


async def test_an_answer_that_is_too_long_is_refused() -> None:
    """The limit of an answer is named, and the question stays open."""
    sandbox = ScriptedSandbox(*a_cell(QUESTION, heard(wire.Input), wire.Finished("ok", 0)))
    execution = execution_on(sandbox, stdin=True)

    async def answer() -> None:
        with pytest.raises(ConfigurationError, match="16384"):
            await execution.answer("x" * 16_385)
        await execution.answer("x" * 16_384)

    await events_of(execution, lambda event: answer() if event == QUESTION else None)
    assert [len(message.text) for message in messages(sandbox, wire.Input)] == [16_384]


async def test_the_time_of_an_answer_moves_the_limit() -> None:
    """While the user is asked our timer leaves room for all that it may take; afterwards for what it took."""
    left: list[float] = []

    script = a_cell(HELLO, QUESTION, heard(wire.Input), HELLO, wire.Finished("ok", 0))
    execution = execution_on(ScriptedSandbox(*script), stdin=True, timeout_s=600.0, grace_s=10.0, answer_s=3600.0)

    def on(event: wire.Event) -> Any:
        left.append(execution._limit._timer.when() - asyncio.get_running_loop().time())
        return execution.answer("x") if event == QUESTION else None

    await events_of(execution, on)
    before, asked, answered, _ = left
    assert before == pytest.approx(615.0, abs=5)
    assert asked == pytest.approx(4215.0, abs=5)
    assert answered == pytest.approx(615.0, abs=5)


# -- time limits -------------------------------------------------------------------------------------------------------


async def test_a_time_limit_that_ends_the_cell_inside() -> None:
    """The KeyboardInterrupt by which a cell ended at its limit is shown as CellTimeout, with the place and what is kept."""
    finished = wire.Finished("timeout", 124, lives=True)
    execution = execution_on(ScriptedSandbox(*a_cell(HELLO, WHERE, finished)), rolls_back=True, timeout_s=60.0)
    value = f"The cell was ended after 60 s. Runner.timeout_s sets the limit. {outcomes.KEPT}"
    error = wire.Error("CellTimeout", value, ["Traceback:", "  here", f"CellTimeout: {value}"])
    assert await events_of(execution) == [HELLO, error, finished]
    file = wire.File("a", 1, "YQ==")
    execution = execution_on(ScriptedSandbox(*a_cell(WHERE, file, finished)), rolls_back=True, timeout_s=60.0)
    assert await events_of(execution) == [file, error, finished]


async def test_a_time_limit_that_ends_the_cell_otherwise() -> None:
    """A cell that ended at its limit by another error, or without one, was over its limit all the same."""
    finished, other = wire.Finished("timeout", 124), wire.Error("OSError", "", ["OSError"])
    for said in ([other], []):
        events = await events_of(execution_on(ScriptedSandbox(*a_cell(*said, finished)), timeout_s=60.0))
        assert [getattr(event, "name", None) for event in events] == [*(["OSError"] if said else []), "CellTimeout", None]


async def test_an_interrupt_of_the_cells_own_is_an_error() -> None:
    """A cell that raises KeyboardInterrupt itself has failed by it; what it says after it comes after it."""
    finished = wire.Finished("error", 1)
    assert await events_of(execution_on(ScriptedSandbox(*a_cell(WHERE, HELLO, finished)))) == [WHERE, HELLO, finished]
    assert await events_of(execution_on(ScriptedSandbox(*a_cell(WHERE, finished)))) == [WHERE, finished]


# -- the real guest ----------------------------------------------------------------------------------------------------


async def test_the_real_guest(tmp_path: Path) -> None:
    """The guest we ship does what the scripted ones do: answers, interrupt and time limit."""
    folders = [tmp_path / name for name in ("asks", "loops")]
    for folder in folders:
        folder.mkdir()
    backends = [ChildBackend(folder) for folder in folders]
    try:
        code = "name = input('name? ')\nprint('hello', flush=True)\nwhile True: pass"
        execution = execution_on(backends[0], code=code, stdin=True)

        def on(event: wire.Event) -> Any:
            return execution.answer("x") if event == QUESTION else interrupting(execution)(event)

        events = await events_of(execution, on)
        assert events[:2] == [QUESTION, HELLO]
        assert (events[2].name, events[3].outcome) == ("KeyboardInterrupt", "interrupted")
        events = await events_of(execution_on(backends[1], code="while True: pass", timeout_s=0.1))
        assert (events[0].name, events[1].outcome) == ("CellTimeout", "timeout")
        assert "    while True: pass" in events[0].traceback
    finally:
        for backend in backends:
            await backend.close()


def test_deadlines_come_one_after_the_other() -> None:
    """What a cell may take in all is its time, its grace, and what its user may take, for the deadlines of the backend."""
    limits = Limits(grace_s=3.0, answer_s=60.0)
    assert limits.longest_s(10.0) == 13.0
    assert limits.longest_s(10.0, stdin=True) == 73.0
    assert limits.longest_s(None, stdin=True) is None

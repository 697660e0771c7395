"""One cell on its way: with the real guest as a child process, and with scripted sandboxes for the faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fakes import DELIVERED, HANG, ChildBackend, ScriptedBackend, ScriptedSandbox, Until, a_cell

from sandbox_kernel import conversation as conversation_module
from sandbox_kernel import delivery
from sandbox_kernel import execution as execution_module
from sandbox_kernel.backends.base import Backend, Ending, Request, Sandbox
from sandbox_kernel.conversation import Conversation
from sandbox_kernel.delivery import Delivery
from sandbox_kernel.errors import (
    BackendError,
    BackendUnavailable,
    ConfigurationError,
    GuestProtocolError,
    SandboxLost,
    SandboxRefused,
)
from sandbox_kernel.execution import Execution
from sandbox_kernel.guest import frames, wire
from sandbox_kernel.limits import MIB, Limits
from sandbox_kernel.session import Session
from sandbox_kernel.state.exact import BaseImages

READY = wire.Ready("3.11.2", "Linux 4.4.0")
OK = wire.Finished("ok", 0, 0.5, 0.25)
HELLO = wire.Stream("stdout", "hello\n")
ZERO = wire.Error("ZeroDivisionError", "division by zero", ["ZeroDivisionError: division by zero"])
REQUEST = Request("abc", 1, Limits(output_bytes=MIB, start_s=3600.0), None)


class Ended:
    """What executions tell at their end."""

    def __init__(self) -> None:
        self.told: list[tuple[Execution, Sandbox | None]] = []

    def __call__(self, execution: Execution, sandbox: Sandbox | None) -> None:
        self.told.append((execution, sandbox))


def execution_on(backend: Backend, ended: Any = None, **options: Any) -> Execution:
    """Return an execution of ``options`` (code, start_s, timeout_s, output_bytes) on a backend."""
    limits = Limits(output_bytes=options.get("output_bytes", MIB), start_s=options.get("start_s", 3600.0))
    timeout_s = options.get("timeout_s")
    cell = wire.Cell(1, options.get("code", "pass"), timeout_s=timeout_s, output_bytes=limits.output_bytes)
    told = ended or Ended()

    async def acquire() -> Conversation:
        conversation = Conversation(backend, Request("abc", 1, limits, timeout_s))
        await conversation.open()
        return conversation

    def end(execution: Execution) -> None:
        told(execution, execution.conversation.sandbox if execution.conversation is not None else None)

    return Execution(cell, limits, acquire, end)


async def events_of(execution: Execution) -> list[wire.Event]:
    """Run it, in bounded time, and return its events."""

    async def gather() -> list[wire.Event]:
        return [event async for event in execution]

    return await asyncio.wait_for(gather(), 10)


async def play(sandbox: ScriptedSandbox, **options: Any) -> list[wire.Event]:
    """Return the events of one cell in a scripted sandbox."""
    return await events_of(execution_on(ScriptedBackend(sandbox), **options))


def without_times(event: wire.Event) -> wire.Event:
    """Return a trailer without what differs from run to run."""
    if isinstance(event, wire.Finished):
        return wire.Finished(event.outcome, event.exit_status, reason=event.reason)
    return event


@pytest.fixture
async def child(tmp_path: Path) -> AsyncIterator[ChildBackend]:
    """The real guest without a sandbox."""
    backend = ChildBackend(tmp_path)
    yield backend
    await backend.close()


# -- the contract of a sandbox, which makes the scripted one a fake to rely on -----------------------------------------


@pytest.fixture(params=["child", "scripted"])
async def sandbox(request: pytest.FixtureRequest, child: ChildBackend) -> AsyncIterator[Sandbox]:
    """A sandbox whose cell prints hello and then loops until it is ended."""
    if request.param == "child":
        made = await child.start(REQUEST)
    else:
        made = ScriptedSandbox(*a_cell(HELLO, HANG))
    yield made
    await made.close()


async def next_event(lines: AsyncIterator[bytes], decoder: frames.Decoder) -> wire.Event:
    """Return the next event on a sandbox's lines."""
    while True:
        for event in decoder.decode(await asyncio.wait_for(anext(lines), 10)):
            return event


LOOP = wire.Cell(1, "import os; os.write(1, b'hello\\n')\nwhile True: pass")


async def test_a_sandbox_is_ready_before_and_starts_after_the_delivery(sandbox: Sandbox) -> None:
    """A sandbox says Ready, gets its cell once, says Started with its number and then what the cell says."""
    lines, decoder = sandbox.lines(), frames.Decoder()
    ready = await next_event(lines, decoder)
    await sandbox.deliver(wire.dump(LOOP))
    rest = [await next_event(lines, decoder) for _ in range(2)]
    assert isinstance(ready, wire.Ready)
    assert rest == [wire.Started(1), HELLO]


async def test_killing_a_sandbox_ends_its_lines(sandbox: Sandbox) -> None:
    """A sandbox that is killed, also twice, says nothing more, can be asked how it ended, and closed twice."""
    lines, decoder = sandbox.lines(), frames.Decoder()
    await next_event(lines, decoder)
    await sandbox.deliver(wire.dump(LOOP))
    await next_event(lines, decoder)
    await sandbox.kill()
    await sandbox.kill()
    rest = [event async for line in lines for event in decoder.decode(line)]
    assert [event for event in rest if isinstance(event, wire.Finished)] == []
    assert (await sandbox.ending()).outcome == "lost"
    await sandbox.close()
    await sandbox.close()


async def test_a_sandbox_can_be_killed_before_it_says_anything(sandbox: Sandbox) -> None:
    """Killing does not need a ready guest."""
    await sandbox.kill()
    events = [event async for line in sandbox.lines() for event in frames.Decoder().decode(line)]
    assert [event for event in events if not isinstance(event, wire.Ready)] == []


# -- the real guest ----------------------------------------------------------------------------------------------------


async def test_the_real_guest_runs_a_cell(child: ChildBackend) -> None:
    """Stream, result and trailer of a cell come in order; Ready, Started and Heartbeat stay behind."""
    execution = execution_on(child, code="import os; os.write(1, b'hello\\n')\n6 * 7")
    events = await events_of(execution)
    expected = [HELLO, wire.Result({"text/plain": "42"}, {}), wire.Finished("ok", 0)]
    assert expected == [without_times(event) for event in events]
    timings = execution.timings
    assert None not in (timings.ready_s, timings.started_s, timings.first_output_s, timings.finished_s)
    assert timings.ready_s <= timings.started_s <= timings.first_output_s <= timings.finished_s


async def test_an_exception_comes_once(child: ChildBackend) -> None:
    """An Error of the guest's is not explained a second time by us."""
    events = await events_of(execution_on(child, code="1 / 0"))
    assert [wire.Error, wire.Finished] == [type(event) for event in events]
    assert events[1].outcome == "error"


async def test_the_guests_timer_ends_a_cell(child: ChildBackend) -> None:
    """A cell over its time ends as timeout, explained by us."""
    events = await events_of(execution_on(child, code="while True: pass", timeout_s=0.05))
    assert [events[0].name, events[1].outcome] == [("CellTimeout"), "timeout"]


async def test_the_real_guest_is_interrupted(child: ChildBackend) -> None:
    """A running cell ends at once when it is interrupted, with what it had said."""
    execution = execution_on(child, code="import os; os.write(1, b'hello\\n')\nwhile True: pass")
    events = []
    async for event in execution:
        events.append(without_times(event))
        if event == HELLO:
            await execution.interrupt()
    expected = [HELLO, wire.Error("KeyboardInterrupt", "", ["KeyboardInterrupt"]), wire.Finished("interrupted", 130)]
    assert expected == events


async def test_a_session_numbers_its_cells(child: ChildBackend) -> None:
    """Every cell of a session gets a sandbox of its own, which is given back."""
    given: list[Conversation] = []
    session = Session(child, BaseImages(child), Limits, lambda: 5.0, given.append)
    for number in (1, 2):
        events = [event async for event in session.run(f"import os; os.write(1, b'{number}');")]
        assert events[0] == wire.Stream("stdout", str(number))
    assert [item.sandbox for item in given] == child.made
    for conversation in given:
        await conversation.close()
    assert len(given) == 2


# -- endings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param([HELLO, OK], [HELLO, OK], id="ok"),
        pytest.param(
            [ZERO, wire.Finished("error", 1)],
            [ZERO, wire.Finished("error", 1)],
            id="an error of the cell's",
        ),
        pytest.param(
            [wire.Finished("error", 4, reason="it left")],
            [wire.Error("CellDied", "It left.", ["CellDied: It left."]), wire.Finished("error", 4, reason="it left")],
            id="an error without an Error is explained",
        ),
        pytest.param([OK, HELLO, wire.Finished("error", 1)], [OK], id="nothing after the first trailer counts"),
        pytest.param(
            [wire.Heartbeat(), wire.Ready("3.11", "Linux"), HELLO, wire.Heartbeat(), OK],
            [HELLO, OK],
            id="heartbeats are not passed on",
        ),
    ],
)
async def test_a_trailer_ends_the_events(said: list[wire.Event], expected: list[wire.Event]) -> None:
    """Events end with exactly one Finished, and one that is not ok comes after an Error."""
    assert expected == await play(ScriptedSandbox(*a_cell(*said)))


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        pytest.param(
            Ending("out_of_memory", "It likely ran out of memory.", 137),
            [
                wire.Error(
                    "CellOutOfMemory",
                    "The cell likely ran out of memory: 2048 MiB, set by Runner.memory_mib.",
                    ["CellOutOfMemory: The cell likely ran out of memory: 2048 MiB, set by Runner.memory_mib."],
                ),
                wire.Finished("out_of_memory", 137, reason="It likely ran out of memory."),
            ],
            id="out of memory",
        ),
        pytest.param(
            Ending("timeout", "The pod reached its deadline."),
            [
                wire.Error(
                    "CellTimeout",
                    "The cell was ended after 60 s. Runner.timeout_s sets the limit.",
                    ["CellTimeout: The cell was ended after 60 s. Runner.timeout_s sets the limit."],
                ),
                wire.Finished("timeout", reason="The pod reached its deadline."),
            ],
            id="timeout",
        ),
        pytest.param(
            Ending("error", "It ended by itself.", 3),
            [
                wire.Error("CellDied", "It ended by itself.", ["CellDied: It ended by itself."]),
                wire.Finished("error", 3, reason="It ended by itself."),
            ],
            id="error",
        ),
    ],
)
async def test_an_end_without_a_trailer_is_an_outcome(ending: Ending, expected: list[wire.Event]) -> None:
    """When the guest's trailer does not come, the backend's word makes one, after what the cell said."""
    events = await play(ScriptedSandbox(*a_cell(HELLO), ending=ending), timeout_s=60.0)
    assert [HELLO, *expected] == [without_times(event) for event in events]


async def test_a_lost_sandbox_is_raised() -> None:
    """When it is not known how a cell ended, nothing is made up: SandboxLost says what was seen."""
    with pytest.raises(SandboxLost, match=r"^Pod x was evicted\.$"):
        await play(ScriptedSandbox(*a_cell(HELLO), ending=Ending("lost", "Pod x was evicted.")))


@pytest.mark.parametrize("outcome", ["refused", "lost", "error", "out_of_memory"])
async def test_an_end_before_the_delivery_is_a_refusal(outcome: str) -> None:
    """A sandbox that ends before it was ready has run nothing, and SandboxRefused says so, whatever ended it."""
    with pytest.raises(SandboxRefused, match=r"^StartError: no python3$"):
        await play(ScriptedSandbox(ending=Ending(outcome, "StartError: no python3", 128)))


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        pytest.param((READY, DELIVERED), Ending("lost", "The node is gone."), id="lost between delivery and Started"),
        pytest.param(a_cell(HELLO), Ending("refused", "Exit status 128."), id="refused after Started"),
    ],
)
async def test_what_may_have_run_is_not_called_refused(script: tuple[Any, ...], ending: Ending) -> None:
    """SandboxRefused says that nothing was run, which is not known any more once the cell was delivered."""
    with pytest.raises(SandboxLost):
        await play(ScriptedSandbox(*script, ending=ending))


async def test_an_error_of_the_cluster_after_the_start_is_not_called_refused() -> None:
    """A backend that cannot follow a started cell any more makes it lost, not refused."""

    def refuse(_: ScriptedSandbox) -> None:
        raise SandboxRefused("Refused while following it: 503")

    with pytest.raises(SandboxLost) as caught:
        await play(ScriptedSandbox(*a_cell(HELLO, refuse)))
    assert str(caught.value.__cause__) == "Refused while following it: 503"


@pytest.mark.parametrize("error", [SandboxRefused("exceeded quota"), BackendUnavailable("no cluster")])
async def test_what_the_backend_refuses_is_raised(error: Exception) -> None:
    """An error of Backend.start reaches the caller as it is, and the session hears that there was no sandbox."""
    ended = Ended()
    execution = execution_on(ScriptedBackend(error), ended)
    with pytest.raises(type(error), match=str(error)):
        await events_of(execution)
    assert ended.told == [(execution, None)]


# -- time --------------------------------------------------------------------------------------------------------------


async def test_a_sandbox_that_is_never_ready_is_refused() -> None:
    """After the start timeout the sandbox is killed, and the error names the limit and what it was waiting for."""
    sandbox = ScriptedSandbox(HANG)
    with pytest.raises(SandboxRefused) as caught:
        await play(sandbox, start_s=0.01)
    expected = "The sandbox was not ready within 0.01 s. It waits for its cue. Runner.start_timeout_s sets how long to wait."
    assert expected == str(caught.value)
    assert sandbox.delivered == []
    assert sandbox.killed


async def test_a_backend_that_never_answers_is_given_up() -> None:
    """The start timeout holds while there is no sandbox yet."""
    with pytest.raises(SandboxRefused, match=r"not ready within 0\.01 s\. Runner"):
        await events_of(execution_on(ScriptedBackend(asyncio.Event().wait), start_s=0.01))


async def test_a_cell_that_is_not_taken_is_reminded_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that does not say Started is reminded, again and again, and never gets its cell twice."""
    monkeypatch.setattr(delivery, "REMIND_S", 0.001)
    sandbox = ScriptedSandbox(READY, Until(lambda it: it.reminded >= 3), wire.Started(1), OK)
    assert await play(sandbox) == [OK]
    assert len(sandbox.delivered) == 1
    assert wire.load_message(sandbox.delivered[0]) == wire.Cell(1, "pass", output_bytes=MIB)


async def test_reminders_end_when_the_cell_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is reminded of a cell that runs."""
    monkeypatch.setattr(delivery, "REMIND_S", 0)
    counts: list[int] = []

    async def look(sandbox: ScriptedSandbox) -> None:
        for _ in range(20):
            await asyncio.sleep(0)
        counts.append(sandbox.reminded)

    await play(ScriptedSandbox(*a_cell(look, look, OK)))
    assert counts[0] == counts[1]


async def test_a_second_ready_delivers_nothing() -> None:
    """Only the first Ready counts, so a cell cannot be had twice."""
    sandbox = ScriptedSandbox(READY, READY, DELIVERED, READY, wire.Started(1), READY, OK)
    assert await play(sandbox) == [OK]
    assert len(sandbox.delivered) == 1


async def test_our_timer_ends_a_cell_whose_guest_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the guest's timer does not fire, ours does after a grace, and the cell's end is a timeout."""
    monkeypatch.setattr(execution_module, "GRACE_S", 0.0)
    sandbox = ScriptedSandbox(*a_cell(HELLO, HANG))
    events = await play(sandbox, timeout_s=0.01)
    expected = [HELLO, "The cell was ended after 0.01 s. Runner.timeout_s sets the limit.", wire.Finished("timeout", 124)]
    assert expected == [events[0], events[1].value, without_times(events[2])]
    assert sandbox.killed


@pytest.mark.parametrize(
    ("timeout_s", "expected"), [pytest.param(60.0, 65.0, id="a limit"), pytest.param(None, None, id="no limit")]
)
async def test_the_timer_of_a_running_cell_is_its_timeout_and_a_grace(timeout_s: float, expected: float | None) -> None:
    """From Started on the start timeout does not count, but the cell's own limit does, if it has one."""
    left: list[float | None] = []

    def look(_: ScriptedSandbox) -> None:
        at = execution._limit.at
        left.append(None if at is None else at - asyncio.get_running_loop().time())

    execution = execution_on(ScriptedBackend(ScriptedSandbox(*a_cell(look, OK))), timeout_s=timeout_s)
    await events_of(execution)
    assert left == [expected if expected is None else pytest.approx(expected, abs=1)]


async def test_a_forged_started_does_not_give_more_time() -> None:
    """A cell that says Started again, which it can, does not move its own deadline."""
    deadlines: list[float] = []

    def look(_: ScriptedSandbox) -> None:
        deadlines.append(execution._limit.at)

    script = a_cell(look, wire.Started(1), look, OK)
    execution = execution_on(ScriptedBackend(ScriptedSandbox(*script)), timeout_s=60.0)
    await events_of(execution)
    assert deadlines[0] == deadlines[1]


async def test_a_failed_delivery_is_told_at_once() -> None:
    """A cell that cannot be delivered is an error now, and not when the start timeout expires."""
    sandbox = ScriptedSandbox(READY, HANG)
    sandbox.delivery_error = ConfigurationError("The cell and its files are 2000000 bytes.")
    execution = execution_on(ScriptedBackend(sandbox))

    async def end_it_all_the_same() -> None:
        for _ in range(50):
            await asyncio.sleep(0)
        hung.append(not sandbox.killed)
        await sandbox.kill()

    hung: list[bool] = []
    task = asyncio.ensure_future(end_it_all_the_same())
    with pytest.raises(ConfigurationError, match="2000000 bytes"):
        await events_of(execution)
    await task
    assert hung == [False]


async def test_a_failed_delivery_is_told_when_the_sandbox_ends() -> None:
    """The delivery's own error is raised, not how the sandbox ended without its cell."""
    sandbox = ScriptedSandbox(READY, *([b""] * 10), ending=Ending("lost", "It left."))
    sandbox.delivery_error = ConfigurationError("The cell and its files are 2000000 bytes.")
    with pytest.raises(ConfigurationError, match="2000000 bytes"):
        await play(sandbox)


async def delivered_and_then(monkeypatch: pytest.MonkeyPatch, *script: Any, error: Exception | None) -> None:
    """Play a script in which reminding raises ``error``."""
    monkeypatch.setattr(delivery, "REMIND_S", 0.001)
    sandbox = ScriptedSandbox(*script)

    async def remind() -> None:
        if error is not None:
            raise error

    sandbox.remind = remind  # type: ignore[method-assign]
    await play(sandbox, start_s=0.05 if error is None else 3600.0)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(SandboxRefused("Refused while reminding it."), id="the reminder is refused"),
        pytest.param(None, id="the start timeout expires"),
    ],
)
async def test_a_delivered_cell_that_does_not_start_is_lost(monkeypatch: pytest.MonkeyPatch, error: Exception | None) -> None:
    """A cell that is in the mailbox may have been taken, whatever keeps its Started from us."""
    with pytest.raises(SandboxLost):
        await delivered_and_then(monkeypatch, READY, DELIVERED, HANG, error=error)


async def test_a_cancellation_counts_more_than_a_refusal() -> None:
    """A caller that is cancelled as start() fails is cancelled."""

    async def start() -> ScriptedSandbox:
        asyncio.get_running_loop().call_soon(task.cancel)
        raise SandboxRefused("exceeded quota")

    async def run() -> None:
        async for _ in execution:
            pass

    execution = execution_on(ScriptedBackend(start))
    task = asyncio.ensure_future(run())
    with pytest.raises(asyncio.CancelledError):
        await task


# -- early deliveries ---------------------------------------------------------------------------------------------------


def early_sandbox(*steps: Any, has_run: bool = True, ending: Ending | None = None) -> ScriptedSandbox:
    """Return a sandbox that can have its cell before it is ready."""
    made = ScriptedSandbox(*steps, ending=ending)
    made.early, made.has_run = True, has_run
    return made


async def test_a_cell_is_there_before_its_sandbox() -> None:
    """Where it can be, the cell is delivered while its sandbox is being made: once, and nobody is reminded of it."""
    sandbox = early_sandbox(DELIVERED, READY, wire.Started(1), HELLO, OK)
    assert await play(sandbox) == [HELLO, OK]
    assert (len(sandbox.delivered), sandbox.reminded) == (1, 0)


async def test_a_cell_that_lay_there_and_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that is ready and does not begin is reminded soon, before it is ready never."""
    monkeypatch.setattr(delivery, "EARLY_S", 0)
    monkeypatch.setattr(delivery, "REMIND_S", 3600)
    sandbox = early_sandbox(DELIVERED, asyncio_turns, READY, Until(lambda it: it.reminded > 0), wire.Started(1), OK)
    assert await play(sandbox) == [OK]
    assert (len(sandbox.delivered), sandbox.reminded) == (1, 1)


async def asyncio_turns(sandbox: ScriptedSandbox) -> None:
    """Let everybody else run, who has reminded nobody then."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert sandbox.reminded == 0


ENDED, VANISHED = Ending("error", "It ended with 1."), Ending("lost", "It is gone.")


@pytest.mark.parametrize(
    ("has_run", "ending", "error"),
    [
        pytest.param(False, VANISHED, SandboxRefused, id="it never ran"),
        pytest.param(True, ENDED, SandboxRefused, id="it ended by itself without a word"),
        pytest.param(True, VANISHED, SandboxLost, id="it ran, and nobody heard it"),
    ],
)
async def test_a_cell_whose_sandbox_never_got_ready(has_run: bool, ending: Ending, error: type[Exception]) -> None:
    """It was not run, as long as that is certain; else it is not known."""
    with pytest.raises(error, match=ending.reason):
        await play(early_sandbox(DELIVERED, has_run=has_run, ending=ending))


@pytest.mark.parametrize(("has_run", "error"), [(False, SandboxRefused), (True, SandboxLost)])
async def test_a_cell_whose_sandbox_is_not_ready_in_time(has_run: bool, error: type[Exception]) -> None:
    """The start timeout tells the same."""
    with pytest.raises(error, match="not ready within"):
        await play(early_sandbox(DELIVERED, HANG, has_run=has_run), start_s=0.01)


async def test_a_cell_that_cannot_be_delivered_early() -> None:
    """Nobody waits for a sandbox that will have no cell, and what is wrong is told."""
    sandbox = early_sandbox(HANG, has_run=False)
    sandbox.delivery_error = SandboxRefused("There is no room.")
    with pytest.raises(SandboxRefused, match="There is no room"):
        await play(sandbox)
    assert sandbox.killed


async def test_an_interrupt_of_a_cell_that_lies_there() -> None:
    """It cannot be taken back, so its sandbox is ended at once, and nothing is said to a cell that has not begun."""
    reached = asyncio.Event()
    sandbox = early_sandbox(DELIVERED, lambda _: reached.set(), HANG)
    execution = execution_on(ScriptedBackend(sandbox))
    execution.cell = wire.replace(execution.cell, grace_s=3600.0)
    task = asyncio.ensure_future(events_of(execution))
    await reached.wait()
    await execution.interrupt()
    assert [without_times(event) for event in await task] == INTERRUPTED
    assert (len(sandbox.delivered), execution.called_off) == (1, False)


async def test_a_sandbox_that_was_started_ahead_is_not_early() -> None:
    """It may have ended while it waited: its cell goes when it is known to be ready, so that another may have the cell."""
    sandbox = early_sandbox(READY, DELIVERED, wire.Started(1), OK)
    conversation = Conversation(ScriptedBackend(sandbox), REQUEST)
    conversation.ahead = True
    await conversation.open()
    seen: list[bool] = []
    brought = Delivery(conversation)
    assert await brought.bring(wire.Cell(1, "pass"), lambda: False, lambda: seen.append(brought.sent))
    assert seen == [False] and brought.arrived and not brought.unsure
    await conversation.close()


# -- interrupts --------------------------------------------------------------------------------------------------------

INTERRUPTED = [wire.Error("KeyboardInterrupt", "", ["KeyboardInterrupt"]), wire.Finished("interrupted", 130)]


async def test_an_interrupt_before_the_run_asks_for_no_sandbox() -> None:
    """A cell that is interrupted before it is iterated never gets a sandbox."""
    backend = ScriptedBackend(ScriptedSandbox(*a_cell(OK)))
    execution = execution_on(backend)
    await execution.interrupt()
    assert [without_times(event) for event in await events_of(execution)] == INTERRUPTED
    assert backend.requests == []


async def test_an_interrupt_while_the_sandbox_is_made_stops_the_making() -> None:
    """Backend.start is cancelled by an interrupt, and the cell ends as interrupted."""
    begun, cancelled = asyncio.Event(), []

    async def start() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    execution = execution_on(ScriptedBackend(start))
    task = asyncio.ensure_future(events_of(execution))
    await begun.wait()
    await execution.interrupt()
    assert [without_times(event) for event in await task] == INTERRUPTED
    assert cancelled == [True]


async def test_an_interrupt_as_the_sandbox_is_made_is_not_lost() -> None:
    """An interrupt that comes when start() has returned and nobody has looked yet ends the cell, too."""
    sandbox = ScriptedSandbox(*a_cell(HELLO, OK))
    tasks: list[asyncio.Task[None]] = []

    async def start() -> ScriptedSandbox:
        # It runs when start() is done, and before whoever waits for it.
        tasks.append(asyncio.ensure_future(execution.interrupt()))
        return sandbox

    execution = execution_on(ScriptedBackend(start))
    events = await events_of(execution)
    assert [without_times(event) for event in events] == INTERRUPTED
    assert sandbox.delivered == []


async def test_a_cancelled_run_gives_its_new_sandbox_back() -> None:
    """A caller that is cancelled as start() returns leaves no sandbox behind."""
    sandbox, ended = ScriptedSandbox(HANG), Ended()

    async def start() -> ScriptedSandbox:
        asyncio.get_running_loop().call_soon(task.cancel)
        return sandbox

    async def run() -> None:
        async for _ in execution:
            pass

    execution = execution_on(ScriptedBackend(start), ended)
    task = asyncio.ensure_future(run())
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.told == [(execution, sandbox)]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param((READY, DELIVERED, HANG), id="before Started"),
        pytest.param(a_cell(HANG), id="while running"),
        pytest.param((HANG,), id="before Ready"),
    ],
)
async def test_an_interrupt_ends_a_sandbox_at_once(script: tuple[Any, ...]) -> None:
    """An interrupt kills the sandbox wherever it is, and the outcome is interrupted; a second one changes nothing."""
    reached = asyncio.Event()
    sandbox = ScriptedSandbox(*script[:-1], lambda _: reached.set(), script[-1])
    execution = execution_on(ScriptedBackend(sandbox))
    task = asyncio.ensure_future(events_of(execution))
    await reached.wait()
    await execution.interrupt()
    await execution.interrupt()
    assert [without_times(event) for event in await task] == INTERRUPTED


async def test_an_interrupt_counts_more_than_the_delivery_it_broke() -> None:
    """When the sandbox goes while the cell is being delivered, the interrupt is what is told, not the failed delivery."""
    sandbox = ScriptedSandbox(READY, HANG)
    reached, killed = asyncio.Event(), asyncio.Event()

    async def deliver(_: bytes) -> None:
        reached.set()
        await killed.wait()
        raise SandboxRefused("Not found while delivering the cell.")

    async def kill() -> None:
        killed.set()
        await asyncio.sleep(0)
        await ScriptedSandbox.kill(sandbox)

    sandbox.deliver, sandbox.kill = deliver, kill  # type: ignore[method-assign]
    execution = execution_on(ScriptedBackend(sandbox))
    task = asyncio.ensure_future(events_of(execution))
    await reached.wait()
    await execution.interrupt()
    assert [without_times(event) for event in await task] == INTERRUPTED


async def test_a_session_interrupts_what_runs() -> None:
    """Closing a session ends its running cells and knows none afterwards."""
    reached = asyncio.Event()
    sandbox, given = ScriptedSandbox(*a_cell(lambda _: reached.set(), HANG)), []
    backend = ScriptedBackend(sandbox)
    session = Session(backend, BaseImages(backend), Limits, lambda: None, given.append)
    task = asyncio.ensure_future(events_of(session.run("pass")))
    await reached.wait()
    await session.close()
    assert [without_times(event) for event in await task] == INTERRUPTED
    assert [item.sandbox for item in given] == [sandbox]
    await session.close()


# -- what hostile cells say --------------------------------------------------------------------------------------------


async def test_a_flood_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that sends more than any guest of ours would is killed, and the error says how much came."""
    monkeypatch.setattr(conversation_module, "SLACK_BYTES", 0)
    sandbox = ScriptedSandbox(*a_cell(*[b"x" * 65536] * 64, OK))
    with pytest.raises(GuestProtocolError, match=r"^The sandbox sent over 1 MiB and was ended\.$"):
        await play(sandbox)
    assert sandbox.killed


async def test_a_flood_of_empty_lines_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Newlines count, too."""
    monkeypatch.setattr(conversation_module, "SLACK_BYTES", 0)
    with pytest.raises(GuestProtocolError):
        await play(ScriptedSandbox(*a_cell(*[b""] * 3000, OK)), output_bytes=1000)


async def test_a_log_that_is_read_again_is_no_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines may come twice: what was counted once is not counted again."""
    monkeypatch.setattr(conversation_module, "SLACK_BYTES", 10_000)
    encoder = frames.Encoder()
    log = [frame[:-1] for event in (READY, wire.Started(1), *[HELLO] * 100) for frame in encoder.encode(event)]
    end = [frame[:-1] for frame in encoder.encode(OK)]
    sandbox = ScriptedSandbox(log[0], DELIVERED, *(log[1:] * 10), *end)
    assert await play(sandbox, output_bytes=10_000) == [HELLO] * 100 + [OK]


async def test_lost_frames_are_told() -> None:
    """A gap is passed on where it was, and the cell still ends."""
    encoder = frames.Encoder()
    lines = [frame[:-1] for event in (READY, wire.Started(1), HELLO, HELLO, OK) for frame in encoder.encode(event)]
    sandbox = ScriptedSandbox(lines[0], DELIVERED, lines[1], lines[3], lines[4])
    assert [wire.Gap(2, 2), HELLO, OK] == await play(sandbox)


async def test_what_is_no_frame_is_passed_on_as_noise() -> None:
    """A line of the runtime's own words is an event as well."""
    assert [wire.Noise("runsc: warning"), OK] == await play(ScriptedSandbox(*a_cell(b"runsc: warning", OK)))


async def test_a_frame_that_forges_an_interrupt_is_not_believed() -> None:
    """Only the host knows of interrupts: a guest that says so without having been told to stop has failed."""
    finished, error = wire.Finished("interrupted", 130), wire.Error("KeyboardInterrupt", "", ["KeyboardInterrupt"])
    told, believed = await play(ScriptedSandbox(*a_cell(finished)))
    assert (told.name, believed.outcome) == ("CellDied", "error")
    told, believed = await play(ScriptedSandbox(*a_cell(error, finished)))
    assert (told, believed.outcome) == (error, "error")


# -- giving back -------------------------------------------------------------------------------------------------------


async def test_every_sandbox_is_given_back_once() -> None:
    """At the end the session gets the sandbox back, once."""
    sandbox, ended = ScriptedSandbox(*a_cell(OK)), Ended()
    execution = execution_on(ScriptedBackend(sandbox), ended)
    await events_of(execution)
    assert ended.told == [(execution, sandbox)]


async def test_an_abandoned_run_gives_its_sandbox_back() -> None:
    """Whoever stops iterating gives the sandbox back without being asked to."""
    given = asyncio.Event()
    sandbox = ScriptedSandbox(*a_cell(HELLO, HANG))
    async for event in execution_on(ScriptedBackend(sandbox), lambda *_: given.set()):
        assert event == HELLO
        break
    await asyncio.wait_for(given.wait(), 5)


async def test_a_cancelled_run_gives_its_sandbox_back() -> None:
    """A caller that is cancelled while the cell runs leaves nothing."""
    sandbox, ended, reached = ScriptedSandbox(*a_cell(lambda _: reached.set(), HANG)), Ended(), asyncio.Event()
    execution = execution_on(ScriptedBackend(sandbox), ended)
    task = asyncio.ensure_future(events_of(execution))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.told == [(execution, sandbox)]


async def test_no_timer_is_left() -> None:
    """After the last event nothing of the execution is waiting in the loop."""
    execution = execution_on(ScriptedBackend(ScriptedSandbox(*a_cell(OK))), timeout_s=60.0)
    await events_of(execution)
    assert execution._limit.at is None
    for _ in range(5):  # What was cancelled ends in the turns after.
        await asyncio.sleep(0)
    assert {asyncio.current_task()} == asyncio.all_tasks()


@pytest.mark.parametrize("timeout_s", [0.5, 10, 1e8])
def test_every_cell_of_a_session_is_one_that_the_guest_takes(timeout_s: float) -> None:
    """What Session.run makes passes the guest's own checks."""
    session = Session(ScriptedBackend(), BaseImages(ScriptedBackend()), Limits, lambda: None, lambda _: None)
    cell = session.run("x = '\ud800'", timeout_s=timeout_s, name="Cell In[1]", files={"a": "eA=="}).cell
    assert cell == wire.load_message(wire.dump(cell))


def test_infinity_is_no_limit() -> None:
    """A timeout of infinity is none, and None is the setting."""
    session = Session(ScriptedBackend(), BaseImages(ScriptedBackend()), Limits, lambda: 7.0, lambda _: None)
    assert [session.run("", timeout_s=float("inf")).cell.timeout_s, session.run("").cell.timeout_s] == [None, 7.0]


def test_errors_of_the_sandbox_are_backend_errors() -> None:
    """One except clause catches all that can go wrong with a sandbox."""
    assert all(issubclass(kind, BackendError) for kind in (BackendUnavailable, SandboxRefused, SandboxLost))


async def test_timings_start_with_the_run() -> None:
    """Seconds count from the iteration, not from when the execution was made."""
    execution = execution_on(ScriptedBackend(ScriptedSandbox(*a_cell(OK))))
    began = time.monotonic()
    await events_of(execution)
    assert 0 <= execution.timings.finished_s <= time.monotonic() - began

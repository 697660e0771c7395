"""A slow start is shown to a person, and leaves no trace."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import add_options
from test_kernel import Notebook

from sandbox_kernel import iopub, progress, runtime
from sandbox_kernel.execution import Execution
from sandbox_kernel.guest import wire
from sandbox_kernel.limits import Limits

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")


class Sent:
    """What an outlet has sent."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.something = asyncio.Event()
        self.outlet = iopub.Outlet(self._take)

    def _take(self, kind: str, content: dict[str, Any]) -> None:
        self.messages.append((kind, content))
        self.something.set()

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.messages]

    async def wait_sent(self) -> None:
        self.something.clear()
        await asyncio.wait_for(self.something.wait(), 30)


@pytest.fixture
async def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """An outlet, and progress that is shown without delay."""
    monkeypatch.setattr(progress, "AFTER_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.001)
    return Sent()


async def test_what_is_waited_for_is_shown_and_replaced(sent: Sent) -> None:
    """The sentence is one display; the next sentence stands in its place; at the end it is cleared."""
    sentences = ["Pulling."]
    with progress.shown(lambda: sentences[0], sent.outlet, wanted=True):
        await sent.wait_sent()
        sentences[0] = "Starting."
        while "Starting" not in sent.messages[-1][1]["data"]["text/plain"]:
            await sent.wait_sent()
    first, *updates, last = sent.messages
    assert first[0] == "display_data"
    assert first[1]["data"]["text/plain"].startswith("[Pulling. ")
    assert {kind for kind, _ in updates} == {"update_display_data"}
    assert {content["transient"]["display_id"] for _, content in (first, *updates)} == {first[1]["transient"]["display_id"]}
    assert last == ("clear_output", {"wait": False})


async def test_it_is_removed_before_the_first_output(sent: Sent) -> None:
    """What the cell shows comes after the removal, which therefore removes nothing of it; and it does not come back."""
    with progress.shown(lambda: "Waiting.", sent.outlet, wanted=True):
        await sent.wait_sent()
        sent.outlet.put(("stream", {"name": "stdout", "text": "a"}))
        count = len(sent.messages)
        await asyncio.sleep(0.01)
        assert len(sent.messages) == count
    assert sent.kinds()[-2:] == ["clear_output", "stream"]


async def test_it_is_removed_when_the_cell_runs(sent: Sent) -> None:
    """A cell that runs and says nothing does not stand there as one that waits."""
    sentences: list[str | None] = ["Waiting."]
    with progress.shown(lambda: sentences[0], sent.outlet, wanted=True):
        await sent.wait_sent()
        sentences[0] = None
        while sent.kinds()[-1] != "clear_output":
            await sent.wait_sent()
    assert sent.kinds().count("clear_output") == 1


async def test_it_shows_nothing_beside_other_output(sent: Sent) -> None:
    """Where something was shown already, clearing would remove that too; so nothing is shown."""
    sent.outlet.put(("stream", {"name": "stdout", "text": "a"}))
    with progress.shown(lambda: "Waiting.", sent.outlet, wanted=True):
        await asyncio.sleep(0.01)
    with progress.shown(lambda: "Waiting.", Sent().outlet, wanted=False):
        await asyncio.sleep(0.01)
    assert sent.kinds() == ["stream"]


async def test_a_quick_start_is_not_shown(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the first seconds nothing is said, and so nothing is cleared."""
    monkeypatch.setattr(progress, "AFTER_S", 60.0)
    with progress.shown(lambda: "Waiting.", sent.outlet, wanted=True):
        await asyncio.sleep(0.01)
    assert sent.messages == []


async def test_words_of_the_cluster_are_clean_and_short(sent: Sent) -> None:
    """A sentence is one line of bounded length without terminal sequences."""
    with progress.shown(lambda: "a\x1b]0;t\x07\nb\x1b[2J" + "c" * 10000, sent.outlet, wanted=True):
        await sent.wait_sent()
    text = sent.messages[0][1]["data"]["text/plain"]
    assert text.startswith("[a bc")
    assert len(text) < 320


async def test_an_execution_knows_what_it_waits_for() -> None:
    """Until there is a sandbox the session says what is done; when the cell has ended it waits for nothing."""

    async def acquire() -> Any:
        raise AssertionError

    execution = Execution(wire.Cell(1, ""), Limits(), acquire, lambda _: None, preparing=lambda: "Making it.")
    assert execution.waiting_for() == "Making it."
    execution.timings.started_s = 1.0
    assert execution.waiting_for() is None


@pytest.fixture
def slow_notebook(kernel_name: str, tmp_path: Path, gvisor: runtime.Runtime) -> Iterator[Notebook]:
    """A kernel whose sandboxes take seconds to start."""
    slow = tmp_path / "runsc"
    slow.write_text(f'#!/bin/sh\ncase " $* " in *" run "*|*" restore "*) sleep 5;; esac\nexec "{gvisor.path}" "$@"\n')
    slow.chmod(0o755)
    add_options(kernel_name, tmp_path, f"--LocalBackend.runsc={slow}")
    made = Notebook(kernel_name)
    yield made
    made.close()


def outputs(notebook: Notebook, **content: Any) -> list[str]:
    """Run a cell as JupyterLab does and return the types of its outputs."""
    client = notebook.client
    defaults = {"code": "print('a')", "silent": False, "store_history": True, "user_expressions": {}, "stop_on_error": True}
    message = client.session.msg("execute_request", {**defaults, **content}, metadata={"cellId": "c"})
    client.shell_channel.send(message)
    kinds = []
    while True:
        said = client.get_iopub_msg(timeout=90)
        if said["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
            return kinds
        if said["msg_type"] not in ("status", "execute_input"):
            kinds.append(said["msg_type"])


@pytest.mark.parametrize("options", ["local"], indirect=True)
def test_a_notebook_shows_a_slow_start_and_forgets_it(slow_notebook: Notebook) -> None:
    """JupyterLab sees the start and its removal before the output."""
    kinds = outputs(slow_notebook, allow_stdin=True)
    assert kinds[0] == "display_data"
    assert kinds[-2:] == ["clear_output", "stream"]
    assert set(kinds[1:-2]) <= {"update_display_data"}


@pytest.mark.parametrize("options", ["local"], indirect=True)
@pytest.mark.parametrize("content", [{"allow_stdin": False}, {"allow_stdin": True, "silent": True}], ids=["nbval", "silent"])
def test_a_program_sees_the_output_alone(slow_notebook: Notebook, content: dict[str, Any]) -> None:
    """Where no stdin is allowed, as by nbval and nbclient, and in a silent cell, a slow start shows nothing."""
    assert outputs(slow_notebook, **content) == ["stream"]

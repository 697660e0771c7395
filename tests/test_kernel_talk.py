"""Talking to a cell that runs: questions, interrupts and time limits, as Jupyter sees them, on every backend."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import add_options
from jupyter_core.utils import ensure_event_loop
from test_kernel import Message, Notebook

from sandbox_kernel.outcomes import KEPT, ROLLED_BACK

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")


@pytest.fixture
def notebook(kernel_name: str) -> Iterator[Notebook]:
    """A running kernel on one backend after the other."""
    made = Notebook(kernel_name)
    yield made
    made.close()


@pytest.fixture
def started(kernel_name: str, tmp_path: Path) -> Iterator[Callable[..., Notebook]]:
    """Starts the same with settings, on one backend after the other."""
    made: list[Notebook] = []

    def start(*options: str) -> Notebook:
        add_options(kernel_name, tmp_path, *options)
        made.append(Notebook(kernel_name))
        return made[-1]

    yield start
    for notebook in made:
        notebook.close()


@pytest.fixture
def quick(started: Callable[..., Notebook]) -> Notebook:
    """One with a time limit and a grace of two seconds."""
    return started("--Runner.timeout_s=2", "--Runner.interrupt_grace_s=2")


class Answers:
    """A front end's user: gives the answers in turn, and keeps the questions."""

    def __init__(self, notebook: Notebook, *texts: str) -> None:
        self.asked: list[dict[str, Any]] = []
        self._notebook = notebook
        self._texts = list(texts)

    def __call__(self, message: dict[str, Any]) -> None:
        self.asked.append(message["content"])
        self._notebook.client.input(self._texts.pop(0))


def out(messages: list[Message]) -> str:
    return "".join(content["text"] for kind, content in messages if kind == "stream" and content["name"] == "stdout")


def interrupted(notebook: Notebook, code: str, *hows: Callable[[Notebook], None]) -> tuple[list[Message], dict[str, Any]]:
    """Run a cell, interrupt it each time that it says ``go``, in these ways in turn, and return what came."""
    said = threading.Semaphore(0)

    def interrupt() -> None:
        for how in hows:
            assert said.acquire(timeout=90)
            how(notebook)

    messages: list[Message] = []

    def take(message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind not in ("status", "execute_input"):
            messages.append((kind, content))
        for _ in range(content["text"].count("go") if kind == "stream" else 0):
            said.release()

    thread = threading.Thread(target=interrupt)
    thread.start()
    reply = notebook.client.execute_interactive(code, output_hook=take, stdin_hook=lambda _: said.release(), timeout=90)
    thread.join()
    return messages, reply["content"]


def by_message(notebook: Notebook) -> None:
    notebook.manager.interrupt_kernel()
    ensure_event_loop().close()  # this thread's, as in Notebook.close


def by_signal(notebook: Notebook) -> None:
    os.kill(notebook.manager.provisioner.process.pid, signal.SIGINT)


def test_a_cell_asks_its_user(notebook: Notebook) -> None:
    """input() and getpass ask the front end, in order with the output; prompts and answers are no output of the cell's."""
    answers = Answers(notebook, "Zoë", "secret", "3", "\x04")
    code = (
        "import getpass\nprint('first')\nname = input('name? \\x1b]52;c;x\\x07')\nword = getpass.getpass('word: ')\n"
        "number = int(input())\ntry:\n    input('more?')\nexcept EOFError:\n    print('EOF')\n(name, word, number)"
    )
    messages, reply = notebook.run(code, allow_stdin=True, stdin_hook=answers)
    assert reply["status"] == "ok"
    assert answers.asked == [
        {"prompt": "name? ", "password": False},
        {"prompt": "word: ", "password": True},
        {"prompt": "", "password": False},
        {"prompt": "more?", "password": False},
    ]
    assert out(messages) == "first\nEOF\n"
    assert messages[-1][1]["data"] == {"text/plain": "('Zoë', 'secret', 3)"}

    messages, reply = notebook.run("name + input('again? ')", allow_stdin=True, stdin_hook=Answers(notebook, "!"))
    assert messages[-1][1]["data"] == {"text/plain": "'Zoë!'"}


def test_a_front_end_without_input_is_not_asked(notebook: Notebook) -> None:
    """Without allow_stdin nobody is asked, and the cell reads why, in ipykernel's words."""
    _, reply = notebook.run("input('name? ')", allow_stdin=False)
    assert reply["ename"] == "StdinNotImplementedError"
    assert reply["evalue"] == "raw_input was called, but this frontend does not support input requests."
    assert "input('name? ')" in drawn(reply) and "ask.py" not in drawn(reply)


def test_an_answer_that_is_too_long(notebook: Notebook) -> None:
    """An answer over the limit is none, and the user reads which limit."""
    messages, reply = notebook.run("input()", allow_stdin=True, stdin_hook=Answers(notebook, "x" * 20_000))
    assert reply["ename"] == "EOFError"
    assert "16384" in "".join(content["text"] for kind, content in messages if kind == "stream")


def test_output_comes_while_a_question_is_open(notebook: Notebook) -> None:
    """A thread of the cell prints while its main thread waits for an answer, and the user sees it before answering."""
    seen = threading.Event()
    code = "import threading\nthreading.Timer(0.2, print, ['meanwhile']).start()\ninput('? ')"
    asked: list[str] = []

    def answer() -> None:
        assert seen.wait(60)
        notebook.client.input("x")

    thread = threading.Thread(target=answer)
    thread.start()
    reply = notebook.client.execute_interactive(
        code,
        allow_stdin=True,
        stdin_hook=lambda message: asked.append(message["content"]["prompt"]),
        output_hook=lambda message: seen.set() if message["msg_type"] == "stream" else None,
        timeout=90,
    )
    thread.join()
    assert (reply["content"]["status"], asked) == ("ok", ["? "])


def test_the_debugger_works_in_a_cell(notebook: Notebook) -> None:
    """breakpoint() is the debugger, whose commands the front end asks for."""
    answers = Answers(notebook, "p x * 2", "c")
    messages, reply = notebook.run("def f(x):\n    breakpoint()\n    return x + 1\nf(41)", stdin_hook=answers)
    assert reply["status"] == "ok"
    assert [item["prompt"] for item in answers.asked] == ["(Pdb) ", "(Pdb) "]
    assert "82\n" in out(messages)


def drawn(reply: dict[str, Any]) -> str:
    """Return a traceback without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(reply["traceback"]))


@pytest.mark.parametrize("how", [by_message, by_signal])
def test_an_interrupt_keeps_what_the_cell_made(notebook: Notebook, how: Callable[[Notebook], None]) -> None:
    """Stop raises KeyboardInterrupt in the cell, wherever it is; the reply tells where; what it made is there afterwards."""
    busy = {
        "while True: pass": "while True: pass",
        "import time; time.sleep(100)": "time.sleep(100)",
        "import subprocess; subprocess.run(['sleep', '100'])": "subprocess.run(['sleep', '100'])",
        "import threading; threading.Event().wait()": "threading.Event().wait()",
        "import asyncio; await asyncio.sleep(100)": "await asyncio.sleep(100)",
        "input('go')": "input('go')",
    }
    for number, (code, line) in enumerate(busy.items()):
        _, reply = interrupted(notebook, f"x = {number}\nprint('go')\n{code}", how)
        assert (reply["status"], reply["ename"]) == ("error", "KeyboardInterrupt"), code
        assert line in drawn(reply) and "ask.py" not in drawn(reply) and "_sandbox_guest" not in drawn(reply), code
        assert ROLLED_BACK not in reply["evalue"]
        assert notebook.run("x")[0][-1][1]["data"] == {"text/plain": str(number)}, code


#: Not a loop of ``pass``: Python finds nothing there that could raise, and looks for no handler.
DEAF = (
    "x = 1\nimport time\nwhile True:\n    try:\n        print('go')\n        while True: time.sleep(0.01)\n"
    "    except KeyboardInterrupt: pass"
)


def test_an_interrupt_at_each_moment_loses_nothing(notebook: Notebook) -> None:
    """However soon after its request a cell is interrupted, it ends by KeyboardInterrupt and the state is kept."""
    notebook.run("import os\nkept, pid = [1], os.getpid()\nnumber = iter(range(1000))")
    local = "local" in notebook.manager.kernel_name
    client = notebook.client
    for moment_s in (0.0, 0.01, 0.05, 0.1, 0.2, 0.5) if local else (0.0, 0.3):
        for again in range(3 if local else 1):
            # What comes at once after an error may be aborted with what was queued: not what this is about.
            request = client.execute("import time; kept.append(2)\ntime.sleep(600)", stop_on_error=False)
            while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
                pass
            # The moments are what is tried; whatever the cell is doing then, the same must be true.
            threading.Event().wait(moment_s)
            notebook.manager.interrupt_kernel()
            while (message := client.get_shell_msg(timeout=60))["parent_header"]["msg_id"] != request:
                pass
            content = message["content"]
            assert (moment_s, again, content["ename"], content["evalue"]) == (moment_s, again, "KeyboardInterrupt", "")
            if not again:
                messages, reply = notebook.run("print(kept[0], isinstance(next(number), int))" if local else "print(kept[0])")
                assert (reply["status"], out(messages).split()[:1]) == ("ok", ["1"]), (reply, messages)
                assert not [content for kind, content in messages if kind == "stream" and content["name"] == "stderr"]


#: In seconds; nothing here takes so long.
FOREVER = 3600


@pytest.mark.parametrize("grace_s", [0, 2])
def test_a_cell_that_goes_on_after_an_interrupt_is_killed(grace_s: float, started: Callable[..., Notebook]) -> None:
    """A cell that ignores the interrupt is killed after the grace, at once without one, and leaves nothing behind."""
    notebook = started(f"--Runner.interrupt_grace_s={grace_s}")
    notebook.run("x = 0")
    _, reply = interrupted(notebook, DEAF, by_message)
    assert (reply["ename"], reply["evalue"]) == ("KeyboardInterrupt", ROLLED_BACK)
    assert notebook.run("x")[0][-1][1]["data"] == {"text/plain": "0"}


@pytest.mark.parametrize("second", [by_message, by_signal])
def test_a_second_interrupt_kills_at_once(second: Callable[[Notebook], None], started: Callable[..., Notebook]) -> None:
    """A cell that goes on within a grace without end is not killed by the first interrupt, and is by the second."""
    notebook = started(f"--Runner.interrupt_grace_s={FOREVER}")
    notebook.run("x = 0")
    messages, reply = interrupted(notebook, DEAF, by_message, second)
    assert out(messages) == "go\ngo\n"
    assert (reply["ename"], reply["evalue"]) == ("KeyboardInterrupt", ROLLED_BACK)
    assert notebook.run("x")[0][-1][1]["data"] == {"text/plain": "0"}


def test_a_time_limit_keeps_what_the_cell_made(quick: Notebook) -> None:
    """At its limit a cell is interrupted: the error names the limit and where it was, and says that the state is kept."""
    quick.run("x = 0")
    messages, reply = quick.run("x = 1\nprint('before')\nwhile True: pass")
    assert (reply["ename"], reply["evalue"]) == (
        "CellTimeout",
        f"The cell was ended after 2 s. Runner.timeout_s sets the limit. {KEPT}",
    )
    assert "while True: pass" in drawn(reply)
    assert reply["traceback"][-1] == f"CellTimeout: {reply['evalue']}"
    assert "KeyboardInterrupt" not in drawn(reply)
    assert out(messages) == "before\n"
    assert [kind for kind, _ in messages] == ["stream", "error"]
    assert quick.run("x")[0][-1][1]["data"] == {"text/plain": "1"}
    quick.run("%sandbox undo 2")
    assert quick.run("x")[0][-1][1]["data"] == {"text/plain": "0"}


def test_a_cell_that_goes_on_after_its_time_limit_is_killed(quick: Notebook) -> None:
    """A cell that ignores the interrupt at its limit is killed after the grace, and the session goes back."""
    quick.run("x = 0")
    _, reply = quick.run(DEAF)
    assert (reply["ename"], reply["evalue"]) == (
        "CellTimeout",
        f"The cell was ended after 2 s. Runner.timeout_s sets the limit. {ROLLED_BACK}",
    )
    assert quick.run("x")[0][-1][1]["data"] == {"text/plain": "0"}


def test_the_users_time_does_not_count(quick: Notebook) -> None:
    """A user who takes longer than the cell may does not end it."""
    code = "import time\nbegan = time.monotonic()\ninput()\ntime.monotonic() - began > 4"

    def answer(_: dict[str, Any]) -> None:
        timer = threading.Timer(4.5, quick.client.input, ["x"])
        timer.start()

    messages, reply = quick.run(code, stdin_hook=answer)
    assert reply["status"] == "ok", reply
    assert messages[-1][1]["data"] == {"text/plain": "True"}

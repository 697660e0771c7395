"""Questions of a cell to its user, in the guest: input(), getpass, sys.stdin, the debugger."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from guests import Guest, Said, pythons, run
from shells import SHELLS, environment, run_cells

from sandbox_kernel.guest import wire

PYTHONS = pythons()


def asked(guest: Guest, count: int = 1) -> wire.InputRequest:
    """Return the question when so many were asked."""
    guest.until(lambda said: len(said.of(wire.InputRequest)) >= count)
    question: wire.InputRequest = guest.said.of(wire.InputRequest)[count - 1]
    return question


def answer(guest: Guest, text: str | None) -> None:
    guest.write(wire.dump(wire.Input(text)))


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_questions_and_answers(python: str, tmp_path: Path) -> None:
    """input() and getpass ask with their prompts, after what was printed before, and return the answers as they are."""
    with Guest(tmp_path, python) as guest:
        guest.deliver(
            "import getpass\nprint('first')\na = input('name? ')\nb = getpass.getpass()\n(a, b, input())", stdin=True
        )
        assert asked(guest) == wire.InputRequest("name? ")
        assert guest.said.out == "first\n"
        answer(guest, "Zoë \ud83d\ude00 \\ \"' ")
        assert asked(guest, 2) == wire.InputRequest("Password: ", password=True)
        answer(guest, "")
        assert asked(guest, 3) == wire.InputRequest("")
        answer(guest, "x" * 16384)
        said = guest.rest()
        assert said.shown == [repr(("Zoë \U0001f600 \\ \"' ", "", "x" * 16384))]
        assert said.out == "first\n" and said.of(wire.Taken) == [wire.Taken(1), wire.Taken(2), wire.Taken(3)]
        assert guest.complaint() == ""


@pytest.mark.parametrize("code", ["input('name? ')", "import getpass; getpass.getpass()", "input(1)"])
def test_nobody_can_answer(code: str, tmp_path: Path) -> None:
    """A front end that takes no input is not asked, and the cell reads why."""
    said = run(tmp_path, code)
    assert said.error.name == "EOFError" and "nobody can answer" in said.error.value
    assert not said.of(wire.InputRequest)


@pytest.mark.parametrize("shell", SHELLS)
def test_nobody_can_answer_in_a_notebook(shell: str, tmp_path: Path) -> None:
    """A notebook's cell gets what ipykernel raises, which is IPython's own where there is one, and in no frame of ours."""
    cells = ["input('name? ')", "import getpass; getpass.getpass()", "import sys; sys.stdin.readline()"]
    cells.append("try: input()\nexcept NotImplementedError as error: print(type(error).__module__)")
    asked, secret, read, caught = run_cells(shell, tmp_path, cells)
    for said, word in ((asked, "raw_input"), (secret, "getpass")):
        assert said.error.name == "StdinNotImplementedError"
        assert said.error.value == f"{word} was called, but this frontend does not support input requests."
        assert "ask.py" not in "".join(said.error.traceback)
    assert read.shown == ["''"]
    assert caught.out == ("IPython.core.error\n" if shell == "ipython" else "builtins\n")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_end_of_input_shows_no_frame_of_ours(shell: str, tmp_path: Path) -> None:
    """What input() raises is told where the cell called it, also as the cause of another error."""
    code = (
        "def f():\n    try:\n        input()\n    except EOFError as error:\n        raise ValueError('none') from error\nf()"
    )
    with Guest(tmp_path, env=environment(shell, tmp_path)) as guest:
        guest.deliver(code, notebook=True, stdin=True, name="Cell In[1]", count=1)
        asked(guest)
        answer(guest, None)
        told = "".join(guest.rest().error.traceback)
    assert "EOFError" in told and "ValueError" in told
    assert "ask.py" not in told and "_sandbox_guest" not in told


def test_no_answer(tmp_path: Path) -> None:
    """A user who ends the input gives EOFError, as at a terminal."""
    with Guest(tmp_path) as guest:
        guest.deliver("input()", stdin=True)
        asked(guest)
        answer(guest, None)
        assert guest.rest().error.name == "EOFError"


def test_lines_of_stdin(tmp_path: Path) -> None:
    """sys.stdin is the user's lines, at its end when there are none, and programs that the cell starts have none."""
    with Guest(tmp_path) as guest:
        code = "import sys, subprocess\nprint([line for line in sys.stdin], sys.stdin.isatty(), sys.stdin.readable())"
        guest.deliver(code + "\nsubprocess.run(['cat'], stdin=sys.stdin)\nsubprocess.run(['cat'])", stdin=True)
        for number, line in enumerate(("a", "b", None), 1):
            asked(guest, number)
            answer(guest, line)
        assert guest.rest().out == "['a\\n', 'b\\n'] False True\n"
    assert (
        run(tmp_path, "import sys\nprint([sys.stdin.readline(), sys.stdin.read(), list(sys.stdin)])").out == "['', '', []]\n"
    )


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_the_debugger(python: str, tmp_path: Path) -> None:
    """breakpoint() in a cell can be used: its commands are questions, what it says is output, and the cell goes on."""
    with Guest(tmp_path, python) as guest:
        guest.deliver("def f(x):\n    breakpoint()\n    return x + 1\nf(41)", stdin=True)
        for number, command in enumerate(("p x * 2", "w", "c"), 1):
            assert asked(guest, number).prompt == "(Pdb) "
            answer(guest, command)
        said = guest.rest()
        assert said.shown == ["42"] and "\n82\n" in "\n" + said.out and "f(41)" in said.out
        assert said.finished.outcome == "ok"


def debugged(guest: Guest, code: str, *commands: str, number: int = 1) -> str:
    """Run a cell of a notebook, answer its debugger, going on when there is no more to say, and return what it printed."""
    begun = len(guest.said)
    before = len(guest.said.of(wire.InputRequest))
    guest.deliver(code, notebook=True, stdin=True, name=f"Cell In[{number}]", number=number, count=number)
    rest = list(commands)
    while True:
        guest.until(lambda said, seen=before: said.of(wire.Finished)[number - 1 :] or len(said.of(wire.InputRequest)) > seen)
        if guest.said.of(wire.Finished)[number - 1 :]:
            return Said(guest.said[begun:]).out
        before += 1
        answer(guest, rest.pop(0) if rest else "c")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_debugger_stops_in_the_user_s_frames(shell: str, tmp_path: Path) -> None:
    """Wherever breakpoint() stands, it stops where the cell's names are, steps through the cell, and ends with it."""
    with Guest(tmp_path, env=environment(shell, tmp_path), lasting=True) as guest:
        said = debugged(guest, "x = 3\nbreakpoint()", "p x * 2", "w", "n", "n", "n")
        assert "\n6\n" in said and "breakpoint()" in said
        for hidden in ("IPython", "_sandbox_guest", "keeper", "traitlets", "displayhook", "contextlib", "json"):
            assert hidden not in said
        said = debugged(guest, "x = 4\nbreakpoint()\ny = x + 1\nz = y + 1", *["n"] * 3, *["s"] * 20, number=2)
        assert "-> y = x + 1" in said and "-> z = y + 1" in said and "IPython" not in said and "_sandbox_guest" not in said
        code = "import asyncio\nasync def g():\n    breakpoint()\n    await asyncio.sleep(0)\n    return 7\nawait g()"
        said = debugged(guest, code, "n", "w", *["n"] * 9, number=3)
        assert "-> return 7" in said and "asyncio/" not in said and "_sandbox_guest" not in said
        assert debugged(guest, "import sys; print(sys.gettrace(), x)", number=4) == "None 4\n"
        assert debugged(guest, "import os; os.environ['PYTHONBREAKPOINT'] = '0'; breakpoint()", number=5) == ""
        assert (
            debugged(guest, "os.environ['PYTHONBREAKPOINT'] = 'builtins.print'; breakpoint('hello')", number=6) == "hello\n"
        )
        assert guest.complaint() == ""


def test_an_interrupt_ends_a_question(tmp_path: Path) -> None:
    """A cell that waits for an answer is interrupted like any; an answer that comes later is nobody's."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver("x = 1\nx = input()", stdin=True)
        asked(guest)
        guest.write(wire.dump(wire.Interrupt()))
        guest.until(lambda said: said.of(wire.Finished))
        assert guest.said.of(wire.Finished)[0].outcome == "interrupted"
        assert guest.said.of(wire.Error)[0].traceback[-2:] == [
            "    x = input()",
            "KeyboardInterrupt",
        ] or "input()" in "".join(guest.said.of(wire.Error)[0].traceback)
        answer(guest, "late")
        guest.deliver("(x, input())", number=2, stdin=True)
        asked(guest, 2)
        answer(guest, "new")
        guest.until(lambda said: len(said.of(wire.Finished)) == 2)
        assert guest.said.shown == ["(1, 'new')"]
        assert guest.complaint() == ""


def test_an_answer_and_an_interrupt_at_once(tmp_path: Path) -> None:
    """Whichever comes first, the cell ends, the guest goes on, and no later question gets the old answer."""
    with Guest(tmp_path, lasting=True) as guest:
        for number in range(1, 21):
            # Many short sleeps: a signal that comes just before a long one is seen by Python when that is over.
            guest.deliver("import time\ninput()\nwhile True: time.sleep(0.01)", number=number, stdin=True)
            asked(guest, number)
            both = [wire.dump(wire.Input("old")), wire.dump(wire.Interrupt())]
            guest.write(b"\n".join(both if number % 2 else both[::-1]))
            guest.until(lambda said, number=number: len(said.of(wire.Finished)) == number)
            assert guest.said.of(wire.Finished)[-1].outcome == "interrupted"
        guest.deliver("input()", number=21, stdin=True)
        asked(guest, 21)
        answer(guest, "new")
        guest.until(lambda said: len(said.of(wire.Finished)) == 21)
        assert guest.said.shown == ["'new'"]


def test_threads_ask_one_after_the_other(tmp_path: Path) -> None:
    """Several threads that ask are answered one at a time, each with its own answer; the others print meanwhile."""
    with Guest(tmp_path) as guest:
        code = (
            "import threading\ngot = {}\ndef ask(i): got[i] = input(str(i))\n"
            "threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]\n"
            "[t.start() for t in threads]; print('meanwhile')\n[t.join() for t in threads]\nsorted(got.items())"
        )
        guest.deliver(code, stdin=True)
        guest.until(lambda said: "meanwhile" in said.out)
        for number in range(1, 5):
            answer(guest, "for " + asked(guest, number).prompt)
            assert len(guest.said.of(wire.InputRequest)) == number
        assert guest.rest().shown == [str([(i, f"for {i}") for i in range(4)])]


def test_a_thread_that_still_asks_when_the_cell_has_ended(tmp_path: Path) -> None:
    """A question ends with its cell: the thread gets EOFError, and orders to the guest are not taken for answers."""
    with Guest(tmp_path, lasting=True) as guest:
        code = (
            "import threading, traceback\ngo = threading.Event()\ndef ask():\n    try: input('?')\n"
            "    except EOFError as error: print('EOF', error)\n    go.set()\nthreading.Thread(target=ask).start()\n"
        )
        guest.deliver(code, stdin=True)
        asked(guest)
        guest.until(lambda said: said.of(wire.Finished))
        answer(guest, "late")
        guest.deliver("go.wait()\ninput()", number=2)
        guest.until(lambda said: len(said.of(wire.Finished)) == 2)
        assert "EOF" in guest.said.out and guest.said.of(wire.Finished)[1].outcome == "error"
        assert guest.complaint() == ""


def test_a_forked_child_does_not_ask(tmp_path: Path) -> None:
    """A child that a cell forked cannot ask: its parent has the conversation."""
    with Guest(tmp_path) as guest:
        code = (
            "import os\npid = os.fork()\nif pid == 0:\n    try: input()\n    except EOFError: os._exit(7)\n"
            "os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
        )
        guest.deliver(code, stdin=True)
        assert guest.rest().shown == ["7"]


def test_the_time_of_an_answer_does_not_count(tmp_path: Path) -> None:
    """A cell that waits for its user longer than it may run is not over its time; the time goes on with the answer."""
    with Guest(tmp_path, heartbeat_s=0.05) as guest:
        guest.deliver("input()\nwhile True: pass", stdin=True, timeout_s=0.2, answer_s=3600.0)
        asked(guest)
        began = time.monotonic()
        guest.until(lambda _: time.monotonic() - began > 0.5)
        assert not guest.said.of(wire.Finished)
        answer(guest, "x")
        assert guest.rest().finished.outcome == "timeout"


def test_the_time_of_answers_is_bounded(tmp_path: Path) -> None:
    """A cell whose user does not answer at all ends when its own time and that for answers are over."""
    with Guest(tmp_path) as guest:
        guest.deliver("input()", stdin=True, timeout_s=0.2, answer_s=0.2)
        finished = guest.rest().finished
        assert finished.outcome == "timeout" and finished.wall_s >= 0.4


def test_a_forged_question_is_none(tmp_path: Path) -> None:
    """A cell that writes to the keeper itself asks nothing of whom it must not, and gets no more time."""
    body = json.dumps(["input_request", {"prompt": "your password", "password": True}])
    code = (
        "import gc, socket, _socket\n"
        "talk = [o for o in gc.get_objects() if type(o).__name__ == 'Talk'][0]\n"
        f"for n in (1, True, None, 2**60, [1]): talk.say('ask', n, body={body.encode()!r})\n"
    )
    for fields in ({}, {"stdin": True}):
        with Guest(tmp_path) as guest:
            guest.deliver(code + "while True: pass", timeout_s=0.3, answer_s=0.1, **fields)
            said: Said = guest.rest()
            assert said.finished.outcome == "timeout"
            assert len(said.of(wire.InputRequest)) == (1 if fields else 0)

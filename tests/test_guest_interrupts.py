"""Interrupts and time limits in the guest: KeyboardInterrupt inside first; who goes on is killed after a grace."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import wait_until
from guests import Guest, Said, pythons

from sandbox_kernel.guest import interrupts, wire

PYTHONS = pythons()

#: What a cell is in when it is stopped, from when it says ``go``. Each ends by KeyboardInterrupt.
BUSY = {
    "python": "go()\nwhile True: pass",
    "sleep": "import time\ngo(); time.sleep(1000)",
    "a child": "import subprocess\ngo(); subprocess.run(['sleep', '1000'])",
    # Not sleep: a shell that is interrupted before it has started its program waits for it all the same.
    "a shell": "import os, sys\ncode = 'print(\\'go\\', flush=True); import time; time.sleep(1000)'\n"
    'if os.system(\'"%s" -c "%s"\' % (sys.executable, code)): raise KeyboardInterrupt',
    "a lock": "import threading\ngo(); threading.Event().wait()",
    "a socket": "import socket\na, b = socket.socketpair()\ngo(); a.recv(1)",
    "an await": "import asyncio\ngo(); await asyncio.sleep(1000)",
    "a coroutine": "import asyncio\nasync def spin():\n    go()\n    while True: pass\nawait spin()",
    "an own loop": "import asyncio\ngo(); asyncio.run(asyncio.sleep(1000))",
    "printing": "go()\nwhile True: print('more' * 100)",
    "displaying": "go()\nwhile True: display('more')",
    "printing beside threads": "import threading, time, sys\n"
    "for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    "go()\nwhile True: print('o'); print('e', file=sys.stderr)",
    "the display of a value": "class A:\n    def __repr__(self):\n        go()\n        while True: pass\nA()",
    "an exec": "exec('go()\\nwhile True: pass')",
}
GO = "def go(): print('go', flush=True)\n"


def interrupted(guest: Guest, code: str, number: int = 1, **fields: object) -> Said:
    """Run a cell, interrupt it when it has said ``go``, and return all that was said until its end."""
    before = len(guest.said)
    guest.deliver(GO + code, number=number, output_bytes=100_000, **fields)
    guest.until(lambda said: "go" in Said(said[before:]).out)
    guest.write(wire.dump(wire.Interrupt()))
    guest.until(lambda said: Said(said[before:]).of(wire.Finished))
    return Said(guest.said[before:])


def ended(guest: Guest, code: str, number: int, **fields: object) -> Said:
    """Run a cell and return all that was said until its end."""
    before = len(guest.said)
    guest.deliver(code, number=number, **fields)
    guest.until(lambda said: Said(said[before:]).of(wire.Finished))
    return Said(guest.said[before:])


def value(guest: Guest, code: str, number: int) -> str:
    """Run a cell and return what it showed."""
    said = ended(guest, code, number)
    assert said.finished.outcome == "ok", said
    return str(said.shown[-1])


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in BUSY.items()])
def test_an_interrupt_is_a_keyboard_interrupt_inside(code: str, tmp_path: Path) -> None:
    """Whatever a cell is in, an interrupt raises KeyboardInterrupt there; what it made is kept and the process goes on."""
    with Guest(tmp_path, lasting=True) as guest:
        said = interrupted(guest, "x = 7\n" + code)
        assert (said.finished.outcome, said.finished.exit_status, said.finished.lives) == ("interrupted", 130, True)
        assert said.error.name == "KeyboardInterrupt"
        assert any('File "<cell>"' in line for line in said.error.traceback)
        assert not any("_sandbox_guest" in line for line in said.error.traceback)
        assert said.of(wire.Taken) == [wire.Taken(1)]
        assert value(guest, "x", 2) == "7"
        assert guest.complaint() == ""


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_an_interrupt_on_every_python(python: str, tmp_path: Path) -> None:
    """A loop, a sleep and an await are interrupted on each Python that the guest runs on."""
    with Guest(tmp_path, python, lasting=True) as guest:
        for number, name in enumerate(("python", "sleep", "an await", "a child"), 1):
            said = interrupted(guest, BUSY[name], number)
            assert (name, said.finished.outcome, said.error.name) == (name, "interrupted", "KeyboardInterrupt")


def test_programs_that_a_cell_waits_for_end_too(tmp_path: Path) -> None:
    """An interrupt reaches the programs that the cell has started, as in a shell."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver("import subprocess\np = subprocess.Popen(['sleep', '1000'])\nprint(p.pid)\np.wait()")
        guest.until(lambda said: said.out.endswith("\n"))
        program = psutil.Process(int(guest.said.out))
        guest.write(wire.dump(wire.Interrupt()))
        guest.until(lambda said: said.of(wire.Finished))
        wait_until(lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE, "the program has ended")


def test_a_cell_that_handles_it_ends_as_it_likes(tmp_path: Path) -> None:
    """A cell that catches KeyboardInterrupt and comes to its end has ended well."""
    with Guest(tmp_path, lasting=True) as guest:
        code = "try:\n    go()\n    while True: pass\nexcept KeyboardInterrupt:\n    print('bye')"
        said = interrupted(guest, code)
        assert (said.finished.outcome, said.finished.lives, said.out) == ("ok", True, "go\nbye\n")
        said = interrupted(guest, code.replace("print('bye')", "1 / 0"), 2)
        assert (said.finished.outcome, said.error.name) == ("error", "ZeroDivisionError")


def test_a_handler_of_the_cells_is_kept(tmp_path: Path) -> None:
    """What a cell does with SIGINT holds for that cell and the later ones, and between them for nobody."""
    with Guest(tmp_path, lasting=True) as guest:
        code = "import signal, time\nheard = []\nsignal.signal(signal.SIGINT, lambda *_: heard.append(1))\n"
        wait = "go()\nwhile not heard: time.sleep(0.01)\nheard.clear()"
        assert interrupted(guest, code + wait).finished.outcome == "ok"
        assert interrupted(guest, wait, 2).finished.outcome == "ok"


@pytest.mark.parametrize("python", PYTHONS.values(), ids=PYTHONS)
def test_an_interrupt_right_after_the_cell(python: str, tmp_path: Path) -> None:
    """A cell that is interrupted before its code has begun ends as interrupted and has run nothing; the process goes on."""
    with Guest(tmp_path, python, lasting=True) as guest:
        assert value(guest, "x = 7; x", 1) == "7"
        for number in range(2, 22):
            guest.write(
                wire.dump(wire.Cell(number, "x = 8\nimport time; time.sleep(1000)")) + b"\n" + wire.dump(wire.Interrupt())
            )
            guest.until(lambda said, number=number: len(said.of(wire.Finished)) == number)
            finished = guest.said.of(wire.Finished)[-1]
            assert (finished.outcome, finished.exit_status, finished.lives) == ("interrupted", 130, True)
        assert value(guest, "x", 22) in ("7", "8")
        assert guest.complaint() == ""


def test_an_interrupt_while_the_handler_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt that comes in the very moment in which none is let through is not forgotten: it comes afterwards."""
    before = signal.getsignal(signal.SIGINT)
    held = interrupts.Interrupts()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    real = interrupts.signal.signal

    def then_it_comes(number: int, handler: Any) -> Any:
        found = real(number, handler)
        signal.raise_signal(signal.SIGINT)
        return found

    try:
        with monkeypatch.context() as patch:
            patch.setattr(interrupts.signal, "signal", then_it_comes)
            theirs = held.hold()
        with pytest.raises(KeyboardInterrupt):
            held.let_go(theirs)
    finally:
        real(signal.SIGINT, before)


def test_an_interrupt_between_cells_is_nobodys(tmp_path: Path) -> None:
    """SIGINT that reaches the guest between two cells, however often, changes nothing."""
    with Guest(tmp_path, lasting=True) as guest:
        assert value(guest, "import os, signal; os.getpid()", 1)
        [process] = guest.descendants()
        for number in range(2, 12):
            process.send_signal(2)
            guest.write(wire.dump(wire.Interrupt()))
            guest.write(wire.dump(wire.Ask()))  # Whoever answers has seen the signal.
            guest.until(lambda said, number=number: len(said.of(wire.Names)) == number - 1)
            assert value(guest, str(number), number) == str(number)
        assert guest.complaint() == ""


def test_interrupts_at_the_end_of_cells(tmp_path: Path) -> None:
    """An interrupt that comes as a cell ends stops it or does not; it never ends the guest or a later cell."""
    with Guest(tmp_path, lasting=True) as guest:
        for number in range(1, 41):
            guest.deliver("import sys\nfor i in range(50):\n    print(i)\n    print(i, file=sys.stderr)", number=number)
            guest.until(lambda said, number=number: len(said.of(wire.Started)) == number)
            guest.write(wire.dump(wire.Interrupt()))
            finished = guest.until(lambda said, number=number: len(said.of(wire.Finished)) == number).of(wire.Finished)[-1]
            assert finished.outcome in ("ok", "interrupted") and finished.lives
        assert value(guest, "6 * 7", 41) == "42"
        assert guest.complaint() == ""


CARRY = {"head": None, "anew": True, "session": "s", "cap_bytes": 1 << 20, "advice": "", "save_s": 20.0, "dropped": []}


def test_the_state_of_an_interrupted_cell_is_carried(tmp_path: Path) -> None:
    """An interrupted cell's variables are carried out, and an interrupt meanwhile does not hinder that."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    carry = {**CARRY, "folder": str(tmp_path / "in"), "out": str(tmp_path / "out")}
    with Guest(tmp_path, carry=carry) as guest:
        said = interrupted(guest, "x = list(range(1000)); go()\nwhile True: pass")
        assert (said.finished.outcome, said.finished.lives) == ("interrupted", True)
        guest.write(wire.dump(wire.Interrupt()))
        said = guest.rest()
        assert "x" in [name for name, _, _ in said.of(wire.Names)[0].names]
        assert said.of(wire.Saved) and not said.of(wire.NotSaved)
        assert guest.complaint() == ""


@pytest.mark.parametrize("code", [pytest.param(code, id=name) for name, code in BUSY.items()])
def test_the_time_limit_is_an_interrupt_first(code: str, tmp_path: Path) -> None:
    """At its limit a cell is interrupted inside; what it made is kept, and the outcome is timeout."""
    with Guest(tmp_path, lasting=True) as guest:
        assert value(guest, GO + "x = 7\nx", 1) == "7"
        said = ended(guest, code, 2, timeout_s=0.1, grace_s=15.0, output_bytes=100_000)
        assert (said.finished.outcome, said.finished.exit_status, said.finished.lives) == ("timeout", 124, True)
        assert said.error.name == "KeyboardInterrupt"
        assert value(guest, "x", 3) == "7"


#: What a cell does before, and what it is in at its limit.
DEAF = {
    "handles it": ("import signal; signal.signal(signal.SIGINT, lambda *_: print('no'))", "while True: pass"),
    "ignores it": ("import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "while True: pass"),
    "is stopped": ("import os", "os.kill(os.getpid(), 19)"),
    "is in C": (
        "import ctypes; lock = ctypes.create_string_buffer(64); c = ctypes.PyDLL(None)",
        "c.pthread_mutex_lock(lock); c.pthread_mutex_lock(lock)",
    ),
}


@pytest.mark.parametrize(("before", "code"), DEAF.values(), ids=DEAF)
def test_who_goes_on_after_the_time_limit_is_killed(before: str, code: str, tmp_path: Path) -> None:
    """A cell that goes on after it was interrupted is killed when the grace is over, and leaves no state."""
    with Guest(tmp_path, lasting=True) as guest:
        value(guest, before + "\n1", 1)
        guest.deliver("print('begun')\n" + code, number=2, timeout_s=0.3, grace_s=0.3)
        finished = guest.rest()[-1]
        assert (finished.outcome, finished.exit_status, finished.lives) == ("timeout", 124, False)
        assert finished.wall_s >= 0.6


def test_a_cell_that_ends_well_after_its_limit_was_over_its_limit(tmp_path: Path) -> None:
    """A cell that handles the interrupt at its limit and comes to its end is told as timeout, and lives."""
    with Guest(tmp_path, lasting=True) as guest:
        value(guest, "import signal, time\nheard = []\nsignal.signal(signal.SIGINT, lambda *_: heard.append(1))\n1", 1)
        said = ended(guest, "while not heard: time.sleep(0.01)\nprint('bye')", 2, timeout_s=0.1, grace_s=15.0)
        assert (said.finished.outcome, said.finished.lives, said.out) == ("timeout", True, "bye\n")


def test_a_process_that_dies_of_the_interrupt(tmp_path: Path) -> None:
    """A cell that lets SIGINT end its process was interrupted, and leaves no state."""
    with Guest(tmp_path, lasting=True) as guest:
        said = interrupted(guest, "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); go()\nwhile True: pass")
        assert (said.finished.outcome, said.finished.exit_status, said.finished.lives) == ("interrupted", 130, False)


def test_a_background_task_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    """An await that was interrupted does not go on in a later cell; the loop and its other tasks do."""
    with Guest(tmp_path, lasting=True) as guest:
        code = (
            "import asyncio\nx, event = 0, asyncio.Event()\nasync def wait():\n    global x\n    await event.wait()\n"
            "    x += 1\ntask = asyncio.create_task(wait())\nawait asyncio.sleep(0); go(); await asyncio.sleep(1000); x = 10"
        )
        assert interrupted(guest, code).finished.outcome == "interrupted"
        assert value(guest, "event.set()\nawait task\nawait asyncio.sleep(0)\nx", 2) == "1"

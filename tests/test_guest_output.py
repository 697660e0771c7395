"""What a cell says, in the odd cases: timeliness, bounds, broken text, closed descriptors, processes that stay behind."""

from __future__ import annotations

import os
import termios
import time
from pathlib import Path

import pytest
from guests import Guest, run

from sandbox_kernel.guest import burst, streams, text, wire


@pytest.mark.parametrize(
    "say",
    [
        "print('partial', end='')",
        "import os; os.write(1, b'partial')",
        "import sys; sys.stderr.write('partial')",
        "import os; os.system('printf partial')",
        "import sys; print('x'); sys.stdout.write('part'); sys.stdout.write('ial')",
    ],
)
def test_text_is_heard_while_the_cell_goes_on(say: str, tmp_path: Path) -> None:
    """A line need not be complete, nor the cell over, for its text to be heard."""
    with Guest(tmp_path) as guest:
        os.mkfifo(guest.home / "gate")
        guest.deliver(say + "\nopen('gate').read()\nprint(' whole')")
        guest.until(lambda said: (said.out + said.err).endswith("partial"))
        (guest.home / "gate").write_text("")
        assert guest.rest().out.endswith(" whole\n")


def test_many_prints_are_few_frames(tmp_path: Path) -> None:
    """Small prints are merged, so that neither the wire nor the limit is used up by frames."""
    said = run(tmp_path, "for i in range(20000): print(i)")
    assert said.out == "".join(f"{i}\n" for i in range(20000))
    assert len(said.of(wire.Stream)) < 1000


#: So many prints at once that their text goes another way than that of a few.
BURST = "import os, subprocess, sys\nfor i in range(3000): print(i)\n"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("print('a', file=sys.stderr)\nprint('b')", ["e:a", "o:b"], id="stderr"),
        pytest.param("for n in range(99): print(n, file=(sys.stdout, sys.stderr)[n % 2])", None, id="both"),
        pytest.param("display(1)\nprint('b')", ["d:1", "o:b"], id="display"),
        pytest.param("sys.stdout.flush(); os.write(1, b'a\\n'); print('b')", ["o:a", "o:b"], id="write"),
        pytest.param("sys.stdout.flush(); os.system('echo a; echo b >&2'); print('c')", ["o:a", "e:b", "o:c"], id="shell"),
        pytest.param(
            "print('a', flush=True); subprocess.run(['echo', 'b']); print('c')", ["o:a", "o:b", "o:c"], id="subprocess"
        ),
        pytest.param(
            "pid = os.fork()\nif not pid: print('a'); os._exit(0)\nos.waitpid(pid, 0); print('b')", ["o:a", "o:b"], id="fork"
        ),
        pytest.param(
            "pid = __import__('ctypes').PyDLL(None).fork()\nif not pid: print('a' * 200_000), os._exit(0)\nos.wait();",
            ["o:" + "a" * 200_000],
            id="fork in C",
        ),
        pytest.param(
            "sys.stdout.flush(); saved = os.dup(1); os.dup2(os.open(os.devnull, 1), 1); print('a')\n"
            "sys.stdout.flush(); os.dup2(saved, 1); print('b')",
            ["o:b"],
            id="dup2",
        ),
        pytest.param("print('x' * 2_000_000); print('b')", ["o:" + "x" * 2_000_000, "o:b"], id="long"),
        pytest.param("for i in range(300): print('x' * 5000)", ["o:" + "x" * 5000] * 300, id="much"),
        pytest.param("os._exit(0)", [], id="exit"),
        pytest.param("os.kill(os.getpid(), 9)", [], id="killed"),
        pytest.param("1 / 0", ["x:ZeroDivisionError"], id="error"),
    ],
)
def test_many_prints_and_what_follows_keep_their_order(code: str, words: list[str] | None, tmp_path: Path) -> None:
    """What is said after thousands of quick prints comes after them, whoever says it, and nothing of them is lost."""
    said = run(tmp_path, BURST + code)
    if words is None:
        words = [f"{'oe'[n % 2]}:{n}" for n in range(99)]
    told = [word for word in said.words if "KeyError" not in word]
    assert told[:3000] == [f"o:{i}" for i in range(3000)]
    assert [word for word in told[3000:] if word != "x:ProcessDied"] == words


def test_a_handler_that_prints_tears_no_print(tmp_path: Path) -> None:
    """What the handler of a signal prints in the midst of thousands of prints is whole, and so are they."""
    code = (
        "import signal\nticks = 0\ndef tick(*_):\n    global ticks\n    ticks += 1\n    print('tick')\n"
        "signal.signal(signal.SIGALRM, tick)\nsignal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)\n"
        "for i in range(30000): print(i)\nsignal.setitimer(signal.ITIMER_REAL, 0)\nprint(ticks)"
    )
    *lines, ticks = run(tmp_path, code).out.splitlines()
    assert [line for line in lines if line != "tick"] == [str(i) for i in range(30000)]
    assert lines.count("tick") == int(ticks) > 0


@pytest.mark.parametrize("value", ["0", "7", "2**40", "2**63"])
def test_whatever_a_cell_writes_into_the_memory_it_shares_it_ends(value: str, tmp_path: Path) -> None:
    """A cell that breaks the memory its prints go through breaks its own output, and nothing else."""
    code = (
        BURST + f"words = sys.stdout.buffer._turns._burst._words\nfor n in range(8):\n    words[n] = {value}\n"
        "    for i in range(500): print(i)\nfor n in range(8): words[n] = 0\ndisplay('end');"
    )
    said = run(tmp_path, code)
    assert said.shown == ["'end'"] and said.finished.outcome == "ok"


@pytest.mark.parametrize("word", range(8))
def test_whatever_a_cell_writes_into_memory_that_was_not_opened_it_ends(word: int, tmp_path: Path) -> None:
    """The keeper takes no text from the memory as long as it has not asked for any."""
    said = run(tmp_path, f"import sys\nsys.stdout.buffer._turns._burst._words[{word}] = 7\ndisplay('end');")
    assert said.shown == ["'end'"] and said.out == "" and said.finished.outcome == "ok"


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import os; os.write(1, b'x' * 50_000_000)", id="write"),
        pytest.param("print('x' * 50_000_000)", id="print"),
        pytest.param("import os; os.system('yes | head -c 50000000')", id="child"),
        pytest.param("print('\\U0001F600' * 5_000_000)", id="wide"),
    ],
)
def test_output_has_a_limit(code: str, tmp_path: Path) -> None:
    """Of a flood comes what the limit allows, one Truncated, the error that ends it, and the keeper stays small."""
    code += "\nprint('late')\ndisplay('late')\nimport os\n"
    code += "print([l for l in open('/proc/%d/status' % os.getppid()) if 'VmHWM' in l], file=open('hwm', 'w'))\n1 / 0"
    said = run(tmp_path, code, output_bytes=1_000_000)
    size = sum(len(wire.dump(event)) for event in said if not isinstance(event, (wire.Error, wire.Finished)))
    assert 900_000 < size < 1_000_100
    assert said.of(wire.Truncated) == [wire.Truncated(1_000_000)]
    assert said.error.name == "ZeroDivisionError"
    assert "late" not in said.out and said.shown == []
    assert int((tmp_path / "home" / "hwm").read_text().split()[1]) < 60_000  # KiB


@pytest.mark.parametrize(
    ("code", "out"),
    [
        (r"os.write(1, b'a\xff\0b')", "a\N{REPLACEMENT CHARACTER}\0b"),
        (r"[os.write(1, bytes([byte])) for byte in '\u20ac\U0001F600'.encode()]; None", "\u20ac\U0001f600"),
        (r"os.write(1, b'\xe2\x82')", "\N{REPLACEMENT CHARACTER}"),
        (r"print('\ud800', end='')", "\\ud800"),
        (r"print('a\rb\r\n', end='')", "a\rb\r\n"),
        (r"print('x' * 1_000_000, end='')", "x" * 1_000_000),
        (r"sys.stdout.buffer.write(b'x'); sys.stdout.write('y'); None", "xy"),
        (r"sys.stdout.writelines(['a', 'b'])", "ab"),
    ],
)
def test_odd_text(code: str, out: str, tmp_path: Path) -> None:
    """Whatever bytes a cell writes become text that can be sent."""
    said = run(tmp_path, "import os, sys\n" + code + ";")
    assert said.out == out and said.finished.outcome == "ok"


@pytest.mark.parametrize(
    ("code", "out", "outcome"),
    [
        pytest.param("sys.stdout = None; print(1); sys.stderr = None", "", "ok", id="none"),
        pytest.param("sys.stdout.close()", "", "ok", id="closed"),
        pytest.param("os.close(1); os.close(2)", "", "ok", id="descriptors"),
        pytest.param("os.close(1); print(1)", "", "error", id="print into nothing"),
        pytest.param("os.closerange(3, 256); print(1)\ndisplay(2)", "1\n", "ok", id="closerange"),
        pytest.param("os.closerange(3, 4096); display(2)", "2\n", "error", id="everything closed"),
        pytest.param(
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as f: print(1)\nprint(f.getvalue() * 2)",
            "1\n1\n\n",
            "ok",
            id="redirect",
        ),
        pytest.param(
            "saved = os.dup(1); os.dup2(os.open(os.devnull, 1), 1); print(1); os.dup2(saved, 1); print(2)",
            "2\n",
            "ok",
            id="dup2",
        ),
        pytest.param(
            "class F:\n  def flush(self): raise SystemExit(5)\n  def write(self, t): pass\nsys.stdout = F()",
            "",
            "ok",
            id="flush raises",
        ),
        pytest.param(
            "sys.stdout.reconfigure(encoding='latin-1', errors='replace'); print('\u20ac')", "?\n", "ok", id="reconfigured"
        ),
        pytest.param(
            "r, w = os.pipe(); f = os.fdopen(w, 'w'); os.set_blocking(w, True); f.write('x')\nprint(3)",
            "3\n",
            "ok",
            id="pipe",
        ),
        pytest.param("class D:\n  def __del__(s): print('gone')\nx = D(); display(1); del x", "gone\n", "ok", id="finalizer"),
        pytest.param(
            "import logging as l; l.basicConfig(level=10, stream=sys.stdout); l.info('x')",
            "INFO:root:x\n",
            "ok",
            id="log",
        ),
    ],
)
def test_streams_are_the_cells_own(code: str, out: str, outcome: str, tmp_path: Path) -> None:
    """A cell may do to its streams and descriptors what it likes: it ends, and is told how."""
    said = run(tmp_path, "import os, sys\n" + code)
    assert (said.out, said.finished.outcome) == (out, outcome)


def test_threads(tmp_path: Path) -> None:
    """Threads that print at once lose nothing."""
    said = run(
        tmp_path,
        "import threading, sys\n"
        "def work(n):\n    for i in range(200): print(n, i, sep='.'); print(n, i, sep='.', file=sys.stderr)\n"
        "all = [threading.Thread(target=work, args=(n,)) for n in range(4)]\n"
        "[t.start() for t in all]; [t.join() for t in all]\ndisplay('end');",
    )
    for words in (said.out, said.err):
        assert sorted(words.split()) == sorted(f"{n}.{i}" for n in range(4) for i in range(200))
    assert said.words[-1] == "d:'end'"


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    """Processes of multiprocessing are heard; they run functions of a module the cell wrote."""
    code = (
        "open('work.py', 'w').write('def f(x):\\n    print(x, flush=True)\\n    return x * x')\n"
        "import multiprocessing, work, warnings\nwarnings.simplefilter('ignore')\n"
        f"with multiprocessing.get_context({method!r}).Pool(1) as pool: print(pool.map(work.f, [3]))"
    )
    said = run(tmp_path, code)
    assert sorted(said.out.split()) == ["3", "[9]"], said
    assert said.finished.outcome == "ok"


@pytest.mark.parametrize("leave", ["", "os.setsid()", "os.setsid(); os.closerange(0, 1024)"])
def test_process_that_stays_does_not_hold_up_the_end(leave: str, tmp_path: Path) -> None:
    """A process that outlives the cell and keeps the pipes open does not delay Finished."""
    code = f"import os, time, signal\npid = os.fork()\nif not pid:\n    {leave or 'pass'}\n    signal.pause()\nprint(pid)"
    with Guest(tmp_path) as guest:
        guest.deliver(code)
        said = guest.rest()
        assert said.finished.outcome == "ok" and said.finished.wall_s < 5
        pid = int(said.out)
        if leave:
            os.kill(pid, 9)
    # What is in the cell's group goes with it; init, which takes the rest along, is missing here.
    _wait_gone(pid)


def _wait_gone(pid: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return
        except OSError:
            return
    raise AssertionError(f"process {pid} is still there")


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (
            "class A:\n  def __repr__(s): return 'A'\n  def _repr_html_(s): return '<b>'\nA()",
            {"text/plain": "A", "text/html": "<b>"},
        ),
        (
            "class A:\n  def __repr__(s): return 'A'\n  def _repr_png_(s): return b'\\x89'\nA()",
            {"text/plain": "A", "image/png": "iQ=="},
        ),
        ("class A:\n  def __repr__(s): return 'A'\n  def _repr_html_(s): 1 / 0\nA()", {"text/plain": "A"}),
        (
            "class A:\n  def __repr__(s): return 'A'\n  def _repr_html_(s): return '\\ud800'\nA()",
            {"text/plain": "A", "text/html": "\\ud800"},
        ),
        (
            "class A:\n __repr__ = lambda s: 'A'\n def _repr_mimebundle_(s, **k): return {'a': {1}, 3: 4,'c/d': 'x'}, 5\nA()",
            {"text/plain": "A", "c/d": "x"},
        ),
        ("class A:\n  def __repr__(s): return 'A'\n  def _repr_json_(s): return float('nan')\nA()", {"text/plain": "A"}),
        ("class A:\n  def _repr_html_(s): return 'x'\nA", {"text/plain": "<class '__main__.A'>"}),
        ("'\\ud800'", {"text/plain": "'\\ud800'"}),
    ],
)
def test_forms_of_a_value(code: str, shown: dict[str, str], tmp_path: Path) -> None:
    """A value is shown in all its forms; a form that is broken is left out."""
    said = run(tmp_path, code)
    assert [event.data for event in said.of(wire.Result)] == [shown]
    assert ("raised ZeroDivisionError" in said.err) == ("1 / 0" in code)


@pytest.mark.parametrize("code", ["'x' * 100_000_000", "raise ValueError('x' * 100_000_000)"])
def test_huge_value_is_cut(code: str, tmp_path: Path) -> None:
    """What is too long to read is cut in the middle and says so."""
    said = run(tmp_path, code)
    told = said.shown[0] if said.shown else said.error.value
    assert len(told) < text.MOST_CHARACTERS + 100 and "characters left out" in told


def test_huge_form_is_not_sent(tmp_path: Path) -> None:
    """A form that no event can hold is replaced by a sentence, and the cell goes on."""
    code = "class A:\n  def __repr__(s): return 'A'\n  def _repr_html_(s): return 'x' * 20_000_000\ndisplay(A())\nprint(1)"
    said = run(tmp_path, code)
    assert "too much to show" in said.shown[0] and said.out == "1\n"


def test_display_handle(tmp_path: Path) -> None:
    """A display can be replaced by its handle."""
    said = run(tmp_path, "h = display(1, display_id=True)\nh.update(2)\ndisplay(3, display_id=4)")
    first, second, third = said.of(wire.Display)
    assert first.display_id and (first.display_id, second.update) == (second.display_id, True)
    assert third.display_id == "4" and [not first.update, not third.update] == [True, True]


def test_signal_handler_that_raises(tmp_path: Path) -> None:
    """An exception out of a signal handler, at any moment of a conversation with the keeper, does not garble it."""
    code = (
        "import signal, sys, itertools\nclass Tick(Exception): pass\n"
        "def tick(*_): raise Tick\nsignal.signal(signal.SIGALRM, tick)\n"
        "for n in range(200):\n    try:\n        signal.setitimer(signal.ITIMER_REAL, 0.0002 + n / 1e6)\n"
        "        for i in itertools.count():\n            print(i); print(i, file=sys.stderr); display('x' * 5000)\n"
        "    except Tick: pass\n'end'"
    )
    said = run(tmp_path, code)
    assert said.of(wire.Result)[0].data == {"text/plain": "'end'"} and said.finished.outcome == "ok"


def test_what_is_read_and_not_passed_on_is_not_overtaken(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that the keeper empties in the moment in which it is looked at still holds back what would go through memory."""
    shared = burst.Burst()
    shared.open(1)
    turns = streams.Turns(lambda: None, shared)
    assert turns._may_put(1)

    def has_just_been_read(fd: int) -> bool:
        shared.begin_reading()
        return False

    monkeypatch.setattr(turns, "_holds_something", has_just_been_read)
    assert not turns._may_put(1)


def test_what_waits_in_a_pipe_is_seen() -> None:
    """Whether a pipe holds something is asked with the number that termios has for it."""
    assert streams._fionread() == termios.FIONREAD
    shared = burst.Burst()
    read, write = os.pipe()
    try:
        turns = streams.Turns(lambda: None, shared)
        turns._pipes[write] = os.fstat(write).st_ino
        assert not turns._holds_something(write)
        os.write(write, b"x" * 300)
        assert turns._holds_something(write)
        os.read(read, 300)
        assert not turns._holds_something(write)
    finally:
        os.close(read)
        os.close(write)

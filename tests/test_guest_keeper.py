"""The keeper: its mailbox, its limits, the files, and a cell that turns against it."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import subprocess
import types
from pathlib import Path

import psutil
import pytest
from guests import Guest, Said, run

from sandbox_kernel.guest import mailbox, wire
from sandbox_kernel.guest.course import Course


def _wait_gone(processes: list[psutil.Process]) -> None:
    assert psutil.wait_procs(processes, timeout=20)[1] == []


# -- mailbox


def test_garbage_in_the_mailbox(tmp_path: Path) -> None:
    """What is no message is passed over, and of two cells the first is run."""
    with Guest(tmp_path) as guest:
        for line in (b"", b"\xff\0", b"[]", b'["cell", {}]', b'["finished", {"outcome": "ok"}]', b"[" * 100_000):
            guest.write(line)
        guest.deliver("open('gate').read() if False else print(1)")
        guest.deliver("print(2)", number=2)
        said = guest.rest()
        assert said.out == "1\n" and said.finished.outcome == "ok" and guest.complaint() == ""
        assert guest.said.of(wire.Started) == [wire.Started(1)]


@pytest.mark.parametrize("code", [None, "import os; print(os.getpid()); os.system('sleep 1000')"])
def test_end_of_stdin(code: str | None, tmp_path: Path) -> None:
    """When the host is gone the guest goes at once, with all its processes, and says nothing more."""
    with Guest(tmp_path) as guest:
        guest.until(lambda said: said.of(wire.Ready))
        if code:
            guest.deliver(code)
            guest.until(lambda said: said.out)
        left = guest.descendants()
        assert left
        guest.process.stdin.close()
        assert not guest.rest().of(wire.Finished)
        assert guest.status == 0
        _wait_gone(left)


def test_how_often_a_mailbox_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Often while somebody works, seldom in a sandbox that has waited for long; a message makes it often again."""
    clock = [100.0]
    monkeypatch.setattr(mailbox.time, "monotonic", lambda: clock[0])
    box = mailbox.DirectoryMailbox(str(tmp_path))
    pauses = []
    for clock[0] in (100.0, 102.9, 103.0, 129.9, 130.0, 4000.0):
        pauses.append(box.wait_s)
    assert pauses == [0.01, 0.01, 0.02, 0.02, 0.05, 0.05]
    (tmp_path / "0.json").write_bytes(b"x")
    assert box.take() == [b"x"]
    assert box.wait_s == 0.01


def test_directory_mailbox(tmp_path: Path) -> None:
    """A message that appears in the directory later is taken, after others that are none."""
    box = tmp_path / "box"
    with Guest(tmp_path, mailbox=str(box)) as guest:
        guest.until(lambda said: said.of(wire.Ready))
        box.mkdir()
        for name, data in (("0.json", b"no"), ("1.json", wire.dump(wire.Cell(5, "6 * 7")))):
            (box / "part").write_bytes(data)
            (box / "part").rename(box / name)
        said = guest.rest()
        assert said.shown == ["42"] and guest.said.of(wire.Started) == [wire.Started(5)]


@pytest.mark.parametrize("size", [0, 3_000_000])
def test_a_cell_that_lay_there_before_the_guest(tmp_path: Path, size: int) -> None:
    """It is taken when the guest is ready, and its time begins then, however long it is."""
    (tmp_path / "0.json").write_bytes(wire.dump(wire.Cell(5, "6 * 7 #" + size * "x")))
    with Guest(tmp_path, mailbox=str(tmp_path)) as guest:
        assert guest.rest().shown == ["42"]
    assert [type(event) for event in guest.said[:2]] == [wire.Ready, wire.Started]


def test_a_cell_that_lay_there_before_a_state_that_cannot_be_loaded(tmp_path: Path) -> None:
    """It is not begun: whoever would begin it has not the state that it needs."""
    (tmp_path / "0.json").write_bytes(wire.dump(wire.Cell(5, "6 * 7")))
    carry = {"head": ["0" * 64, 1], "anew": False, "session": "a", "folder": str(tmp_path), "out": "wire", "cap_bytes": None}
    settings = {**carry, "advice": "", "save_s": 60.0, "dropped": []}
    with Guest(tmp_path, mailbox=str(tmp_path), carry=settings) as guest:
        guest.rest()
    assert guest.said.of(wire.Unloadable) and not guest.said.of(wire.Ready) and not guest.said.of(wire.Started)


def test_idle(tmp_path: Path) -> None:
    """Without a cell the guest leaves after its time."""
    with Guest(tmp_path, idle_s=0.05) as guest:
        assert guest.rest() == [] and guest.status == 0


def test_heartbeat(tmp_path: Path) -> None:
    """A quiet cell is heard to live."""
    with Guest(tmp_path, heartbeat_s=0.02) as guest:
        guest.deliver("import signal; signal.pause()")
        guest.until(lambda said: len(said.of(wire.Heartbeat)) > 3)
        assert guest.said.of(wire.Started)


# -- files

FILES = r"""
import os
os.makedirs('a/b'); os.makedirs('.hidden'); os.makedirs('__pycache__')
for name, data in {'a/b/c': 'deep', '.hidden/x': 'x', '.dot': 'x', '__pycache__/x': 'x', 'large': 'x' * 2000,
                   'new\nline': 'n', os.fsdecode(b'\xff'): 's', 'empty': ''}.items():
    with open(name, 'w') as file: file.write(data)
os.symlink('a', 'folder'); os.symlink('large', 'link'); os.mkfifo('fifo')
os.symlink('/etc/passwd', 'out')
"""


def _collected(said: Said) -> dict[str, bytes | None]:
    return {file.name: None if file.content is None else base64.b64decode(file.content) for file in said.of(wire.File)}


def test_files_of_all_kinds(tmp_path: Path) -> None:
    """New files come back whatever their names; links, FIFOs and hidden ones do not, and a large one has no content."""
    said = run(tmp_path, FILES, files={"same": "QQ=="}, collect_bytes=1000)
    expected = {"a/b/c": b"deep", "large": None, "new\nline": b"n", "\\udcff": b"s", "empty": b""}
    assert _collected(said) == expected
    assert {file.name: file.size for file in said.of(wire.File)}["large"] == 2000


def test_no_files_are_looked_at(tmp_path: Path) -> None:
    """Without a limit for them files do not come back."""
    assert run(tmp_path, "open('a', 'w').write('a')").of(wire.File) == []


def test_very_many_and_very_deep_files(tmp_path: Path) -> None:
    """No number or depth of files holds up the end."""
    many = "for i in range(1500): open('f%d' % i, 'w').close()\n"
    deep = "import os\nfor i in range(1200): os.mkdir('d'); os.chdir('d')\n"
    try:
        said = run(tmp_path, many + deep, collect_bytes=100)
    finally:
        # pytest's own way of removing it recurses.
        subprocess.run(["rm", "-rf", tmp_path / "home"], check=True)
    assert said.finished.outcome == "ok" and len(said.of(wire.File)) <= 1000


@pytest.mark.parametrize("files", [{"a": "QQ==", "a/b": "QQ=="}, {"a": "Q"}, {"a\0": ""}])
def test_input_that_cannot_be_written(files: dict[str, str], tmp_path: Path) -> None:
    """An input file that cannot be written ends the cell before it runs, with the reason."""
    said = run(tmp_path, "print(1)", files=files)
    assert said.out == "" and said.finished.outcome == "error"
    assert "input file" in (said.finished.reason or "")


# -- limits


def test_limits_are_the_cells(tmp_path: Path) -> None:
    """The limits hold in the cell's process and its children, not in the keeper."""
    limits = {"NPROC": 12345, "NOFILE": 700, "FSIZE": 1 << 20, "CORE": 0}
    code = f"import resource, os\nprint([resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in {list(limits)}])\n"
    code += "print(open('/proc/%d/limits' % os.getppid()).read())\nopen('x', 'wb').write(bytes(2 << 20))"
    said = run(tmp_path, code, settings={"rlimits": limits})
    own, _, keepers = said.out.partition("\n")
    assert own == str([(limit, limit) for limit in limits.values()])
    assert re.search(r"Max file size +unlimited", keepers) and not re.search(r"Max open files +700 ", keepers)
    assert said.error.name == "OSError" and "too large" in said.error.value


def test_limit_that_cannot_be_set(tmp_path: Path) -> None:
    """A cell's process that cannot start is no success: the guest complains and fails."""
    with Guest(tmp_path, rlimits={"NOFILE": "many"}) as guest:
        assert guest.rest() == [] and guest.status != 0
        assert "while there was no cell" in guest.complaint()


def test_memory_error(tmp_path: Path) -> None:
    """A MemoryError is an error like others."""
    code = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))\nx = bytearray(1 << 30)"
    said = run(tmp_path, code)
    assert said.error.name == "MemoryError" and "bytearray(1 << 30)" in said.error.traceback[-2] + said.error.traceback[-3]


def test_out_of_memory(tmp_path: Path) -> None:
    """A kill of a process that used nearly all the memory is told as such."""
    code = "import os\nx = bytearray(80 << 20)\nx[::4096] = b'x' * (len(x) // 4096)\nos.kill(os.getpid(), 9)"
    said = run(tmp_path, code, settings={"memory_mib": 90})
    assert (said.finished.outcome, said.finished.exit_status) == ("out_of_memory", 137)
    assert "was ended by SIGKILL when it held" in str(said.finished.reason)


@pytest.mark.parametrize(
    ("code", "name"), [("import ctypes; ctypes.string_at(0)", "SIGSEGV"), ("import os; os.abort()", "SIGABRT")]
)
def test_a_crash(tmp_path: Path, code: str, name: str) -> None:
    """A crash is told by its signal, and its dump says where it was; it is no lack of memory."""
    said = run(tmp_path, "x = 1\n" + code, settings={"memory_mib": 2048})
    assert (said.finished.outcome, said.finished.reason) == ("error", "the cell's Python process was ended by " + name)
    assert "Fatal Python error" in said.err and "line 2 in <module>" in said.err


def test_a_crash_beside_files_of_the_users(tmp_path: Path) -> None:
    """What tells of it takes nothing from the working directory: that would run in the keeper."""
    said = run(
        tmp_path,
        "import os\nos.kill(os.getpid(), 9)",
        files={
            f"{name}.py": base64.b64encode(b"open('ran', 'w')").decode()
            for name in ("signal", "traceback", "re", "json", "enum")
        },
    )
    assert said.finished.reason == "the cell's Python process was ended by SIGKILL"
    assert not list(tmp_path.glob("**/ran"))


@pytest.mark.parametrize("number", signal.Signals)
def test_each_signal_has_its_name(number: signal.Signals) -> None:
    """As Python calls it, of those with two names too."""
    finished = Course(wire.Cell(1, "")).died(number, types.SimpleNamespace(ru_maxrss=1, ru_utime=1, ru_stime=1), None)
    assert finished.reason == f"the cell's Python process was ended by {number.name}"


@pytest.mark.parametrize(("percent", "outcome"), [(99, "out_of_memory"), (84, "error"), (10, "error")])
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS])
def test_a_crash_of_a_large_process(number: int, percent: int, outcome: str) -> None:
    """At the limit a crash is likely the memory's; below it is a crash, and how much was held is told where it is much."""
    usage = types.SimpleNamespace(ru_maxrss=percent << 10, ru_utime=1, ru_stime=1)
    finished = Course(wire.Cell(1, "")).died(number, usage, 100 << 10)
    assert finished.outcome == outcome
    held = f" when it held {percent} MiB" if percent > 50 else ""
    assert finished.reason == f"the cell's Python process was ended by {signal.Signals(number).name}{held}"


def test_killed_child_is_the_cells_business(tmp_path: Path) -> None:
    """A child that dies does not end the cell."""
    said = run(tmp_path, "import subprocess\nprint(subprocess.run(['sh', '-c', 'kill -9 $$']).returncode)")
    assert said.out == "-9\n" and said.finished.outcome == "ok"


# -- hostile cells

SOCKETS = r"""
import os, socket, struct
def sockets():
    for fd in map(int, os.listdir('/proc/self/fd')):
        try:
            if 'socket' in os.readlink('/proc/self/fd/%d' % fd): yield socket.socket(fileno=os.dup(fd))
        except OSError: pass
def message(line, event=b''):
    return struct.pack('!I', len(line + event) + 1) + line + b'\n' + event
def write(data):
    sent = 0
    for sock in list(sockets()):
        try: sent += sock.send(data, socket.MSG_DONTWAIT)
        except OSError: pass
        sock.detach()
    return sent
"""


@pytest.mark.parametrize(
    "data",
    [
        "b'x' * 10000",
        "bytes(4) * 100",
        "message(b'[]')",
        "message(b'null')",
        "message(b'[1, [2]]')",
        "message(b'[1]')",
        "message(b'[1, \"done\"]')",
        'message(b\'[1, "done", "x", []]\')',
        "message(b'[1, \"event\"]') * 1000",
        "message(b'[[], \"event\"]', b'{}') * 1000",
        "message(b'[' * 60000)",
        "bytes([255]) * 1000",
    ],
)
def test_garbage_in_the_conversation(data: str, tmp_path: Path) -> None:
    """A cell that writes into its process's own conversation harms nothing but itself, and is still told to have ended."""
    said = run(tmp_path, SOCKETS + f"assert write({data})\nprint(1)\ndisplay(2)", timeout_s=10)
    assert said.finished.outcome == "error" or (said.shown, said.finished.outcome) == (["2"], "ok")
    assert said.out.startswith("1\n")


def test_forged_events(tmp_path: Path) -> None:
    """A cell cannot have the keeper say what only the keeper says."""
    forged = [wire.dump(event) for event in (wire.Finished("ok"), wire.Ready("", ""), wire.File("x", 0, None))]
    code = SOCKETS + f"for event in {forged}: write(message(b'[1, \"event\"]', event))\nraise ValueError"
    said = run(tmp_path, code, timeout_s=10)
    assert said.finished.outcome == "error" and said.error.name == "ValueError" and said.of(wire.File) == []


def test_flood_that_reads_no_answers(tmp_path: Path) -> None:
    """A cell that talks and does not listen cannot hold up the keeper."""
    code = SOCKETS + "for i in range(20000):\n    if not write(message(b'[1, \"settle\"]')): break\nprint(1)"
    said = run(tmp_path, code, timeout_s=20)
    assert said.finished.outcome == "error" and said.out == "1\n"


def test_forged_frames(tmp_path: Path) -> None:
    """Frames that a cell writes onto the wire are its own end, or noise: the host still decodes what comes."""
    code = "import os\nfor fd in os.listdir('/proc/%d/fd' % os.getppid()):\n"
    code += "    try: open('/proc/%d/fd/%s' % (os.getppid(), fd), 'wb', buffering=0).write(b'sk1 5 . []\\nrubbish\\n')\n"
    code += "    except OSError: pass\nprint(1)"
    with Guest(tmp_path) as guest:
        guest.deliver(code, timeout_s=10)
        said = guest.rest()
        assert isinstance(said[-1], wire.Finished) or guest.status == 0  # Its own stdin may be hit as well.


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM])
def test_cell_that_attacks_its_parent(number: int, tmp_path: Path) -> None:
    """SIGTERM is not for the keeper. Without a keeper nobody says Finished: the host sees the end, or its timer ends it."""
    with Guest(tmp_path) as guest:
        guest.deliver(f"import os\nprint(1)\nos.kill(os.getppid(), {int(number)})\nprint(2)")
        if number == signal.SIGSTOP:
            # gVisor lets its process 1 be stopped, too.
            assert os.WIFSTOPPED(os.waitpid(guest.process.pid, os.WUNTRACED)[1])
            os.kill(guest.process.pid, signal.SIGCONT)
            assert guest.rest().finished.outcome == "ok"
        elif number == signal.SIGTERM:
            assert guest.rest().finished.outcome == "ok"
        else:
            assert not guest.rest().of(wire.Finished)
            assert guest.status == -number


# -- a lasting keeper: gVisor saves the sandbox between its cells


def _cells(guest: Guest, *codes: str) -> list[Said]:
    """Run cells one after another and return what each said."""
    said, begin = [], 0
    for number, code in enumerate(codes, 1):
        guest.deliver(code, number=number)
        guest.until(lambda all_, number=number: len(all_.of(wire.Finished)) == number)
        said.append(Said(guest.said[begin:]))
        begin = len(guest.said)
    return said


def test_lasting_cells_share_a_process(tmp_path: Path) -> None:
    """One cell after the other runs in one process, each with its own name, output and trailer that says that it lives."""
    with Guest(tmp_path, lasting=True) as guest:
        first, second, third = _cells(guest, "import os; x = os.getpid(); print(1)", "1/0", "print(x == os.getpid()); _")
        assert (first.out, first.finished.outcome, first.finished.lives) == ("1\n", "ok", True)
        assert (second.error.name, second.finished.outcome, second.finished.lives) == ("ZeroDivisionError", "error", True)
        assert third.error.name == "NameError" and third.out == "True\n"
        assert guest.said.of(wire.Started) == [wire.Started(1), wire.Started(2), wire.Started(3)]
        assert guest.process.poll() is None and len(guest.said.of(wire.Ready)) == 1


def test_a_lasting_cells_limits_are_its_own(tmp_path: Path) -> None:
    """Output that one cell has cut off, and an error that was told, do not count for the next."""
    with Guest(tmp_path, lasting=True) as guest:
        guest.deliver("print('x' * 10_000); raise ValueError", output_bytes=1000)
        guest.until(lambda said: said.of(wire.Finished))
        assert len(guest.said.of(wire.Truncated)) == 1
        guest.deliver("print('y' * 500); raise KeyError", number=2, output_bytes=1000)
        guest.until(lambda said: len(said.of(wire.Finished)) == 2)
        assert "y" * 500 in guest.said.out and len(guest.said.of(wire.Truncated)) == 1
        assert [error.name for error in guest.said.of(wire.Error)] == ["ValueError", "KeyError"]


THREAD = """
import threading
go = threading.Event()
def speak():
    go.wait()
    print('from a thread'); display('shown')
threading.Thread(target=speak).start()
"""


def test_output_between_two_cells_is_passed_on(tmp_path: Path) -> None:
    """What a thread of an earlier cell prints and shows while no cell runs comes as it comes, in order."""
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, THREAD, "import os, signal\nsignal.signal(signal.SIGUSR1, lambda *_: go.set())\nprint(os.getpid())")
        os.kill(int(guest.said.out), signal.SIGUSR1)
        guest.until(lambda said: "'shown'" in said.shown)
        assert guest.said.out.endswith("from a thread\n")
        assert [type(event) for event in guest.said[-3:]][-1] is wire.Display
        guest.deliver("print('next')", number=3)
        assert guest.until(lambda said: len(said.of(wire.Finished)) == 3).out.endswith("from a thread\nnext\n")


@pytest.mark.parametrize(("code", "status"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", 137)])
def test_a_lasting_process_that_dies_in_a_cell(code: str, status: int, tmp_path: Path) -> None:
    """The cell is told to have died and not to live, and the guest ends: there is nothing to save."""
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, "import os; x = 1", code)
        said = guest.rest()
        assert said[-1] == wire.Finished("error", status, said[-1].wall_s, said[-1].cpu_s, said[-1].reason)
        assert guest.status == status and guest.complaint() == ""


def test_a_lasting_cell_that_times_out(tmp_path: Path) -> None:
    """A cell over its time ends its process, and what earlier cells started in it."""
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, "import subprocess; child = subprocess.Popen(['sleep', '1000'])")
        left = guest.descendants()
        guest.deliver("while True: pass", number=2, timeout_s=0.1)
        said = guest.rest()
        assert (said[-1].outcome, said[-1].lives) == ("timeout", False)
        _wait_gone(left)


def test_a_process_that_dies_between_two_cells(tmp_path: Path) -> None:
    """Between two cells there is no cell to blame: the guest ends without a trailer, and a host that waits sees the end."""
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, "import os; print(os.getpid())")
        os.kill(int(guest.said.out), signal.SIGKILL)
        said = guest.rest()
        assert len(said.of(wire.Finished)) == 1 and guest.status != 0
        assert "ended while there was no cell" in guest.complaint()


def test_a_lasting_guest_tells_what_it_holds(tmp_path: Path) -> None:
    """Asked between two cells the guest names what the cells made, with type and size, and no more."""
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, "import os\nx = bytes(10_000)\n_hidden = 1\nclass A: __sizeof__ = None\na = A()\ndef f(): pass")
        guest.write(wire.dump(wire.Ask()))
        [names] = guest.until(lambda said: said.of(wire.Names)).of(wire.Names)
        kinds = {name: kind for name, kind, _ in names.names}
        assert kinds == {"x": "bytes", "A": "type", "a": "A", "f": "function"}
        assert {name: size for name, _, size in names.names}["x"] >= 10_000


def test_a_lasting_guest_is_woken(tmp_path: Path) -> None:
    """After a restore the guest says Ready again; in a new life what nobody seeded is seeded again, else nothing is."""
    code = "import random; state = random.getstate(); random.Random(1)"
    with Guest(tmp_path, lasting=True) as guest:
        _cells(guest, code)
        for number, anew in enumerate((False, True), 2):
            guest.write(wire.dump(wire.Wake("abc", anew)))
            guest.until(lambda said, number=number: len(said.of(wire.Ready)) == number)
            guest.deliver("print(state == random.getstate())", number=number)
            guest.until(lambda said, number=number: len(said.of(wire.Finished)) == number)
        assert guest.said.out == "True\nFalse\n" and guest.said.err == ""


# -- a keeper whose cell carries its state out


def _carry(folder: Path, **settings: object) -> dict[str, object]:
    """Return the settings of a guest that carries its state into a directory."""
    (folder / "parts").mkdir(exist_ok=True)
    carry = {
        "head": None,
        "anew": False,
        "session": "abc",
        "folder": str(folder / "parts"),
        "out": str(folder / "parts"),
        "cap_bytes": None,
        "advice": "",
        "save_s": 20.0,
        "dropped": [],
    }
    return {"carry": {**carry, **settings}}


def _carried(folder: Path, code: str, status: int = 0, **settings: object) -> Said:
    """Run one cell of a guest that carries its state, to its end."""
    with Guest(folder, **_carry(folder, **settings)) as guest:
        guest.deliver(code)
        said = guest.rest()
        assert guest.complaint() == "" and guest.status == status
        return said


def test_the_state_is_carried_out_after_the_cell(tmp_path: Path) -> None:
    """After the trailer come the names, and then all parts that are needed; the next guest has what this one had."""
    said = _carried(tmp_path, "x = 6; sock = __import__('socket').socket(); print('made')")
    assert [type(event) for event in said] == [wire.Stream, wire.Finished, wire.Names, wire.Saved]
    assert said[1].lives
    [names], [saved] = said.of(wire.Names), said.of(wire.Saved)
    assert ["x", "int"] in [row[:2] for row in names.names]
    assert [name for name, _ in saved.lost] == ["sock"]
    assert {digest for digest, _ in saved.parts} == {path.name for path in (tmp_path / "parts").iterdir()}
    again = _carried(tmp_path, "x * 7", head=saved.parts[0])
    assert again.shown == ["42"]


def test_the_state_is_carried_over_the_wire(tmp_path: Path) -> None:
    """Where there is no directory to write to the parts come as events, each whole and with its digest."""
    said = _carried(tmp_path, "x = bytes(range(256)) * 20_000; import os; y = os.urandom(4_000_000)", out="wire")
    [saved] = said.of(wire.Saved)
    data: dict[str, bytes] = {}
    for part in said.of(wire.Part):
        assert part.offset == len(data.get(part.digest, b""))
        data[part.digest] = data.get(part.digest, b"") + base64.b64decode(part.data)
    assert {digest: len(content) for digest, content in data.items()} == dict(map(tuple, saved.parts))
    assert all(hashlib.sha256(content).hexdigest() == digest for digest, content in data.items())
    assert isinstance(said[-1], wire.Saved) and not any(
        isinstance(event, wire.Part) for event in said[: said.index(said.of(wire.Finished)[0])]
    )


def test_a_cell_that_fails_has_a_state(tmp_path: Path) -> None:
    """What a cell made before its error is there in the next."""
    said = _carried(tmp_path, "x = 1\n1/0", status=1)
    [saved] = said.of(wire.Saved)
    assert _carried(tmp_path, "x", head=saved.parts[0]).shown == ["1"]


def test_a_state_that_cannot_be_loaded(tmp_path: Path) -> None:
    """A head that is not there is said to be no state, and no cell runs."""
    with Guest(tmp_path, **_carry(tmp_path, head=["ab" * 32, 100])) as guest:
        guest.deliver("print(1)")
        said = guest.rest()
        assert len(said.of(wire.Unloadable)) == 1 and not said.out
        assert not guest.said.of(wire.Ready)


LAST_WORDS = """
class Last:
    def __reduce__(self):
        import os, time
        %s
x = Last()
"""


def test_a_process_that_dies_while_it_carries(tmp_path: Path) -> None:
    """The cell has ended well; its state has not been carried, and why is said."""
    said = _carried(tmp_path, LAST_WORDS % "os._exit(7)")
    assert said.of(wire.Finished)[0].outcome == "ok"
    assert said[-1] == wire.NotSaved("the cell ended its own Python process with exit status 7")


def test_a_state_that_takes_too_long(tmp_path: Path) -> None:
    """Carrying has its own time; who takes longer is ended."""
    said = _carried(tmp_path, LAST_WORDS % "time.sleep(1000)", save_s=0.2)
    assert said[-1] == wire.NotSaved("it took longer than 0.2 s")


def test_a_cell_that_died_has_no_state(tmp_path: Path) -> None:
    """Nothing is carried from a process that is gone."""
    said = _carried(tmp_path, "import os; os._exit(3)", status=3)
    assert not said.finished.lives and not said.of(wire.Saved) and not said.of(wire.NotSaved)


def test_parts_that_a_cell_forges(tmp_path: Path) -> None:
    """A cell cannot say that its state is saved: while it runs such words are not passed on."""
    forged = [
        wire.dump(event) for event in (wire.Saved([["ab" * 32, 1]]), wire.Part("ab" * 32, 1, 0, "YQ=="), wire.NotSaved(""))
    ]
    code = SOCKETS + f"for event in {forged}: write(message(b'[1, \"event\"]', event))"
    with Guest(tmp_path, **_carry(tmp_path)) as guest:
        guest.deliver(code, timeout_s=10)
        said = guest.rest()
    before = said[: said.index(said.of(wire.Finished)[0])]
    assert not any(isinstance(event, (wire.Saved, wire.Part, wire.NotSaved)) for event in before)
    assert wire.Saved([["ab" * 32, 1]]) not in said

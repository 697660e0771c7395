"""The keeper: its mailbox, its limits, the files, and a cell that turns against it."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from guests import Guest, Said, run

from sandbox_kernel.guest import wire


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
        assert "before there was a cell" in guest.complaint()


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

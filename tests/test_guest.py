"""The guest under every Python it supports: order, results, errors, await, ``__main__``, limits, the end."""

from __future__ import annotations

import base64
import sys
import textwrap
from pathlib import Path

import pytest
from guests import Guest, pythons, run

from sandbox_kernel.guest import wire

PYTHONS = pythons()
THIS = "{}.{}".format(*sys.version_info[:2])
#: The oldest, ours and the newest: between them nothing that matters here came and went again.
EDGES = sorted({0, list(PYTHONS).index(THIS), len(PYTHONS) - 1})


@pytest.fixture(params=[list(PYTHONS)[index] for index in EDGES])
def python(request: pytest.FixtureRequest) -> str:
    """One interpreter after the other."""
    return PYTHONS[request.param]


@pytest.mark.parametrize("version", PYTHONS)
def test_each_python(version: str, tmp_path: Path) -> None:
    """Every Python that this machine has can run the guest; Ready tells its version."""
    with Guest(tmp_path, PYTHONS[version]) as guest:
        code = "import asyncio, sys\nprint(1)\nprint(2, file=sys.stderr)\nawait asyncio.sleep(0)\n"
        guest.deliver(code + "'%d.%d' % sys.version_info[:2]")
        said = guest.rest()
        assert said.words == ["o:1", "e:2", f"r:'{version}'"] and said.finished.outcome == "ok"
        [ready] = guest.said.of(wire.Ready)
        assert ready.python.startswith(version + ".") and ready.system


def test_several_pythons() -> None:
    """This machine can show that the guest runs on other Pythons than the host's."""
    if len(PYTHONS) == 1:
        pytest.skip("only one Python from 3.9 on here: install another (pyenv) to test the guest on it")


#: What a cell does, and what is heard of it, in order.
ORDER = {
    "print": ("print(1); print(2, file=sys.stderr); print(3)", ["o:1", "e:2", "o:3"]),
    "many": (
        "for i in range(50): print(i, file=sys.stderr if i % 3 else sys.stdout)",
        [f"{'e' if i % 3 else 'o'}:{i}" for i in range(50)],
    ),
    "fd": (
        r"print(1); os.write(2, b'2\n'); print(3); os.write(1, b'4\n'); print(5, file=sys.stderr); os.write(1, b'6\n');",
        ["o:1", "e:2", "o:3", "o:4", "e:5", "o:6"],
    ),
    "shell": (
        "print(1); os.system('echo 2; echo 3 >&2'); print(4, file=sys.stderr); os.system('echo 5'); print(6)",
        ["o:1", "o:2", "e:3", "e:4", "o:5", "o:6"],
    ),
    "subprocess": (
        "from subprocess import run; print(1); run(['echo', '2']); run(['echo', '3'], stdout=sys.stderr); print(4)",
        ["o:1", "o:2", "e:3", "o:4"],
    ),
    "libc": (
        "import ctypes; libc = ctypes.CDLL(None); print(1); libc.puts(b'2'); libc.fflush(None); print(3, file=sys.stderr)",
        ["o:1", "o:2", "e:3"],
    ),
    "display": (
        "print(1); display(2); print(3, file=sys.stderr); display(4); print(5); 6",
        ["o:1", "d:2", "e:3", "d:4", "o:5", "r:6"],
    ),
    "fork": (
        """print(1)
pid = os.fork()
if not pid:
    for i in range(2, 8): print(i, file=sys.stderr if i % 2 else sys.stdout)
    os._exit(0)
os.waitpid(pid, 0); print(8)""",
        ["o:1", "o:2", "e:3", "o:4", "e:5", "o:6", "e:7", "o:8"],
    ),
    "fork falls through": (
        "print(1)\npid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1])\nelse: print(2)\ndisplay(3)",
        ["o:1", "o:2", "o:3", "o:0", "d:3"],
    ),
    "fork raises": ("pid = os.fork()\nif pid: print(os.waitpid(pid, 0)[1])\nelse: 1 / 0", None),
    "processes that print": (
        """for word in "ab":
    if not os.fork():
        for i in range(300): print(word, word, word)
        os._exit(0)
for word in "ab": os.wait()""",
        None,
    ),
    "error last": ("print(1); 1 / 0", ["o:1", "x:ZeroDivisionError"]),
}


@pytest.mark.parametrize("name", ORDER)
def test_order(python: str, name: str, tmp_path: Path) -> None:
    """What a cell says arrives in the order in which it was said, whoever says it."""
    code, expected = ORDER[name]
    said = run(tmp_path, "import os, sys\n" + code, python)
    assert said.finished.outcome == ("error" if name == "error last" else "ok")
    if name == "processes that print":
        assert sorted(said.words) == ["o:a a a"] * 300 + ["o:b b b"] * 300
    elif expected is None:
        assert said.out == "256\n" and "ZeroDivisionError" in said.err and not said.of(wire.Error)
    else:
        assert said.words == expected


#: What a cell ends in, and the text of its result.
RESULTS = {
    "1 + 1": ["2"],
    "1 + 1;": [],
    "1 + 1  ;  # not this\n\n": [],
    "'a;'": ["'a;'"],
    "None": [],
    "x = 1": [],
    "x = 1; x": ["1"],
    "if True:\n    5": [],
    "class A: pass\nA.__name__": ["'A'"],
    "": [],
    "# nothing": [],
    "await __import__('asyncio').sleep(0, 7)": ["7"],
    "import asyncio\nasync def f(): return 8\nasyncio.run(f())": ["8"],
    "async def g():\n    yield 1\n    yield 2\n[i async for i in g()]": ["[1, 2]"],
    "import asyncio, contextlib\n@contextlib.asynccontextmanager\nasync def c():\n    yield 3\n"
    "async with c() as x:\n    y = x\ny": ["3"],
    "import asyncio\nt = asyncio.ensure_future(asyncio.sleep(0, 4))\nawait t": ["4"],
    "import asyncio\nt = asyncio.create_task(asyncio.sleep(0, 4))\nt.done()": ["False"],
    "import asyncio\nasync def f(): await asyncio.sleep(1000)\nt = asyncio.ensure_future(f())\nawait asyncio.sleep(0)\n9": [
        "9"
    ],
    "import pickle\nclass A: x = 1\npickle.loads(pickle.dumps(A())).x": ["1"],
    "__name__, '__file__' in globals(), __import__('sys').argv, __import__('sys').path[0]": ["('__main__', False, [''], '')"],
    "import sys\nvars() is globals() is sys.modules['__main__'].__dict__": ["True"],
    "import sys\n[p for p in sys.path if 'guest' in p or 'opt' in p]": ["[]"],
    "import inspect\ndef f():\n    return 'me'\ninspect.getsource(f)": ["\"def f():\\n    return 'me'\\n\""],
    "open('wire.py', 'w').write('x = 1')\nopen('cell.py', 'w').write('x = 2')\nimport wire, cell\nwire.x, cell.x": ["(1, 2)"],
    "import os, sys\nsys.stdin.read(), sys.stdin.isatty(), os.isatty(1)": ["('', False, False)"],
    "import sys\nsys.stdout.name, sys.stdout.encoding, sys.stdout.fileno(), sys.stderr.fileno()": [
        "('<stdout>', 'utf-8', 1, 2)"
    ],
    "print(1, 2, sep=None, end='', file=(f := __import__('io').StringIO()), flush=True)\nf.getvalue()": ["'1 2'"],
    "import pickle\npickle.loads(pickle.dumps(print)) is print, print.__name__, print.__module__": [
        "(True, 'print', 'builtins')"
    ],
    "import threading\nlen(threading.enumerate())": ["1"],
    "import signal\nsignal.getsignal(signal.SIGCHLD) == signal.SIG_DFL": ["True"],
}


@pytest.mark.parametrize("code", RESULTS)
def test_result(python: str, code: str, tmp_path: Path) -> None:
    """The value of the last expression is shown, and the cell's ``__main__`` is that of a notebook."""
    said = run(tmp_path, code, python)
    assert said.of(wire.Error) == []
    assert [event.data["text/plain"] for event in said.of(wire.Result)] == RESULTS[code]
    assert (said.out, said.err) == ("", "")
    assert said.finished.outcome == "ok" and said.finished.exit_status == 0


TRACEBACK = """
def f(x):
    return 1 / x

try:
    f(0)
except ZeroDivisionError as error:
    raise KeyError("outer") from error
"""


def test_traceback(python: str, tmp_path: Path) -> None:
    """A traceback names the cell, shows its lines and causes, and nothing of the guest or the event loop."""
    for code in (TRACEBACK, "async def g():\n" + textwrap.indent(TRACEBACK, "    ") + "\nawait g()"):
        said = run(tmp_path, code, python, name="<cell 7>")
        text = "\n".join(said.error.traceback)
        assert said.error.name == "KeyError" and said.error.value == "'outer'"
        assert 'File "<cell 7>", line' in text and "return 1 / x" in text and "ZeroDivisionError: division by zero" in text
        assert "direct cause" in text and "_sandbox_guest" not in text and "asyncio" not in text
        assert said.finished.exit_status == 1


@pytest.mark.parametrize("imported", [False, True])
def test_a_traceback_beside_files_of_the_users(python: str, imported: bool, tmp_path: Path) -> None:
    """Files named as modules of Python, imported or not, are not taken for what a traceback needs."""
    names = ("token", "tokenize", "linecache", "traceback", "enum", "re", "textwrap")
    files = {f"{name}.py": base64.b64encode(b"mine = 5").decode() for name in names}
    code = "import token, linecache, traceback; assert token.mine == traceback.mine == 5" if imported else "pass"
    # Python 3.9 does not know the names of its modules, and takes theirs.
    said = run(
        tmp_path,
        f"import sys\nif hasattr(sys, 'stdlib_module_names'):\n    {code}\ndef f():\n    return 1 / 0\nf()",
        python,
        files=files,
    )
    assert said.error.name == "ZeroDivisionError"
    assert "return 1 / 0" in "\n".join(said.error.traceback)


def test_the_source_of_a_cell_is_found(python: str, tmp_path: Path) -> None:
    """Whoever imports linecache finds the cell's lines there, and getpass asks as input does."""
    code = "import inspect\ndef f():\n    return 7\nprint(inspect.getsource(f), end='')\nimport getpass\ngetpass.getpass()"
    said = run(tmp_path, code, python)
    assert said.out == "def f():\n    return 7\n"
    assert (said.error.name, said.error.value) == ("EOFError", "nobody can answer: there is no input here")


@pytest.mark.parametrize(
    ("code", "name", "told"),
    [
        pytest.param("x = (1,\n", "SyntaxError", 'File "<cell>", line 1', id="syntax"),
        pytest.param("if 1:\nx", "IndentationError", 'File "<cell>", line 2', id="indentation"),
        pytest.param("def f(): f()\nf()", "RecursionError", "def f(): f()", id="recursion"),
        pytest.param("raise KeyboardInterrupt", "KeyboardInterrupt", "raise KeyboardInterrupt", id="interrupt"),
        pytest.param("raise GeneratorExit", "GeneratorExit", "raise GeneratorExit", id="generator"),
        pytest.param("raise 5", "TypeError", "raise 5", id="no exception"),
        pytest.param("raise ValueError('\\ud800')", "ValueError", "ValueError: \\ud800", id="surrogate"),
        pytest.param("class E(Exception):\n  def __str__(s): raise SystemExit\nraise E", "E", "E", id="broken str"),
        pytest.param(
            "class A:\n  def __repr__(s): raise OSError('r')\nA()", "OSError", "raise OSError('r')", id="broken repr"
        ),
        pytest.param("class A:\n  def __repr__(s): return 5\nA()", "TypeError", "__repr__", id="rubbish repr"),
        pytest.param("a\0b", ("SyntaxError", "ValueError"), "null bytes", id="nul"),
        pytest.param("input('? ')", "EOFError", "nobody can answer", id="input"),
        pytest.param("print(1, sep=5)", "TypeError", "sep must be None or a string, not int", id="print"),
        pytest.param("print(1, to=5)", "TypeError", "print(1, to=5)", id="print to"),
        pytest.param("class A:\n  def __str__(s): return 5\nprint(A())", "TypeError", "print(A())", id="print of broken"),
        pytest.param("breakpoint()\n1", ("BdbQuit", "SystemExit"), "quit", id="breakpoint"),
        pytest.param("exec('1 +')", "SyntaxError", "exec('1 +')", id="nested syntax"),
        pytest.param("import json\njson.loads('{')", "JSONDecodeError", "json.loads('{')", id="library"),
        pytest.param("# \x0c\u2028 form feed\n1/0", "ZeroDivisionError", "1/0", id="odd lines"),
    ],
)
def test_error(python: str, code: str, name: str, told: str, tmp_path: Path) -> None:
    """Whatever a cell raises is told by name, with the place in the cell."""
    said = run(tmp_path, code, python)
    assert said.error.name in name
    assert told in "\n".join(said.error.traceback)
    assert "_sandbox_guest" not in "\n".join(said.error.traceback)
    assert (said.finished.outcome, said.finished.exit_status) == ("error", 1)


@pytest.mark.parametrize(
    ("code", "outcome", "status"),
    [
        ("import sys; sys.exit()", "ok", 0),
        ("import sys; sys.exit(0)", "ok", 0),
        ("import sys; sys.exit(False)", "ok", 0),
        ("import sys; sys.exit(3)", "error", 3),
        ("import sys; sys.exit(True)", "error", 1),
        ("import sys; sys.exit('text')", "error", 1),
        ("import sys; sys.exit(-1)", "error", 255),
        ("import sys; sys.exit(256)", "error", 1),
        ("import sys; sys.exit(2**70)", "error", 1),
        ("import os; print(1); os._exit(0)", "error", 1),
        ("import os; print(1); os._exit(9)", "error", 9),
        ("import os; print(1); os.abort()", "error", 134),
        ("import os; print(1); os.kill(os.getpid(), 9)", "error", 137),
        ("import ctypes; print(1); ctypes.string_at(0)", "error", 139),
    ],
)
def test_end(python: str, code: str, outcome: str, status: int, tmp_path: Path) -> None:
    """However a cell ends its process, what it said before is kept and the outcome tells how it ended."""
    said = run(tmp_path, code, python, settings={"rlimits": {"CORE": 0}})
    assert (said.finished.outcome, said.finished.exit_status) == (outcome, status)
    assert said.out == ("1\n" if "print" in code else "")
    # Either an exception told it, or the reason does.
    assert outcome == "ok" or bool(said.of(wire.Error)) != bool(said.finished.reason)


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("while True: pass", id="python"),
        pytest.param("import time; time.sleep(1000)", id="sleep"),
        pytest.param("import os; os.system('sleep 1000')", id="child"),
        pytest.param(
            "import signal\nfor s in (signal.SIGTERM, signal.SIGINT): signal.signal(s, signal.SIG_IGN)\nsignal.pause()",
            id="deaf",
        ),
        pytest.param("while True: print('more' * 1000)", id="flood"),
        pytest.param("import os\nos.kill(os.getpid(), 19)", id="stopped"),
    ],
)
def test_timeout(python: str, code: str, tmp_path: Path) -> None:
    """A cell that goes on is ended at its time, whatever it does, and what it said is kept."""
    said = run(tmp_path, "print('begun', end='')\n" + code, python, timeout_s=0.1, output_bytes=100_000)
    assert said.out.startswith("begun")
    assert (said.finished.outcome, said.finished.exit_status) == ("timeout", 124)
    assert said.finished.wall_s < 2


def test_files(python: str, tmp_path: Path) -> None:
    """Input files are there before the cell; new and changed ones come back, flushed by their owner or not."""
    code = "x = open('in/a').read(); open('in/a', 'w').write('B'); open('c', 'w').write(x); f = open('d', 'w'); f.write('d')"
    said = run(tmp_path, code, python, files={"in/a": "QQ==", "b": "Yg=="}, collect_bytes=100)
    assert {file.name: file.content for file in said.of(wire.File)} == {"in/a": "Qg==", "c": "QQ==", "d": "ZA=="}


def test_warning_is_told_once(python: str, tmp_path: Path) -> None:
    """A warning says the cell and the line, once."""
    said = run(tmp_path, "import warnings\nfor i in range(2):\n    warnings.warn('mind')\nx = 1 is 1\n", python)
    assert said.err.count("UserWarning: mind") == 1 and "<cell>:3: " in said.err and "warnings.warn('mind')" in said.err
    assert said.err.count("SyntaxWarning") == 1 and "<cell>:4: " in said.err


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (
            "raise ExceptionGroup('many', [ValueError(1), TypeError(2)])",
            ["many (2 sub-exceptions)", "ValueError: 1", "TypeError: 2"],
        ),
        ("e = ValueError('x')\ne.add_note('mind this')\nraise e", ["ValueError: x", "mind this"]),
    ],
)
def test_errors_of_newer_pythons(code: str, told: list[str], tmp_path: Path) -> None:
    """Groups of exceptions and notes are told whole."""
    newest = list(PYTHONS)[-1]
    if int(newest.split(".")[1]) < 11:
        pytest.skip(f"Python {newest} has neither groups nor notes")
    said = run(tmp_path, code, PYTHONS[newest])
    assert all(words in "\n".join(said.error.traceback) for words in told)


OUT = "import socket\nno_name = socket.gaierror(socket.EAI_NONAME, 'Name or service not known')\n"


@pytest.mark.parametrize(
    ("code", "hinted"),
    [
        ("raise no_name", True),
        ("try:\n    raise no_name\nexcept OSError as error:\n    raise ValueError('wrapped') from error", True),
        ("try:\n    raise no_name\nexcept OSError:\n    1 / 0", True),
        ("try:\n    raise no_name\nexcept OSError:\n    raise ValueError('another') from None", False),
        ("raise socket.gaierror(socket.EAI_SERVICE, 'wrong use')", False),
        ("raise OSError(101, 'Network is unreachable')", True),
        ("raise OSError(-2, 'no name')", False),
        ("raise ConnectionRefusedError(111, 'refused')", False),
        ("error = ValueError()\nerror.__cause__ = error\nraise error", False),
        ("class Odd(OSError):\n    errno = property(lambda self: 1 / 0)\nraise Odd", False),
    ],
)
def test_where_there_is_no_network_it_is_said(code: str, hinted: bool, tmp_path: Path) -> None:
    """An error that comes of a name or a way that is not there ends in the host's sentence, where the host has one."""
    for settings in ({"offline": "There is none."}, {}):
        [error] = run(tmp_path, OUT + code, settings=settings).of(wire.Error)
        assert (error.traceback[-1] == "There is none.") == (hinted and bool(settings))
        assert error.name in error.traceback[-1 - (hinted and bool(settings))]

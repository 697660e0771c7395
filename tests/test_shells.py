"""Cells of notebooks in both shells: what is heard of them, and what is there in the next one."""

from __future__ import annotations

import base64
import os
import re
import sys
from pathlib import Path

import pytest
from guests import Guest, pythons
from shells import SHELLS, carry_cells, environment, run_cells, words

from sandbox_kernel.guest import errors, notebook_words, source, wire

Cells = list[tuple[str, list[str]]]


def plain(text: str) -> str:
    """Return text without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


GOES_ON = notebook_words._HOW_TO_LEAVE
LEFT = f"e:[sandbox: this cell has ended and nothing else; {GOES_ON}]"
#: Cells of one notebook each, and what is heard of each cell, in order: see ``shells.words``.
NOTEBOOKS: dict[str, Cells] = {
    "results": [
        ("5", ["r:5"]),
        ("'a'", ["r:'a'"]),
        ("_, __, _1, Out[2]", ["r:('a', 5, 5, 'a')"]),
        ("In[1], _i1, _i, Out[9] if 9 in Out else 'none'", ["r:('5', '5', '_, __, _1, Out[2]', 'none')"]),
        ("7;", []),
        ("7  ;  # quiet", []),
        ("None", []),
        ("_ = 'mine'", []),
        ("8", ["r:8"]),
        ("_", ["r:'mine'"]),
        ("_9", ["r:8"]),
    ],
    "long values": [
        ("list(range(40))", ["r:[0,\n " + ",\n ".join(map(str, range(1, 40))) + "]"]),
        ("{'a' * 30: 'b' * 30, 'c' * 30: 1}", [f"r:{{'{'a' * 30}': '{'b' * 30}',\n '{'c' * 30}': 1}}"]),
    ],
    "displays": [
        ("print(1); display(2, 3); print(4); 5", ["o:1", "d:2", "d:3", "o:4", "r:5"]),
        ("h = display(1, display_id='x'); h.update(2)", ["d:1", "d:2"]),
    ],
    "errors": [
        ("print(1)\n1/0\nprint(2)", ["o:1", "x:ZeroDivisionError"]),
        ("x = (1,", ["x:SyntaxError"]),
        ("raise KeyboardInterrupt", ["x:KeyboardInterrupt"]),
        ("import sys; sys.exit(3)", ["x:SystemExit"]),
        ("import sys; sys.exit(0)", ["x:SystemExit"]),
        ("class E(Exception):\n  def __str__(self): raise SystemExit\nraise E", ["x:E"]),
        ("class A:\n  def __repr__(self): 1/0\nA()", ["x:ZeroDivisionError"]),
        ("%nothing_like_it", ["x:UsageError"]),
        ("%%nothing_like_it\n1", ["x:UsageError"]),
        ("%cd /not/there", None),  # type: ignore[list-item] # IPython says it on stderr
    ],
    "leaving": [
        ("x = 1\nexit()\nx = 2", [LEFT]),
        ("quit(0)", [LEFT]),
        ("%time exit()", None),  # type: ignore[list-item] # and the time
        ("exit", ["r:Nothing has ended; " + GOES_ON]),
        ("quit", ["r:Nothing has ended; " + GOES_ON]),
        ("exit(3)", ["x:SystemExit"]),
        ("exit('why')", ["x:SystemExit"]),
        ("try: exit()\nexcept SystemExit as error: print('caught', error.code)", ["o:caught None"]),
        ("import sys; x, sys.stdin.closed", ["r:(1, False)"]),
    ],
    "the session's commands": [
        ("x = 1\n%sandbox undo", ["x:UsageError"]),
        ("%%sandbox undo\nx = 2", ["x:UsageError"]),
        ("%%time\n%sandbox undo", None),  # type: ignore[list-item] # and the time
        ("x", ["r:1"]),
    ],
    "await": [
        ("import asyncio\nawait asyncio.sleep(0, 3)", ["r:3"]),
        ("async def f(): return 4", []),
        ("print(await f())", ["o:4"]),
        ("asyncio.run(f())", ["r:4"]),
        ("t = asyncio.create_task(f())\nt.done()", ["r:False"]),
        ("await t", ["r:4"]),
        (
            "if True:\n    u = [asyncio.ensure_future(f()) for _ in 'ab']\nlen(u), asyncio.get_running_loop().is_running()",
            ["r:(2, True)"],
        ),
        ("await asyncio.gather(*u)", ["r:[4, 4]"]),
        ("async def main():\n    return await asyncio.create_task(f())\nasyncio.run(main())", ["r:4"]),
        ("def g():\n    return asyncio.get_running_loop()\ng()", ["x:RuntimeError"]),
        ("await asyncio.sleep(0)\ng().is_running()", ["r:True"]),
        ("await asyncio.sleep(0)\n1/0", ["x:ZeroDivisionError"]),
    ],
    "magics": [
        ("%%bash\necho a; echo b >&2", None),  # type: ignore[list-item] # two streams
        ("%%writefile a.txt\nhello\n", ["o:Writing a.txt"]),
        ("%%writefile -a a.txt\nworld\n", ["o:Appending to a.txt"]),
        ("open('a.txt').read()", ["r:'hello\\nworld\\n'"]),
        ("%%capture c\nprint(1); display(2)", []),
        ("c.stdout, len(c.outputs)", ["r:('1\\n', 1)"]),
        ("%env SHELLS_TEST=1", ["o:env: SHELLS_TEST=1"]),
        ("%env SHELLS_TEST", ["r:'1'"]),
        ("x = !echo $SHELLS_TEST\nx", ["r:['1']"]),
        ("y = 2\n!echo {y + 1} $y", ["o:3 2\r"]),
        ("%cd /tmp", ["o:/tmp"]),
        ("%pwd", ["r:'/tmp'"]),
        ("%who", ["o:c\t x\t y\t "]),
        ("%who_ls", ["r:['c', 'x', 'y']"]),
        ("a = %who_ls str\na", ["r:[]"]),
        ("for i in range(2):\n    %env SHELLS_TEST={i}", ["o:env: SHELLS_TEST=0", "o:env: SHELLS_TEST=1"]),
        ("%matplotlib inline", []),
        ("s = '''\n%not a magic\n!nor a command\n'''\nlen(s)", ["r:29"]),
        ("get_ipython().run_line_magic('pwd', '')", ["r:'/tmp'"]),
    ],
    "figures": [
        ("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()", ["d:<Figure size 640x480 with 1 Axes>"]),
        ("fig", ["r:<Figure size 640x480 with 1 Axes>"]),
        ("_ = plt.plot([1, 2])\nplt.show()", ["d:<Figure size 640x480 with 1 Axes>"]),
        ("plt.plot([1]);", ["d:<Figure size 640x480 with 1 Axes>"]),
        ("plt.plot([1])\n1/0", ["x:ZeroDivisionError", "d:<Figure size 640x480 with 1 Axes>"]),
        ("%matplotlib inline\n_ = plt.plot([1])", ["d:<Figure size 640x480 with 1 Axes>"]),
        ("1", ["r:1"]),
    ],
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook(name: str, shell: str, tmp_path: Path) -> None:
    """Both shells say the same of the same cells."""
    cells = NOTEBOOKS[name]
    for (code, expected), said in zip(cells, run_cells(shell, tmp_path, [code for code, _ in cells]), strict=True):
        assert expected is None or words(said) == expected, code
        assert said.finished.outcome == ("error" if said.of(wire.Error) else "ok"), code
        assert len(said.of(wire.Error)) <= 1


@pytest.mark.parametrize("shell", SHELLS)
def test_an_exit_is_told_as_in_ipykernel(shell: str, tmp_path: Path) -> None:
    """An exit says one line and no traceback, which %tb then shows; %tb itself fails no cell."""
    exits = {"sys.exit(3)": ": 3", "sys.exit()": "", "raise SystemExit('no')": ": no", "exit(2)": ": 2"}
    cells = [cell for code in exits for cell in (f"import sys\ndef f():\n    {code}\nf()", "%tb")]
    said = run_cells(shell, tmp_path, cells)
    for exited, shown, value in zip(said[::2], said[1::2], exits.values(), strict=True):
        assert plain("\n".join(exited.error.traceback)).rstrip() == f"{errors.EXIT_HEADING}\nSystemExit{value}"
        assert exited.finished.outcome == "error"
        assert "in f" in plain(shown.err) and "_sandbox_guest" not in shown.err and shown.finished.outcome == "ok"


@pytest.mark.parametrize("shell", SHELLS)
def test_the_traceback_of_an_exit_is_carried(shell: str, tmp_path: Path) -> None:
    """What %tb shows is there in a sandbox that the state was carried to, after an exit and after any error."""
    said = carry_cells([shell] * 4, tmp_path, ["def f():\n    exit(3)\nf()", "%tb", "1/0", "%tb"])
    assert "in f" in plain(said[1].err) and "1/0" in plain(said[3].err)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_to_the_session_among_code_says_where_it_goes(shell: str, tmp_path: Path) -> None:
    """Who writes %sandbox among code reads that it stands at the top, and of the help that there is."""
    for said in run_cells(shell, tmp_path, ["x = 1\n%sandbox undo", "%%sandbox\nundo"]):
        assert [plain(line) for line in said.error.traceback] == ["UsageError: " + notebook_words.AT_THE_TOP]


@pytest.mark.parametrize("shell", SHELLS)
def test_figures_are_pictures(shell: str, tmp_path: Path) -> None:
    """A figure is shown as PNG, also as a value and in a later cell."""
    cells = ["from matplotlib.figure import Figure\nf = Figure(); f.add_subplot()\ndisplay(f)", "f"]
    for said in run_cells(shell, tmp_path, cells):
        [shown] = [event for event in said if isinstance(event, (wire.Display, wire.Result))]
        assert base64.b64decode(shown.data["image/png"]).startswith(b"\x89PNG")


@pytest.mark.parametrize("shell", SHELLS)
def test_representations(shell: str, tmp_path: Path) -> None:
    """A value is shown in all forms that it has."""
    code = "class A:\n  def _repr_html_(self): return '<b>a</b>'\n  def _repr_latex_(self): return '$a$'\nA()"
    [shown] = run_cells(shell, tmp_path, [code])[0].of(wire.Result)
    assert shown.data["text/html"] == "<b>a</b>" and shown.data["text/latex"] == "$a$" and "text/plain" in shown.data


@pytest.mark.parametrize("shell", SHELLS)
def test_tracebacks_name_cells(shell: str, tmp_path: Path) -> None:
    """A traceback names each cell by its number and shows its line; what failed to compile is called as ipykernel does."""
    cells = ["def f():\n    return 1 / 0", "f()", "x = = 1", "def g(:\n  pass"]
    said = run_cells(shell, tmp_path, cells)
    told = "\n".join(said[1].error.traceback)
    for escape in ("\x1b[36m", "\x1b[32m", "\x1b[39m", "\x1b[31m", "\x1b[34m"):
        told = told.replace(escape, "")
    assert "Cell In[2]" in told and "Cell In[1]" in told and "return" in told
    assert ("\x1b[" in "\n".join(said[1].error.traceback)) == (shell == "ipython")
    assert "_sandbox_guest" not in told and "hidden" not in told
    assert said[2].error.value == f"invalid syntax ({os.path.basename(source.file_name(cells[2]))}, line 1)"
    assert "In[3]" in said[2].error.traceback[0].replace("\x1b[32m", "").replace("\x1b[36m", "")


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("code", ["f?", "?f", "f??", "%pinfo f"])
def test_pages(shell: str, code: str, tmp_path: Path) -> None:
    """A question mark shows a text beside the notebook: the signature and what the docstring says, or the source."""
    if code == "%pinfo f" and shell == "plain":
        code = "?f"
    _, said = run_cells(shell, tmp_path, ["def f(a, b=1):\n    'says what f does'\n    return a", code])
    [page] = said.of(wire.Page)
    assert list(page.data) == ["text/plain"] and "says what f does" in page.data["text/plain"]
    assert said.out == "" and said.finished.outcome == "ok"


@pytest.mark.parametrize("shell", SHELLS)
def test_time(shell: str, tmp_path: Path) -> None:
    """Times are told in IPython's words, and the value is that of the statement."""
    said = run_cells(shell, tmp_path, ["%time 1 + 1", "%%time\nx = 3\nx", "%timeit -n 2 -r 1 pass", "%%timeit -n1 -r2\n1"])
    for each in said[:2]:
        assert each.out.startswith("CPU times: user ") and "\nWall time: " in each.out
    assert [event.data["text/plain"] for each in said for event in each.of(wire.Result)] == ["2", "3"]
    assert " per loop (mean ± std. dev. of 1 run, 2 loops each)\n" in said[2].out
    assert " per loop (mean ± std. dev. of 2 runs, 1 loop each)\n" in said[3].out


@pytest.mark.parametrize("shell", SHELLS)
def test_expressions(shell: str, tmp_path: Path) -> None:
    """Expressions are evaluated after a cell that went well; one that fails says so and harms nobody."""
    asked = {"good": "x + 1", "bad": "nothing_like_it", "long": "'x' * 30_000_000"}
    good, bad = run_cells(shell, tmp_path, ["x = 1", "1/0"], expressions=asked)
    [answer] = good.of(wire.Expressions)
    assert answer.values["good"] == {"status": "ok", "data": {"text/plain": "2"}, "metadata": {}}
    assert {key: answer.values["bad"][key] for key in ("status", "ename")} == {"status": "error", "ename": "NameError"}
    assert isinstance(answer.values["bad"]["traceback"], list)
    assert len(str(answer.values["long"])) < 500_000
    assert good.finished.outcome == "ok" and not bad.of(wire.Expressions)


@pytest.mark.parametrize("shell", SHELLS)
def test_silent_and_without_history(shell: str, tmp_path: Path) -> None:
    """A silent cell shows no value; one without history shows it, and goes into none; both change the variables."""
    cells = ["x = 1; x", "x + 1", "In[-1] if len(In) > 1 else 'none'"]
    silent = run_cells(shell, tmp_path / "a", cells, silent=True) if (tmp_path / "a").mkdir() is None else []
    assert [words(said) for said in silent] == [[], [], []]
    (tmp_path / "b").mkdir()
    kept = run_cells(shell, tmp_path / "b", cells, store_history=False)
    assert [said.shown for said in kept] == [["1"], ["2"], ["'none'"]]


#: The notebook's shell before and after, and what the user has added to it.
REHEARSED = """
import linecache
ip, heard = get_ipython(), []
for event in ("pre_execute", "post_execute", "pre_run_cell", "post_run_cell"):
    ip.events.register(event, lambda *_: heard.append(1))
"""
STATE = """
def state():
    places = (linecache.cache, ip.compile._filename_map, ip.owner.cells.numbers, ip.user_ns)
    return [set(place) for place in places], ip.last_execution_result, ip.events, len(In), ip.execution_count, list(heard)
before = None
before = state()
ip.owner.rehearse()
state() == before, len(heard)
"""
#: Ways in which users get between a cell and its end.
BETWEEN = {
    "ast": "ip.ast_transformers.append(types.SimpleNamespace(visit=lambda tree: (heard.append('mine'), tree)[1]))",
    "cleanup": "ip.input_transformers_cleanup.append(lambda lines: (heard.append('mine'), lines)[1])",
    "post": "ip.input_transformers_post.append(lambda lines: (heard.append('mine'), lines)[1])",
    "method": "their = ip.run_ast_nodes\nip.run_ast_nodes = lambda *a, **k: (heard.append('mine'), their(*a, **k))[1]",
}


def test_a_rehearsal_leaves_nothing(tmp_path: Path) -> None:
    """Who waits goes the way of a cell once: nobody hears of it, and the shell remembers nothing of it."""
    *_, said = run_cells("ipython", tmp_path, [REHEARSED, STATE])
    assert words(said) == ["r:(True, 4)"]  # Of the two cells alone.


@pytest.mark.parametrize("way", BETWEEN)
def test_nothing_of_the_users_is_rehearsed(way: str, tmp_path: Path) -> None:
    """Where the user's code would run with each cell it runs with cells alone."""
    cells = [REHEARSED, "import types\n" + BETWEEN[way], "heard.clear(); ip.owner.rehearse(); 'mine' in heard"]
    *_, said = run_cells("ipython", tmp_path, cells)
    assert words(said) == ["r:False"]


@pytest.mark.parametrize("shell", SHELLS)
def test_programs_write_as_they_go(shell: str, tmp_path: Path) -> None:
    """A command has a terminal: its two outputs come in one order."""
    [said] = run_cells(shell, tmp_path, ["!echo 1; echo 2 >&2; echo 3; test -t 1 && echo terminal"])
    assert said.out.split() == ["1", "2", "3", "terminal"] and said.err == ""


#: Cells that need what earlier ones left, each in a process of its own, and what is heard.
CARRIED: dict[str, Cells] = {
    "history": [
        ("5", ["r:5"]),
        ("_ + 1", ["r:6"]),
        ("_, __, _1, Out[2], In[1], _i2, _i", ["r:(6, 5, 5, 6, '5', '_ + 1', '_ + 1')"]),
        ("def f():\n    return 1 / 0", []),
        ("f()", ["x:ZeroDivisionError"]),
        ("%who", ["o:f\t "]),
        ("sorted(Out), len(In)", ["r:([1, 2, 3], 8)"]),
        ("Out.clear(); _ = 'mine'", []),
        ("9", ["r:9"]),
        ("_", ["r:'mine'"]),
    ],
    "lost": [
        ("(i for i in range(3))", None),  # type: ignore[list-item] # with its address
        ("1", ["r:1"]),
        ("x = 3\nOut[2], x", ["r:(1, 3)"]),
    ],
    "displays": [
        ("h = display(1, display_id=True)", ["d:1"]),
        ("h.update(2)", ["d:2"]),
        ("h.display_id == '' or h.update(3)", ["d:3"]),
    ],
    "figures": [
        (
            "%matplotlib inline\nimport matplotlib.pyplot as plt\nf, ax = plt.subplots()",
            ["d:<Figure size 640x480 with 1 Axes>"],
        ),
        ("f", ["r:<Figure size 640x480 with 1 Axes>"]),
        ("_ = plt.plot([1])", ["d:<Figure size 640x480 with 1 Axes>"]),
    ],
}


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", CARRIED)
def test_a_carried_notebook(name: str, shell: str, tmp_path: Path) -> None:
    """What a shell keeps is there in the next process, and no name of the shell's is carried as a variable."""
    cells = CARRIED[name]
    said = carry_cells([shell] * len(cells), tmp_path, [code for code, _ in cells])
    for (code, expected), each in zip(cells, said, strict=True):
        heard = words(each)
        assert expected is None or heard == expected, (code, each)
        [names], [saved] = each.of(wire.Names), each.of(wire.Saved)
        assert not {row[0] for row in names.names} & {"In", "Out", "get_ipython", "exit", "quit", "open"}
        assert {row[0] for row in saved.lost} <= {"Out[1]"}
    assert [path.name for path in (tmp_path / "home").iterdir()] in ([], [".cache"], [".config"])
    if name == "history":
        told = "\n".join(said[4].error.traceback)
        assert "return" in told and "In[4]" in told and "In[5]" in told
    if name == "figures":
        assert all("image/png" in event.data for each in said for event in each if hasattr(event, "data"))
    if name == "lost":
        assert [row[0] for row in said[0].of(wire.Saved)[0].lost] == ["Out[1]"]


def test_settings_of_ipython_are_carried(tmp_path: Path) -> None:
    """What %config set and %load_ext loaded is there in the next process."""
    cells = [
        "%config InteractiveShell.ast_node_interactivity = 'all'\n%config InlineBackend.figure_format = 'svg'",
        "%load_ext autoreload\n1\n2",
        "%autoreload 0\nsorted(get_ipython().extension_manager.loaded)",
        "import matplotlib.pyplot as plt\nplt.plot([1]);",
    ]
    said = carry_cells(["ipython"] * 4, tmp_path, cells)
    assert [event.data["text/plain"] for event in said[1].of(wire.Result)] == ["1", "2"]
    assert said[2].shown == ["['IPython.extensions.autoreload']"] or said[2].shown == ["['autoreload']"]
    assert "image/svg+xml" in said[3].of(wire.Display)[-1].data


def test_a_session_may_change_its_shell(tmp_path: Path) -> None:
    """A state that one shell left is one that the other goes on from."""
    cells = ["1", "_ + 1", "_ + Out[1], In[1:3]", "_1, _2"]
    said = carry_cells(["plain", "ipython", "plain", "ipython"], tmp_path, cells)
    assert [each.shown for each in said] == [["1"], ["2"], ["(3, ['1', '_ + 1'])"], ["(1, 2)"]]


def test_results_go_before_variables(tmp_path: Path) -> None:
    """Where not all fits, a result is left out before a variable."""
    parts = tmp_path / "parts"
    parts.mkdir()
    carry = {"head": None, "anew": False, "session": "abc", "folder": str(parts), "out": str(parts), "save_s": 20.0}
    settings = {"carry": {**carry, "cap_bytes": 900_000, "advice": "Buy more.", "dropped": []}}
    with Guest(tmp_path, env=environment("plain", tmp_path), **settings) as guest:
        guest.deliver("x = b'x' * 600_000\nb'y' * 400_000", notebook=True, count=1)
        [saved] = guest.rest().of(wire.Saved)
    assert [name for name, _ in saved.lost] == ["Out[1]"]


OTHERS = {version: path for version, path in pythons().items() if path != sys.executable}


@pytest.mark.parametrize("name", ["results", "long values", "displays", "errors", "await", "magics"])
@pytest.mark.parametrize("version", sorted({*list(OTHERS)[:1], *list(OTHERS)[-1:]}))
def test_other_pythons(version: str, name: str, tmp_path: Path) -> None:
    """The shell of the standard library is the same under the oldest and the newest Python."""
    cells = [cell for cell in NOTEBOOKS[name] if "import matplotlib" not in cell[0]]
    for (code, expected), said in zip(
        cells, run_cells("plain", tmp_path, [c for c, _ in cells], OTHERS[version]), strict=True
    ):
        assert expected is None or words(said) == expected, code


@pytest.mark.parametrize("shell", SHELLS)
def test_packages_that_are_not_fetched_are_explained(shell: str, tmp_path: Path) -> None:
    """After a pip that could not install the host's sentence is said, once, however pip was called; else it is not."""
    cells = ["%pip install ./not-there", "!pip install ./not-there", "!pip --version", "!true pip install", "!false"]
    settings = {"offline": "There is none."}
    said = [each.out + each.err for each in run_cells(shell, tmp_path, cells, settings=settings)]
    assert [text.count("There is none.") for text in said] == [1, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("code", "wants"),
    [
        ("t = asyncio.create_task(f())", True),
        ("x = 1\nwith a as b:\n    t = [tg.create_task(f()) for f in fs]", True),
        ("print(ensure_future(f()))", True),
        ("asyncio.gather(f())", True),
        ("loop = get_running_loop()", True),
        ("torch.gather(x, 1)\nclient.gather(y)\nshield()", False),
        ("def f():\n    return asyncio.create_task(g())", False),
        ("class A:\n    t = asyncio.create_task(g())", False),
        ("f = lambda: asyncio.create_task(g())", False),
        ("async def main():\n    asyncio.create_task(f())\nasyncio.run(main())", False),
        ("t = loop.create_task(f())\nloop.run_until_complete(t)", False),
        ("asyncio.run(f())\nasyncio.create_task(f())", False),
        ("subprocess.run([])\nasyncio.create_task(f())", True),
        ("'create_task'", False),
        ("create_task = 1", False),
        ("create_task(", False),
        ("(" * 5000 + "create_task()", False),
    ],
)
def test_which_cells_run_in_the_loop(code: str, wants: bool) -> None:
    """A cell that itself calls what needs a running loop runs in one; not where a function does, or where it starts one."""
    assert source.wants_loop(code) is wants

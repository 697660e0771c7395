"""Magics in the text of a cell, where there is no IPython."""

from __future__ import annotations

import ast

import pytest

from sandbox_kernel.guest import programs, transform

LINE = "get_ipython().run_line_magic"

CHANGED = {
    "%time 1+1": f"{LINE}('time', '1+1')",
    "%pwd": f"{LINE}('pwd', '')",
    "x = %pwd": f"x = {LINE}('pwd', '')",
    "x = !ls -l": "x = get_ipython().getoutput('ls -l')",
    "a, b = !ls": "a, b = get_ipython().getoutput('ls')",
    "d['k'] = !ls": "d['k'] = get_ipython().getoutput('ls')",
    "!!ls": "get_ipython().getoutput('ls')",
    "for i in a:\n    !echo {i}\n    print(i)": "for i in a:\n    get_ipython().system('echo {i}')\n    print(i)",
    "s = '''\n%not\n'''\n%pwd": f"s = '''\n%not\n'''\n{LINE}('pwd', '')",
    "a = [1,\n%2]\n!x": "a = [1,\n%2]\nget_ipython().system('x')",
    "print('(')  # ( [\n%pwd": f"print('(')  # ( [\n{LINE}('pwd', '')",
    "!ls \\\n  -l\ny = 1": "get_ipython().system('ls    -l')\n\ny = 1",
    '!echo "it\'s" (\nx = 1': "get_ipython().system('echo \"it\\'s\" (')\nx = 1",
    "print?": f"{LINE}('pinfo', 'print')",
    "?print": f"{LINE}('pinfo', 'print')",
    "a.b??": f"{LINE}('pinfo2', 'a.b')",
    "%%bash -x\necho 1": "get_ipython().run_cell_magic('bash', '-x', 'echo 1\\n')\n",
    "\n\n%%time\n1": "\n\nget_ipython().run_cell_magic('time', '', '1\\n')\n",
}


@pytest.mark.parametrize("code", CHANGED)
def test_magics_become_calls(code: str) -> None:
    """What is no Python becomes a call, and stays in its line."""
    assert transform.transform(code) == CHANGED[code]


UNCHANGED = [
    "x = 5 % 2",
    "x = (5\n% 2)",
    "'''\n%time\n'''",
    "x != y",
    "# %time\n",
    "",
    "x = 1\n# what?",
    "f'{x!r}'",
    "x = = 1",
    "a ? b",
]


@pytest.mark.parametrize("code", UNCHANGED)
def test_python_stays_as_it_is(code: str) -> None:
    """Python is left alone, and so is what nobody understands."""
    assert transform.transform(code) == code


def test_long_texts_are_read_once() -> None:
    """A text of any length is read in one go, whatever stands in it."""
    code = "x = [" + "1, " * 20_000 + "]\n" + "y = ' a' " * 2_000 + "\n!ls"
    assert transform.transform(code).endswith("get_ipython().system('ls')")
    assert ast.parse(transform.transform("%pwd\n" * 2_000))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("echo {x + 1} $x", "echo 4 3"),
        ("echo $HOME $$x", "echo $HOME $x"),
        ("awk '{print $1}'", "awk '{print $1}'"),
        ("echo {{a}}", "echo {a}"),
        ("echo $x.a {y}", "echo $x.a {y}"),
    ],
)
def test_commands_are_filled_in(command: str, expected: str) -> None:
    """Expressions in braces and variables after a dollar are filled in; a command in which one fails stays as it is."""
    assert programs.expand(command, {"x": 3}) == expected

"""The same cells in ipykernel and in the guest with IPython: what differs, differs on purpose."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from shells import environment, run_cells
from test_kernel import Message, Notebook

from sandbox_kernel import iopub
from sandbox_kernel.guest import wire

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

#: One notebook, cell by cell.
CELLS = [
    "print('a'); print('b', end='')",
    "import sys; print('e', file=sys.stderr)",
    "1 + 1",
    "_, __, _3, Out[3], In[3]",
    "'x' * 3;",
    "list(range(60))",
    "{'b': 1, 'a': [1.5, None]}",
    "{3, 1, 2}",
    "class A:\n    def _repr_html_(self):\n        return '<i>a</i>'\nA",
    "a = A()\na.__class__.__name__",
    "display(1, 'two')",
    "h = display([1], display_id='an-id')",
    "h.update([2])",
    "from IPython.display import clear_output, HTML, JSON, Markdown\nclear_output(wait=True)",
    "HTML('<b>x</b>')",
    "display(Markdown('*x*'), JSON({'a': 1}))",
    "display({'text/plain': 'raw', 'text/html': '<u>raw</u>'}, raw=True)",
    "import pandas as pd\npd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})",
    "pd.Series([1, 2], name='s')",
    "pd.DataFrame({f'column number {i}': [i] for i in range(30)}).to_string(line_width=None)[:10]",
    "print(pd.DataFrame({f'column {i}': [i] for i in range(30)}))",
    "import numpy as np\nnp.arange(20).reshape(4, 5)",
    "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])",
    "fig, ax = plt.subplots()\nfig",
    "fig",
    "%matplotlib inline\nplt.hist([1, 2, 2]);",
    "def f(x):\n    y = 2\n    return y / x",
    "f(0)",
    "try:\n    f(0)\nexcept ZeroDivisionError as error:\n    raise KeyError('outer') from error",
    "x = = 1",
    "def broken(:\n    pass",
    "if True:\nprint(1)",
    "undefined_name",
    "import json\njson.loads('{')",
    "raise KeyboardInterrupt",
    "assert 1 == 2, 'no'",
    "import asyncio\nawait asyncio.sleep(0, 'done')",
    "async def g():\n    raise ValueError('late')\nawait g()",
    "async def h():\n    return 5\ntask = asyncio.create_task(h())",
    "await task",
    "asyncio.get_running_loop().is_running(), asyncio.ensure_future(h()).done()",
    "asyncio.gather(h(), h())\n1 / 0",
    "%env LIKE_IPYKERNEL=1",
    "%who_ls int",
    "!echo hello",
    "lines = !printf 'a\\nb'\nlines",
    "%%bash\necho from bash",
    "%%writefile like.txt\nsome text",
    "%%capture captured\nprint('kept'); display(3)",
    "captured.stdout, len(captured.outputs)",
    "captured.show()",
    "%%time\n5",
    "%timeit -n1 -r1 pass",
    "from tqdm import tqdm\nfor _i9 in tqdm(range(3), ncols=40, bar_format='{n}/{total}'): pass",
    "print('50%\\r100%')",
    "%alias_magic t time",
    "%precision 2\n3.14159",
    "%xmode Plain\n1 / 0",
    "%xmode Context",
]

#: A cell, and what it says here; in ipykernel it is not the same, for the reason given.
DIFFERENT: dict[str, tuple[str, list[str]]] = {
    "%not_there": ("each cell that fails says one error", ["UsageError"]),
    "import sys; sys.exit(3)": ("an exit is told without advice for a terminal", ["SystemExit"]),
    "raise ExceptionGroup('g', [ValueError(1)])": ("each cell that fails says one error", ["ExceptionGroup"]),
}


#: Of these the errors are the same, and nothing else.
SAME_ERRORS = [
    "import sys; sys.exit(3)",
    "sys.exit()",
    "def leave():\n    raise SystemExit('a reason\\nof two lines')\nleave()",
    "input('? ')",
    "import getpass; getpass.getpass()",
]


def _plain(text: str) -> str:
    """Leave out what is another with each run: times, and the folder in which cells are said to lie."""
    text = re.sub(r"[\d.]+ (ns|μs|us|ms|s)\b", "TIME", text)
    text = re.sub(r"^CPU times: .*\n", "", text, flags=re.MULTILINE)  # Left out by IPython where the clock has not moved.
    return re.sub(r"ipykernel_\d+", "ipykernel", text)


def heard(messages: Iterable[Message]) -> list[Any]:
    """Return messages in a form that can be compared: pictures by their type, streams each as one."""
    found: list[Any] = []
    streams: dict[str, list[Any]] = {}
    for kind, content in messages:
        if kind == "stream":
            if content["name"] not in streams:
                streams[content["name"]] = [content["name"], ""]
                found.append(streams[content["name"]])
            streams[content["name"]][1] += content["text"]
        elif kind == "error":
            found.append([kind, content["ename"], content["evalue"], _plain("\n".join(content["traceback"]))])
        elif kind == "clear_output":
            found.append([kind, content["wait"]])
        else:
            data = {mime: None if mime.startswith("image/") else item for mime, item in content["data"].items()}
            found.append([kind, data, content.get("transient", {}).get("display_id")])
    return [[part if not isinstance(part, str) else _plain(part) for part in item] for item in found]


def _without_frames(error: list[Any]) -> list[Any]:
    """Leave out the frames below the cell's own: ipykernel's do not matter to who reads it, and ours are not shown."""
    lines = error[3].split("\n")
    theirs = [at for at, line in enumerate(lines) if "ipykernel/" in line]
    return [*error[:3], "\n".join([*lines[: theirs[0]], *lines[-1:]] if theirs else lines)]


def _as_messages(events: Iterable[wire.Event]) -> list[Message]:
    """Return the messages for what a guest said, with all types: those that may be shown are for the policy to say."""
    found: list[Message] = []
    for event in events:
        message = iopub.message(event, 1)
        if message is not None:
            if isinstance(event, wire.Display | wire.Result):
                message[1]["data"] = event.data
            found.append(message)
    return found


def test_cells_say_what_they_say_in_ipykernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams, values, displays, names of errors, their texts and their tracebacks are those of ipykernel."""
    for folder in ("theirs", "ours"):
        (tmp_path / folder).mkdir()
    for name, value in environment("ipython", tmp_path / "theirs").items():
        if name != "MPLBACKEND":
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("MPLBACKEND", raising=False)
    (tmp_path / "theirs" / "home").mkdir()
    monkeypatch.chdir(tmp_path / "theirs")
    notebook = Notebook("python3")
    try:
        theirs = [heard(notebook.run(code, allow_stdin=False)[0]) for code in (*CELLS, *SAME_ERRORS)]
    finally:
        notebook.close()
    ours = [heard(_as_messages(said)) for said in run_cells("ipython", tmp_path / "ours", [*CELLS, *SAME_ERRORS])]
    for each in (*theirs[len(CELLS) :], *ours[len(CELLS) :]):
        each[:] = [_without_frames(item) for item in each if item[0] == "error"]
    wrong = {code: (mine, its) for code, mine, its in zip((*CELLS, *SAME_ERRORS), ours, theirs, strict=True) if mine != its}
    assert wrong == {}


def test_what_is_different_on_purpose(tmp_path: Path) -> None:
    """What ipykernel does otherwise is told as an error of the cell, once."""
    for said, (_, names) in zip(run_cells("ipython", tmp_path, list(DIFFERENT)), DIFFERENT.values(), strict=True):
        assert [event.name for event in said.of(wire.Error)] == names and said.finished.outcome == "error"
        assert said.out == "" and said.err == ""

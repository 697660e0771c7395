"""What the kernel answers while somebody types, on every backend: after a cell and while one runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from conftest import wait_until
from test_kernel import Notebook

from sandbox_kernel import inspection
from sandbox_kernel.runner import Runner

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

CODE = """
import json
d = {'one': 1, 'two': 2}
class Foo:
    "A Foo."
    def bar(self, a, b=2):
        "What bar does."
    @property
    def boom(self):
        print('boom')
foo = Foo()
value = 6 * 7
value
"""


@pytest.fixture
def notebook(kernel_name: str) -> Iterator[Notebook]:
    """A running kernel on one backend after the other."""
    made = Notebook(kernel_name)
    yield made
    made.close()


def complete(notebook: Notebook, code: str) -> list[str]:
    """Return what the kernel proposes at the end of a code."""
    reply = notebook.client.complete(code, reply=True, timeout=60)["content"]
    assert reply["status"] == "ok"
    assert reply["cursor_end"] == len(code)
    matches: list[str] = reply["matches"]
    return matches


def inspect(notebook: Notebook, code: str, detail_level: int = 0) -> str:
    """Return what the kernel tells of the name at the end of a code; nothing when it finds none."""
    reply = notebook.client.inspect(code, detail_level=detail_level, reply=True, timeout=60)["content"]
    assert reply["status"] == "ok"
    return str(reply["data"]["text/plain"]) if reply["found"] else ""


def history(notebook: Notebook, **asked: Any) -> list[list[Any]]:
    """Return the rows of a history reply."""
    rows: list[list[Any]] = notebook.client.history(reply=True, timeout=60, **asked)["content"]["history"]
    return rows


def is_complete(notebook: Notebook, code: str) -> str:
    """Return the status of an is_complete_reply."""
    request = notebook.client.is_complete(code)
    message = notebook.client.get_shell_msg(timeout=60)
    assert message["parent_header"]["msg_id"] == request
    return str(message["content"]["status"])


def test_names_of_the_last_cell_are_known(notebook: Notebook) -> None:
    """Names, attributes, keys, parameters and documentation come from the cell that has run; nothing runs for them."""
    assert "zip" in complete(notebook, "zi")
    _, reply = notebook.run(CODE)
    assert reply["status"] == "ok"
    assert complete(notebook, "valu") == ["value"]
    assert complete(notebook, "foo.b") == ["bar", "boom"]
    assert complete(notebook, "d['") == ["one", "two"]
    assert complete(notebook, "json.loa") == ["load", "loads"]
    assert "json" in complete(notebook, "import js")
    assert complete(notebook, "foo.bar(1, b")[0] == "b="
    assert complete(notebook, "%sandbox und") == ["undo"]
    text = inspect(notebook, "foo.bar(")
    assert "bar(a, b=2)" in text
    assert "What bar does." in text
    assert "42" in inspect(notebook, "value")
    assert "print(*args" in inspect(notebook, "print(")
    assert '"A Foo."' in inspect(notebook, "Foo", detail_level=1)
    assert inspect(notebook, "nothing_of_the_sort") == ""
    messages, _ = notebook.run("1")
    assert [kind for kind, _ in messages] == ["execute_result"]  # and no output of `boom`


def test_answers_come_while_a_cell_runs(notebook: Notebook) -> None:
    """A cell that does not end keeps nobody from an answer, and the kernel is shown as busy after it as before."""
    notebook.run(CODE)
    client = notebook.client
    source = "import os.path as fresh_os\nfresh_name = [1]\ndef fresh(long_word): pass\nprint('go')\nwhile True: pass"
    running = client.execute(source)
    while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    assert complete(notebook, "foo.b") == ["bar", "boom"]
    assert sorted(complete(notebook, "fresh_")) == ["fresh_name", "fresh_os"]
    assert complete(notebook, "fresh(long_") == ["long_word="]
    assert "bar(a, b=2)" in inspect(notebook, "foo.bar")
    assert is_complete(notebook, "for i in x:") == "incomplete"
    assert [row[2] for row in history(notebook, hist_access_type="tail", n=1)] == [source]
    states = []
    while states[-2:] != [("idle", "history_request"), ("busy", "execute_request")]:
        message = client.get_iopub_msg(timeout=60)
        assert message["msg_type"] == "status"
        states.append((message["content"]["execution_state"], message["parent_header"]["msg_type"]))
    kinds = ["complete_request", "inspect_request", "is_complete_request", "history_request"]
    for kind, times in zip(kinds, (3, 1, 1, 1), strict=True):
        assert [state for state, of in states if of == kind] == ["busy", "idle"] * times
    assert {state for state, of in states if of == "execute_request"} == {"busy"}
    notebook.manager.interrupt_kernel()
    while True:
        message = client.get_shell_msg(timeout=60)
        if message["parent_header"]["msg_id"] == running:
            break
    assert message["content"]["ename"] == "KeyboardInterrupt"


def test_the_waiting_sandbox_is_asked(notebook: Notebook) -> None:
    """Where the session goes on in a sandbox, signatures and documentation are whole, and paths are those of the sandbox.

    Where the state is carried nobody waits who could be asked: what is short says so, and no paths are proposed.
    """
    parameters = ", ".join(f"parameter_{number}: int = {number}" for number in range(100))
    code = f"def long({parameters}):\n    'One.\\n\\n    Two.'\n"
    files = "import os; os.makedirs('data/inner'); open('data.csv', 'w').close(); x = {'a': long}\n"
    notebook.run(code + files)
    local = "local" in notebook.manager.kernel_name
    if local:
        wait_until(lambda: inspection.SHORT not in inspect(notebook, "long"), "the sandbox waits")
    text, paths = inspect(notebook, "long"), complete(notebook, "open('da")
    if local:
        assert "    parameter_99: int = 99,\n)" in text and "One.\n\nTwo." in text
        assert sorted(paths) == ["data.csv", "data/"]
        assert complete(notebook, "%cd da") == ["data/"]
        assert complete(notebook, "!ls data/") == ["data/inner/"]
        notebook.run("%cd data")
        wait_until(lambda: complete(notebook, "open('") == ["inner/"], "the sandbox waits")
        notebook.run("%sandbox undo")
        wait_until(lambda: "data/" in complete(notebook, "open('"), "the sandbox waits")
    else:
        assert inspection.SHORT in text
        assert paths == []
    assert "Time execution" in inspect(notebook, "%time")


VALUES = """
class Tree:
    "A tree."
    def __init__(self):
        self.by = {'one': 1}
    @property
    def twin(self):
        print('asked')
        return self
    def __getattr__(self, name):
        print('asked')
        raise AttributeError(name)
    def grow(self, by=1, *, slowly=False):
        "Grow it."
trees = [Tree()]
named = {'oak': Tree()}
"""


def test_values_that_have_no_name_are_known(notebook: Notebook) -> None:
    """What an expression stands for is looked for in the sandbox that waits, and none of the user's code runs for it.

    Where the state is carried nobody waits who could be asked: what the sources say is proposed, and keys are not.
    """
    notebook.run(VALUES)
    local = "local" in notebook.manager.kernel_name
    # On a busy machine the sandbox is not there yet, or jedi is not, when the first question has waited long enough.
    wait_until(lambda: complete(notebook, "x = trees[0].gro") == ["grow"], "somebody answers")
    wait_until(lambda: complete(notebook, "print(named['oak'].gro") == ["grow"], "somebody answers")
    assert complete(notebook, "trees[0].by['") == (["one"] if local else [])
    if local:
        assert complete(notebook, "named['oak'].grow(1, s")[0] == "slowly="
        for code in ("trees[0].grow", "trees[-1].grow(", "named['oak'].grow(2, slowly=True)"):
            assert "grow(by=1, *, slowly=False)" in inspect(notebook, code) and "Grow it." in inspect(notebook, code)
        assert "A tree." in inspect(notebook, "named['oak']")
        notebook.run("import pandas as pd; df = pd.DataFrame({'alpha': [1], 'text': ['a']})")
        wait_until(lambda: complete(notebook, "df.alpha.medi") == ["median"], "the sandbox waits")
        assert complete(notebook, "df['text'].str.upp") == ["upper"]
        assert complete(notebook, "df[df.alpha > 1].mer") == ["merge"]
        assert "df.alpha.median(" in inspect(notebook, "df.alpha.median")
        assert "df['alpha'].median(" in inspect(notebook, "df['alpha'].median()")
    messages, _ = notebook.run("1")
    assert [kind for kind, _ in messages] == ["execute_result"]  # and no output of `twin`


def test_no_paths_while_a_cell_runs(notebook: Notebook) -> None:
    """While a cell runs the sandbox is its own: paths are not proposed, and names are told from what was known before."""
    notebook.run("open('data.csv', 'w').close()\ndef f(a, b=2): 'Say it.'")
    client = notebook.client
    client.execute("print('go')\nwhile True: pass")
    while client.get_iopub_msg(timeout=60)["msg_type"] != "stream":
        pass
    assert complete(notebook, "open('da") == []
    text = inspect(notebook, "f")
    assert "f(a, b=2)" in text and inspection.SHORT in text
    notebook.manager.interrupt_kernel()


def test_names_go_with_the_state(notebook: Notebook) -> None:
    """What a cell made is forgotten when the cell is taken back, or was ended."""
    notebook.run("before = 1")
    notebook.run("taken_back = 1")
    assert complete(notebook, "taken_") == ["taken_back"]
    notebook.run("%sandbox undo")
    assert complete(notebook, "taken_") == []
    assert complete(notebook, "befor") == ["before"]
    notebook.run("ended_early = 1\nimport os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert complete(notebook, "ended_") == []
    assert complete(notebook, "befor") == ["before"]


def test_words_of_our_commands_are_proposed(notebook: Notebook) -> None:
    """Behind a command stands what it is about: saved sessions, and the cells whose states are kept."""
    notebook.run("a = 1")
    notebook.run("%sandbox save talk-first\n%sandbox save talk.second\nb = 2")
    notebook.run("%sandbox log")  # Which waits for the state after the last cell.
    try:
        assert complete(notebook, "%sandbox load talk-") == ["talk-first"]
        assert complete(notebook, "%sandbox remove talk") == ["talk-first", "talk.second"]
        assert complete(notebook, "%sandbox rewind ") == ["0", "1", "2"]
        assert complete(notebook, "%sandbox undo ") == []
    finally:
        notebook.run("%sandbox remove talk-first\n%sandbox remove talk.second")
    assert complete(notebook, "%sandbox load talk") == []


def test_history(notebook: Notebook) -> None:
    """The session answers tail, range and search with the same numbers; what is not to be stored is not there."""
    notebook.run("x = 1")
    notebook.run("x + 1")
    notebook.run("hidden = 1", store_history=False)
    notebook.run("hidden = 2", silent=True)
    tail = history(notebook, hist_access_type="tail", n=2, output=True)
    assert [(line, cell) for _, line, cell in tail] == [(1, ["x = 1", None]), (2, ["x + 1", "2"])]
    session = tail[0][0]
    assert history(notebook, hist_access_type="range", session=session, start=2, stop=3) == [[session, 2, "x + 1"]]
    assert history(notebook, hist_access_type="range", session=0, start=1, stop=2) == [[session, 1, "x = 1"]]
    assert history(notebook, hist_access_type="search", pattern="*+*") == [[session, 2, "x + 1"]]
    assert history(notebook, hist_access_type="search", pattern="hidden*") == []


def test_usage_is_that_of_the_sandbox(notebook: Notebook) -> None:
    """The limits are told; what the sandbox takes is told where it is known, and left out where it is not."""
    notebook.run("block = b'x' * (100 << 20)")
    notebook.run("1")
    client = notebook.client
    client.control_channel.send(client.session.msg("usage_request"))
    content = client.get_control_msg(timeout=60)["content"]
    assert content["cpu_count"] == 1
    assert content["host_virtual_memory"]["total"] == 2048 << 20
    if "local" in notebook.manager.kernel_name:
        assert 50 << 20 < content["kernel_memory"] < 2048 << 20
        assert content["kernel_cpu"] >= 0
    else:
        assert {"kernel_memory", "kernel_cpu"} & set(content) == set()


async def test_programs_have_the_list_of_variables(runner: Runner) -> None:
    """A session that is told to has the names of its namespace, with types and what is cheap to say of the values."""
    session = runner.open_session()
    session.outlines.wanted = True
    async for _ in session.run("x = 6 * 7\nnames = ['a', 'b']"):
        pass
    found = (await session.outline()).names
    assert (found["x"].type, found["x"].text) == ("int", "42")
    assert (found["names"].type, found["names"].length, found["names"].text) == ("list", 2, "['a', 'b']")
    await session.close()


def test_help_links_are_there(notebook: Notebook) -> None:
    """The help menu has links, each with its text."""
    links = notebook.client.kernel_info(reply=True, timeout=30)["content"]["help_links"]
    assert {"Python", "NumPy"} <= {link["text"] for link in links}
    assert all(link["url"].startswith("https://") for link in links)


@pytest.mark.parametrize(
    "content", [{}, {"code": 3, "cursor_pos": "x"}, {"code": "df", "cursor_pos": -5}, {"code": "x", "cursor_pos": 10**9}]
)
def test_a_broken_request_breaks_nothing(kernel_name: str, content: dict[str, Any]) -> None:
    """A request that makes no sense is answered or not, and the next one is."""
    notebook = Notebook(kernel_name)
    try:
        client = notebook.client
        for kind in ("complete_request", "inspect_request", "is_complete_request", "history_request"):
            client.shell_channel.send(client.session.msg(kind, content))
        request = client.complete("zi")
        while True:
            message = client.get_shell_msg(timeout=60)
            if message["parent_header"]["msg_id"] == request:
                break
        assert "zip" in message["content"]["matches"]
    finally:
        notebook.close()

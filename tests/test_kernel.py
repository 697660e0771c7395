"""The kernel as Jupyter sees it, on every backend."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import add_options, kernel_manager, wait_until
from ipykernel.iostream import IOPubThread
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_core.utils import ensure_event_loop

from sandbox_kernel.kernel import OwnStream
from sandbox_kernel.outcomes import KEPT
from sandbox_kernel.runtime import Runtime

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

Message = tuple[str, dict[str, Any]]


class Notebook:
    """A running kernel and its client."""

    def __init__(self, name: str, **options: Any) -> None:
        self.manager = kernel_manager(name)
        self.manager.start_kernel(stderr=-3, **options)
        self.client: BlockingKernelClient = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str, **options: Any) -> tuple[list[Message], dict[str, Any]]:
        """Run a cell and return its messages but for the status, streams joined, and the content of its reply."""
        messages: list[Message] = []

        def take(message: dict[str, Any]) -> None:
            kind, content = message["msg_type"], message["content"]
            if messages and kind == "stream" and messages[-1][0] == kind and messages[-1][1]["name"] == content["name"]:
                messages[-1][1]["text"] += content["text"]
            elif kind not in ("status", "execute_input"):
                messages.append((kind, content))

        reply = self.client.execute_interactive(code, output_hook=take, timeout=90, **options)
        return messages, reply["content"]

    def close(self) -> None:
        """Shut the kernel down in order."""
        self.client.stop_channels()
        if self.manager.has_kernel:
            self.manager.shutdown_kernel()
        ensure_event_loop().close()  # jupyter_client's blocking calls leave theirs open


@pytest.fixture
def notebook(kernel_name: str) -> Iterator[Notebook]:
    """A running kernel on one backend after the other."""
    made = Notebook(kernel_name)
    yield made
    made.close()


#: Each says which Python a program of a cell is.
_WHICH = [
    "!python -c 'import sys; print(sys.prefix)'",
    "!python3 -c 'import sys; print(sys.prefix)'",
    "%%script python\nimport sys; print(sys.prefix)",
    "import subprocess\nsubprocess.check_output(['python', '-c', 'import sys; print(sys.prefix)'], text=True)",
]


def test_programs_of_a_cell_are_those_of_its_python(notebook: Notebook) -> None:
    """`python` and `%%script python` in a cell are its own Python, on every backend."""
    prefix = notebook.run("import sys; print(sys.prefix)")[0][0][1]["text"].strip()
    for code in _WHICH:
        messages, reply = notebook.run(code)
        said = "".join(content.get("text") or content["data"]["text/plain"] for _, content in messages)
        assert reply["status"] == "ok" and prefix in said, (code, messages)


def test_the_same_notebook_gives_the_same_messages(notebook: Notebook) -> None:
    """stdout, stderr, a result, an exception and a timeout give these messages, whatever the backend."""
    messages, reply = notebook.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nprint('out again')\n[1, 2]")
    assert messages == [
        ("stream", {"name": "stdout", "text": "out\n"}),
        ("stream", {"name": "stderr", "text": "err\n"}),
        ("stream", {"name": "stdout", "text": "out again\n"}),
        ("execute_result", {"execution_count": 1, "data": {"text/plain": "[1, 2]"}, "metadata": {}}),
    ]
    assert reply == {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}

    messages, reply = notebook.run("def f():\n    raise ValueError('no')\nf()")
    [(kind, error)] = messages
    assert (kind, error["ename"], error["evalue"]) == ("error", "ValueError", "no")
    assert reply == {"status": "error", "execution_count": 2, **error}
    # Locally there is IPython, which draws it; the cluster's image has the standard library alone.
    told = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
    places = [told.find(words) for words in ("Traceback", "Cell In[2]", "f()", "raise ValueError('no')", "ValueError: no")]
    assert -1 not in places and places == sorted(places)

    messages, reply = notebook.run("display({'a': 1})")
    assert messages == [("display_data", {"data": {"text/plain": "{'a': 1}"}, "metadata": {}})]


def test_a_notebook_has_its_words(notebook: Notebook) -> None:
    """Magics, history, pages and expressions work as in any notebook, in replies too, and are nobody's variables."""
    assert notebook.run("6 * 7")[0][0][1]["data"] == {"text/plain": "42"}
    assert notebook.run("_ + Out[1], In[1]")[0][0][1]["data"] == {"text/plain": "(84, '6 * 7')"}
    assert notebook.run("%env KERNEL_TEST=1\n!echo $KERNEL_TEST")[0][0][1]["text"].split() == ["env:", "KERNEL_TEST=1", "1"]
    messages, reply = notebook.run("x = 1\nlen?", user_expressions={"value": "x + 1", "wrong": "1/0"})
    [page] = reply["payload"]
    assert messages == [] and page["source"] == "page" and page["start"] == 0 and list(page["data"]) == ["text/plain"]
    assert "number of items" in page["data"]["text/plain"]
    values = reply["user_expressions"]
    assert values["value"] == {"status": "ok", "data": {"text/plain": "2"}, "metadata": {}}
    assert values["wrong"]["ename"] == "ZeroDivisionError" and values["wrong"]["status"] == "error"
    told = notebook.run("%sandbox state")[0][0][1]["text"].split()
    assert "x" in told and not {"In", "Out", "get_ipython"} & set(told)


def test_state_without_history(notebook: Notebook) -> None:
    """What a cell without history makes is there in the next: nbval runs all cells so."""
    notebook.run("y = 5; y", store_history=False)
    messages, reply = notebook.run("_ + y", store_history=False)
    assert messages[0][1]["data"] == {"text/plain": "10"} and reply["execution_count"] == 1


def test_a_carried_notebook(kernel_name: str, tmp_path: Path) -> None:
    """With state carry the words are the same."""
    add_options(kernel_name, tmp_path, "--Runner.state=carry")
    notebook = Notebook(kernel_name)
    try:
        notebook.run("x = 6 * 7; x")
        assert notebook.run("_ + Out[1], In[1]")[0][0][1]["data"] == {"text/plain": "(84, 'x = 6 * 7; x')"}
        assert notebook.run("%who")[0][0][1]["text"] == "x\t \n"
        told = notebook.run("%sandbox state")[0][0][1]["text"].split()
        assert "x" in told and not {"In", "Out", "get_ipython"} & set(told)
    finally:
        notebook.close()


def test_a_timeout_is_an_error_reply(kernel_name: str, tmp_path: Path) -> None:
    """A cell over the kernel's time limit ends as CellTimeout that names limit and setting, its output kept."""
    add_options(kernel_name, tmp_path, "--Runner.timeout_s=1")
    notebook = Notebook(kernel_name)
    try:
        messages, reply = notebook.run("print('before')\nwhile True: pass")
        value = f"The cell was ended after 1 s. Runner.timeout_s sets the limit. {KEPT}"
        assert [kind for kind, _ in messages] == ["stream", "error"]
        assert messages[0][1] == {"name": "stdout", "text": "before\n"}
        error = messages[1][1]
        assert (error["ename"], error["evalue"], error["traceback"][-1]) == ("CellTimeout", value, f"CellTimeout: {value}")
        # Where it was, as IPython draws it or as Python does.
        where = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error["traceback"]))
        assert "Cell In[1]" in where and "line 2" in where and "while True: pass" in where
        assert reply == {"status": "error", "execution_count": 1, **error}
        assert notebook.run("1")[1]["status"] == "ok"
    finally:
        notebook.close()


def test_the_kernel_s_own_streams_wait_for_nobody() -> None:
    """What the kernel itself printed is given to the thread that sends it, which may never come to that; else nothing is."""
    asked = []
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    pub_thread = IOPubThread.__new__(IOPubThread)
    pub_thread.thread, pub_thread.schedule, pub_thread.io_loop = thread, asked.append, None
    stream = OwnStream(None, pub_thread, "stdout", watchfd=False, isatty=False)
    stream.flush()
    assert asked == []
    stream._buffers[frozenset()].write("a warning")
    stream.flush()
    assert asked == [stream._flush]


@pytest.mark.parametrize("mode", ["message", "signal"])
def test_an_interrupt_ends_the_cell_and_not_the_kernel(notebook: Notebook, mode: str) -> None:
    """Stop ends the cell at once as KeyboardInterrupt, by message and by signal; the kernel goes on."""
    seen = threading.Event()

    def interrupt() -> None:
        assert seen.wait(60)
        if mode == "message":
            notebook.manager.interrupt_kernel()
            ensure_event_loop().close()  # this thread's, as in Notebook.close
        else:
            os.kill(notebook.manager.provisioner.process.pid, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    began = 0.0

    def take(message: dict[str, Any]) -> None:
        nonlocal began
        if message["msg_type"] == "stream":
            began = time.monotonic()
            seen.set()

    reply = notebook.client.execute_interactive("print('go')\nimport time; time.sleep(60)", output_hook=take, timeout=90)
    thread.join()
    assert (reply["content"]["status"], reply["content"]["ename"]) == ("error", "KeyboardInterrupt")
    assert time.monotonic() - began < 3
    assert notebook.run("1")[1]["status"] == "ok"


def test_cells_after_an_error_are_aborted(notebook: Notebook) -> None:
    """With stop_on_error what is queued behind a failing cell is aborted; without it, it runs."""
    for stop, expected in ((True, ["error", "aborted", "aborted"]), (False, ["error", "ok", "ok"])):
        requests = [notebook.client.execute(code, stop_on_error=stop) for code in ("1/0", "2", "3")]
        replies = {}
        while len(replies) < 3:
            message = notebook.client.get_shell_msg(timeout=90)
            if message["msg_type"] == "execute_reply":
                replies[message["parent_header"]["msg_id"]] = message["content"]["status"]
        assert [replies[request] for request in requests] == expected


def test_leaving_ends_the_cell_alone(notebook: Notebook) -> None:
    """exit() ends no kernel and no session: it says what to do instead, and what the cell made is there in the next."""
    messages, reply = notebook.run("x = 1\nexit()\nx = 2")
    assert reply["status"] == "ok"
    [(kind, content)] = messages
    assert (kind, content["name"]) == ("stream", "stderr") and "%sandbox reset" in content["text"]
    messages, reply = notebook.run("x = x + 1\nimport sys; sys.exit(3)")
    assert (reply["status"], reply["ename"], reply["evalue"]) == ("error", "SystemExit", "3")
    assert reply["traceback"][0].startswith("An exception has occurred, use %tb")
    shown = notebook.run("%tb")[0][0][1]["text"]
    assert "sys.exit(3)" in re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert notebook.run("x")[0][-1][1]["data"] == {"text/plain": "2"}


def test_commands_to_the_session_stand_at_the_top(notebook: Notebook) -> None:
    """Among code a command says where it belongs; a question lists all; a word that is none is named with the nearest."""
    _, reply = notebook.run("x = 1\n%sandbox undo")
    assert reply["ename"] == "UsageError" and "at the top of a cell" in reply["evalue"]
    for asking in ("%sandbox?", "%sandbox", "%sandbox help"):
        messages, reply = notebook.run(asking)
        assert reply["status"] == "ok" and "%sandbox rewind CELL" in messages[0][1]["text"]
    _, reply = notebook.run("%sandbox unod")
    assert "'unod'" in reply["evalue"] and "Did you mean undo?" in reply["evalue"] and "%sandbox list" in reply["evalue"]


def test_the_count_is_that_of_ipython(notebook: Notebook) -> None:
    """An empty cell, a silent one and one without history do not count."""
    counts = [
        notebook.run("1")[1]["execution_count"],
        notebook.run("")[1]["execution_count"],
        notebook.run("  \n")[1]["execution_count"],
        notebook.run("2", store_history=False)[1]["execution_count"],
        notebook.run("3", silent=True)[1]["status"],
        notebook.run("4")[1]["execution_count"],
    ]
    assert counts == [1, 2, 2, 2, "ok", 2]


def test_a_silent_cell_shows_all_but_its_value(notebook: Notebook) -> None:
    """As in ipykernel a silent cell's text, displays and errors are published, with its request, and its value is not."""
    messages, _ = notebook.run("import sys\nprint(5)\ndisplay(6)\nprint(7, file=sys.stderr)\n8", silent=True)
    assert [(kind, content.get("text")) for kind, content in messages] == [
        ("stream", "5\n"),
        ("display_data", None),
        ("stream", "7\n"),
    ]
    [(kind, error)], reply = notebook.run("1/0", silent=True)
    assert (kind, error["ename"], reply["status"]) == ("error", "ZeroDivisionError", "error")


@pytest.mark.parametrize("options", ["local"], indirect=True)
def test_what_functions_of_a_new_life_say_is_shown(
    kernel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gvisor: Runtime
) -> None:
    """Loading a saved session calls the functions that were registered, and what they say and raise is told."""
    monkeypatch.setenv("RUNSC_PATH", gvisor.path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    notebook = Notebook(kernel_name)
    try:
        notebook.run("import sandbox_session\n@sandbox_session.on_fork\ndef f():\n    print('connecting')\n    1 / 0")
        notebook.run("%sandbox save work")
        notebook.client.execute("%sandbox load work\n'went on'")
        told = went_on = ""
        while not (told and went_on):
            message = notebook.client.get_iopub_msg(timeout=90)
            if message["msg_type"] == "stream":
                told += message["content"]["text"]
            elif message["msg_type"] == "execute_result":
                went_on = message["content"]["data"]["text/plain"]
        assert told.count("connecting") == 1 and "on_fork function f raised ZeroDivisionError" in told
    finally:
        notebook.close()


def test_nothing_is_promised_that_is_not_there(notebook: Notebook) -> None:
    """The kernel advertises neither a debugger nor subshells."""
    info = notebook.client.kernel_info(reply=True, timeout=30)["content"]
    assert info["supported_features"] == []
    assert info["language_info"]["name"] == "python"


def test_a_restart_begins_anew(notebook: Notebook) -> None:
    """After a restart in the middle of a cell the kernel counts from one."""
    notebook.client.execute("import time; time.sleep(600)")
    notebook.manager.restart_kernel(now=False)
    notebook.client.wait_for_ready(timeout=60)
    assert notebook.run("1")[1]["execution_count"] == 1


def test_a_file_beside_the_notebook_is_explained(kernel_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A FileNotFoundError for a file that lies beside the notebook names the setting that shows it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.csv").write_text("1,2")
    notebook = Notebook(kernel_name)
    try:
        traceback = notebook.run("open('data.csv')")[1]["traceback"]
        assert "LocalBackend.mounts" in traceback[-1]
        assert "LocalBackend.mounts" not in notebook.run("open('other.csv')")[1]["traceback"][-1]
    finally:
        notebook.close()


@pytest.mark.parametrize("options", ["local"], indirect=True)
@pytest.mark.parametrize("how", ["%pip install", "!pip install", "!python -m pip download"])
def test_packages_that_cannot_be_fetched_are_explained(notebook: Notebook, how: str) -> None:
    """pip gives up at its first attempt, and one line tells where packages come from; what is there is no trouble."""
    messages, reply = notebook.run(f"{how} not-there-at-all")
    said = "".join(content["text"] for kind, content in messages if kind == "stream")
    assert reply["status"] == "ok" and "Retrying" not in said
    assert said.count("A sandbox has no network. Packages come from the environment that the kernel is installed in") == 1
    assert "no network" not in str(notebook.run(f"{how} --help")[0])


@pytest.mark.parametrize("options", ["local"], indirect=True)
@pytest.mark.parametrize(
    ("code", "hinted"),
    [
        ("import urllib.request; urllib.request.urlopen('https://pypi.org')", True),
        ("import requests; requests.get('https://pypi.org')", True),
        ("import socket; socket.create_connection(('192.0.2.1', 80), 5)", True),
        ("import asyncio; await asyncio.open_connection('pypi.org', 443)", True),
        ("import socket; socket.create_connection(('localhost', 9), 5)", False),
        ("raise TimeoutError", False),
    ],
    ids=["urllib", "requests", "an address", "asyncio", "its own", "time"],
)
def test_a_network_that_is_not_there_is_explained(notebook: Notebook, code: str, hinted: bool) -> None:
    """An error that comes of a name or an address out there ends in one line that names the settings."""
    reply = notebook.run(code)[1]
    assert reply["status"] == "error"
    traceback = reply["traceback"]
    assert ("A sandbox has no network" in traceback[-1] and "LocalBackend.mounts" in traceback[-1]) == hinted
    assert "".join(traceback).count("A sandbox has no network") == hinted


def test_sigkill_of_the_kernel_leaves_nothing(kernel_name: str, tmp_path: Path) -> None:
    """A kernel killed in the middle of a cell leaves nothing: at once locally, after its deadlines on a cluster."""
    add_options(kernel_name, tmp_path, "--Runner.timeout_s=3", "--Runner.start_timeout_s=10")
    notebook = Notebook(kernel_name)
    started = threading.Event()

    def watch(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and not started.is_set():
            started.set()
            os.kill(notebook.manager.provisioner.process.pid, signal.SIGKILL)

    with pytest.raises((TimeoutError, RuntimeError)):
        notebook.client.execute_interactive("print('go')\nwhile True: pass", output_hook=watch, timeout=30)
    wait_until(lambda: not notebook.manager.is_alive(), "the kernel is dead")
    notebook.close()


def test_no_file_of_the_notebooks_folder_runs_on_the_host(kernel_name: str, tmp_path: Path) -> None:
    """Modules that lie beside the notebook under names that the kernel imports are not what it imports."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in ("zmq", "sandbox_kernel", "ipykernel", "json", "jedi", "sitecustomize"):
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write({name!r})\n")
    notebook = Notebook(kernel_name, cwd=str(folder))
    try:
        assert notebook.run("print(6 * 7)")[0] == [("stream", {"name": "stdout", "text": "42\n"})]
        notebook.client.complete("pri", reply=True, timeout=60)
    finally:
        notebook.close()
    assert not (folder / "ran").exists()

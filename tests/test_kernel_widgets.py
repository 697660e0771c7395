"""Widgets in a notebook: drawn by the cell, moved between two cells, and what a page sees of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import TestCluster
from test_kernel import Message, Notebook

from sandbox_kernel import widgets

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client", "ignore:Kernel is running over TCP")

#: A shell for who looks for IPython's own, where the guest has none.
SHELL = """
import sys
from IPython import get_ipython
if get_ipython() is None:
    ours = display
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, **more):
            ours(type("Shown", (), {"__repr__": lambda _: "", "_repr_mimebundle_": lambda *_, **__: data})())

        def clear_output(self, wait=False):
            ours._emit(sys.modules["_sandbox_guest.wire"].ClearOutput(wait))

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None): pass

    shell = Shell.instance(colors="nocolor")
    shell.display_pub = Publisher()
    get_ipython().display_pub = shell.display_pub
"""


class Page:
    """A front end: speaks with widgets, and keeps what it is told of each."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self.states: dict[str, dict[str, Any]] = {}

    def run(self, code: str, **options: Any) -> list[Message]:
        """Run a cell and return its messages."""
        messages, reply = self._notebook.run(code, **options)
        assert reply["status"] == "ok", reply
        self._take(messages)
        return messages

    def _take(self, messages: list[Message]) -> None:
        for kind, content in messages:
            if kind == "comm_open":
                self.states[content["comm_id"]] = dict(content["data"]["state"])
            elif kind == "comm_msg" and "state" in content["data"]:
                self.states[content["comm_id"]].update(content["data"]["state"])

    def find(self, model: str) -> str:
        """Return the identifier of the last widget of a model."""
        return [name for name, state in self.states.items() if state["_model_name"] == model][-1]

    def send(self, kind: str, content: dict[str, Any]) -> tuple[str, list[Message]]:
        """Say something to a widget; return the message's id and what is said about it until the kernel is idle again."""
        client = self._notebook.client
        message = client.session.msg(kind, content)
        client.shell_channel.send(message)
        messages: list[Message] = []
        while True:
            said = client.get_iopub_msg(timeout=60)
            if said["parent_header"].get("msg_id") != message["header"]["msg_id"]:
                continue
            if said["msg_type"] == "status" and said["content"]["execution_state"] == "idle":
                self._take(messages)
                return message["header"]["msg_id"], messages
            if said["msg_type"] != "status":
                messages.append((said["msg_type"], said["content"]))

    def update(self, name: str, **state: Any) -> tuple[str, list[Message]]:
        """Move a widget."""
        data = {"method": "update", "state": state, "buffer_paths": []}
        return self.send("comm_msg", {"comm_id": name, "data": data})

    def known(self) -> set[str]:
        """Return the widgets that the kernel says can be spoken with."""
        client = self._notebook.client
        message = client.session.msg("comm_info_request", {"target_name": "jupyter.widget"})
        client.shell_channel.send(message)
        while True:
            reply = client.get_shell_msg(timeout=60)
            if reply["parent_header"]["msg_id"] == message["header"]["msg_id"]:
                assert all(value == {"target_name": "jupyter.widget"} for value in reply["content"]["comms"].values())
                return set(reply["content"]["comms"])


def text(messages: list[Message]) -> str:
    """Return what was printed."""
    return "".join(content["text"] for kind, content in messages if kind == "stream")


def shown(messages: list[Message], mime: str) -> list[Any]:
    """Return what was displayed in one form."""
    kinds = ("display_data", "execute_result")
    return [content["data"][mime] for kind, content in messages if kind in kinds and mime in content["data"]]


@pytest.fixture
def options(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Settings of the local backend, unless a test asks for others. Saved sessions lie in a directory of this test."""
    wanted = getattr(request, "param", "exact")
    if wanted != "kubernetes":  # gVisor is found where it is.
        monkeypatch.setenv("RUNSC_PATH", request.getfixturevalue("gvisor").path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if wanted == "kubernetes":
        found: TestCluster = request.getfixturevalue("cluster")
        return found.options()
    return ["--Runner.backend_name=local", f"--Runner.state={wanted}"]


@pytest.fixture
def page(kernel_name: str) -> Iterator[Page]:
    """A front end with a running kernel."""
    notebook = Notebook(kernel_name)
    yield Page(notebook)
    notebook.close()


SLIDER = """
import ipywidgets
slider = ipywidgets.IntSlider(3)
slider.observe(lambda change: print('now', change.new), 'value')
slider
"""


def test_a_slider_works_both_ways(page: Page) -> None:
    """A slider that is moved calls what observes it, and the next cell has its value; what the cell does moves the slider."""
    messages = page.run(SLIDER)
    slider = page.find("IntSliderModel")
    assert shown(messages, widgets.VIEW) == [{"model_id": slider, "version_major": 2, "version_minor": 0}]
    for value in (7, 8, 9):
        _, messages = page.update(slider, value=value)
        assert text(messages) == f"now {value}\n"
        assert [content["data"]["state"] for kind, content in messages if kind == "comm_msg"] == [{"value": value}]
    assert text(page.run("print(slider.value); slider.value = 20")) == "9\nnow 20\n"
    assert page.states[slider]["value"] == 20


def test_words_to_widgets_keep_their_order(page: Page) -> None:
    """What is said to widgets while a cell runs, or at once, comes one after another, each between busy and idle."""
    page.run(SLIDER)
    client, slider = page._notebook.client, page.find("IntSliderModel")
    requests = [client.execute("import time; time.sleep(0.5); print('cell', slider.value)")]
    for value in (6, 7, 8):
        data = {"method": "update", "state": {"value": value}, "buffer_paths": []}
        message = client.session.msg("comm_msg", {"comm_id": slider, "data": data})
        client.shell_channel.send(message)
        requests.append(message["header"]["msg_id"])
    requests.append(client.execute("print('cell', slider.value)"))
    said = []
    while said.count("idle") < len(requests):
        message = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") in requests and message["msg_type"] in ("status", "stream"):
            content = message["content"]
            said.append(content.get("execution_state") or content["text"])
    expected = ["cell 3\n", "now 6\n", "now 7\n", "now 8\n", "cell 8\n"]
    assert said == [word for line in expected for word in ("busy", line, "idle")]


def test_widgets_go_back_with_the_session(page: Page) -> None:
    """After undo the widgets of before live, and only those are named; what a slider was moved to is saved and loaded."""
    page.run(SLIDER)
    slider, first = page.find("IntSliderModel"), set(page.states)
    assert page.known() == first
    page.run("later = ipywidgets.Text()")
    assert page.known() == set(page.states) > first
    page.run("%sandbox undo")
    assert page.known() == first
    assert text(page.update(slider, value=4)[1]) == "now 4\n"
    assert page.update(page.find("TextModel"), value="x")[1] == []
    page.run("%sandbox save moved\n%sandbox rewind 0")
    assert page.known() == set()
    page.run("%sandbox load moved")
    assert text(page.run("print(slider.value, 'later' in globals())")) == "4 False\n"


def test_the_page_follows_the_session(page: Page) -> None:
    """After undo, rewind and load the page shows each widget as it is then, also when the state goes forward again."""
    page.run(SLIDER)
    slider = page.find("IntSliderModel")
    page.run("slider.value = 10; slider.description = 'ten'")
    page.run("%sandbox save ten")
    page.update(slider, value=12)
    page.run("slider.max = 50")
    for command, expected in (
        ("undo", (10, "ten", 100)),
        ("rewind 1", (3, "", 100)),
        ("rewind 4", (12, "ten", 50)),
        ("load ten", (10, "ten", 100)),
    ):
        page.run(f"%sandbox {command}")
        state = page.states[slider]
        assert (command, (state["value"], state["description"], state["max"])) == (command, expected)
        assert text(page.run("print(slider.value)", store_history=False)) == f"{expected[0]}\n"


def test_the_page_follows_a_cell_that_was_ended(page: Page) -> None:
    """When a cell moves a slider and dies, the page shows it where it is after that."""
    page.run(SLIDER)
    slider = page.find("IntSliderModel")
    messages, reply = page._notebook.run("import os; slider.value = 9; os.kill(os.getpid(), 9)")
    assert reply["ename"] == "CellDied"
    page._take(messages)
    assert page.states[slider]["value"] == 3


def test_a_page_that_is_loaded_again_finds_its_widgets(page: Page) -> None:
    """Each widget that the kernel names tells its state when asked; the control channel is closed, as there is none."""
    page.run(SLIDER)
    states, page.states = page.states, {name: {} for name in page.known()}
    for name in page.states:
        page.send("comm_msg", {"comm_id": name, "data": {"method": "request_state"}})
    assert page.states == states
    opened = {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}}
    assert page.send("comm_open", opened)[1] == [("comm_close", {"comm_id": "c", "data": {}})]
    page.send("comm_close", {"comm_id": page.find("IntSliderModel"), "data": {}})
    assert len(page.known()) == 2


def test_an_exception_of_a_callback_is_shown(page: Page) -> None:
    """What a callback raises is shown with its message, and the widget goes on."""
    page.run(SHELL)
    page.run("import ipywidgets\nbox = ipywidgets.IntText(3)\nbox.observe(lambda change: 1 / change.new, 'value')")
    box = page.find("IntTextModel")
    assert "ZeroDivisionError" in str(page.update(box, value=0)[1])
    assert "ZeroDivisionError" not in str(page.update(box, value=2)[1])
    assert text(page.run("print(box.value)")) == "2\n"


def test_a_callback_that_ends_its_process_is_told_of(page: Page) -> None:
    """A callback that kills its process ends as an error, and the next cell has the state after the last one."""
    page.run(SLIDER)
    page.run("import os, ipywidgets\nbox = ipywidgets.IntText(3)\nbox.observe(lambda change: os._exit(3), 'value')")
    page.update(page.find("IntSliderModel"), value=8)
    _, messages = page.update(page.find("IntTextModel"), value=0)
    assert [content["ename"] for kind, content in messages if kind == "error"] == ["CellDied"]
    assert text(page.run("print(slider.value, box.value)")) == "3 3\n"
    assert text(page.update(page.find("IntSliderModel"), value=9)[1]) == "now 9\n"


def test_interact_draws_into_its_output(page: Page) -> None:
    """A function under `interact` is called with what a slider is moved to; what it shows belongs to its Output widget."""
    page.run(SHELL)
    code = "from ipywidgets import interact\n@interact(x=(0, 10))\ndef show(x=2):\n    print('x is', x)\n    display(x)"
    messages = page.run(code)
    output, slider = page.find("OutputModel"), page.find("IntSliderModel")
    assert text(messages) == "x is 2\n"
    request, messages = page.update(slider, value=5)
    # The Output widget takes what belongs to the request that it names, until it names none.
    said = [(kind, content.get("data", {}).get("state", {}).get("msg_id", content.get("text"))) for kind, content in messages]
    begin, end = said.index(("comm_msg", request)), said.index(("comm_msg", ""))
    assert said.index(("clear_output", None)) == begin + 1
    assert begin < said.index(("stream", "x is 5\n")) < said.index(("display_data", None)) < end
    assert page.states[output]["msg_id"] == ""


def test_a_slider_draws_a_plot(page: Page) -> None:
    """A callback that plots shows the picture."""
    page.run(SLIDER + "import matplotlib.pyplot as plt\n_ = slider.observe(lambda change: plt.plot([change.new]), 'value')")
    _, messages = page.update(page.find("IntSliderModel"), value=5)
    assert len(shown(messages, "image/png")) == 1


def test_progress_bars_of_tqdm_are_drawn(page: Page) -> None:
    """`tqdm.notebook` and `tqdm.auto` draw a bar that ends full and green."""
    page.run(SHELL)
    for module in ("notebook", "auto"):
        messages = page.run(f"from tqdm.{module} import tqdm\nfor i in tqdm(range(50), 'steps'): pass")
        bar = page.states[page.find("FloatProgressModel")]
        assert (bar["value"], bar["max"], bar["bar_style"]) == (50, 50, "success")
        texts = [state["value"] for state in page.states.values() if state["_model_name"] == "HTMLModel"]
        assert texts[-2].replace("\u2007", " ") == "steps: 100%" and "50/50" in texts[-1]
        assert shown(messages, widgets.VIEW)[0]["model_id"] == page.find("HBoxModel")


#: As much of the package as an image without it needs.
PACKAGE = """
open('comm.py', 'w').write('''
class BaseComm:
    def __init__(self, target_name, comm_id, data, metadata):
        self.comm_id = comm_id
        self.publish_msg('comm_open', data, metadata, target_name=target_name)
    def send(self, data):
        self.publish_msg('comm_msg', data)
class CommManager:
    comms = {}
''')
import comm
bar = {'_model_name': 'IntProgressModel', '_model_module': '@jupyter-widgets/controls', 'value': 0, 'evil': 1}
bar = comm.create_comm('jupyter.widget', 'a1', {'state': bar, 'buffer_paths': []}, {'version': '2.1.0'})
for value in range(1, 100):
    bar.send({'method': 'update', 'state': {'value': value}, 'buffer_paths': []})
print('done')
"""


@pytest.mark.parametrize("options", ["carry", "fresh", pytest.param("kubernetes", marks=pytest.mark.cluster)], indirect=True)
def test_where_the_sandbox_ends_with_its_cell_widgets_only_draw(page: Page) -> None:
    """Without a sandbox between two cells a bar is drawn while its cell runs; what the page says to it is ignored."""
    messages = page.run(PACKAGE)
    assert page.states["a1"]["value"] == 99 and "evil" not in page.states["a1"]
    assert text(messages).replace(
        "[sandbox: Not shown: IntProgressModel.evil. Runner.widgets says which may be shown.]\n", ""
    ) == ("done\n")
    assert page.known() == set()
    assert page.update("a1", value=3)[1] == []
    assert text(page.run("print('on')")) == "on\n"


@pytest.mark.parametrize("options", ["carry"], indirect=True)
def test_a_widget_is_not_carried(page: Page) -> None:
    """A widget is named as what could not be carried, and the other variables are there."""
    page.run("import ipywidgets\nslider = ipywidgets.IntSlider()\nx = 5")
    assert text(page.run("print(x)")) == "5\n"
    assert "slider" in text(page.run("%sandbox state")).partition("Not carried")[2]

"""Events as Jupyter messages, compared whole, and when streams are sent."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.session import Session

from sandbox_kernel import iopub
from sandbox_kernel.guest import wire

Content = dict[str, Any]
DATA = {"text/plain": "x\x1b]0;t\x07", "text/html": "<script>", "image/png": "iVBORw0KGgo="}
SHOWN = {"text/plain": "x", "image/png": "iVBORw0KGgo="}
VIEW = {"application/vnd.jupyter.widget-view+json": {"model_id": "a1", "version_major": 2, "version_minor": 0}}
NOT_SHOWN = (
    "[Not shown: application/vnd.jupyter.widget-view+json. OutputPolicy.html and OutputPolicy.extra_mime_types set what is;"
    " the README has the risks.]"
)
META = {"image/png": {"width": 3, "isolated": True}, "isolated": True}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(
            wire.Stream("stderr", "a\x1b[2J\x1b[31mb\n"), ("stream", {"name": "stderr", "text": "a\x1b[31mb\n"}), id="stream"
        ),
        pytest.param(
            wire.Display(DATA, META),
            ("display_data", {"data": SHOWN, "metadata": {"image/png": {"width": 3}}}),
            id="display",
        ),
        pytest.param(
            wire.Display(DATA, {}, "id-1"),
            ("display_data", {"data": SHOWN, "metadata": {}, "transient": {"display_id": "id-1"}}),
            id="display with an id",
        ),
        pytest.param(
            wire.Display(DATA, {}, "id-1", update=True),
            ("update_display_data", {"data": SHOWN, "metadata": {}, "transient": {"display_id": "id-1"}}),
            id="update",
        ),
        pytest.param(
            wire.Result(DATA, META),
            ("execute_result", {"execution_count": 7, "data": SHOWN, "metadata": {"image/png": {"width": 3}}}),
            id="result",
        ),
        pytest.param(
            wire.Result({**VIEW, "text/html": "x"}),
            ("execute_result", {"execution_count": 7, "data": {"text/html": "x", **VIEW}, "metadata": {}}),
            id="a widget's view",
        ),
        pytest.param(
            wire.Display({"application/vnd.jupyter.widget-view+json": {"model_id": "<b>"}}),
            ("display_data", {"data": {"text/plain": NOT_SHOWN}, "metadata": {}}),
            id="no view",
        ),
        pytest.param(wire.Comm("open", "a"), None, id="a widget's word"),
        pytest.param(wire.ClearOutput(wait=True), ("clear_output", {"wait": True}), id="clear"),
        pytest.param(
            wire.Error("E\x1b[2J", "v\x1b]0;t\x07", ["\x1b[31ml\x1b[0m", "\x9bx"], "/etc/passwd"),
            ("error", {"ename": "E", "evalue": "v", "traceback": ["\x1b[31ml\x1b[0m", "x"]}),
            id="error",
        ),
        pytest.param(
            wire.Truncated(8 * 2**20),
            (
                "stream",
                {"name": "stderr", "text": "\n[Output over 8 MiB is left out. Runner.output_mib sets the limit.]\n"},
            ),
            id="truncated",
        ),
        pytest.param(
            wire.Gap(3, 9),
            ("stream", {"name": "stderr", "text": "\n[Output was lost on its way: frames 3 to 9.]\n"}),
            id="gap",
        ),
        pytest.param(wire.Noise("runsc: \x1b[2Jx"), ("stream", {"name": "stderr", "text": "runsc: x\n"}), id="noise"),
        pytest.param(wire.Ready("3", "L"), None, id="ready"),
        pytest.param(wire.Started(1), None, id="started"),
        pytest.param(wire.Heartbeat(), None, id="heartbeat"),
        pytest.param(wire.File("a", 1, "YQ=="), None, id="file"),
        pytest.param(wire.Finished("ok", 0), None, id="finished"),
    ],
)
def test_an_event_is_a_message(event: wire.Event, expected: iopub.Message | None) -> None:
    """Each event is one message of Jupyter's, cleaned, or none."""
    assert iopub.message(event, 7) == expected


def test_an_update_of_nothing_is_a_display() -> None:
    """An update without an id, which a guest may say, updates nothing."""
    expected = ("display_data", {"data": {"text/plain": "a"}, "metadata": {}})
    assert iopub.message(wire.Display({"text/plain": "a"}, update=True), 1) == expected


@pytest.mark.filterwarnings("ignore:Message serialization failed:UserWarning")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'["stream",{"name":"stdout","text":"a\\u0000\\uffff\\ud83d\\ude00"}]', id="odd characters"),
        pytest.param(b'["stream",{"name":"stdout","text":"a\\ud800"}]', id="a surrogate in text"),
        pytest.param(b'["error",{"name":"\\ud800","value":"","traceback":[]}]', id="a surrogate in a name"),
        pytest.param(b'["display",{"data":{"application/json":{"a":["\\ud800"]}}}]', id="a surrogate in JSON"),
        pytest.param(b'["display",{"data":{"application/json":{"\\ud800":1}}}]', id="a surrogate in a key"),
        pytest.param(b'["display",{"data":{},"display_id":"\\ud800"}]', id="a surrogate in a display's id"),
        pytest.param(b'["display",{"data":{"application/json":' + b"9" * 4000 + b"}}]", id="a huge number"),
        pytest.param(b'["display",{"data":{"application/json":' + b"[" * 900 + b"]" * 900 + b"}}]", id="deep JSON"),
        pytest.param(
            b'["display",{"data":{"application/json":' + b"[" * 600 + b"1e999" + b"]" * 600 + b"}}]",
            id="a deep infinity",
        ),
        pytest.param(b'["display",{"data":{},"metadata":{"image/png":{"width":1e999}}}]', id="an infinite image"),
    ],
)
def test_whatever_a_guest_says_can_be_sent(data: bytes) -> None:
    """A message made of any event can be packed for a front end: a cell cannot end the kernel's reply."""
    event = wire.load_event(data)
    message = None if event is None else iopub.message(event, 1)
    if message is not None:
        session = Session(key=b"key")
        session.serialize(session.msg(*message))


# -- the outlet --------------------------------------------------------------------------------------------------------


class Sent:
    """What an outlet has sent, and a clock that stands still."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[tuple[str, Content]] = []
        self.now = 1000.0
        monkeypatch.setattr(iopub, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.outlet = iopub.Outlet(lambda kind, content: self.messages.append((kind, content)))

    def put(self, name: str, text: str) -> None:
        """Put a stream message."""
        self.outlet.put(("stream", {"name": name, "text": text}))

    def texts(self) -> list[tuple[str, str]]:
        """Return the streams sent so far."""
        return [(content["name"], content["text"]) for kind, content in self.messages if kind == "stream"]


@pytest.fixture
async def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    """An outlet at a moment of its own."""
    return Sent(monkeypatch)


async def test_the_first_stream_is_sent_at_once(sent: Sent) -> None:
    """A line is seen when it is written."""
    sent.put("stdout", "a")
    assert sent.texts() == [("stdout", "a")]


async def test_what_comes_quickly_is_merged(sent: Sent) -> None:
    """A thousand writes in a moment are two messages."""
    for number in range(1000):
        sent.put("stdout", f"{number}\n")
    sent.outlet.flush()
    assert sent.texts() == [("stdout", "0\n"), ("stdout", "".join(f"{number}\n" for number in range(1, 1000)))]


async def test_what_waits_is_sent_by_itself(sent: Sent, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text that waits goes out after its interval, though nothing follows it."""
    monkeypatch.setattr(iopub, "EVERY_S", 0.001)
    sent.put("stdout", "a")
    sent.put("stdout", "b")
    assert sent.texts() == [("stdout", "a")]
    for _ in range(100):
        if len(sent.messages) == 2:
            break
        await asyncio.sleep(0.001)
    assert sent.texts() == [("stdout", "a"), ("stdout", "b")]


async def test_after_the_interval_a_stream_is_sent_at_once(sent: Sent) -> None:
    """A cell that prints now and then is not delayed."""
    for text in "abc":
        sent.put("stdout", text)
        sent.now += iopub.EVERY_S
    assert sent.texts() == [("stdout", "a"), ("stdout", "b"), ("stdout", "c")]


async def test_streams_keep_their_order(sent: Sent) -> None:
    """What goes to the other stream comes after what was waiting for the first."""
    for name, text in (("stdout", "a"), ("stdout", "b"), ("stderr", "c"), ("stderr", "d"), ("stdout", "e")):
        sent.put(name, text)
    sent.outlet.flush()
    assert "".join(text for _, text in sent.texts()) == "abcde"
    assert [name for name, text in sent.texts() for _ in text] == ["stdout", "stdout", "stderr", "stderr", "stdout"]


async def test_other_messages_come_after_what_waits(sent: Sent) -> None:
    """A display is sent at once and never overtakes text."""
    sent.put("stdout", "a")
    sent.put("stdout", "b")
    sent.outlet.put(("display_data", {"data": {}}))
    sent.outlet.put(("clear_output", {"wait": True}))
    assert sent.messages == [
        ("stream", {"name": "stdout", "text": "a"}),
        ("stream", {"name": "stdout", "text": "b"}),
        ("display_data", {"data": {}}),
        ("clear_output", {"wait": True}),
    ]


async def test_flushing_twice_sends_nothing(sent: Sent) -> None:
    """An empty outlet sends no empty message."""
    sent.outlet.flush()
    sent.put("stdout", "")
    sent.outlet.flush()
    assert sent.messages == []


def test_a_reply_has_pages_and_values() -> None:
    """Pages become payloads of plain text alone, bounded in number and length; values are cleaned as outputs are."""
    reply = iopub.Reply({"a": "1", "b": "2", "gone": "3", "odd": 4})  # type: ignore[dict-item]
    assert reply.asked == {"a": "1", "b": "2", "gone": "3"}
    reply.take(wire.Page({"text/plain": "p\x1b]0;t\x07", "text/html": "<script>"}))
    reply.take(wire.Page({"text/html": "<script>"}))
    bad = {"status": "error", "ename": "E\x1b[2J", "evalue": 5, "traceback": ["t", 6], "payload": "p"}
    good = {"status": "ok", "data": DATA, "metadata": META, "payload": "p"}
    reply.take(wire.Expressions({"a": good, "b": bad, "unasked": good}))
    assert reply.content() == {
        "status": "ok",
        "payload": [{"source": "page", "data": {"text/plain": "p"}, "start": 0}],
        "user_expressions": {
            "a": {"status": "ok", "data": SHOWN, "metadata": {"image/png": {"width": 3}}},
            "b": {"status": "error", "ename": "E", "evalue": "5", "traceback": ["t"]},
        },
    }
    for _ in range(100):
        reply.take(wire.Page({"text/plain": "x" * 10**6}))
    pages = reply.content()["payload"]
    assert len(pages) == iopub.MOST_PAGES and len(pages[-1]["data"]["text/plain"]) == iopub.PAGE_CHARACTERS


@pytest.mark.parametrize("said", [None, 5, [], {"status": "ok"}, {"status": "ok", "data": 5, "metadata": []}, {"data": {}}])
def test_a_value_of_any_shape(said: object) -> None:
    """Whatever a guest sends as a value, the reply has the form that the protocol demands."""
    reply = iopub.Reply({"a": "1"})
    reply.take(wire.Expressions({"a": said}))
    value = reply.content()["user_expressions"]["a"]
    assert set(value) in ({"status", "data", "metadata"}, {"status", "ename", "evalue", "traceback"})


def test_an_error_is_the_reply() -> None:
    """After an error the reply is that error, without pages."""
    reply = iopub.Reply({})
    reply.take(wire.Page({"text/plain": "p"}))
    reply.take(wire.Error("E", "v", ["l"]))
    assert reply.content() == {"status": "error", "ename": "E", "evalue": "v", "traceback": ["l"]}

"""Which widgets the host knows, and what it makes of a guest's words about them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sandbox_kernel import iopub, widgets
from sandbox_kernel.comms import MOST_SAID, Comms
from sandbox_kernel.guest import wire
from sandbox_kernel.state.history import Point

TEXT = {"_model_name": "TextModel", "_model_module": "@jupyter-widgets/controls", "value": "a"}
HTML = {"_model_name": "HTMLModel", "_model_module": "@jupyter-widgets/controls", "value": "<b>a</b><script>b</script>"}
VIEW = {"model_id": "a", "version_major": 2, "version_minor": 0}


class Front:
    """A front end that is told of widgets."""

    def __init__(self, allowed: str = "controls") -> None:
        self.comms = Comms(allowed)
        self.told: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self._outlet = iopub.Outlet(lambda kind, content, **more: self.told.append((kind, content, more)), "request")

    def hear(self, *events: wire.Comm) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        """Return what is told of the events."""
        self.told.clear()
        for event in events:
            self.comms.put(event, self._outlet)
        self._outlet.flush()
        return list(self.told)

    def kinds(self, *events: wire.Comm) -> list[str]:
        """Return the types of the messages for the events."""
        return [kind for kind, _, _ in self.hear(*events)]


def opened(name: str, state: Any, **fields: Any) -> wire.Comm:
    return wire.Comm("open", name, widgets.TARGET, **{"data": {"state": state}, "metadata": {"version": "2.1.0"}, **fields})


def update(name: str, state: Any, method: str = "update", **fields: Any) -> wire.Comm:
    return wire.Comm("msg", name, data={"method": method, "state": state}, **fields)


async def test_a_widgets_life() -> None:
    """A widget is opened, updated and closed by messages of Jupyter's; what is not in them is not passed on."""
    front = Front()
    more = {"metadata": {"version": "2.1.0", "more": 1}, "data": {"state": HTML, "more": 1, "buffer_paths": []}}
    clean = {**HTML, "value": "<b>a</b>"}
    assert front.hear(opened("a", HTML, **more)) == [
        (
            "comm_open",
            {"comm_id": "a", "target_name": widgets.TARGET, "data": {"state": clean, "buffer_paths": []}},
            {"metadata": {"version": "2.1.0"}, "buffers": []},
        )
    ]
    assert front.comms.open == {"a"}
    for method in ("update", "echo_update"):
        data = {"method": method, "state": {"value": "x<b>y</b>"}, "buffer_paths": []}
        said = update("a", {"value": "x<b onclick=z()>y</b>"}, method, metadata={"a": 1})
        assert front.hear(said) == [("comm_msg", {"comm_id": "a", "data": data}, {"buffers": []})]
    assert front.hear(wire.Comm("close", "a", data={"a": 1})) == [("comm_close", {"comm_id": "a", "data": {}}, {})]
    assert front.comms.open == frozenset()
    assert front.hear(update("a", {"value": 1}), wire.Comm("close", "a")) == []


async def test_pictures_have_their_bytes() -> None:
    """The bytes of a picture go beside the message; those of anything else do not."""
    front = Front()
    image = {"_model_name": "ImageModel", "_model_module": "@jupyter-widgets/controls", "format": "png"}
    data = {"state": image, "buffer_paths": [["value"], ["__proto__", "x"]]}
    [(_, content, more)] = front.hear(opened("a", image, data=data, buffers=["YWJj", "YWJj"]))
    assert (content["data"]["buffer_paths"], more["buffers"]) == ([["value"]], [b"abc"])


@pytest.mark.parametrize(
    "event",
    [
        opened("a", {"_model_name": "AnyModel", "_model_module": "anywidget", "_esm": "alert(1)"}),
        opened("a", {}),
        opened("a", None),
        opened("a", [TEXT]),
        opened("a", TEXT, metadata={}),
        opened("a", TEXT, metadata={"version": 2}),
        opened("a", TEXT, metadata={"version": "3.0"}),
        wire.replace(opened("a", TEXT), target="jupyter.widget.control"),
        wire.replace(opened("a", TEXT), target="lsp"),
        wire.replace(opened("a", TEXT), target=""),
    ],
)
async def test_a_widget_that_is_refused_does_not_live(event: wire.Comm) -> None:
    """What is no widget of those that may be shown is told of once, and nothing more of it passes."""
    front = Front()
    assert front.kinds(event, event, update("a", {"value": 1}), wire.Comm("close", "a")) == ["stream"]
    assert front.told[0][1]["text"].endswith("Runner.widgets says which may be shown.]\n")
    assert front.comms.open == frozenset()


async def test_an_identifier_is_one_model_for_good() -> None:
    """An identifier that stood for text never stands for markup: a link in the page may still copy to it."""
    front = Front()
    assert front.kinds(opened("a", TEXT), wire.Comm("close", "a"), opened("a", HTML)) == ["comm_open", "comm_close", "stream"]
    assert front.kinds(opened("a", TEXT)) == ["comm_open"]
    assert front.kinds(update("a", HTML)) == ["stream", "comm_msg"]
    state = front.told[-1][1]["data"]["state"]
    assert state == {"_model_module": TEXT["_model_module"], "value": HTML["value"]}  # text, which is drawn as text


async def test_messages_that_no_widget_says() -> None:
    """Of messages that are no state only the two that move the focus pass."""
    front = Front()
    front.hear(opened("a", TEXT))
    good = wire.Comm("msg", "a", data={"method": "custom", "content": {"do": "focus"}, "more": 1})
    data = {"method": "custom", "content": {"do": "focus"}}
    assert front.hear(good) == [("comm_msg", {"comm_id": "a", "data": data}, {"buffers": []})]
    for wrong in ({"method": "custom", "content": {"do": "eval"}}, {"method": "update_states"}, {}, {"method": ["update"]}):
        assert "comm_msg" not in front.kinds(wire.Comm("msg", "a", data=wrong))
    assert "comm_msg" not in front.kinds(update("a", None), update("a", "x"))


async def test_complaints_are_few() -> None:
    """Each thing that is left out is named once, and after many nothing more is said."""
    front = Front()
    front.hear(opened("a", TEXT))
    for _ in range(2):
        front.hear(*(update("a", {f"bad{number}\x1b[2J\n" * 50: 1}) for number in range(MOST_SAID * 2)))
    front.hear(update("a", {"bad": 1}))
    assert front.kinds(update("a", {"bad": 1})) == ["comm_msg"]
    assert len(front.comms._said) == MOST_SAID


async def test_no_widgets_at_all() -> None:
    """With `none` no widget is opened, and a view of one is its text."""
    front = Front("none")
    assert front.kinds(opened("a", TEXT), opened("b", TEXT)) == ["stream"]
    shown = front.comms.shown(wire.Display({"text/plain": "Text()", widgets.VIEW: VIEW}))
    assert shown == wire.Display({"text/plain": "Text()"})


async def test_trusted_widgets_are_passed_on() -> None:
    """With `trusted` any widget passes as it is, but for what no message can carry."""
    front = Front("trusted")
    state = {"_model_name": "AnyModel", "_model_module": "anywidget", "_esm": "x", "bad": "\ud800", "deep": [{"a": 1}]}
    data = {"state": state, "buffer_paths": [["x", 0]]}
    [(_, content, more)] = front.hear(opened("a", state, data=data, buffers=["YQ=="]))
    assert content["data"] == {"state": {**state, "bad": "?"}, "buffer_paths": [["x", 0]]}
    assert more["buffers"] == [b"a"]
    assert front.kinds(wire.Comm("msg", "a", data={"method": "custom", "content": {"any": 1}}, buffers=["?"])) == ["stream"]
    assert front.kinds(wire.Comm("msg", "a", data={"method": "custom", "content": {"any": 1}})) == ["comm_msg"]
    assert front.kinds(wire.replace(opened("b", state), target="other")) == ["stream"]


@pytest.mark.parametrize(
    ("view", "shows"), [(VIEW, True), ({**VIEW, "model_id": "b"}, False), ({**VIEW, "more": 1}, False), ("a", False)]
)
async def test_a_view_is_of_a_widget_that_lives(view: Any, shows: bool) -> None:
    """A view is shown when its widget lives; else what is shown is the rest."""
    front = Front()
    front.hear(opened("a", TEXT))
    for event in (
        wire.Display({"text/plain": "x", widgets.VIEW: view}),
        wire.Result({"text/plain": "x", widgets.VIEW: view}),
    ):
        message = iopub.message(front.comms.shown(event), 1)
        assert message is not None
        assert message[1]["data"] == ({"text/plain": "x", widgets.VIEW: view} if shows else {"text/plain": "x"})


async def test_widgets_go_where_the_session_goes() -> None:
    """The widgets of a point are those that lived when it was made; those of a cell that died are gone with it."""
    front = Front()
    front.hear(opened("a", TEXT))
    snapshot: Any = None
    point = Point(1, "1", snapshot, 0, mark=front.comms.open)
    before = front.comms.open
    front.hear(opened("b", TEXT))
    execution: Any = SimpleNamespace(finished=wire.Finished("ok", lives=True))
    front.comms.settle(execution, before)
    assert front.comms.open == {"a", "b"}
    for ended in (wire.Finished("timeout"), None):
        front.hear(opened("c", TEXT))
        front.comms.settle(SimpleNamespace(finished=ended), before)  # type: ignore[arg-type]
        assert front.comms.open == {"a"}
    front.comms.go_to(None)
    assert front.comms.open == frozenset()
    front.comms.go_to(point)
    assert front.comms.open == {"a"}
    front.comms.go_to(Point(2, "load", snapshot, 1))
    assert front.comms.open == frozenset()

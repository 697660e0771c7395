"""The words of host and guest as JSON, and what of hostile JSON is a word at all."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from sandbox_kernel.guest import events, notation, wire

DIGEST = "0123456789abcdef" * 4
#: All events that there are.
KINDS = {kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__}

#: Every event with the bytes that stand for it; read in both directions.
EVENTS = [
    pytest.param(wire.Ready("3.11.2", "Linux 4.4.0"), b'["ready",{"python":"3.11.2","system":"Linux 4.4.0"}]', id="ready"),
    pytest.param(wire.Started(7), b'["started",{"cell":7}]', id="started"),
    pytest.param(wire.Stream("stdout", "a\n"), b'["stream",{"name":"stdout","text":"a\\n"}]', id="stdout"),
    pytest.param(
        wire.Stream("stderr", "\x1b[31m\u00e4\U0001f600\x00"),
        b'["stream",{"name":"stderr","text":"\\u001b[31m\\u00e4\\ud83d\\ude00\\u0000"}]',
        id="stderr beyond ASCII",
    ),
    pytest.param(
        wire.Display({"text/plain": "x", "application/json": [1, None]}, {"image/png": {"width": 3}}, "id", update=True),
        b'["display",{"data":{"text/plain":"x","application/json":[1,null]},'
        b'"metadata":{"image/png":{"width":3}},"display_id":"id","update":true}]',
        id="display",
    ),
    pytest.param(
        wire.Display({}), b'["display",{"data":{},"metadata":{},"display_id":null,"update":false}]', id="empty display"
    ),
    pytest.param(wire.ClearOutput(wait=True), b'["clear",{"wait":true}]', id="clear"),
    pytest.param(wire.Result({"text/plain": "42"}), b'["result",{"data":{"text/plain":"42"},"metadata":{}}]', id="result"),
    pytest.param(
        wire.Error("KeyError", "'x'", ["Traceback:", "KeyError: 'x'"]),
        b'["error",{"name":"KeyError","value":"\'x\'","traceback":["Traceback:","KeyError: \'x\'"],"missing":null}]',
        id="error",
    ),
    pytest.param(
        wire.Error("FileNotFoundError", "", [], "a.csv"),
        b'["error",{"name":"FileNotFoundError","value":"","traceback":[],"missing":"a.csv"}]',
        id="error with a missing file",
    ),
    pytest.param(wire.File("a.txt", 3, "YWJj"), b'["file",{"name":"a.txt","size":3,"content":"YWJj"}]', id="file"),
    pytest.param(wire.File("b", 2**40, None), b'["file",{"name":"b","size":1099511627776,"content":null}]', id="a large one"),
    pytest.param(wire.Truncated(8388608), b'["truncated",{"limit_bytes":8388608}]', id="truncated"),
    pytest.param(wire.Heartbeat(), b'["heartbeat",{}]', id="heartbeat"),
    pytest.param(
        wire.Finished("ok", 0, 0.5, 0.25),
        b'["finished",{"outcome":"ok","exit_status":0,"wall_s":0.5,"cpu_s":0.25,"reason":null,"lives":false}]',
        id="finished",
    ),
    pytest.param(
        wire.Finished("out_of_memory", 137, 2, None, "too much"),
        b'["finished",{"outcome":"out_of_memory","exit_status":137,"wall_s":2,"cpu_s":null,'
        b'"reason":"too much","lives":false}]',
        id="finished badly",
    ),
    pytest.param(
        wire.Finished("error", 1, 1, 1, lives=True),
        b'["finished",{"outcome":"error","exit_status":1,"wall_s":1,"cpu_s":1,"reason":null,"lives":true}]',
        id="finished, and its process goes on",
    ),
    pytest.param(wire.Names([["x", "int", 28]]), b'["names",{"names":[["x","int",28]]}]', id="names"),
    pytest.param(
        wire.Part(DIGEST, 5, 2, "YWJj"),
        b'["part",{"digest":"' + DIGEST.encode() + b'","size":5,"offset":2,"data":"YWJj"}]',
        id="part",
    ),
    pytest.param(
        wire.Saved([[DIGEST, 5]], [["x", "it is a socket"]]),
        b'["saved",{"parts":[["' + DIGEST.encode() + b'",5]],"lost":[["x","it is a socket"]]}]',
        id="saved",
    ),
    pytest.param(wire.NotSaved("too late"), b'["not_saved",{"reason":"too late"}]', id="not saved"),
    pytest.param(wire.Unloadable("cut"), b'["unloadable",{"reason":"cut"}]', id="unloadable"),
    pytest.param(wire.Told("hello"), b'["told",{"text":"hello"}]', id="told"),
    pytest.param(
        wire.InputRequest("name: ", password=True),
        b'["input_request",{"prompt":"name: ","password":true}]',
        id="a question",
    ),
    pytest.param(wire.Taken(2), b'["taken",{"messages":2}]', id="taken"),
    pytest.param(wire.Page({"text/plain": "x"}), b'["page",{"data":{"text/plain":"x"}}]', id="page"),
    pytest.param(
        wire.Expressions({"a": {"status": "ok"}}), b'["expressions",{"values":{"a":{"status":"ok"}}}]', id="expressions"
    ),
    pytest.param(wire.Seen(3, "null"), b'["seen",{"number":3,"text":"null"}]', id="seen"),
    pytest.param(wire.Outline('{"names":{}}'), b'["outline",{"text":"{\\"names\\":{}}"}]', id="outline"),
    pytest.param(
        wire.Comm("open", "a1", "jupyter.widget", {"state": {"value": 1}}, {"version": "2.1.0"}, ["YWJj"]),
        b'["comm",{"kind":"open","id":"a1","target":"jupyter.widget","data":{"state":{"value":1}},'
        b'"metadata":{"version":"2.1.0"},"buffers":["YWJj"]}]',
        id="a widget",
    ),
]


@pytest.mark.parametrize(("event", "data"), EVENTS)
def test_events_are_written(event: wire.Event, data: bytes) -> None:
    """An event has one spelling: ASCII JSON without spaces or newlines."""
    assert wire.dump(event) == data


@pytest.mark.parametrize(("event", "data"), EVENTS)
def test_events_are_read(event: wire.Event, data: bytes) -> None:
    """What was written is read as the same event."""
    assert wire.load_event(data) == event


def test_every_kind_of_event_is_in_the_table() -> None:
    """No event is forgotten here, but for the two that the decoder makes."""
    shown = {type(case.values[0]) for case in EVENTS}
    assert shown == KINDS - {wire.Gap, wire.Noise}
    assert shown == {kind for kind, _ in events.TABLE.values()}


def test_messages_are_read_as_written() -> None:
    """The cell arrives in the guest as the host made it."""
    cell = wire.Cell(
        3,
        "print('ä')\x00\ud800",
        name="Cell In[3]",
        timeout_s=1.5,
        grace_s=3.0,
        answer_s=60.0,
        output_bytes=10,
        files={"a/b.txt": "YWJj"},
        collect_bytes=5,
        silent=True,
        comm={"kind": "msg", "id": "a", "data": {"method": "update"}},
    )
    assert wire.load_message(wire.dump(cell)) == cell
    others = (wire.Cell(1, ""), wire.Wake("abc", anew=True), wire.Ask(), wire.Input("x"), wire.Input(None), wire.Interrupt())
    others += (wire.Look(1, "name", "np.sum"), wire.Look(2, "paths", "a/"), wire.Look(3, "members", "a[0]"))
    assert [wire.load_message(wire.dump(message)) for message in others] == list(others)


def test_fields_with_a_default_may_be_missing() -> None:
    """A guest of an older version may leave out what has a default."""
    assert wire.load_event(b'["display",{"data":{}}]') == wire.Display({})
    assert wire.load_event(b'["finished",{"outcome":"ok"}]') == wire.Finished("ok")


def test_of_two_values_of_one_field_the_last_counts() -> None:
    """A field that is given twice is what its last value says, which is the one that is checked."""
    assert wire.load_event(b'["stream",{"name":7,"name":"stdout","text":"a"}]') == wire.Stream("stdout", "a")
    assert wire.load_event(b'["stream",{"name":"stdout","name":7,"text":"a"}]') is None


WRONG = [
    pytest.param(b"", id="empty"),
    pytest.param(b"[", id="cut"),
    pytest.param(b"nonsense", id="no JSON"),
    pytest.param(b'"stream"', id="a string"),
    pytest.param(b"7", id="a number"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="no kind"),
    pytest.param(b'["heartbeat"]', id="no fields"),
    pytest.param(b'["heartbeat",{},{}]', id="three items"),
    pytest.param(b'{"heartbeat":{},"b":{}}', id="an object of two"),
    pytest.param(b'["heartbeat",null]', id="fields null"),
    pytest.param(b'["heartbeat",[1]]', id="fields a list"),
    pytest.param(b'["heartbeat","ab"]', id="fields a string"),
    pytest.param(b"[[],{}]", id="kind a list"),
    pytest.param(b"[{},{}]", id="kind an object"),
    pytest.param(b"[null,{}]", id="kind null"),
    pytest.param(b'["comm_open",{}]', id="unknown kind"),
    pytest.param(b'["gap",{"first":0,"last":1}]', id="a gap is the decoder's"),
    pytest.param(b'["noise",{"text":"a"}]', id="noise is the decoder's"),
    pytest.param(b'["cell",{"number":1,"code":"1"}]', id="a message is no event"),
    pytest.param(b'["heartbeat",{"x":1}]', id="unknown field"),
    pytest.param(b'["heartbeat",{"__class__":1}]', id="a dunder field"),
    pytest.param(b'["stream",{"name":"stdout"}]', id="missing field"),
    pytest.param(b'["finished",{"outcome":"lost"}]', id="lost is the host's word"),
    pytest.param(b'["started",{"cell":1}] x', id="something behind it"),
    pytest.param(b'["started",{"cell":' + b"9" * 5000 + b"}]", id="a number of 5000 digits"),
    pytest.param(b"[" * 100_000, id="deep nesting, cut"),
    pytest.param(b'["display",{"data":{"application/json":' + b"[" * 100_000 + b"]" * 100_000 + b"}}]", id="deep nesting"),
    pytest.param(b'["display",{"data":{"a":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_000 + b"}}]", id="deep objects"),
    pytest.param(b'["stream",{"name":"stdout","text":"\xff"}]', id="not UTF-8"),
    pytest.param(b"\xff\xfe[\x00", id="UTF-16, cut"),
    pytest.param(b'["heartbeat",[]]', id="fields an empty list"),
    pytest.param(b'["heartbeat",""]', id="fields an empty string"),
    pytest.param(b'["stream",["name","text"]]', id="fields a list of names"),
]


@pytest.mark.parametrize("data", WRONG)
def test_what_is_no_event_is_none(data: bytes) -> None:
    """Bytes that are no event of this version are None and raise nothing."""
    assert wire.load_event(data) is None


PART = {"digest": DIGEST, "size": 1, "offset": 0, "data": "YQ=="}
COMM = {"kind": "open", "id": "a"}
#: For each field of each event, values that may not stand there.
WRONG_VALUES: list[tuple[str, dict[str, Any], str, list[Any]]] = [
    ("ready", {"python": "3", "system": "L"}, "python", [None, 3, ["3"]]),
    ("ready", {"python": "3", "system": "L"}, "system", [None, 3, {}]),
    ("started", {"cell": 1}, "cell", [None, -1, 1.0, True, "1", 2**53 + 1, 10**400]),
    ("stream", {"name": "stdout", "text": "a"}, "name", ["stdin", "", None, 1, ["stdout"], {}]),
    ("stream", {"name": "stdout", "text": "a"}, "text", [None, 1, ["a"], {"a": 1}]),
    ("display", {"data": {}}, "data", [None, [], "a", 1]),
    ("display", {"data": {}}, "metadata", [None, [], "a"]),
    ("display", {"data": {}}, "display_id", [1, [], {}, False]),
    ("display", {"data": {}}, "update", [None, 0, 1, "true"]),
    ("clear", {"wait": False}, "wait", [None, 0, "no"]),
    ("result", {"data": {}}, "data", [None, [["a", 1]], "a"]),
    ("result", {"data": {}}, "metadata", [None, 1]),
    ("error", {"name": "E", "value": "", "traceback": []}, "name", [None, 1, []]),
    ("error", {"name": "E", "value": "", "traceback": []}, "value", [None, 1, {}]),
    ("error", {"name": "E", "value": "", "traceback": []}, "traceback", [None, "a", [1], [None], {"a": "b"}]),
    ("error", {"name": "E", "value": "", "traceback": []}, "missing", [1, ["a"], False]),
    ("file", {"name": "a", "size": 0, "content": ""}, "name", [None, 1, []]),
    ("file", {"name": "a", "size": 0, "content": ""}, "size", [None, -1, 0.5, "0", True]),
    ("file", {"name": "a", "size": 0, "content": ""}, "content", [1, [], {}]),
    ("truncated", {"limit_bytes": 1}, "limit_bytes", [None, -1, 1.5, "1"]),
    ("finished", {"outcome": "ok"}, "outcome", [None, "", "OK", 0, ["ok"], {"ok": 1}]),
    ("finished", {"outcome": "ok"}, "exit_status", [0.0, "0", True, 2**32, -(2**31) - 1, 10**400]),
    ("finished", {"outcome": "ok"}, "wall_s", [None, -1, "1", True, 1e9, 10**400]),
    ("finished", {"outcome": "ok"}, "cpu_s", [-0.1, "1", False, 1e300]),
    ("finished", {"outcome": "ok"}, "reason", [1, [], {}]),
    ("finished", {"outcome": "ok"}, "lives", [None, 0, 1, "true"]),
    (
        "names",
        {"names": [["x", "int", 1]]},
        "names",
        [None, "x", {"x": 1}, ["x"], [["x"]], [["x", "int", 1, 1]], [["x", "", -1]]],
    ),
    (
        "part",
        PART,
        "digest",
        [None, "", "../" + "a" * 61, "A" * 64, "a" * 63, "a" * 65, "a" * 63 + "/", "\u0661" * 64, ["a"] * 64],
    ),
    ("part", PART, "size", [None, -1, 1.5, "1", True]),
    ("part", PART, "offset", [None, -1, 0.0, "0", False]),
    ("part", PART, "data", [None, 1, ["YQ=="]]),
    ("saved", {"parts": []}, "parts", [None, {}, [DIGEST], [[DIGEST]], [[DIGEST, -1]], [["../x", 1]], [[1, DIGEST]]]),
    ("saved", {"parts": []}, "lost", [None, {"x": "y"}, ["x"], [["x"]], [["x", 1]], [["x", "y", "z"]]]),
    ("not_saved", {"reason": "a"}, "reason", [None, 1, ["a"]]),
    ("unloadable", {"reason": "a"}, "reason", [None, 1, ["a"]]),
    ("told", {"text": "a"}, "text", [None, 1, ["a"]]),
    ("input_request", {"prompt": ""}, "prompt", [None, 1, ["a"]]),
    ("taken", {"messages": 1}, "messages", [None, -1, 1.5, True]),
    ("input_request", {"prompt": ""}, "password", [None, 0, "true"]),
    ("page", {"data": {}}, "data", [None, "a", ["a"]]),
    ("expressions", {"values": {}}, "values", [None, "a", ["a"]]),
    ("outline", {"text": "{}"}, "text", [None, 1, {}]),
    ("seen", {"number": 1, "text": "{}"}, "number", [None, -1, "1"]),
    ("seen", {"number": 1, "text": "{}"}, "text", [None, 1, {}]),
    ("comm", COMM, "kind", [None, "opened", ["open"], 1]),
    ("comm", COMM, "id", [None, "", "a" * 65, "a b", "../a", "a\n", "<b>", "\u0661", 1, ["a"]]),
    ("comm", COMM, "target", [None, 1, ["a"]]),
    ("comm", COMM, "data", [None, "a", ["a"]]),
    ("comm", COMM, "metadata", [None, "a", ["a"]]),
    ("comm", COMM, "buffers", [None, "a", [1], {"a": "b"}]),
]


@pytest.mark.parametrize(
    ("kind", "fields", "name", "value"),
    [
        pytest.param(kind, fields, name, value, id=f"{kind}.{name} {number}={str(value)[:20]}")
        for kind, fields, name, values in WRONG_VALUES
        for number, value in enumerate(values)
    ],
)
def test_a_wrong_type_is_no_event(kind: str, fields: dict[str, Any], name: str, value: object) -> None:
    """Each field takes its own type and range and nothing else, and the rest of the table's event is fine."""
    assert wire.load_event(json.dumps([kind, fields]).encode()) is not None
    assert wire.load_event(json.dumps([kind, {**fields, name: value}]).encode()) is None


def test_every_field_is_in_the_table() -> None:
    """No field of an event is left unchecked here."""
    shown = {(kind, name) for kind, _, name, _ in WRONG_VALUES}
    assert shown == {(kind, name) for kind, (_, checks) in events.TABLE.items() for name in checks}


#: Values, and what stands for them.
WRITTEN = [
    pytest.param(None, "null", id="null"),
    pytest.param([True, False, 0, -7, 2**70], f"[true,false,0,-7,{2**70}]", id="numbers"),
    pytest.param([0.1, -1e300, 1e-7], "[0.1,-1e+300,1e-07]", id="floats"),
    pytest.param({"a": {"b": []}, "": {}}, '{"a":{"b":[]},"":{}}', id="nested"),
    pytest.param('"\\\n\0é\U0001f600\ud800', '"\\"\\\\\\n\\u0000\\u00e9\\ud83d\\ude00\\ud800"', id="text"),
]


@pytest.fixture(params=["as here", "as elsewhere"])
def made_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What json is made of here, and in a Python that makes it of something else."""
    if request.param == "as elsewhere":
        monkeypatch.setattr(notation, "_json", None)
        for name, reading in (("_any", (float, float)), ("_exact", (notation._finite, notation._refuse))):
            monkeypatch.setattr(notation, name, notation._scan(notation._Reading(*reading)))


@pytest.mark.usefixtures("made_of")
@pytest.mark.parametrize(("value", "text"), WRITTEN)
def test_json_is_written_and_read(value: object, text: str) -> None:
    """As json does, without blanks."""
    assert notation.dumps(value) == notation.dumps(value, exact=True) == json.dumps(value, separators=(",", ":")) == text
    for exact in (False, True):
        assert notation.loads(text, exact=exact) == notation.loads(f" {text}\n".encode(), exact=exact) == value


@pytest.mark.usefixtures("made_of")
@pytest.mark.parametrize(
    "text", ["", " ", "[", "[1,]", "{1:2}", "nul", "[] []", "'a'", '"\n"', "01", b"\xff", b"\xff\xfe1\0", "\ufeff1"]
)
def test_what_is_no_json(text: str | bytes) -> None:
    """Is a ValueError, in whatever way it is none."""
    with pytest.raises(ValueError):  # noqa: PT011 - as json raises it
        notation.loads(text)


@pytest.mark.usefixtures("made_of")
def test_what_json_cannot_hold() -> None:
    """Cannot be written; numbers that are none can, where nobody asks for exactness. A failure leaves nothing behind."""
    circle: list[object] = []
    circle.append(circle)
    for value, kind in ((object(), TypeError), ({1: b""}, TypeError), (circle, ValueError), ({(): 1}, TypeError)):
        with pytest.raises(kind):
            notation.dumps(value)
    circle.clear()
    assert notation.dumps(circle) == "[]"
    assert notation.dumps([float("inf"), float("nan")]) == "[Infinity,NaN]"
    assert notation.loads("[Infinity]") == [float("inf")]
    with pytest.raises(ValueError):  # noqa: PT011 - as json raises it
        notation.dumps(float("nan"), exact=True)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    """JSON has no NaN and no infinity, whatever Python's reader takes."""
    for data in (f'["finished",{{"outcome":"ok","wall_s":{number}}}]', f'["display",{{"data":{{"a":{number}}}}}]'):
        assert wire.load_event(data.encode()) is None


def test_numbers_over_the_range_are_refused() -> None:
    """A number that no float holds is none either."""
    assert wire.load_event(b'["display",{"data":{"application/json":1e999}}]') is None
    assert wire.load_event(b'["display",{"data":{"application/json":[-1e999]}}]') is None


def test_wrong_messages_are_none() -> None:
    """The guest reads messages by the same rules."""
    for data in (b"", b"[]", b'["stream",{"name":"stdout","text":"a"}]', b'["cell",{"number":1}]', b'["cell",{"code":1}]'):
        assert wire.load_message(data) is None
    assert wire.load_message(b'["cell",{"number":1,"code":"1","files":{"a":1}}]') is None
    assert wire.load_message(b'["cell",{"number":1,"code":"1","timeout_s":-1}]') is None
    for data in (b'["wake",{}]', b'["wake",{"session":1}]', b'["wake",{"session":"a","anew":1}]', b'["ask",{"x":1}]'):
        assert wire.load_message(data) is None


def test_a_word_has_a_value_for_each_of_its_names() -> None:
    """None is missing, none is twice, and none is there that nobody knows: who reads a frame relies on it."""
    for values, named in [((), {}), ((1, 2), {}), ((1,), {"cell": 1}), ((1,), {"other": 1})]:
        with pytest.raises(TypeError):
            wire.Started(*values, **named)
    assert wire.Started(1) == wire.Started(cell=1) != wire.Started(2)
    assert wire.Ask() != wire.Interrupt()


def test_a_default_that_can_be_changed_is_its_own() -> None:
    """What is put into one event is not in the next."""
    wire.Display({}).metadata["width"] = 1
    assert wire.Display({}) == wire.Display({}, {}) != wire.Display({}, {"width": 1})


def test_a_word_stays_as_it_is() -> None:
    """It can be a key, be copied and shown; to change a value makes another one."""
    stream = wire.Stream("stdout", "a")
    with pytest.raises(AttributeError):
        stream.text = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del stream.text
    assert wire.replace(stream, text="b") == wire.Stream("stdout", "b")
    assert {stream: 1}[copy.deepcopy(stream)] == 1
    assert repr(stream) == "Stream(name='stdout', text='a')"
    assert isinstance(stream, wire.Stream)
    match stream:
        case wire.Stream(name, text):
            assert (name, text) == ("stdout", "a")

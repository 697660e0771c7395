"""What a guest tells of its namespace: nothing of the user's runs for it, and the host believes none of it."""

from __future__ import annotations

import functools
import json
import re
import types
from pathlib import Path
from typing import Any

import guests
import pytest

from sandbox_kernel import outline as host
from sandbox_kernel.guest import looking, outline, wire

CODE = """
import json as js, os.path
numbers = [1, 2.5, 'three', object()]
d = {'one': 1, "it's": 2, 3: 4}
def f(a, b=2, /, c=None, *rest, k='x', bad=object(), **more):
    "What f does.\\n\\nAt length."
class Foo:
    "A Foo."
    limit = 3
    def __init__(self, n, m=1):
        self.n = n
    def bar(self, a, b=(1, 2)):
        "What bar does."
    @property
    def boom(self):
        "Must not be run."
        raise SystemExit
    @classmethod
    def make(cls, x): pass
    @staticmethod
    def plain(y): pass
    def _own(self): pass
foo = Foo(1)
answer = 42
_hidden = 1
"""


def made(code: str, known: list[str] | None = None, **names: Any) -> dict[str, Any]:
    """Return the outline of the namespace in which a code has run."""
    namespace: dict[str, Any] = {"__name__": "__main__", **names}
    exec(code, namespace)
    said: dict[str, Any] = json.loads(outline.make(namespace, known or []))
    return said


def test_names_are_told_with_what_they_are() -> None:
    """Each public name comes with kind, type and what is cheap to say of it."""
    names = made(CODE)["names"]
    assert list(names)[:3] == ["os", "js", "answer"]  # modules first, and the newest
    assert "_hidden" not in names
    assert names["answer"] == {"kind": "instance", "type": "int", "of": "builtins.int", "text": "42"}
    assert names["numbers"]["text"] == "[1, 2.5, 'three', <object>]"
    assert (names["d"]["keys"], names["d"]["length"]) == (["one", "it's"], 3)
    assert names["js"] | {"doc": ""} == {"kind": "module", "type": "module", "of": "json", "doc": ""}
    assert names["f"]["signature"] == "(a, b=2, /, c=None, *rest, k='x', bad=..., **more)"
    assert names["f"]["doc"] == "What f does.\n\nAt length."
    assert (names["Foo"]["of"], names["Foo"]["signature"]) == ("__main__.Foo", "(n, m=1)")
    assert (names["foo"]["of"], names["foo"]["attributes"]) == ("__main__.Foo", ["n"])


def test_types_and_modules_are_told_with_their_members() -> None:
    """The members of a class and of a module come with kind, parameters and the first line of their documentation."""
    said = made(CODE)
    assert said["types"]["__main__.Foo"]["members"] == {
        "limit": ["instance", "", ""],
        "bar": ["function", "(a, b=(1, 2,))", "What bar does."],
        "boom": ["property", "", "Must not be run."],
        "make": ["function", "(x)", ""],
        "plain": ["function", "(y)", ""],
        "_own": ["function", "()", ""],
    }
    loads = said["modules"]["json"]["members"]["loads"]
    assert loads[1].startswith("(s, *, cls=None")
    assert said["modules"]["json.decoder"]["members"]["JSONDecoder"][0] == "class"


def test_what_is_known_is_not_told_again() -> None:
    """Modules and packages' types that the host knows are left out; the notebook's own classes never are."""
    said = made(CODE, ["json", "__main__.Foo"])
    assert "json" not in said["modules"]
    assert "__main__.Foo" in said["types"]
    assert "importable" not in made(CODE, [said["mark"]])


def test_what_can_be_imported_is_told() -> None:
    """The names of modules come from the directories of sys.path, and none of them is imported."""
    found = made("")["importable"]
    assert {"json", "os", "sys", "numpy"} <= set(found)
    assert not [name for name in found if name.startswith("_")]


def test_arrays_and_tables_have_a_shape_and_columns() -> None:
    """numpy's and pandas' values are told with shape and columns."""
    names = made(
        "import numpy as np, pandas as pd\na = np.zeros((3, 4))\ndf = pd.DataFrame({'x': [1, 2], 'y y': [3, 4], 5: 0})"
    )
    assert names["names"]["a"]["shape"] == "3x4 float64"
    assert (names["names"]["df"]["shape"], names["names"]["df"]["keys"]) == ("2x3", ["x", "y y"])


HOSTILE = """
class Meta(type):
    def __getattribute__(cls, name): ran.append(name); raise SystemExit
    def __instancecheck__(cls, other): ran.append('instancecheck'); return True
    def __eq__(cls, other): ran.append('meta eq'); raise SystemExit
    def __hash__(cls): ran.append('meta hash'); raise SystemExit
class Liar(metaclass=Meta):
    "A liar."
class Touchy:
    __slots__ = ('__dict__', '__weakref__')
    def __getattribute__(self, name): ran.append(name); raise SystemExit
    def __getattr__(self, name): ran.append(name); raise SystemExit
    def __repr__(self): ran.append('repr'); raise SystemExit
    def __len__(self): ran.append('len'); raise SystemExit
    def __iter__(self): ran.append('iter'); raise SystemExit
    def __eq__(self, other): ran.append('eq'); raise SystemExit
    def __hash__(self): ran.append('hash'); raise SystemExit
    def __bool__(self): ran.append('bool'); raise SystemExit
    __class__ = property(lambda self: ran.append('class'))
class Dict(dict):
    def __iter__(self): ran.append('dict iter'); raise SystemExit
    def __len__(self): ran.append('dict len'); raise SystemExit
    def keys(self): ran.append('dict keys'); raise SystemExit
class FakeDict:
    __dict__ = property(lambda self: ran.append('dict'))
class Shape:
    def __init__(self): self.shape = Touchy
    nbytes = property(lambda self: ran.append('nbytes'))
ran = []
liar, touchy, fake, shape = type.__call__(Liar), Touchy(), FakeDict(), Shape()
ran.clear()
items = [touchy, touchy]
mapping = Dict(a=1)
wide = {i: i for i in range(100000)}
wide.update({'k%d' % i: i for i in range(100000)})
huge = 10 ** 100000
text = 'x' * 10**7
def defaults(a=touchy, b=Liar, *, c=liar): pass
defaults.__doc__ = touchy
ran.clear()
"""


def test_nothing_of_the_user_runs() -> None:
    """No property, no __getattr__, no metaclass, no repr, len, hash or equality of the user's runs."""
    namespace: dict[Any, Any] = {"__name__": "__main__"}
    exec(HOSTILE, namespace)
    namespace[1] = "not a name"
    said = json.loads(outline.make(namespace, []))
    assert namespace["ran"] == []
    names = said["names"]
    assert {"Liar", "liar", "touchy", "fake", "shape", "mapping", "defaults", "wide"} <= set(names)
    assert names["mapping"]["keys"] == ["a"]
    assert names["items"]["text"] == "[<Touchy>, <Touchy>]"
    assert names["defaults"]["signature"] == "(a=..., b=Liar, *, c=...)"
    assert len(names["text"]["text"]) <= looking.TEXT
    assert "bits" in names["huge"]["text"]


def test_it_is_bounded() -> None:
    """A namespace of any size makes an outline of at most 256 KiB, which says that it is cut; modules and the newest stay."""
    namespace: dict[str, Any] = {"__name__": "__main__", "js": json}
    namespace.update({f"v{number}": {f"key{i}" * 20: i for i in range(200)} for number in range(3000)})
    text = outline.make(namespace, [])
    said = json.loads(text)
    assert len(text) <= outline.MOST_BYTES
    assert said["cut"] is True
    assert {"js", "v2999"} <= set(said["names"])


def test_it_never_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever happens while it is made, the cell does not hear of it, and who waits for it waits no longer."""
    heard: list[wire.Event] = []

    def broken(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(outline, "make", broken)
    outline.tell(heard.append, {}, [])
    outline.tell(heard.append, {}, None)
    assert heard == [wire.Outline("")]


@pytest.mark.parametrize("python", [pytest.param(path, id=name) for name, path in guests.pythons().items()])
def test_a_guest_tells_it_before_the_end(tmp_path: Path, python: str) -> None:
    """Who asks for the outline gets it with the cell, an error or not; who does not ask gets none."""
    said = guests.run(tmp_path, CODE + "\n1/0", python, outline=[])
    [told] = said.of(wire.Outline)
    names = json.loads(told.text)["names"]
    assert {"foo", "f", "answer"} <= set(names)
    assert "display" not in names
    assert said.finished.outcome == "error"
    assert guests.run(tmp_path, "x = 1", python).of(wire.Outline) == []


def test_a_guest_with_hostile_names_ends_as_ever(tmp_path: Path) -> None:
    """Broken objects in the namespace change nothing of how a cell ends."""
    said = guests.run(tmp_path, HOSTILE + "\nprint('end')", outline=[])
    assert (said.out, said.err, said.finished.outcome) == ("end\n", "", "ok")
    assert len(said.of(wire.Outline)) == 1


# -- the host


def test_the_host_reads_what_the_guest_writes() -> None:
    """What the guest told is there on the host."""
    read = host.read(json.dumps(made(CODE)), host.Outline())
    assert read.names["f"].signature.startswith("(a, b=2, /")
    assert read.names["foo"].attributes == ("n",)
    assert read.types["__main__.Foo"].members["bar"] == host.Member("function", "(a, b=(1, 2,))", "What bar does.")
    assert "loads" in read.modules["json"].members
    assert "os" in read.importable


ESCAPE = "\x1b]52;c;aGk=\x07\x1b[2J\x9b\ud800"
NESTED = functools.reduce(lambda inner, _: [inner], range(50), "x")


@pytest.mark.parametrize(
    "said",
    [
        "",
        "nothing",
        "[1",
        "[]",
        "NaN",
        "[" * 100_000,
        '{"names": NaN}',
        '{"names": [1]}',
        '{"names": {"a": 1, "b": [], "c": null}, "types": 3, "modules": {"m": {"members": [1]}}, "importable": {"a": 1}}',
        json.dumps({"names": {"x": dict.fromkeys(["kind", "type", "of", "text", "length", "shape", "keys", "doc"], NESTED)}}),
        json.dumps(
            {"names": {"x": {"length": -1, "kind": "script", "keys": [ESCAPE, 1, None], "attributes": ["a b", "ok", 3]}}}
        ),
        json.dumps({"names": {"not a name": {}, "x;y": {}, "a" * 1000: {}, "": {}}}),
        json.dumps({"names": {"x": {"text": ESCAPE, "doc": ESCAPE, "signature": ESCAPE, "type": ESCAPE}}, "mark": ESCAPE}),
        json.dumps(
            {"types": {ESCAPE: {}, "t": {"members": {ESCAPE: [], "m": [1, ESCAPE, {}]}}}, "importable": [ESCAPE, "import"]}
        ),
        json.dumps({"names": {f"n{i}": {"doc": "x" * 1000} for i in range(3000)}}),
        json.dumps({"names": {f"n{i}": {} for i in range(3000)}}),
        json.dumps({"modules": {f"m{i}": {"members": {f"a{j}": [] for j in range(5)}} for i in range(3000)}}),
    ],
)
def test_a_hostile_outline_is_harmless(said: str) -> None:
    """Whatever a guest says, what is kept has the right types, is bounded, and holds no terminal sequences."""
    before = host.Outline({"kept": host.Variable()})
    read = host.read(said, before)
    assert len(read.names) <= host.MOST_NAMES
    assert len(read.modules) <= host.MOST_DESCRIBED
    for name, variable in read.names.items():
        assert name.isidentifier()
        assert variable.kind in host.KINDS
        assert variable.length is None or variable.length >= 0
        assert all(isinstance(text, str) for text in (*variable.keys, *variable.attributes, variable.doc, variable.text))
    assert not re.search(r"[\x00-\x08\x1b\x80-\x9f\ud800-\udfff]", repr_of(read))


def repr_of(read: host.Outline) -> str:
    """Return all texts of an outline, joined."""
    found: list[str] = [*read.importable, read.mark]
    for table in (read.types, read.modules):
        for key, value in table.items():
            found += [key, value.signature, value.doc, *value.members]
            found += [text for member in value.members.values() for text in (member.kind, member.signature, member.doc)]
    for name, item in read.names.items():
        found += [
            name,
            item.kind,
            item.type,
            item.of,
            item.text,
            item.shape,
            *item.keys,
            *item.attributes,
            item.signature,
            item.doc,
        ]
    return "\0".join(found).replace("\0", "")


def test_the_outline_goes_with_the_state() -> None:
    """Going back brings back the names of that point, and keeps what is known of packages."""
    outlines = host.Outlines()
    assert outlines.known() is None
    outlines.hear(wire.Outline('{"names":{"x":{}}}'))
    assert outlines.now == host.Outline()  # Nobody asked.
    outlines.wanted = True
    outlines.hear(wire.Outline('{"names":{"x":{}},"modules":{"json":{"members":{"loads":[]}}}}'))
    outlines.keep(1, {1})
    outlines.hear(wire.Outline('{"names":{"x":{},"y":{}},"types":{"__main__.Foo":{},"a.B":{},"c.D":{"bare":true}}}'))
    assert sorted(outlines.known() or []) == ["a.B", "json"]
    outlines.keep(2, {1, 2})
    outlines.go(1)
    assert set(outlines.now.names) == {"x"}
    assert "json" in outlines.now.modules
    outlines.go(0)
    assert outlines.now.names == {}
    outlines.keep(3, {3})
    outlines.go(2)
    assert outlines.now.names == {}


def test_looking_knows_the_language_s_own() -> None:
    """Parameters of what C made come from the interpreter; what has none has none."""
    assert looking.signature(len) == "(obj, /)"
    assert looking.signature(str.join) == "(iterable, /)"
    assert looking.signature(dict) == ""
    assert looking.kind(types) == "module"
    assert looking.kind(len) == looking.kind(functools.lru_cache(len)) == "function"

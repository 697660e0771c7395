"""What the waiting sandbox tells of one name or directory: as ipykernel does, without running any code of the user's."""

from __future__ import annotations

import asyncio
import collections
import datetime as dt
import enum
import functools
import json
import types
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pandas as pd
import pytest
from fakes import HANG, Until
from IPython.core.oinspect import Inspector
from playing import READY
from test_conversation import Talk

from sandbox_kernel import inspection
from sandbox_kernel.guest import annotated, explaining, reaching, wire


class Color(enum.Enum):
    RED = 1


def plain(a: int, b: str = "x", /, *rest: Any, c: list[int] = [1, 2], d: int | None = None, **more: Any) -> dict[str, int]:  # noqa: B006
    """Say it.

    At length.
    """
    raise NotImplementedError


@functools.wraps(plain)
def wrapped(*arguments: Any) -> None:
    """Stand for it."""


def bare(first, second=(1,), *, third={"a": 1}, fourth=None):  # noqa: B006
    return first


class Made:
    """A thing."""

    def __init__(self, size: int, name="x") -> None:
        """Make it."""

    def method(self, q=1):
        """Do it."""

    @classmethod
    def of_class(cls, q: float = 0.5) -> Made:
        """Do it for all."""

    @staticmethod
    def of_nobody(q):
        """Do it for nobody."""


made = Made(1)
NAMESPACE = {
    "plain": plain,
    "wrapped": wrapped,
    "bare": bare,
    "Made": Made,
    "made": made,
    "np": np,
    "pd": pd,
    "df": pd.DataFrame({"a": [1]}),
    "json": json,
}


def told(path: str) -> dict[str, str] | None:
    """Return what the user reads of a name."""
    return inspection.from_guest(path, json.loads(explaining.answer("name", path, NAMESPACE)))


#: Functions of each kind that there is.
FUNCTIONS = [
    "plain",
    "wrapped",
    "bare",
    "made.method",
    "Made.method",
    "Made.of_class",
    "made.of_nobody",
    "Made",
    "json.dumps",
    "pd.read_csv",
    "pd.DataFrame",
    "pd.DataFrame.merge",
    "df.head",
    "np.array",
    "np.linspace",
    "str.join",
    "len",
    "open",
]


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_function_is_told_as_ipython_tells_it(path: str) -> None:
    """Signature and documentation are whole, and the same text as ipykernel's."""
    first, *rest = path.split(".")
    thing = functools.reduce(getattr, rest, NAMESPACE.get(first, __builtins__.get(first)))  # type: ignore[attr-defined]
    theirs = Inspector(theme_name="nocolor").info(thing, path)
    mine = told(path)
    assert mine is not None
    assert mine.get("Signature", mine.get("Init signature")) == (theirs["definition"] or theirs["init_definition"])
    assert mine["Docstring"] == (theirs["docstring"] or "<no docstring>")


def test_a_value_is_told() -> None:
    """A value is told by its type, what is cheap to say of it, and the documentation of its class."""
    found = told("made") or {}
    assert (found["Type"], found["Docstring"], found["Init docstring"]) == ("Made", "A thing.", "Make it.")
    assert (told("df") or {})["Columns"] == "a"
    assert (told("pd") or {})["Docstring"].startswith("pandas - a powerful")
    assert "rand(" in (told("np.random.rand") or {})["Signature"]
    for path in ("nothing", "made.nothing", "json.nothing", "print"):
        assert told(path) is None


def _with_key(thing: Any, ran: list[str]) -> dict[Any, Any]:
    """Return a dict with a key that has the hash of a text and is compared by code of the user's."""

    class Key:
        def __hash__(self) -> int:
            return hash("x")

        def __eq__(self, other: object) -> bool:
            ran.append("eq")
            return False

    return {Key(): thing}


def test_no_code_of_the_user_s_runs() -> None:
    """Properties, descriptors, metaclasses and the texts of defaults and annotations are the user's: none is asked."""
    ran = []

    class Meta(type):
        def __getattribute__(cls, name: str) -> Any:
            ran.append(name)
            return super().__getattribute__(name)

        def __repr__(cls) -> str:
            ran.append("repr")
            return "no"

    class Hostile(metaclass=Meta):
        def __getattribute__(self, name: str) -> Any:
            ran.append(name)
            raise RuntimeError

        def __repr__(self) -> str:
            ran.append("repr")
            return "no"

        __len__ = __bool__ = __hash__ = __eq__ = __repr__  # type: ignore[assignment]

        @property
        def boom(self) -> int:
            ran.append("boom")
            return 1

        def __getitem__(self, key: object) -> int:
            ran.append("item")
            return 1

        __call__ = __getitem__

    thing = Hostile()
    names: dict[str, Any] = {"thing": thing, "Hostile": Hostile, "held": [thing], "by": {Hostile: 1, 1: thing}}
    names["keys"] = _with_key(thing, ran)
    names["frame"] = pd.DataFrame({"a": [1]})

    def function(a: Hostile = thing, b: Optional[Hostile] = None, c=[thing], d=Color.RED):  # noqa: UP045, B006
        return a

    function.__annotations__["a"] = Hostile
    names["function"] = function
    del ran[:]
    for path in ("thing", "thing.boom", "thing.other", "Hostile", "Hostile.boom", "function"):
        explaining.answer("name", path, names)
    for path in (
        "thing",
        "Hostile",
        "held[0]",
        "held[thing]",
        "by[1]",
        "keys['x'].y",
        "thing[0]",
        "thing(1)",
        "Hostile()",
        "thing.boom.x",
        "thing.other.x",
        "frame.a",
        "frame['a'][0]",
        "frame[thing]",
        "thing == thing",
        "held * 9",
    ):
        explaining.answer("members", path, names)
        explaining.answer("name", path, names)
    assert ran == []
    assert "d=<RED>" in str(explaining.explain("function", names))


class Holder:
    """Holds things in each way that there is."""

    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.slot = Made(2)
        self.inner = {"made": Made(3), 1: [Made(4)], "more": {"key": 1}}

    @property
    def told(self) -> Optional[Made]:  # noqa: UP045
        raise AssertionError

    @functools.cached_property
    def later(self) -> Made:
        raise AssertionError

    @property
    def untold(self):
        raise AssertionError

    def __getitem__(self, key: object) -> dict[str, Made]:
        raise AssertionError

    def itself(self) -> Self:  # noqa: F821
        raise AssertionError


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 - what is reached by name and by number
REACHED = {
    **NAMESPACE,
    "h": Holder(),
    "Holder": Holder,
    "Color": Color,
    "list_": [Made(1), Made(2)],
    "pair": Pair(Made(1), "x"),
    "ns": types.SimpleNamespace(a=types.SimpleNamespace(b=made)),
    "frame": pd.DataFrame({"a": [1], "b": ["x"], "when": pd.to_datetime(["2026-01-01"])}),
    "array": np.eye(3),
    "count": 1,
    "now": dt.datetime(2026, 1, 1),  # noqa: DTZ001
}

#: Whose evaluation does no harm, line by line.
EVALUATED = """
list_[0] list_[-1] list_[count] list_[0:1] pair.left pair[0] ns.a.b ns.a h.slot h.inner h.inner['made'] h.inner[1][0]
h.inner["more"] frame.a frame['a'] frame.b.str frame.plot frame.T frame.values frame.index frame.columns frame[['a']]
frame[frame.a>0] frame.head() frame.head().T frame.a[:1] frame.iloc frame.loc pd.DataFrame() Made(1)
array.T array[0] array[:2] array.shape array.dtype Color.RED now.year (1).real (1) 'a' b'a' [1,2] (1,2) {1:2} {1} 'a'[0] f'a'
json.dumps np.random np.random.rand
"""


@pytest.mark.parametrize("code", EVALUATED.split())
def test_expressions_are_reached(code: str) -> None:
    """What an expression stands for is found by looking, or by the types that are written: it is of the type it is of."""
    found, _ = reaching.reach(code, REACHED, through=True)
    assert annotated.type_of(found) is type(eval(code, dict(REACHED)))


@pytest.mark.parametrize(
    ("code", "of"),
    [
        ("h.told", Made),
        ("h.later", Made),
        ("h['x']", dict),
        ("h.itself()", Holder),
        ("h.itself().itself().told", Made),
        ("Holder().told", Made),
        ("made.of_class", None),
        ("Made.of_class()", Made),
        ("list_\n.__class__", None),
        ("pd.read_csv('x')", pd.DataFrame),
        ("h.untold", None),
        ("h.untold.x", None),
        ("nothing.x", None),
        ("list_[7]", None),
        ("h.inner['no']", None),
        ("frame.nothing", None),
        ("f(", None),
        ("1 + 1", None),
        ("list_.append", None),
        ("10**10**10", None),
        ("(" * 900, None),
    ],
)
def test_types_that_are_written_are_read(code: str, of: Optional[type]) -> None:  # noqa: UP045
    """A property, an item and a call are of the type that their annotation names; nothing is called to know it."""
    found, _ = reaching.reach(code, REACHED, through=True)
    assert (found.of if annotated.is_absent(found) else None) is of


def test_what_an_object_has_is_told() -> None:
    """Own attributes, columns, members of the class and keys are told, each with its kind and its parameters."""

    def told_of(code: str) -> Any:
        return json.loads(explaining.answer("members", code, REACHED))

    found = told_of("list_[0]")["members"]
    assert found["method"] == ["function", "(q=1)", "Do it."]
    assert {"mean", "str", "dt"} <= told_of("frame.a")["members"].keys()
    assert {"year", "day_name"} <= told_of("frame['when'].dt")["members"].keys()
    assert {"a", "b", "merge"} <= told_of("frame")["members"].keys()
    assert told_of("frame")["keys"] == ["a", "b", "when"]
    assert told_of("h.inner['more']")["keys"] == ["key"]
    assert "uniform" in told_of("np.random")["members"]
    assert told_of("h.untold") is None


def test_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are completed as a shell does: below the working directory, hidden ones when they are asked for."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "dir" / "inner").mkdir(parents=True)
    for name in ("data.csv", ".hidden", "dir/two words"):
        (tmp_path / name).touch()

    def paths(prefix: str) -> Any:
        return json.loads(explaining.answer("paths", prefix, {}))

    assert paths("") == ["data.csv", "dir/"]
    assert paths("d") == ["data.csv", "dir/"]
    assert paths(".h") == [".hidden"]
    assert paths("dir/") == ["dir/inner/", "dir/two words"]
    assert paths(f"{tmp_path}/da") == [f"{tmp_path}/data.csv"]
    assert paths("~/da") == ["~/data.csv"]
    assert paths("nowhere/") is None
    for number in range(explaining.MOST_PATHS + 10):
        (tmp_path / f"many{number}").touch()
    assert len(paths("many")) == explaining.MOST_PATHS


async def test_each_answer_comes_to_who_asked() -> None:
    """Answers have the number of their question; others, and those that nobody waits for any more, are nobody's."""
    asked = Until(lambda sandbox: len(sandbox.delivered) == 2)
    talk = Talk(READY, asked, wire.Seen(2, "two"), wire.Seen(7, "no"), wire.Seen(1, "one"), wire.Seen(1, "again"), HANG)
    await talk.conversation.open()
    both = asyncio.gather(talk.conversation.look("name", "a"), talk.conversation.look("paths", "b"))
    assert await asyncio.wait_for(both, 10) == ["one", "two"]
    assert [wire.load_message(message) for message in talk.sandbox.delivered] == [
        wire.Look(1, "name", "a"),
        wire.Look(2, "paths", "b"),
    ]
    assert talk.heard == []
    await talk.conversation.close()

"""What the waiting sandbox tells of one name or directory: as ipykernel does, without running any code of the user's."""

from __future__ import annotations

import asyncio
import enum
import functools
import json
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
from sandbox_kernel.guest import explaining, wire


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

    thing = Hostile()
    names: dict[str, Any] = {"thing": thing, "Hostile": Hostile}

    def function(a: Hostile = thing, b: Optional[Hostile] = None, c=[thing], d=Color.RED):  # noqa: UP045, B006
        return a

    function.__annotations__["a"] = Hostile
    names["function"] = function
    del ran[:]
    for path in ("thing", "thing.boom", "thing.other", "Hostile", "Hostile.boom", "function"):
        explaining.answer("name", path, names)
    assert ran == []
    assert "d=<RED>" in str(explaining.explain("function", names))


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

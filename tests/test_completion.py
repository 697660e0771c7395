"""What is proposed at a cursor, and what is told of the name there: tables over one outline."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox_kernel import completeness, completion, inspection, outline, sources
from sandbox_kernel.completion import Proposal, Question

SAID = {
    "names": {
        "df": {
            "type": "DataFrame",
            "of": "pandas.DataFrame",
            "shape": "2x3",
            "length": 2,
            "keys": ["alpha", "two words", "it's", 'a"b'],
            "attributes": ["_mgr"],
        },
        "d": {"type": "dict", "of": "builtins.dict", "keys": ["one", "it's"]},
        "foo": {"type": "Foo", "of": "__main__.Foo", "attributes": ["n"]},
        "Foo": {"kind": "class", "type": "type", "of": "__main__.Foo", "signature": "(n, m=1)", "doc": "A Foo."},
        "np": {"kind": "module", "type": "module", "of": "numpy"},
        "fun": {"kind": "function", "type": "function", "of": "builtins.function", "signature": "(data, *, deep=True)"},
        "text": {"type": "str", "of": "builtins.str", "text": "'abc'"},
        "größe": {"type": "int", "of": "builtins.int", "text": "1"},
        "unknown": {"type": "Thing", "of": "thing.Thing"},
    },
    "types": {
        "pandas.DataFrame": {
            "doc": "A table.",
            "members": {"head": ["function", "(n=5)", "The first rows."], "T": ["property"]},
        },
        "__main__.Foo": {
            "doc": "A Foo.",
            "members": {"bar": ["function", "(a, b=2)", "What bar does."], "_own": ["function"]},
        },
    },
    "modules": {
        "numpy": {
            "members": {"linspace": ["function", "(start, stop, num=50)", "Even."], "random": ["module"], "_core": ["module"]}
        },
        "numpy.random": {"members": {"uniform": ["function", "(low=0.0)", ""]}},
    },
    "importable": ["numpy", "json", "os"],
    "mark": "m",
}
OUTLINE = outline.read(json.dumps(SAID), outline.Outline())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%sandbox un", Question("command", "%sandbox", "un")),
        ("x = 1\n%sandbox ", Question("command", "%sandbox", "")),
        ("%sandbox load ", Question("word", "load", "")),
        ("%sandbox undo\n%sandbox load my-se", Question("word", "load", "my-se")),
        ("%sandbox load a b", Question("name", "", "b")),
        ("%ti", Question("magic", "", "%ti")),
        ("  %%wri", Question("magic", "", "%%wri")),
        ("import nu", Question("import", "", "nu")),
        ("import os, js", Question("import", "", "js")),
        ("import os as o, numpy.ran", Question("import", "numpy", "ran")),
        ("from nu", Question("import", "", "nu")),
        ("from numpy import lin", Question("from", "numpy", "lin")),
        ("from numpy import (a, b as c, lin", Question("from", "numpy", "lin")),
        ("    from numpy import ", Question("from", "numpy", "")),
        ('df["al', Question("key", "df", "al", '"')),
        ("x = d['", Question("key", "d", "", "'")),
        ("d[", Question("key", "d", "", "")),
        ("a.d['x", Question("key", "a.d", "x", "'")),
        ("f(1)[0][", Question("key", "f(1)[0]", "", "")),
        ("f(a, ['x", Question("path", "", "x", "'")),
        ("print('df.he", Question("path", "", "df.he", "'")),
        ('f("a", "b/c d', Question("path", "", "b/c d", '"')),
        ("x = 1  # df.he", Question("none")),
        ("!ls df.he", Question("path", "", "df.he", "!")),
        ("x = !cat two\\ words", Question("path", "", "two\\ words", "!")),
        ("  %cd da", Question("path", "cd", "da", "!")),
        ("%run ", Question("path", "", "", "!")),
        ("'it' + df.he", Question("attribute", "df", "he")),
        ("np.random.uni", Question("attribute", "np.random", "uni")),
        ("f(df).he", Question("attribute", "f(df)", "he")),
        ("x[0].he", Question("attribute", "x[0]", "he")),
        ("y = df['a].b'][-1].he", Question("attribute", "df['a].b'][-1]", "he")),
        ("(df\n  .head()  # some\n  .he", Question("attribute", "df\n  .head()", "he")),
        ("x = y\n(df).he", Question("attribute", "(df)", "he")),
        ("x..he", Question("attribute", "", "he")),
        ("'abc'.jo", Question("attribute", "'abc'", "jo")),
        ("%time df.he", Question("attribute", "df", "he")),
        ("fun(da", Question("name", "fun", "da")),
        ("fun(1, [2, 3], np.linspace(4), de", Question("name", "fun", "de")),
        ("fun([da", Question("name", "", "da")),
        ("x[0].fun(da", Question("name", "x[0].fun", "da")),
        ("if (da", Question("name", "", "da")),
        ("grö", Question("name", "", "grö")),
        ("", Question("name", "", "")),
        ("1.", Question("attribute", "", "")),
    ],
)
def test_the_text_before_the_cursor_is_understood(code: str, expected: Question) -> None:
    """The line before the cursor decides what is asked; what follows it does not."""
    assert completion.question(code, len(code)) == expected
    assert completion.question(code + "\nmore.of(it", len(code)) == expected


def matches(code: str) -> list[str]:
    """Return what is proposed at the end of a code."""
    asked = completion.question(code, len(code))
    found: list[str] = completion.reply(asked, len(code), completion.answer(asked, OUTLINE, ("undo", "rewind")) or [])[
        "matches"
    ]
    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%sandbox ", ["rewind", "undo"]),
        ("%timei", ["%timeit"]),
        ("%%timei", ["%%timeit"]),
        ("import nu", ["numpy"]),
        ("import ", ["json", "numpy", "os"]),
        ("import numpy.r", ["random"]),
        ("from numpy.", ["random"]),
        ("from numpy import l", ["linspace"]),
        ('df["', ['a\\"b', "alpha", "it's", "two words"]),
        ("df['", ['a"b', "alpha", "it\\'s", "two words"]),
        ("d[", ['"it\'s"', "'one'"]),
        ("nothing['", []),
        ("df.", ["alpha", "head", "T"]),
        ("df._m", ["_mgr"]),
        ("foo.", ["bar", "n"]),
        ("foo._", ["_own"]),
        ("Foo.b", ["bar"]),
        ("np.", ["linspace", "random"]),
        ("np.random.", ["uniform"]),
        ("text.isal", ["isalnum", "isalpha"]),
        ("str.isal", ["isalnum", "isalpha"]),
        ("unknown.", []),
        ("fun(d", ["data=", "deep=", "d", "def", "del", "delattr", "df", "dict", "dir", "divmod"]),
        ("foo.bar(1, b", ["b=", "bin", "bool", "break", "breakpoint", "bytearray", "bytes"]),
        ("grö", ["größe"]),
        ("lamb", ["lambda"]),
        ("ValueE", ["ValueError"]),
        ("'df.", []),
    ],
)
def test_what_is_proposed(code: str, expected: list[str]) -> None:
    """The proposals are what the outline and the language have under the prefix."""
    assert matches(code) == expected


@pytest.mark.parametrize("code", ["f().", "unknown.", "df.alpha.", "import elsewhere.", "from elsewhere import "])
def test_what_is_not_known_is_left_to_others(code: str) -> None:
    """None is the answer for an object of which the outline knows nothing."""
    assert completion.answer(completion.question(code, len(code)), OUTLINE) is None


def test_what_a_guest_says_is_proposed() -> None:
    """Members, keys and parameters that a guest tells are proposed as far as they are names; anything else is nothing."""
    said = {
        "members": {"grow": ["function", "(by=1)", "Grow it."], "no name": ["function", "", ""], "x": 3},
        "keys": ["it's", 3],
    }
    asked = completion.question("t[0].", 5)
    assert completion.of_guest(asked, said) == [Proposal("grow", "function", "(by=1)"), Proposal("x")]
    assert completion.of_guest(completion.question("t[0].by['", 9), said) == [Proposal("it\\'s", "dict key")]
    for nothing in (None, [], 3, "no"):
        assert completion.of_guest(asked, nothing) is None
        assert completion.arguments(nothing) == []
    assert completion.of_guest(asked, {"members": [], "keys": {}}) == []
    parts = ["a", "/", "*rest", "b: int = 1", "**more", 3, "="]
    assert [item.text for item in completion.arguments({"parameters": parts})] == ["a=", "b="]


def test_paths_are_proposed_as_they_are_written() -> None:
    """Words of a shell have their blanks escaped, strings do not; what would not be the path there is left out."""
    said = ["da/", "data.csv", "two words", 'a"b', "a'b", "x\ny", "back\\slash", 3]

    def proposed(code: str) -> list[str]:
        return [proposal.text for proposal in completion.of_paths(completion.question(code, len(code)), said)]

    assert proposed("open('") == ["da/", "data.csv", "two words", 'a"b']
    assert proposed("!cat ")[:4] == ["da/", "data.csv", "two\\ words", 'a\\"b']
    assert proposed("cd ") == ["da/"]
    assert completion.path_asked(completion.question("!cat two\\ w", 11)) == "two w"
    assert completion.of_paths(completion.question("!cat ", 5), {"no": "list"}) == []


def test_the_reply_has_the_form_of_ipykernel() -> None:
    """Matches come with where they go and what they are, in code points."""
    code = "'😀'; df.he"
    asked = completion.question(code, len(code))
    assert completion.reply(asked, len(code), completion.answer(asked, OUTLINE) or []) == {
        "status": "ok",
        "matches": ["head"],
        "cursor_start": 8,
        "cursor_end": 10,
        "metadata": {
            "_jupyter_types_experimental": [{"text": "head", "type": "function", "start": 8, "end": 10, "signature": "(n=5)"}]
        },
    }


@pytest.mark.parametrize(
    "code",
    ["(" * 100_000, "a." * 50_000, "import " + "a, " * 40_000, "x['" + "\\'" * 50_000, "from a import " + "b as c, " * 9_000],
)
def test_a_long_line_is_understood_as_quickly(code: str) -> None:
    """However long the text is, the same few thousand characters are looked at."""
    completion.reply(completion.question(code, len(code)), len(code), [])


# -- inspection


def told(code: str, cursor: int | None = None) -> dict[str, str] | None:
    """Return what is told of the name at a cursor."""
    return inspection.facts(inspection.subject(code, len(code) if cursor is None else cursor), OUTLINE)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("Foo", {"Init signature": "Foo(n, m=1)", "Type": "type", "Docstring": "A Foo."}),
        ("foo", {"Type": "Foo", "Docstring": "A Foo."}),
        ("foo.bar(", {"Signature": "bar(a, b=2)", "Type": "function", "Docstring": "What bar does."}),
        ("np.random.uniform", {"Signature": "uniform(low=0.0)", "Type": "function"}),
        (
            "df",
            {
                "Type": "DataFrame",
                "Shape": "2x3",
                "Length": "2",
                "Columns": "alpha, two words, it's, a\"b",
                "Docstring": "A table.",
            },
        ),
        ("foo.nothing", None),
        ("nothing", None),
        ("", None),
        ("1 +", None),
    ],
)
def test_what_is_told_of_a_name(code: str, expected: dict[str, str] | None) -> None:
    """A name is told with its parameters, its type, what is cheap to say of the value, and its documentation."""
    assert told(code) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("foo|.bar", "foo"),
        ("foo.b|ar(1)", "foo.bar"),
        ("x[0].b|ar(1)", "x[0].bar"),
        ("x[0].bar(|", "x[0].bar"),
        ("x[0].bar(1, y=|2)", "x[0].bar"),
        ("x[0].bar(1)|", "x[0].bar"),
        ("x[0].bar(na|me, 2)", "name"),
        ("df['a'].mean|", "df['a'].mean"),
        ("df['a'].mean()|", "df['a'].mean"),
        ("f(g(1).hei|ght, 2)", "g(1).height"),
        ("f(g(1).height|, 2)", "f"),
        ("d['a'][0]|", "d['a'][0]"),
        ("f(d['a']|", "f"),
        ("f([1, 2]|", "f"),
        ("value|", "value"),
        ("x = 'te|xt'", ""),
        ("1 + |", ""),
    ],
)
def test_what_is_asked_about(code: str, expected: str) -> None:
    """The expression at the cursor counts, or that of the call that it is in; IPython knows names alone."""
    assert inspection.subject(code.replace("|", ""), code.index("|")) == expected


def test_builtins_are_told_from_the_host_s_own() -> None:
    """What belongs to the language needs no outline."""
    found = told("print(1, ")
    assert found is not None
    assert found["Signature"].startswith("print(*args")
    assert (told("str.join") or {})["Signature"] == "str.join(self, iterable, /)"
    assert (told("open") or {})["Signature"].startswith("open(\n    file,\n    mode='r',\n")
    assert (told("text") or {})["String form"] == "'abc'"


def test_jedi_adds_what_the_outline_does_not_know() -> None:
    """The outline's word counts, but for a documentation that is longer; what is no answer of jedi's changes nothing."""
    known = told("foo.bar")
    said = {"name": "bar", "type": "function", "signature": "(self)", "doc": "What bar does.\n\nAt length."}
    both = inspection.with_jedi("foo.bar", known, said)
    assert both == {"Signature": "bar(a, b=2)", "Type": "function", "Docstring": "What bar does.\n\nAt length."}
    assert (inspection.with_jedi("foo.bar", None, said) or {})["Signature"] == "bar(self)"
    for nothing in (None, [], {"doc": 1}):
        assert inspection.with_jedi("foo.bar", known, nothing) == known


def test_the_text_is_ipython_s() -> None:
    """The reply is one text with headings; nothing found is said so; sections can be left out."""
    reply = inspection.reply({"Type": "int", "Docstring": "A.\x1b]0;title\x07B"})
    assert reply["data"]["text/plain"] == "\x1b[31mType:\x1b[39m      int\n\x1b[31mDocstring:\x1b[39m A.B"
    assert "Docstring" not in inspection.reply({"Type": "int", "Docstring": "A."}, {"docstring"})["data"]["text/plain"]
    assert inspection.reply(None) == {"status": "ok", "found": False, "data": {}, "metadata": {}}


@pytest.mark.parametrize(
    "said", [None, [], 3, {}, {"call": "signature", "parameters": 3, "keys": 3, "doc": [], "type": None}]
)
def test_what_a_guest_says_may_be_anything(said: object) -> None:
    """A guest's word is taken for text where it is text, and for nothing where it is not."""
    assert inspection.from_guest("f", said) in (None, {"Docstring": "<no docstring>"})


def test_what_is_short_says_so() -> None:
    """Where only a first line is known, or not all parameters, that is said; what is whole is left alone."""
    whole = {"Signature": "f(a)", "Docstring": "One.\n\nTwo."}
    assert inspection.cut(whole) == whole
    assert (inspection.cut({"Docstring": "One."}) or {})["Docstring"] == f"One.\n{inspection.SHORT}"
    assert inspection.SHORT in (inspection.cut({**whole, "Signature": "f(a, b..."}) or {})["Docstring"]
    assert inspection.cut(None) is None


@pytest.mark.parametrize(
    ("code", "cursor", "expected"),
    [("%time x", 3, "%time"), ("%time x", 7, ""), ("x = 1\n  %%bash?", 15, "%%bash"), ("5 %time", 7, ""), ("", 0, "")],
)
def test_magics_are_found(code: str, cursor: int, expected: str) -> None:
    """The magic at the cursor is told of; its arguments are what they are."""
    assert inspection.magic(code, cursor) == expected


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("%time", "Time execution of a Python statement or expression."),
        ("%%time", "Time execution of a Python statement or expression."),
        ("%timeit", "Time execution of a Python statement or expression"),
        ("%%capture", "run the cell, capturing stdout, stderr, and IPython's rich display() calls."),
        ("%cd", "Change the current working directory."),
        ("%%bash", "Run cells with bash in a subprocess."),
        ("%who", "Print all interactive variables, with some minimal formatting."),
    ],
)
def test_magics_are_told_as_ipython_tells_them(name: str, said: str) -> None:
    """IPython's documentation is told of its magics, and nothing of what is none."""
    assert said in (inspection.of_magic(name) or {})["Docstring"]
    assert inspection.of_magic(name + "_") is None


# -- whether a text is a whole cell


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("print(1)", {"status": "complete"}),
        ("for i in x:", {"status": "incomplete", "indent": "    "}),
        ("def f():\n    return (", {"status": "incomplete", "indent": "    "}),
        ("1 +", {"status": "invalid"}),
        ("%sandbox undo", {"status": "complete"}),
        ("%sandbox log\n%sandbox state", {"status": "complete"}),
        ("%%bash\nls", {"status": "incomplete", "indent": ""}),
        ("%%bash\nls\n\n", {"status": "complete"}),
        ("!ls", {"status": "complete"}),
        ("f?", {"status": "complete"}),
        ("x = 1\x00", {"status": "invalid"}),
        ("(" * 300, {"status": "incomplete", "indent": ""}),
        ("x = " + "-" * 15_000 + "1", {"status": "invalid"}),
        ("a" * 30_000, {"status": "unknown"}),
        ("%time 1\n" * 100, {"status": "unknown"}),
        ("", {"status": "complete"}),
    ],
)
def test_is_complete(code: str, expected: dict[str, Any]) -> None:
    """The rules are IPython's; what is too long or too deep to be worth it is not looked at."""
    assert completeness.is_complete(code) == expected


# -- sources


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("x = 1\n%time y\n  !ls\nz?", "x = 1\npass\n  pass\npass"),
        ("%%bash\nls", ""),
        ("%%time\nx = 1", "\nx = 1"),
        ("# what?\nx", "# what?\nx"),
    ],
)
def test_magics_are_no_python(code: str, expected: str) -> None:
    """What jedi reads has as many lines, and nothing that only IPython understands."""
    assert sources.as_python(code) == expected


def test_a_source_is_found_by_name() -> None:
    """The newest definition of a function, class or method is found; broken cells are passed over."""
    kept = sources.Sources()
    kept.add("def f(): return 1")
    kept.add("class A:\n    @staticmethod\n    def g():\n        pass\n\ndef f():\n    return 2")
    kept.add("def f(:")
    kept.add("(" * 1000)
    assert kept.definition("f") == "def f():\n    return 2"
    assert kept.definition("A.g") == "    @staticmethod\n    def g():\n        pass"
    assert kept.definition("A.nothing") == kept.definition("nothing") == ""


def test_sources_are_bounded() -> None:
    """The oldest cells are forgotten, and one that is too long is not taken."""
    kept = sources.Sources()
    for number in range(100):
        kept.add(f"x{number} = '{'x' * 5000}'")
    kept.add("y" * 10**6)
    text, line, column = kept.before("z", 1)
    assert len(text) <= sources.MOST_CHARACTERS + 10
    assert text.endswith("\nz")
    assert (line, column) == (text.count("\n") + 1, 1)

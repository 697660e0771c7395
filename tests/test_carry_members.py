"""Containers of which one member cannot be carried: the rest of them is, and what stands in its place says what it was."""

from __future__ import annotations

from pathlib import Path

import pytest
from carry_sessions import Runner, Session

from sandbox_kernel.guest import session_names


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Runner(tmp_path))


LATE = "class Late:\n    def __init__(self): self.a = 1\n    def __setstate__(self, state): 1 / 0\n"
MADE = """
import sqlite3, threading
held = threading.Lock()
held.acquire()
class Store:
    def __init__(self):
        self.db, self.rows = sqlite3.connect(":memory:"), [1, 2]
def steps():
    yield 1
"""


@pytest.mark.parametrize(
    ("make", "path", "kept"),
    [
        ("x = {'db': sqlite3.connect(':memory:'), 'n': 1}", "x['db']", "x['n'] == 1 and len(x) == 2"),
        ("x = [1, steps(), 'b']", "x[1]", "x[0] == 1 and x[2] == 'b' and len(x) == 3"),
        ("x = (1, held, [2])", "x[1]", "x[0] == 1 and x[2] == [2] and type(x) is tuple"),
        ("x = Store()", "x.db", "x.rows == [1, 2] and type(x) is Store"),
        ("x = {'a': [{'b': (1, Store())}]}", "x['a'][0]['b'][1].db", "x['a'][0]['b'][1].rows == [1, 2]"),
        ("x = {3: steps(), 'l': [0]}; x['l'].append(x)", "x[3]", "x['l'][1] is x"),
        ("x = {('a', 1): steps(), 'l': [0]}", "x[('a', 1)]", "x['l'] == [0]"),
        # Something else opened it: it is left out as a whole.
        ("import collections\nx = [1, collections.deque([steps()])]", "x[1]", "x[0] == 1"),
        # It fails as it is loaded.
        (
            LATE + "x = {'late': Late(), 'n': [1]}; x['n'].append(x)",
            "x['late']",
            "x['n'][1] is x",
        ),
        ("import functools\nx = [1, functools.partial(next, steps())]", "x[1]", "x[0] == 1"),
        ("x = [lambda a=steps(): a, 2]", "x[0]", "x[1] == 2"),
        ("class E(dict): pass\nx = [E(a=steps()), 2]", "x[0]", "x[1] == 2"),
        ("g = steps()\ndef f(a=g): return a\ndel g\nx = {'f': f, 'n': 1}\n", "x['f']", "x['n'] == 1"),
    ],
)
def test_the_rest_of_a_container_is_carried(session: Session, make: str, path: str, kept: str) -> None:
    """Only the member that cannot be carried is lost; it is told by its path, in each cell until it is gone."""
    told = session.good(MADE + make).why
    assert [name for name in told if name[0] == "x"] == [path]
    assert session.good(f"assert {kept}").why == told
    said = session.cell(f"{path}.any").error
    assert f"NotCarried: {path} (" in said and "was not carried into this cell: " in said
    session.good(f"assert {kept} and repr({path}).startswith('<' + {path!r} + ' (')")
    assert path not in session.good("del x").why


def test_what_can_be_asked_of_a_container_with_a_gap(session: Session) -> None:
    """Length, equality, membership and hash are as they were, where what is lost was equal to nothing but itself."""
    session.good(MADE + "lost = steps()\none = {'a': lost, 'b': 1}\ntwo, three, pair = dict(one), {lost, 5}, (lost, 6)")
    for _ in range(2):
        session.good(
            """
            assert one == two and one["a"] is two["a"] is pair[0] and one != {"a": None, "b": 1}
            assert len(three) == 2 and one["a"] in three and 5 in three and 7 not in three
            assert 6 in pair and pair.index(6) == 1 and {pair: 8}[pair] == 8
            """
        )


def test_a_list_under_two_names_is_one(session: Session) -> None:
    """Names of one container remain so, and so do names of what it shares with others; each loss is told once."""
    told = session.good(MADE + "rows = [steps(), []]\nagain = rows\nother = {'rows': rows, 'inner': rows[1]}").why
    assert [name for name in told if name != "held"] == ["rows[0]"]
    session.good(
        "assert again is rows is other['rows'] and other['inner'] is rows[1]\nrows[1].append(1)\nrows[0] = 'made again'"
    )
    assert session.good("assert again == ['made again', [1]] and other['inner'] == [1]").why.keys() == {"held"}


def test_a_name_and_a_member_are_both_told(session: Session) -> None:
    """Who makes the name again knows that the member is not made with it."""
    told = session.good("import sqlite3\nconn = sqlite3.connect(':memory:')\nd = {'db': conn, 'n': 1}").why
    assert told.keys() == {"conn", "d['db']"}
    assert "'conn' (sqlite3.Connection) was not" in session.cell("conn.execute('select 1')").error


def test_sets_and_keys_with_a_gap(session: Session) -> None:
    """What is found by its hash is carried as well, if nobody can have another that is equal to what is lost."""
    told = session.good(MADE + "x = {steps(), steps(), 1}\ny = {held: 2, 'a': 3}\ndel held").why
    assert told.keys() == {"a member of x", "a key of y"}
    session.good(
        """
        assert len(x) == 3 and 1 in x and y["a"] == 3 and sorted(y.values()) == [2, 3]
        [gap] = [key for key in y if key != "a"]
        assert "a key of y (_thread.lock) was not carried" in repr(gap)
        """
    )


def test_what_equals_others_is_not_replaced_where_it_is_looked_for(session: Session) -> None:
    """A set is lost as a whole where an equal member would not be found in it any more; a list keeps it, and refuses."""
    told = session.good(
        MADE
        + """
class Same:
    def __init__(self): self.a = steps()
    def __reduce__(self): raise TypeError("not me")
    def __eq__(self, other): return type(other) is Same
    def __hash__(self): return 5
x, y = {Same(), 1}, [Same(), 1]
"""
    ).why
    assert told.keys() == {"held", "x", "y[0]"}
    assert "NotCarried: y[0] (Same) was" in session.cell("y.index(1)").error


@pytest.mark.parametrize("harm", ["os._exit(3)", "raise SystemExit", "1 / 0"])
def test_members_that_cannot_be_loaded(session: Session, harm: str) -> None:
    """Of several that would fail in the next sandbox each is told, in names that share, and the others are there."""
    told = session.good(
        f"""
        import os
        class Ends:
            def __init__(self): self.a = 1
            def __setstate__(self, state):
                if self is not None: {harm}
        class Fine:
            def __setstate__(self, state): self.a = 2
            def __getstate__(self): return {{"a": 1}}
        rows = [Ends(), Fine(), 3]
        x = {{"rows": rows, "pair": (Ends(), rows)}}
        """
    ).why
    assert told.keys() == {"rows[0]", "x['pair'][0]"}
    session.good("assert rows[1].a == 2 and rows[2] == 3 and x['rows'] is rows is x['pair'][1]")


def test_typed_places_are_left_as_they_are(session: Session) -> None:
    """Nothing is put into an array or a frame in the place of a value: what holds it is lost as a whole."""
    pytest.importorskip("pandas")
    told = session.good(
        "import numpy as np, pandas as pd\nlost = iter(range(3)), (i for i in 'a')\n"
        "x = {'array': np.array([lost[1], 1], dtype=object), 'frame': pd.DataFrame({'a': [lost[1]]}), 'n': np.arange(3)}"
    ).why
    assert told.keys() == {"lost[1]", "x['array']", "x['frame']"}
    session.good("assert list(x['n']) == [0, 1, 2] and len(x) == 3 and list(lost[0]) == [0, 1, 2]")


def test_very_many_gaps(session: Session) -> None:
    """A container in which more is lost than anybody would read is lost as a whole; large ones are looked through at all."""
    told = session.good(
        "x = [(i for i in 'a') for _ in range(1500)]\n"
        "y = [{'row': i, 'list': [i]} for i in range(20_000)]\ny[7_777]['lost'] = (i for i in 'a')"
    ).why
    assert told.keys() == {"x", "y[7777]['lost']"}
    session.good("assert len(y) == 20_000 and y[7_777]['row'] == 7_777 and y[19_999]['list'] == [19_999]")


def test_a_search_that_takes_too_long(session: Session) -> None:
    """What cannot be looked through in time is lost as a whole, as it was; the rest is saved."""
    told = session.good(
        "x, y = [1, (i for i in 'a')], [2]", before="from _sandbox_guest import carry_members\ncarry_members.PATIENCE_S = -1"
    ).why
    assert told.keys() == {"x"} and "generator" in told["x"]
    session.good("assert y == [2]")


def test_paths_are_bounded(session: Session) -> None:
    """Keys of any length and kind, and any depth, make a path of one short line."""
    told = session.good(
        """
        x = {'k' * 1000: (i for i in 'a')}
        y = deep = []
        for _ in range(300):
            deep.append([])
            deep = deep[0]
        deep.append(i for i in 'a')
        class Key:
            def __repr__(self): return 1 / 0
        z = {Key(): (i for i in 'a'), "line\\n": (i for i in 'a')}
        """
    ).why
    assert all(len(name) <= 100 and name.isprintable() for name in told) and len(told) == 4
    assert {"z[...]", r"z['line\n']"} <= told.keys()
    session.good("assert len(x) == 1 and len(z) == 2")


def test_gaps_of_results_are_told_as_theirs(session: Session) -> None:
    """What a result shows of a variable is told with the variable, and what it has alone with its number."""
    told = session.good("d = [i for i in [(j for j in 'a')]]\n_ = _4 = d\n__ = _3 = {'a': (j for j in 'a')}").why
    assert told.keys() == {"d[0]", "_3['a']"}
    lost = [["_3['a']", "why"], ["a member of _5", "why"], ["_[0]", "why"], ["__", "why"], ["_private[0]", "why"]]
    names = [name for name, _ in session_names.told(lost)]
    assert names == ["Out[3]['a']", "a member of Out[5]", "_private[0]"]

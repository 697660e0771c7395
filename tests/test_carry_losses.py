"""What is carried when not all of it can be: limits, values that fail late, code that fails while it is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from carry_sessions import Result, Runner, Session

MIB = 1 << 20


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Runner(tmp_path))


def _size(result: Result) -> int:
    return sum(size for _, size in result.parts)


# -- limits -----------------------------------------------------------------------------------------------------------


def test_the_largest_is_left_out_over_the_cap(session: Session) -> None:
    """What does not fit is lost, the largest first, with the advice; the rest is carried."""
    session.settings.update(cap_bytes=2 * MIB, advice="Ask for more.")
    result = session.good(f"large, middle, small = bytearray({5 * MIB}), bytearray({MIB}), [1]\ndef f(): return small")
    assert result.why.keys() == {"large"} and result.why["large"].endswith("Ask for more.")
    assert _size(result) <= 2 * MIB
    assert _size(session.good(f"assert len(middle) == {MIB} and f() == [1]; ok = 1")) <= 2 * MIB
    told = session.cell("assert ok == 1\nlarge[0]").error
    assert "'large' (bytearray) was not carried" in told and "Ask for more." in told


def test_many_small_ones_over_the_cap(session: Session) -> None:
    """Where thousands of values do not fit, as many of them as do are carried, and each that is lost is named."""
    session.settings["cap_bytes"] = MIB
    result = session.good("import random\nfor i in range(2000): globals()['name%d' % i] = random.randbytes(1000)")
    assert _size(result) <= MIB and 900 <= len(result.lost) < 1900
    result = session.good("there = sum(1 for i in range(2000) if type(globals()['name%d' % i]) is bytes)")
    session.good(f"assert there == {2000 - len(result.lost)}")


def test_everything_over_the_cap(session: Session) -> None:
    """A cap that nothing fits is told like any other, and the next cell runs."""
    session.settings["cap_bytes"] = 20_000
    result = session.good("a, b = bytearray(100_000), bytearray(200_000)\nclass C: pass\nc = C()")
    assert {"a", "b"} <= result.why.keys()
    session.good("d = 1")


LIKE_THE_BIG_ONE = """
import json
import logging
import numpy as np
import pandas as pd

def made(n):
    days = pd.date_range("2024-01-01", periods=n, freq="min", tz="Europe/Berlin")
    return {
        "frame": pd.DataFrame({"a": np.random.rand(n), "b": ["x"] * n}),
        "series": pd.Series(np.random.rand(n), name="s"),
        "times": pd.DataFrame({"v": np.random.rand(n)}, index=days),
        "category": pd.Series(["a", "b"] * (n // 2), dtype="category"),
        "grouped": pd.DataFrame({"a": ["x", "y"] * (n // 2), "v": np.random.rand(n)}).groupby("a"),
        "levels": pd.DataFrame({"v": np.random.rand(n)}, index=pd.MultiIndex.from_product([["a", "b"], range(n // 2)])),
        "nullable": pd.DataFrame({"i": pd.array(range(n), dtype="Int64"), "s": pd.array(["x"] * n, dtype="string")}),
        "rolling": pd.Series(np.random.rand(n)).rolling(3),
        "functions": [np.add, pd.concat, np.random.rand(n)],
        "drawn": [np.random.default_rng(5), logging.getLogger("a"), np.random.rand(n)],
        "masked": np.ma.array(np.random.rand(n), mask=[0, 1] * (n // 2)),
    }
globals().update(made(10))
globals().update({"big_" + name: value for name, value in made(400_000).items()})
"""


def test_values_of_one_type_over_the_cap(session: Session) -> None:
    """What all values of a type refer to, as all frames of pandas do, makes no one of them: each large one is lost alone."""
    session.settings["cap_bytes"] = MIB
    result = session.good(LIKE_THE_BIG_ONE)
    names = (
        "frame",
        "series",
        "times",
        "category",
        "grouped",
        "levels",
        "nullable",
        "rolling",
        "functions",
        "drawn",
        "masked",
    )
    assert {name for name in result.why if not name.startswith("big_")} == set()
    assert result.why.keys() >= {f"big_{name}" for name in names if name != "category"}
    session.good("assert frame.a.sum() > 0 and levels.loc[('b', 4)].v >= 0 and int(nullable.i.sum()) == 45")


def test_frames_that_do_not_fit_together(session: Session) -> None:
    """As many frames as do not fit are lost, the largest first, and no more."""
    session.settings["cap_bytes"] = 4 * MIB
    result = session.good(
        "import numpy as np, pandas as pd\n"
        "one, two, three = (pd.DataFrame(np.random.rand(n << 17, 1)) for n in (1, 2, 3))\nrow = one.loc[5]"
    )
    assert result.why.keys() == {"three"}
    session.good("assert len(one) == 1 << 17 and len(two) == 2 << 17 and len(row) == 1")


def test_results_go_before_the_variables_they_refer_to(session: Session) -> None:
    """A shown tuple of a large and a small variable is lost with the large one, and takes the small one not along."""
    session.settings["cap_bytes"] = MIB
    result = session.good(
        "import numpy as np, pandas as pd\n"
        "big, small, listed = pd.DataFrame(np.random.rand(1 << 20, 1)), pd.DataFrame({'a': [1, 2]}), [1]\n"
        "_ = _7 = (big, small, listed)\n__ = _6 = (listed, small)\ndef f(): return listed"
    )
    assert result.why.keys() == {"big", "_", "_7", "__", "_6"}
    session.good("assert list(small.a) == [1, 2] and f() is listed")


def test_names_of_what_a_library_has_one_of(session: Session) -> None:
    """Several names of a list that belongs to a class of a library remain names of one list."""
    session.good("import pandas as pd\none = two = pd.DataFrame._metadata\nframe = pd.DataFrame({'a': [1]})")
    session.good("assert one is two and frame.a[0] == 1")


def test_a_file_over_the_cap(session: Session) -> None:
    """A file that does not fit is named as such, and smaller ones are carried."""
    session.settings.update(cap_bytes=MIB, advice="Ask for more.")
    result = session.good(
        "open('data.csv', 'wb').write(bytes(range(256)) * 8192)\nopen('small.csv', 'w').write('a,b')\nkept = 1"
    )
    assert result.why.keys() == {"file data.csv"} and result.why["file data.csv"].endswith("Ask for more.")
    session.good("import os; assert os.listdir() == ['small.csv'] and kept == 1")


def test_what_fits_again_is_carried_again(session: Session) -> None:
    """The cap is of what is there now."""
    session.settings["cap_bytes"] = MIB
    assert session.good(f"a = bytearray({2 * MIB})").why.keys() == {"a"}
    assert not session.good("a = bytearray(1000)").lost
    session.good("assert len(a) == 1000")


# -- what is told -----------------------------------------------------------------------------------------------------


def test_names_are_listed(session: Session) -> None:
    """Each name is listed with its type and about its size, at most a thousand of them."""
    listed = session.good("text, data = 'a' * 1000, bytearray(200_000)\nclass Thing: pass\nthing = Thing()").names
    found = {item["name"]: item for item in listed}
    assert {name: found[name]["type"] for name in ("text", "data", "thing")} == {
        "text": "str",
        "data": "bytearray",
        "thing": "Thing",
    }
    assert 1000 <= found["text"]["size"] < 2000
    assert 200_000 <= found["data"]["size"] < 210_000
    assert len(session.good("for i in range(1500): globals()['n%d' % i] = i").names) == 1000


def test_what_is_lost_is_told_in_each_cell(session: Session) -> None:
    """A name that was lost stays so, with the same reason, until it is bound again or deleted."""
    said = session.good("one, two = (i for i in 'a'), (i for i in 'b')").why
    assert said.keys() == {"one", "two"} and all(why and "\n" not in why for why in said.values())
    assert session.good("pass").why == said
    assert session.good("one = 1").why.keys() == {"two"}
    assert session.good("del two").why == {}


def test_the_next_step_for_what_is_lost(session: Session) -> None:
    """Who uses what was lost is told what to do, and of exact state only where there is one."""
    session.good("lost = (i for i in 'a')")
    told = session.cell("next(lost)").error
    assert told.rstrip().endswith("Make it again in this cell.")
    session.settings["remedy"] = "Make it again in this cell, or use exact state."
    assert "use exact state." in session.cell("next(lost)").error


def test_an_alias_of_what_is_lost(session: Session) -> None:
    """What is lost can be put under other names and into containers; it says the same everywhere."""
    session.good("lost = (i for i in 'a')")
    session.good("alias, holder = lost, [lost]\ndef default(a=lost): return a")
    for use in ("next(alias)", "next(holder[0])", "next(default())"):
        assert "(generator) was not carried" in session.cell(use).error


# -- what fails late --------------------------------------------------------------------------------------------------

LATE = """
import os
class Late:
    def __init__(self):
        self.a = 1
    def __setstate__(self, state):
        if os.environ.get("LATE"):
            raise ValueError("not in this cell")
        self.__dict__.update(state)
    def __reduce__(self):
        return Late, (), self.__dict__
late, before, pair = Late(), [1], [before_too := [2]]
after = [before]
"""


def test_what_fails_when_it_is_loaded_is_lost_alone(session: Session) -> None:
    """A value that cannot be loaded in the next sandbox, of all, is lost there; everything else is there."""
    assert not session.good(LATE).lost
    result = session.good(
        "assert after[0] is before and pair[0] is before_too and Late().a == 1",
        before="import os; os.environ['LATE'] = '1'",
    )
    assert [name for name, _ in result.missing] == ["late"] and "not in this cell" in dict(result.missing)["late"]
    assert "'late' (Late) was not carried" in session.cell("late.a").error


@pytest.mark.parametrize(
    "harm", ["os._exit(3)", "os.kill(os.getpid(), 9)", "raise SystemExit", "raise KeyboardInterrupt", "[0][1]"]
)
def test_what_ends_the_process_when_it_is_loaded(session: Session, harm: str) -> None:
    """A value that would end the next sandbox is found out before this one ends."""
    session.good(f"import os\nclass Ends:\n    def __setstate__(self, state): {harm}\nends, a = Ends(), [1]\nends.a = 1")
    session.good("assert a == [1] and Ends")
    assert "'ends' (Ends) was not carried" in session.cell("ends.a").error


def test_what_never_ends_when_it_is_loaded(session: Session) -> None:
    """A value whose load hangs does not hang the next sandbox."""
    session.good(
        "class Hangs:\n    def __setstate__(self, state):\n        while 1: pass\nhangs, a = Hangs(), [1]\nhangs.a = 1"
    )
    session.good("assert a == [1] and Hangs")
    assert "was not carried" in session.cell("hangs.a").error


# -- code of the user's while it is saved -----------------------------------------------------------------------------


def test_a_name_bound_while_it_is_saved(session: Session) -> None:
    """Code that runs because its object is saved may change the namespace."""
    session.good(
        "class Busy:\n    def __getstate__(self):\n        globals()['made%d' % len(globals())] = 1\n"
        "        return {'a': 1}\n"
        "one, two, three, last = Busy(), Busy(), Busy(), [1]"
    )
    session.good("assert one.a == two.a == three.a == 1 and last == [1]")


@pytest.mark.parametrize("harm", ["raise SystemExit", "[0][1]", "return Fails.__reduce__(self)"])
def test_an_error_while_it_is_saved(session: Session, harm: str) -> None:
    """What raises anything at all while it is saved is lost alone."""
    result = session.good(f"class Fails:\n    def __reduce__(self): {harm}\nfails, a = Fails(), [1]")
    assert result.why.keys() == {"fails"}
    session.good("assert a == [1] and Fails")


def test_an_interrupt_while_it_is_saved(session: Session) -> None:
    """An interrupt ends the saving, and the state before the cell is still there."""
    session.good("a = [1]")
    result = session.cell("class Fails:\n    def __reduce__(self): raise KeyboardInterrupt\nfails, b = Fails(), [2]")
    assert result["crash"].endswith("KeyboardInterrupt\n")
    session.good("assert a == [1] and 'b' not in globals()")


def test_what_a_cell_left_after_an_error(session: Session) -> None:
    """A cell that fails leaves what it had made."""
    assert "ZeroDivisionError" in session.cell("a = [1]\n1 / 0\nb = 2").error
    session.good("assert a == [1] and 'b' not in globals()")


def test_names_that_are_no_text(session: Session) -> None:
    """The namespace may have keys that no name is."""
    session.good("globals()[5] = 6; globals()['no name'] = 7; a = 1")
    session.good("assert globals()['no name'] == 7 and a == 1")


def test_modules_that_the_user_shadows(session: Session) -> None:
    """Names of the cell's own do not reach into what saves it."""
    session.good("import sys as system\npickle = types = sys = io = id = len = type = dict = list = isinstance = vars = None")
    session.good("assert (pickle, types, sys, io, id, len, type, dict, list, isinstance, vars) == (None,) * 11")


@pytest.mark.parametrize("name", ["tempfile", "subprocess", "uuid", "decimal"])
def test_files_that_are_named_as_modules_of_python(session: Session, name: str) -> None:
    """A file of the user's that is imported instead of a module of Python's takes nothing along of what is saved."""
    session.good(f"with open('{name}.py', 'w') as file: _ = file.write('mine = 1')\nx = [1]")
    session.good(f"import {name}; assert {name}.mine")
    session.good(f"assert x == [1] and {name}.mine")


@pytest.mark.parametrize(
    ("module", "name", "other"),
    [
        ("json", "dumps", "functools.partial(json.dumps, indent=2)"),
        ("pickle", "dumps", "functools.partial(pickle.dumps, fix_imports=False)"),
        ("hashlib", "sha256", "hashlib.md5"),
        ("zlib", "compress", "lambda data, *_: data"),
        ("time", "monotonic", "lambda: 0.0"),
        ("os", "scandir", "lambda *_: []"),
    ],
)
def test_modules_that_the_user_patches(session: Session, module: str, name: str, other: str) -> None:
    """A cell that puts another function into a module of the library does not spoil what was there before it."""
    session.good("a, big = [1], bytearray(100_000)\nclass Thing: pass\nthing = Thing()")
    session.cell(f"import functools, {module}\n{module}.{name} = {other}")
    session.good("assert a == [1] and len(big) == 100_000 and type(thing) is Thing")


@pytest.mark.parametrize("imported", ["", "import logging, typing, decimal, uuid, pathlib, urllib.parse"])
def test_files_that_are_named_as_pythons_modules(session: Session, imported: str) -> None:
    """What saves the state takes Python's own modules, whatever lies beside the notebook; the cells have their own."""
    session.good(
        "import os, sys\n"
        "for name in ('logging', 'typing', 'decimal', 'uuid', 'pathlib', 'datetime', 'platform', 'inspect'):\n"
        "    open(name + '.py', 'w').write('mine = __name__')\nos.mkdir('urllib')\n"
        "for name in ('__init__', 'parse'): open('urllib/' + name + '.py', 'w').write('mine = __name__')\n"
        f"class Thing: pass\nthing, add = Thing(), lambda n: n + 1\n{imported}\n"
        + ("assert logging.mine == sys.modules['logging'].mine == 'logging' != urllib.parse.mine" if imported else "")
    )
    session.good("assert type(thing) is Thing and add(1) == 2" + (" and uuid.mine == 'uuid'" if imported else ""))


@pytest.mark.parametrize(
    "harm",
    [
        "sys.path[:] = []",
        "sys.path = ['/nowhere']",
        "sys.meta_path.clear()",
        "sys.path_hooks.clear()",
        "sys.modules['uuid'] = 5",
    ],
)
def test_a_cell_that_spoils_how_modules_are_found(session: Session, harm: str) -> None:
    """What saves the state is found all the same, in this cell and after it; what the cell set it finds as it was."""
    session.good(f"import sys\nclass Thing: pass\nthing = Thing()\n{harm}")
    session.good("assert type(thing) is Thing\nb = [1]")
    session.good("assert type(thing) is Thing and b == [1]")


def test_warnings_made_errors(session: Session) -> None:
    """A user who makes warnings errors does not lose what is deprecated to be pickled, and the filter stays."""
    result = session.good("import warnings, threading, itertools\nwarnings.simplefilter('error')\nx = enumerate('ab')")
    assert not result.lost
    assert "UserWarning: told" in session.cell("warnings.warn('told')").error


def test_threads_at_the_end_of_a_cell(session: Session) -> None:
    """Threads of the cell, that go on and change what is saved, do not keep it from being saved."""
    session.good(
        "import threading\nrows, table = [], {}\ndef more():\n    for i in range(10**7): rows.append(i); table[i % 999] = i; "
        "del rows[:-9]\nthreads = [threading.Thread(target=more, daemon=True) for _ in range(3)]\n"
        "for thread in threads: thread.start()\na = [1]"
    )
    session.good("assert a == [1]")


@pytest.mark.parametrize("limit", [1000, 1_000_000])
def test_a_very_long_chain(session: Session, limit: int) -> None:
    """What is nested deeper than can be pickled is lost alone, and no process dies of it, whatever the user allows."""
    session.good(
        f"import sys\nsys.setrecursionlimit({limit})\n"
        "class Link:\n    def __init__(self, below): self.below = below\nchain = None\n"
        "for _ in range(50_000): chain = Link(chain)\na = [1]"
    )
    session.good("assert a == [1] and Link(5).below == 5")

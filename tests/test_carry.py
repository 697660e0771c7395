"""State that is carried from one process to the next: every kind of value, and what cells mean to each other."""

from __future__ import annotations

import importlib.util
import symtable
import sys
from collections import Counter
from pathlib import Path

import pytest
from carry_cases import DIFFERENT, KINDS, MEANINGS, Kind, check_all, in_one_process, make_all
from carry_sessions import Runner
from guests import pythons

PYTHONS = pythons()
#: Only the interpreter of the tests has packages.
OTHERS = [version for version, path in PYTHONS.items() if path != sys.executable]


NEEDS = sorted({case.needs for case in (*KINDS, *MEANINGS)})
#: Imported once before the sandboxes are forked, where it is not the import that is tested.
PRELOAD = {"": [], "matplotlib": ["matplotlib.pyplot", "matplotlib.backends.backend_agg"]}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def _there(needs: str) -> bool:
    return not needs or importlib.util.find_spec(needs) is not None


def _require(needs: str) -> None:
    if not _there(needs):
        pytest.skip(f"{needs} is not installed")


def _fitting(minor: int = sys.version_info.minor) -> list[Kind]:
    return [kind for kind in KINDS if kind.fits(minor)]


def _bound(source: str) -> set[str]:
    """Names that a cell binds, without what it imports."""
    symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    return {symbol.get_name() for symbol in symbols if symbol.is_assigned() and not symbol.is_imported()}


def _told(trouble: dict[str, str]) -> str:
    """Say what was wrong, shortly: one cause may make a hundred cases fail."""
    ends = [f"{name}: " + " | ".join(map(str.strip, said.splitlines()[-3:])) for name, said in trouble.items()]
    return "\n".join([f"{len(ends)} failed", *ends[:12]])


def test_there_are_enough_cases() -> None:
    """Cases have names of their own, bind names of their own, and none was lost from the tables."""
    for table, least in ((KINDS, 250), (MEANINGS, 70), (DIFFERENT, 10)):
        names = [case.id for case in table]
        assert len(set(names)) == len(names) >= least
    bound = Counter(name for kind in _fitting() for name in _bound(kind.make) - {"x", "_", "error", "refusal"})
    assert [name for name, times in bound.items() if times > 1] == []


@pytest.mark.parametrize("needs", NEEDS)
def test_the_cases_are_true_in_one_process(runner: Runner, needs: str) -> None:
    """What the cases say is what Python does where nothing has to be carried; what is to be lost is there and can be used."""
    _require(needs)
    meanings = [*MEANINGS, *DIFFERENT]
    cells = {meaning.id: meaning.cells for meaning in meanings if meaning.needs == needs and meaning.lossless}
    for kind in _fitting():
        if kind.needs == needs:
            cells[kind.id] = [kind.make, f"assert {kind.check if kind.carried else f'not ({kind.check})'}"]
    trouble = runner.plain({name: in_one_process(each) for name, each in cells.items()}, PRELOAD.get(needs, [needs]))
    assert not trouble, _told(trouble)


@pytest.mark.parametrize("needs", NEEDS)
def test_every_kind_is_carried_or_told(runner: Runner, needs: str) -> None:
    """What one cell makes is there in the next, or using it raises the error that says why not."""
    _require(needs)
    cells = {kind.id: [kind.make, f"assert {kind.check}"] for kind in _fitting() if kind.needs == needs}
    trouble = runner.sessions(cells, PRELOAD.get(needs, [needs]))
    assert not trouble, _told(trouble)


@pytest.mark.parametrize("version", PYTHONS)
def test_all_kinds_share_one_session(tmp_path: Path, version: str) -> None:
    """Hundreds of values and dozens that are lost are carried together, three times, and none takes another along."""
    here = PYTHONS[version] == sys.executable
    kinds = [kind for kind in _fitting(int(version.split(".")[1])) if (_there(kind.needs) if here else not kind.needs)]
    cells = [make_all(kinds), "pass", check_all(kinds)]
    trouble = Runner(tmp_path, PYTHONS[version]).sessions({version: cells})
    assert not trouble, _told(trouble)


@pytest.mark.parametrize("needs", sorted({meaning.needs for meaning in MEANINGS}))
def test_cells_mean_what_they_mean_in_one_process(runner: Runner, needs: str) -> None:
    """A session of several cells goes as it would in a single process."""
    _require(needs)
    trouble = runner.sessions({meaning.id: meaning.cells for meaning in MEANINGS if meaning.needs == needs})
    assert not trouble, _told(trouble)


def test_what_is_known_to_differ_does(runner: Runner) -> None:
    """The list of what is not carried, and not told, is no longer than it must be."""
    different = {case.id: case.cells for case in DIFFERENT if _there(case.needs)}
    trouble = runner.sessions(different)
    assert different.keys() - trouble.keys() == set(), "these are carried: move them to MEANINGS"
    assert [name for name, said in trouble.items() if not said.startswith("cell 2: Traceback")] == []


@pytest.mark.parametrize("version", OTHERS)
def test_cells_mean_the_same_in_every_python(tmp_path: Path, version: str) -> None:
    """The same sessions, in the Pythons without packages."""
    runner = Runner(tmp_path, PYTHONS[version])
    trouble = runner.sessions({meaning.id: meaning.cells for meaning in MEANINGS if not meaning.needs})
    assert not trouble, _told(trouble)

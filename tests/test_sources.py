"""jedi in its program: what it reads, what it must not run, and how it is ended."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandbox_kernel import sources
from sandbox_kernel.processes import Processes
from sandbox_kernel.sources import Jedi, Sources


@pytest.fixture
async def jedi() -> AsyncIterator[Jedi]:
    """The program, and an end to it."""
    processes = Processes()
    made = Jedi(processes)
    yield made
    await made.close()
    await processes.close()


async def test_it_reads_earlier_cells(jedi: Jedi) -> None:
    """What an expression without a name is follows from the sources of earlier cells."""
    kept = Sources()
    kept.add("class Foo:\n    def bar(self, a, b=2):\n        'What bar does.'\ndef make():\n    return Foo()\n%time 1")
    code = "make().ba"
    found = await jedi.ask("complete", kept.before(code, len(code)), 60)
    assert found == [["bar", "function", ""]]
    said = await jedi.ask("explain", kept.before("make().bar", 10), 60)
    assert said == {"name": "bar", "type": "function", "signature": "(a, b=2)", "doc": "What bar does."}
    assert await jedi.ask("explain", ("nothing", 1, 3), 60) is None


async def test_who_asks_again_has_the_first_answer(jedi: Jedi, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that got no answer in time is not asked twice, but one that has none is."""
    asked = []
    ask = jedi._ask

    async def count(request: bytes) -> object:
        asked.append(request)
        return await ask(request) if len(asked) > 1 else None

    monkeypatch.setattr(jedi, "_ask", count)
    source = ("import json\njson.loa", 2, 8)
    assert await jedi.ask("complete", source, 60) is None
    assert await jedi.ask("complete", source, 0.001) is None  # No program is started that soon.
    for _ in range(2):
        assert [row[0] for row in await jedi.ask("complete", source, 60)] == ["load", "loads"]
    assert len(asked) == 2


async def test_it_learns_ahead(jedi: Jedi) -> None:
    """What it learns it does not tell."""
    assert await jedi.ask("learn", ("import json\njson.", 2, 5), 60) == []
    assert await jedi.ask("complete", ("import json\njson.loads", 2, 10), 60) == [["loads", "function", ""]]


async def test_nothing_beside_the_notebook_is_seen_or_run(
    jedi: Jedi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules in the notebook's folder, jedi's own name among them, are neither imported nor read."""
    mark = f"open({str(tmp_path / 'ran')!r}, 'w')"
    for name in ("evil", "jedi", "parso", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"{mark}\ndef from_here(): pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert not {"", str(tmp_path)} & set(sources.paths())
    code = "import evil\nevil.from_"
    assert await jedi.ask("complete", (code, 2, 10), 60) == []
    hostile = f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport evil, json\njson.from_"
    assert await jedi.ask("complete", (hostile, 4, 10), 60) == []
    assert await jedi.ask("complete", ("import json\njson.loa", 2, 8), 60) == [
        ["load", "function", ""],
        ["loads", "function", ""],
    ]
    assert not (tmp_path / "ran").exists()


async def test_what_is_slow_is_ended(jedi: Jedi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question without an answer in time has none; the program is ended, and the next question has another one."""
    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setattr(sources, "ANSWER_S", 0.2)
    with monkeypatch.context() as patch:
        patch.setattr(sources.jedi_worker, "__file__", str(slow))
        assert await jedi.ask("complete", ("x", 1, 1), 60) is None
    monkeypatch.setattr(sources, "ANSWER_S", 60)
    assert await jedi.ask("complete", ("zi", 1, 2), 60) == [["zip", "class", ""]]


async def test_a_torn_cache_is_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was ended in the middle of writing jedi's cache, or writes it at this moment, costs nobody an answer."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for size in (0, 100):
        # Once to fill it, and once to find it torn.
        for _ in range(2):
            processes = Processes()
            other = Jedi(processes)
            assert await other.ask("complete", ("import json\njson.loads", 2, 10), 60) == [["loads", "function", ""]]
            await other.close()
            await processes.close()
            kept = list(tmp_path.glob("sandbox-kernel/jedi/**/*.pkl"))
            assert kept
            assert all(path.stat().st_size > 100 for path in kept)
            for path in kept:
                os.truncate(path, size)


async def test_what_is_no_answer_is_none(jedi: Jedi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that ends, or says what is no JSON, gives no answer."""
    for text in ("", "print('{', flush=True)\nimport time\ntime.sleep(600)\n"):
        other = tmp_path / "other.py"
        other.write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(sources.jedi_worker, "__file__", str(other))
            assert await jedi.ask("complete", ("x", 1, 1), 60) is None

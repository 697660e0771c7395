"""``exact`` state: whatever a cell leaves in the middle of something is there in a later cell, as it was."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator

import pytest
from live_things import LIVE, Live

from sandbox_kernel.errors import SandboxError
from sandbox_kernel.executors import AgentSession, SandboxExecutor

pytestmark = pytest.mark.xdist_group("live things")  # One worker makes what they share.

PATIENCE_S = 1200
#: So many are made, or looked at, in one cell.
AT_ONCE = 10


async def _report() -> dict[str, str]:
    """Run all in one session, first every cell that makes, then every cell that looks; name what went wrong, by id.

    Under the empty id stands what the session had to say about its state.
    """
    found: dict[str, str] = {}
    async with SandboxExecutor("local", state="exact") as executor:
        session = executor.session()
        for some in _groups(LIVE):
            made = await _run(session, "\n".join([*(live.make for live in some), "None"]))
            found |= {live.id: made for live in some if made != "None"}
        for some in _groups([live for live in LIVE if live.id not in found]):
            looked = "[" + ", ".join(repr(live.id) for live in some) + "]"
            code = "\n".join(_noting(live) for live in some)
            if await _run(session, f"_seen = []\n{code}\n_seen") != looked:
                for live in some:
                    found |= await _wrong(live.id, session, live.then, "True")
        if session.notices:
            found[""] = "\n".join(session.notices)
    return found


def _groups(things: list[Live]) -> Iterator[list[Live]]:
    for at in range(0, len(things), AT_ONCE):
        yield things[at : at + AT_ONCE]


def _noting(live: Live) -> str:
    """Return its second source with the last expression turned into a note that it was true."""
    tree = ast.parse(live.then)
    last = tree.body[-1]
    assert isinstance(last, ast.Expr), live.id
    last.value = ast.parse(f"_seen.append({live.id!r}) if ({ast.unparse(last.value)}) is True else None", mode="eval").body
    return ast.unparse(tree)


async def _run(session: AgentSession, code: str) -> str:
    """Return what the last expression gave, or what went wrong."""
    try:
        done = await session.run(code)
    except SandboxError as error:
        return f"{type(error).__name__}: {error}"
    text = str((done.result or {}).get("text/plain"))
    return text if done.ok else f"{done.outcome}: {text} {done.stdout} {done.stderr} {done.error}"


async def _wrong(name: str, session: AgentSession, code: str, wanted: str) -> dict[str, str]:
    found = await _run(session, code)
    return {} if found == wanted else {name: found}


@pytest.fixture(scope="module")
def report(gvisor: object) -> dict[str, str]:
    """What is wrong with which thing; the session is closed before anybody reads it."""
    return asyncio.run(_report())


@pytest.mark.timeout(PATIENCE_S)
@pytest.mark.parametrize("live", LIVE, ids=[live.id for live in LIVE])
def test_it_is_there_in_the_next_cell(live: Live, report: dict[str, str]) -> None:
    """Each thing goes on in a later sandbox where an earlier one left it."""
    assert live.id not in report, report[live.id]


@pytest.mark.timeout(PATIENCE_S)
def test_every_state_could_be_saved(report: dict[str, str]) -> None:
    """Nothing of it keeps the session from being saved after a cell."""
    assert report.get("") is None


def test_no_two_things_disturb_each_other() -> None:
    """No name is bound by two entries, but for modules that both import."""
    owners: dict[str, str] = {}
    for live in LIVE:
        for name in _bound(live.make) | _bound(live.then):
            assert owners.setdefault(name, live.id) == live.id, f"{name} is bound by {owners[name]} and {live.id}"
    assert len({live.id for live in LIVE}) == len(LIVE)


def _bound(source: str) -> set[str]:
    """Return the global names that a cell binds, imported modules under their own or usual names left out."""
    tree = compile(source, "<cell>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    found = _Names()
    found.visit(tree)
    return found.names - {"_"}


class _Names(ast.NodeVisitor):
    """Collects what a module binds; what is inside of functions and classes is their own."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.names.add(node.id)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.names.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef  # noqa: N815

    def visit_comprehension(self, node: ast.comprehension) -> None:
        self.visit(node.iter)

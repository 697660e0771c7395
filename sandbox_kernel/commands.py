"""``%sandbox``: what the user can say to the session itself, in a cell. It runs on the host; no sandbox sees it."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Awaitable, Callable

from .errors import ConfigurationError
from .lasting import LastingSession
from .policy import clean_word
from .session import Session
from .state import saved
from .text import amount, closest, date, table

WORD = "%sandbox"
USAGE = """%sandbox undo [N]       take back the last cell, or the last N
%sandbox rewind CELL    go to the state after In[CELL]; 0 is the beginning
%sandbox log            the states that can be gone back to
%sandbox state          what the session holds, what it weighs, and what it could not carry
%sandbox save NAME      save the session under a name; it survives restarts
%sandbox load NAME      go on from a saved session
%sandbox list           the saved sessions
%sandbox remove NAME    forget a saved session
%sandbox reset          begin anew; what can be gone back to stays"""
HELP = f"Each stands at the top of a cell, before all code; several may follow one another.\n{USAGE}"
#: Names in `%sandbox state`, largest first.
MOST_NAMES = 40


def split(code: str) -> tuple[list[list[str]], str]:
    """Return the commands that a cell begins with, each as words, and the rest of the cell. Raises ConfigurationError.

    A question mark anywhere in a command, as in ``%sandbox?``, asks for help.
    """
    commands = []
    lines = code.splitlines(keepends=True)
    before = len(lines)
    while lines:
        line = lines[0].strip()
        if line and line.split()[0].strip("?") == WORD:
            if "?" in line.partition("#")[0]:
                commands.append(["help"])
                lines.pop(0)
                continue
            try:
                commands.append(shlex.split(line, comments=True)[1:])
            except ValueError as error:
                raise ConfigurationError(f"Cannot read {line!r}: {error}.", USAGE) from error
        elif line and not line.startswith("#"):
            break
        lines.pop(0)
    # As many lines as there were, so that an error names the line that the user sees.
    return (commands, "\n" * (before - len(lines)) + "".join(lines)) if commands else ([], code)


async def run(session: Session, words: list[str]) -> str:
    """Obey one command and return what to tell. Raises StateError or ConfigurationError."""
    name, *arguments = words or ["help"]
    if name in ("help", "--help", "-h", "?"):
        return HELP
    if any(";" in word for word in words):
        raise ConfigurationError(
            f"A line of {WORD} holds one command and nothing else.", "Put what follows the `;` on a line of its own."
        )
    known = _COMMANDS.get(name)
    if known is None:
        raise ConfigurationError(f"There is no command {name!r}. {closest(name, _COMMANDS)}".rstrip(), f"There are:\n{USAGE}")
    act, fewest, most = known
    if not fewest <= len(arguments) <= most:
        raise _wrong_length(name, arguments, session)
    if not isinstance(session, LastingSession) and name not in _WITHOUT_STATE:
        raise ConfigurationError(
            "This session keeps no state (Runner.state is fresh).", "Set Runner.state to exact or carry."
        )
    return await act(session, *arguments)


def _wrong_length(name: str, arguments: list[str], session: Session) -> ConfigurationError:
    """Return what tells who wrote a word too few, or too many."""
    usage = next(line for line in USAGE.splitlines() if line.split()[1] == _ALIASES.get(name, name))
    wanted = usage.split()[2] if usage.split()[2].strip("[]").isupper() else ""
    if arguments:
        most = f"one word, {wanted.strip('[]')}" if wanted else "no more words"
        return ConfigurationError(f"{WORD} {name} takes {most}, not {' '.join(arguments)!r}.", f"Use: {usage}")
    there = ", ".join(choices(name, session))
    listed = f" There are: {there}." if there else ""
    return ConfigurationError(f"{WORD} {name} does not say which {wanted}.{listed}", f"Use: {usage}")


def choices(name: str, session: Session | None) -> list[str]:
    """Return what can stand behind a command: cells, or names of saved sessions."""
    name = _ALIASES.get(name, name)
    if name in ("save", "load", "remove"):
        return [item.name for item in saved.sessions()]
    if name == "rewind" and isinstance(session, LastingSession):
        return ["0", *dict.fromkeys(point.cell for point, _ in session.log() if point.cell.isdecimal())]
    return []


async def _undo(session: LastingSession, cells: str = "1") -> str:
    if not cells.isdecimal() or len(cells) > 9 or int(cells) < 1:
        raise ConfigurationError(f"{cells!r} is no number of cells.", f"Use: {WORD} undo 2")
    await session.undo(int(cells))
    return _where(session)


async def _rewind(session: LastingSession, cell: str) -> str:
    await session.rewind(cell.removeprefix("In").strip("[]"))
    return _where(session)


async def _reset(session: LastingSession) -> str:
    await session.reset()
    return _where(session)


def _where(session: LastingSession) -> str:
    point = session.head()
    return "The session begins anew." if point is None else f"The session is as it was after {_called(point.cell)}."


def _called(cell: str) -> str:
    return f"In[{cell}]" if cell.isdecimal() else f"`{cell}`"


async def _log(session: LastingSession) -> str:
    await session.settled()
    points = session.log()
    before = {point.number: last.number for (last, _), (point, _) in itertools.pairwise(points)}
    called = {0: "the beginning", **{point.number: _called(point.cell) for point, _ in points}}
    rows = [
        [
            "*" if here else "",
            _called(point.cell),
            # Where each goes on from the one above nothing need be said.
            called.get(point.parent, "") if point.parent != before.get(point.number, 0) else "",
            amount(point.snapshot.size),
            point.code,
        ]
        for point, here in points
    ]
    headings = ["", "after", "from", "size", "code"]
    if not any(row[2] for row in rows):
        headings, rows = [*headings[:2], *headings[3:]], [[*row[:2], *row[3:]] for row in rows]
    if not rows:
        return "No cell has left a state yet."
    return f"{table(headings, rows)}\n{amount(session.weight())} in all; * is where the next cell starts."


async def _state(session: LastingSession) -> str:
    names = sorted(await session.names(), key=lambda row: -row[2])
    parts = []
    if names:
        rows = [[clean_word(name), clean_word(kind), amount(size)] for name, kind, size in names[:MOST_NAMES]]
        parts.append(table(["name", "type", "about"], rows))
        parts += [f"and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    else:
        parts.append("It holds no variables.")
    point = session.head()
    if point is not None and point.snapshot.lost:
        lost = [f"  {clean_word(name)}: {clean_word(why, 300)}" for name, why in point.snapshot.lost]
        parts.append("\n".join(["Not carried:", *lost]))
    weight = "nothing" if point is None else amount(point.snapshot.size)
    parts.append(
        f"State {session.mode}: the newest takes {weight} {session.where}, all that is kept {amount(session.weight())}."
    )
    return "\n".join(parts)


async def _save(session: LastingSession, name: str) -> str:
    snapshot = await session.save(name)
    return f"Saved as {name} ({amount(snapshot.size)}). It holds everything the session held, passwords and tokens too."


async def _load(session: LastingSession, name: str) -> str:
    await session.load(name)
    return f"The session goes on from {name}."


async def _list(_: Session) -> str:
    rows = [[item.name, item.mode, amount(item.size), date(item.made)] for item in saved.sessions()]
    return (
        table(["name", "state", "size", "saved"], rows)
        if rows
        else f"There are no saved sessions. {WORD} save NAME makes one."
    )


async def _remove(_: Session, name: str) -> str:
    saved.remove(name)
    return f"The saved session {name} is gone."


#: Kishu's word for going to another state, and that of those who know snapshots.
_ALIASES = {"checkout": "rewind", "snapshot": "save", "restore": "load"}
_Act = Callable[..., Awaitable[str]]
_COMMANDS: dict[str, tuple[_Act, int, int]] = {
    "undo": (_undo, 0, 1),
    "rewind": (_rewind, 1, 1),
    "checkout": (_rewind, 1, 1),
    "log": (_log, 0, 0),
    "state": (_state, 0, 0),
    "save": (_save, 1, 1),
    "snapshot": (_save, 1, 1),
    "load": (_load, 1, 1),
    "restore": (_load, 1, 1),
    "list": (_list, 0, 0),
    "remove": (_remove, 1, 1),
    "reset": (_reset, 0, 0),
}
#: What has to do with the disk alone.
_WITHOUT_STATE = ("list", "remove")
#: For who completes them.
NAMES = tuple(_COMMANDS)

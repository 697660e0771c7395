"""``%sandbox``: what the user can say to the session itself, in a cell. It runs on the host; no sandbox sees it."""

from __future__ import annotations

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
    known = _COMMANDS.get(name)
    if known is None:
        raise ConfigurationError(f"There is no command {name!r}. {closest(name, _COMMANDS)}".rstrip(), f"There are:\n{USAGE}")
    act, fewest, most = known
    if not fewest <= len(arguments) <= most:
        usage = next(line for line in USAGE.splitlines() if line.split()[1] == _ALIASES.get(name, name))
        raise ConfigurationError(f"{WORD} {name}: {len(arguments)} words do not fit.", f"Use: {usage}")
    if not isinstance(session, LastingSession) and name != "list":
        raise ConfigurationError(
            "This session keeps no state (Runner.state is fresh).", "Set Runner.state to exact or carry."
        )
    return await act(session, *arguments)


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
    rows = [
        ["*" if here else "", _called(point.cell), amount(point.snapshot.size), point.code] for point, here in session.log()
    ]
    if not rows:
        return "No cell has left a state yet."
    return (
        f"{table(['', 'after', 'size', 'code'], rows)}\n{amount(session.weight())} in all; * is where the next cell starts."
    )


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
    "reset": (_reset, 0, 0),
}
#: For who completes them.
NAMES = tuple(_COMMANDS)

"""``%sandbox``: what can be said to the session in a cell."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sandbox_kernel import commands
from sandbox_kernel.backends.terms import Snapshot
from sandbox_kernel.errors import ConfigurationError, StateUnusable
from sandbox_kernel.lasting import LastingSession
from sandbox_kernel.session import Session
from sandbox_kernel.state import places, saved
from sandbox_kernel.state.history import History


class FakeSession(LastingSession):
    """Notes what it was asked; its history is real, its names are what a test says."""

    def __init__(self) -> None:  # It has no backend, and needs none.
        self.asked: list[tuple[Any, ...]] = []
        self.mode = "carry"
        self.held: list[tuple[str, str, int]] = []
        self._history = History(9, 10**9)

    async def undo(self, cells: int = 1) -> None:
        self.asked.append(("undo", cells))
        self._history.undo(cells)

    async def rewind(self, cell: str | int) -> None:
        self.asked.append(("rewind", cell))
        self._history.rewind(str(cell))

    async def save(self, name: str) -> Snapshot:
        self.asked.append(("save", name))
        return snapshot()

    async def load(self, name: str) -> Snapshot:
        self.asked.append(("load", name))
        return snapshot()

    async def names(self) -> list[tuple[str, str, int]]:
        return self.held

    async def settled(self) -> None:
        self.asked.append(("settled",))


class FreshSession(Session):
    """A session that keeps nothing."""

    def __init__(self) -> None:
        pass


def snapshot(size: int = 2048, **fields: Any) -> Snapshot:
    """Return a snapshot with nothing behind it."""
    return Snapshot("id", "carry", size, Path("/nowhere"), **fields)


@pytest.fixture
def session() -> FakeSession:
    """A session after two cells."""
    made = FakeSession()
    made._history.add(snapshot(), "1", "x = 1")
    made._history.add(snapshot(4096), "2", "y = 'a longer line'")
    return made


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "said", "rest"),
    [
        pytest.param("x = 1", [], "x = 1", id="none"),
        pytest.param("", [], "", id="nothing"),
        pytest.param("\n\n", [], "\n\n", id="empty lines"),
        pytest.param("%sandbox undo", [["undo"]], "\n", id="a command"),
        pytest.param("  %sandbox   undo  2 ", [["undo", "2"]], "\n", id="with spaces"),
        pytest.param("%sandbox", [[]], "\n", id="the word alone"),
        pytest.param("%sandbox?", [["help"]], "\n", id="a question"),
        pytest.param("?%sandbox", [["help"]], "\n", id="a question the other way"),
        pytest.param("%sandbox rewind ?", [["help"]], "\n", id="a question behind it"),
        pytest.param("%sandbox save 'what?\nx", [["help"]], "\nx", id="a question that cannot be read"),
        pytest.param("%sandbox undo # why?", [["undo"]], "\n", id="a question in a comment"),
        pytest.param("?%time", [], "?%time", id="a question about another"),
        pytest.param("%sandbox undo 2 # two of them", [["undo", "2"]], "\n", id="a comment behind it"),
        pytest.param("%sandbox rewind 'load x'", [["rewind", "load x"]], "\n", id="quotes"),
        pytest.param("%sandbox undo\nx = 1\n", [["undo"]], "\nx = 1\n", id="a cell behind it"),
        pytest.param("\n%sandbox undo\r\n\r\n1/0", [["undo"]], "\n\n\n1/0", id="empty lines around it"),
        pytest.param("%sandbox reset\n# now\n%sandbox load a\nx", [["reset"], ["load", "a"]], "\n\n\nx", id="two of them"),
        pytest.param("# first\n\n%sandbox undo\nx", [["undo"]], "\n\n\nx", id="a comment before it"),
        pytest.param("# first\nx = 1\n%sandbox undo", [], "# first\nx = 1\n%sandbox undo", id="a comment before a cell"),
        pytest.param("x = 1\n%sandbox undo", [], "x = 1\n%sandbox undo", id="not at the beginning"),
        pytest.param("'''\n%sandbox undo\n'''", [], "'''\n%sandbox undo\n'''", id="in a string"),
        pytest.param("%sandboxes undo", [], "%sandboxes undo", id="another word"),
        pytest.param("%time x", [], "%time x", id="another magic"),
        pytest.param("%sandbox\x0cundo", [[]], "\nundo", id="a form feed ends a line, as in Python"),
    ],
)
def test_a_cell_is_divided(code: str, said: list[list[str]], rest: str) -> None:
    """Commands stand at the beginning of a cell; what follows keeps its line numbers."""
    assert commands.split(code) == (said, rest)


def test_what_cannot_be_read_says_how_to_write_it() -> None:
    """An open quote is named, and the commands are listed."""
    with pytest.raises(ConfigurationError, match=r"(?s)Cannot read .*No closing quotation.*%sandbox save NAME"):
        commands.split("%sandbox save 'x")


# -- what each does ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"], ["?"]])
async def test_help(session: FakeSession, words: list[str]) -> None:
    """Who asks is told all there is."""
    assert await commands.run(session, words) == commands.HELP


def test_all_commands_are_in_the_help() -> None:
    """Each command that there is, but for other words for the same, has its line."""
    told = [line.split()[1] for line in commands.USAGE.splitlines()]
    assert set(told) == set(commands._COMMANDS) - set(commands._ALIASES)
    assert set(commands._ALIASES.values()) <= set(told)
    assert all(commands._COMMANDS[alias] == commands._COMMANDS[name] for alias, name in commands._ALIASES.items())


@pytest.mark.parametrize(
    ("words", "asked", "answer"),
    [
        (["undo"], ("undo", 1), "The session is as it was after In[1]."),
        (["undo", "2"], ("undo", 2), "The session begins anew."),
        (["rewind", "1"], ("rewind", "1"), "The session is as it was after In[1]."),
        (["rewind", "In[1]"], ("rewind", "1"), "The session is as it was after In[1]."),
        (["checkout", "2"], ("rewind", "2"), "The session is as it was after In[2]."),
        (["reset"], ("rewind", 0), "The session begins anew."),
        (["rewind", "0"], ("rewind", "0"), "The session begins anew."),
    ],
)
async def test_going_back(session: FakeSession, words: list[str], asked: tuple[Any, ...], answer: str) -> None:
    """Each way back says where the session is then."""
    assert await commands.run(session, words) == answer
    assert session.asked == [asked]


async def test_a_point_that_is_no_cell_has_its_name(session: FakeSession) -> None:
    """What a saved session brought is called by the command that brought it."""
    session._history.add(snapshot(), "load x")
    session._history.add(snapshot(), "3")
    assert await commands.run(session, ["undo"]) == "The session is as it was after `load x`."


@pytest.mark.parametrize(("words", "asked"), [(["save", "a"], ("save", "a")), (["snapshot", "b"], ("save", "b"))])
async def test_save(session: FakeSession, words: list[str], asked: tuple[str, str]) -> None:
    """Saving says the name, the size, and that secrets are in it."""
    answer = await commands.run(session, words)
    assert answer == f"Saved as {asked[1]} (2.0 KiB). It holds everything the session held, passwords and tokens too."
    assert session.asked == [asked]


@pytest.mark.parametrize("word", ["load", "restore"])
async def test_load(session: FakeSession, word: str) -> None:
    """Loading says what the session goes on from."""
    assert await commands.run(session, [word, "a"]) == "The session goes on from a."
    assert session.asked == [("load", "a")]


async def test_log(session: FakeSession) -> None:
    """The log waits for the last cell's state, then shows each point with size and code, and marks where one is."""
    session._history.undo(1)
    assert await commands.run(session, ["log"]) == (
        "   after  size     code\n"
        "*  In[1]  2.0 KiB  x = 1\n"
        "   In[2]  4.0 KiB  y = 'a longer line'\n"
        "6.0 KiB in all; * is where the next cell starts."
    )
    assert session.asked == [("settled",)]


async def test_log_of_a_session_that_went_back(session: FakeSession) -> None:
    """Of a point that does not go on from the one above it the log says where it comes from, in one word."""
    session._history.rewind("1")
    session._history.add(snapshot(), "4", "z = 3")
    session._history.add(snapshot(), "load work")
    session._history.rewind("0")
    session._history.add(snapshot(), "7")
    assert (await commands.run(session, ["log"])).splitlines()[:-1] == [
        "   after        from           size     code",
        "   In[1]                       2.0 KiB  x = 1",
        "   In[2]                       4.0 KiB  y = 'a longer line'",
        "   In[4]        In[1]          2.0 KiB  z = 3",
        "   `load work`                 2.0 KiB",
        "*  In[7]        the beginning  2.0 KiB",
    ]


async def test_log_of_nothing() -> None:
    """Before the first cell there is nothing to go back to."""
    assert await commands.run(FakeSession(), ["log"]) == "No cell has left a state yet."


async def test_state(session: FakeSession) -> None:
    """The names come with the largest first, then what is lost, then the weight."""
    session.held = [("x", "int", 28), ("frame", "DataFrame", 3 * 2**20)]
    session._history.add(snapshot(lost=(("sock", "it is a socket"),)), "3")
    assert await commands.run(session, ["state"]) == (
        "name   type       about\n"
        "frame  DataFrame  3.0 MiB\n"
        "x      int        28 bytes\n"
        "Not carried:\n"
        "  sock: it is a socket\n"
        "State carry: the newest takes 2.0 KiB on disk, all that is kept 8.0 KiB."
    )


async def test_state_on_a_workspace(session: FakeSession) -> None:
    """Where the states lie elsewhere, that is said."""
    session.where = "on the workspace"
    assert "takes 4.0 KiB on the workspace, all" in await commands.run(session, ["state"])


async def test_state_of_nothing() -> None:
    """A session without variables says so."""
    answer = await commands.run(FakeSession(), ["state"])
    assert answer == "It holds no variables.\nState carry: the newest takes nothing on disk, all that is kept 0 bytes."


async def test_state_of_very_many(session: FakeSession) -> None:
    """Of very many variables the largest are shown, and how many more there are."""
    session.held = [(f"x{number}", "int", number) for number in range(100)]
    lines = (await commands.run(session, ["state"])).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["x99", "x98"]
    assert lines[commands.MOST_NAMES + 1] == "and 60 more"


async def test_what_a_guest_calls_things_is_only_text(session: FakeSession) -> None:
    """Names are a guest's word: no line, no column and no terminal is its own."""
    session.held = [("a\nState exact: \x1b[2J\ud800", "b" * 10**6, 1)]
    session._history.add(snapshot(lost=(("n\n\nn", "\x1b]0;x\x07\x1b[31mwhy\n" + "y" * 10**5),)), "3")
    answer = await commands.run(session, ["state"])
    assert len(answer.splitlines()) == 5
    assert len(answer) < 1000
    assert "\x1b" not in answer and "\ud800" not in answer
    assert answer.splitlines()[1].startswith("a State exact: ")


async def test_list(session: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """The saved sessions are listed with what they are and when they were saved; without any, how to make one."""
    monkeypatch.setattr(saved, "sessions", list)
    assert await commands.run(session, ["list"]) == "There are no saved sessions. %sandbox save NAME makes one."
    monkeypatch.setattr(saved, "sessions", lambda: [saved.Saved("a", "session", "exact", 2**20, 0.0)])
    answer = await commands.run(FreshSession(), ["list"])
    made = time.strftime("%Y-%m-%d %H:%M", time.localtime(0))
    assert answer == f"name  state  size     saved\na     exact  1.0 MiB  {made}"


def _save(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let there be saved sessions of these names."""
    monkeypatch.setattr(saved, "sessions", lambda: [saved.Saved(name, "session", "exact", 1, 0.0) for name in names])


async def test_remove(session: FakeSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved session is forgotten by its name; who mistypes it is told of the one that is meant, and nothing goes."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    folder = places.saved() / "work"
    folder.mkdir(parents=True)
    with pytest.raises(StateUnusable, match=r"^There is no saved session 'wrok'\. There are: work\. Did you mean work\?$"):
        await commands.run(session, ["remove", "wrok"])
    assert folder.exists()
    assert await commands.run(FreshSession(), ["remove", "work"]) == "The saved session work is gone."
    assert not folder.exists()


def test_what_can_stand_behind_a_command(session: FakeSession, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells that are kept can be gone to, saved sessions loaded; of a session that keeps nothing there is nothing."""
    _save(monkeypatch, "night", "work")
    session._history.add(snapshot(), "load work")
    assert commands.choices("rewind", session) == commands.choices("checkout", session) == ["0", "1", "2"]
    for name in ("save", "load", "remove", "restore"):
        assert commands.choices(name, None) == ["night", "work"]
    assert commands.choices("undo", session) == commands.choices("rewind", FreshSession()) == []


# -- what each refuses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message", "advice"),
    [
        pytest.param(["unod"], "There is no command 'unod'. Did you mean undo?", "There are:\n" + commands.USAGE, id="typo"),
        pytest.param(["xyzzy"], "There is no command 'xyzzy'.", "There are:\n" + commands.USAGE, id="unknown"),
        pytest.param(
            ["undo", "1", "2"],
            "%sandbox undo takes one word, N, not '1 2'.",
            "Use: %sandbox undo [N]       take back the last cell, or the last N",
            id="too many",
        ),
        pytest.param(
            ["log", "all"],
            "%sandbox log takes no more words, not 'all'.",
            "Use: %sandbox log            the states that can be gone back to",
            id="too many where there are none",
        ),
        pytest.param(
            ["checkout"],
            "%sandbox checkout does not say which CELL. There are: 0, 1, 2.",
            "Use: %sandbox rewind CELL    go to the state after In[CELL]; 0 is the beginning",
            id="another word for it",
        ),
        pytest.param(
            ["load"],
            "%sandbox load does not say which NAME. There are: night, work.",
            "Use: %sandbox load NAME      go on from a saved session",
            id="too few",
        ),
        *(
            pytest.param(
                words,
                "A line of %sandbox holds one command and nothing else.",
                "Put what follows the `;` on a line of its own.",
                id=" ".join(words),
            )
            for words in (["undo;", "b"], ["undo", "1;", "b"], ["undo;b"], ["undo", ";", "b"])
        ),
        pytest.param(["undo", "x"], "'x' is no number of cells.", "Use: %sandbox undo 2", id="no number"),
        pytest.param(["undo", "0"], "'0' is no number of cells.", "Use: %sandbox undo 2", id="zero"),
        pytest.param(["undo", "-1"], "'-1' is no number of cells.", "Use: %sandbox undo 2", id="negative"),
        pytest.param(["undo", "²"], "'²' is no number of cells.", "Use: %sandbox undo 2", id="a superscript"),
    ],
)
async def test_what_does_not_fit(
    session: FakeSession, words: list[str], message: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes a command wrongly is told what is wrong, and how it is written."""
    _save(monkeypatch, "night", "work")
    with pytest.raises(ConfigurationError) as raised:
        await commands.run(session, words)
    assert (raised.value.message, raised.value.advice) == (message, advice)
    assert session.asked == []


async def test_a_number_of_very_many_digits(session: FakeSession) -> None:
    """No number is long enough to be another kind of error."""
    with pytest.raises(ConfigurationError, match="no number of cells"):
        await commands.run(session, ["undo", "9" * 10_000])


@pytest.mark.parametrize("words", [[name] + ["x"] * fewest for name, (_, fewest, _) in commands._COMMANDS.items()])
async def test_a_session_without_state(words: list[str]) -> None:
    """Where nothing is kept every command but those about saved sessions says so, and which setting keeps it."""
    if words[0] in commands._WITHOUT_STATE:
        return
    with pytest.raises(ConfigurationError, match=r"keeps no state.*Set Runner\.state to exact or carry"):
        await commands.run(FreshSession(), words)


async def test_errors_of_the_session_are_its_own(session: FakeSession) -> None:
    """What cannot be gone to is told in the history's words, with the next step."""
    with pytest.raises(StateUnusable, match=r"Kept are those after: 1, 2\. `%sandbox log`"):
        await commands.run(session, ["rewind", "9"])
    with pytest.raises(StateUnusable, match=r"There are 2 cells to take back, not 9"):
        await commands.run(session, ["undo", "9"])

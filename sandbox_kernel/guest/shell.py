"""What runs the cells of notebooks: IPython's shell where the sandbox has IPython, else one of the standard library.

Both say the same events, keep the same names and are carried by the same words (:mod:`.session_names`), so that a session may
go on where the other one is. A shell is made for the first cell that needs one: programs and agents run plain Python and do
not wait for it. Its methods:

    run(cell)           run a cell and return its exit status; everything about it has been said by then
    hides(name, value)  say whether the shell put this into the namespace, and not the user
    park()              leave in the namespace what is to be carried and nothing else; the shell is not used any more
    resume(state)       go on with what another shell parked
"""

from __future__ import annotations

import os
import sys
import types

from . import TYPE_CHECKING, finding, notebook_words, session_names, source, wire

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional

#: What an IPython's first cell and its first traceback import.
_WARM = (
    "IPython.core.interactiveshell",
    "IPython.core.completerlib",
    "IPython.core.magics",
    "IPython.core.oinspect",
    "stack_data",
    "pygments.formatters.terminal256",
)


class Shells:
    """Makes the shell when it is needed.

    Args:
        main: The module in whose namespace cells run.
        emit: Says an event.
        evaluate: Returns the value of a compiled cell.
        complete: Runs a coroutine to its end in the event loop of the cells.

    Attributes:
        carried: What a shell of an earlier sandbox parked; None: nothing.
    """

    def __init__(
        self,
        main: types.ModuleType,
        emit: Callable[[wire.Event], None],
        evaluate: Callable[[source.Compiled], Any],
        complete: Callable[[Any], Any],
    ) -> None:
        self._main = main
        self._emit = emit
        self._evaluate = evaluate
        self._complete = complete
        self._shell: Any = None
        self.carried: Optional[Dict[str, Any]] = None

    def warm(self) -> None:
        """Import what the shell needs, to be there in every copy of this process."""
        for name in _WARM if _has_ipython() else ():
            try:
                finding.imported(name)
            except Exception:
                return  # Which is told when it is needed.

    def prepare(self) -> None:
        """Make the shell if the session has had one."""
        if self.carried is not None:
            self._get()

    def run(self, cell: wire.Cell) -> int:
        """Run a cell and return its exit status."""
        status: int = self._get().run(cell)
        return status

    def rehearse(self) -> None:
        """Do what a shell does for a cell, without a cell."""
        if self._shell is not None:
            self._shell.rehearse()

    def hides(self, name: str, value: Any) -> bool:
        """Say whether the shell put this into the namespace, and not the user."""
        return self._shell is not None and bool(self._shell.hides(name, value))

    def park(self) -> None:
        """Leave in the namespace what is to be carried."""
        if self._shell is not None:
            self._shell.park()
        elif self.carried is not None:
            self._main.__dict__[session_names.STATE] = self.carried

    def _get(self) -> Any:
        if self._shell is None:
            from . import programs

            os.environ.update(programs.environment())
            notebook_words.install()
            users = dict(self._main.__dict__)
            self._shell = self._make()
            self._main.__dict__.update(users)  # It begins with names of its own; those that the user took stay the user's.
            carried, self.carried = self.carried, None
            if isinstance(carried, dict):
                self._shell.resume(carried)
        return self._shell

    def _make(self) -> Any:
        if _has_ipython():
            try:
                made = finding.ours("shell_ipython").IPythonShell  # What it needs may be named as files that a cell wrote.
                return made(self._main, self._emit, self._complete)
            except Exception as error:
                said = "IPython cannot be used in this sandbox (%s: %s); magics are those of the standard library."
                print(said % (type(error).__name__, error), file=sys.stderr)
        return finding.ours("shell_plain").PlainShell(self._main, self._emit, self._evaluate)


def _has_ipython() -> bool:
    try:
        return finding.is_there("IPython")
    except (ImportError, ValueError):
        return False

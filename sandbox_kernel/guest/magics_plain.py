"""The magics that work without IPython: a small part of its own, by the same names and with the same words."""

from __future__ import annotations

import contextlib
import io
import math
import os
import shlex
import subprocess
import sys
import time
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import notebook_words, programs, wire

ADVICE = "It needs IPython, which the sandbox's image does not have."
_SCRIPTS = {"bash": "bash", "sh": "sh", "script": ""}


class UsageError(Exception):
    """A magic was used as it cannot be."""

    __module__ = "builtins"


class Captured:
    """What a cell said under ``%%capture``."""

    def __init__(self) -> None:
        self.stdout = ""
        self.stderr = ""
        self.outputs: List[Dict[str, Any]] = []

    def show(self) -> None:
        """Say it now."""
        sys.stdout.write(self.stdout)
        sys.stderr.write(self.stderr)

    __call__ = show

    def __str__(self) -> str:
        return self.stdout


class Magics:
    """Line magics are methods ``line_NAME(line)``, cell magics ``cell_NAME(line, body)``.

    Args:
        names: The namespace of the cells.
        evaluate: Runs source in it and returns the value of the last expression.
        divert: Takes what receives the events of displays from now on, and returns what did before.
        hidden: Tells of a name in the namespace whether it is the shell's.
    """

    def __init__(
        self,
        names: Dict[str, Any],
        evaluate: Callable[[str], Any],
        divert: Callable[[Callable[[wire.Event], None]], Callable[[wire.Event], None]],
        hidden: Callable[[str], bool],
    ) -> None:
        self._names = names
        self._evaluate = evaluate
        self._divert = divert
        self._hidden = hidden

    def run_line(self, name: str, line: str) -> Any:
        """Run ``%name line``. Raises UsageError."""
        if name == notebook_words.SANDBOX:
            raise UsageError(notebook_words.AT_THE_TOP)
        magic = getattr(self, "line_" + name, None)
        if magic is None:
            raise UsageError("Line magic function `%%%s` not found. %s" % (name, ADVICE))
        return magic(programs.expand(line, self._names) if name not in ("time", "timeit") else line)

    def run_cell(self, name: str, line: str, body: str) -> Any:
        """Run ``%%name line`` over the rest of a cell. Raises UsageError."""
        if name == notebook_words.SANDBOX:
            raise UsageError(notebook_words.AT_THE_TOP)
        magic = getattr(self, "cell_" + name, None)
        if magic is None:
            raise UsageError("Cell magic `%%%%%s` not found. %s" % (name, ADVICE))
        return magic(line, body)

    # -- time

    def line_time(self, line: str) -> Any:
        return self.cell_time("", line)

    def cell_time(self, line: str, body: str) -> Any:
        begun = time.perf_counter(), *os.times()[:2]
        try:
            return self._evaluate(body if body.strip() else line)
        finally:
            wall, user, system = (now - then for now, then in zip((time.perf_counter(), *os.times()[:2]), begun))
            spent = (_amount(user), _amount(system), _amount(user + system), _amount(wall))
            print("CPU times: user %s, sys: %s, total: %s\nWall time: %s" % spent)

    def line_timeit(self, line: str) -> None:
        self._timeit(line, "")

    def cell_timeit(self, line: str, body: str) -> None:
        self._timeit(line, body)

    def _timeit(self, line: str, body: str) -> None:
        import timeit

        loops, rounds, quiet, statement = _timeit_words(line)
        timer = timeit.Timer(body or statement, statement if body else "pass", globals=self._names)
        loops = loops or timer.autorange()[0]
        runs = [spent / loops for spent in timer.repeat(rounds, loops)]
        if not quiet:
            mean = sum(runs) / len(runs)
            spread = math.sqrt(sum((run - mean) ** 2 for run in runs) / len(runs))
            how = (_amount(mean), _amount(spread), rounds, "s" * (rounds != 1), format(loops, ","), "s" * (loops != 1))
            print("%s \u00b1 %s per loop (mean \u00b1 std. dev. of %d run%s, %s loop%s each)" % how)

    # -- programs and files

    def cell_script(self, line: str, body: str, program: str = "") -> None:
        words = shlex.split("%s %s" % (program, line))
        if not words:
            raise UsageError("%%script needs the name of a program")
        with subprocess.Popen(words, stdin=subprocess.PIPE) as process:
            process.communicate(body.encode("utf-8"))
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, body.encode("utf-8"))

    def cell_bash(self, line: str, body: str) -> None:
        self.cell_script(line, body, "bash")

    def cell_sh(self, line: str, body: str) -> None:
        self.cell_script(line, body, "sh")

    def cell_writefile(self, line: str, body: str) -> None:
        words = shlex.split(line)
        names = [word for word in words if word not in ("-a", "--append")]
        if len(names) != 1:
            raise UsageError("%%writefile needs one file name")
        path = os.path.expanduser(names[0])
        append = len(names) < len(words)
        print("%s %s" % ("Appending to" if append else "Overwriting" if os.path.exists(path) else "Writing", path))
        with open(path, "a" if append else "w", encoding="utf-8") as file:
            file.write(body)

    cell_file = cell_writefile

    def line_pip(self, line: str) -> None:
        programs.at_terminal("%s -m pip %s" % (shlex.quote(sys.executable), line))
        print("Note: you may need to restart the kernel to use updated packages.")

    # -- the session

    def cell_capture(self, line: str, body: str) -> None:
        words = line.split()
        captured = Captured()
        out, err = io.StringIO(), io.StringIO()

        def keep(event: wire.Event) -> None:
            if isinstance(event, (wire.Display, wire.Result)):
                captured.outputs.append(event.data)

        with contextlib.ExitStack() as stack:
            if "--no-stdout" not in words:
                stack.enter_context(contextlib.redirect_stdout(out))
            if "--no-stderr" not in words:
                stack.enter_context(contextlib.redirect_stderr(err))
            if "--no-display" not in words:
                stack.callback(self._divert, self._divert(keep))
            self._evaluate(body)
        captured.stdout, captured.stderr = out.getvalue(), err.getvalue()
        for name in words:
            if name.isidentifier():
                self._names[name] = captured

    def line_env(self, line: str) -> Any:
        if not line.strip():
            return dict(os.environ)
        name, sign, value = line.strip().partition("=") if "=" in line else line.strip().partition(" ")
        if not sign:
            if name not in os.environ:
                raise UsageError("Environment does not have key: %s" % name)
            return os.environ[name]
        os.environ[name.strip()] = value.strip()
        print("env: %s=%s" % (name.strip(), value.strip()))
        return None

    def line_cd(self, line: str) -> None:
        os.chdir(os.path.expanduser(line.strip() or "~"))
        print(os.getcwd())

    def line_pwd(self, _line: str) -> str:
        return os.getcwd()

    def line_ls(self, line: str) -> None:
        programs.at_terminal("ls -F --color " + line)

    def line_who(self, line: str) -> None:
        names = self.line_who_ls(line)
        print("".join("%s\t " % name for name in names) if names else "Interactive namespace is empty.")

    def line_who_ls(self, line: str) -> List[str]:
        kinds = line.split()
        found = [name for name in self._names if not name.startswith("_") and not self._hidden(name)]
        return sorted(name for name in found if not kinds or type(self._names[name]).__name__ in kinds)

    def line_whos(self, line: str) -> None:
        rows = [("Variable", "Type", "Data/Info")]
        for name in self.line_who_ls(line):
            value = self._names[name]
            rows.append((name, type(value).__name__, repr(value).replace("\n", "\\n")[:60]))
        widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
        lines = ["%-*s   %-*s   %s" % (widths[0], row[0], widths[1], row[1], row[2]) for row in rows]
        print("\n".join([lines[0], "-" * 32, *lines[1:]]) if rows[1:] else "Interactive namespace is empty.")

    def line_matplotlib(self, line: str) -> None:
        if line.strip() not in ("inline", "agg", ""):
            raise UsageError("%%matplotlib %s: a sandbox has no screen; figures are shown as with `inline`" % line.strip())

    def line_lsmagic(self, _line: str) -> None:
        for kind, mark in (("line_", "%"), ("cell_", "%%")):
            print(" ".join(mark + name[len(kind) :] for name in dir(self) if name.startswith(kind)))


def _timeit_words(line: str) -> Tuple[Optional[int], int, bool, str]:
    """Return the loops, the rounds, whether to be quiet, and the statement of ``%timeit``."""
    loops, rounds, quiet = None, 7, False
    rest = line.strip()
    while rest.startswith("-"):
        word, _, rest = rest.partition(" ")
        if word[1:2] in ("n", "r"):
            number = word[2:]
            if not number:
                number, _, rest = rest.lstrip().partition(" ")
            if not number.isdecimal() or not int(number):
                raise UsageError("%%timeit %s needs a number" % word)
            loops, rounds = (int(number), rounds) if word[1] == "n" else (loops, int(number))
        elif word == "-q":
            quiet = True
        else:
            raise UsageError("%%timeit does not know %s here. %s" % (word, ADVICE))
        rest = rest.lstrip()
    return loops, rounds, quiet, rest


def _amount(seconds: float) -> str:
    """Return a time as IPython tells it: with three digits, in a unit that suits."""
    if seconds >= 60:
        minutes, rest = divmod(int(seconds), 60)
        return "%dmin %ds" % (minutes, rest)
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("\u03bcs", 1e6)):
        if seconds * factor >= 1:
            return "%.3g %s" % (seconds * factor, unit)
    return "%.3g ns" % (seconds * 1e9)


def pages(value: Any, name: str, more: bool) -> str:
    """Return what ``name?`` tells of a value; with ``more``, as ``name??``, its source."""
    import inspect

    rows = []
    with contextlib.suppress(Exception):
        if callable(value):
            rows.append(("Signature:", "%s%s" % (name, inspect.signature(value))))
    rows.append(("Type:", type(value).__name__))
    if not isinstance(value, (type, types.FunctionType, types.BuiltinFunctionType, types.ModuleType)):
        with contextlib.suppress(Exception):
            rows.append(("String form:", str(value)))
        with contextlib.suppress(Exception):
            rows.append(("Length:", str(len(value))))
    with contextlib.suppress(Exception):
        rows.append(("File:", str(inspect.getfile(value))))
    text = "\n".join("%-13s%s" % row for row in rows)
    source = None
    if more:
        with contextlib.suppress(Exception):
            source = inspect.getsource(value)
    if source:
        return "%s\nSource:\n%s" % (text, source)
    return "%s\nDocstring:\n%s" % (text, inspect.getdoc(value) or "<no docstring>")

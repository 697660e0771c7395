"""Magics, ``!`` and ``?`` in a cell's text to calls of ``get_ipython()``, where there is no IPython that could do it.

Only what is no Python is changed, and only where a statement begins: never within a string or between brackets. Lines keep
their numbers. The forms are IPython's:

    %time f()          get_ipython().run_line_magic('time', 'f()')
    %%bash -x          get_ipython().run_cell_magic('bash', '-x', '...')       all of the cell
    !ls  x = !ls       get_ipython().system('ls')     x = get_ipython().getoutput('ls')
    !!ls               get_ipython().getoutput('ls')
    f?  ?f  f??        get_ipython().run_line_magic('pinfo', 'f')              'pinfo2' for two
"""

from __future__ import annotations

import ast
import re
from typing import Iterator, List, Match, Optional, Tuple

_CELL = re.compile(r"%%(\w+)[ \t]*(.*)")
_LINE = re.compile(r"(\s*)(%{1,2}|!{1,2})\s*(.*)", re.DOTALL)
_ASSIGNED = re.compile(r"([\w.,\s\[\]'\"*]*[\w\]'\"]\s*=\s*)(%|!)(?!=)\s*(.*)", re.DOTALL)
_ASKED = re.compile(r"(\s*)(?:(\?{1,2})\s*([\w.*%]+)|([\w.*%\[\]'\"]+)(\?{1,2}))\s*$")
_STRING = re.compile(r"[rRbBuUfFtT]{0,2}('''|\"\"\"|'|\")")


def transform(code: str) -> str:
    """Return ``code`` as Python; what is not understood stays as it is."""
    beginning = code.lstrip("\n")
    found = _CELL.match(beginning)
    if found:
        body = beginning.partition("\n")[2]
        body = body if body.endswith("\n") or not body else body + "\n"
        above = code[: len(code) - len(beginning)]
        return "%sget_ipython().run_cell_magic(%r, %r, %r)\n" % (above, found.group(1), found.group(2).rstrip(), body)
    if _is_python(code):
        return code
    return "".join(_transform_statement(text) for text in _statements(code))


def _is_python(code: str) -> bool:
    try:
        compile(code, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _transform_statement(text: str) -> str:
    """Return the lines that a statement begins with as Python."""
    line = text.rstrip("\n")
    # A command may go on in the next line, as in a shell.
    joined = re.sub(r"\\\n", " ", line)
    below = "\n" * (text.count("\n"))
    asked = _ASKED.match(joined)
    if asked:
        space, before, name, other, behind = asked.groups()
        magic = "pinfo2" if (before or behind) == "??" else "pinfo"
        return "%sget_ipython().run_line_magic(%r, %r)%s" % (space, magic, name or other, below)
    assigned = _assigned(joined)
    if assigned:
        space, mark, rest = assigned.groups()
        return space + _call("!!" if mark == "!" else mark, rest) + below
    begun = _LINE.match(joined)
    if begun:
        space, mark, rest = begun.groups()
        return space + _call(mark, rest) + below
    return text


def _call(mark: str, rest: str) -> str:
    rest = rest.rstrip()
    if mark[0] == "!":
        return "get_ipython().%s(%r)" % ("getoutput" if mark == "!!" else "system", rest)
    name, _, line = rest.partition(" ")
    return "get_ipython().run_line_magic(%r, %r)" % (name, line.strip())


def _statements(code: str) -> Iterator[str]:
    """Yield the text in pieces, each of whole lines: where a statement may begin, a new piece begins.

    A line that begins with a magic is a piece by itself, whatever quotes and brackets it has.
    """
    piece: List[str] = []
    state: Tuple[int, str] = (0, "")
    for line in code.splitlines(keepends=True):
        piece.append(line)
        if _goes_on(piece[0]):
            if line.rstrip("\n").endswith("\\"):
                continue
        else:
            state = _scan(line, *state)
            if state != (0, "") or line.rstrip("\n").endswith("\\"):
                continue
        yield "".join(piece)
        piece, state = [], (0, "")
    yield "".join(piece)


def _goes_on(line: str) -> bool:
    return line.lstrip()[:1] in ("%", "!", "?") or _assigned(line) is not None


def _assigned(line: str) -> Optional[Match[str]]:
    return _ASSIGNED.match(line) if "=" in line and ("%" in line or "!" in line) else None


def _scan(line: str, depth: int, quote: str) -> Tuple[int, str]:
    """Return how many brackets and which triple quote are open at the end of ``line``."""
    at = 0
    while at < len(line):
        if quote:
            if line[at] == "\\":
                at += 2
            elif line.startswith(quote, at):
                at += len(quote)
                quote = ""
            elif line[at] == "\n" and len(quote) == 1:
                quote = ""  # Not closed: an error, and no reason to look for its end.
            else:
                at += 1
            continue
        string = _STRING.match(line, at)
        if string:
            quote = string.group(1)
            at = string.end()
            continue
        if line[at] == "#":
            break
        depth = max(0, depth + (line[at] in "([{") - (line[at] in ")]}"))
        at += 1
    return depth, quote if len(quote) == 3 else ""

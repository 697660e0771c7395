"""Pure: which expression ends where somebody types: ``df["a"].str`` in ``x = f(df["a"].str.``.

The text is read as tokens, forward, and what belongs together is found backward over whole brackets. It need be no Python.
"""

from __future__ import annotations

import keyword
import re
from typing import NamedTuple

#: As far back as is looked.
MOST = 4000
_TOKEN = re.compile(
    r"(?P<space>(?:\s|\\\n|\#[^\n]*)+)"
    r"|(?P<string>[A-Za-z]{0,2}(?:'''(?:\\.|(?!''').)*'''|\"\"\"(?:\\.|(?!\"\"\").)*\"\"\""
    r"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"))"
    # A string that does not end takes the line: to look for its end from each of its quotes would take for ever.
    r"|(?P<open>['\"](?:\\.|[^\\\n])*)"
    r"|(?P<name>[^\W\d]\w*)|(?P<number>\d[\w.]*)|(?P<mark>.)",
    re.DOTALL,
)
_OPENS = {")": "(", "]": "[", "}": "{"}
_CONSTANTS = ("True", "False", "None")


class _Token(NamedTuple):
    kind: str
    text: str
    begin: int
    end: int
    #: A line begins with it.
    first: bool
    #: Of a bracket that closes: the place of that which opens. -1: there is none.
    partner: int


def ending(text: str, *, over_lines: bool = False) -> str:
    """Return the expression that the text ends with: a name with all that it is taken from, ...; nothing: there is none.

    ``over_lines``: what follows may stand on a later line, as a point may.
    """
    text = text[-MOST:]
    tokens = _tokens(text)
    at = _begin(tokens)
    if at is None or ("\n" in text[tokens[-1].end :] and not over_lines):
        return ""
    return text[tokens[at].begin : tokens[-1].end]


def called(text: str) -> str:
    """Return the function of the call that the text ends with; nothing: it ends with none."""
    tokens = _tokens(text[-MOST:].rstrip())
    if not tokens or tokens[-1].text != ")" or tokens[-1].partner < 1:
        return ""
    return ending(text[-MOST:].rstrip()[: tokens[tokens[-1].partner].begin])


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    opened: list[int] = []
    first = True
    for match in _TOKEN.finditer(text):
        kind, word = str(match.lastgroup), match[0]
        if kind == "space":
            first = first or "\n" in word.replace("\\\n", "")
            continue
        partner = -1
        if word in "([{":
            opened.append(len(found))
        elif word in _OPENS:
            partner = opened.pop() if opened else -1
            partner = partner if partner >= 0 and found[partner].text == _OPENS[word] else -1
        found.append(_Token(kind, word, match.start(), match.end(), first, partner))
        first = False
    return found


def _begin(tokens: list[_Token]) -> int | None:
    """Return the place of the token that the expression at the end begins with."""
    at = len(tokens) - 1
    while at >= 0:
        token = tokens[at]
        if token.text in _OPENS:
            if token.partner < 0:
                return None
            at = token.partner
            if tokens[at].text != "{" and not tokens[at].first and at > 0 and _is_operand(tokens[at - 1]):
                at -= 1
                continue
        elif not _is_operand(token):
            return None
        if at < 2 or tokens[at - 1].text != ".":
            return at
        at -= 2
    return None


def _is_operand(token: _Token) -> bool:
    """Whether something can be called, or an item or an attribute of it taken."""
    if token.kind == "name":
        return not keyword.iskeyword(token.text) or token.text in _CONSTANTS
    return token.kind == "string" or token.text in _OPENS

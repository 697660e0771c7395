"""Pure: what is told to who sits at a notebook, in the words that a program has for the same.

Below the kernel and the executors nobody knows which of them is there, so advice names cells, the notebook's commands and
settings by the class that has them. Here, where it goes to a program, it names runs, methods of the session and keywords.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from ..errors import SandboxError

#: In this order. What there is no method for is left out: the errors themselves list what can be gone back to.
_WORDS = [
    (re.compile(pattern), words)
    for pattern, words in (
        (r"`%sandbox log` lists (?:them|what is|the states)[.;] ?", ""),
        (r"`%sandbox undo`", "`session.undo()`"),
        (r"`%sandbox undo (\w+)`", r"`session.undo(\1)`"),
        (r"`%sandbox rewind CELL`", "`session.rewind(run)`"),
        (r"`%sandbox reset`", "`session.rewind(0)`"),
        (r"`%sandbox (save|load) NAME`", r"`session.\1(name)`"),
        (r"\b(?:Runner|LocalBackend|KubernetesBackend)\.(?=[a-z])", ""),
    )
]
#: No part of a path, or of what somebody gave a name.
_CELL = re.compile(r"(?<![\w/.'\"-])([Cc])ell(s?)(?!\.?[\w/'\"-])")


def for_programs(text: str) -> str:
    """Return a text for who uses an executor."""
    for pattern, words in _WORDS:
        text = pattern.sub(words, text)
    return _CELL.sub(lambda found: f"{'Run' if found[1] == 'C' else 'run'}{found[2]}", text).rstrip()


@contextlib.contextmanager
def told_to_programs() -> Iterator[None]:
    """Put what is raised into a program's words."""
    try:
        yield
    except SandboxError as error:
        error.message, error.advice = for_programs(error.message), for_programs(error.advice)
        error.args = (error.message,)
        raise

"""Whether a text is a whole cell: IPython's own rules, which only parse."""

from __future__ import annotations

import functools
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

#: A longer text was not typed, and need not be looked at.
MOST_CHARACTERS = 20_000
MOST_MAGICS = 50


def is_complete(code: str) -> dict[str, Any]:
    """Return the content of an is_complete_reply."""
    lines = code.strip().splitlines()
    if lines and all(line.split()[:1] in ([], ["%sandbox"]) for line in lines):
        return {"status": "complete"}
    # Each magic has the whole text read once more.
    if len(code) > MOST_CHARACTERS or sum(line.lstrip()[:1] in ("%", "!", "?") for line in lines) > MOST_MAGICS:
        return {"status": "unknown"}
    try:
        status, indent = _rules().check_complete(code)
    except (RecursionError, MemoryError, ValueError, OverflowError, SyntaxError, RuntimeError):
        return {"status": "invalid"}
    return {"status": status, **({"indent": " " * (indent or 0)} if status == "incomplete" else {})}


@functools.lru_cache(maxsize=1)
def _rules() -> TransformerManager:
    return TransformerManager()  # type: ignore[no-untyped-call]

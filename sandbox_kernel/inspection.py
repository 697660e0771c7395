"""Pure: what is told of the object at the cursor, in the form that IPython gives it."""

from __future__ import annotations

import builtins
import inspect
from collections.abc import Collection
from typing import Any

from IPython.utils.tokenutil import token_at_cursor

from .completion import described
from .outline import Outline
from .policy import clean_text

MOST_BEFORE = 20_000
_DOC = 20_000


def subject(code: str, cursor: int) -> str:
    """Return the dotted name at the cursor, or that of the function whose arguments are being written."""
    first = code.rfind("\n", 0, max(0, cursor - MOST_BEFORE)) + 1
    last = code.find("\n", cursor)
    text = code[first : len(code) if last < 0 else min(last, cursor + MOST_BEFORE)]
    try:
        name: str = token_at_cursor(text, cursor - first)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    return name if name and all(part.isidentifier() for part in name.split(".")) else ""


def facts(path: str, outline: Outline) -> dict[str, str] | None:
    """Return what the outline and the language know of a dotted name, by heading. None: nothing."""
    variable = outline.names.get(path)
    if variable is not None:
        found = described(path, outline)
        own = variable.kind in ("class", "module", "function")
        return _present(
            {
                "Init signature" if variable.kind == "class" else "Signature": _call(path, variable.signature),
                "Type": variable.type,
                "String form": variable.text,
                "Shape": variable.shape,
                "Length": "" if variable.length is None else str(variable.length),
                "Columns" if variable.shape else "Keys": ", ".join(variable.keys[:20]),
                "Docstring": variable.doc if own or found is None else found.doc,
            }
        )
    if path.partition(".")[0] not in outline.names:
        return _of_builtins(path)
    owner, _, name = path.rpartition(".")
    found = described(owner, outline)
    member = found.members.get(name) if found is not None else None
    if member is None:
        return None
    heading = "Init signature" if member.kind == "class" else "Signature"
    return _present({heading: _call(path, member.signature), "Type": member.kind, "Docstring": member.doc})


def _of_builtins(path: str) -> dict[str, str] | None:
    thing: Any = builtins
    for name in path.split("."):
        # Of the host's own language, whose builtins nobody replaced: no attribute of these does anything.
        thing = getattr(thing, name, None) if hasattr(thing, name) else _NOTHING
    if thing is _NOTHING:
        return None
    try:
        signature = str(inspect.signature(thing))
    except (TypeError, ValueError):
        signature = ""
    heading = "Init signature" if isinstance(thing, type) else "Signature"
    doc = inspect.getdoc(thing) or ""
    return _present({heading: _call(path, signature), "Type": type(thing).__name__, "Docstring": doc})


_NOTHING = object()


def with_jedi(path: str, known: dict[str, str] | None, said: Any) -> dict[str, str] | None:
    """Add what jedi says, which reads whole sources: what the outline knows counts, but for the longer documentation."""
    if not isinstance(said, dict) or not all(isinstance(value, str) for value in said.values()):
        return known
    heading = "Init signature" if said.get("type") == "class" else "Signature"
    theirs = _present(
        {
            heading: _call(path, said.get("signature", "")),
            "Type": said.get("type", ""),
            "Docstring": said.get("doc", "")[:_DOC],
        }
    )
    if known is None:
        return theirs if theirs.keys() - {"Type"} else None
    doc = max(known.get("Docstring", ""), theirs.get("Docstring", ""), key=len)
    return _present({**theirs, **known, "Docstring": doc})


def _call(path: str, signature: str) -> str:
    return f"{path.rpartition('.')[2] or path}{signature}" if signature else ""


def _present(found: dict[str, str]) -> dict[str, str]:
    order = ("Init signature", "Signature", "Type", "String form", "Shape", "Length", "Columns", "Keys")
    return {heading: found[heading] for heading in (*order, "Docstring", "Source") if found.get(heading)}


def reply(found: dict[str, str] | None, omitted: Collection[str] = ()) -> dict[str, Any]:
    """Return the content of an inspect_reply."""
    if not found:
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}
    parts = []
    for heading, text in found.items():
        if not text or heading.lower().replace(" ", "_") in omitted:
            continue
        long = heading in ("Docstring", "Source") or "\n" in text
        parts.append(f"\x1b[31m{heading}:\x1b[39m" + ("\n" if long else " " * max(1, 15 - len(heading))) + clean_text(text))
    return {"status": "ok", "found": True, "data": {"text/plain": "\n".join(parts)}, "metadata": {}}

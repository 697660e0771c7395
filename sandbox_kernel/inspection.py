"""Pure: what is told of the object at the cursor, in the form that IPython gives it."""

from __future__ import annotations

import builtins
import inspect
import re
from collections.abc import Collection
from typing import Any

from IPython.utils.tokenutil import token_at_cursor

from . import expressions
from .completion import called, described
from .outline import Outline
from .policy import clean_text

MOST_BEFORE = 20_000
#: Characters of one text of a guest's, and how many parameters are shown.
MOST_TEXT = 65_536
MOST_PARAMETERS = 300
#: IPython's own.
WIDE = 75
_OF_CALLS = ("Init signature", "Signature", "Docstring", "Init docstring", "File", "Type")
_OF_VALUES = ("Type", "String form", "Shape", "Length", "Columns", "Keys", "File", "Docstring", "Init docstring")
#: Said of what the outline had no room for.
SHORT = "(This is not all: the rest is told when no cell runs.)"
_DOC = 20_000
_WORD = re.compile(r"\w*")


def subject(code: str, cursor: int) -> str:
    """Return the expression at the cursor, or that of the function whose arguments are being written.

    IPython says which name it is, but takes ``df["a"].mean`` for ``df.mean``.
    """
    first = code.rfind("\n", 0, max(0, cursor - MOST_BEFORE)) + 1
    last = code.find("\n", cursor)
    text = code[first : len(code) if last < 0 else min(last, cursor + MOST_BEFORE)]
    try:
        name: str = token_at_cursor(text, cursor - first)
    except (SyntaxError, ValueError, RecursionError):
        return ""
    last_name = name.rpartition(".")[2]
    word = _WORD.match(text, cursor - first)
    before = text[: word.end() if word is not None else cursor - first]
    for found in (expressions.ending(before), expressions.called(before), called(text[: cursor - first])):
        if name and (found.endswith(last_name) or (found.endswith("]") and found.startswith(name))):
            return found
    return name if name and name in text and all(part.isidentifier() for part in name.split(".")) else ""


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
        parameters = _parameters(inspect.signature(thing))
    except (TypeError, ValueError):
        parameters = None
    kind = "init" if isinstance(thing, type) else "signature" if callable(thing) else ""
    said = {"call": kind, "parameters": parameters, "type": type(thing).__name__, "doc": inspect.getdoc(thing)}
    return from_guest(path, said)


def _parameters(signature: inspect.Signature) -> list[str]:
    """Return the parts that stand between commas."""
    found = list(signature.parameters.values())
    parts = [str(parameter) for parameter in found]
    kinds = [parameter.kind for parameter in found]
    if inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds:
        parts.insert(kinds.index(inspect.Parameter.KEYWORD_ONLY), "*")
    positional = kinds.count(inspect.Parameter.POSITIONAL_ONLY)
    return [*parts[:positional], "/", *parts[positional:]] if positional else parts


_NOTHING = object()


def from_guest(path: str, said: Any) -> dict[str, str] | None:
    """Return what the guest itself told of a dotted name, see :mod:`.guest.explaining`. None: nothing."""
    if not isinstance(said, dict):
        return None

    def word(name: str) -> str:
        value = said.get(name)
        return value[:MOST_TEXT] if isinstance(value, str) else str(value) if type(value) is int else ""

    call = _rendered(path, said.get("parameters"), word("returns")) if word("call") else ""
    keys = [key for key in said["keys"] if isinstance(key, str)] if isinstance(said.get("keys"), list) else []
    is_class, is_function = word("call") == "init", word("call") == "signature"
    found = {
        "Init signature": call if is_class else "",
        "Signature": call if is_function else "",
        "Type": word("type"),
        "String form": word("text"),
        "Shape": word("shape"),
        "Length": word("length"),
        "Columns" if word("shape") else "Keys": ", ".join(keys[:20]),
        "Docstring": word("doc") or "<no docstring>",
        "Init docstring": word("init_doc"),
        "File": word("file"),
    }
    order = _OF_CALLS if is_class or is_function else _OF_VALUES
    return {heading: found[heading] for heading in order if found.get(heading)}


def _rendered(path: str, said: Any, returns: str) -> str:
    """Return a signature as IPython writes it: on lines of its own when it is long."""
    if not isinstance(said, list):
        return ""
    parts = [part[:MOST_TEXT] for part in said[:MOST_PARAMETERS] if isinstance(part, str)]
    long = len(path) + sum(len(part) + 2 for part in parts) > WIDE
    call = path + ("(\n" + "".join(f"    {part},\n" for part in parts) + ")" if long else f"({', '.join(parts)})")
    return f"{call} -> {returns}" if returns else call


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


def cut(found: dict[str, str] | None) -> dict[str, str] | None:
    """Say of what may not be all that it is not."""
    short = found is not None and any(found.get(name, "").endswith("...") for name in ("Signature", "Init signature"))
    if found is None or not (short or "\n" not in found.get("Docstring", "\n")):
        return found
    return {**found, "Docstring": f"{found.get('Docstring', '')}\n{SHORT}".lstrip()}


def _call(path: str, signature: str) -> str:
    return f"{path.rpartition('.')[2] or path}{signature}" if signature else ""


def _present(found: dict[str, str]) -> dict[str, str]:
    order = ("Init signature", "Signature", "Type", "String form", "Shape", "Length", "Columns", "Keys")
    return {heading: found[heading] for heading in (*order, "Docstring", "Source", "File") if found.get(heading)}


def reply(found: dict[str, str] | None, omitted: Collection[str] = ()) -> dict[str, Any]:
    """Return the content of an inspect_reply."""
    if not found:
        return {"status": "ok", "found": False, "data": {}, "metadata": {}}
    shown = {name: text for name, text in found.items() if text and name.lower().replace(" ", "_") not in omitted}
    width = max(map(len, shown), default=0)
    parts = []
    for heading, text in shown.items():
        body = clean_text(text).strip("\n")
        parts.append(f"\x1b[31m{heading}:\x1b[39m{' ' * (width - len(heading))}" + ("\n" if "\n" in body else " ") + body)
    return {"status": "ok", "found": True, "data": {"text/plain": "\n".join(parts)}, "metadata": {}}


# -- magics


def magic(code: str, cursor: int) -> str:
    """Return the magic at the cursor with its percent signs; nothing when there is none."""
    first = code.rfind("\n", 0, cursor) + 1
    found = _MAGIC.match(code, first)
    return found[1] if found is not None and cursor <= found.end() else ""


def of_magic(name: str) -> dict[str, str] | None:
    """Return what IPython says of a magic. It is the host's, which a sandbox need not have."""
    from IPython.core import magics  # noqa: PLC0415 - it is a tenth of a second, and few ask

    kind, word = ("cell" if name.startswith("%%") else "line"), name.lstrip("%")
    if kind == "cell" and word in _SCRIPTS:
        said = f"%%{word} script magic\n\nRun cells with {word} in a subprocess.\n\nThis is a shortcut for `%%script {word}`"
        return {"Docstring": said}
    for group in (getattr(magics, f"{name}Magics", None) for name in _GROUPS.split()):
        held = getattr(group, "magics", None)
        found = held.get(kind, {}).get(word) if isinstance(held, dict) else None
        thing = getattr(group, found, None) if isinstance(found, str) else found
        if thing is not None:
            file = getattr(getattr(thing, "__code__", None), "co_filename", "")
            return _present({"Docstring": inspect.getdoc(thing) or "<no docstring>", "File": file})
    return None


_MAGIC = re.compile(r"\s*(%%?[^\W\d]\w*)\??")
#: Named, because IPython loads each when it is asked for.
_GROUPS = """Async Auto Basic Code Config Display Execution Extension History Logging Namespace OS Packaging Pylab
Script"""
#: Made by IPython when it starts, as short forms of ``%%script``.
_SCRIPTS = ("bash", "sh", "perl", "ruby", "python", "python3", "pypy")

"""Pure: what can stand at the cursor, from a session's outline, the language, and what others propose.

The text before the cursor decides which question it is: a command of ours, a magic, an import, a key, an attribute, a name.
Where the outline knows the object its word counts; elsewhere the proposals of :mod:`.sources` do.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import expressions
from .outline import Described, Member, Outline, keys, members

#: As far back as the text before the cursor is looked at, and how many proposals are sent.
MOST_BEFORE = 4000
MOST_MATCHES = 1000

LINE_MAGICS = """alias autoawait cd dhist dirs env history load load_ext ls lsmagic macro magic matplotlib mkdir pdb pdef pdoc
pfile pinfo pinfo2 pip popd pprint precision prun psearch psource pushd pwd recall reload_ext rerun reset reset_selective run
sandbox save sc set_env sx system tb time timeit unalias unload_ext who who_ls whos xdel xmode"""
CELL_MAGICS = """HTML SVG bash capture debug file html javascript js latex markdown perl prun python python3 ruby script
sh svg sx system time timeit writefile"""

_NAME = r"[^\W\d]\w*"
_LINES = (
    ("word", re.compile(r"\s*%sandbox\s+(?P<subject>\w+)\s+(?P<prefix>[\w.-]*)")),
    ("command", re.compile(r"\s*(?P<subject>%sandbox)\s+(?P<prefix>\w*)")),
    ("magic", re.compile(r"\s*(?P<subject>)(?P<prefix>%%?\w*)")),
    ("from", re.compile(r"\s*from\s+(?P<subject>[\w.]+)\s+import\s+\(?\s*(?:\w+(?:\s+as\s+\w+)?\s*,\s*)*(?P<prefix>\w*)")),
    (
        "import",
        re.compile(r"\s*(?:import\s+(?:[\w.]+(?:\s+as\s+\w+)?\s*,\s*)*|from\s+)(?P<subject>(?:\w+\.)*)(?P<prefix>\w*)"),
    ),
)
_KEY = re.compile(r"\[\s*(?:([\"'])((?:(?!\1).)*))?$")
_DOTTED = re.compile(rf"{_NAME}(?:\.{_NAME})*")
_WORD = re.compile(r"\w*$")
#: What is followed by paths, and the word of a shell at the end of a line.
_SHELL = re.compile(
    r"\s*(?:[\w, ]+=\s*)?!|\s*%?(cd|mkdir|pushd)\s|\s*%(?:run|load|ls|cat|less|pycat|writefile)\s|\s*%%writefile\s"
)
_SHELL_WORD = re.compile(r"(?:\\.|[^\s\\])*$")
_FIRST = re.compile(_NAME)
_PARAMETER = re.compile(rf"[(,]\s*({_NAME})\s*(?==|,|\)|$)")


@dataclass(frozen=True)
class Proposal:
    """One thing that can stand at the cursor. ``type`` is function, class, module, instance, keyword, magic, param ..."""

    text: str
    type: str = "instance"
    signature: str = ""


@dataclass(frozen=True)
class Question:
    """What stands before the cursor.

    Attributes:
        kind: command, word (what stands behind a command), magic, from, import, key, attribute, name, path, or none: nothing
            is to be proposed.
        subject: The module, variable or other expression that it is about.
        prefix: What of the answer is there already; it is replaced.
        quote: That which a key was begun with, or a path; ``!`` when it is a word of a shell.
    """

    kind: str
    subject: str = ""
    prefix: str = ""
    quote: str = ""


def question(code: str, cursor: int) -> Question:
    """Return what is asked at a cursor, in code points."""
    before = code[max(0, cursor - MOST_BEFORE) : cursor]
    line = before.rpartition("\n")[2]
    for kind, pattern in _LINES:
        if found := pattern.fullmatch(line):
            return Question(kind, found["subject"].rstrip("."), found["prefix"])
    found = _KEY.search(line)
    if found and (subject := expressions.ending(before[: len(before) - len(found[0])])):
        return Question("key", subject, found[2] or "", found[1] or "")
    quote, text = _in_text(line)
    if quote == "#":
        return Question("none")
    if quote:
        return Question("path", prefix=text, quote=quote)
    if found := _SHELL.match(line):
        word = _SHELL_WORD.search(line[found.end() :])
        assert word is not None
        return Question("path", found[1] or "", word[0], "!")
    return _of_expression(before, line)


def _of_expression(before: str, line: str) -> Question:
    word = _WORD.search(line)
    assert word is not None
    before = before[: len(before) - len(word[0])]
    if before.endswith("."):
        return Question("attribute", expressions.ending(before[:-1], over_lines=True), word[0])
    return Question("name", called(before), word[0])


def _in_text(line: str) -> tuple[str, str]:
    """Return the quote of the string that the end of a line is in and the text since, ``#`` in a comment, else nothing."""
    quote = ""
    skip = False
    begin = 0
    for at, letter in enumerate(line):
        if skip:
            skip = False
        elif quote:
            skip, quote = letter == "\\", "" if letter == quote else quote
        elif letter == "#" and not _SHELL.match(line):
            return "#", ""
        elif letter in "\"'":
            quote, begin = letter, at + 1
    return quote, line[begin:] if quote else ""


def called(before: str) -> str:
    """Return the function whose arguments are being written; nothing where that is not plain."""
    depth = 0
    for at in range(len(before) - 1, -1, -1):
        letter = before[at]
        if letter in ")]}":
            depth += 1
        elif letter in "([{":
            if depth == 0:
                return expressions.ending(before[:at]) if letter == "(" else ""
            depth -= 1
    return ""


def answer(asked: Question, outline: Outline, commands: Collection[str] = ()) -> list[Proposal] | None:
    """Return what the outline and the language know. None: they do not know the object.

    ``commands``: of ours, or what can stand behind the one that is asked about.
    """
    if asked.kind in ("command", "word"):
        return [Proposal(word, "keyword") for word in commands]
    by = {"magic": _magics, "from": _from, "import": _imports, "key": _keys, "attribute": _attributes, "name": _names}
    return by[asked.kind](asked, outline) if asked.kind in by else []


def _magics(_asked: Question, _outline: Outline) -> list[Proposal]:
    return [
        Proposal(sign + word, "magic") for sign, words in (("%", LINE_MAGICS), ("%%", CELL_MAGICS)) for word in words.split()
    ]


def _from(asked: Question, outline: Outline) -> list[Proposal] | None:
    known = outline.modules.get(asked.subject)
    return None if known is None else _members(known.members)


def _attributes(asked: Question, outline: Outline) -> list[Proposal] | None:
    return attributes(asked.subject, outline)


def _imports(asked: Question, outline: Outline) -> list[Proposal] | None:
    if not asked.subject:
        names = {*outline.importable, *(name.partition(".")[0] for name in outline.modules)}
        return [Proposal(name, "module") for name in names] if outline.importable else None
    within = asked.subject + "."
    names = {name[len(within) :].partition(".")[0] for name in outline.modules if name.startswith(within)}
    known = outline.modules.get(asked.subject)
    names |= {name for name, member in known.members.items() if member.kind == "module"} if known is not None else set()
    return [Proposal(name, "module") for name in names] or None


def _keys(asked: Question, outline: Outline) -> list[Proposal] | None:
    variable = outline.names.get(asked.subject)
    return None if variable is None else _quoted(asked, variable.keys)


def _quoted(asked: Question, keys: Iterable[str]) -> list[Proposal]:
    return [Proposal(_within(key, asked.quote) if asked.quote else repr(key), "dict key") for key in keys]


def _within(key: str, quote: str) -> str:
    """Return a key as it is written between two quotes."""
    body = repr("'" + key)[2:-1] if '"' not in key else repr(key)[1:-1]
    return body.replace("\\" + quote, quote).replace(quote, "\\" + quote)


def attributes(path: str, outline: Outline) -> list[Proposal] | None:
    """Return what the object at a dotted path has. None: it is not known, or it is another expression."""
    if not _DOTTED.fullmatch(path):
        return None
    first, *rest = path.split(".")
    variable = outline.names.get(first)
    if variable is None or rest:
        found = described(path, outline)
        return None if found is None else _members(found.members)
    own = [Proposal(name) for name in variable.attributes]
    if variable.shape:  # Of a table: its columns are attributes too.
        own += [Proposal(name) for name in variable.keys if name.isidentifier() and not keyword.iskeyword(name)]
    found = described(first, outline)
    return own + _members(found.members) if found is not None else own or None


def described(path: str, outline: Outline) -> Described | None:
    """Return the type or module of the object at a dotted path. None: it is not known."""
    first, *rest = path.split(".")
    variable = outline.names.get(first)
    if variable is None:
        return of_builtin(getattr(builtins, first, None)) if not rest and hasattr(builtins, first) else None
    if variable.kind != "module":
        return (outline.types.get(variable.of) or _builtin_type(variable.of)) if not rest else None
    key = ".".join((variable.of, *rest))
    return outline.modules.get(key) or outline.types.get(key)


def _builtin_type(key: str) -> Described | None:
    module, _, name = key.rpartition(".")
    found = getattr(builtins, name, None) if module == "builtins" else None
    return of_builtin(found) if isinstance(found, type) else None


def of_builtin(thing: Any) -> Described:
    """Return what something of the language itself has: the host's is the guest's."""
    held = {name: getattr(thing, name, None) for name in dir(thing)}
    members = {name: Member("function" if callable(value) else "instance") for name, value in held.items()}
    return Described(doc=inspect.getdoc(thing) or "", members=members)


def _members(members: Mapping[str, Member]) -> list[Proposal]:
    return [Proposal(name, member.kind, member.signature) for name, member in members.items()]


def _names(asked: Question, outline: Outline) -> list[Proposal]:
    found = [Proposal(name, "keyword") for name in keyword.kwlist]
    found += [Proposal(name, "class" if isinstance(value, type) else "function") for name, value in vars(builtins).items()]
    found += [Proposal(name, variable.kind, variable.signature) for name, variable in outline.names.items()]
    said = signature(asked.subject, outline) if asked.subject else ""
    return [Proposal(name + "=", "param") for name in _PARAMETER.findall(said)] + found


def signature(path: str, outline: Outline) -> str:
    """Return the parameters of the function at a dotted path; nothing when they are not known."""
    if path in outline.names:
        return outline.names[path].signature
    owner, _, name = path.rpartition(".")
    found = described(owner, outline) if owner else None
    return found.members.get(name, Member()).signature if found is not None else ""


def of_guest(asked: Question, said: Any) -> list[Proposal] | None:
    """Return proposals for what a guest says that an object has. None: it does not know it."""
    if not isinstance(said, dict):
        return None
    return _quoted(asked, keys(said.get("keys"))) if asked.kind == "key" else _members(members(said.get("members")))


def arguments(said: Any) -> list[Proposal]:
    """Return proposals for the parameters that a guest tells of a function."""
    parts = said.get("parameters") if isinstance(said, dict) else None
    found = [_FIRST.match(part) for part in parts if isinstance(part, str)] if isinstance(parts, list) else []
    return [Proposal(name[0] + "=", "param") for name in found if name is not None]


def made_by(source: str, asked: Question) -> list[Proposal]:
    """Return proposals for the names that a cell makes, and for the parameters of a function of its, as its source says."""
    try:
        rest: list[ast.AST] = [ast.parse(source)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    found = []
    while rest:
        node = rest.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.append(Proposal(node.name, "class" if isinstance(node, ast.ClassDef) else "function"))
            if node.name == asked.subject and not isinstance(node, ast.ClassDef):
                named = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                found += [Proposal(item.arg + "=", "param") for item in named]
            continue
        if isinstance(node, ast.alias):
            found.append(Proposal((node.asname or node.name).partition(".")[0], "module"))
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.append(Proposal(node.id))
        if not isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            rest += ast.iter_child_nodes(node)
    return found


def path_asked(asked: Question) -> str:
    """Return what the paths begin with that are asked for."""
    return re.sub(r"\\(.)", r"\1", asked.prefix) if asked.quote == "!" else asked.prefix


def of_paths(asked: Question, said: Any) -> list[Proposal]:
    """Return proposals for the paths that a guest says there are."""
    found = [item for item in said[:MOST_MATCHES] if isinstance(item, str)] if isinstance(said, list) else []
    found = [item for item in found if item.endswith("/") or not asked.subject]  # Of a directory there is a subject.
    found = [item for item in found if item.isprintable() and len(item) < MOST_BEFORE and asked.quote not in item[1:]]
    if asked.quote == "!":
        return [Proposal(re.sub(r"([\s\\'\"$&;()<>|*?`])", r"\\\1", item), "path") for item in found]
    return [Proposal(item, "path") for item in found if "\\" not in item]


def reply(asked: Question, cursor: int, proposals: Iterable[Proposal]) -> dict[str, Any]:
    """Return the content of a complete_reply: what begins like the prefix; what begins with an underscore when that does."""
    start = cursor - len(asked.prefix)
    found: dict[str, Proposal] = {}
    for proposal in proposals:
        if proposal.text.startswith(asked.prefix) and (
            asked.kind in ("key", "path", "word") or _is_shown(proposal.text, asked.prefix)
        ):
            found.setdefault(proposal.text, proposal)
    ordered = sorted(
        found.values(), key=lambda item: (item.type != "param", item.text.startswith("_"), item.text.lower(), item.text)
    )
    rows = [
        {"text": item.text, "type": item.type, "start": start, "end": cursor, "signature": item.signature}
        for item in ordered[:MOST_MATCHES]
    ]
    return {
        "status": "ok",
        "matches": [row["text"] for row in rows],
        "cursor_start": start,
        "cursor_end": cursor,
        "metadata": {"_jupyter_types_experimental": rows},
    }


def _is_shown(text: str, prefix: str) -> bool:
    return not text.startswith("_") or prefix.startswith("__") or (prefix.startswith("_") and not text.startswith("__"))

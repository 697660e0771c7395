"""What a session's namespace holds, as its guest told: read with every bound, and kept beside the states it belongs to.

All of it is a guest's word: texts are cleaned, names are names, numbers and lengths are bounded, and nothing is done with it
but to show it. The guest is told which types and modules are known, so that it tells them once.
"""

from __future__ import annotations

import json
import keyword
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from .guest import wire
from .policy import clean_text, clean_word

#: Bytes of one outline that are read at all; the guest's own limit is half of it.
MOST_BYTES = 512 * 1024
MOST_NAMES = 1000
MOST_KEYS = 100
MOST_MEMBERS = 800
#: Types and modules that are known at once, and how many of one outline are looked at.
MOST_DESCRIBED = 400
MOST_AT_ONCE = 200
MOST_IMPORTABLE = 5000
#: Characters of a name, of a signature, of documentation.
NAME = 200
SIGNATURE = 400
DOC = 2000
KINDS = ("function", "class", "module", "property", "instance")
_MAIN = "__main__."


@dataclass(frozen=True)
class Member:
    """What a type or a module offers under one name."""

    kind: str = "instance"
    signature: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Described:
    """A type or a module. ``bare``: there was no room for signatures and documentation; it will be told again."""

    signature: str = ""
    doc: str = ""
    members: Mapping[str, Member] = field(default_factory=dict)
    bare: bool = False


@dataclass(frozen=True)
class Variable:
    """A name of the namespace.

    Attributes:
        kind: One of KINDS.
        type: The name of its type.
        of: The key of its type, or of the class or module that it is.
        text: A short text for the value, where that is cheap.
        length: Of a container.
        shape: Of an array or a table.
        keys: The keys of a dict, the columns of a table, as far as they are text.
        attributes: What the object itself has.
        signature: Of a function or class.
        doc: Of a function, class or module.
    """

    kind: str = "instance"
    type: str = ""
    of: str = ""
    text: str = ""
    length: int | None = None
    shape: str = ""
    keys: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    signature: str = ""
    doc: str = ""


@dataclass(frozen=True)
class Outline:
    """The namespace after a cell. ``cut``: the guest did not tell everything."""

    names: Mapping[str, Variable] = field(default_factory=dict)
    types: Mapping[str, Described] = field(default_factory=dict)
    modules: Mapping[str, Described] = field(default_factory=dict)
    importable: tuple[str, ...] = ()
    mark: str = ""
    cut: bool = False


class Outlines:
    """The outline that holds now, and those of the points that a session can go back to."""

    def __init__(self) -> None:
        #: Guests are asked for it.
        self.wanted = False
        #: Replaced as a whole, so that other threads may read it.
        self.now = Outline()
        self._points: dict[int, Outline] = {}

    def known(self) -> list[str] | None:
        """Return what the guest need not tell again; None: it tells nothing. The notebook's own classes it always tells."""
        if not self.wanted:
            return None
        now = self.now
        whole = [key for table in (now.types, now.modules) for key, value in table.items() if not value.bare]
        return [key for key in (*whole, now.mark) if key and not key.startswith(_MAIN)]

    def hear(self, event: wire.Outline) -> None:
        """Take what a guest said; nothing of one that was not asked."""
        if not self.wanted:
            return
        self.now = read(event.text, self.now)

    def keep(self, point: int, points: Collection[int]) -> None:
        """Remember the outline as that of a new point; ``points`` are those that are kept."""
        self._points[point] = self.now
        for number in [number for number in self._points if number not in points]:
            del self._points[number]

    def go(self, point: int) -> None:
        """Go to that of a point. What is known of packages stays known."""
        then, now = self._points.get(point, Outline()), self.now
        types = {**now.types, **then.types}
        self.now = Outline(then.names, types, {**now.modules, **then.modules}, now.importable, now.mark, then.cut)


def read(text: str, before: Outline) -> Outline:
    """Return what a guest's outline says, with what was known of types and modules before. Raises nothing."""
    if len(text) > MOST_BYTES:
        return before
    try:
        said = json.loads(text, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return before
    if not isinstance(said, dict):
        return before
    importable, mark = before.importable, before.mark
    listed = _names(said.get("importable"), MOST_IMPORTABLE)
    if listed:
        importable, mark = listed, _word(said.get("mark"), 20)
    return Outline(
        names=_each(said.get("names"), _variable, MOST_NAMES, str.isidentifier),
        types=_newest({key: value for key, value in before.types.items() if not key.startswith(_MAIN)}, said.get("types")),
        modules=_newest(before.modules, said.get("modules")),
        importable=importable,
        mark=mark,
        cut=said.get("cut") is True,
    )


def _newest(before: Mapping[str, Described], said: Any) -> dict[str, Described]:
    both = {**before, **_each(said, _described, MOST_AT_ONCE, bool)}
    return dict(list(both.items())[-MOST_DESCRIBED:])


def _each(said: Any, read_one: Callable[[Any], Any], most: int, fits: Callable[[str], bool]) -> dict[str, Any]:
    if not isinstance(said, dict):
        return {}
    items = [
        item for item in list(said.items())[:most] if len(item[0]) <= NAME and fits(item[0]) and _word(item[0]) == item[0]
    ]
    return {name: read_one(value) for name, value in items}


def _variable(said: Any) -> Variable:
    if not isinstance(said, dict):
        return Variable()
    length = said.get("length")
    return Variable(
        kind=_kind(said.get("kind")),
        type=_word(said.get("type")),
        of=_word(said.get("of")),
        text=_word(said.get("text")),
        length=length if type(length) is int and 0 <= length < 2**63 else None,
        shape=_word(said.get("shape")),
        keys=tuple(key for key in _list(said.get("keys"), MOST_KEYS) if isinstance(key, str) and _text(key, NAME) == key),
        attributes=_names(said.get("attributes"), MOST_KEYS),
        signature=_word(said.get("signature"), SIGNATURE),
        doc=_text(said.get("doc"), DOC),
    )


def _described(said: Any) -> Described:
    if not isinstance(said, dict):
        return Described()
    members = _each(said.get("members"), _member, MOST_MEMBERS, str.isidentifier)
    return Described(_word(said.get("signature"), SIGNATURE), _text(said.get("doc"), DOC), members, said.get("bare") is True)


def _member(said: Any) -> Member:
    row = [*_list(said, 3), "", "", ""]
    return Member(_kind(row[0]), _word(row[1], SIGNATURE), _word(row[2], SIGNATURE))


def _names(said: Any, most: int) -> tuple[str, ...]:
    found = [name for name in _list(said, most) if isinstance(name, str) and len(name) <= NAME and name.isidentifier()]
    return tuple(name for name in found if not keyword.iskeyword(name))


def _list(said: Any, most: int) -> list[Any]:
    return said[:most] if isinstance(said, list) else []


def _kind(said: Any) -> str:
    return said if isinstance(said, str) and said in KINDS else "instance"


def _word(said: Any, most: int = NAME) -> str:
    return clean_word(said, most) if isinstance(said, str) else ""


def _text(said: Any, most: int) -> str:
    return clean_text(said[:most]).replace("\x1b", "") if isinstance(said, str) else ""

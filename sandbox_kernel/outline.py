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
#: Of them are named to the guest with each cell.
MOST_KNOWN = 300
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
        return [key for key in (now.mark, *whole[::-1]) if key and not key.startswith(_MAIN)][:MOST_KNOWN]

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
    items = list(said.items())[:most]
    return {name: read_one(value) for name, value in items if len(name) <= NAME and name.isprintable() and fits(name)}


def _variable(said: Any) -> Variable:
    if not isinstance(said, dict):
        return Variable()
    return Variable(**{name: read_one(said[name]) for name, read_one in _FIELDS.items() if name in said})


def _described(said: Any) -> Described:
    if not isinstance(said, dict):
        return Described()
    found = members(said.get("members"))
    return Described(_signature(said.get("signature")), _text(said.get("doc")), found, said.get("bare") is True)


def members(said: Any) -> dict[str, Member]:
    """Return what a guest says that something has, by name."""
    return _each(said, _member, MOST_MEMBERS, str.isidentifier)


def _member(said: Any) -> Member:
    if not isinstance(said, list) or len(said) != 3:
        return Member(_kind(said[0])) if isinstance(said, list) and said else Member()
    return Member(_kind(said[0]), _signature(said[1]), _signature(said[2]))


def _names(said: Any, most: int) -> tuple[str, ...]:
    found = [name for name in _list(said, most) if isinstance(name, str) and len(name) <= NAME and name.isidentifier()]
    return tuple(name for name in found if not keyword.iskeyword(name))


def _list(said: Any, most: int) -> list[Any]:
    return said[:most] if isinstance(said, list) else []


def keys(said: Any) -> tuple[str, ...]:
    """Return what a guest says are the keys of something."""
    return tuple(key for key in _list(said, MOST_KEYS) if isinstance(key, str) and len(key) <= NAME and key.isprintable())


def _attributes(said: Any) -> tuple[str, ...]:
    return _names(said, MOST_KEYS)


def _length(said: Any) -> int | None:
    return said if type(said) is int and 0 <= said < 2**63 else None


def _kind(said: Any) -> str:
    return said if isinstance(said, str) and said in KINDS else "instance"


def _signature(said: Any) -> str:
    return _word(said, SIGNATURE)


def _word(said: Any, most: int = NAME) -> str:
    if not isinstance(said, str):
        return ""
    # Nearly all are, and there are thousands of them before a reply goes out.
    return said if len(said) <= most and said.isprintable() else clean_word(said, most)


def _text(said: Any) -> str:
    if not isinstance(said, str):
        return ""
    said = said[:DOC]
    return said if said.replace("\n", "").isprintable() else clean_text(said).replace("\x1b", "")


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "kind": _kind,
    "type": _word,
    "of": _word,
    "text": _word,
    "length": _length,
    "shape": _word,
    "keys": keys,
    "attributes": _attributes,
    "signature": _signature,
    "doc": _text,
}

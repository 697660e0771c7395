"""What may stand in a field of the wire: each check takes a value as JSON brought it and tells whether it may.

Host and guest both read what hostile code may have written.
"""

from __future__ import annotations

from . import TYPE_CHECKING, notation
from .records import names_of

if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Tuple

    Check = Callable[[Any], bool]
    #: By its word on the wire: what a thing is read as, and what may stand in each of its fields.
    Table = Dict[str, Tuple[type, Dict[str, Check]]]


#: What stands in the name of a widget.
_OF_IDS = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-")


def is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53


def is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e9


def is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def is_status(value: Any) -> bool:
    return type(value) is int and -(2**31) <= value < 2**32


def is_lines(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def is_bundle(value: Any) -> bool:
    return isinstance(value, dict)


def is_texts(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())


def is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and not set(value) - set("0123456789abcdef")


def is_comm_id(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 64 and not set(value) - _OF_IDS


def are(*checks: Check) -> Check:
    """Return a check of a list of lists, each with items for which ``checks`` hold."""
    return lambda value: (
        isinstance(value, list)
        and all(
            isinstance(row, list) and len(row) == len(checks) and all(check(item) for check, item in zip(checks, row))
            for row in value
        )
    )


def or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


def one_of(*words: str) -> Check:
    return lambda value: isinstance(value, str) and value in words


def load(data: bytes, table: Table) -> Any:
    """Return what ``[kind, fields]`` in ``data`` stands for, or None when it is nothing of the table's."""
    try:
        kind, values = notation.loads(data, exact=True)
        made, checks = table[kind]
        names = set(names_of(made))
        if isinstance(values, dict) and set(values) <= names and all(checks[name](value) for name, value in values.items()):
            return made(**values)
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None

"""JSON, and bytes within it, by what ``json`` and ``base64`` are made of.

Those need ``re``, ``enum`` and twelve modules more with them: a new sandbox waited for these as long as for half of this
program. What may stand on the wire, and what is refused, is as in ``json``.
"""

from __future__ import annotations

import binascii  # What base64 is made of; that needs re and struct.

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Callable, Union

    _json: Any
else:
    try:
        import _json
    except ImportError:  # A Python that makes it of something else.
        _json = None

_BLANKS = " \t\n\r"


class _Reading:
    """What a scanner asks for."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_int = int

    def __init__(self, parse_float: Callable[[str], float], parse_constant: Callable[[str], Any]) -> None:
        self.parse_float = parse_float
        self.parse_constant = parse_constant


def _finite(digits: str) -> float:
    """A number that can be counted with."""
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(digits)
    return number


def _refuse(word: str) -> None:
    """What JSON does not know (NaN) is no value of ours."""
    raise ValueError(word)


def _scan(read: Any) -> Any:
    """Return what reads a value from a text, and tells where it ends."""
    if _json is not None:
        return _json.make_scanner(read)
    import json

    found = json.JSONDecoder(parse_float=read.parse_float, parse_constant=read.parse_constant)
    return found.scan_once  # type: ignore[attr-defined]


_any = _scan(_Reading(float, float))
_exact = _scan(_Reading(_finite, _refuse))


def loads(data: Union[str, bytes], *, exact: bool = False) -> Any:
    """Return the value that is written in ``data``. ``exact``: NaN and the infinite are none. Raises ValueError."""
    text = (data if isinstance(data, str) else data.decode("utf-8")).strip(_BLANKS)
    try:
        value, end = (_exact if exact else _any)(text, 0)
    except StopIteration:
        raise ValueError("this is no JSON: %r" % text[:80]) from None
    if end != len(text):
        raise ValueError("there is more than JSON: %r" % text[end : end + 80])
    return value


def dumps(value: Any, *, exact: bool = False) -> str:
    """Return ``value`` as one line of ASCII without blanks. ``exact``: NaN and the infinite are refused.

    Raises TypeError, ValueError or RecursionError for what cannot be written.
    """
    if _json is None:
        import json

        return json.dumps(value, separators=(",", ":"), allow_nan=not exact)
    write = _json.make_encoder({}, _no_json, _json.encode_basestring_ascii, None, ":", ",", False, False, not exact)
    return "".join(write(value, 0))


def base64(data: Any) -> str:
    """Return bytes as a text that may stand in JSON."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def _no_json(value: Any) -> None:
    raise TypeError("a %s cannot be written as JSON" % type(value).__name__)

"""The form of a snapshot's head: a line that says what it is, a line of JSON, and what only the same Python can read."""

from __future__ import annotations

import sys

# Functions, not modules: a cell may put something else into those.
from _pickle import dumps, loads  # Of what pickle is made of; that needs re and more.
from zlib import compress, decompress

from . import TYPE_CHECKING
from .notation import dumps as dump_json
from .notation import loads as load_json

if TYPE_CHECKING:
    from typing import Any, Dict

MAGIC = b"sandbox-kernel state\n"
FORMAT = 1


class Unloadable(Exception):
    """A snapshot cannot be loaded; the message is one sentence."""


def pack(body: Dict[str, Any]) -> bytes:
    """Return the head for a body of plain values."""
    header = {"format": FORMAT, "python": list(sys.version_info[:2])}
    return MAGIC + dump_json(header).encode("ascii") + b"\n" + compress(dumps(body, 5), 1)


def unpack(data: memoryview) -> Dict[str, Any]:
    """Return the body of a head. Raises Unloadable."""
    whole = bytes(data)
    if not whole.startswith(MAGIC):
        raise Unloadable("This is not a saved state of a sandbox.")
    line, _, rest = whole[len(MAGIC) :].partition(b"\n")
    try:
        header = load_json(line)
        python = "%d.%d" % tuple(header["python"])
        form = header["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise Unloadable("The head of the saved state is damaged.") from error
    ours = "%d.%d" % sys.version_info[:2]
    if form != FORMAT:
        raise Unloadable(
            "The saved state has format %s, and this version of sandbox-kernel reads format %d." % (form, FORMAT)
        )
    if python != ours:
        raise Unloadable("The saved state was made by Python %s, and this sandbox has Python %s." % (python, ours))
    try:
        body: Dict[str, Any] = loads(decompress(rest))
    except Exception as error:
        raise Unloadable("The head of the saved state is damaged.") from error
    return body

"""Text as it may be sent: of bounded length, and without the lone surrogates that a ``str`` may hold and JSON may not."""

from __future__ import annotations

#: Longest text of a value, an error or a traceback, in characters.
MOST_CHARACTERS = 200_000


def sendable(text: str) -> str:
    """Return ``text`` with what has no UTF-8 escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cut(text: str) -> str:
    """Return ``text`` fit to be sent, without its middle when it is too long."""
    if len(text) <= MOST_CHARACTERS:
        return sendable(text)
    half = MOST_CHARACTERS // 2
    left_out = len(text) - 2 * half
    return sendable("%s\n... %d characters left out ...\n%s" % (text[:half], left_out, text[-half:]))

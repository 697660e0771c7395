"""What is said to code that looks for a network which its sandbox does not have: one sentence, which the host chose."""

from __future__ import annotations

import _socket  # What socket is made of, which is loaded already.
import errno
import sys

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, List, Optional

#: For all of this process; empty: nothing is said.
_ADVICE = [""]
#: Errors that are looked at, of one that has many causes.
_MOST = 50
_GETS_PACKAGES = r"\bpip[0-9.]*\b.*\b(?:install|download|wheel)\b"


def set_advice(sentence: str) -> None:
    """Set what is said."""
    _ADVICE[0] = sentence


def hint(error: BaseException) -> Optional[str]:
    """Return a line for an error that comes of a name or an address that cannot be reached; None for any other."""
    rest: List[Optional[BaseException]] = [error]
    seen: List[BaseException] = []
    while _ADVICE[0] and rest and len(seen) < _MOST:
        part = rest.pop()
        if part is None or any(part is other for other in seen):
            continue
        seen.append(part)
        if issubclass(type(part), OSError) and _tells_of_no_network(part):
            return _ADVICE[0]
        rest += [part.__cause__, None if part.__suppress_context__ else part.__context__]
    return None


def _tells_of_no_network(error: Any) -> bool:
    if issubclass(type(error), _socket.gaierror):  # Whose numbers are others.
        return error.errno in (_socket.EAI_AGAIN, _socket.EAI_NONAME, _socket.EAI_FAIL)
    return error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.ETIMEDOUT)


def after(command: str, status: object) -> None:
    """Print the line after a program of the user's that wanted packages and did not get them."""
    if not (_ADVICE[0] and status):
        return
    import re  # A new sandbox has better things to do.

    if re.search(_GETS_PACKAGES, command, re.DOTALL):
        print(_ADVICE[0], file=sys.stderr)

"""Programs that a cell runs with ``!``, where there is no IPython: at a terminal of their own, or to take what they say."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import string
import struct
import subprocess
import sys
import termios

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping

from . import offline

SHELL = "/bin/sh"
_READ_BYTES = 1 << 16


def environment() -> Dict[str, str]:
    """Return what programs that cells run should be told: colours are shown, a pager is not."""
    return {
        "TERM": "xterm-color",
        "CLICOLOR": "1",
        "FORCE_COLOR": "1",
        "CLICOLOR_FORCE": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
    }


def has_terminals() -> bool:
    """Say whether there are terminals to give to a program."""
    try:
        for fd in os.openpty():
            os.close(fd)
    except OSError:
        return False
    return True


def at_terminal(command: str) -> int:
    """Run a command and print what it says as it comes; return its exit status, negative after a signal.

    At a terminal programs say at once what they have to say, and everything in one order. Without terminals they write to
    the cell's own stdout and stderr.
    """
    try:
        ours, theirs = os.openpty()
    except OSError:
        status = subprocess.call(command, shell=True, executable=SHELL)  # noqa: S602 - it is the user's
        offline.after(command, status)
        return status
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        with subprocess.Popen(  # noqa: S602
            command, shell=True, executable=SHELL, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        ) as process:
            os.close(theirs)
            try:
                for text in _said(ours):
                    sys.stdout.write(text)
            except BaseException:
                process.kill()
                raise
    finally:
        os.close(ours)
    offline.after(command, process.returncode)
    return process.returncode


def _said(fd: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    with contextlib.suppress(OSError):  # How the end of a terminal shows.
        while True:
            data = os.read(fd, _READ_BYTES)
            if not data:
                break
            yield decoder.decode(data)


def output_of(command: str) -> List[str]:
    """Return the lines that a command writes to stdout and stderr."""
    process = subprocess.Popen(  # noqa: S602
        command, shell=True, executable=SHELL, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return process.communicate()[0].decode("utf-8", "replace").splitlines()


def expand(command: str, names: Mapping[str, Any]) -> str:
    """Return a command with ``{expression}`` and ``$name`` filled in; unchanged where that cannot be done.

    ``$$`` and what no variable has the name of is left to the shell; ``{{`` is a brace.
    """
    try:
        return _Filler(dict(names)).vformat(command, (), {})
    except Exception:
        return command


class _Filler(string.Formatter):
    def __init__(self, names: Dict[str, Any]) -> None:
        self._names = names

    def parse(self, format_string: str) -> Any:
        for text, field, spec, conversion in super().parse(format_string):
            yield from self._dollars(text)
            if field is not None:
                yield "", field, spec, conversion

    def _dollars(self, text: str) -> Iterator[Any]:
        begin = at = 0
        while (at := text.find("$", at)) >= 0:
            end = at + 1
            while end < len(text) and text[begin:] and (text[end].isalnum() or text[end] == "_"):
                end += 1
            name = text[at + 1 : end]
            if text.startswith("$$", at):
                yield text[begin : at + 1], None, None, None
                begin = at = at + 2
            elif name in self._names:
                yield text[begin:at], name, "", None
                begin = at = end
            else:
                at = end
        yield text[begin:], None, None, None

    def get_field(self, field_name: str, *_: Any) -> Any:
        return eval(field_name, self._names), field_name

"""The source of a cell: what it is called, how it is compiled, and how it is found again for a traceback.

A cell's file is named by a hash of its source, as ipykernel names it, so that what an error says of a file (``invalid syntax
(2132184662.py, line 1)``) is the same with every kernel. Tracebacks call it ``Cell In[7]``.
"""

from __future__ import annotations

import _ast  # What ast is made of; that is only needed to walk through what is parsed.
import io
import linecache
import types

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Dict, List, Tuple

#: numba and others know the file of a cell by the beginning of its folder's name.
FOLDER = "/tmp/ipykernel_1"  # noqa: S108 - nothing is there
_SEED = 0xC70F6907
_MIX = 0x5BD1E995
_WORD = 0xFFFFFFFF


def file_name(code: str) -> str:
    """Return the name of the file that a cell with this source stands for."""
    return "%s/%d.py" % (FOLDER, _murmur2(code.encode("utf-8", "surrogatepass")))


def _murmur2(data: bytes) -> int:
    """Return the 32 bit hash of MurmurHash2 that ipykernel takes."""
    found = _SEED ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        word = int.from_bytes(data[at : at + 4], "little") * _MIX & _WORD
        word = (word ^ word >> 24) * _MIX & _WORD
        found = found * _MIX & _WORD ^ word
    if len(data) > whole:
        found = (found ^ int.from_bytes(data[whole:], "little")) * _MIX & _WORD
    found = (found ^ found >> 13) * _MIX & _WORD
    return found ^ found >> 15


class CellNames:
    """What tracebacks call the files of cells: of cells with the same source, the last one."""

    def __init__(self) -> None:
        self.numbers: Dict[str, int] = {}

    def add(self, code: str, number: int) -> str:
        """Note a cell and return its file; its lines can then be shown."""
        name = file_name(code)
        self.numbers[name] = number
        remember(code, name)
        return name

    def label(self, name: str) -> str:
        """Return what to call a file."""
        return "Cell In[%d]" % self.numbers[name] if name in self.numbers else name


def remember(code: str, name: str) -> None:
    """Let tracebacks and ``inspect`` find the lines of a source that is in no file."""
    lines = io.StringIO(code, newline=None).readlines()
    linecache.cache[name] = (len(code), None, lines, name)


def compile_cell(code: str, name: str) -> Tuple[List[types.CodeType], bool]:
    """Return what to evaluate in turn, and whether the last is an expression whose value shows."""
    flags = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # dont_inherit: the cell is not written under this module's __future__ imports.
    tree = compile(code, name, "exec", flags | _ast.PyCF_ONLY_AST, dont_inherit=True)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    parts = [compile(tree, name, "exec", flags, dont_inherit=True)] if tree.body else []
    if last is None:
        return parts, False
    return [*parts, compile(_ast.Expression(last.value), name, "eval", flags, dont_inherit=True)], True


def ends_quietly(code: str) -> bool:
    """A semicolon at the end says: do not show the value."""
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code, newline=None).readline))
    except (tokenize.TokenError, SyntaxError):
        return False
    blank = (tokenize.NEWLINE, tokenize.NL, tokenize.COMMENT, tokenize.ENDMARKER, tokenize.DEDENT)
    words = [token.string for token in tokens if token.type not in blank]
    return bool(words) and words[-1] == ";"

"""The source of a cell: what it is called, how it is compiled, and how it is found again for a traceback.

A cell's file is named by a hash of its source, as ipykernel names it, so that what an error says of a file (``invalid syntax
(2132184662.py, line 1)``) is the same with every kernel. Tracebacks call it ``Cell In[7]``.
"""

from __future__ import annotations

import _ast  # What ast is made of; that is only needed to walk through what is parsed.
import io
import sys
import types

from . import TYPE_CHECKING
from .records import record

if TYPE_CHECKING:
    from typing import Any, Dict, List

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
    lines_of()[name] = (len(code), None, lines, name)


_LINES: Dict[str, Any] = {}


def lines_of() -> Dict[str, Any]:
    """Return ``linecache.cache``, or as long as nobody has imported that, what will be in it."""
    module = sys.modules.get("linecache")
    return _LINES if module is None else module.cache


def watch_linecache(module: Any) -> None:
    """Put what was remembered into it, when somebody imports it: tracebacks do."""
    module.cache.update(_LINES)
    _LINES.clear()


#: ``inspect.CO_COROUTINE``, which is worth no import.
COROUTINE = 0x80


@record(frozen=True)
class Compiled:
    """A cell as it is evaluated.

    Attributes:
        parts: What to evaluate in turn.
        shows: Whether the last is an expression whose value shows.
        in_loop: Whether all of it is to run in the event loop: there is an ``await``, or see :func:`wants_loop`.
    """

    parts: List[types.CodeType]
    shows: bool
    in_loop: bool


def compile_cell(code: str, name: str) -> Compiled:
    """Return what to evaluate."""
    flags = _ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    # dont_inherit: the cell is not written under this module's __future__ imports.
    tree = compile(code, name, "exec", flags | _ast.PyCF_ONLY_AST, dont_inherit=True)
    in_loop = _may_want_loop(code) and _wants_loop(tree)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _ast.Expr) else None
    parts = [compile(tree, name, "exec", flags, dont_inherit=True)] if tree.body else []
    if last is not None:
        parts.append(compile(_ast.Expression(last.value), name, "eval", flags, dont_inherit=True))
    awaits = any(part.co_flags & COROUTINE for part in parts)
    return Compiled(parts, last is not None, in_loop or awaits)


def wants_loop(code: str) -> bool:
    """Say whether a cell without ``await`` is to run in the event loop all the same, as every cell does in ipykernel.

    That is where it calls something that needs a running one (``asyncio.create_task(f())``) itself, and not in a function;
    but where it starts a loop of its own too it cannot be in one.
    """
    try:
        return _may_want_loop(code) and _wants_loop(compile(code, "", "exec", _ast.PyCF_ONLY_AST, dont_inherit=True))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


#: What needs a loop that runs, and what starts one. Other packages gather, shield and run, too.
_OF_A_LOOP = ("create_task", "ensure_future", "get_running_loop", "current_task", "asyncio.gather", "asyncio.shield")
_STARTS = ("run_until_complete", "run_forever", "asyncio.run")
_APART = (_ast.FunctionDef, _ast.AsyncFunctionDef, _ast.Lambda, _ast.ClassDef)


def _may_want_loop(code: str) -> bool:
    return any(name in code for name in _OF_A_LOOP)


def _wants_loop(tree: Any) -> bool:
    import ast  # Few cells need it.

    called = set()
    rest: List[Any] = [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, ast.Call):
            function = node.func
            owner = function.value if isinstance(function, ast.Attribute) else None
            of_asyncio = isinstance(owner, ast.Name) and owner.id == "asyncio"
            word = getattr(function, "attr", getattr(function, "id", ""))
            called |= {word, "asyncio." + word} if of_asyncio else {word}
        rest += [inner for inner in ast.iter_child_nodes(node) if not isinstance(inner, _APART)]
    return not called.isdisjoint(_OF_A_LOOP) and called.isdisjoint(_STARTS)


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

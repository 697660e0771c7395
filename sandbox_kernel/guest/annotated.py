"""What a function gives back, by the annotation that it has: read, never evaluated (see :mod:`.reaching`)."""

from __future__ import annotations

import ast
import builtins
import sys
import types
from typing import Any, Dict, Mapping, Optional

from . import looking

MISSING: Any = object()
#: Characters of an annotation that are read.
MOST = 500
MOST_DEPTH = 20
#: Of ``Optional[X]`` and the like, X counts.
_AROUND = ("Optional", "Union", "Annotated", "Final", "ClassVar", "Required", "NotRequired", "ReadOnly")
_NO_ANSWER = ("typing.Any", "builtins.object", "builtins.NoneType")


class Instance:
    """Something of a class, which is not there."""

    __slots__ = ("of",)

    def __init__(self, of: type) -> None:
        self.of = of


def is_absent(value: Any) -> bool:
    """Whether it is an :class:`Instance`. To ask ``isinstance`` would ask the object for its class."""
    return type(value) is Instance


def type_of(value: Any) -> Any:
    """Return the class of an object or of an :class:`Instance`."""
    return value.of if type(value) is Instance else type(value)


def notes_of(function: Any) -> Dict[str, Any]:
    """Return the annotations of a function; none where code would make them, as from Python 3.14 on."""
    if sys.version_info >= (3, 14) and function.__annotate__ is not None:
        return {}
    notes = function.__annotations__
    return notes if type(notes) is dict else {}


def returned(function: Any, owner: Any) -> Any:
    """Return an :class:`Instance` of what a function says that it returns, else MISSING. ``owner``: whose method it is."""
    for _ in range(10):
        if type(function) is types.MethodType:
            owner = owner or (function.__self__ if looking.is_class(function.__self__) else type(function.__self__))
            function = function.__func__
        elif type(function) in (classmethod, staticmethod):
            function = function.__func__
        elif type(function) is not types.FunctionType:
            inner = looking.instance_dict(function).get("__wrapped__") if looking.kind(function) == "function" else None
            if type(inner) is not types.FunctionType:
                return MISSING
            function = inner
        else:
            break
    if type(function) is not types.FunctionType or function.__code__.co_flags & _ASYNC:
        return MISSING
    found = _Note(function.__globals__, owner).read(notes_of(function).get("return"))
    return MISSING if found is None else Instance(found)


#: What is called gives something that has yet to be waited for, or gone through.
_ASYNC = 0x80 | 0x200


class _Note:
    """Reads one annotation, whose names are those of a module."""

    def __init__(self, names: Mapping[str, Any], owner: Any) -> None:
        self._names = names
        self._owner = owner
        self._depth = 0

    def read(self, note: Any) -> Any:
        """Return the class that is meant; None: that is not known."""
        self._depth += 1
        if note is None or self._depth > MOST_DEPTH:
            return None
        if type(note) is str:
            return self._of_text(note)
        if looking.is_class(note):
            return None if looking.key(note) in _NO_ANSWER else note
        return self._of_typing(note)

    def _of_typing(self, note: Any) -> Any:
        """Return what one of the objects of ``typing`` means."""
        of = type(note)
        if of is getattr(types, "UnionType", None):
            return self._first(note.__args__)
        if of is getattr(types, "GenericAlias", None):
            return self.read(note.__origin__)
        held = looking.instance_dict(note) if looking.home(of) == "typing" else {}
        if held.get("_name") == "Self":
            return self._owner
        origin = held.get("__origin__")
        return self.read(origin) if looking.is_class(origin) else self._first(held.get("__args__"))

    def _of_text(self, note: str) -> Any:
        if len(note) > MOST:
            return None
        try:
            return self._of_node(ast.parse(note.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None

    def _of_node(self, node: ast.AST) -> Any:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._of_node(node.left) or self._of_node(node.right)
        if isinstance(node, ast.Subscript):
            inner = node.slice
            if (_last(node.value) or "") in _AROUND:
                parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
                return next((found for found in map(self._of_node, parts) if found is not None), None)
            return self._of_node(node.value)
        if isinstance(node, ast.Constant):
            return self.read(node.value) if type(node.value) is str else None
        return self._of_name(node)

    def _of_name(self, node: ast.AST) -> Any:
        if _last(node) == "Self":
            return self._owner
        if isinstance(node, ast.Name):
            found = self._names.get(node.id, builtins.__dict__.get(node.id))
            return self.read(found) if found is not None else self._of_package(node.id)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = self._names.get(node.value.id)
            return self.read(looking.module_dict(module).get(node.attr)) if looking.is_module(module) else None
        return None

    def _of_package(self, name: str) -> Any:
        """Return what the package has under a name that is imported for who checks types alone."""
        home = self._names.get("__name__")
        package = sys.modules.get(home.partition(".")[0]) if type(home) is str else None
        found = looking.module_dict(package).get(name) if type(package) is types.ModuleType else None
        return self.read(found) if looking.is_class(found) else None

    def _first(self, notes: Any) -> Any:
        found = map(self.read, notes) if type(notes) is tuple else ()
        return next((one for one in found if one is not None), None)


def _last(node: Any) -> Optional[str]:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None

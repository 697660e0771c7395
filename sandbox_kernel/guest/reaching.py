"""What an expression stands for, as far as that can be told without running anything: for who completes and explains.

As everywhere while somebody types, no code of the user's runs (:mod:`.looking`), and none of a package: to make a column or
a transposed table may take all the memory that the session has. Nothing is called, and nothing but texts, numbers and flags
of the language itself is compared. So what code would compute is told by its type, where that is written: a property and a
function by the annotation of what they return, a class by itself, a column of a table because it is one. What is reached is
the object, or an :class:`Instance`: something of a type, which is not there.

IPython's ``guarded_eval`` is not asked, where there is one: it compares objects of the user's, asks their metaclasses,
computes ``10**10**10``, and copies tables.
"""

from __future__ import annotations

import ast
import builtins
import collections
import functools
import itertools
import sys
import types
from typing import Any, Mapping, Optional, Tuple

from . import looking
from .annotated import MISSING, Instance, is_absent, returned, type_of
from .outline import MOST_KEYS, columns, held

#: Entries of a dict that are passed over to find a key.
MOST_ENTRIES = 100_000
MOST_COLUMNS = 10_000
MOST_DEPTH = 50
_SCALARS = frozenset(map(id, (str, bytes, int, bool, float, type(None))))
#: Whose items are read by the type's own means.
_SEQUENCES = (list, tuple, str, bytes, bytearray, range, collections.deque)
#: Of literals and of what operators give.
_LITERALS = {
    ast.List: list,
    ast.ListComp: list,
    ast.Tuple: tuple,
    ast.Dict: dict,
    ast.DictComp: dict,
    ast.Set: set,
    ast.SetComp: set,
    ast.JoinedStr: str,
    ast.GeneratorExp: types.GeneratorType,
    ast.Lambda: types.FunctionType,
}
#: Keys that choose several.
_CHOICES = (ast.Slice, ast.List, ast.Compare, ast.BinOp, ast.UnaryOp)
#: What is reached, and whether an object of it is its first argument when it is called.
Reached = Tuple[Any, bool]


def reach(expression: str, namespace: Mapping[str, Any], *, through: bool) -> Reached:
    """Return what an expression stands for, or MISSING, and whether an object of it is its first argument then.

    ``through``: of a property, what it would give; otherwise the property, as IPython explains it.
    """
    try:
        node = ast.parse("(%s\n)" % expression, mode="eval").body  # It may be on several lines, and end in a comment.
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return MISSING, False
    return _Reaching(namespace).at(node, through)


class _Reaching:
    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._depth = 0

    def at(self, node: ast.AST, through: bool = True) -> Reached:
        self._depth += 1
        if self._depth > MOST_DEPTH:
            return MISSING, False
        if isinstance(node, ast.Attribute):
            return attribute(self.at(node.value)[0], node.attr, through)
        return self._value(node), False

    def _value(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Name):
            return self._namespace.get(node.id, builtins.__dict__.get(node.id, MISSING))
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Subscript):
            return self._item(self.at(node.value)[0], node.slice)
        if isinstance(node, ast.Call):
            return self._call(node.func)
        made = _LITERALS.get(type(node))
        return MISSING if made is None else Instance(made)

    def _call(self, function: ast.AST) -> Any:
        owner = None
        if isinstance(function, ast.Attribute):
            value, _ = self.at(function.value)
            owner = value if looking.is_class(value) else type_of(value)
            found, _ = attribute(value, function.attr, through=True)
        else:
            found, _ = self.at(function)
        if looking.is_class(found):
            return Instance(found) if found is not type else MISSING
        if looking.kind(found) == "instance" or is_absent(found):
            return MISSING
        return returned(found, owner)

    # -- items

    def _item(self, value: Any, key: Any) -> Any:
        """Return what is under a key, which is a node."""
        if value is MISSING or looking.is_class(value):
            return MISSING
        of = type_of(value)
        chosen = self._key(key)
        if issubclass(of, (held("pandas", "DataFrame"), held("pandas", "Series"))):
            return _of_table(value, of, key, chosen)
        if issubclass(of, held("numpy", "ndarray")):
            return _of_array(value, of, key, chosen)
        return _of_container(value, of, key, chosen)

    def _key(self, node: Any) -> Any:
        """Return a key that is a text or a number, MISSING when it is anything else."""
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            node, sign = node.operand, -1
        found = node.value if isinstance(node, ast.Constant) else self.at(node)[0] if isinstance(node, ast.Name) else MISSING
        if sign == -1:
            return -found if type(found) is int else MISSING
        return found if id(type(found)) in _SCALARS else MISSING


def _of_container(value: Any, of: Any, key: Any, chosen: Any) -> Any:
    base = next((base for base in looking.mro(of) if "__getitem__" in looking.class_dict(base)), None)
    if base is None:
        return MISSING
    if base is dict and not is_absent(value):
        return _of_dict(value, chosen)
    if any(base is one for one in _SEQUENCES):
        return _of_sequence(value, base, key, chosen)
    return returned(looking.class_dict(base)["__getitem__"], of)


def _of_dict(value: Any, key: Any) -> Any:
    if key is MISSING:
        return MISSING
    for name, item in itertools.islice(dict.items(value), MOST_ENTRIES):
        # Not by a look-up, which asks keys of the user's that have the same hash.
        if type(name) is type(key) and name == key:
            return item
    return MISSING


def _of_sequence(value: Any, base: Any, key: Any, chosen: Any) -> Any:
    if base is str or base is bytes or base is bytearray:
        return Instance(base if base is str or type(key) is ast.Slice else int)
    if type(key) is ast.Slice:
        return Instance(base)
    if type(chosen) is not int or is_absent(value) or not -len_of(value, base) <= chosen < len_of(value, base):
        return MISSING
    return base.__getitem__(value, chosen)


def len_of(value: Any, base: Any) -> int:
    """Return the number of items by the type's own means."""
    return int(base.__len__(value))


def _of_table(value: Any, of: Any, key: Any, chosen: Any) -> Any:
    table, series = held("pandas", "DataFrame"), held("pandas", "Series")
    if isinstance(key, _CHOICES) and chosen is MISSING:
        return Instance(table if issubclass(of, table) else series)
    if not issubclass(of, table) or type(chosen) is not str:
        return MISSING
    return Instance(series) if is_absent(value) or chosen in columns(value, MOST_COLUMNS) else MISSING


def _of_array(value: Any, of: Any, key: Any, chosen: Any) -> Any:
    if isinstance(key, _CHOICES) and chosen is MISSING:
        return Instance(of)
    if is_absent(value) or type(chosen) is not int:
        return MISSING
    array = looking.class_dict(held("numpy", "ndarray"))
    if len(array["shape"].__get__(value)) > 1:
        return Instance(of)
    scalar = looking.class_dict(held("numpy", "dtype"))["type"].__get__(array["dtype"].__get__(value))
    return Instance(scalar) if looking.home(scalar) == "numpy" else MISSING


# -- attributes


def attribute(value: Any, name: str, through: bool) -> Reached:
    """Return what stands under a name, without asking the object for it; ``through`` as for :func:`reach`."""
    if value is MISSING:
        return MISSING, False
    if looking.is_module(value):
        names = looking.module_dict(value)
        inner = "%s.%s" % (names.get("__name__"), name)
        return names.get(name, sys.modules.get(inner, MISSING)), False
    if looking.is_class(value):
        members = looking.class_dict(value).get("_member_map_")  # Of an enumeration.
        found = members[name] if type(members) is dict and name in members else _of_class(value, name)
        return found, type(found) is classmethod
    return _of_instance(value, name, through)


def _of_instance(value: Any, name: str, through: bool) -> Reached:
    of = type_of(value)
    own = {} if is_absent(value) else looking.instance_dict(value)
    if name in own:
        return own[name], False
    found = _of_class(of, name)
    if found is MISSING and name in columns(value, MOST_COLUMNS):
        found = Instance(held("pandas", "Series"))
    elif type(found) is types.MemberDescriptorType and not is_absent(value):
        found = _slot(found, value)
    elif _is_read(found) and (through or type(found) is not property):
        given = _read(found, value, of)
        if through or given is not MISSING:
            return given, False
    return found, looking.kind(found) == "function" and type(found) is not staticmethod


def _of_class(cls: type, name: str) -> Any:
    return next((looking.class_dict(base)[name] for base in looking.mro(cls) if name in looking.class_dict(base)), MISSING)


def _slot(found: Any, value: Any) -> Any:
    try:
        return found.__get__(value)
    except Exception:  # Nothing is in it, which only raising tells.
        return MISSING


def _is_read(found: Any) -> bool:
    """Whether a class has it to give something else in its place."""
    kind = looking.kind(found)
    if kind == "property" or type(found) is functools.cached_property:
        return True
    return kind == "instance" and any("__get__" in looking.class_dict(base) for base in looking.mro(type(found)))


def _read(found: Any, value: Any, of: Any) -> Any:
    """Return what something of a class gives in its place, an :class:`Instance` where only running it would tell."""
    kind = type(found)
    if kind is property or kind is functools.cached_property:
        return returned(found.fget if kind is property else looking.instance_dict(found).get("func"), of)
    if kind is types.GetSetDescriptorType:
        return _of_the_language(found, value, of)
    if looking.key(kind) in ("_collections._tuplegetter", "collections._tuplegetter"):  # Of a namedtuple.
        return MISSING if is_absent(value) else _slot(found, value)
    if looking.key(kind) == "pandas._libs.properties.AxisProperty":  # The index and the columns, which a table holds.
        index: Any = held("pandas", "Index")
        return Instance(index) if is_absent(value) else found.__get__(value, of)
    made: Any = looking.instance_dict(found).get("_accessor")
    return Instance(made) if looking.is_class(made) and looking.home(kind).startswith("pandas.") else MISSING


def _of_the_language(found: Any, value: Any, of: Any) -> Any:
    array = held("numpy", "ndarray")
    if issubclass(of, array):
        names = looking.class_dict(array)
        if any(found is names[name] for name in ("T", "real", "imag")):
            return Instance(of)
        plain = any(found is names[name] for name in ("shape", "dtype", "ndim", "size", "strides", "nbytes", "itemsize"))
        return found.__get__(value) if plain and not is_absent(value) else MISSING
    if is_absent(value) or looking.home(of) not in ("builtins", "datetime") or looking.is_heap(of):
        return MISSING
    return _slot(found, value)


def members(expression: str, namespace: Mapping[str, Any], most: int) -> Optional[Tuple[Any, Any]]:
    """Return the object or Instance, and what it has: pairs of a name and what is under it. None: it is not known."""
    value, _ = reach(expression, namespace, through=True)
    if value is MISSING:
        return None
    if looking.is_module(value):
        return value, list(itertools.islice(looking.module_dict(value).items(), most))
    if looking.is_class(value):
        return value, list(itertools.islice(looking.members(value), most))
    own = {} if is_absent(value) else looking.instance_dict(value)
    pairs = [(name, own[name]) for name in looking.words(own, most)]
    if not is_absent(value):
        pairs += [(name, None) for name in columns(value, MOST_KEYS) if name.isidentifier()]
    return value, pairs + list(itertools.islice(looking.members(type_of(value)), most))

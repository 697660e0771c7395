"""What the waiting sandbox tells of one name or one directory when somebody types: whole, where the outline is short.

As for the outline nothing here runs the user's code (:mod:`.looking`): what waits is the state that the next cell starts
from, and looking at it must not change it. An answer is the JSON of ::

    {"kind", "call": "signature" or "init", "parameters": [TEXT, ...], "returns", "type", "text", "length", "shape", "keys",
     "file", "doc", "init_doc"}

for a name or another expression (:mod:`.reaching`), in which what is empty is left out; or what it has, ``{"members": {NAME:
[KIND, SIGNATURE, FIRST LINE OF DOCUMENTATION]}, "keys"}``; or a list of paths.
"""

from __future__ import annotations

import inspect
import itertools
import json
import os
import sys
import types

from . import TYPE_CHECKING, looking, reaching
from .annotated import MISSING, is_absent, notes_of
from .outline import MOST_KEYS, MOST_MEMBERS, columns, of_packages, quiet_row
from .reaching import reach

if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Mapping, Optional

#: Characters of one documentation, and of the text for one default.
DOC = 65_536
DEFAULT = 200
MOST_PARAMETERS = 300
#: Entries of a directory that are looked at, and those of them that are told.
MOST_ENTRIES = 20_000
MOST_PATHS = 500

_INSTANCE = "instance"
#: What stands in the place of the language's own, of which the host tells.
_OURS = ("print", "input", "breakpoint")


def answer(what: str, subject: str, namespace: Mapping[str, Any]) -> str:
    """Return what is known of an expression or what it has, or the paths that begin like ``subject``, as JSON.

    Raises nothing at all.
    """
    try:
        act = {"name": explain, "members": members}.get(what)
        found: Any = paths(subject) if act is None else act(subject, namespace)
        return json.dumps(found)
    except BaseException:  # Of a hostile object.
        return "null"


def paths(prefix: str) -> List[str]:
    """Return the paths that begin like ``prefix``, directories with a slash at their end, as a shell completes them."""
    head, tail = os.path.split(prefix)
    with os.scandir(os.path.expanduser(head) or ".") as entries:
        fitting = [entry for entry in itertools.islice(entries, MOST_ENTRIES) if entry.name.startswith(tail)]
        shown = [entry for entry in fitting if tail.startswith(".") or not entry.name.startswith(".")][:MOST_PATHS]
        return sorted(os.path.join(head, entry.name) + ("/" if entry.is_dir() else "") for entry in shown)


def explain(path: str, namespace: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Return what is told of an expression; None when it cannot be reached without running anything."""
    if path in _OURS and path not in namespace:
        return None
    value, bound = reach(path, namespace, through=False)
    if value is MISSING:
        return None
    told = _of_type(value.of) if is_absent(value) else _told(value, bound)
    return {word: said for word, said in told.items() if said not in ("", None, [])}


def members(expression: str, namespace: Mapping[str, Any]) -> Optional[Dict[str, Any]]:
    """Return what an object has, by name, and its keys; None when it cannot be reached without running anything."""
    found = reaching.members(expression, namespace, MOST_MEMBERS)
    if found is None:
        return None
    value, pairs = found
    within = not looking.is_module(value)
    rows: Dict[str, Any] = {}
    for name, thing in pairs:
        if type(name) is str and not name.startswith("__") and name not in rows:
            rows[name] = quiet_row(name, thing, within)
    keys = looking.words(value, MOST_KEYS) if issubclass(type(value), dict) else columns(value, MOST_KEYS)
    return {"members": rows, "keys": keys}


def _told(value: Any, bound: bool) -> Dict[str, Any]:
    if type(value) in (classmethod, staticmethod):
        value = value.__func__
    kind, of = looking.kind(value), type(value)
    said: Dict[str, Any] = {"kind": kind, "type": looking.named(of), "doc": _clean(looking.doc(value)), "file": _file(value)}
    if kind == "module":
        said["text"] = "<module '%s'>" % looking.module_dict(value).get("__name__")
    elif kind == "class":
        made = _made_by(value)
        said.update(call="init", init_doc=_clean(looking.doc(made)) if type(made) is types.FunctionType else "")
        said.update(_call(made, bound=True) or {"parameters": _split(looking.signature(value, whole=True))})
    elif kind == "function":
        if of is types.FunctionType and bound:
            said["type"] = "method"
        said.update(call="signature")
        said.update(_call(value, bound) or {"parameters": _split(_text_signature(value, bound, path_doc=said["doc"]))})
    elif kind == _INSTANCE:
        own = _clean(looking.doc(value))
        said.update(_of_type(of))
        said.update(doc=own or said["doc"], file="")
        said.update(text=looking.text(value), length=looking.length(value))
        if issubclass(of, dict):
            said["keys"] = looking.words(value, 100)
        said.update(of_packages(value))
    return said


def _of_type(of: type) -> Dict[str, Any]:
    """Return what is told of something by its class."""
    made = _made_by(of)
    init_doc = _clean(looking.doc(made)) if type(made) is types.FunctionType else ""
    return {"kind": _INSTANCE, "type": looking.named(of), "doc": _clean(looking.doc(of)), "init_doc": init_doc}


def _made_by(cls: type) -> Any:
    for base in looking.mro(cls):
        for name in ("__init__", "__new__"):
            made = looking.class_dict(base).get(name)
            made = made.__func__ if type(made) is staticmethod else made
            if type(made) is types.FunctionType:
                return made
    return None


def _clean(doc: str) -> str:
    return inspect.cleandoc(doc[:DOC])


def _file(value: Any) -> str:
    if type(value) is types.MethodType:
        value = value.__func__
    found: Any = ""
    if type(value) is types.FunctionType:
        found = value.__code__.co_filename
    elif looking.is_module(value):
        found = looking.module_dict(value).get("__file__")
    elif looking.is_class(value):
        home = sys.modules.get(looking.home(value))
        found = looking.module_dict(home).get("__file__") if type(home) is types.ModuleType else ""
    return found if type(found) is str and os.path.isabs(found) else ""


# -- parameters


def _call(value: Any, bound: bool) -> Optional[Dict[str, Any]]:
    """Return the parameters of a function that is written in Python; None: it is not."""
    for _ in range(10):
        if type(value) is types.MethodType:
            value, bound = value.__func__, True
        inner = looking.instance_dict(value).get("__wrapped__") if looking.kind(value) == "function" else None
        if type(inner) is not types.FunctionType:
            break
        value = inner
    if type(value) is not types.FunctionType:
        return None
    notes = notes_of(value)
    parts = list(itertools.islice(_parameters(value, notes), MOST_PARAMETERS))
    if bound and parts and not parts[0].startswith("*"):
        parts = parts[1:]
        if parts[:1] == ["/"]:
            parts = parts[1:]
    return {"parameters": parts, "returns": _note(notes["return"]) if "return" in notes else ""}


def _parameters(function: Any, notes: Mapping[str, Any]) -> Iterator[str]:
    code = function.__code__
    names = list(code.co_varnames)
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    named = function.__kwdefaults__ or {}
    end = positional + keyword

    def one(name: str, default: Any = MISSING, stars: str = "") -> str:
        said = stars + name + (": " + _note(notes[name]) if name in notes else "")
        if default is MISSING:
            return said
        return said + (" = " if name in notes else "=") + _default(default)

    for index, name in enumerate(names[:positional]):
        at = index - (positional - len(defaults))
        yield one(name, defaults[at] if at >= 0 else MISSING)
        if index == code.co_posonlyargcount - 1:
            yield "/"
    if code.co_flags & inspect.CO_VARARGS:
        yield one(names[end], stars="*")
        end += 1
    elif keyword:
        yield "*"
    for name in names[positional : positional + keyword]:
        yield one(name, named.get(name, MISSING))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        yield one(names[end], stars="**")


def _default(value: Any, depth: int = 0) -> str:
    """Return the text of a value, as ``repr`` makes it where no code of the user's would make it."""
    of = type(value)
    if of in (str, bytes):
        return repr(value[:DEFAULT])
    if of in (list, tuple, set, frozenset, dict) and depth < 3:
        return _container(value, depth)
    if looking.is_class(value):
        return "<class '%s'>" % looking.key(value).replace("builtins.", "")
    name = looking.instance_dict(value).get("_name_")  # Of an enumeration.
    if of is types.FunctionType or of is types.BuiltinFunctionType:
        name = "function %s" % value.__name__
    elif looking.key(of) == "numpy._globals._NoValueType":
        name = "no value"
    text = "" if type(name) is str else looking.text(value)
    return text or "<%s>" % (name if type(name) is str else looking.named(of))


def _container(value: Any, depth: int) -> str:
    of = type(value)
    if not value:
        return repr(of()) if of in (set, frozenset) else "[]" if of is list else "()" if of is tuple else "{}"
    if of is dict:
        parts = ["%s: %s" % (_default(key, depth + 1), _default(item, depth + 1)) for key, item in _first(value.items())]
    else:
        parts = [_default(item, depth + 1) for item in _first(value)]
    inner = ", ".join(parts + ["..."] * (len(value) > len(parts)))
    if of is tuple:
        return "(%s,)" % inner if len(value) == 1 else "(%s)" % inner
    return "frozenset({%s})" % inner if of is frozenset else ("[%s]" if of is list else "{%s}") % inner


def _first(items: Any) -> List[Any]:
    return list(itertools.islice(items, 10))


def _note(value: Any) -> str:
    """Return the text of an annotation."""
    if type(value) is str:
        return repr(value[:DEFAULT])
    if value is None:
        return "None"
    if looking.is_class(value):
        return looking.key(value).replace("builtins.", "")
    return repr(value).replace("typing.", "")[:DEFAULT] if _is_plain(value) else "..."


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether no code of the user's makes the text of an annotation."""
    of = type(value)
    if of is type or of in (str, int, bool, type(None), type(Ellipsis)):
        return True
    generic = (getattr(types, "GenericAlias", None), getattr(types, "UnionType", None))
    if looking.home(of) != "typing" and of not in generic:
        return False
    held = value.__args__ if of in generic else looking.instance_dict(value).get("__args__", ())
    return depth < 10 and type(held) is tuple and all(_is_plain(item, depth + 1) for item in held)


def _text_signature(value: Any, bound: bool, path_doc: str) -> str:
    said = looking.signature(value, bound=bound, whole=True)
    if not bound and type(value) in (types.MethodDescriptorType, types.WrapperDescriptorType):
        said = str(value.__text_signature__ or "").replace("$self", "self")
    name = getattr(value, "__name__", "") if type(value) in (types.BuiltinFunctionType, types.MethodType) else ""
    return said or (looking.first_line(path_doc, name, "")[0] if name else "")


def _split(said: str) -> List[str]:
    """Return the parameters of a text like ``(a, b=(1, 2))``."""
    parts, depth, begin = [], 0, 1
    if not said.startswith("("):
        return []
    for at, letter in enumerate(said):
        depth += (letter in "([{") - (letter in ")]}")
        if (letter == "," and depth == 1) or depth == 0:
            parts.append(said[begin:at].strip())
            begin = at + 1
            if depth == 0:
                break
    return [part for part in parts if part]

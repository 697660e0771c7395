"""Looking at objects without touching them: nothing here runs the user's code.

No attribute of an instance is asked for, because a property or ``__getattr__`` may stand behind it, and none of a class,
because a metaclass may. What is read are the dictionaries of classes and instances, through the descriptors of ``type``
itself, and slots of the interpreter's own types. Any object may still be broken: callers expect any exception.
"""

from __future__ import annotations

import itertools
import types

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Iterator, List, Mapping, Tuple

#: Of one signature, one value, and one line of documentation.
SIGNATURE = 250
TEXT = 80
DOC_LINE = 100

class_dict = type.__dict__["__dict__"].__get__
mro = type.__dict__["__mro__"].__get__
_module_of = type.__dict__["__module__"].__get__
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_signature_of = type.__dict__["__text_signature__"].__get__
_doc_of = type.__dict__["__doc__"].__get__
_module_dict: Any = vars(types.ModuleType)["__dict__"].__get__
_HEAP = 1 << 9

_FUNCTIONS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
    classmethod,
    staticmethod,
)
#: Whose signature and documentation the interpreter itself holds.
_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.ClassMethodDescriptorType,
)
_PROPERTIES = (property, types.GetSetDescriptorType, types.MemberDescriptorType)
# By their ids: to compare a class, or to ask for its hash, may run its metaclass.
_function_ids = frozenset(map(id, _FUNCTIONS))
_builtin_ids = frozenset(map(id, _BUILTIN))
_property_ids = frozenset(map(id, _PROPERTIES))
_SIZED = (dict, list, tuple, set, frozenset, str, bytes, bytearray, range)


def is_class(value: Any) -> bool:
    return issubclass(type(value), type)


def is_module(value: Any) -> bool:
    return issubclass(type(value), types.ModuleType)


def named(cls: type) -> str:
    """Return what a class is called."""
    return str.__str__(_name_of(cls))


def key(cls: type) -> str:
    """Return what a class is called everywhere: its module and its qualified name."""
    module, name = _module_of(cls), _qualname_of(cls)
    return "%s.%s" % (module, name) if type(module) is str and type(name) is str else ""


def home(cls: type) -> str:
    """Return the name of the module that a class says it is from."""
    module = _module_of(cls)
    return module if type(module) is str else ""


def is_heap(cls: type) -> bool:
    """Whether a class was made at run time, and not in C."""
    return bool(_flags_of(cls) & _HEAP)


def kind(value: Any) -> str:
    """Return ``function``, ``class``, ``module``, ``property`` or ``instance``."""
    of = type(value)
    if id(of) in _function_ids:
        return "function"
    if id(of) in _property_ids:
        return "property"
    if is_class(value):
        return "class"
    if is_module(value):
        return "module"
    return "function" if any("__call__" in class_dict(cls) for cls in mro(of)[:-1]) else "instance"


def words(keys: Mapping[Any, Any], most: int) -> List[str]:
    """Return the first keys that are text."""
    first: Iterator[Any] = itertools.islice(dict.__iter__(keys), most)  # type: ignore[arg-type]
    return [word for word in first if type(word) is str]


def instance_dict(value: Any) -> Mapping[str, Any]:
    """Return the attributes that an object itself has."""
    for cls in mro(type(value)):
        found = class_dict(cls).get("__dict__")
        if type(found) in (types.GetSetDescriptorType, types.MemberDescriptorType):  # The latter of a SimpleNamespace.
            held = found.__get__(value)
            return held if issubclass(type(held), dict) else {}
        if found is not None:
            break
    return {}


def members(cls: type) -> Iterator[Tuple[str, Any]]:
    """Yield what the instances of a class have by their class, but for what every object has."""
    seen = set()
    for base in mro(cls):
        if base is object:
            continue
        for name, value in list(class_dict(base).items()):
            if type(name) is str and name not in seen:
                seen.add(name)
                yield name, value


def length(value: Any) -> Any:
    """Return how many items a container of the language has; None: it is none."""
    return next((base.__len__(value) for base in _SIZED if issubclass(type(value), base)), None)


# -- texts


def text(value: Any) -> str:
    """Return a short text for a value whose text no code of the user's makes, else nothing."""
    of = type(value)
    if of is list or of is tuple or of is set or of is frozenset:
        shown = [_atom(item) or "<%s>" % named(type(item)) for item in itertools.islice(value, 6)]
        more = ", ..." if len(value) > len(shown) else ""
        left, right = "[]" if of is list else "()" if of is tuple else "{}"
        return _cut("%s%s%s%s" % (left, ", ".join(shown), more, right), TEXT)
    return _atom(value)


def _atom(value: Any) -> str:
    of = type(value)
    if of is int:
        return repr(value) if value.bit_length() <= 200 else "an int of %d bits" % value.bit_length()
    if value is None or of is bool or of is float or of is complex:
        return repr(value)
    if of is str or of is bytes:
        return _cut(repr(value[:TEXT]), TEXT)
    return ""


def _cut(said: str, most: int) -> str:
    return said if len(said) <= most else said[: most - 3] + "..."


def signature(value: Any, *, bound: bool = False, whole: bool = False) -> str:
    """Return the parameters of a function or class as ``(a, b=1)``; nothing when they are not known.

    ``bound``: it is the function of a class, and its first parameter is given. ``whole``: of what C made all is told.
    """
    of = type(value)
    most = 100_000 if whole else SIGNATURE
    if of is types.FunctionType:
        return _of_code(value, bound)
    if of is types.MethodType:
        return signature(value.__func__, bound=True, whole=whole)
    if of is classmethod or of is staticmethod:
        return signature(value.__func__, bound=of is classmethod, whole=whole)
    if id(of) in _builtin_ids:
        return _of_text(value.__text_signature__, most)
    if is_class(value):
        return _of_class(value, most)
    wrapped = instance_dict(value).get("__wrapped__")
    return _of_code(wrapped, bound) if type(wrapped) is types.FunctionType else ""


def _of_class(cls: type, most: int) -> str:
    for base in mro(cls):
        for name in ("__init__", "__new__"):
            made = class_dict(base).get(name)
            made = made.__func__ if type(made) is staticmethod else made
            if type(made) is types.FunctionType:
                return _of_code(made, bound=True)
        if base is not object and not _flags_of(base) & _HEAP:
            return _of_text(_signature_of(base), most)
    return ""


def _of_text(said: Any, most: int) -> str:
    if type(said) is not str or not said.startswith("("):
        return ""
    said = " ".join(said.split()).replace("( ", "(").replace(", )", ")").replace(",)", ")")
    for given in ("($self, /, ", "($module, /, ", "($type, /, ", "($self, ", "($module, ", "($type, "):
        if said.startswith(given):
            return _cut("(" + said[len(given) :], most)
    return "()" if said.startswith("($") else _cut(said, most)


def _of_code(function: Any, bound: bool) -> str:
    code = function.__code__
    names = list(code.co_varnames)
    positional, keyword = code.co_argcount, code.co_kwonlyargcount
    defaults = function.__defaults__ or ()
    named_defaults = function.__kwdefaults__ or {}
    parts = []
    for index, name in enumerate(names[:positional]):
        at = index - (positional - len(defaults))
        parts.append("%s=%s" % (name, _default(defaults[at])) if at >= 0 else name)
        if index == code.co_posonlyargcount - 1:
            parts.append("/")
    end = positional + keyword
    if code.co_flags & 0x04:
        parts.append("*" + names[end])
        end += 1
    elif keyword:
        parts.append("*")
    held = names[positional : positional + keyword]
    parts += ["%s=%s" % (name, _default(named_defaults[name])) if name in named_defaults else name for name in held]
    if code.co_flags & 0x08:
        parts.append("**" + names[end])
    return _cut("(%s)" % ", ".join(parts[1:] if bound and positional else parts), SIGNATURE)


def _default(value: Any) -> str:
    if type(value) is tuple and len(value) <= 4:
        return "(%s)" % "".join(_default(item) + ", " for item in value).rstrip()
    if is_class(value):
        return named(value)
    return _cut(_atom(value), 30) or "..."


def module_dict(module: Any) -> Mapping[str, Any]:
    """Return the names of a module, without asking the module for them."""
    held: Mapping[str, Any] = _module_dict(module)
    return held


def doc(value: Any) -> str:
    """Return the documentation of a function, class, module or property; nothing when there is none to be had."""
    of = type(value)
    if of is classmethod or of is staticmethod or of is types.MethodType:
        return doc(value.__func__)
    found: Any = None
    if of is types.FunctionType or id(of) in _property_ids or id(of) in _builtin_ids:
        found = value.__doc__
    elif is_module(value):
        found = module_dict(value).get("__doc__")
    elif is_class(value):
        found = class_dict(value).get("__doc__") if _flags_of(value) & _HEAP else _doc_of(value)
    else:
        found = instance_dict(value).get("__doc__")
        # Of C, as Cython's functions.
        if found is None and type(class_dict(of).get("__doc__")) is types.GetSetDescriptorType:
            found = class_dict(of)["__doc__"].__get__(value)
    return found if type(found) is str else ""


def first_line(said: str, name: str, known: str) -> Tuple[str, str]:
    """Return signature and first sentence from documentation; of what C made the first line is often the signature."""
    lines = said[:2000].lstrip().split("\n\n", 2)
    if len(lines) > 1 and lines[0].startswith(name + "("):
        known = known or _cut(" ".join(lines[0][len(name) :].split()), SIGNATURE)
        lines.pop(0)
    return known, _cut(" ".join(lines[0].split()), DOC_LINE)

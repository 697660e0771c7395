"""What a namespace holds, told so that the host can complete and explain names without the sandbox.

Made at the end of a cell, bounded in time and size, without running the user's code (:mod:`.looking`). It is one text, the
JSON of ::

    {"names": {NAME: {"kind", "type", "of", "text", "length", "shape", "keys", "attributes", "signature", "doc"}},
     "types": {KEY: {"signature", "doc", "bare", "members": {NAME: [KIND, SIGNATURE, FIRST LINE OF DOCUMENTATION]}}},
     "modules": the same,
     "importable": [NAME, ...], "mark": MARK,
     "cut": whether something did not fit}

in which what is empty is left out; what is ``bare`` had no room for more than kinds. ``of`` is the KEY of a name's type,
or of the class or module itself. Newest names come first, then what they are, then what can be imported. What does not fit
is left out, and told after the next cell: types and modules which the host says it knows are not told again, but those of
the notebook itself.
"""

from __future__ import annotations

import os
import sys
import time
import types
import zlib

from . import TYPE_CHECKING, looking, notation, wire

if TYPE_CHECKING:
    from typing import Any, Callable, Collection, Dict, Iterator, List, Mapping, Optional, Tuple

    #: By path: when it was changed last, and what can be imported from it.
    _Listed = Dict[str, Tuple[int, List[str]]]

MOST_BYTES = 256 * 1024
#: Processor time, which inside gVisor is the time of a clock. Names may take half of both.
MOST_S = 0.05
#: So many names, types and modules are told whatever time it takes: a busy machine tells the small namespace too.
LEAST_NAMES = 64
LEAST_DESCRIBED = 6
#: Names of one namespace, keys or columns of one value, members of one class or module.
MOST_NAMES = 1000
MOST_KEYS = 100
MOST_MEMBERS = 800
#: Documentation of what the notebook itself named.
DOC = 1500
_MAIN = "__main__"
_plain_ids = frozenset(map(id, (int, float, bool, complex, str, bytes, type(None))))
_encode = notation.dumps


def tell(
    emit: Callable[[wire.Event], None], namespace: Mapping[str, Any], known: Optional[List[str]], hidden: Collection[str] = ()
) -> None:
    """Say the outline of a namespace but for ``hidden`` names; ``known`` None: nobody wants it. Raises nothing at all.

    Where it cannot be made an empty text is said: somebody waits.
    """
    if known is None:
        return
    try:
        try:
            text = make(namespace, known, hidden)
        except BaseException:  # Of a hostile object, or an interrupt that came when the cell had ended.
            text = ""
        emit(wire.Outline(text))
    except BaseException:
        return


def make(namespace: Mapping[str, Any], known: Collection[str], hidden: Collection[str] = ()) -> str:
    """Return the text."""
    return _Outline(namespace, set(known), hidden).text()


class _Outline:
    def __init__(self, namespace: Mapping[str, Any], known: Collection[str], hidden: Collection[str]) -> None:
        self._began = time.thread_time()
        self._room = MOST_BYTES - 100
        self._known = known
        self._cut = False
        self._looked_at = 0
        self._parts: Dict[str, List[str]] = {"names": [], "types": [], "modules": []}
        self._hidden = set(hidden)
        self._classes: Dict[str, type] = {}
        self._modules: Dict[str, Any] = {}
        self._namespace = namespace

    def text(self) -> str:
        self._tell_names()
        own = [name for name in self._classes if name.startswith(_MAIN + ".")]
        for name in own + [name for name in self._classes if name not in own]:
            self._tell("types", name, self._classes[name], looking.members)
        inner: Dict[str, Any] = {}
        for name, module in self._modules.items():
            self._tell("modules", name, module, _public)
            inner.update(_quietly(_submodules, name, module) or {})
        importable = _quietly(self._importable)
        for name, module in inner.items():
            if name not in self._modules:
                self._tell("modules", name, module, _public)
        groups = ["%s:{%s}" % (_encode(word), ",".join(parts)) for word, parts in self._parts.items() if parts]
        groups += importable or []
        return "{%s}" % ",".join([*groups, '"cut":%s' % ("true" if self._cut else "false")])

    def _fits(self, group: str, name: str, entry: Any) -> bool:
        """Put an entry in when there is room."""
        said = "%s:%s" % (_encode(name), _encode(entry))
        if len(said) >= self._room:
            return False
        self._room -= len(said) + 1
        self._parts[group].append(said)
        return True

    def _late(self, most_s: float = MOST_S) -> bool:
        late = time.thread_time() >= self._began + most_s
        self._cut = self._cut or late
        return late

    # -- names

    def _tell_names(self) -> None:
        items = [item for item in list(self._namespace.items()) if type(item[0]) is str and not item[0].startswith("_")]
        items = [item for item in items if item[0] not in self._hidden][::-1]
        items.sort(key=lambda item: type(item[1]) is not types.ModuleType)  # They stand at the top of every notebook.
        self._cut = len(items) > MOST_NAMES
        for index, (name, value) in enumerate(items[:MOST_NAMES]):
            if index % 16 == 0 and index >= LEAST_NAMES and self._late(MOST_S / 2):
                return
            entry = _plain(value) if id(type(value)) in _plain_ids else self._told(value)
            if self._room < MOST_BYTES / 2 or not self._fits("names", name, entry):
                self._cut = True
                return

    def _told(self, value: Any) -> Dict[str, Any]:
        entry = _quietly(self._entry, value)
        if entry is None:  # It is broken, or changes under our hands.
            return {"kind": "instance", "type": _quietly(looking.named, type(value)) or "?"}
        return {word: said for word, said in entry.items() if said not in ("", None, [])}

    def _entry(self, value: Any) -> Dict[str, Any]:
        kind, of = looking.kind(value), type(value)
        entry: Dict[str, Any] = {"kind": kind, "type": looking.named(of)}
        if kind == "module":
            entry["of"] = self._module(value)
        elif kind == "class":
            entry["of"] = self._class(value)
        else:
            entry["of"] = self._class(of)
            entry["text"] = looking.text(value)
            entry["length"] = looking.length(value)
            entry["attributes"] = [
                name for name in looking.words(looking.instance_dict(value), MOST_KEYS) if name[:2] != "__"
            ]
            if issubclass(of, dict):
                entry["keys"] = looking.words(value, MOST_KEYS)
            entry.update(_quietly(of_packages, value) or {})
        if kind in ("function", "class"):
            entry["signature"] = looking.signature(value)
        if kind != "instance":
            entry["doc"] = looking.doc(value)[:DOC]
        return entry

    def _class(self, cls: type) -> str:
        key = looking.key(cls)
        if looking.home(cls) != "builtins" and (key not in self._known or key.startswith(_MAIN + ".")):
            self._classes[key] = cls
        return key

    def _module(self, module: Any) -> str:
        name = looking.module_dict(module).get("__name__")
        if type(name) is not str:
            return ""
        # One that is loaded when it is used is not loaded by us.
        if type(module) is types.ModuleType and name not in self._known:
            self._modules[name] = module
        return name

    # -- what they are

    def _tell(self, group: str, name: str, thing: Any, members: Callable[[Any], Iterator[Tuple[str, Any]]]) -> None:
        self._looked_at += 1
        if self._looked_at > LEAST_DESCRIBED and self._late():
            return
        entry = _quietly(self._described, name, thing, members)
        if entry is None or self._fits(group, name, entry):
            return
        self._cut = True
        self._fits(group, name, {"bare": True, "members": {word: [row[0], "", ""] for word, row in entry["members"].items()}})

    def _described(self, name: str, thing: Any, members: Callable[[Any], Iterator[Tuple[str, Any]]]) -> Dict[str, Any]:
        within = not looking.is_module(thing)
        own = name.startswith(_MAIN + ".")
        rows: Dict[str, List[str]] = {}
        for word, value in members(thing):
            if len(rows) >= MOST_MEMBERS:  # But not when it is late: half a type would not be told again.
                break
            if not word.startswith("__") and (own or not word.startswith("_")):
                rows[word] = quiet_row(word, value, within)
        return {"signature": looking.signature(thing), "doc": looking.doc(thing)[:DOC], "members": rows}

    # -- modules that can be imported

    def _importable(self) -> List[str]:
        paths = [path or "." for path in list(sys.path)[:20] if type(path) is str]
        listed: _Listed = {path: _quietly(_list, path) or (0, []) for path in paths}
        marks = {path: changed for path, (changed, _) in listed.items()}
        if _FOUND.get("marks") != marks:
            names = set(sys.builtin_module_names).union(*(names for _, names in listed.values()))
            found = sorted(name for name in names if not name.startswith("_") and name.isidentifier())[:5000]
            mark = "%08x" % zlib.crc32(" ".join(found).encode("utf-8", "replace"))
            _FOUND.update(marks=marks, mark=mark, said=_encode(found))
        mark, said = _FOUND["mark"], _FOUND["said"]
        if mark in self._known or len(said) >= self._room:
            return []
        self._room -= len(said)
        return ['"importable":' + said, '"mark":"%s"' % mark]


def _plain(value: Any) -> Dict[str, Any]:
    name = type(value).__name__
    return {"kind": "instance", "type": name, "of": "builtins." + name, "text": looking.text(value)}


def quiet_row(name: str, value: Any, within: bool) -> List[str]:
    """Return kind, signature and first line of documentation of what stands under a name. ``within``: of a class."""
    return _quietly(_row, name, value, within) or ["instance", "", ""]


def _row(name: str, value: Any, within: bool) -> List[str]:
    kind = looking.kind(value)
    if kind in ("module", "instance"):
        return [kind, "", ""]
    said = looking.signature(value, bound=within) if kind != "property" else ""
    return [kind, *looking.first_line(looking.doc(value), name, said)]


def _public(module: Any) -> Iterator[Tuple[str, Any]]:
    """Yield what a module offers: its ``__all__`` and whatever else does not begin with an underscore."""
    for name, value in list(looking.module_dict(module).items()):
        if type(name) is str and not name.startswith("_"):
            yield name, value


def _submodules(name: str, module: Any) -> Dict[str, Any]:
    """Return the modules of a package that it has under their own names: ``np.random``."""
    held = [value for _, value in _public(module) if type(value) is types.ModuleType]
    names = [looking.module_dict(value).get("__name__") for value in held]
    return {word: value for word, value in zip(names, held) if type(word) is str and word.startswith(name + ".")}


def _list(path: str) -> Tuple[int, List[str]]:
    """Return when a directory was changed last, and the modules that lie in it, by their names alone."""
    changed = os.stat(path).st_mtime_ns
    known = _LISTED.get(path)
    if known is None or known[0] != changed:
        with os.scandir(path) as entries:
            names = [entry.name for entry in entries]
        ends = (".py", ".so", ".pyd")
        found = [name.split(".")[0] for name in names if name.endswith(ends) or "." not in name]
        known = _LISTED[path] = (changed, found)
    return known


_LISTED: _Listed = {}
#: What can be imported, as it was told last, and the marks of the directories it was found in.
_FOUND: Dict[str, Any] = {}


def of_packages(value: Any) -> Dict[str, Any]:
    """Return shape and columns of arrays and tables, read by the packages' own means on the packages' own classes."""
    found: Dict[str, Any] = {}
    of = type(value)
    array = held("numpy", "ndarray")
    if issubclass(of, array):
        shape = looking.class_dict(array)["shape"].__get__(value)
        dtype = looking.class_dict(array)["dtype"].__get__(value)
        name = looking.class_dict(held("numpy", "dtype"))["name"].__get__(dtype)
        found["shape"] = "%s %s" % ("x".join(map(str, shape)) or "scalar", name)
    table, series = held("pandas", "DataFrame"), held("pandas", "Series")
    base = table if issubclass(of, table) else series if issubclass(of, series) else None
    if base is not None:
        index = looking.class_dict(base)["index"].__get__(value, base)
        found["length"] = len(index)
        if base is table:
            found["keys"] = columns(value, MOST_KEYS)
            found["shape"] = "%dx%d" % (len(index), len(looking.class_dict(base)["columns"].__get__(value, base)))
    return found


def columns(value: Any, most: int) -> List[str]:
    """Return the names of the first columns of a table, as far as they are text; none of anything else."""
    table = held("pandas", "DataFrame")
    found = looking.class_dict(table)["columns"].__get__(value, table)[:most] if issubclass(type(value), table) else ()
    return [name for name in list(found) if type(name) is str]


def held(module: str, name: str) -> Any:
    """Return a class that a package which is loaded has, else one that nothing is of."""
    found = sys.modules.get(module)
    held = looking.module_dict(found).get(name) if type(found) is types.ModuleType else None
    return held if issubclass(type(held), type) else _Nothing


class _Nothing:
    pass


def _quietly(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except Exception:
        return None

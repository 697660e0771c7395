"""Settings of modules, carried from process to process without importing the modules: they wait for their import.

What of the settings is carried is what differs from those right after the import of the module.

=============  =====================================================================================================
numpy          Print options, and what is done about floating point errors.
random         The state of the global generator.
numpy.random   The same.
pandas         All options.
matplotlib     ``rcParams`` with the backend. Not: fonts, colour maps and styles that were registered.
logging        Levels; what ``disable`` was told; handlers of exactly the types ``StreamHandler`` (to stdout or stderr) and
               ``FileHandler``, with no filters and a plain formatter or none, of the root and of loggers that are not
               named as a module that is imported (those make their own).
decimal        The context.
=============  =====================================================================================================
"""

from __future__ import annotations

import _pickle  # What pickle is made of; that needs re and more.
import io
import sys
import warnings

from . import TYPE_CHECKING, finding
from .carry_logging import read_logging, write_logging
from .carry_warnings import Watch, unseen

if TYPE_CHECKING:
    from contextvars import ContextVar
    from functools import partial
    from typing import Any, Callable, Dict, FrozenSet, List, Optional, Set, Tuple

    _Values = Dict[str, Any]
else:  # Those have them from here, and need more.
    from _contextvars import ContextVar
    from _functools import partial

_RANDOM = {"random", "numpy.random"}
#: Their settings are of a context, not of the process: what was applied in a task is unknown outside.
_CONTEXTUAL = {"numpy", "decimal"}
#: What was applied in this context.
_APPLIED: ContextVar[FrozenSet[str]] = ContextVar("_APPLIED", default=frozenset())


class Settings:
    """The settings of all modules of the table above. Arguments: see ``ProcessState``."""

    def __init__(
        self,
        watch: Watch,
        dumps: Optional[Callable[[Any], bytes]] = None,
        loads: Optional[Callable[[bytes], Any]] = None,
        is_seeded: Callable[[Any], bool] = lambda _generator: True,
    ) -> None:
        self._watch = watch
        self._dumps = dumps or _dumps
        self._loads = loads or _loads
        self._kinds: Dict[str, Tuple[Callable[[Any], _Values], Callable[[Any, _Values], None]]] = {
            "numpy": (_read_numpy, _write_numpy),
            "random": (partial(_read_random, is_seeded), _write_random),
            "numpy.random": (partial(_read_numpy_random, is_seeded), _write_numpy_random),
            "pandas": (_read_pandas, _write_pandas),
            "matplotlib": (_read_matplotlib, _write_matplotlib),
            "logging": (read_logging, write_logging),
            "decimal": (_read_decimal, _write_decimal),
        }
        #: Of each module that is imported: the module, and its settings right after the import.
        self._fresh: Dict[str, Tuple[Any, _Values]] = {}
        #: Loaded, by module: as :meth:`dump` returned them.
        self._carried: Dict[str, _Values] = {}
        self._applied: Set[str] = set()

    def begin(self) -> None:
        """Watch for the imports; what is imported already has its settings noted now."""
        for name in self._kinds:
            self._watch.add(name, partial(self._imported, name))

    def dump(self) -> Dict[str, _Values]:
        """Return what differs, by module."""
        found = {}
        for name in self._kinds:
            values = self._differing(name)
            if values:
                found[name] = values
        return found

    def load(self, values: Dict[str, _Values]) -> None:
        self._carried = values
        self.settle()

    def settle(self) -> None:
        """Apply what was loaded to the modules that are imported."""
        for name in self._fresh:
            self._apply(name)

    def forget_unseeded(self) -> None:
        """Do not apply random numbers that wait for their module and that nobody seeded."""
        for name in _RANDOM - set(self._fresh):
            _, (_state, seeded) = self._carried.get(name, {}).get("state", (None, (None, True)))
            if not seeded:
                self._carried = {other: values for other, values in self._carried.items() if other != name}

    def _imported(self, name: str, module: Any) -> None:
        try:
            # Random numbers are never as in another process, also when none was drawn.
            fresh = {} if name in _RANDOM else self._kinds[name][0](module)
        except Exception:
            return  # Another version, that works otherwise: nothing of it is carried.
        self._fresh[name] = module, {key: _copy(value) for key, value in fresh.items()}
        self._apply(name)

    def _apply(self, name: str) -> None:
        values = {}
        for key, (kind, value) in self._carried.get(name, {}).items():
            try:
                values[key] = self._loads(value) if kind == "object" else value
            except Exception:  # noqa: S112 - the others shall not be lost with it
                continue
        if values:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # What is deprecated was told when the user set it.
                try:
                    self._kinds[name][1](self._fresh[name][0], values)
                except Exception:
                    return
            self._applied.add(name)
            _APPLIED.set(_APPLIED.get() | {name})

    def _differing(self, name: str) -> _Values:
        carried = self._carried.get(name, {})
        applied = _APPLIED.get() if name in _CONTEXTUAL else self._applied
        if name not in self._fresh or (carried and name not in applied):
            return carried
        module, fresh = self._fresh[name]
        try:
            now = self._kinds[name][0](module)
        except Exception:
            return carried
        found = {}
        for key, value in now.items():
            try:
                if key not in fresh or not _same(value, fresh[key]):
                    found[key] = ("plain", _copy(value)) if _is_plain(value) else ("object", self._dumps(value))
            except Exception:  # noqa: S112 - it cannot be carried; the others can
                continue
        return found


class _Namespace:
    """Stands for the namespace of cells, which functions of cells are to see as it is later."""

    def __reduce__(self) -> Tuple[Callable[[], Dict[str, Any]], Tuple[()]]:
        return _namespace, ()


def _namespace() -> Dict[str, Any]:
    return sys.modules["__main__"].__dict__


def _dumps(value: Any) -> bytes:
    """Also functions that a cell defined, where there is cloudpickle."""
    try:
        cloudpickle: Any = finding.ours("cloudpickle")
    except ImportError:
        return _pickle.dumps(value)
    names = _namespace()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]
        def _dynamic_function_reduce(self, function: Any) -> Any:
            reduced = super()._dynamic_function_reduce(function)
            if function.__globals__ is names:
                reduced[2][1]["__globals__"] = {}  # Not copies of what it uses.
            return reduced

    file = io.BytesIO()
    pickler = Pickler(file)
    pickler.globals_ref[id(names)] = _Namespace()
    pickler.dump(value)
    return file.getvalue()


def _loads(data: bytes) -> Any:
    names = _namespace()
    mine = names.get("__builtins__")
    try:
        return _pickle.loads(data)
    finally:
        if mine is not None:
            names["__builtins__"] = mine  # cloudpickle puts a dict there.


def _same(one: Any, other: Any) -> bool:
    return one is other or (type(one) is type(other) and bool(one == other))


def _copy(value: Any) -> Any:
    return type(value)(value) if type(value) in (list, dict, set) else value


def _is_plain(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, value)) and all(map(_is_plain, value.values()))
    return value is None or type(value) in (bool, int, float, str, bytes)


def _each(set_one: Callable[[str, Any], Any], values: _Values) -> None:
    for key, value in values.items():
        try:
            set_one(key, value)
        except Exception:  # noqa: S112 - another version may not know it
            continue


# -- numpy's printing and errors


def _read_numpy(numpy: Any) -> _Values:
    printing = {"print " + name: value for name, value in numpy.get_printoptions().items()}
    return {**printing, **{"error " + name: value for name, value in numpy.geterr().items()}}


def _write_numpy(numpy: Any, values: _Values) -> None:
    # In one call: each forgets the formatter.
    for word, function in (("print ", numpy.set_printoptions), ("error ", numpy.seterr)):
        function(**{name[len(word) :]: value for name, value in values.items() if name.startswith(word)})


# -- random numbers


def _read_random(is_seeded: Callable[[Any], bool], module: Any) -> _Values:
    from array import array

    version, numbers, gauss = module.getstate()
    return {"state": ([version, array("I", numbers).tobytes(), gauss], is_seeded(module._inst))}


def _write_random(module: Any, values: _Values) -> None:
    from array import array

    (version, data, gauss), seeded = values["state"]
    setstate = module.Random.setstate if seeded else unseen(module.Random.setstate)
    setstate(module._inst, (version, tuple(array("I", data)), gauss))


def _read_numpy_random(is_seeded: Callable[[Any], bool], module: Any) -> _Values:
    state = module.get_state(legacy=False)
    return {"state": (_encoded(state), is_seeded(module.mtrand._rand))}


def _write_numpy_random(module: Any, values: _Values) -> None:
    plain, seeded = values["state"]
    state = _decoded(plain)
    if state["bit_generator"] != module.get_state(legacy=False)["bit_generator"]:
        module.set_bit_generator(getattr(module, state["bit_generator"])())
    (module.set_state if seeded else unseen(module.set_state))(state)


def _encoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _encoded(item) for key, item in value.items()}
    return {"dtype": value.dtype.str, "data": value.tobytes()} if hasattr(value, "tobytes") else value


def _decoded(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if set(value) == {"dtype", "data"}:
        numpy = finding.imported("numpy")
        return numpy.frombuffer(value["data"], value["dtype"])
    return {key: _decoded(item) for key, item in value.items()}


# -- pandas, matplotlib


def _read_pandas(pandas: Any) -> _Values:
    found: _Values = {}
    branches: List[Tuple[str, Dict[str, Any]]] = [("", pandas.options.d)]
    while branches:
        prefix, branch = branches.pop()
        for name, value in branch.items():
            # A tree of options; an option's value may be a dict too, but none is one from the start.
            if isinstance(value, dict):
                branches.append((prefix + name + ".", value))
            else:
                found[prefix + name] = value
    return found


def _write_pandas(pandas: Any, values: _Values) -> None:
    _each(pandas.set_option, values)


def _read_matplotlib(matplotlib: Any) -> _Values:
    return dict(dict.items(matplotlib.rcParams))  # Its own way of reading would choose a backend.


def _write_matplotlib(matplotlib: Any, values: _Values) -> None:
    values = dict(values)
    backend = values.pop("backend", None)
    if isinstance(backend, str):
        _each(lambda _key, name: matplotlib.use(name, force=False), {"backend": backend})
    _each(matplotlib.rcParams.__setitem__, values)


# -- decimal

_CONTEXT = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _read_decimal(decimal: Any) -> _Values:
    context = decimal.getcontext()
    names: Set[Any] = set(context.traps)
    found = {name: getattr(context, name) for name in _CONTEXT}
    for kind in ("traps", "flags"):
        found[kind] = sorted(signal.__name__ for signal in names if getattr(context, kind)[signal])
    return found


def _write_decimal(decimal: Any, values: _Values) -> None:
    context = decimal.getcontext()
    for name, value in values.items():
        if name in _CONTEXT:
            setattr(context, name, value)
        else:
            switches = getattr(context, name)
            for signal in list(switches):
                switches[signal] = signal.__name__ in value

"""Settings from files and command lines, checked before anything is started with them.

The same four classes carry all settings of a run (:data:`CLASSES`), so the same words work in
``jupyter_sandbox_kernel_config.py``, as ``--Class.name=value`` on every command line and in a kernelspec, and as keyword
arguments of an executor.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from traitlets import Container, Dict, HasTraits, TraitError, TraitType
from traitlets.config import Config, Configurable
from traitlets.config.loader import ConfigFileNotFound, KVArgParseConfigLoader, PyFileConfigLoader

from .errors import ConfigurationError
from .text import closest

CONFIG_FILE = "jupyter_sandbox_kernel_config.py"
_OPTION = re.compile(r"--([A-Z]\w*)\.(\w+)=(.*)", re.DOTALL)


def classes() -> tuple[type[Configurable], ...]:
    """Return the classes whose traits are the settings."""
    from .backends.kubernetes import KubernetesBackend  # noqa: PLC0415
    from .backends.runsc import LocalBackend  # noqa: PLC0415
    from .output_policy import OutputPolicy  # noqa: PLC0415
    from .runner import Runner  # noqa: PLC0415

    return (Runner, LocalBackend, KubernetesBackend, OutputPolicy)


def names() -> dict[str, type[Configurable]]:
    """Return every setting as ``Class.name``, with its class."""
    return {f"{kind.__name__}.{name}": kind for kind in classes() for name in kind.class_traits(config=True)}


def is_option(word: str) -> bool:
    """Tell whether a word of a command line has the form of a setting."""
    return _OPTION.fullmatch(word) is not None


def check_options(options: Sequence[str]) -> None:
    """Raise ConfigurationError for the first option that is no setting."""
    known = names() if options else {}  # The Kubernetes backend takes a while to import.
    for option in options:
        match = _OPTION.fullmatch(option)
        name = f"{match.group(1)}.{match.group(2)}" if match else option.lstrip("-").split("=", 1)[0]
        if option == f"--{name}" and name in known:
            raise ConfigurationError(f"{option} has no value.", f"Write {option}=VALUE.")
        if match is None or name not in known:
            advice = f"Settings are given as --Class.name=value. {_nearest(name, known, '--')}"
            raise ConfigurationError(f"There is no setting {option!r}.", advice)
        trait = known[name].class_traits()[match.group(2)]
        try:
            if isinstance(trait, Container | Dict):  # One option is one item.
                value = trait.from_string_list([match.group(3)])
            else:
                value = trait.from_string(match.group(3))
            _try_assignment(trait, value)
        except (ValueError, TypeError, TraitError) as error:
            raise ConfigurationError(f"{option!r} has a value that does not fit: {error}") from error


def _try_assignment(trait: TraitType[Any, Any], value: Any) -> None:
    """Raise TraitError when the trait does not take the value."""
    trait._validate(HasTraits(), value)  # noqa: SLF001 - what an assignment does, without an object to assign to


def _nearest(name: str, known: Iterable[str], mark: str = "") -> str:
    return closest(name, known, mark) or "sandbox-kernel settings lists them."


def from_options(options: Sequence[str]) -> Config:
    """Return the settings on a command line. Raises ConfigurationError."""
    check_options(options)
    if not options:
        return Config()
    config: Config = KVArgParseConfigLoader(list(options), classes=list(classes())).load_config()
    return config


def from_files(directories: Sequence[str]) -> Config:
    """Return the settings in configuration files, those of earlier directories last and so winning."""
    config = Config()
    for directory in reversed(directories):
        if not os.path.isabs(directory):  # An empty one is the working directory: a file there would run on the host.
            continue
        try:
            config.merge(PyFileConfigLoader(CONFIG_FILE, path=directory).load_config())
        except ConfigFileNotFound:
            continue
        except Exception as error:
            raise ConfigurationError(
                f"{directory}/{CONFIG_FILE} cannot be read: {error}", "It is a file of Python."
            ) from error
    return config


def from_keywords(backend: str, keywords: Mapping[str, Any]) -> Config:
    """Return keyword arguments as settings of the runner or of ``backend``. Raises ConfigurationError.

    ``backend_name``, as the setting is called, is another word for ``backend``, whose default it overrides.
    """
    named = keywords.get("backend_name", backend)
    if backend not in (named, "local"):
        raise ConfigurationError(f"{backend=} and backend_name={named!r} are not the same.", f"Leave one out: {backend=}.")
    backend = named
    runner, local, kubernetes, _ = classes()
    _check_value(runner, "backend_name", backend)
    config = Config({"Runner": {"backend_name": backend}})
    chosen = (runner, kubernetes if backend == "kubernetes" else local)
    for name, value in keywords.items():
        for kind in chosen:
            if name in kind.class_traits(config=True):
                _check_value(kind, name, value)
                config[kind.__name__][name] = value
                break
        else:
            known = [name for kind in chosen for name in kind.class_traits(config=True)]
            raise ConfigurationError(f"There is no setting {name!r} for the {backend} backend.", _nearest(name, known))
    return config


def _check_value(kind: type[Configurable], name: str, value: Any) -> None:
    try:
        _try_assignment(kind.class_traits()[name], value)
    except TraitError as error:
        said = str(error).replace(" of a HasTraits instance", "")  # Which is ours, to try it on.
        raise ConfigurationError(f"{name}={value!r} does not fit: {said}") from error


def describe() -> Iterator[str]:
    """Yield the help of every setting."""
    for kind in classes():
        yield from kind.class_get_help().splitlines()
        yield ""

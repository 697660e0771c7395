"""Settings from files and command lines, checked before anything is started with them.

The same three classes carry all settings of a run (:data:`CLASSES`), so the same words work in
``jupyter_sandbox_kernel_config.py``, as ``--Class.name=value`` on every command line and in a kernelspec, and as keyword
arguments of an executor.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from traitlets import Container, Dict, TraitError
from traitlets.config import Config, Configurable
from traitlets.config.loader import ConfigFileNotFound, KVArgParseConfigLoader, PyFileConfigLoader

from .errors import ConfigurationError

CONFIG_FILE = "jupyter_sandbox_kernel_config.py"
_OPTION = re.compile(r"--([A-Z]\w*)\.(\w+)=(.*)", re.DOTALL)


def classes() -> tuple[type[Configurable], ...]:
    """Return the classes whose traits are the settings."""
    from .backends.kubernetes import KubernetesBackend  # noqa: PLC0415
    from .backends.runsc import LocalBackend  # noqa: PLC0415
    from .runner import Runner  # noqa: PLC0415

    return (Runner, LocalBackend, KubernetesBackend)


def names() -> dict[str, type[Configurable]]:
    """Return every setting as ``Class.name``, with its class."""
    return {f"{kind.__name__}.{name}": kind for kind in classes() for name in kind.class_traits(config=True)}


def check_options(options: Sequence[str]) -> None:
    """Raise ConfigurationError for the first option that is no setting."""
    known = names()
    for option in options:
        match = _OPTION.fullmatch(option)
        name = f"{match.group(1)}.{match.group(2)}" if match else option.lstrip("-").split("=", 1)[0]
        if match is None or name not in known:
            raise ConfigurationError(f"There is no setting {option!r}.", _nearest(name, known))
        trait = known[name].class_traits()[match.group(2)]
        try:
            if isinstance(trait, Container | Dict):  # One option is one item.
                trait.from_string_list([match.group(3)])
            else:
                trait.from_string(match.group(3))
        except (ValueError, TypeError, TraitError) as error:
            raise ConfigurationError(f"{option!r} has a value that does not fit: {error}") from error


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    shape = "Settings are given as --Class.name=value."
    return f"{shape} Did you mean --{near[0]}?" if near else f"{shape} sandbox-kernel settings lists them."


def from_options(options: Sequence[str]) -> Config:
    """Return the settings on a command line. Raises ConfigurationError."""
    check_options(options)
    config: Config = KVArgParseConfigLoader(list(options), classes=list(classes())).load_config()
    return config


def from_files(directories: Sequence[str]) -> Config:
    """Return the settings in configuration files, those of earlier directories last and so winning."""
    config = Config()
    for directory in reversed(directories):
        try:
            config.merge(PyFileConfigLoader(CONFIG_FILE, path=directory).load_config())
        except ConfigFileNotFound:
            continue
    return config


def from_keywords(backend: str, keywords: Mapping[str, Any]) -> Config:
    """Return keyword arguments as settings of the runner or of ``backend``. Raises ConfigurationError."""
    runner, local, kubernetes = classes()
    config = Config({"Runner": {"backend_name": backend}})
    for name, value in keywords.items():
        for kind in (runner, kubernetes if backend == "kubernetes" else local):
            if name in kind.class_traits(config=True):
                config[kind.__name__][name] = value
                break
        else:
            known = {text.split(".")[1]: kind for text, kind in names().items()}
            raise ConfigurationError(f"There is no setting {name!r} for the {backend} backend.", _nearest(name, known))
    return config


def describe() -> Iterator[str]:
    """Yield the help of every setting."""
    for kind in classes():
        yield from kind.class_get_help().splitlines()
        yield ""

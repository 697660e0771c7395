"""What of the settings of ``logging`` is carried; :mod:`.carry_settings` tells what."""

from __future__ import annotations

import sys

from . import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    _Values = Dict[str, Any]


def read_logging(logging: Any) -> _Values:
    """Return levels, switches and handlers, as plain values."""
    found: _Values = {"disable": logging.root.manager.disable, "root level": logging.root.level}
    loggers = {"root": logging.root}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if not isinstance(logger, logging.Logger):
            continue  # It stands for one that is not made yet.
        loggers[name] = logger
        if logger.level:
            found["level " + name] = logger.level
        if _is_users(name):
            switches = {"propagate": True, "disabled": False}
            found.update({word + " " + name: not usual for word, usual in switches.items() if getattr(logger, word) != usual})
    for name, logger in loggers.items():
        handlers = [_described(logging, handler) for handler in logger.handlers] if _is_users(name) else []
        if any(handlers):
            found["handlers " + name] = [handler for handler in handlers if handler]
    return found


def write_logging(logging: Any, values: _Values) -> None:
    """Apply what :func:`read_logging` returned."""
    for key, value in values.items():
        word, _, name = key.partition(" ")
        if key == "disable":
            logging.disable(value)
        elif key == "root level":
            logging.root.setLevel(value)
        else:
            logger = logging.root if name == "root" else logging.getLogger(name)
            if word == "level":
                logger.setLevel(value)
            elif word == "handlers":
                _add(logging, logger, value)
            else:
                setattr(logger, word, value)


def _is_users(name: str) -> bool:
    first = name.partition(".")[0]
    return first in ("root", "__main__") or first not in sys.modules


def _described(logging: Any, handler: Any) -> Optional[_Values]:
    formatter = handler.formatter
    if handler.filters or (formatter is not None and type(formatter) is not logging.Formatter):
        return None
    found: _Values = {"level": handler.level, "format": None}
    if formatter is not None:
        style = next((key for key, (kind, _) in logging._STYLES.items() if type(formatter._style) is kind), "%")
        found["format"] = [formatter._fmt, formatter.datefmt, style]
    if type(handler) is logging.FileHandler:
        return {**found, "file": handler.baseFilename, "encoding": handler.encoding}
    if type(handler) is logging.StreamHandler:
        for name in ("stderr", "stdout"):
            if handler.stream in (getattr(sys, name), getattr(sys, "__%s__" % name)):
                return {**found, "stream": name}
    return None


def _add(logging: Any, logger: Any, described: List[_Values]) -> None:
    """Add handlers that the logger does not have yet."""
    there = [_described(logging, handler) for handler in logger.handlers]
    for values in described:
        if values in there:
            there.remove(values)
            continue
        if "file" in values:
            # Opened with the first record: the file is to be as it was until then.
            handler = logging.FileHandler(values["file"], encoding=values["encoding"], delay=True)
        else:
            handler = logging.StreamHandler(getattr(sys, values["stream"]))
        handler.setLevel(values["level"])
        if values["format"] is not None:
            text, date, style = values["format"]
            handler.setFormatter(logging.Formatter(text, date, style))
        logger.addHandler(handler)

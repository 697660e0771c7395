"""Our part of the user's own directories, as the XDG base directory specification has them."""

from __future__ import annotations

import os
from pathlib import Path


def cache() -> Path:
    """Return where lies what can be made again."""
    return _ours("XDG_CACHE_HOME", ".cache")


def data() -> Path:
    """Return where lies what the user wants to keep."""
    return _ours("XDG_DATA_HOME", ".local/share")


def _ours(variable: str, default: str) -> Path:
    # A relative path in the environment counts for nothing there.
    place = os.environ.get(variable, "")
    return (Path(place) if os.path.isabs(place) else Path.home() / default) / "sandbox-kernel"

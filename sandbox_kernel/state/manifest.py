"""The file beside a snapshot that says what it is. JSON, written by us in directories of this user alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from ..backends.terms import Snapshot

NAME = "manifest.json"
FORMAT = 1


def write(folder: Path, snapshot: Snapshot, **more: Any) -> None:
    """Write the manifest of the snapshot in ``folder``."""
    fields = {**dataclasses.asdict(snapshot), "folder": None}
    values = {"format": FORMAT, "snapshot": fields, **more}
    data = json.dumps({**values, "sha256": _digest(values)}, indent=1)
    with open(folder / NAME, "w", encoding="utf-8") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _digest(values: dict[str, Any]) -> str:
    same = json.loads(json.dumps(values))  # As it will be read.
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode("ascii")).hexdigest()


def read_all(folder: Path) -> dict[str, Any] | None:
    """Return what write() was given, or None when there is nothing that this version can read."""
    try:
        values: dict[str, Any] = json.loads((folder / NAME).read_text(encoding="utf-8"))
        # Those of earlier versions have none.
        if values.pop("sha256", None) not in (None, _digest(values)):
            return None
        fields = values["snapshot"]
        if values["format"] != FORMAT:
            return None
        rows = {name: tuple(tuple(row) for row in fields[name]) for name in ("parts", "names", "lost")}
        values["snapshot"] = Snapshot(**{**fields, **rows, "folder": folder})
        return values
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read(folder: Path) -> Snapshot | None:
    """Return the snapshot in ``folder``; None: there is none, or one of another version. Marks it as used."""
    values = read_all(folder)
    if values is None:
        return None
    try:
        os.utime(folder)
    except OSError:
        return None
    snapshot: Snapshot = values["snapshot"]
    return snapshot

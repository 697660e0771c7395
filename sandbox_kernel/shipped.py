"""What is shipped into a sandbox: the guest, and beside it the one module of others that it uses.

cloudpickle runs inside alone, under a name of our own, so that it neither meets nor depends on the user's.
"""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from importlib import resources
from pathlib import Path


@lru_cache(maxsize=1)
def guest_sources() -> dict[str, str]:
    """Return the files of the guest's package, by name."""
    package = resources.files("sandbox_kernel.guest")
    sources = {entry.name: entry.read_text(encoding="utf-8") for entry in package.iterdir() if entry.name.endswith(".py")}
    cloudpickle = resources.files("cloudpickle") / "cloudpickle.py"
    return {**sources, "cloudpickle.py": cloudpickle.read_text(encoding="utf-8")}


@lru_cache(maxsize=1)
def guest_digest() -> str:
    """Return what names the guest's content."""
    return hashlib.sha256(json.dumps(guest_sources(), sort_keys=True).encode()).hexdigest()


def write_guest(package: Path) -> None:
    """Write the guest's package as a new directory."""
    package.mkdir(mode=0o755)
    for name, source in guest_sources().items():
        (package / name).write_text(source, encoding="utf-8")

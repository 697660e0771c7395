"""What is shipped into a sandbox: the guest, and beside it the one module of others that it uses.

cloudpickle runs inside alone, under a name of our own, so that it neither meets nor depends on the user's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import py_compile
import tempfile
import zipfile
import zlib
from functools import lru_cache
from importlib import resources
from pathlib import Path

#: The name of what has the code of all modules: see guest/piece.py.
CODE = "code"
#: Of a file of compiled code: what is before the code.
_HEADER_BYTES = 16
#: The first moment that an archive can tell: the same files give the same archive.
_EPOCH = (1980, 1, 1, 0, 0, 0)


@lru_cache(maxsize=1)
def guest_sources() -> dict[str, str]:
    """Return the files of the guest's package, by name."""
    package = resources.files("sandbox_kernel.guest")
    sources = {entry.name: entry.read_text(encoding="utf-8") for entry in package.iterdir() if entry.name.endswith(".py")}
    cloudpickle = resources.files("cloudpickle") / "cloudpickle.py"
    return {**sources, "cloudpickle.py": cloudpickle.read_text(encoding="utf-8")}


@lru_cache(maxsize=1)
def guest_archive(path: str, package: str) -> bytes:
    """Return the guest as a zip archive that Python imports from; ``path`` is where it will lie, for tracebacks.

    With the sources goes their code as this Python compiles it. An image with the same Python need not compile it in each new
    sandbox, which took 0.1 s of a processor, and twice that with half of one; another Python takes the sources. All of it is
    one piece, see ``guest/piece.py``, but for what is there before that.
    """
    buffer = io.BytesIO()
    codes = {}
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(buffer, "w", compresslevel=9) as archive:
        for name, source in sorted(guest_sources().items()):
            inside, file = f"{package}/{name}", Path(folder, name)
            file.write_text(source, encoding="utf-8")
            # In an archive nobody compares times, so the code is what counts.
            mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
            py_compile.compile(str(file), f"{file}c", f"{path}/{inside}", doraise=True, invalidation_mode=mode)
            compiled = Path(f"{file}c").read_bytes()
            codes[name.removesuffix(".py")] = zlib.compress(compiled[_HEADER_BYTES:], 9)
            if name in ("__init__.py", "piece.py"):
                archive.writestr(zipfile.ZipInfo(f"{inside}c", _EPOCH), compiled, zipfile.ZIP_DEFLATED)
            archive.writestr(zipfile.ZipInfo(inside, _EPOCH), source, zipfile.ZIP_DEFLATED)
        index = " ".join(f"{name} {len(code)}" for name, code in codes.items()).encode("ascii")
        whole = b"\n".join([index, b"".join(codes.values())])
        archive.writestr(zipfile.ZipInfo(f"{package}/{CODE}", _EPOCH), importlib.util.MAGIC_NUMBER + whole)
    return buffer.getvalue()


@lru_cache(maxsize=1)
def guest_digest() -> str:
    """Return what names the guest's content."""
    return hashlib.sha256(json.dumps(guest_sources(), sort_keys=True).encode()).hexdigest()


def write_guest(package: Path) -> None:
    """Write the guest's package as a new directory."""
    package.mkdir(mode=0o755)
    for name, source in guest_sources().items():
        (package / name).write_text(source, encoding="utf-8")

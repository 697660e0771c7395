"""The guest as an archive: what Python takes from it."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox_kernel import shipped
from sandbox_kernel.backends.configmaps import CONFIG_MAP_BYTES
from sandbox_kernel.guest import piece

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
from guest import piece
piece.begin()
from guest import wire
print(wire.Heartbeat(), wire.dump.__code__.co_filename)
"""


def changed(archive: bytes, suffix: str, data: bytes, at: int) -> bytes:
    """Return the archive with ``data`` written over each file of this suffix, from ``at`` on."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:at] + data + content[at + len(data) :] if name.endswith(suffix) else content)
    return buffer.getvalue()


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    """The archive, as it would lie in the test's directory."""
    shipped.guest_archive.cache_clear()
    return shipped.guest_archive(str(tmp_path / "guest.zip"), "guest")


def imported(archive: bytes, folder: Path) -> tuple[int, str, str]:
    """Import from the archive in another Python; return its status and what it said."""
    place = folder / "guest.zip"
    place.write_bytes(archive)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(place)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_the_same_guest_is_the_same_archive(archive: bytes, tmp_path: Path) -> None:
    """Its name on the cluster follows from its content, so nothing else may be in it."""
    shipped.guest_archive.cache_clear()
    assert shipped.guest_archive(str(tmp_path / "guest.zip"), "guest") == archive


def test_it_fits_into_a_config_map(archive: bytes) -> None:
    """With room for its growth."""
    assert len(archive) < 0.75 * CONFIG_MAP_BYTES


def test_code_of_this_python_is_taken_as_it_is(archive: bytes, tmp_path: Path) -> None:
    """The same Python compiles nothing: it does not even look at the sources, which are broken here."""
    status, said, _ = imported(changed(archive, ".py", b"?!", 0), tmp_path)
    assert (status, said) == (0, f"Heartbeat() {tmp_path}/guest.zip/guest/wire.py\n")


def test_another_python_takes_the_source(archive: bytes, tmp_path: Path) -> None:
    """Code of another Python, as its first bytes tell, is passed over."""
    assert len(importlib.util.MAGIC_NUMBER) == 4
    assert shipped.CODE == piece.CODE
    other = changed(changed(archive, ".pyc", b"????", 0), f"/{piece.CODE}", b"????", 0)
    status, said, _ = imported(other, tmp_path)
    assert (status, said) == (0, f"Heartbeat() {tmp_path}/guest.zip/guest/wire.py\n")


#: What the guest once imported, and a cell seldom needs. Each of them needs others; an image may not even have them compiled.
DEAR = {
    *("array", "ast", "base64", "contextlib", "dataclasses", "datetime", "decimal", "dis", "enum", "getpass", "hashlib"),
    *("importlib", "inspect", "json", "linecache", "logging", "numbers", "pathlib", "pickle", "platform", "re", "selectors"),
    *(
        "signal",
        "socket",
        "struct",
        "subprocess",
        "threading",
        "tokenize",
        "traceback",
        "typing",
        "urllib",
        "uuid",
        "weakref",
    ),
    "guest.cloudpickle",
}
#: Beside it: what only a pickle needs.
OF_PICKLES = {"collections", "functools", "operator"}


@pytest.mark.parametrize(
    ("modules", "dear"),
    [("guest.__main__", DEAR | OF_PICKLES), ("guest.__main__, guest.carry", DEAR)],
    ids=["nothing carried", "carried"],
)
def test_a_start_imports_little_of_pythons_own(modules: str, dear: set[str], archive: bytes, tmp_path: Path) -> None:
    """A new sandbox has half a processor, and somebody may wait for it."""
    place = tmp_path / "guest.zip"
    place.write_bytes(archive)
    program = f"{PROGRAM.rpartition('from')[0]}before = set(sys.modules)\nimport {modules}\nprint(*set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-I", "-c", program, str(place)], capture_output=True, text=True, check=True)
    assert "guest.keeper" in done.stdout.split()
    assert not dear & set(done.stdout.split())

"""What of the process, and which files, go on from cell to cell: one process per cell, under every Python there is.

A process is a fork of one that has the guest's modules alone; that isolates nothing, but only code of this file runs in it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from carry_files_cases import FILES
from carry_process_cases import LIFE, PROCESS
from carry_settings_cases import LIFE_PACKAGES, PACKAGES
from guests import PATIENCE_S, pythons

from sandbox_kernel.backends import oci
from sandbox_kernel.guest import carry_contents, carry_files
from sandbox_kernel.shipped import write_guest

PYTHONS = pythons()
THIS = "{}.{}".format(*sys.version_info[:2])

pytestmark = pytest.mark.xdist_group("carried process")  # One worker makes what they share.

#: Reads a job {"home", "cases": {id: [cell]}, "lives": [id]} and answers {id: trouble}. A cell is its source, or [what fills
#: the namespace between load and settle, source]. A source sees what the one before left (`entries`, `values`, `put`), the
#: parts that were asked for, what was told to be lost, and `before`, the modules that it found; it may set `cap` for its
#: dump, and `image`, a source that makes the files that are there before the first cell.
DRIVER = '''
import builtins, hashlib, json, os, pickle, shutil, sys, traceback, types
from {package} import carry_files, carry_process, life

class Part:
    def __init__(self, digest, size):
        self.digest, self.size = digest, size

def clean(home):
    os.chdir("/")
    shutil.rmtree(home, ignore_errors=True)
    os.mkdir(home)
    os.chdir(home)

def run(cell, state, home, lives):
    fill, code = cell if isinstance(cell, list) else ("", cell)
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    main.before, main.__builtins__ = frozenset(sys.modules), builtins
    clean(home)
    exec(state.get("image", ""), main.__dict__)
    if lives:
        main.life = life.Life()
        main.life.watch()
    process = carry_process.ProcessState(is_seeded=main.life.is_seeded if lives else None)
    files, main.process = carry_files.Files(home), process
    files.begin()
    process.begin()
    parts, put, asked = state.get("parts", {{}}), [], []
    def read(digest, size):
        assert len(parts[digest]) == size
        asked.append(digest)
        return memoryview(bytearray(parts[digest]))
    def write(data):
        data = bytes(data)
        part = Part(hashlib.sha256(data).hexdigest(), len(data))
        put.append(part)
        parts[part.digest] = data
        return part
    told = list(state.get("told", ()))
    told += files.load(state.get("entries", []), read)
    values = pickle.loads(state.get("values", pickle.dumps({{}})))
    process.load(values)
    exec(fill, main.__dict__)
    process.settle()
    main.told, main.put, main.asked, main.cap, main.image = told, state.get("put", []), asked, None, state.get("image", "")
    main.entries, main.values = state.get("entries", []), values
    exec(code, main.__dict__)
    entries, left = files.dump(write, main.cap, "Advice.")
    needed = carry_files.parts(entries)
    return {{
        "image": main.image, "told": left, "put": [(part.digest, part.size) for part in put],
        "entries": json.loads(json.dumps(entries)), "values": pickle.dumps(process.dump()),
        "parts": {{digest: parts[digest] for digest, _ in needed}},
    }}

def in_fork(*arguments):
    """Return what it is like after the cell, and what went wrong."""
    result, said = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(result)
        try:
            answer = run(*arguments), None
        except BaseException:
            answer = {{}}, traceback.format_exc()
        with open(said, "wb") as file:
            pickle.dump(answer, file)
        os._exit(0)
    os.close(said)
    with open(result, "rb") as file:
        answer = pickle.loads(file.read() or pickle.dumps(({{}}, "it died")))
    os.waitpid(pid, 0)
    return answer

job = json.load(sys.stdin)
troubles = {{}}
for name, cells in job["cases"].items():
    state = {{}}
    for number, cell in enumerate(cells, 1):
        state, trouble = in_fork(cell, state, job["home"], name in job["lives"])
        if trouble:
            troubles[name] = "cell %d: %s" % (number, trouble)
            break
print(json.dumps(troubles))
'''


def drive(folder: Path, python: str, cases: dict[str, list[Any]]) -> dict[str, str]:
    """Run each case and return what went wrong, by its id."""
    write_guest(folder / oci.GUEST_PACKAGE)
    cases = {name: [_dedented(cell) for cell in cells] for name, cells in cases.items()}
    done = subprocess.run(
        [python, "-c", DRIVER.format(package=oci.GUEST_PACKAGE)],
        input=json.dumps({"home": str(folder / "home"), "cases": cases, "lives": [*LIFE, *LIFE_PACKAGES]}),
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE_S,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    troubles: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return troubles


def _dedented(cell: Any) -> Any:
    return [_dedented(source) for source in cell] if isinstance(cell, list) else textwrap.dedent(cell)


@pytest.fixture(scope="module", params=PYTHONS)
def plain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong under one Python."""
    return drive(tmp_path_factory.mktemp("plain"), PYTHONS[request.param], {**PROCESS, **FILES, **LIFE})


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What went wrong with packages."""
    return drive(tmp_path_factory.mktemp("packages"), sys.executable, {**PACKAGES, **LIFE_PACKAGES})


@pytest.mark.parametrize("case", [*PROCESS, *FILES, *LIFE])
def test_carried(case: str, plain: dict[str, str]) -> None:
    """What a cell does to its process and to its files is so in the next cell."""
    assert case not in plain, plain[case]


@pytest.mark.parametrize("case", [*PACKAGES, *LIFE_PACKAGES])
def test_carried_settings(case: str, packages: dict[str, str]) -> None:
    """Settings of a package are there when a later cell imports it, and wait until then."""
    pytest.importorskip(case.split(maxsplit=1)[0])
    assert case not in packages, packages[case]


class Parts(dict[str, bytes]):
    """Parts by digest."""

    def put(self, data: memoryview) -> SimpleNamespace:
        digest = hashlib.sha256(data).hexdigest()
        self[digest] = bytes(data)
        return SimpleNamespace(digest=digest, size=len(data))

    def read(self, digest: str, size: int) -> memoryview:
        assert len(self[digest]) == size
        return memoryview(bytearray(self[digest]))


@pytest.fixture
def files(tmp_path: Path) -> carry_files.Files:
    """An empty home."""
    (tmp_path / "home").mkdir()
    files = carry_files.Files(str(tmp_path / "home"))
    files.begin()
    return files


def paths(entries: list[dict[str, Any]]) -> list[str]:
    return [entry["path"] for entry in entries if "path" in entry]


def test_removed_meanwhile(files: carry_files.Files, tmp_path: Path) -> None:
    """What goes away or changes its kind while files are read is left out; the rest is carried."""
    home, parts = tmp_path / "home", Parts()
    for name in "abc":
        (home / name).write_text(name * 100_000)

    def put(data: memoryview) -> SimpleNamespace:
        (home / "b").unlink(missing_ok=True)
        (home / "c").unlink(missing_ok=True)
        (home / "c").symlink_to("/dev/zero")
        return parts.put(data)

    entries, lost = files.dump(put)
    assert paths(entries) == ["a"] and [name for name, _ in lost] == ["file c"]


def test_unreadable(files: carry_files.Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be read is named, and not taken for removed."""
    home, parts, real_open, real_scan = tmp_path / "home", Parts(), os.open, os.scandir
    (home / "closed").mkdir()
    (home / "closed" / "in").write_text("1")
    (home / "secret").write_text("2")
    files.begin()

    def refuse(path: Any, *arguments: Any, **named: Any) -> Any:
        if str(path).endswith(("closed", "secret")):
            raise PermissionError(13, "Permission denied")
        return (real_open if arguments else real_scan)(path, *arguments, **named)

    (home / "secret").write_text("changed")
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "scandir", refuse)
    entries, lost = files.dump(parts.put)
    assert entries == []
    assert dict(lost) == {"folder closed": "Permission denied.", "file secret": "Permission denied."}


def test_most_entries(files: carry_files.Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many files some are carried, and it is told; where there were too many from the start, none are."""
    monkeypatch.setattr(carry_files, "MOST_ENTRIES", 5)
    for number in range(7):
        (tmp_path / "home" / str(number)).write_text("1")
    entries, [(name, _)] = files.dump(Parts().put)
    assert len(paths(entries)) == 5 and name == "files"
    files.begin()
    entries, [(name, _)] = files.dump(Parts().put)
    assert entries == [] and name == "files"


def test_another_file_system(files: carry_files.Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on another device is left alone with all that is in it."""
    home, real = tmp_path / "home", os.lstat
    (home / "mounted").mkdir()
    (home / "mounted" / "theirs").write_text("1")
    (home / "ours").write_text("2")

    def lstat(path: str) -> os.stat_result:
        values = list(real(path))
        if path.endswith("mounted"):
            values[2] += 1
        return os.stat_result(values) if path.endswith("mounted") else real(path)

    monkeypatch.setattr(os, "lstat", lstat)
    entries, lost = files.dump(Parts().put)
    assert paths(entries) == ["ours"] and not lost


def test_load_names_what_fails(files: carry_files.Files, tmp_path: Path) -> None:
    """A file that cannot be made is told of, and the others are made; a part that cannot be read is raised."""
    home, parts = tmp_path / "home", Parts()
    (home / "a").mkdir()
    (home / "a" / "x").write_text("1")
    (home / "b").write_text("2" * 100_000)
    entries, _ = files.dump(parts.put)
    (tmp_path / "other").mkdir()
    other = carry_files.Files(str(tmp_path / "other"))
    other.begin()
    spoilt = [{**entry, "path": "b/x"} if entry.get("path") == "a/x" else entry for entry in entries]
    lost = other.load(sorted(spoilt, key=lambda entry: entry.get("path", "")), parts.read)
    assert [name for name, _ in lost] == ["file b/x"] and (tmp_path / "other" / "b").read_text() == "2" * 100_000
    del parts[next(entry["digest"] for entry in entries if entry.get("path") == "b")]
    with pytest.raises(KeyError):
        other.load(entries, parts.read)


def test_a_large_file_is_mapped(files: carry_files.Files, tmp_path: Path) -> None:
    """A file of MAP_BYTES and more is put without being copied into memory."""
    (tmp_path / "home" / "large").write_bytes(b"x" * carry_contents.MAP_BYTES)
    given: list[object] = []
    files.dump(lambda data: given.append(data.obj) or Parts().put(data))
    assert [type(item) for item in given] == [mmap.mmap]


def test_second_dump(files: carry_files.Files, tmp_path: Path) -> None:
    """What a dump put needs no second put in the same process, and parts tells it all the same."""
    parts = Parts()
    (tmp_path / "home" / "a").write_text("1" * 100_000)
    (tmp_path / "home" / "b").write_text("2")
    first, _ = files.dump(parts.put)
    second, _ = files.dump(lambda _data: pytest.fail("nothing is new"))
    assert second == first
    assert carry_files.parts(second) == {(digest, len(data)) for digest, data in parts.items()}

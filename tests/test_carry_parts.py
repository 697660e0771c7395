"""Snapshots as parts: what they cost, what happens when they are changed, cut short or too large, and what fails late."""

from __future__ import annotations

import base64
import hashlib
import pickle
import sys
from pathlib import Path

import pytest
from carry_sessions import Runner, Session
from guests import pythons

from sandbox_kernel.guest.carry_parts import is_untouched
from sandbox_kernel.guest.state import _PartStore

MIB = 1 << 20


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def session(runner: Runner) -> Session:
    return Session(runner)


def _replace_head(session: Session, data: bytes) -> None:
    """Give the session another head that is what its digest says."""
    digest = hashlib.sha256(data).hexdigest()
    (session.runner.parts / digest).write_bytes(data)
    session.state = {"head": [digest, len(data)], "held": [*session.state.get("held", []), [digest, len(data)]]}


def _head(session: Session) -> Path:
    return session.runner.parts / session.state["head"][0]


# -- what was changed -------------------------------------------------------------------------------------------------


def test_a_flipped_bit_in_the_head_is_told(session: Session) -> None:
    """No cell runs from a head that is not what was saved."""
    session.good("a = 1")
    whole = _head(session).read_bytes()
    for place in (0, 20, len(whole) // 2, len(whole) - 1):
        _head(session).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        said = session.cell("b = a").unloadable
        assert said and said.endswith(".") and "\n" not in said
    _head(session).write_bytes(whole)
    session.good("assert a == 1")


@pytest.mark.parametrize("kept", [0, 1, 0.5, 0.99])
def test_a_truncated_head_is_told(session: Session, kept: float) -> None:
    """No cell runs from a head of which a part is missing, even if its digest is that of the rest."""
    session.good("a = list(range(100))")
    whole = _head(session).read_bytes()
    part = whole[: int(kept * len(whole)) if kept < 1 else 1]
    _head(session).write_bytes(part)
    assert session.cell("a").unloadable
    _replace_head(session, part)
    assert session.cell("a").unloadable


def test_a_missing_head_is_told(session: Session) -> None:
    """A head that the host does not hold is no new session."""
    session.good("a = 1")
    session.state["held"] = []
    assert session.cell("a").unloadable


@pytest.mark.parametrize("strange", ["nothing", "noise", "pickle"])
def test_what_is_no_snapshot_is_told(session: Session, tmp_path: Path, strange: str) -> None:
    """A head that none of us wrote is refused before anything of it is unpickled."""
    proof = tmp_path / "ran"

    class Runs:
        def __reduce__(self) -> object:
            return open, (str(proof), "w")

    _replace_head(session, {"nothing": b"", "noise": bytes(range(256)) * 8, "pickle": pickle.dumps(Runs())}[strange])
    assert session.cell("pass").unloadable
    assert not proof.exists()


@pytest.mark.parametrize("change", ["flipped", "truncated", "missing"])
def test_a_changed_part_is_told(session: Session, change: str) -> None:
    """What is in a part is not used when the part is not what was saved: all is refused, or the name is lost."""
    session.good("small, big = [1], bytearray(b'big') * 1_000_000")
    [part] = [digest for digest, size in session.state["held"] if size > 1_000_000]
    path = session.runner.parts / part
    whole = path.read_bytes()
    if change == "missing":
        session.state["held"] = [item for item in session.state["held"] if item[0] != part]
    else:
        path.write_bytes(whole[:-1] + (b"!" if change == "flipped" else b""))
    result = session.cell("assert small == [1]")
    assert result.unloadable or dict(result.missing)["big"]


def test_another_python_is_told(tmp_path: Path) -> None:
    """A snapshot of another minor version is refused, and both versions are named."""
    others = [item for item in pythons().items() if item[1] != sys.executable]
    if not others:
        pytest.skip("there is only one Python")
    version, python = others[0]
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old = Session(Runner(tmp_path / "old", python))
    old.good("def f(): return 1")
    new = Session(Runner(tmp_path / "new"), parts=str(old.runner.parts))
    new.state = old.state
    said = new.cell("f()").unloadable
    assert version in said and "{}.{}".format(*sys.version_info[:2]) in said


# -- what it costs ----------------------------------------------------------------------------------------------------

BIG = """
big_bytes, big_array, big_text = bytes(range(256)) * 4096, bytearray(range(256)) * 4096 + b"!", "text" * 500_000
with open("big.bin", "wb") as file:
    file.write(bytes(range(255, -1, -1)) * 4096)
"""


def test_what_is_unchanged_is_not_written_again(session: Session) -> None:
    """Large values and files are written once, and again only if they change."""
    assert sum(size for _, size in session.good(BIG).written) > 5_000_000
    held = {digest for digest, _ in session.state["held"]}
    assert sum(size for _, size in session.good("small = 1").written) < 64 << 10
    assert len(held & {digest for digest, _ in session.state["held"]}) >= 4
    written = session.good("big_array[5] = 0").written
    assert MIB <= sum(size for _, size in written) < MIB + (64 << 10)
    session.good("assert big_array[5] == 0 and len(big_bytes) == 1 << 20 and len(big_text) == 2_000_000")


def test_equal_parts_are_written_once(session: Session) -> None:
    """Two values with the same bytes cost one part."""
    written = session.good("one, two = bytearray(MIB := 1 << 20), bytearray(1 << 20)").written
    assert sum(size for _, size in written) < MIB * 3 // 2
    session.good("one[0] = 1")
    session.good("assert one[0] == 1 and two[0] == 0")


def test_what_is_deleted_is_no_part_any_more(session: Session) -> None:
    """The snapshot needs only what is still there."""
    session.good(BIG)
    session.good("import os; os.remove('big.bin'); del big_bytes, big_array, big_text")
    assert sum(size for _, size in session.state["held"]) < 64 << 10


def test_arrays_unchanged_are_not_written_again(session: Session) -> None:
    """An array that was loaded and read is not written; one element more and it is."""
    pytest.importorskip("numpy")
    session.good(
        "import numpy as np; array = np.arange(1_000_000); frozen = array[::-1].copy(); frozen.flags.writeable = False"
    )
    assert sum(size for _, size in session.good("total = int(array.sum()) + int(frozen[0])").written) < 64 << 10
    assert session.good("array[-1] = 0").written[0][1] == 8_000_000
    session.good("assert array[-1] == 0 and frozen[0] == 999_999 and not frozen.flags.writeable and array.flags.writeable")


@pytest.mark.parametrize("trusted", [True, False])
def test_arrays_that_nobody_wrote_to_are_not_looked_at(session: Session, trusted: bool) -> None:
    """The kernel tells what was written to, where only the host can change parts: what was not is not read once more."""
    pytest.importorskip("numpy")
    session.settings["trusted"] = trusted
    session.good("import numpy as np; array = np.zeros(1_000_000); other = np.ones(1_000_000)")
    array, other = sorted(digest for digest, size in session.state["held"] if size == 8_000_000)
    read = session.good("total = array.sum() + other[0]").read
    assert [read.count(array), read.count(other)] == ([1, 1] if trusted else [2, 2])
    changed = session.good("other[500_000] = 3")
    assert sorted(changed.read.count(part) for part in (array, other)) == ([1, 2] if trusted else [2, 2])
    assert [size for _, size in changed.written if size >= 8_000_000] == [8_000_000]
    session.good("assert total == 1 and other[500_000] == 3 and other.sum() == 1_000_002 and not array.any()")


RANGE = """
7f00000ff000-7f0000100000 r--p 00000000 00:1f 4                          /parts/other
Anonymous:             0 kB
7f0000100000-7f0000300000 rw-p 00000000 00:15 2                          /parts/ab
Size:               2048 kB
Rss:                2048 kB
Private_Dirty:      2048 kB
Anonymous:             0 kB
Swap:                  0 kB
VmFlags: rd wr mr mw me ac
7f0000300000-7f0000400000 rw-p 00000000 00:00 0
Size:               1024 kB
Anonymous:          1024 kB
Swap:               1024 kB
"""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(("", ""), True, id="nobody wrote to it"),
        pytest.param(("Swap:                  0 kB\nVm", "Vm"), True, id="a kernel without swap"),
        pytest.param(("Anonymous:             0 kB\nSwap", "Anonymous:             4 kB\nSwap"), False, id="written to"),
        pytest.param(("Swap:                  0 kB", "Swap:                  4 kB"), False, id="written to and swapped out"),
        pytest.param(("Anonymous:             0 kB\nSwap", "Swap"), False, id="a kernel that does not tell"),
        pytest.param(("rw-p 00000000 00:15", "rw-s 00000000 00:15"), False, id="shared"),
        pytest.param(("rw-p 00000000 00:15", "rw-p 00001000 00:15"), False, id="not from its beginning"),
        pytest.param(("/parts/ab", "/parts/ac"), False, id="another file"),
        pytest.param(("/parts/ab", "/parts/ab (deleted)"), False, id="a file that is gone"),
        pytest.param(("                          /parts/ab", ""), False, id="no file"),
        pytest.param(("7f0000100000-7f0000300000", "7f0000100000-7f00002ff000"), False, id="not all of it"),
        pytest.param(("7f0000100000-", "7f0000101000-"), False, id="elsewhere"),
        pytest.param((RANGE, ""), False, id="nothing"),
    ],
)
def test_what_the_kernel_tells_of_memory(change: tuple[str, str], expected: bool) -> None:
    """Memory is untouched where the kernel says so of exactly that file, and where it says nothing it may not be."""
    assert change[0] in RANGE
    text = RANGE.replace(*change).encode()
    assert is_untouched(text, "/parts/ab", 0x7F0000100000, 2 << 20) is expected


def test_saving_imports_nothing_where_there_was_time(session: Session) -> None:
    """What saving needs is imported while a sandbox waits for its cell; where it did not wait, at the end."""
    assert "_sandbox_guest.cloudpickle" in session.good("def f(): return 1\nx = [f]").late
    assert session.good("def g(): return f()", ahead=True).late == []
    session.good("assert x[0] is f and g() == 1")


def test_nothing_is_imported_before_a_module_of_the_users(session: Session) -> None:
    """Who has a file that is named as a module of Python gets that file, however long the sandbox waited."""
    assert "platform" in session.good("a = 1", ahead=True).modules
    session.good("with open('platform.py', 'w') as file: _ = file.write('mine = 1')")
    session.good("import platform; assert platform.mine", ahead=True)


@pytest.mark.parametrize("used", ["tarfile.TarFile", "numpy.array", "pandas.DataFrame", "matplotlib.pyplot.plot"])
def test_modules_are_not_imported_until_used(session: Session, used: str) -> None:
    """A cell that does not use a module does not pay for its import, even if functions that use it are there."""
    needs, _, name = used.rpartition(".")
    pytest.importorskip(needs)
    session.good(f"import {needs} as module, {needs}\ndef use(): return module.{name}, {needs}.{name}\nrows = [1, 2]")
    for code in ("total = sum(rows)", "same = module"):
        assert needs not in session.good(code).modules
    assert needs in session.good(f"assert use()[0] is use()[1] is same.{name} and callable(same.{name})").modules


def test_small_parts_come_with_the_settings() -> None:
    """What is in the guest's settings needs no file, and can be changed like what comes from one; other parts need theirs."""
    data = bytes(range(256))
    store = _PartStore("/nowhere", "wire", lambda _: None, {"0" * 64: base64.b64encode(data).decode()})
    assert store.trusted
    assert store.read("0" * 64, 256) == data
    store.read("0" * 64, 256)[0] = 1
    assert store.read("0" * 64, 256) == data
    with pytest.raises(FileNotFoundError):
        store.read("1" * 64, 256)

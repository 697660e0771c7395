"""Images of whole sandboxes: what keeps one from being used, and what is told of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox_kernel.backends import images
from sandbox_kernel.backends.oci import Mount
from sandbox_kernel.errors import StateNotSaved, StateUnusable


def sha256(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


# -- files of an image -------------------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An image, as far as its names and sizes go."""
    for name in images.FILES:
        (tmp_path / name).write_text(name)
    return tmp_path


def test_an_image_as_it_was_written(image: Path) -> None:
    """What nobody touched is good, without reading it."""
    images.check_files(image, images.marks(image))


def test_an_image_needs_all_its_files(image: Path) -> None:
    """A file that runsc did not write makes no image."""
    (image / images.FILES[1]).unlink()
    with pytest.raises(OSError, match=images.FILES[1]):
        images.marks(image)


def _flip(path: Path) -> None:
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))


def _flip_and_hide(path: Path) -> None:
    status = path.stat()
    _flip(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("name", images.FILES)
@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(_flip, id="a bit"),
        pytest.param(_flip_and_hide, id="a bit, and the date put back"),
        pytest.param(lambda path: os.truncate(path, 1), id="cut"),
        pytest.param(lambda path: path.write_text(""), id="empty"),
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: (path.rename(path.with_name("x")), path.mkdir()), id="a directory"),
    ],
)
def test_a_damaged_image(name: str, harm: object, image: Path) -> None:
    """Whatever happened to a file, it is named, and the way on is told."""
    noted = images.marks(image)
    harm(image / name)  # type: ignore[operator]
    with pytest.raises(StateUnusable, match=rf"damaged: {name} is not.*%sandbox undo.*%sandbox reset") as raised:
        images.check_files(image, noted)
    assert raised.value.damaged


def test_a_copy_is_told_by_its_digests(image: Path, tmp_path: Path) -> None:
    """Where files have been copied only their digest tells, and it does."""
    noted = {name: [*mark[:4], sha256(name)] for name, mark in images.marks(image).items()}
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in images.FILES:
        (copy / name).write_text(name)
    images.check_files(copy, noted)
    _flip(copy / images.FILES[0])
    with pytest.raises(StateUnusable, match=images.FILES[0]):
        images.check_files(copy, noted)


# -- libraries ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A file that plays a library."""
    path = tmp_path / "liba.so"
    path.write_text("content")
    return path


def _noted(library: Path) -> dict[str, list[object]]:
    status = library.stat()
    return {str(library): [status.st_size, status.st_mtime_ns, status.st_ino, sha256("content")]}


def test_libraries_as_they_were(library: Path) -> None:
    """What nobody touched can be used."""
    images.check_mapped(_noted(library))
    images.check_mapped({})


def test_a_touched_library_is_the_same(library: Path) -> None:
    """A new date, or a copy in its place, is no change."""
    noted = _noted(library)
    os.utime(library, (1, 1))
    images.check_mapped(noted)
    library.rename(library.with_suffix(".old"))
    library.write_text("content")
    images.check_mapped(noted)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda path: path.write_text("c0ntent"), id="other bytes"),
        pytest.param(lambda path: path.write_text("longer content"), id="other size"),
        pytest.param(lambda path: path.unlink(), id="gone"),
        pytest.param(lambda path: (path.unlink(), path.mkdir()), id="a directory"),
        pytest.param(lambda path: (path.unlink(), path.symlink_to(path)), id="a link to itself"),
    ],
)
def test_a_changed_library(change: object, library: Path) -> None:
    """Where a library has changed the state is refused, with its name and the ways on; it is not called damaged."""
    noted = _noted(library)
    change(library)  # type: ignore[operator]
    with pytest.raises(StateUnusable, match=r"environment has changed: .*liba\.so is not.*%sandbox reset") as raised:
        images.check_mapped(noted)
    assert not raised.value.damaged


def test_what_is_mapped_comes_from_descriptors(tmp_path: Path) -> None:
    """Of a sandbox's open files those count that are libraries below read-only mounts, by their path on the host."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "rw").mkdir()
    for name in ("lib/liba.so.1", "lib/text", "rw/libb.so"):
        (tmp_path / name).write_text("content")
    mounts = [Mount(str(tmp_path / "lib"), "/usr/lib"), Mount(str(tmp_path / "rw"), "/rw", writable=True)]
    opened = {
        "/root/usr/lib/liba.so.1": "lib/liba.so.1",
        "/root/usr/lib/text": "lib/text",
        "/root/rw/libb.so": "rw/libb.so",
        "/elsewhere/libc.so": "lib/liba.so.1",
    }
    with _descriptors(opened, tmp_path):
        found = images.mapped(0, mounts)
    path = tmp_path / "lib/liba.so.1"
    assert found == {str(path): [7, path.stat().st_mtime_ns, path.stat().st_ino, sha256("content")]}
    images.check_mapped(found)


@pytest.mark.parametrize("mark", ["", " (deleted)"])
def test_a_library_that_was_replaced_under_a_session(mark: str, tmp_path: Path) -> None:
    """What a sandbox has open and its path does not lead to any more keeps its state from being saved, with the reason."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/liba.so").write_text("content")
    (tmp_path / "old").write_text("former content")
    mounts = [Mount(str(tmp_path / "lib"), "/lib")]
    with (
        _descriptors({f"/root/lib/liba.so{mark}": "old"}, tmp_path),
        pytest.raises(StateNotSaved, match=r"liba\.so was changed while the session uses it\. Restart") as raised,
    ):
        images.mapped(0, mounts)
    assert raised.value.alive


@contextlib.contextmanager
def _descriptors(opened: dict[str, str], folder: Path) -> Iterator[None]:
    """Let this process look like a sandbox that has these files open under these names."""
    files = {str(os.open(folder / path, os.O_RDONLY)): name for name, path in opened.items()}
    real = os.readlink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "sandbox_pid", lambda _: os.getpid())
        patch.setattr(os, "readlink", lambda path: files.get(os.path.basename(path)) or real(path))
        yield
    for number in files:
        os.close(int(number))


def test_a_process_that_is_no_sandbox_maps_nothing() -> None:
    """Where there is no sandbox below a process nothing is found, and nothing fails."""
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert images.mapped(program.pid, []) == {}
    finally:
        program.communicate()


# -- what an image depends on ------------------------------------------------------------------------------------------


def test_the_same_needs() -> None:
    """What is the same can be used, in whatever order."""
    images.check_needs({"a": 1, "b": [2]}, {"b": [2], "a": 1})


@pytest.mark.parametrize("now", [{"gVisor": "2", "user": 0}, {"user": 0}, {"gVisor": "1", "user": 0, "new": True}])
def test_other_needs(now: dict[str, object]) -> None:
    """Whatever is not the same is named, with what it was and is."""
    with pytest.raises(StateUnusable, match=r"saved with another (gVisor: 1; now it is (2|None)|new: None; now it is True)"):
        images.check_needs({"gVisor": "1", "user": 0}, now)


@pytest.mark.parametrize(
    ("saved", "now", "told"),
    [
        ([], [["/a", "/data", False]], "It was saved with no mounts; now there is /data from /a (ro)."),
        ([["/a", "/data", True]], [], "It was saved with /data from /a (rw); now there are no mounts."),
    ],
)
def test_other_mounts(saved: object, now: object, told: str) -> None:
    """Mounts that are not the same are told as the user gave them."""
    with pytest.raises(StateUnusable) as raised:
        images.check_needs({"mounts": saved}, {"mounts": now})
    assert raised.value.message == told


def test_a_long_need_is_cut() -> None:
    """What depends on very much is told in one line."""
    with pytest.raises(StateUnusable) as raised:
        images.check_needs({"mounts": ["x" * 1000]}, {"mounts": []})
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize(
    ("stderr", "message", "advice"),
    [
        ("encoding error: invalidated dentries for /data/a", "was replaced or deleted while", "Close it"),
        ("write pages.img: no space left on device", "no room", "prune"),
        ("something else\n\twent wrong", "could not save the state: something else went wrong", "goes on"),
        ("", "could not save the state: ", "goes on"),
        ("x" * 10_000, "could not save", "goes on"),
    ],
)
def test_why_a_state_was_not_saved(stderr: str, message: str, advice: str) -> None:
    """What runsc says is told as what happened and what to do."""
    told = images.why_not_saved(stderr)
    assert message in told[0] and advice in told[1]
    assert len(told[0]) < 600 and "\n" not in told[0]


# -- placeholders ------------------------------------------------------------------------------------------------------


def walk(path: str, mount: str = "/data", kind: str = "100000") -> str:
    """Return what runsc says of a file that has gone."""
    return f'restoring: failed to walk "{path}" of type {kind} in mount "9p:{mount}": no such file or directory'


@pytest.fixture
def mounts(tmp_path: Path) -> list[Mount]:
    """A writable mount with a directory in it, and one that is read-only."""
    for name in ("data/sub", "lib", "outside"):
        (tmp_path / name).mkdir(parents=True)
    return [Mount(str(tmp_path / "lib"), "/lib"), Mount(str(tmp_path / "data"), "/data", writable=True)]


@pytest.mark.parametrize("path", ["a", "sub/a", "/sub/a", "sub//a", "name with spaces", "ä"])
def test_a_file_that_has_gone_is_put_back_empty(path: str, mounts: list[Mount], tmp_path: Path) -> None:
    """Where a restore misses a file an empty one is made, and removed again."""
    made = images.put_placeholder(walk(path), mounts)
    assert made is not None
    assert (tmp_path / "data" / path.strip("/")).read_bytes() == b""
    made.remove()
    assert not (tmp_path / "data" / path.strip("/")).exists()


def test_a_directory_that_has_gone_is_put_back(mounts: list[Mount], tmp_path: Path) -> None:
    """A directory comes back as one."""
    made = images.put_placeholder(walk("new", kind="40000"), mounts)
    assert made is not None and (tmp_path / "data/new").is_dir()
    made.remove()
    assert not (tmp_path / "data/new").exists()


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "out of memory",
        walk("a", mount="/lib"),
        walk("a", mount="/elsewhere"),
        walk(""),
        walk("/"),
        walk(".."),
        walk("../outside/a"),
        walk("sub/../../outside/a"),
        walk("./a"),
        walk("sub"),
        walk("missing/a"),
        walk("sub/a/b"),
    ],
)
def test_what_is_no_file_of_a_mount(stderr: str, mounts: list[Mount], tmp_path: Path) -> None:
    """Nothing is made for another message, on another mount, above it, or where something is already."""
    before = sorted(tmp_path.rglob("*"))
    assert images.put_placeholder(stderr, mounts) is None
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["link/a", "sub/link/a", "link"])
def test_no_link_is_followed(path: str, mounts: list[Mount], tmp_path: Path) -> None:
    """A guest that puts links onto its mount makes the host write nowhere else."""
    for name in ("data/link", "data/sub/link"):
        (tmp_path / name).symlink_to(tmp_path / "outside" / ("x" if path == "link" else ""))
    assert images.put_placeholder(walk(path), mounts) is None
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_link_that_is_put_there_later_is_not_followed(mounts: list[Mount], tmp_path: Path) -> None:
    """A guest that swaps a directory for a link before the placeholder is removed loses only the placeholder."""
    precious = tmp_path / "outside" / "a"
    precious.write_text("precious")
    made = images.put_placeholder(walk("sub/a"), mounts)
    assert made is not None
    (tmp_path / "data/sub").rename(tmp_path / "data/moved")
    (tmp_path / "data/sub").symlink_to(tmp_path / "outside")
    made.remove()
    assert precious.read_text() == "precious"
    assert list((tmp_path / "data/moved").iterdir()) == []


@pytest.mark.parametrize("kind", ["100000", "40000"])
def test_what_the_guest_puts_in_its_place_stays(kind: str, mounts: list[Mount], tmp_path: Path) -> None:
    """What a thread of the guest has made of a placeholder meanwhile is the guest's."""
    made = images.put_placeholder(walk("a", kind=kind), mounts)
    assert made is not None
    if kind == "40000":
        (tmp_path / "data/a/inner").write_text("new")
    else:
        (tmp_path / "data/b").write_text("new")
        (tmp_path / "data/b").rename(tmp_path / "data/a")
    made.remove()
    assert (tmp_path / "data/a").exists()


def test_no_descriptor_is_left(mounts: list[Mount], tmp_path: Path) -> None:
    """Whether it can be made or not, nothing stays open."""
    (tmp_path / "data/link").symlink_to(tmp_path / "outside")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("sub/a", "link/a", "missing/deep/a", "sub"):
        made = images.put_placeholder(walk(path), mounts)
        if made is not None:
            made.remove()
    gone = [Mount(str(tmp_path / "gone"), "/data", writable=True)]
    assert images.put_placeholder(walk("a"), gone) is None
    assert len(os.listdir("/proc/self/fd")) == before

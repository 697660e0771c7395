"""Sessions saved by name, and the files beside them."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from sandbox_kernel.backends.terms import Snapshot
from sandbox_kernel.errors import StateNotSaved, StateUnusable
from sandbox_kernel.state import manifest, places, saved

DIGEST = "ab" * 32


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """State lies in directories of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "sandbox-kernel" / "sessions"


def snapshot(**fields: Any) -> Snapshot:
    """Return a snapshot with all that one can have."""
    values: dict[str, Any] = {
        "size": 3,
        "folder": Path("/nowhere"),
        "frames": 7,
        "parts": ((DIGEST, 3),),
        "names": (("x", "int", 28),),
        "lost": (("sock", "it is a socket"),),
        "manifest": {"needs": {"gVisor": "1"}, "mapped": {"/lib/a.so": [1, 2, 3, DIGEST]}},
    }
    return Snapshot("id", "carry", **{**values, **fields})


async def export(found: Snapshot, folder: Path) -> Snapshot:
    """Write one file, as a keeper does."""
    folder.mkdir(mode=0o700)
    (folder / DIGEST).write_text(found.id)
    return found


async def save(name: str, found: Snapshot | None = None) -> None:
    """Save a session under a name."""
    await saved.save(name, found or snapshot(), export)


def names() -> list[str]:
    """Return what is listed."""
    return [item.name for item in saved.sessions()]


async def test_what_is_saved_is_found(directories: Path) -> None:
    """A saved session is found as it was, in its own directory, which this user alone can enter."""
    await save("a")
    found = saved.find("a")
    assert {**vars(found), "folder": None} == {**vars(snapshot()), "folder": None}
    assert found.folder == directories / "a"
    assert (found.folder / DIGEST).read_text() == "id"
    for path in (directories, directories / "a"):
        assert path.stat().st_mode & 0o777 == 0o700


async def test_the_list(directories: Path) -> None:
    """Saved sessions are listed by name with their weight; what is being written, or is a file, is not."""
    assert saved.sessions() == []
    await save("b")
    await save("a", snapshot(size=1))
    (directories / ".c.1234").mkdir()
    listed = saved.sessions()
    assert [(item.name, item.kind, item.mode) for item in listed] == [("a", "session", "carry"), ("b", "session", "carry")]
    assert all(item.size == sum(path.stat().st_size for path in (directories / item.name).iterdir()) for item in listed)
    assert listed[0].made > 1_700_000_000


async def test_a_saved_session_is_removed(directories: Path) -> None:
    """What is removed is gone, and a second time there is nothing to remove."""
    await save("a")
    saved.remove("a")
    assert not (directories / "a").exists()
    with pytest.raises(StateUnusable, match=r"There is no saved session 'a'\. There are: none"):
        saved.remove("a")


@pytest.mark.parametrize(
    "name", ["", "../x", "a/b", "/etc", ".", "..", ".hidden", "-x", "a b", "a\n", "ä", "a" * 65, "a\0", "~", "$HOME"]
)
async def test_names_that_could_lead_elsewhere(name: str, directories: Path) -> None:
    """No name leads out of the directory, hides, or looks like an option; the refusal says what a name is made of."""
    for call in (saved.find, saved.remove, saved.checked_name):
        with pytest.raises(StateUnusable, match=r"cannot be the name.*letters, digits"):
            call(name)
    with pytest.raises(StateUnusable, match=r"cannot be the name"):
        await save(name)
    assert not directories.exists() or list(directories.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "A.b-c_9", "_", "0", "a..b", "a" * 64])
async def test_names_that_are_names(name: str) -> None:
    """Letters, digits and three signs, up to 64 of them, are a name."""
    await save(name)
    assert names() == [name]


async def test_a_name_that_is_not_there() -> None:
    """Who asks for what is not there is told what is, and how to make one."""
    await save("a")
    await save("b")
    with pytest.raises(StateUnusable, match=r"no saved session 'c'\. There are: a, b\. `%sandbox save NAME`"):
        saved.find("c")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="gone"),
        pytest.param("", id="empty"),
        pytest.param('{"format": 1, "snap', id="cut"),
        pytest.param("[]", id="a list"),
        pytest.param("7", id="a number"),
        pytest.param("null", id="null"),
        pytest.param('{"format": 1}', id="without a snapshot"),
        pytest.param('{"format": 1, "snapshot": null}', id="a snapshot of nothing"),
        pytest.param('{"format": 1, "snapshot": {"id": "x"}}', id="without most"),
        pytest.param('{"format": 2, "snapshot": {}}', id="of another version"),
        pytest.param('{"format": 1, "snapshot": {"parts": 7, "names": [], "lost": []}}', id="parts a number"),
        pytest.param('{"format": 1, "snapshot": {"parts": [7], "names": [], "lost": []}}', id="a part a number"),
        pytest.param("[" * 100_000, id="deep"),
        pytest.param("\xff\xfe", id="no UTF-8"),
    ],
)
async def test_a_damaged_manifest(content: str | None, directories: Path) -> None:
    """What cannot be read is said to be damaged, is listed as unreadable, and can be removed."""
    await save("a")
    path = directories / "a" / manifest.NAME
    path.unlink()
    if content is not None:
        path.write_bytes(content.encode("latin-1"))
    with pytest.raises(StateUnusable, match=r"'a' is damaged, or of another version"):
        saved.find("a")
    assert [(item.name, item.mode) for item in saved.sessions()] == [("a", "unreadable")]
    saved.remove("a")
    assert names() == []


async def test_a_flipped_bit_in_a_manifest(directories: Path) -> None:
    """Wherever a bit of it flips, a manifest is damaged, or says what it said."""
    await save("a")
    path = directories / "a" / manifest.NAME
    whole, before = path.read_bytes(), asdict(saved.find("a"))
    read = []
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        read += [asdict(found)] if (found := manifest.read(path.parent)) is not None else []
    assert all(fields == before for fields in read)
    assert len(read) < len(whole) // 70


async def test_a_manifest_without_its_digest(directories: Path) -> None:
    """What an earlier version saved is good as it is."""
    await save("a")
    path = directories / "a" / manifest.NAME
    values, before = json.loads(path.read_text()), asdict(saved.find("a"))
    del values["sha256"]
    path.write_text(json.dumps(values))
    assert asdict(saved.find("a")) == before


async def test_a_manifest_of_a_later_version_with_more_in_it(directories: Path) -> None:
    """A field that this version does not know makes it another version's."""
    await save("a")
    path = directories / "a" / manifest.NAME
    values = json.loads(path.read_text())
    values["snapshot"]["surprise"] = 1
    del values["sha256"]
    path.write_text(json.dumps(values))
    with pytest.raises(StateUnusable, match="another version"):
        saved.find("a")


async def test_somebody_elses_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """State is neither written to nor read from a directory of another user."""
    await save("a")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StateNotSaved, match=r"belongs to somebody else\. .*a directory of your own"):
        await save("b")
    with pytest.raises(StateUnusable, match="'a' belongs to somebody else"):
        saved.find("a")


def test_a_directory_that_others_can_enter_is_closed(directories: Path) -> None:
    """A directory that was left open to others is closed before anything is put into it."""
    directories.mkdir(parents=True)
    directories.chmod(0o777)
    places.private(directories)
    assert directories.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no directory can be made the error names it."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    with pytest.raises(StateNotSaved, match=r"file/sandbox-kernel/sessions cannot be used: Not a directory"):
        places.private(places.saved())


def test_a_relative_directory_in_the_environment_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG's rule: what is no absolute path is not used."""
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert places.saved() == Path.home() / ".local/share/sandbox-kernel/sessions"
    assert places.live() == Path.home() / ".cache/sandbox-kernel/live"


# -- saving over what is there, and failing ----------------------------------------------------------------------------


async def test_a_name_is_used_again(directories: Path) -> None:
    """Saving under a name that is taken replaces what had it and leaves nothing of it."""
    await save("a")
    await save("a", snapshot(frames=9))
    assert saved.find("a").frames == 9
    assert [path.name for path in directories.iterdir()] == ["a"]


def _full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("what", ["export", "manifest", "sync", "rename"])
@pytest.mark.parametrize("before", [False, True])
async def test_a_full_disk(what: str, before: bool, directories: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room nothing is left of the attempt, and what had the name has it still."""
    if before:
        await save("a")

    async def full(found: Snapshot, folder: Path) -> Snapshot:
        await export(found, folder)
        _full()
        return found

    with monkeypatch.context() as patch:
        if what == "manifest":
            patch.setattr(manifest, "write", _full)
        elif what == "sync":
            patch.setattr(os, "fsync", _full)
        elif what == "rename":
            real = Path.rename
            patch.setattr(
                Path, "rename", lambda path, to: _full() if path.name[-4:] != ".old" != to.name[-4:] else real(path, to)
            )
        with pytest.raises(StateNotSaved, match=r"saved as 'a': No space left on device\. Make room, and save again\."):
            await saved.save("a", snapshot(frames=9), full if what == "export" else export)
    assert [path.name for path in directories.iterdir()] == (["a"] if before else [])
    assert not before or saved.find("a").frames == 7


@pytest.mark.parametrize("look", [lambda: saved.find("a").folder.name, lambda: names()[0]], ids=["found", "listed"])
async def test_an_end_in_the_middle_of_replacing(look: Any, directories: Path) -> None:
    """Whoever ended while one directory gave its name to another lost neither: the old one has the name again."""
    await save("a")
    (directories / "a").rename(directories / ".a.old")
    (directories / ".a.12345678").mkdir()
    assert look() == "a"
    assert saved.find("a").frames == 7


async def test_what_is_left_of_an_older_replacing_does_not_come_back(directories: Path) -> None:
    """What was replaced does not replace what replaced it."""
    await save("a")
    (directories / ".a.old").mkdir()
    await save("a", snapshot(frames=9))
    assert saved.find("a").frames == 9
    assert names() == ["a"]
    assert [path.name for path in directories.iterdir()] == ["a"]


async def test_a_save_that_is_cancelled(directories: Path) -> None:
    """Whoever gives up while it is written leaves nothing."""

    async def stuck(found: Snapshot, folder: Path) -> Snapshot:
        await export(found, folder)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await saved.save("a", snapshot(), stuck)
    assert list(directories.iterdir()) == []


# -- base images -------------------------------------------------------------------------------------------------------


def test_base_images_are_listed_with_their_last_use() -> None:
    """A base image has no name and no date but that of its last use."""
    folder = places.private(places.base()) / "abcd"
    folder.mkdir()
    manifest.write(folder, snapshot(size=5))
    os.utime(folder, (1000, 1000))
    [item] = saved.base_images()
    assert (item.name, item.kind, item.made) == ("abcd", "base image", 1000)
    assert manifest.read(folder) is not None
    assert saved.base_images()[0].made > 1000
    assert saved.sessions() == []

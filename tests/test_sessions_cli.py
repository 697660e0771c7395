"""``sandbox-kernel sessions``: what lies on this machine is listed, and only what nobody needs is removed."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox_kernel import cli, runtime, sessions, supervisor
from sandbox_kernel.backends.base import Snapshot
from sandbox_kernel.state import manifest

COMMAND = [sys.executable, "-m", "sandbox_kernel.cli"]
BASE = "0123456789abcdef" * 2
DAY_S = 86400
NOBODY = 65534


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Our part of a cache directory of this test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "sandbox-kernel"


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of saved sessions of this test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "sandbox-kernel" / "sessions"


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run sandbox-kernel sessions to its end, in this process: a new one would take most of the time."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: object = cli.main(["sessions", *words])
        except SystemExit as end:  # argparse
            status = end.code
    assert isinstance(status, int)
    return subprocess.CompletedProcess(list(words), status, out.getvalue(), err.getvalue())


def put(folder: Path, size: int = 1024, *, age_days: float = 0.0, mode: str = "exact", readable: bool = True) -> Path:
    """Write a directory of state: pages and, when it is readable, a manifest. It is not touched from then on."""
    folder.mkdir(parents=True)
    made = time.time() - age_days * DAY_S
    if readable:
        manifest.write(folder, Snapshot("a1", mode, size, folder), made=made)
        size -= (folder / manifest.NAME).stat().st_size
    (folder / "pages.img").write_bytes(bytes(size))
    for path in (*folder.iterdir(), folder):
        os.utime(path, (made, made))
    return folder


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


# -- list


def test_what_is_saved_is_listed_with_its_kind_mode_size_and_date(cache: Path, saved: Path) -> None:
    """Each session and base image has a line, the sum is the last one."""
    put(saved / "model", 3 << 20, age_days=2, mode="carry")
    put(saved / "old", 1 << 20, readable=False)
    put(cache / "base" / BASE, 2048, age_days=1)
    done = command("list")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in done.stdout.splitlines()]
    day = time.strftime("%Y-%m-%d", time.localtime(time.time() - 2 * DAY_S))
    assert lines[0] == ["name", "kind", "state", "size", "saved", "or", "last", "used"]
    assert lines[1][:6] == ["model", "session", "carry", "3.0", "MiB", day]
    assert lines[2][:5] == ["old", "session", "unreadable", "1.0", "MiB"]
    assert lines[3][:6] == [BASE, "base", "image", "exact", "2.0", "KiB"]
    assert done.stdout.splitlines()[-1] == "4.0 MiB in all."


def test_where_nothing_is_saved_it_is_said_how(cache: Path, saved: Path) -> None:
    """Before anything was saved the list tells of the command that saves, and makes no directory."""
    done = command("list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "%sandbox save NAME" in done.stdout
    assert not cache.exists()
    assert not saved.exists()


def test_what_is_not_ours_by_its_name_is_no_item(cache: Path, saved: Path) -> None:
    """Files, links and directories with names that we do not give are neither listed nor pruned."""
    elsewhere = put(saved.parent.parent / "elsewhere", readable=False)
    put(saved / "my notes", readable=False)
    (saved / "notes.txt").write_text("mine")
    (saved / "link").symlink_to(elsewhere)
    put(cache / "base" / "mine", readable=False)
    put(cache / "live" / "mine", readable=False)
    before = names(saved), names(cache / "base"), names(cache / "live"), names(elsewhere)
    assert "There are no saved sessions" in command("list").stdout
    assert command("prune", "--all").stdout == "There is nothing to remove.\n"
    assert (names(saved), names(cache / "base"), names(cache / "live"), names(elsewhere)) == before


@pytest.mark.parametrize("made", ["yesterday", None, -1, 1e300, float("nan"), []])
def test_a_date_that_cannot_be_is_that_of_the_directory(cache: Path, saved: Path, made: object) -> None:
    """A manifest may hold anything; a date that cannot be one is replaced, and nothing breaks."""
    folder = put(saved / "model")
    values = json.loads((folder / manifest.NAME).read_text())
    (folder / manifest.NAME).write_text(json.dumps({**values, "made": made}))
    os.utime(folder, (1e9, 1e9))
    assert [item.made for item in sessions.items()] == [1e9]


# -- remove


def test_named_sessions_are_removed_readable_or_not(cache: Path, saved: Path) -> None:
    """Each name goes, named twice or not, and what it weighed is told; the others stay."""
    put(saved / "a", 2048)
    put(saved / "b", 1024, readable=False)
    put(saved / "c")
    done = command("remove", "a", "b", "a")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "removed session a (2.0 KiB)\nremoved session b (1.0 KiB)\n3.0 KiB freed.\n"
    assert names(saved) == ["c"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["remove", "model", "modle"], ["'modle'", "nothing was removed", "Did you mean model?"], id="misspelt"),
        pytest.param(["remove", "model", "zzz"], ["'zzz'", "sandbox-kernel sessions list"], id="unknown"),
        pytest.param(["remove", "model", "../model"], ["'../model'"], id="path"),
        pytest.param(["remove", BASE], ["base image", "sandbox-kernel sessions prune"], id="base image"),
        pytest.param(["remove"], ["NAME"], id="no name"),
        pytest.param([], ["COMMAND"], id="no command"),
        pytest.param(["clean"], ["'clean'", "prune"], id="unknown command"),
        pytest.param(["prune", "--older-than", "soon"], ["'soon' is no number of days"], id="no number"),
        pytest.param(["prune", "--older-than", "-1"], ["--older-than"], id="negative"),
        pytest.param(["prune", "--older-than", "nan"], ["'nan' is no number of days"], id="nan"),
        pytest.param(["prune", "--older-than", "1", "--all"], ["not allowed with"], id="both"),
        pytest.param(["prune", "--al1"], ["'--al1'"], id="option"),
    ],
)
def test_bad_use_is_2_and_removes_nothing(cache: Path, saved: Path, words: list[str], said: list[str]) -> None:
    """What was wrong is named, with the next step, and everything is still there."""
    put(saved / "model")
    put(cache / "base" / BASE)
    done = command(*words)
    assert (done.returncode, done.stdout) == (2, "")
    for text in said:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert (names(saved), names(cache / "base")) == (["model"], [BASE])


# -- prune


@pytest.fixture
def everything(cache: Path, saved: Path) -> Path:
    """One of each: readable sessions, new and old, and all that nobody needs."""
    put(saved / "new", age_days=1)
    put(saved / "old", age_days=30)
    put(saved / "broken", readable=False)
    put(saved / ".new.0011aaff.old", age_days=1)
    put(saved / ".half.0011aaff", age_days=1, readable=False)
    put(cache / "base" / BASE)
    put(cache / "base" / f"{BASE}.0011aaff", age_days=1, readable=False)
    home = put(cache / "live" / f"{supervisor.PREFIX}x", readable=False)
    (home / "lock").touch()
    put(home / "parts", 4096, readable=False)
    return saved


GOES = [
    ("session broken (1.0 KiB)", "it cannot be loaded"),
    ("unfinished .new.0011aaff.old (1.0 KiB)", "never finished"),
    ("unfinished .half.0011aaff (1.0 KiB)", "never finished"),
    (f"base image {BASE} (1.0 KiB)", "made again when it is needed"),
    (f"unfinished {BASE}.0011aaff (1.0 KiB)", "never finished"),
    (f"live {supervisor.PREFIX}x (5.0 KiB)", "its process has ended"),
]


@pytest.mark.parametrize(
    ("words", "more", "left", "freed"),
    [
        pytest.param([], [], ["new", "old"], "10.0 KiB", id="no words"),
        pytest.param(["--older-than", "7"], [("session old (1.0 KiB)", "older")], ["new"], "11.0 KiB", id="older"),
        pytest.param(
            ["--older-than", "0.5"], [("session old", "older"), ("session new", "older")], [], "12.0 KiB", id="half"
        ),
        pytest.param(["--all"], [("session old", "all"), ("session new", "all")], [], "12.0 KiB", id="all"),
    ],
)
def test_prune_removes_what_nobody_needs_and_what_was_asked_for(
    everything: Path, cache: Path, words: list[str], more: list[tuple[str, str]], left: list[str], freed: str
) -> None:
    """Each thing that goes has a line with the reason, the sum is told, and first of all the same as --dry-run."""
    before = sorted(cache.parent.parent.rglob("*"))
    dry = command("prune", *words, "--dry-run")
    assert sorted(cache.parent.parent.rglob("*")) == before
    done = command("prune", *words)
    assert (dry.returncode, done.returncode, done.stderr) == (0, 0, "")
    assert dry.stdout.replace("would remove ", "removed ").replace("would be freed", "freed") == done.stdout
    lines = [line for line in done.stdout.splitlines() if line.startswith("removed ")]
    assert len(lines) == len(GOES) + len(more)
    for name, why in [*GOES, *more]:
        assert any(line.startswith(f"removed {name}") and why in line for line in lines), (name, lines)
    assert f"{freed} freed." in done.stdout
    assert names(everything) == left
    assert (names(cache / "base"), names(cache / "live")) == ([], [])
    assert ("--older-than DAYS or --all" in done.stdout) is bool(left)
    assert command("prune", *words).stdout.startswith("There is nothing to remove.")


def test_a_live_directory_that_is_held_stays(cache: Path, saved: Path) -> None:
    """The snapshots of an open session are never pruned: its supervisor holds the lock."""
    home = put(cache / "live" / f"{supervisor.PREFIX}x", readable=False)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert command("prune", "--all").stdout == "There is nothing to remove.\n"
        assert home.exists()
    assert "live" in command("prune").stdout
    assert not home.exists()


def test_what_is_being_written_stays(cache: Path, saved: Path) -> None:
    """A save or a base image that another process is just writing is not taken from under it."""
    saving = put(saved / ".model.0011aaff")
    making = put(cache / "base" / f"{BASE}.0011aaff", readable=False)
    command("prune", "--all")
    assert saving.exists()
    assert making.exists()


@pytest.mark.parametrize("name", [".model.0011aaff", ".model.0011aaff.old"])
def test_the_only_copy_of_a_session_is_kept_as_a_session_is(cache: Path, saved: Path, name: str) -> None:
    """Where a save was killed between its two renames, what it left is all there is: it goes only when asked for."""
    only = put(saved / name, age_days=1)
    assert command("prune").stdout.startswith("There is nothing to remove.")
    assert only.exists()
    command("prune", "--all")
    assert not only.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give directories away")
def test_what_belongs_to_somebody_else_is_never_touched(everything: Path, cache: Path) -> None:
    """Directories of other users are neither listed nor removed, even where root could."""
    folders = [*everything.iterdir(), *(cache / "base").iterdir(), *(cache / "live").iterdir()]
    for folder in folders:
        os.chown(folder, NOBODY, NOBODY)
    assert "There are no saved sessions" in command("list").stdout
    assert command("prune", "--all").stdout == "There is nothing to remove.\n"
    assert command("remove", "new").returncode == 2
    assert all(folder.exists() for folder in folders)


@pytest.mark.parametrize("which", ["base", "live", "saved"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give directories away")
def test_a_parent_of_somebody_else_is_named_and_nothing_is_removed(everything: Path, cache: Path, which: str) -> None:
    """What lies in another user's directory may be put there for us: prune says whose it is, before it removes anything."""
    parent = everything if which == "saved" else cache / which
    os.chown(parent, NOBODY, NOBODY)
    before = sorted(cache.parent.parent.rglob("*"))
    done = command("prune", "--all")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"{parent} belongs to somebody else." in done.stderr
    assert sorted(cache.parent.parent.rglob("*")) == before


def test_a_parent_that_is_no_directory_is_named(cache: Path, saved: Path) -> None:
    """A file where our directory should be is an error with its path, not a traceback."""
    saved.parent.mkdir(parents=True)
    saved.write_text("")
    done = command("list")
    assert (done.returncode, done.stdout) == (125, "")
    assert f"{saved} cannot be read: Not a directory." in done.stderr


def test_one_that_cannot_be_removed_does_not_keep_the_others(
    cache: Path, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest goes, the sum is of what went, and the one that stays is named with the cause."""
    put(saved / "a")
    put(saved / "b")
    remove = shutil.rmtree

    def refuse(path: Path) -> None:
        if path.name == "a":
            raise PermissionError(1, "Operation not permitted")
        remove(path)

    monkeypatch.setattr(shutil, "rmtree", refuse)
    said: list[str] = []
    with pytest.raises(sessions.StateError, match=r"sessions/a: Operation not permitted"):
        sessions.remove(["a", "b"], said.append)
    assert said == ["removed session b (1.0 KiB)", "1.0 KiB freed."]
    assert names(saved) == ["a"]


# -- with real sandboxes


@pytest.fixture
def gvisor_here(gvisor: runtime.Runtime, cache: Path) -> str:
    """The setting for this machine's gVisor, which is trusted in this cache too."""
    runtime.trust(gvisor, [runtime.Check(step, True, "tried before") for step in runtime.selftest.STEPS])
    return f"--LocalBackend.runsc={gvisor.path}"


def test_a_pruned_base_image_is_made_again(cache: Path, saved: Path, gvisor_here: str) -> None:
    """A run leaves a base image, prune removes it and tells its size, and the next run works and leaves another."""
    for _ in range(2):
        done = subprocess.run([*COMMAND, "run", "-c", "print(1)", gvisor_here], capture_output=True, text=True, timeout=120)
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")
        assert [item.kind for item in sessions.items()] == [sessions.BASE]
        assert "removed base image" in command("prune").stdout
        assert names(cache / "base") == []
    assert names(cache / "live") == []

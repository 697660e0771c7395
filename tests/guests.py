"""The guest as a plain child process, for tests of the guest itself, under every Python from 3.9 on that this machine has.

It isolates nothing: only code of the tests runs in it.
"""

from __future__ import annotations

import glob
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from sandbox_kernel.backends import oci
from sandbox_kernel.guest import frames, wire
from sandbox_kernel.shipped import write_guest

if TYPE_CHECKING:
    from typing_extensions import Self

#: Longer than anything here takes; reached only when something hangs.
PATIENCE_S = 60.0


def pythons() -> dict[str, str]:
    """Return the interpreters the guest supports, oldest first: one of each minor version, of PATH and of pyenv."""
    found = {"{}.{}".format(*sys.version_info[:2]): sys.executable}
    for minor in range(9, 15):
        version = f"3.{minor}"
        beside = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/{version}.*/bin/python")))
        for path in (*reversed(beside), shutil.which(f"python{version}")):
            if path and version not in found and _runs_as(path, version):
                found[version] = path
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


def _runs_as(path: str, version: str) -> bool:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([path, "-c", code], capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    return done.returncode == 0 and done.stdout.strip() == version  # pyenv's shims are there, but may refuse


class Said(list[wire.Event]):
    """What a guest said."""

    def text(self, name: str) -> str:
        return "".join(event.text for event in self.of(wire.Stream) if event.name == name)

    @property
    def out(self) -> str:
        return self.text("stdout")

    @property
    def err(self) -> str:
        return self.text("stderr")

    def of(self, kind: type) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]

    @property
    def finished(self) -> wire.Finished:
        """The trailer: there is one, and nothing after it."""
        assert self and isinstance(self[-1], wire.Finished), self
        assert len(self.of(wire.Finished)) == 1
        return self[-1]

    @property
    def error(self) -> wire.Error:
        [error] = self.of(wire.Error)
        return error

    @property
    def shown(self) -> list[str]:
        """The text of displays and results."""
        return [event.data.get("text/plain") for event in self if isinstance(event, (wire.Display, wire.Result))]

    @property
    def words(self) -> list[str]:
        """What was said by whom, in order: ``o:`` and ``e:`` before each line of text, ``d:``, ``r:``, ``x:``."""
        words: list[str] = []
        rest = {"stdout": "", "stderr": ""}
        for event in self:
            if isinstance(event, wire.Stream):
                *lines, rest[event.name] = (rest[event.name] + event.text).split("\n")
                words += [f"{event.name[3]}:{line}" for line in lines]
            elif isinstance(event, wire.Display):
                words.append("d:" + event.data["text/plain"])
            elif isinstance(event, wire.Result):
                words.append("r:" + event.data["text/plain"])
            elif isinstance(event, wire.Error):
                words.append("x:" + event.name)
        return words


class Guest:
    """One guest: ``with Guest(folder) as guest: guest.deliver(...); guest.rest()``."""

    def __init__(
        self, folder: Path, python: str = sys.executable, env: dict[str, str] | None = None, **settings: Any
    ) -> None:
        self.home = folder / "home"
        self.home.mkdir(exist_ok=True)
        package = folder / oci.GUEST_PACKAGE
        if not package.exists():
            write_guest(package)
        boot = oci.BOOT.replace(oci.GUEST, str(folder))
        self.stderr = folder / "stderr"
        with self.stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [python, "-c", boot, json.dumps({"mailbox": "-", **settings})],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=self.home,
                env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8", **(env or {})},
            )
        self._decoder = frames.Decoder()
        self._data = b""
        self._until = time.monotonic() + PATIENCE_S
        self.said = Said()
        self._events = self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.descendants():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()
        self.process.wait()

    def descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def write(self, line: bytes) -> None:
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def deliver(self, code: str, **fields: Any) -> None:
        self.write(wire.dump(wire.Cell(**{"number": 1, "code": code, **fields})))

    def _read(self) -> Iterator[wire.Event]:
        """Yield events until the guest closes its stdout."""
        pipe = self.process.stdout.fileno()
        while True:
            *lines, self._data = self._data.split(b"\n")
            for line in lines:
                for event in self._decoder.decode(line):
                    self.said.append(event)
                    yield event
            assert select.select([pipe], [], [], max(0.0, self._until - time.monotonic()))[0], (
                f"it hangs after {self.said[-3:]}"
            )
            data = os.read(pipe, 1 << 20)
            if not data:
                return
            self._data += data

    def until(self, true: Callable[[Said], Any]) -> Said:
        """Return what was said when ``true(said)``."""
        while not true(self.said):
            assert next(self._events, None) is not None, f"it ended after {self.said}: {self.complaint()}"
        return self.said

    def rest(self) -> Said:
        """Return all that it says until it ends, without what only tells that it lives."""
        for _ in self._events:
            pass
        self.status = self.process.wait(PATIENCE_S)
        return Said(event for event in self.said if not isinstance(event, (wire.Ready, wire.Started, wire.Heartbeat)))

    def complaint(self) -> str:
        """What the keeper wrote on its own stderr."""
        return self.stderr.read_text(encoding="utf-8")


def run(folder: Path, code: str, python: str = sys.executable, env: dict[str, str] | None = None, **fields: Any) -> Said:
    """Run one cell to its end and return what was said of it; the guest itself must not have complained."""
    settings = fields.pop("settings", {})
    with Guest(folder, python, env, **settings) as made:
        made.deliver(code, **fields)
        said = made.rest()
        assert made.complaint() == ""
        assert made.status == (said.finished.exit_status or 0) & 0xFF
        assert not said.of(wire.Gap) and not said.of(wire.Noise)
        return said

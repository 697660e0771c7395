"""Which gVisor runs the cells of this user: finds it, trusts it only when tried, and makes one where there is none.

``find`` is asked before every sandbox and answers from a few ``stat`` calls; ``setup`` is the command that makes it
succeed. Both look in the same places, in this order:

1. what the user named: the setting ``LocalBackend.runsc``, else ``RUNSC_PATH`` of the environment;
2. what ``setup`` built: in the user's data directory, from the Go module that this package pins (:mod:`.build`);
3. ``runsc`` on PATH, when it is new enough.

A runsc counts when it knows its version, is newer than the fixes of the holes that are known, and has passed the
self-test here. A passed self-test leaves a stamp in the user's cache directory, which holds for this very file, this
kernel and this user; a failed one leaves nothing, so it is tried again. There is no other way past it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from . import build, directories, selftest
from .backends.base import Check
from .errors import BackendUnavailable, ConfigurationError
from .processes import run_tool

#: The first release after the fix of CVE-2026-96812, by which a cell could become root of the host.
OLDEST = 20260824

#: The next step where gVisor cannot run.
ELSEWHERE = "Use the Kubernetes backend (the kernel sandbox-kubernetes), or a virtual machine with Linux."
_SETUP = "Run: sandbox-kernel setup"
_TOO_OLD = f"release-{OLDEST} or newer is needed"

#: Why a runsc is the one, for those that nobody named.
BUILT, ON_PATH = "built by sandbox-kernel setup", "on PATH"


@dataclass(frozen=True)
class Runtime:
    """A runsc.

    Attributes:
        path: The program, absolute.
        version: What it calls itself, as in ``release-20260905.0``.
        origin: Why this one, in words for the user.
    """

    path: str
    version: str
    origin: str = ""


def find(explicit: str | None = None) -> Runtime:
    """Return the runsc to use. ``explicit`` is the path in the user's settings.

    Takes a millisecond, and once a few seconds for one that was never tried here. May be called in any thread. Raises
    ConfigurationError when what the user named is no program, BackendUnavailable when there is none to trust.
    """
    runtime = locate(explicit)
    _try_once(runtime, lambda _: None)
    return runtime


def locate(explicit: str | None = None) -> Runtime:
    """Return the runsc that ``find`` would use, tried or not. Raises the same, but for a failed self-test."""
    reason = unsupported(sys.platform, platform.machine())
    if reason is not None:
        raise BackendUnavailable(reason, ELSEWHERE)
    named = _named(explicit)
    refused = []
    for path, origin in [named] if named is not None else _unnamed():
        version = _tried_version(path) or _ask_version(path)
        if is_new_enough(version):
            assert version is not None
            return Runtime(path, version, origin)
        refused.append(f"{path} ({origin}) is {version or 'of an unknown version'}")
    if named is not None:
        raise BackendUnavailable(f"{_TOO_OLD}: {refused[0]}.", "Name a newer one, or none and run: sandbox-kernel setup")
    if refused:
        raise BackendUnavailable(f"There is no gVisor (runsc) to use. {_TOO_OLD}: {', '.join(refused)}.", _SETUP)
    raise BackendUnavailable(f"There is no gVisor (runsc) for this user: none on PATH, none at {pinned_path()}.", _SETUP)


def trust(runtime: Runtime, checks: Sequence[Check]) -> None:
    """Stamp a runsc that passed its self-test. Raises BackendUnavailable for one that did not."""
    passed = {check.name for check in checks if check.ok}
    failed = [f"{check.name}: {check.found}" for check in checks if not check.ok]
    failed += [f"{step}: not tried" for step in selftest.STEPS if step not in passed]
    if failed:
        raise BackendUnavailable(
            f"The gVisor at {runtime.path} ({runtime.version}, {runtime.origin}) did not pass its self-test. {failed[0]}.",
            "Run: sandbox-kernel doctor",
        )
    stamp = _stamp(runtime.path)
    unfinished = stamp.with_name(f"{stamp.name}.{os.getpid()}")
    # Without a stamp, say in a read-only home, it is tried each time: slow, not wrong.
    with contextlib.suppress(OSError):
        stamp.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        unfinished.write_text(runtime.version, encoding="utf-8")
        unfinished.replace(stamp)


def setup(tell: Callable[[str], None]) -> Runtime:
    """Make ``find`` succeed for this user: with the runsc that is there when it will do, else with one that it builds.

    ``tell`` gets lines for the user. Doing it again takes no time. Must not be called where an event loop runs. Raises
    what ``find`` raises, and BackendUnavailable when the build or what it built does not work here.
    """
    runtime = _present(tell)
    if runtime is None:
        build.build(pinned_path(), tell)
        runtime = locate()
        _try_once(runtime, tell)
    for path in _outdated():
        tell(f"No longer used: {path} (remove it when no kernel that was started with it runs).")
    return runtime


def _present(tell: Callable[[str], None]) -> Runtime | None:
    try:
        runtime = locate()
    except BackendUnavailable as error:
        if _named(None) is not None:
            raise  # What setup would build, find() would not use.
        tell(error.message)
        return None
    try:
        _try_once(runtime, tell)
    except BackendUnavailable as error:
        if runtime.origin != ON_PATH:
            raise  # Building the same again would not help.
        tell(error.message)
        return None
    return runtime


def _try_once(runtime: Runtime, tell: Callable[[str], None]) -> None:
    if _tried_version(runtime.path) is None:
        tell(f"Trying gVisor {runtime.version} at {runtime.path} with two sandboxes: a few seconds.")
        trust(runtime, _try(runtime))


def _try(runtime: Runtime) -> list[Check]:
    # In a thread, because the caller's may have an event loop that runs.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, selftest.run(runtime.path)).result()


# -- where they are


def _named(explicit: str | None) -> tuple[str, str] | None:
    for name, origin in ((explicit, "LocalBackend.runsc"), (os.environ.get("RUNSC_PATH"), "RUNSC_PATH")):
        if name:
            path = shutil.which(os.path.expanduser(name))
            if path is None:
                raise ConfigurationError(
                    f"{origin} is {name!r}: there is no such program.",
                    "Name a runsc, or none and run: sandbox-kernel setup",
                )
            return os.path.abspath(path), origin
    return None


def _unnamed() -> Iterator[tuple[str, str]]:
    if os.access(pinned_path(), os.X_OK):
        yield str(pinned_path()), BUILT
    path = shutil.which("runsc")
    if path is not None:
        yield os.path.abspath(path), ON_PATH


def pinned_path() -> Path:
    """Where ``setup`` puts what it builds."""
    return _builds() / build.pin().name / "runsc"


def _builds() -> Path:
    return directories.data() / "runsc"


def _outdated() -> list[Path]:
    return [path for path in sorted(_builds().glob("release-*")) if path != pinned_path().parent]


# -- whether they will do


def unsupported(system: str, machine: str) -> str | None:
    """Say why gVisor cannot run here, None when it can. ``system`` is as in ``sys.platform``."""
    if system != "linux":
        name = {"darwin": "macOS", "win32": "Windows"}.get(system, system)
        return f"Local sandboxes need Linux; this is {name}."
    if machine not in ("x86_64", "aarch64"):
        return f"gVisor runs on x86_64 and aarch64; this machine is {machine}."
    return None


def _ask_version(path: str) -> str | None:
    return read_version(run_tool([path, "--version"], timeout_s=20)[1])


def read_version(text: str) -> str | None:
    """Return the version in what ``runsc --version`` says, None for a runsc that does not know its own."""
    match = re.search(r"^runsc version (\S+)$", text, re.MULTILINE)
    return None if match is None or match[1] == "VERSION_MISSING" else match[1]


def is_new_enough(version: str | None) -> bool:
    """Tell whether a version is a release with the fixes that count; one that cannot be read is not."""
    match = re.match(r"release-(\d{8})\b", version or "")
    return match is not None and int(match[1]) >= OLDEST


def _tried_version(path: str) -> str | None:
    """Return the version of the runsc that passed its self-test as exactly this file, on this kernel, for this user."""
    try:
        return _stamp(path).read_text(encoding="utf-8") or None
    except OSError:
        return None


def _stamp(path: str) -> Path:
    file = os.stat(path)
    tried = [path, file.st_size, file.st_mtime_ns, file.st_ino, os.uname().release, os.geteuid(), selftest.NUMBER]
    name = hashlib.sha256(json.dumps(tried).encode()).hexdigest()[:32]
    return directories.cache() / "selftest" / name

"""Looks at everything a sandbox needs on this machine, a line each, and says how to mend what is wrong.

``examine`` gathers, ``show`` prints, ``run`` is the command. Gathering does not stop at the first failure and raises
nothing: whatever goes wrong while one thing is looked at is that thing's line. What a reading means is decided apart
from taking it (:func:`judge_namespaces`): most hosts that refuse something are not here to be tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import shlex
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from traitlets.config import Config

from . import runtime, selftest, sessions
from .backends.base import Backend, Check
from .errors import SandboxError
from .processes import run_tool
from .state import places
from .text import amount

#: With less room than this, sessions of some size will meet its end.
ROOM_BYTES = 1 << 30
_ELSEWHERE = "Make room or get the right to write there, or set XDG_CACHE_HOME to another directory of yours."
KERNELS = {"sandbox-local": "local", "sandbox-kubernetes": "kubernetes"}

#: What runsc does first for an ordinary user. A setting of the kernel refuses the first step; AppArmor on Ubuntu lets
#: the namespace be made and then denies what it is for.
_TRY_NAMESPACES = """
import ctypes, errno, os
libc, user = ctypes.CDLL(None, use_errno=True), os.geteuid()
def unshare(flags):
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), "")
def map_user():
    with open("/proc/self/uid_map", "w") as file:
        file.write("0 %d 1" % user)
steps = {"unshare": lambda: unshare(0x10000000), "uid_map": map_user, "mounts": lambda: unshare(0x20000)}
for what in steps:
    try:
        steps[what]()
    except OSError as error:
        print(what, errno.errorcode[error.errno])
        break
else:
    print("allowed")
"""


def run(backend: str | None, config: Config) -> int:
    """Examine what the settings say will be used, or one backend alone; print it and return the exit status."""
    return show(asyncio.run(_examine_configured(backend, config)), print)


def show(checks: Sequence[Check], tell: Callable[[str], None]) -> int:
    """Tell a line per check, and below each failed one what mends it. Returns the exit status: 1 when one failed."""
    width = max((len(check.name) for check in checks), default=0)
    for check in checks:
        tell(f"{'ok  ' if check.ok else 'FAIL'} {check.name:<{width}}  {check.found}")
        if not check.ok and check.mend:
            tell(f"     {'':<{width}}  {check.mend}")
    return 0 if all(check.ok for check in checks) else 1


async def examine(backends: Sequence[Backend] = (), *, local: bool = True, runsc: str | None = None) -> list[Check]:
    """Look at everything. Raises nothing.

    ``local`` looks at what local sandboxes need, with ``runsc`` as the user's setting. Each of ``backends`` is asked.
    """
    checks = []
    if local:
        checks += await _guarded("gVisor", lambda: _local(runsc))
    for backend in backends:
        checks += await _guarded(type(backend).__name__, backend.check)
    checks += await _guarded("state", lambda: asyncio.to_thread(_state))
    return checks + await _guarded("kernels", lambda: asyncio.to_thread(_kernels))


async def _guarded(name: str, look: Callable[[], Awaitable[list[Check]]]) -> list[Check]:
    try:
        return await look()
    except SandboxError as error:
        return [Check(name, False, error.message, error.advice)]
    except Exception as error:  # noqa: BLE001 - a doctor that stops at the first surprise helps nobody
        return [Check(name, False, f"it could not be looked at: {type(error).__name__}: {error}")]


async def _examine_configured(backend: str | None, config: Config) -> list[Check]:
    from .runner import Runner  # noqa: PLC0415 - imports the backends, which import much

    names = [backend] if backend else [config.Runner.get("backend_name", "local")]
    if not backend and "KubernetesBackend" in config and "kubernetes" not in names:
        names.append("kubernetes")
    runners = []
    checks = []
    for name in names:
        chosen = Config(config)
        chosen.Runner.backend_name = name
        try:
            runners.append(Runner(config=chosen))
        except Exception as error:  # noqa: BLE001 - a setting that does not fit is a line, too
            checks.append(Check(name, False, f"it cannot be set up: {error}", "sandbox-kernel settings lists what fits"))
    try:
        local = next((runner.backend for runner in runners if runner.backend_name == "local"), None)
        runsc = getattr(local, "runsc", None) or None
        return checks + await examine([runner.backend for runner in runners], local="local" in names, runsc=runsc)
    finally:
        for runner in runners:
            await runner.close()


# -- what local sandboxes need


async def _local(explicit: str | None) -> list[Check]:
    reason = runtime.unsupported(sys.platform, platform.machine())
    if reason is not None:
        return [Check("system", False, reason, runtime.ELSEWHERE)]
    checks = [Check("system", True, f"{platform.system()} {platform.release()}, {platform.machine()}")]
    try:
        found = await asyncio.to_thread(runtime.locate, explicit)
    except SandboxError as error:
        namespaces = await asyncio.to_thread(_namespaces, str(runtime.pinned_path()), starts=False)
        return [*checks, namespaces, Check("runtime", False, error.message, error.advice)]
    tried = await _guarded("self-test", lambda: selftest.run(found.path))
    starts = any(check.name == "start" and check.ok for check in tried)
    checks.append(await asyncio.to_thread(_namespaces, found.path, starts=starts))
    checks.append(Check("runtime", True, f"runsc {found.version} at {found.path}, {found.origin}"))
    with contextlib.suppress(SandboxError):  # Its lines tell.
        runtime.trust(found, tried)
    return checks + [check if check.ok or check.mend else replace(check, mend=_mend(found)) for check in tried]


def _mend(found: runtime.Runtime) -> str:
    if found.origin == runtime.BUILT:
        return "gVisor does not work here; another FAIL line may say why. The Kubernetes backend needs none here."
    if found.origin == runtime.ON_PATH:
        return "sandbox-kernel setup"
    return f"Do without {found.origin}, and run: sandbox-kernel setup"


@dataclass(frozen=True)
class Namespaces:
    """What this host says about user namespaces of an ordinary user. A setting that it does not have is None.

    Attributes:
        trial: ``allowed``, or the step that was refused and how, as in ``uid_map EPERM``.
        most: ``user.max_user_namespaces``.
        clone: ``kernel.unprivileged_userns_clone``, on Debian and Arch kernels.
        apparmor: ``kernel.apparmor_restrict_unprivileged_userns``, on Ubuntu since 23.10.
    """

    trial: str
    most: str | None
    clone: str | None
    apparmor: str | None


def _namespaces(runsc: str, *, starts: bool) -> Check:
    if os.geteuid() == 0:
        return Check("user namespaces", True, "not needed: this is root")
    _, text = run_tool([sys.executable, "-I", "-S", "-c", _TRY_NAMESPACES], timeout_s=20)
    read = Namespaces(
        trial=(text.strip().splitlines() or ["no answer"])[-1],
        most=_setting("user/max_user_namespaces"),
        clone=_setting("kernel/unprivileged_userns_clone"),
        apparmor=_setting("kernel/apparmor_restrict_unprivileged_userns"),
    )
    return judge_namespaces(read, runsc, starts=starts)


def _setting(name: str) -> str | None:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return None


def judge_namespaces(read: Namespaces, runsc: str, *, starts: bool) -> Check:
    """Decide what a reading means, and how to mend it. ``starts``: a sandbox of this runsc was seen to start."""
    name = "user namespaces"
    if read.trial == "allowed":
        return Check(name, True, "allowed")
    if starts:
        return Check(name, True, f"allowed for this runsc, though not for every program ({read.trial})")
    refused = f"refused ({read.trial})"
    if read.most == "0":
        return Check(name, False, f"{refused}: user.max_user_namespaces is 0", _sysctl("user.max_user_namespaces=15000"))
    if read.clone == "0":
        return Check(
            name,
            False,
            f"{refused}: kernel.unprivileged_userns_clone is 0",
            _sysctl("kernel.unprivileged_userns_clone=1"),
        )
    if read.apparmor not in (None, "0"):
        return Check(name, False, f"{refused}: AppArmor allows them to programs with a profile alone", _profile(runsc))
    return Check(
        name,
        False,
        f"{refused}: by a seccomp filter or another security module",
        "In Docker: docker run --security-opt seccomp=unconfined. Or use the Kubernetes backend.",
    )


def _sysctl(setting: str) -> str:
    return f"echo {setting} | sudo tee /etc/sysctl.d/60-sandbox-kernel.conf && sudo sysctl --system"


def _profile(runsc: str) -> str:
    """Return the command that lets one program make them, as Ubuntu does for its own. Not tried: no such host here."""
    profile = f'abi <abi/4.0>, profile sandbox-kernel-runsc "{runsc}" flags=(unconfined) {{ userns, }}'
    file = "/etc/apparmor.d/sandbox-kernel-runsc"
    return f"echo {shlex.quote(profile)} | sudo tee {file} && sudo apparmor_parser -r {file}"


# -- what state needs


def _state() -> list[Check]:
    folder = places.private(places.live())
    if places.saved().exists():
        places.private(places.saved())
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"state")
        room = shutil.disk_usage(folder).free
    except OSError as error:
        return [Check("state", False, f"nothing can be written to {folder}: {error.strerror}", _ELSEWHERE)]
    return [judge_room(folder, room, sessions.weights())]


def judge_room(folder: Path, room: int, weights: str) -> Check:
    """Decide what so many free bytes mean. Little room is no failure: small sessions fit, and prune may make some."""
    little = "only " if room < ROOM_BYTES else ""
    advice = "; to make room: sandbox-kernel sessions prune" if little else ""
    return Check("state", True, f"{folder} is private and has {little}{amount(room)} of room; {weights}{advice}")


# -- what Jupyter needs


def _kernels() -> list[Check]:
    from jupyter_client.kernelspec import KernelSpecManager  # noqa: PLC0415 - the command line starts without it

    checks = []
    found = KernelSpecManager().find_kernel_specs()
    for name, backend in KERNELS.items():
        install = f"sandbox-kernel install --backend {backend} --user"
        if name in found:
            checks.append(_kernel(name, Path(found[name], "kernel.json"), install))
        else:
            checks.append(Check(f"kernel {name}", True, f"not installed; to have it in Jupyter: {install}"))
    return checks


def _kernel(name: str, file: Path, install: str) -> Check:
    try:
        python = json.loads(file.read_text(encoding="utf-8"))["argv"][0]
    except (OSError, ValueError, LookupError, TypeError) as error:
        return Check(f"kernel {name}", False, f"{file} cannot be read: {error}", install)
    if shutil.which(python) is None:
        return Check(f"kernel {name}", False, f"{file} starts {python}, which is gone", install)
    status, text = run_tool([python, "-c", "import sandbox_kernel"], timeout_s=20, cwd=Path("/"))
    if status != 0:
        last = (text.strip().splitlines() or ["no answer"])[-1]
        return Check(f"kernel {name}", False, f"{file} starts {python}, which has no sandbox_kernel: {last}", install)
    return Check(f"kernel {name}", True, f"installed, starts {python}")

"""Which directories of the host a Python needs, and the small root file system around them.

Nothing else of the host is visible in a local sandbox: no home, no notebook folder, no ``/etc``.
"""

from __future__ import annotations

import json
import os
import shutil
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..processes import run_tool
from . import oci

_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
#: Never shown whole, whatever claims to be a Python's prefix.
_NEVER = ("/", "/home", "/root", "/etc", "/dev", "/proc", "/sys", "/run", "/var", "/tmp", "/opt", "/mnt", "/srv")

_ASK = """
import json, site, sys
user_site = site.getusersitepackages() if site.ENABLE_USER_SITE else None
print(json.dumps([sys.prefix, sys.base_prefix, user_site, sys.version_info[:2]]))
"""


_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><cachedir>/tmp/.fontconfig</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python of the host: how to start it and the directories that hold it."""

    path: str
    version: tuple[int, int]
    directories: tuple[str, ...]

    def public(self) -> bool:
        """Tell whether everybody may read the directories, as far as their own modes say."""
        return all(os.stat(directory).st_mode & 0o005 == 0o005 for directory in self.directories)

    def mounts(self) -> list[oci.Mount]:
        """Return read-only mounts, each directory under its own name and, where that has links, its real one too."""
        targets: dict[str, str] = {}
        for directory in self.directories:
            for target in (directory, os.path.realpath(directory)):
                targets[target] = os.path.realpath(directory)
        covered = sorted(targets, key=len)
        kept = [
            target for target in covered if not any(other != target and target.startswith(other + "/") for other in covered)
        ]
        return [oci.Mount(targets[target], target) for target in kept]


def look(python: str | None = None) -> Interpreter:
    """Describe the Python at ``python``; None is the one that runs this. Raises ConfigurationError when it is none."""
    if python is None or python == sys.executable:
        user_site = site.getusersitepackages() if site.ENABLE_USER_SITE else None
        found: list[Any] = [sys.prefix, sys.base_prefix, user_site, sys.version_info[:2]]
        path = sys.executable
    else:
        located = shutil.which(python)
        if located is None:
            raise ConfigurationError(f"There is no Python at {python!r}.", "Set LocalBackend.python to the path of one.")
        status, text = run_tool([located, "-c", _ASK], timeout_s=20)
        if status != 0:
            raise ConfigurationError(
                f"{python!r} does not work as a Python: {text.strip()[-300:]}", "Set LocalBackend.python to another."
            )
        found, path = json.loads(text.splitlines()[-1]), os.path.abspath(located)
    prefix, base, user_site, version = found
    if tuple(version) < (3, 9):
        raise ConfigurationError(f"{path} is Python {version[0]}.{version[1]}; cells need 3.9 or newer.")
    wanted = ["/usr", *(name for name in _SYSTEM if os.path.isdir(name) and not os.path.islink(name)), base, prefix]
    if user_site and os.path.isdir(user_site):
        wanted.append(user_site)
    if os.path.isdir("/etc/alternatives"):
        wanted.append("/etc/alternatives")
    home = os.path.expanduser("~")
    for directory in wanted:
        if os.path.realpath(directory) in (*_NEVER, home):
            raise ConfigurationError(
                f"The Python at {path} lives in {directory}, which would show all of it to the cells.",
                "Use a virtual environment in a directory of its own.",
            )
    return Interpreter(path, (version[0], version[1]), tuple(dict.fromkeys(wanted)))


def make_rootfs(path: Path) -> None:
    """Make the root file system that the mounts go into: links as the host has them and a minimal ``/etc``."""
    path.mkdir(mode=0o755)
    for name in _SYSTEM:
        if os.path.islink(name):
            (path / name[1:]).symlink_to(os.readlink(name))
    etc = path / "etc"
    etc.mkdir()
    user = f"sandbox:x:{oci.UID}:{oci.UID}:sandbox:{oci.HOME}:/bin/sh\n"
    (etc / "passwd").write_text(f"root:x:0:0:root:{oci.HOME}:/bin/sh\n{user}")
    (etc / "group").write_text(f"root:x:0:\nsandbox:x:{oci.UID}:\n")
    (etc / "hosts").write_text("127.0.0.1 localhost sandbox\n")
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
    # Without one, fontconfig complains to stderr in each cell that plots.
    (etc / "fonts").mkdir()
    (etc / "fonts" / "fonts.conf").write_text(_FONTS)
    for name in ("ld.so.cache", "localtime"):
        if os.path.isfile(f"/etc/{name}"):
            shutil.copyfile(f"/etc/{name}", etc / name)

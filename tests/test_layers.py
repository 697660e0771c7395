"""The architecture, as far as a machine can see it; import-linter holds the layers themselves."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sandbox_kernel

PACKAGE = Path(sandbox_kernel.__file__).parent
MODULES = {
    path.relative_to(PACKAGE).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")
}
GUEST = sorted(name for name in MODULES if name.startswith("guest/"))
#: Runs in the self-test's sandbox, and forks there.
PROBE = "probe.py"
HOST = sorted(name for name in MODULES if not name.startswith("guest/"))


def imports(name: str) -> Iterator[str]:
    """Yield what a module imports from outside of its package, wherever in it."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield str(node.module)


def called(name: str) -> Iterator[str]:
    """Yield the dotted names of what a module calls."""
    for node in ast.walk(MODULES[name]):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def users_of(*packages: str) -> set[str]:
    """Return the modules that import one of the packages."""
    return {name for name in MODULES if any(word.split(".")[0] in packages for word in imports(name))}


@pytest.mark.parametrize("name", GUEST)
def test_the_guest_needs_the_standard_library_alone(name: str) -> None:
    """The guest runs on any image with a Python: it imports nothing that has to be installed, but what the cell imported."""
    of_other_versions = {"_sha2", "_sha256"}
    assert {word.split(".")[0] for word in imports(name)} - set(sys.stdlib_module_names) - of_other_versions == set()


@pytest.mark.parametrize("name", GUEST)
def test_the_guest_knows_nothing_of_the_host(name: str) -> None:
    """The guest is shipped as one folder, so what it imports of ours is in that folder."""
    levels = {node.level for node in ast.walk(MODULES[name]) if isinstance(node, ast.ImportFrom)}
    assert levels <= {0, 1}


@pytest.mark.parametrize("name", GUEST)
def test_the_guest_is_python_3_9(name: str) -> None:
    """The guest's grammar is that of the oldest Python it runs on."""
    ast.parse((PACKAGE / name).read_text(encoding="utf-8"), feature_version=(3, 9))
    assert not any(isinstance(node, ast.Match) for node in ast.walk(MODULES[name]))


def test_one_module_speaks_with_clusters() -> None:
    """Whatever comes of Kubernetes is translated in one place."""
    assert users_of("kubernetes", "aiohttp") == {"backends/cluster.py"}


STARTING = ("os.fork", "os.exec", "os.spawn", "os.posix_spawn", "os.system", "os.popen", "subprocess.")
STARTING += ("asyncio.create_subprocess", "multiprocessing", "pty.")


def test_two_modules_start_processes() -> None:
    """What is started dies with us, so it is started in one place; the supervisor is what sees to it."""
    starters = {name for name in HOST if name != PROBE and any(word.startswith(STARTING) for word in called(name))}
    assert starters <= {"processes.py", "supervisor.py"}
    assert users_of("subprocess", "multiprocessing", "pty") - set(GUEST) <= {"processes.py"}


@pytest.mark.parametrize("name", HOST)
def test_the_host_evaluates_nothing(name: str) -> None:
    """Nothing that runs what it reads is in reach of what a guest says."""
    words = {word.split(".")[0] for word in imports(name)}
    assert words & {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "code", "runpy"} == set()
    assert {"eval", "exec", "compile", "__import__", "yaml.load"} & set(called(name)) == set()


@pytest.mark.parametrize("name", HOST)
def test_the_host_uses_no_shell(name: str) -> None:
    """A command is a list of words."""
    keywords = {
        keyword.arg: ast.unparse(keyword.value)
        for node in ast.walk(MODULES[name])
        if isinstance(node, ast.Call)
        for keyword in node.keywords
    }
    assert keywords.get("shell", "False") == "False"


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_can_be_read_at_once(name: str) -> None:
    """A file that stops reading from top to bottom is divided."""
    assert len((PACKAGE / name).read_text(encoding="utf-8").splitlines()) < 350


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_say_what_they_are(name: str) -> None:
    """Each module tells its strategy at the top."""
    assert ast.get_docstring(MODULES[name])


def allowed_at_import(node: ast.stmt) -> bool:
    """Whether a statement at the top of a module does nothing but name things."""
    if isinstance(node, ast.If):  # TYPE_CHECKING, __main__
        return "TYPE_CHECKING" in ast.unparse(node.test) or "__name__" in ast.unparse(node.test)
    if isinstance(node, ast.Try):  # An import that says what to install.
        return all(isinstance(inner, ast.Import | ast.ImportFrom) for inner in node.body)
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return isinstance(node, kinds)


@pytest.mark.parametrize("name", [name for name in sorted(MODULES) if not name.endswith("__main__.py")])
def test_importing_a_module_does_nothing(name: str) -> None:
    """At the top of a module stand names: nothing is read, opened, asked or started by importing it."""
    top = MODULES[name].body
    assert [ast.unparse(node) for node in top if not allowed_at_import(node)] == []
    reading = ("open", "os.", "socket.", "Path", "asyncio.", "resources.", "tempfile.", "shutil.", "time.", "secrets.")
    values = [node.value for node in top if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None]
    used = [ast.unparse(part) for value in values for part in ast.walk(value) if isinstance(part, ast.Call | ast.Attribute)]
    assert [word for word in used if word.startswith(reading) and not word.startswith("os.path")] == []


def imported_by(statement: str) -> list[str]:
    """Return the top-level packages that a fresh Python has loaded after a statement."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded: list[str] = json.loads(done.stdout)
    return loaded


def test_executors_need_no_jupyter() -> None:
    """A program that runs snippets loads neither Jupyter's kernel machinery, a cluster's client nor a reader of HTML."""
    loaded = imported_by("import sandbox_kernel.executors")
    assert {"ipykernel", "IPython", "jupyter_client", "zmq", "kubernetes", "google", "nh3"} & set(loaded) == set()


def test_the_local_backend_needs_no_cluster() -> None:
    """The kernel and the command line start without the two seconds that the cluster's client takes."""
    assert "kubernetes" not in imported_by("import sandbox_kernel.kernel, sandbox_kernel.cli")


def test_the_guest_alone_can_be_imported(tmp_path: Path) -> None:
    """The shipped folder is a package by itself, without ours around it."""
    (tmp_path / "_sandbox_guest").symlink_to(PACKAGE / "guest")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import _sandbox_guest.__main__; print('sandbox_kernel' in sys.modules)"
    )
    command = [sys.executable, "-I", "-S", "-c", code, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout == "False\n"

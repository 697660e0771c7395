"""Settings of files, command lines, kernelspecs and keywords: one set of words, checked first."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from sandbox_kernel import settings
from sandbox_kernel.backends.kubernetes import KubernetesBackend
from sandbox_kernel.backends.runsc import LocalBackend
from sandbox_kernel.errors import ConfigurationError
from sandbox_kernel.guest import wire
from sandbox_kernel.kernel import SandboxKernelApp
from sandbox_kernel.runner import Runner
from sandbox_kernel.settings import check_options, from_files, from_keywords, from_options

NAMES = {
    "Runner": [
        *("backend_name", "timeout_s", "start_timeout_s", "memory_mib", "cpu_millis", "processes", "disk_mib", "output_mib"),
        *("interrupt_grace_s", "answer_timeout_s"),
        *("state", "history_points", "history_mib", "widgets", "standby", "standby_idle_s"),
    ],
    "LocalBackend": ["runsc", "python", "mounts", "environment", "preload", "home"],
    "KubernetesBackend": [
        *("image", "command", "namespace", "kubeconfig", "context", "runtime_class", "image_pull_policy"),
        *("image_pull_secrets", "service_account", "node_selector", "tolerations", "labels", "annotations", "environment"),
        *("cpu_request_millis", "memory_request_mib", "ttl_s", "patience_s", "inline_mib", "workspace"),
    ],
    "OutputPolicy": ["html", "extra_mime_types"],
}


def test_these_are_the_settings() -> None:
    """A setting that comes or goes is a change for users, so each is named here."""
    assert sorted(settings.names()) == sorted(f"{kind}.{name}" for kind, names in NAMES.items() for name in names)


@pytest.mark.parametrize("name", [f"{kind}.{name}" for kind, names in NAMES.items() for name in names])
def test_every_setting_explains_itself(name: str) -> None:
    """Each setting has a help text in sentences that says its default and, for a quantity, its unit."""
    trait = settings.names()[name].class_traits()[name.split(".")[1]]
    text = " ".join(trait.help.split())
    assert "default" in text.lower()
    assert text.endswith((".", "default."))
    default = trait.default()
    if isinstance(default, int | float | str) and default != "":
        assert f"{default:g}" if isinstance(default, float) else str(default) in text
    for ending, word in {"_s": "second", "_mib": "mib", "_millis": "thousandths"}.items():
        if name.endswith(ending):
            assert word in text.lower()


def test_the_help_names_every_setting() -> None:
    """`sandbox-kernel settings` leaves none out."""
    text = "\n".join(settings.describe())
    assert [name for name in settings.names() if f"--{name}=" not in text] == []


# -- command lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param([], {}, id="none"),
        pytest.param(["--Runner.memory_mib=512"], {"Runner": {"memory_mib": 512}}, id="a number"),
        pytest.param(["--Runner.timeout_s=1.5"], {"Runner": {"timeout_s": 1.5}}, id="a part"),
        pytest.param(["--Runner.timeout_s=None"], {"Runner": {"timeout_s": None}}, id="None"),
        pytest.param(["--Runner.backend_name=kubernetes"], {"Runner": {"backend_name": "kubernetes"}}, id="a word"),
        pytest.param(["--KubernetesBackend.image="], {"KubernetesBackend": {"image": ""}}, id="empty"),
        pytest.param(
            ["--KubernetesBackend.image=a/b:c@sha256:d=e f"],
            {"KubernetesBackend": {"image": "a/b:c@sha256:d=e f"}},
            id="text with everything in it",
        ),
        pytest.param(["--LocalBackend.mounts=a:/b:ro"], {"LocalBackend": {"mounts": ["a:/b:ro"]}}, id="a list of one"),
        pytest.param(
            ["--LocalBackend.mounts=a:/b:ro", "--Runner.processes=5", "--LocalBackend.mounts=c:/d:rw"],
            {"LocalBackend": {"mounts": ["a:/b:ro", "c:/d:rw"]}, "Runner": {"processes": 5}},
            id="a list, one item an option",
        ),
        pytest.param(
            ["--KubernetesBackend.node_selector=a=b", "--KubernetesBackend.node_selector=c=d=e"],
            {"KubernetesBackend": {"node_selector": {"a": "b", "c": "d=e"}}},
            id="a dict, one item an option",
        ),
        pytest.param(
            ["--KubernetesBackend.tolerations=key=sandbox"],
            {"KubernetesBackend": {"tolerations": [{"key": "sandbox"}]}},
            id="a list of dicts",
        ),
    ],
)
def test_options_are_settings(options: list[str], expected: dict[str, Any]) -> None:
    """Each option is one setting or one item of one, and the classes take them."""
    config = from_options(options)
    for kind in settings.classes():
        wanted = expected.get(kind.__name__, {})
        arguments = {"backend": object()} if kind is Runner else {}
        made = kind(config=config, **arguments)
        assert {name: getattr(made, name) for name in wanted} == wanted
    assert sorted(config) == sorted(expected)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        pytest.param("--Runner.memory=5", "Did you mean --Runner.memory_mib?", id="nearly a name"),
        pytest.param("--Kubernetes.image=a", "Did you mean --KubernetesBackend.image?", id="nearly a class"),
        pytest.param("--runner.timeout_s=5", "Did you mean --Runner.timeout_s?", id="lower case"),
        pytest.param("Runner.timeout_s=5", "Did you mean --Runner.timeout_s?", id="no dashes"),
        pytest.param("--timeout=5", "Settings are given as --Class.name=value.", id="no class"),
        pytest.param("--xyzzy", "sandbox-kernel settings lists them.", id="nothing near"),
        pytest.param("stray", "sandbox-kernel settings lists them.", id="a word"),
        pytest.param("--Runner.log=5", "Settings are given as --Class.name=value.", id="a trait that is no setting"),
        pytest.param("--Application.log_level=5", "Settings are given", id="a class of somebody else's"),
        pytest.param("--Runner.__class__=5", "Settings are given", id="an attribute"),
    ],
)
def test_what_is_no_setting_is_an_error(option: str, said: str) -> None:
    """An unknown option is refused before anything is started, with the nearest name."""
    with pytest.raises(ConfigurationError) as caught:
        check_options(["--Runner.processes=5", option])
    assert caught.value.message == f"There is no setting {option!r}."
    assert said in caught.value.advice


def test_a_setting_without_a_value_is_an_error() -> None:
    """The value follows an equals sign, and the message shows where."""
    with pytest.raises(ConfigurationError, match=r"--Runner\.timeout_s has no value\. Write --Runner\.timeout_s=VALUE\."):
        check_options(["--Runner.timeout_s"])


@pytest.mark.parametrize(
    "option",
    [
        "--Runner.memory_mib=much",
        "--Runner.memory_mib=1.5",
        "--Runner.memory_mib=",
        "--Runner.memory_mib=None",
        "--Runner.timeout_s=soon",
        "--KubernetesBackend.node_selector=a",
        "--Runner.memory_mib=1",
        "--Runner.processes=-1",
        "--Runner.backend_name=docker",
        "--Runner.timeout_s=-1",
        "--Runner.timeout_s=nan",
        "--Runner.start_timeout_s=-1",
        "--Runner.output_mib=-1",
    ],
)
def test_a_value_that_does_not_fit_is_an_error(option: str) -> None:
    """A value of the wrong type or out of bounds is refused before anything is started, with the option."""
    with pytest.raises(ConfigurationError) as caught:
        from_options([option])
    assert repr(option) in caught.value.message


@pytest.mark.parametrize(
    "settings_",
    [
        {"timeout_s": 0.001},
        {"timeout_s": None},
        {"output_mib": 0.0},
        {"output_mib": 1000.0},
        pytest.param({"timeout_s": math.inf}, id="infinite"),
        pytest.param({"timeout_s": 1e10}, id="300 years"),
        pytest.param({"timeout_s": -1.0}, id="negative"),
        pytest.param({"output_mib": -1.0}, id="negative output"),
    ],
)
def test_every_setting_makes_a_cell_that_the_guest_takes(settings_: dict[str, Any]) -> None:
    """A cell that the guest does not understand would wait for nothing until the start timeout: settings make none."""
    try:
        cell = Runner(object(), **settings_).open_session().run("pass").cell  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - refusing is as good
        return
    assert wire.load_message(wire.dump(cell)) == cell


# -- files -------------------------------------------------------------------------------------------------------------


def write(directory: Path, text: str) -> str:
    """Write a configuration file and return its directory."""
    directory.mkdir(exist_ok=True)
    (directory / settings.CONFIG_FILE).write_text(text)
    return str(directory)


def test_earlier_directories_win(tmp_path: Path) -> None:
    """Of two files that set the same, that of the directory Jupyter names first counts; what only one sets stays."""
    first = write(tmp_path / "user", "c.Runner.memory_mib = 100\nc.LocalBackend.mounts = ['a:/b:ro']\n")
    second = write(tmp_path / "system", "c.Runner.memory_mib = 200\nc.Runner.disk_mib = 300\n")
    assert from_files([first, second]) == {
        "Runner": {"memory_mib": 100, "disk_mib": 300},
        "LocalBackend": {"mounts": ["a:/b:ro"]},
    }
    assert from_files([second, first])["Runner"] == {"memory_mib": 200, "disk_mib": 300}


def test_options_win_over_files(tmp_path: Path) -> None:
    """What is said on the command line counts more than any file."""
    config = from_files([write(tmp_path, "c.Runner.memory_mib = 100\n")])
    config.merge(from_options(["--Runner.memory_mib=300"]))
    assert Runner(object(), config=config).memory_mib == 300  # type: ignore[arg-type]


def test_directories_without_a_file_count_for_nothing(tmp_path: Path) -> None:
    """No file is no settings."""
    assert from_files([]) == Config()
    assert from_files([str(tmp_path), str(tmp_path / "missing")]) == Config()


@pytest.mark.parametrize(
    "directories",
    [
        pytest.param([], id="none"),
        pytest.param(["/nonexistent"], id="another"),
        pytest.param([""], id="an empty entry of JUPYTER_CONFIG_PATH"),
    ],
)
def test_the_working_directory_is_never_read(directories: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file beside a notebook is not trusted: it would run on the host."""
    write(tmp_path, "c.Runner.memory_mib = 100\n")
    monkeypatch.chdir(tmp_path)
    assert from_files(directories) == Config()


def test_the_kernel_reads_jupyters_directories_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel as a program does not read the notebook's folder either, but Jupyter's."""
    (tmp_path / "notebook").mkdir()
    write(tmp_path / "notebook", "c.Runner.memory_mib = 100\nc.Runner.disk_mib = 100\n")
    write(tmp_path / "config", "c.Runner.memory_mib = 200\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("JUPYTER_NO_CONFIG", raising=False)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.chdir(tmp_path / "notebook")
    app = SandboxKernelApp()
    app.load_config_file()
    made = Runner(object(), parent=app)  # type: ignore[arg-type]
    assert (made.memory_mib, made.disk_mib) == (200, 512)


@pytest.mark.parametrize("text", ["this is no Python\n", "raise RuntimeError('no')\n"])
def test_a_broken_file_is_a_configuration_error(text: str, tmp_path: Path) -> None:
    """A file that cannot be read as settings is named."""
    with pytest.raises(ConfigurationError, match=settings.CONFIG_FILE):
        from_files([write(tmp_path, text)])


# -- keywords ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backend", "keywords", "expected"),
    [
        pytest.param("local", {}, {"Runner": {"backend_name": "local"}}, id="none"),
        pytest.param(
            "local",
            {"memory_mib": 100, "python": "/usr/bin/python3", "environment": {"A": "1"}},
            {
                "Runner": {"backend_name": "local", "memory_mib": 100},
                "LocalBackend": {"python": "/usr/bin/python3", "environment": {"A": "1"}},
            },
            id="local",
        ),
        pytest.param(
            "kubernetes",
            {"timeout_s": 5, "command": ["python3.12"], "environment": {"A": "1"}, "image": "a"},
            {
                "Runner": {"backend_name": "kubernetes", "timeout_s": 5},
                "KubernetesBackend": {"command": ["python3.12"], "environment": {"A": "1"}, "image": "a"},
            },
            id="kubernetes",
        ),
    ],
)
def test_keywords_are_settings(backend: str, keywords: dict[str, Any], expected: dict[str, Any]) -> None:
    """A keyword of an executor is the runner's setting of that name, or the backend's."""
    assert from_keywords(backend, keywords) == expected


def test_an_unknown_keyword_is_an_error() -> None:
    """A keyword that is no setting is refused with the nearest name."""
    with pytest.raises(ConfigurationError) as caught:
        from_keywords("local", {"memory_mb": 5})
    assert caught.value.message == "There is no setting 'memory_mb' for the local backend."
    assert "memory_mib" in caught.value.advice


def test_the_advice_for_keywords_is_about_keywords() -> None:
    """Whoever writes Python is not told to write options."""
    with pytest.raises(ConfigurationError) as caught:
        from_keywords("local", {"memory_mb": 5})
    assert "--" not in caught.value.advice


def test_a_keyword_of_the_other_backend_is_not_advised() -> None:
    """A setting of Kubernetes is none of the local backend, and not its own best replacement."""
    with pytest.raises(ConfigurationError) as caught:
        from_keywords("local", {"image": "a"})
    assert "Did you mean --image?" not in caught.value.advice


@pytest.mark.parametrize(
    ("backend", "keywords"),
    [
        pytest.param("docker", {}),
        ("local", {"memory_mib": "much"}),
        ("local", {"memory_mib": 1}),
        ("local", {"mounts": "a:/b"}),
    ],
)
def test_a_keyword_that_does_not_fit_is_an_error(backend: str, keywords: dict[str, Any]) -> None:
    """A value of the wrong type and a backend that there is not are configuration errors."""
    with pytest.raises(ConfigurationError):
        from_keywords(backend, keywords)


@pytest.mark.parametrize("value", [-1, "5", float("nan"), float("inf")])
def test_an_amount_that_is_none_says_what_one_is(value: object) -> None:
    """Who gives a time that cannot be counted with reads the name, what was given, and what would do."""
    with pytest.raises(ConfigurationError) as caught:
        from_keywords("local", {"timeout_s": value})
    expected = "The 'timeout_s' trait expected a finite number, 0 or more, not the"
    assert caught.value.message.startswith(f"timeout_s={value!r} does not fit: {expected} {type(value).__name__} ")


def test_the_defaults_are_those_of_the_documentation() -> None:
    """What users rely on without having said it."""
    made = Runner(object())  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in NAMES["Runner"]} == {
        "backend_name": "local",
        "timeout_s": 300.0,
        "start_timeout_s": 120.0,
        "memory_mib": 2048,
        "cpu_millis": 1000,
        "processes": 100,
        "disk_mib": 512,
        "output_mib": 8.0,
        "interrupt_grace_s": 3.0,
        "answer_timeout_s": 3600.0,
        "state": "",
        "history_points": 20,
        "history_mib": 2048.0,
        "widgets": "controls",
        "standby": None,
        "standby_idle_s": 600.0,
    }
    assert (LocalBackend().mounts, LocalBackend().environment) == ([], {})
    assert KubernetesBackend().runtime_class == "gvisor"

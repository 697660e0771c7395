"""The command ``sandbox-kernel``."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from traitlets.config import Config

from . import __version__, iopub, settings
from .errors import ConfigurationError, SandboxError
from .guest import wire
from .limits import is_amount

STATES = ("exact", "carry", "fresh")
#: As `docker run` does: the command that runs things failed itself.
OUR_FAILURE = 125


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    # Taken out first, because argparse takes what has a space in it for a file.
    options = [word for word in words if settings.is_option(word)]
    arguments, unknown = _parser().parse_known_args([word for word in words if word not in options])
    try:
        settings.check_options([*options, *unknown])
        return int(arguments.act(arguments, options))
    except BrokenPipeError:
        # Whoever read our output has left, as `head` does. The interpreter must not find out again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 141
    except KeyboardInterrupt:
        return 130
    except ConfigurationError as error:
        print(f"sandbox-kernel: {error}", file=sys.stderr)
        return 2
    except SandboxError as error:
        print(f"sandbox-kernel: {error}", file=sys.stderr)
        return OUR_FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox-kernel",
        description="Run code in gVisor sandboxes: from Jupyter, from the shell, from agents.",
        epilog="Every command takes settings as --Class.name=value; `sandbox-kernel settings` lists them.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("setup", help="get a gVisor for this user: a minute or two, once, no root")
    command.set_defaults(act=_setup)

    command = commands.add_parser("doctor", help="look at everything a sandbox needs, and say how to mend it")
    command.add_argument("--backend", choices=("local", "kubernetes"), help="look at this backend too")
    command.set_defaults(act=_doctor)

    command = commands.add_parser("install", help="install the kernel for Jupyter")
    command.add_argument("--backend", choices=("local", "kubernetes"), default="local")
    command.add_argument("--state", choices=STATES, help="as --Runner.state; default: what the backend does best")
    command.add_argument("--name", help="of the kernelspec; default: sandbox-local or sandbox-kubernetes")
    command.add_argument("--display-name", help="what launchers show")
    where = command.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user")
    where.add_argument("--prefix", help="below this prefix")
    where.add_argument("--sys-prefix", action="store_true", help="in this Python's environment (the default)")
    command.set_defaults(act=_install)

    command = commands.add_parser("run", help="run a file or a snippet in a sandbox; the exit status follows its outcome")
    command.add_argument("file", nargs="?", metavar="FILE", help="a file of Python, or - for standard input")
    command.add_argument("-c", dest="code", metavar="CODE", help="a snippet")
    command.add_argument("--backend", choices=("local", "kubernetes"))
    command.add_argument("--state", choices=STATES, help="as --Runner.state; default: fresh, nothing comes after one file")
    command.add_argument("--timeout", type=float, metavar="SECONDS", help="as --Runner.timeout_s")
    command.set_defaults(act=_run)

    _add_sessions(commands.add_parser("sessions", help="list and remove saved sessions and what is kept for fast starts"))

    command = commands.add_parser("settings", help="list all settings")
    command.set_defaults(act=_settings)
    return parser


def _add_sessions(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="saved sessions and base images, and what they weigh")
    command.set_defaults(act=_sessions_list)

    command = commands.add_parser("remove", help="remove saved sessions")
    command.add_argument("names", nargs="+", metavar="NAME")
    command.set_defaults(act=_sessions_remove)

    command = commands.add_parser(
        "prune", help="remove base images (they are made again), what killed processes left, and what cannot be loaded"
    )
    command.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--older-than", type=_days, metavar="DAYS", help="saved sessions of more than so many days, too")
    which.add_argument("--all", action="store_true", help="all saved sessions, too")
    command.set_defaults(act=_sessions_prune)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not is_amount(days):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days, 0 or more")
    return days


def _setup(_: argparse.Namespace, __: list[str]) -> int:
    from . import runtime  # noqa: PLC0415 - each command imports what it needs

    found = runtime.setup(lambda line: print(line, flush=True))
    print(f"gVisor {found.version} is ready: {found.path}")
    return 0


def _doctor(arguments: argparse.Namespace, options: list[str]) -> int:
    from . import doctor  # noqa: PLC0415

    return doctor.run(arguments.backend, _config(options))


def _install(arguments: argparse.Namespace, options: list[str]) -> int:
    from . import install  # noqa: PLC0415

    options = _with_short(options, "--state", "Runner.state", arguments.state)
    options = _with_short(options, "--backend", "Runner.backend_name", arguments.backend)[:-1]  # The kernelspec has it.
    _check_state(arguments.backend, options)
    prefix = arguments.prefix if arguments.prefix or arguments.user else sys.prefix
    try:
        path = install.install(
            arguments.backend,
            options,
            name=arguments.name,
            display_name=arguments.display_name,
            user=arguments.user,
            prefix=prefix,
        )
    except (OSError, ValueError) as error:
        raise SandboxError(f"The kernel could not be installed: {error}", "Try --user.") from error
    print(f"Installed: {path}")
    return 0


def _with_short(options: list[str], short: str, setting: str, value: str | None) -> list[str]:
    """Return the options with what was said in short at their end. Raises ConfigurationError for a contradiction."""
    if value is None:
        return options
    option = f"--{setting}={value}"
    for given in options:
        if given.startswith(f"--{setting}=") and given != option:
            raise ConfigurationError(f"{given} contradicts {short} {value}.", f"Use {short} alone.")
    return [*(word for word in options if word != option), option]


def _check_state(backend: str, options: list[str]) -> None:
    """Raise ConfigurationError when a backend cannot keep state as the options say."""
    state = settings.from_options(options).Runner.get("state")
    if not state:
        return
    kinds = {"local": "LocalBackend", "kubernetes": "KubernetesBackend"}
    modes = next(kind.modes for kind in settings.classes() if kind.__name__ == kinds[backend])  # type: ignore[attr-defined]
    if state not in modes:
        raise ConfigurationError(
            f"The backend {backend!r} cannot keep state {state!r}, and nothing was installed.",
            f"Use one of: {', '.join(f'--state {mode}' for mode in modes)}.",
        )


def _sessions_list(_: argparse.Namespace, __: list[str]) -> int:
    from . import sessions  # noqa: PLC0415

    for line in sessions.show():
        print(line)
    return 0


def _sessions_remove(arguments: argparse.Namespace, _: list[str]) -> int:
    from . import sessions  # noqa: PLC0415

    sessions.remove(arguments.names, print)
    return 0


def _sessions_prune(arguments: argparse.Namespace, _: list[str]) -> int:
    from . import sessions  # noqa: PLC0415

    sessions.prune(print, older_than_days=arguments.older_than, everything=arguments.all, dry_run=arguments.dry_run)
    return 0


def _settings(_: argparse.Namespace, __: list[str]) -> int:
    print("\n".join(settings.describe()))
    return 0


def _run(arguments: argparse.Namespace, options: list[str]) -> int:
    options = _with_short(options, "--backend", "Runner.backend_name", arguments.backend)
    options = _with_short(options, "--state", "Runner.state", arguments.state)
    # What a configuration file says of state is meant for notebooks.
    state = None if any(option.startswith("--Runner.state=") for option in options) else "fresh"
    code = _code(arguments)
    name = {None: "<string>", "-": "<stdin>"}.get(arguments.file, arguments.file)
    return asyncio.run(_run_code(code, name, _config(options), arguments.timeout, state))


def _code(arguments: argparse.Namespace) -> str:
    if (arguments.file is None) == (arguments.code is None):
        raise ConfigurationError("There is nothing to run, or two things.", "Use: sandbox-kernel run FILE, - or -c CODE")
    if arguments.code is not None:
        return str(arguments.code)
    try:
        return sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"Cannot read {arguments.file}: {error}", "FILE is a file of Python.") from error


async def _run_code(code: str, name: str, config: Config, timeout_s: float | None, state: str | None) -> int:
    from .runner import Runner  # noqa: PLC0415

    runner = Runner(config=config)
    loop = asyncio.get_running_loop()
    status = None
    try:
        session = runner.open_session(state)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: asyncio.ensure_future(session.interrupt()))
        async for event in session.run(code, timeout_s=timeout_s, name=name):
            _show(event)
            if isinstance(event, wire.Finished):
                status = event.exit_status
    finally:
        await runner.close()
    return 1 if status is None else status


def _show(event: wire.Event) -> None:
    """Print what a terminal can show of an event. The value of the last expression is not printed: `python FILE` does not."""
    kind, content = iopub.message(event, 1) or ("", {})
    if kind == "stream":
        print(content["text"], end="", flush=True, file=sys.stdout if content["name"] == "stdout" else sys.stderr)
    elif kind in ("display_data", "update_display_data"):
        print(content["data"].get("text/plain", ""), flush=True)
    elif kind == "error" and content["ename"] == "SystemExit":
        if not content["evalue"].isdigit():  # As the interpreter does: a number is the exit status, a text is printed.
            print(content["evalue"], file=sys.stderr)
    elif kind == "error":
        print(*content["traceback"], sep="\n", file=sys.stderr)


def _config(options: list[str]) -> Config:
    from jupyter_core.paths import jupyter_config_path  # noqa: PLC0415

    config = settings.from_files(jupyter_config_path())
    config.merge(settings.from_options(options))
    return config


if __name__ == "__main__":
    sys.exit(main())

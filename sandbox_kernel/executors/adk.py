"""Google ADK: a code executor that takes the place of its GkeCodeExecutor when one import is changed.

    from sandbox_kernel.executors.adk import GkeCodeExecutor

    agent = LlmAgent(..., code_executor=GkeCodeExecutor(namespace="agents", timeout_seconds=60))

:class:`SandboxCodeExecutor` (the same class) takes the same arguments, and ``backend="local"`` for gVisor on this machine.
Each snippet of the model runs in a fresh sandbox with the input files in its working directory.

What a snippet does wrong is told to the model, which then tries again; ADK takes a result with any ``stderr`` for failed and
shows the model nothing else of it. So ``stderr`` is empty for a snippet that succeeded, its real one follows its output
under a heading, and for one that failed everything is in ``stderr``. When nothing was printed the value of the last
expression stands in for it, as in a notebook. New files and figures (``plot_1.png``, ...) become artifacts.

What the cluster or this machine does wrong is not text for a model, which would mend a snippet that is right until its
attempts are used up: when no sandbox can be had, ``execute_code`` raises. When a snippet began and how it ended is not
known, that is told like a failure, since a snippet can bring it about.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import math
import mimetypes
import re
import threading
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

try:
    from google.adk.code_executors.base_code_executor import BaseCodeExecutor
    from google.adk.code_executors.code_execution_utils import CodeExecutionInput, CodeExecutionResult, File
    from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator
except ImportError as error:
    raise ImportError(f"{error}. The executor for ADK needs it: pip install 'sandbox-kernel[adk]'") from error

from ..errors import GuestProtocolError, SandboxError, SandboxLost
from ..limits import MIB
from ..policy import IMAGES
from ..settings import from_keywords
from .plain import SyncSandboxExecutor
from .result import COLLECT_BYTES, Result

if TYPE_CHECKING:  # It takes ADK seconds to import.
    from google.adk.agents.invocation_context import InvocationContext

_log = logging.getLogger(__name__)


class _Opened:
    """The executor behind, made for the first snippet. Copies and pickles of it hold nothing and make their own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executor: SyncSandboxExecutor | None = None

    def get(self, config: Any) -> SyncSandboxExecutor:
        with self._lock:
            if self._executor is None:
                self._executor = SyncSandboxExecutor(config=config())
            return self._executor

    def close(self) -> None:
        with self._lock:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def __reduce__(self) -> tuple[type[_Opened], tuple[()]]:
        return (_Opened, ())


class SandboxCodeExecutor(BaseCodeExecutor):  # type: ignore[misc,unused-ignore] # Any to mypy where ADK is not installed
    """Runs the snippets of an ADK agent, each in a gVisor sandbox of its own. May be used from any thread.

    The arguments of GkeCodeExecutor mean what they mean there, but for these:

    - ``timeout_seconds`` is the snippet's time. Getting a sandbox has its own limit, the setting ``start_timeout_s``.
    - ``executor_type`` is ``"job"``; Agent Sandbox (``"sandbox"``) is refused.
    - ``optimize_data_file`` works, with an ``image`` that has pandas.
    - ``stateful`` is refused: nothing is kept from snippet to snippet.
    - A name that is no argument is refused.

    With ``backend="local"`` only ``timeout_seconds``, ``cpu_limit`` and ``mem_limit`` have a meaning, the latter two rounded
    up to whole processors and GiB; the rest may stay, so that one word moves an agent between a cluster and a machine.

    Attributes:
        backend: ``kubernetes``, a Job for each snippet, or ``local``.
        settings: Any further setting of the runner or the backend by its name, for example ``{"disk_mib": 2048}``.
    """

    # Frozen, because what has been opened would not notice a change: copy it with model_copy(update={...}).
    model_config = ConfigDict(extra="forbid", frozen=True)

    namespace: str = "default"
    image: str = "python:3.11-slim"
    timeout_seconds: int = Field(default=300, gt=0)
    executor_type: Literal["job", "sandbox"] = "job"
    cpu_requested: str = "200m"
    mem_requested: str = "256Mi"
    cpu_limit: str = "500m"
    mem_limit: str = "512Mi"
    kubeconfig_path: str | None = None
    kubeconfig_context: str | None = None
    sandbox_gateway_name: str | None = None
    sandbox_template: str | None = "python-sandbox-template"

    backend: Literal["kubernetes", "local"] = "kubernetes"
    settings: dict[str, Any] = Field(default_factory=dict)

    _opened: _Opened = PrivateAttr(default_factory=_Opened)

    def __init__(self, kubeconfig_path: str | None = None, kubeconfig_context: str | None = None, **data: Any) -> None:
        """Check the arguments; nothing is started before the first snippet. Raises ValueError that names the argument."""
        super().__init__(**{"kubeconfig_path": kubeconfig_path, "kubeconfig_context": kubeconfig_context, **data})

    @field_validator("executor_type")
    @classmethod
    def _check_type(cls, value: str) -> str:
        if value == "sandbox":
            raise ValueError("Agent Sandbox is not supported here; each snippet is a Job of its own: leave it 'job'")
        return value

    @field_validator("stateful")
    @classmethod
    def _check_stateful(cls, value: bool) -> bool:
        if value:
            raise ValueError("each snippet has a fresh sandbox that keeps nothing; leave it False")
        return value

    @field_validator("cpu_requested", "cpu_limit")
    @classmethod
    def _check_cpu(cls, value: str) -> str:
        cpu_millis(value)
        return value

    @field_validator("mem_requested", "mem_limit")
    @classmethod
    def _check_memory(cls, value: str) -> str:
        memory_mib(value)
        return value

    @model_validator(mode="after")
    def _check_settings(self) -> SandboxCodeExecutor:
        given = {"backend_name", *self._arguments()} & set(self.settings)
        if given:
            raise ValueError(f"settings: {', '.join(sorted(given))} is set by an argument of the executor itself")
        try:
            self._config()
        except SandboxError as error:
            raise ValueError(f"settings: {error}") from error
        return self

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments under the names that they have as settings."""
        arguments: dict[str, Any] = {
            "timeout_s": self.timeout_seconds,
            "cpu_millis": cpu_millis(self.cpu_limit),
            "memory_mib": memory_mib(self.mem_limit),
        }
        if self.backend == "kubernetes":
            arguments |= {
                "namespace": self.namespace,
                "image": self.image,
                "kubeconfig": self.kubeconfig_path or "",
                "context": self.kubeconfig_context or "",
                "cpu_request_millis": cpu_millis(self.cpu_requested),
                "memory_request_mib": memory_mib(self.mem_requested),
            }
        return arguments

    def _config(self) -> Any:
        return from_keywords(self.backend, {**self._arguments(), **self.settings})

    def execute_code(
        self,
        invocation_context: InvocationContext,  # noqa: ARG002 - ADK's signature; a snippet needs nothing of it
        code_execution_input: CodeExecutionInput,
    ) -> CodeExecutionResult:
        """Run one snippet and return what the model should read of it.

        Raises BackendUnavailable, SandboxRefused or ConfigurationError when it was not run; these go through ADK to who
        runs the agent.
        """
        files = {file.name: content_of(file) for file in code_execution_input.input_files}
        try:
            result = self._opened.get(self._config).run(code_execution_input.code, files)
        except (SandboxLost, GuestProtocolError) as error:
            _log.warning("How a snippet ended is not known: %s", error)
            return _adk_result(stderr=f"It is not known how the code ended; part of it has run. {error}")
        return told(result, self.timeout_seconds, self.mem_limit)

    def close(self) -> None:
        """End what runs and remove everything; happens at the interpreter's end, too. The next snippet opens it anew."""
        self._opened.close()

    def __copy__(self) -> SandboxCodeExecutor:
        copied: SandboxCodeExecutor = super().__copy__()
        copied._opened = _Opened()  # Its settings may be about to change.
        return copied


#: The name that an agent imports already.
GkeCodeExecutor = SandboxCodeExecutor


# -- arguments: Kubernetes quantities, and files as ADK gives them

_QUANTITY = re.compile(r"(\d+\.?\d*|\.\d+)(?:([eE][+-]?\d{1,2})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?", re.ASCII)
_UNITS = {
    **{unit: Fraction(1000) ** power for power, unit in enumerate(("n", "u", "m", "", "k", "M", "G", "T", "P", "E"), -3)},
    **{unit: Fraction(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), 1)},
}


def _quantity(text: str, example: str) -> Fraction:
    match = _QUANTITY.fullmatch(text)
    if match is None or not Fraction(match[1]):
        raise ValueError(f"{text!r} is no amount as Kubernetes writes them; expected is {example}")
    number, exponent, unit = match.groups()
    return Fraction(number + (exponent or "")) * _UNITS[unit or ""]


def cpu_millis(text: str) -> int:
    """Read processors as Kubernetes writes them: ``500m``, ``0.5``, ``2``. Raises ValueError."""
    return math.ceil(_quantity(text, "processor time as in '500m' or '2'") * 1000)


def memory_mib(text: str) -> int:
    """Read memory as Kubernetes writes it: ``512Mi``, ``1G``. Raises ValueError."""
    mib = int(_quantity(text, "memory as in '512Mi' or '1Gi'") / MIB)
    if mib == 0:
        raise ValueError(f"{text!r} is less than 1 MiB; expected is memory as in '512Mi' or '1Gi'")
    return mib


def content_of(file: File) -> bytes:
    """Return the bytes of an input file: ADK's are base64 when they are text. Raises ValueError for other text."""
    if isinstance(file.content, bytes):
        return file.content
    try:
        return base64.b64decode(file.content, validate=True)
    except ValueError as error:
        raise ValueError(f"The content of the input file {file.name!r} is no base64; give other text as bytes.") from error


# -- results: what the model reads, and the artifacts


def told(result: Result, timeout_seconds: int, mem_limit: str) -> CodeExecutionResult:
    """Return a result as ADK takes it; see the module's docstring for what goes where."""
    files = _files(result)
    output = _output(result)
    notes = {"stderr": result.stderr, "incomplete": _missing(result)}
    if result.ok:
        return _adk_result(stdout=_noted(output, notes), files=files, exit_code=result.exit_status)
    # ADK names the artifacts to the model only when the snippet succeeded.
    notes["saved artifacts"] = ", ".join(f"`{file.name}`" for file in files)
    notes[result.outcome] = _why(result, timeout_seconds, mem_limit)
    return _adk_result(result.stdout, _noted(output, notes), files, result.exit_status)


def _adk_result(
    stdout: str = "", stderr: str = "", files: Iterable[File] = (), exit_code: int | None = None
) -> CodeExecutionResult:
    made = CodeExecutionResult(stdout=_sendable(stdout), stderr=_sendable(stderr), output_files=list(files))
    if hasattr(made, "exit_code"):  # ADK 2.0 has none yet.
        made.exit_code = exit_code
    return made


def _output(result: Result) -> str:
    """Return what the snippet printed and displayed, or else its last value."""
    shown = [bundle.get("text/plain", "") for bundle in result.displays if _image(bundle) is None]
    output = result.stdout + "".join(f"{text}\n" for text in shown if text)
    value = (result.result or {}).get("text/plain")
    return output or (f"{value}\n" if value else "")


def _noted(output: str, notes: Mapping[str, str]) -> str:
    """Return the output and, each under its heading, the notes that say something."""
    sections = [f"--- {heading} ---\n{text.rstrip()}" for heading, text in notes.items() if text]
    if not sections:
        return output
    return "\n".join([*([output.removesuffix("\n")] if output else []), *sections])


def _missing(result: Result) -> str:
    said = "" if result.complete else "Part of the output is missing; print less.\n"
    if result.files_left_out:
        said += f"Not saved, over {COLLECT_BYTES // MIB} MiB together: {', '.join(result.files_left_out)}"
    return said


def _why(result: Result, timeout_seconds: int, mem_limit: str) -> str:
    """Say why it failed, limits in the words of this executor's arguments."""
    if result.outcome == "timeout":
        return f"The code was ended after {timeout_seconds} s, its time limit."
    if result.outcome == "out_of_memory":
        return f"The code was ended; likely it needed more than its {mem_limit} of memory."
    if result.error is not None and result.error.traceback:
        return result.error.traceback
    return f"The code ended with exit status {result.exit_status}."


def _sendable(text: str) -> str:
    """Replace lone surrogates, at which ADK fails when it stores or sends the text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _image(bundle: Mapping[str, Any]) -> tuple[str, bytes] | None:
    for mime in IMAGES:
        with contextlib.suppress(KeyError, ValueError):
            return mime, base64.b64decode(bundle[mime])
    return None


def _files(result: Result) -> list[File]:
    """Return the files the snippet left, then the images it displayed, under names that no other has."""
    files: dict[str, File] = {}
    for name, data in result.files.items():
        mime = mimetypes.guess_type(name)[0] or "application/octet-stream"
        _add(files, artifact_name(name), data, mime)
    bundles = [*result.displays, *([result.result] if result.result is not None else [])]
    for number, (mime, data) in enumerate(filter(None, map(_image, bundles)), 1):
        _add(files, f"plot_{number}.{mime.removeprefix('image/')}", data, mime)
    return list(files.values())


def _add(files: dict[str, File], name: str, data: bytes, mime: str) -> None:
    while name in files:
        name = f"_{name}"
    # Base64 because every ADK since 1.14 decodes it; only later ones take bytes.
    files[name] = File(name=name, content=base64.b64encode(data).decode("ascii"), mime_type=mime)


def artifact_name(name: str) -> str:
    """Return a name that every artifact service of ADK takes, and takes for this session's.

    The name is the guest's: with ``user:`` in front it would reach the user's other sessions, and the services raise at
    paths that lead elsewhere and at names they use themselves, which would end the agent's turn.
    """
    text = re.sub(r"[\x00-\x1f\x7f:\\`]", "_", name.encode("utf-8", "replace").decode("utf-8"))
    parts = [part.strip(" ")[:200] for part in text.split("/")]
    parts = [f"_{part}" if part.rstrip(" .").lower() in ("", "versions", "metadata.json") else part for part in parts if part]
    return "/".join(parts) or "_"

"""The executor for Google ADK: what it takes, what it tells the model, and a real agent that fails and tries again."""

from __future__ import annotations

import asyncio
import base64
import copy
import csv
import dataclasses
import io
import pickle
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.adk", reason="google-adk is not installed: pip install -e '.[adk]'")

from conftest import IMAGE, TestCluster
from google.adk.agents import LlmAgent
from google.adk.artifacts.file_artifact_service import FileArtifactService
from google.adk.code_executors.code_execution_utils import CodeExecutionInput, CodeExecutionResult, File
from google.adk.events.event import Event
from google.adk.models.base_llm import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import InMemoryRunner
from google.genai import types

from sandbox_kernel.errors import BackendUnavailable, GuestProtocolError, SandboxLost
from sandbox_kernel.executors import CellError, Result, adk
from sandbox_kernel.executors.adk import SandboxCodeExecutor

PNG = b"\x89PNG\r\n\x1a\n"
PNG_TEXT = base64.b64encode(PNG).decode("ascii")


def run(executor: SandboxCodeExecutor, code: str, *files: File) -> CodeExecutionResult:
    """Run a snippet as ADK does; nothing of the invocation is looked at."""
    return executor.execute_code(None, CodeExecutionInput(code=code, input_files=list(files)))  # type: ignore[arg-type]


# -- what it takes -----------------------------------------------------------------------------------------------------


def test_takes_what_adk_takes() -> None:
    """Every argument of ADK's GkeCodeExecutor is one of ours with the same default, also the two that may be positional."""
    gke = pytest.importorskip("google.adk.code_executors.gke_code_executor").GkeCodeExecutor
    theirs = {name: field.get_default(call_default_factory=True) for name, field in gke.model_fields.items()}
    assert SandboxCodeExecutor().model_dump(include=set(theirs)) == theirs
    made = adk.GkeCodeExecutor("config", "context")
    assert (made.kubeconfig_path, made.kubeconfig_context) == ("config", "context")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cpu_limit": "two"}, "cpu_limit.*'two'.*'500m'"),
        ({"cpu_requested": "0"}, "cpu_requested"),
        ({"mem_requested": "1 Gi"}, "mem_requested.*'1 Gi'.*'512Mi'"),
        ({"mem_limit": "512"}, "mem_limit.*less than 1 MiB"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"executor_type": "sandbox"}, "executor_type.*Agent Sandbox"),
        ({"stateful": True}, "stateful.*fresh sandbox"),
        ({"time_out_seconds": 5}, "time_out_seconds"),
        ({"backend": "docker"}, "backend"),
        ({"settings": {"disk": 5}}, "settings.*'disk'"),
        ({"settings": {"memory_mib": 512}}, "settings.*memory_mib"),
        ({"settings": {"backend_name": "local"}}, "settings.*backend_name"),
        ({"settings": {"ttl_s": 5}, "backend": "local"}, "settings.*'ttl_s'"),
    ],
)
def test_names_an_argument_that_cannot_work(arguments: dict[str, Any], said: str) -> None:
    """An argument that cannot work, or is none, is refused by its name before anything is run."""
    with pytest.raises(ValueError, match=f"(?s){said}"):
        SandboxCodeExecutor(**arguments)


@pytest.mark.parametrize(
    ("text", "millis"), [("500m", 500), ("0.5", 500), (".1", 100), ("2", 2000), ("1e1", 10_000), ("1u", 1), ("1500000n", 2)]
)
def test_reads_processors(text: str, millis: int) -> None:
    """Processor time is read as Kubernetes reads it, fractions of a thousandth rounded up."""
    assert adk.cpu_millis(text) == millis


@pytest.mark.parametrize(
    ("text", "mib"),
    [("512Mi", 512), ("1Gi", 1024), ("0.5Gi", 512), ("1G", 953), ("268435456", 256), ("1e9", 953), ("2048Ki", 2)],
)
def test_reads_memory(text: str, mib: int) -> None:
    """Memory is read as Kubernetes reads it, and never rounded up over what was granted."""
    assert adk.memory_mib(text) == mib


def test_makes_settings_of_arguments() -> None:
    """Arguments and further settings reach the runner and the backend that they belong to."""
    made = SandboxCodeExecutor(
        kubeconfig_context="c", namespace="n", cpu_limit="2", mem_limit="1Gi", timeout_seconds=9, settings={"ttl_s": 5}
    )
    assert made._config() == {
        "Runner": {"backend_name": "kubernetes", "timeout_s": 9, "cpu_millis": 2000, "memory_mib": 1024},
        "KubernetesBackend": {
            "namespace": "n",
            "image": "python:3.11-slim",
            "kubeconfig": "",
            "context": "c",
            "cpu_request_millis": 200,
            "memory_request_mib": 256,
            "ttl_s": 5,
        },
    }


def test_one_word_moves_an_agent_to_this_machine() -> None:
    """With backend='local' the arguments that are about a cluster may stay, and have no effect."""
    made = SandboxCodeExecutor(backend="local", namespace="n", image="i", kubeconfig_path="k", settings={"disk_mib": 64})
    assert made._config() == {
        "Runner": {"backend_name": "local", "timeout_s": 300, "cpu_millis": 500, "memory_mib": 512, "disk_mib": 64}
    }


def test_refuses_text_that_is_no_base64() -> None:
    """An input file is bytes, or base64 when it is text; other text is refused and not guessed at."""
    assert adk.content_of(File("a", b"\xff")) == b"\xff"
    assert adk.content_of(File("a", "/w==")) == b"\xff"
    with pytest.raises(ValueError, match=r"'a\.csv'"):
        adk.content_of(File("a.csv", "x,y"))


def test_copies_share_no_sandboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of any kind has the arguments and opens its own; a clone of the agent uses the same executor."""
    monkeypatch.setattr(adk, "SyncSandboxExecutor", Scripted)
    with_one = SandboxCodeExecutor(backend="local", timeout_seconds=7)
    first = with_one._opened.get(with_one._config)
    copies = [
        copy.copy(with_one),
        copy.deepcopy(with_one),
        pickle.loads(pickle.dumps(with_one)),
        with_one.model_copy(),
        with_one.model_copy(deep=True),
    ]
    for made in copies:
        assert made.timeout_seconds == 7
        assert made._opened.get(made._config) is not first
    assert with_one._opened.get(with_one._config) is first
    assert with_one.model_copy(update={"timeout_seconds": 8})._opened.get(with_one._config) is not first
    agent = LlmAgent(name="agent", model="none", code_executor=with_one)
    assert agent.clone({"name": "clone"}).code_executor is with_one


# -- what the model reads, and the artifacts ---------------------------------------------------------------------------

ERROR = CellError("ValueError", "no", "Traceback (most recent call last):\nValueError: no")


@pytest.mark.parametrize(
    ("result", "stdout", "stderr"),
    [
        (Result("ok", 0, stdout="a\n"), "a\n", ""),
        (Result("ok", 0), "", ""),
        (Result("ok", 0, stdout="a\n", stderr="w\n"), "a\n--- stderr ---\nw", ""),
        (Result("ok", 0, stderr="w\n"), "--- stderr ---\nw", ""),
        (Result("ok", 0, result={"text/plain": "42"}), "42\n", ""),
        (Result("ok", 0, stdout="a\n", result={"text/plain": "42"}), "a\n", ""),
        (Result("ok", 0, stdout="a\n", displays=[{"text/plain": "b"}]), "a\nb\n", ""),
        (
            Result("ok", 0, stdout="a", complete=False, files_left_out=["big"]),
            "a\n--- incomplete ---\nPart of the output is missing; print less.\nNot saved, over 8 MiB together: big",
            "",
        ),
        (Result("error", 1, error=ERROR), "", f"--- error ---\n{ERROR.traceback}"),
        (
            Result("error", 1, stdout="a\n", stderr="w\n", error=ERROR, files={"f": b""}),
            "a\n",
            f"a\n--- stderr ---\nw\n--- saved artifacts ---\n`f`\n--- error ---\n{ERROR.traceback}",
        ),
        (Result("timeout", 124, stdout="a\n"), "a\n", "a\n--- timeout ---\nThe code was ended after 9 s, its time limit."),
        (
            Result("out_of_memory", 137),
            "",
            "--- out_of_memory ---\nThe code was ended; likely it needed more than its 1Gi of memory.",
        ),
        (
            Result("interrupted", 130, error=CellError("KeyboardInterrupt", "", "KeyboardInterrupt")),
            "",
            "--- interrupted ---\nKeyboardInterrupt",
        ),
        (Result("error", None), "", "--- error ---\nThe code ended with exit status None."),
        (Result("ok", 0, stdout="\ud800"), "\\ud800", ""),
    ],
)
def test_tells_the_model(result: Result, stdout: str, stderr: str) -> None:
    """Only a snippet that failed has a stderr, and then all that was said is in it."""
    told = adk.told(result, 9, "1Gi")
    assert (told.stdout, told.stderr, told.exit_code) == (stdout, stderr, result.exit_status)


def test_tells_an_older_adk(monkeypatch: pytest.MonkeyPatch) -> None:
    """ADK 2.0 and before have no exit_code, and are told the rest."""

    @dataclasses.dataclass
    class Older:
        stdout: str = ""
        stderr: str = ""
        output_files: list[File] = dataclasses.field(default_factory=list)

    monkeypatch.setattr(adk, "CodeExecutionResult", Older)
    assert adk.told(Result("ok", 0, stdout="a\n"), 9, "1Gi") == Older(stdout="a\n")


def test_files_and_figures_become_artifacts() -> None:
    """Files come first, then images that were displayed, none in another's place; all decode as every ADK decodes them."""
    image = {"text/plain": "<Figure>", "image/png": PNG_TEXT}
    result = Result(
        "ok",
        0,
        displays=[{"text/plain": "text"}, image, {"image/png": "abcde"}],
        result={"image/jpeg": PNG_TEXT},
        files={"data/a.csv": b"1", "plot_1.png": b"mine", "b": b"\xff", "user:b": b"2", "user_b": b"3"},
    )
    told = adk.told(result, 9, "1Gi")
    assert [(file.name, base64.b64decode(file.content), file.mime_type) for file in told.output_files] == [
        ("data/a.csv", b"1", "text/csv"),
        ("plot_1.png", b"mine", "image/png"),
        ("b", b"\xff", "application/octet-stream"),
        ("user_b", b"2", "application/octet-stream"),
        ("_user_b", b"3", "application/octet-stream"),
        ("_plot_1.png", PNG, "image/png"),
        ("plot_2.jpeg", PNG, "image/jpeg"),
    ]
    assert told.stdout == "text\n"


@pytest.mark.parametrize(
    ("name", "artifact"),
    [
        ("a b-c.csv", "a b-c.csv"),
        ("data/ä.csv", "data/ä.csv"),
        ("user:a", "user_a"),
        ("C:/a", "C_/a"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a", "_../_../a"),
        ("..\\a", ".._a"),
        ("./a", "_./a"),
        ("versions/1", "_versions/1"),
        ("METADATA.json", "_METADATA.json"),
        ("a\0\n`", "a___"),
        ("\udc80", "?"),
        ("a" * 300, "a" * 200),
        ("", "_"),
        (" ", "_"),
    ],
)
async def test_names_that_artifact_services_take(name: str, artifact: str, tmp_path: Path) -> None:
    """Whatever a guest calls a file, ADK's strictest service saves it, for this session alone."""
    assert adk.artifact_name(name) == artifact
    service, part = FileArtifactService(str(tmp_path)), types.Part.from_bytes(data=b"1", mime_type="text/plain")
    scope = {"app_name": "app", "user_id": "user"}
    await service.save_artifact(**scope, session_id="one", filename=artifact, artifact=part)
    assert await service.list_artifact_keys(**scope, session_id="one") == [artifact]
    assert await service.list_artifact_keys(**scope, session_id="two") == []


# -- faults that are not the snippet's ---------------------------------------------------------------------------------


class Scripted:
    """Stands in for the executor behind: what ``run`` raises is given by the test."""

    raises: Exception | None = None

    def __init__(self, **_: Any) -> None:
        pass

    def run(self, code: str, files: dict[str, bytes]) -> Result:
        assert self.raises is not None
        raise self.raises


@pytest.mark.parametrize("fault", [SandboxLost("The node is gone."), GuestProtocolError("It sent 99 MiB.")])
def test_an_unknown_end_is_told(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """A snippet that began and whose end is not known has failed, with no exit status, and the model reads why."""
    monkeypatch.setattr(adk, "SyncSandboxExecutor", Scripted)
    monkeypatch.setattr(Scripted, "raises", fault)
    told = run(SandboxCodeExecutor(), "1")
    assert told.stderr == f"It is not known how the code ended; part of it has run. {fault}"
    assert (told.stdout, told.exit_code) == ("", None)


async def test_no_sandbox_is_raised_to_who_runs_the_agent(tmp_path: Path) -> None:
    """When there is no cluster the agent's turn ends with an error that tells the next step; the model is not asked again."""
    executor = SandboxCodeExecutor(kubeconfig_path=str(tmp_path / "none"))
    model = ScriptedModel.of("```python\nprint(1)\n```")
    try:
        with pytest.raises(BackendUnavailable, match="kubectl config view"):
            await talk(executor, model)
    finally:
        executor.close()
    assert len(model.asked) == 1


# -- real sandboxes ----------------------------------------------------------------------------------------------------


@pytest.fixture(params=["local", pytest.param("kubernetes", marks=pytest.mark.cluster)])
def arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Arguments for one backend after the other."""
    if request.param == "local":
        request.getfixturevalue("gvisor")
        return {"backend": "local"}
    cluster: TestCluster = request.getfixturevalue("cluster")
    return {"namespace": cluster.namespace, "kubeconfig_path": cluster.kubeconfig, "image": IMAGE, "settings": {"ttl_s": 5}}


@pytest.fixture
def executor(arguments: dict[str, Any]) -> Iterator[SandboxCodeExecutor]:
    """An executor on one backend after the other."""
    made = SandboxCodeExecutor(**arguments)
    yield made
    made.close()


class ScriptedModel(BaseLlm):
    """A model that gives the answers of the test, and keeps what it was asked."""

    answers: list[str]
    asked: list[str]

    @classmethod
    def of(cls, *answers: str) -> ScriptedModel:
        return cls(model="scripted", answers=list(answers), asked=[])

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        parts = [part for content in llm_request.contents for part in content.parts or []]
        self.asked.append("\n".join(part.text or "" for part in parts))
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text=self.answers.pop(0))]))


async def talk(executor: SandboxCodeExecutor, model: BaseLlm) -> tuple[list[Event], InMemoryRunner]:
    """Let an agent answer one message; return what happened, and the runner with its artifacts."""
    runner = InMemoryRunner(LlmAgent(name="agent", model=model, code_executor=executor), app_name="app")
    await runner.session_service.create_session(app_name="app", user_id="user", session_id="session")
    message = types.Content(role="user", parts=[types.Part(text="What is 6 * 7?")])
    return [event async for event in runner.run_async(user_id="user", session_id="session", new_message=message)], runner


async def test_an_agent_fails_reads_why_and_tries_again(executor: SandboxCodeExecutor) -> None:
    """The agent's snippet fails, the model reads its output and its traceback, mends it, and the second one works."""
    model = ScriptedModel.of(
        "First try.\n```python\nprint('counting')\nprint(6 * seven)\n```",
        "I see.\n```python\nimport sys\nprint(6 * 7)\nprint('careful', file=sys.stderr)\nopen('it', 'w').write('42')\n```",
        "It is 42.",
    )
    events, runner = await talk(executor, model)
    results = [
        part.code_execution_result
        for event in events
        for part in event.content.parts
        if part.code_execution_result is not None
    ]
    assert [result.outcome for result in results] == [types.Outcome.OUTCOME_FAILED, types.Outcome.OUTCOME_OK]
    assert "counting\n" in model.asked[1]
    assert "NameError: name 'seven' is not defined" in model.asked[1]
    assert "42\n--- stderr ---\ncareful" in model.asked[2]
    assert "Saved artifacts:\n`it`" in model.asked[2]
    assert events[-1].content.parts[0].text == "It is 42."
    saved = await runner.artifact_service.load_artifact(app_name="app", user_id="user", session_id="session", filename="it")
    assert saved.inline_data.data == b"42"


def test_a_data_file_lies_in_the_working_directory(executor: SandboxCodeExecutor) -> None:
    """An input file is there by its name, as optimize_data_file needs it, and is no artifact unless it was changed."""
    rows = [["a", "b"], ["1", "ä"]]
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    file = File("data_1_2.csv", base64.b64encode(text.getvalue().encode()).decode(), "text/csv")
    code = "import csv\nprint(list(csv.reader(open('data_1_2.csv', encoding='utf-8', newline=''))))"
    told = run(executor, code, file)
    assert (told.stdout, told.stderr, told.output_files) == (f"{rows}\n", "", [])


def test_nothing_is_kept_for_the_next_snippet(executor: SandboxCodeExecutor) -> None:
    """Each snippet has a sandbox of its own, without the variables and files of the one before."""
    assert run(executor, "x = 1\nopen('kept', 'w').close()").exit_code == 0
    assert run(executor, "import os\nprint('x' in globals(), os.listdir('.'))").stdout == "False []\n"


def test_a_snippet_without_end_is_ended(arguments: dict[str, Any]) -> None:
    """A snippet that runs over timeout_seconds is ended, and the model reads that, and what it had printed."""
    executor = SandboxCodeExecutor(**arguments, timeout_seconds=1)
    try:
        told = run(executor, "print('begun', flush=True)\nwhile True: pass")
    finally:
        executor.close()
    assert told.stderr == "begun\n--- timeout ---\nThe code was ended after 1 s, its time limit."
    assert told.exit_code == 124


async def test_any_thread_may_call_also_one_with_a_running_loop(executor: SandboxCodeExecutor) -> None:
    """ADK 2.13 calls from threads, 2.0 from the thread of its event loop: both get their own snippet's output."""
    with ThreadPoolExecutor(3) as threads:
        loop = asyncio.get_running_loop()
        calls = [loop.run_in_executor(threads, run, executor, f"print({number})") for number in range(3)]
        assert run(executor, "print('loop')").stdout == "loop\n"
        assert [told.stdout for told in await asyncio.gather(*calls)] == ["0\n", "1\n", "2\n"]


def test_close_ends_what_runs_and_the_next_snippet_opens_anew(executor: SandboxCodeExecutor) -> None:
    """close() from another thread ends a running snippet, which is told so; the executor can be used again."""
    with ThreadPoolExecutor(1) as threads:
        begun = threads.submit(run, executor, "import time\ntime.sleep(60)")
        assert run(executor, "print(1)").stdout == "1\n"
        executor.close()
        executor.close()
        assert "--- interrupted ---" in begun.result(timeout=30).stderr
    assert run(executor, "print(2)").stdout == "2\n"


def test_the_end_of_a_program_leaves_nothing(arguments: dict[str, Any]) -> None:
    """A program that never calls close() ends at once and quietly; the fixtures prove that nothing is left of it."""
    program = (
        "from google.adk.code_executors.code_execution_utils import CodeExecutionInput\n"
        "from sandbox_kernel.executors.adk import SandboxCodeExecutor\n"
        f"executor = SandboxCodeExecutor(**{arguments!r})\n"
        "print(executor.execute_code(None, CodeExecutionInput(code='print(1)')).stdout, end='')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("1\n", "", 0)

"""The client of the Kubernetes API against a server that fails in the ways of a real one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from sandbox_kernel.backends import cluster as cluster_module
from sandbox_kernel.backends.cluster import ApiError, Cluster, translated
from sandbox_kernel.errors import BackendUnavailable, SandboxError, SandboxRefused

Object = dict[str, Any]
LABELS = {"sandbox-kernel/session": "a", "sandbox-kernel/host": "b"}
JOB: Object = {"kind": "Job", "metadata": {"name": "sandbox-a-1", "labels": LABELS}, "spec": {"completions": 1}}
JOBS = "/apis/batch/v1/namespaces/ns/jobs"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request.

    Attributes:
        status: The answer's; 0 drops the connection instead.
        after: The request takes effect all the same.
        headers: Of the answer.
        text: Of the answer; None is a Status as the apiserver writes it.
    """

    status: int = 0
    after: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    text: str | None = None


DROP, DROP_AFTER = Fault(), Fault(after=True)


class Apiserver:
    """Keeps objects by path, and does to each request what the next of ``faults`` says."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.faults: list[Fault | None] = []
        #: Method and path of each request, and what came with it.
        self.seen: list[tuple[str, str]] = []
        self.requests: list[SimpleNamespace] = []
        self.forbidden: set[str] = set()
        self.token = "secret"
        #: Answers GET requests of streams.
        self.stream: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None
        self._count = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        text = await request.text()
        self.seen.append((request.method, request.path))
        self.requests.append(
            SimpleNamespace(query=dict(request.query), headers=request.headers, body=json.loads(text) if text else None)
        )
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not fault.after:
            return self._fail(request, fault)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return answer(401, "Unauthorized", "Unauthorized")
        if self.stream is not None:
            return await self.stream(request)
        made = self._take_effect(request, self.requests[-1].body)
        return made if fault is None else self._fail(request, fault)

    def _fail(self, request: web.Request, fault: Fault) -> web.Response:
        if not fault.status:
            assert request.transport is not None
            request.transport.abort()
        if fault.text is not None:
            return web.Response(status=fault.status, text=fault.text, headers=dict(fault.headers))
        return answer(fault.status or 500, f"Reason{fault.status}", f"message of {fault.status}", dict(fault.headers))

    def _take_effect(self, request: web.Request, body: Object) -> web.Response:
        path = request.path
        if request.method in self.forbidden:
            return answer(403, "Forbidden", f'{path} is forbidden: User "u" cannot {request.method.lower()} it')
        if request.method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                return answer(409, "AlreadyExists", f"{path} already exists")
            self._count += 1
            self.objects[path] = {**body, "metadata": {**body["metadata"], "uid": f"uid-{self._count}"}}
            return web.json_response(self.objects[path], status=201)
        if path not in self.objects:
            return answer(404, "NotFound", f"{path} not found")
        return self._delete(path, body) if request.method == "DELETE" else web.json_response(self.objects[path])

    def _delete(self, path: str, body: Object) -> web.Response:
        if body["preconditions"]["uid"] != self.objects[path]["metadata"]["uid"]:
            return answer(409, "Conflict", "the UID in the precondition does not match")
        del self.objects[path]
        return answer(200, "", "")


def answer(status: int, reason: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return a Status as the apiserver writes it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "message": message, "code": status}
    return web.json_response(body, status=status, headers=headers)


def write_kubeconfig(path: Path, server: str, token: str = "secret", namespace: str | None = "ns") -> None:
    """Write a kubeconfig of one cluster, one user and one context."""
    context = {"cluster": "c", "user": "u"} | ({} if namespace is None else {"namespace": namespace})
    text = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": token}}],
        "contexts": [{"name": "here", "context": context}, {"name": "there", "context": {**context, "namespace": "other"}}],
    }
    path.write_text(json.dumps(text))


@pytest.fixture
async def apiserver() -> AsyncIterator[Apiserver]:
    """A server that keeps no promise it was told not to keep."""
    made = Apiserver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    server = TestServer(app, port=0)
    await server.start_server()
    made.url = str(server.make_url("")).rstrip("/")  # type: ignore[attr-defined]
    yield made
    await server.close()


@pytest.fixture
def kubeconfig(tmp_path: Path, apiserver: Apiserver) -> Path:
    """A kubeconfig of the server."""
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, apiserver.url)  # type: ignore[attr-defined]
    return path


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Cluster]:
    """A client of the server."""
    made = await Cluster.connect(str(kubeconfig))
    yield made
    await made.close()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, float | None]]:
    """The pauses between tries, as attempt, status and Retry-After; they take no time."""
    made: list[tuple[int, int, float | None]] = []

    async def pause(attempt: int, error: ApiError) -> None:
        made.append((attempt, error.status, error.retry_after_s))

    monkeypatch.setattr(cluster_module, "_pause", pause)
    return made


# -- create ------------------------------------------------------------------------------------------------------------


async def test_an_object_is_created_as_it_is(client: Cluster, apiserver: Apiserver) -> None:
    """The body arrives whole, with the user's token, and what the server made of it comes back."""
    made = await client.create("jobs", JOB)
    assert made == {**JOB, "metadata": {**JOB["metadata"], "uid": "uid-1"}}
    assert apiserver.seen == [("POST", JOBS)]
    assert apiserver.requests[0].body == JOB
    assert apiserver.requests[0].headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([DROP], id="dropped before it took effect"),
        pytest.param([DROP_AFTER], id="dropped after it took effect"),
        pytest.param([Fault(500)], id="500"),
        pytest.param([Fault(504, after=True)], id="504 after it took effect"),
        pytest.param([Fault(429, headers=(("Retry-After", "1"),))], id="429"),
        pytest.param([Fault(503), DROP, Fault(500, after=True), Fault(502)], id="four in a row"),
        pytest.param([DROP_AFTER, Fault(500), DROP], id="effect, then nothing"),
        pytest.param([DROP_AFTER, None, DROP, Fault(500)], id="the look-up fails, too"),
        pytest.param([Fault(200, after=True, text="<html>a proxy's</html>")], id="an answer that cannot be read"),
    ],
)
@pytest.mark.usefixtures("pauses")
async def test_whatever_happens_there_is_one_object(
    client: Cluster, apiserver: Apiserver, faults: list[Fault | None]
) -> None:
    """A lost answer is repeated under the same name: there is one object, and its uid is the one returned."""
    apiserver.faults = list(faults)
    made = await client.create("jobs", JOB)
    assert list(apiserver.objects.values()) == [made]
    assert made["metadata"]["uid"] == "uid-1"
    assert not apiserver.faults


async def test_creating_is_given_up(
    client: Cluster, apiserver: Apiserver, pauses: list[tuple[int, int, float | None]]
) -> None:
    """After five tries the last error is raised, and the pauses grew with the tries."""
    apiserver.faults = [Fault(503, headers=(("Retry-After", "7"),)), DROP, DROP, DROP, Fault(500)]
    with pytest.raises(ApiError) as caught:
        await client.create("jobs", JOB)
    assert caught.value.status == 500
    assert apiserver.seen == [("POST", JOBS)] * 5
    assert pauses == [(0, 503, 7.0), (1, 0, None), (2, 0, None), (3, 0, None)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 422])
async def test_a_refusal_is_not_repeated(client: Cluster, apiserver: Apiserver, status: int) -> None:
    """What the server refuses at once was not made, is not asked again and not looked up; a 409 is somebody else's name."""
    apiserver.faults = [Fault(status)] * 2
    with pytest.raises(ApiError) as caught:
        await client.create("jobs", JOB)
    assert (caught.value.status, caught.value.message) == (status, f"message of {status}")
    # The token may have been rotated: that, and only that, is tried twice.
    assert apiserver.seen == [("POST", JOBS)] * (2 if status == 401 else 1)
    assert apiserver.objects == {}


@pytest.mark.usefixtures("pauses")
async def test_a_race_for_the_quota_is_tried_again(client: Cluster, apiserver: Apiserver) -> None:
    """A conflict over the namespace's quota came before anything was made, and is the apiserver's own."""
    said = (
        '{"kind": "Status", "reason": "Conflict", "code": 409, "message": "Operation cannot be fulfilled on resourcequotas"}'
    )
    apiserver.faults = [Fault(409, text=said)]
    assert (await client.create("jobs", JOB))["metadata"]["uid"] == "uid-1"
    assert apiserver.seen == [("POST", JOBS)] * 2


@pytest.mark.usefixtures("pauses")
async def test_a_repeat_that_meets_somebody_elses_object_is_a_conflict(client: Cluster, apiserver: Apiserver) -> None:
    """An object of our name without our labels is not taken for ours."""
    theirs = {**JOB, "metadata": {**JOB["metadata"], "labels": {**LABELS, "sandbox-kernel/host": "c"}}}
    await client.create("jobs", theirs)
    apiserver.faults = [DROP]
    with pytest.raises(ApiError, match=r"sandbox-a-1 exists and is not ours") as caught:
        await client.create("jobs", JOB)
    assert caught.value.status == 409


@pytest.mark.usefixtures("pauses")
async def test_labels_that_the_cluster_adds_change_nothing(client: Cluster, apiserver: Apiserver) -> None:
    """An object with all of our labels is ours, whatever an admission webhook has added."""
    labelled = {**JOB, "metadata": {**JOB["metadata"], "labels": {**LABELS, "kueue.x-k8s.io/queue-name": "q"}}}
    await client.create("jobs", labelled)
    apiserver.faults = [DROP]
    assert (await client.create("jobs", JOB))["metadata"]["uid"] == "uid-1"


@pytest.mark.usefixtures("pauses")
async def test_where_we_may_not_look_the_body_is_returned(client: Cluster, apiserver: Apiserver) -> None:
    """A ConfigMap that took effect cannot be read with our Role; that it is there is enough."""
    apiserver.forbidden = {"GET"}
    apiserver.faults = [DROP_AFTER]
    body = {"metadata": {"name": "sandbox-a-1-mail", "labels": LABELS}, "binaryData": {"0.json": "eA=="}}
    assert await client.create("configmaps", body) == body
    path = "/api/v1/namespaces/ns/configmaps"
    assert apiserver.seen == [("POST", path), ("POST", path), ("GET", f"{path}/sandbox-a-1-mail")]


# -- what may be asked twice -------------------------------------------------------------------------------------------

REQUESTS = [
    pytest.param(lambda it: it.list("pods", labelSelector="a=b"), ("GET", "/api/v1/namespaces/ns/pods"), id="list"),
    pytest.param(lambda it: it.patch("pods", "p", {"a": 1}), ("PATCH", "/api/v1/namespaces/ns/pods/p"), id="patch"),
    pytest.param(lambda it: it.delete("jobs", "j", "uid-1"), ("DELETE", f"{JOBS}/j"), id="delete"),
]
Send = Callable[[Cluster], Awaitable[Any]]


@pytest.mark.parametrize(("send", "seen"), REQUESTS)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_busy_server_is_asked_again(
    *,
    client: Cluster,
    apiserver: Apiserver,
    pauses: list[tuple[int, int, float | None]],
    send: Send,
    seen: tuple[str, str],
    status: int,
) -> None:
    """Reads, patches and deletions are repeated until the fifth try, which is answered here."""
    apiserver.faults = [Fault(status)] * 4 + [Fault(200, text="{}")]
    await send(client)
    assert apiserver.seen == [seen] * 5
    assert pauses == [(attempt, status, None) for attempt in range(4)]


@pytest.mark.parametrize(("send", "seen"), REQUESTS)
async def test_a_dropped_connection_is_made_again(
    *,
    client: Cluster,
    apiserver: Apiserver,
    pauses: list[tuple[int, int, float | None]],
    send: Send,
    seen: tuple[str, str],
) -> None:
    """A request whose connection was cut is sent again; aiohttp itself may do so, too, for what may be repeated."""
    apiserver.faults = [DROP] * 3 + [Fault(200, text="{}")]
    await send(client)
    assert apiserver.seen == [seen] * 4
    assert {status for _, status, _ in pauses} == {0}


@pytest.mark.parametrize(("send", "seen"), REQUESTS)
@pytest.mark.usefixtures("pauses")
async def test_asking_again_has_an_end(client: Cluster, apiserver: Apiserver, send: Send, seen: tuple[str, str]) -> None:
    """The fifth failure is raised."""
    apiserver.faults = [Fault(503)] * 9
    with pytest.raises(ApiError, match="message of 503"):
        await send(client)
    assert apiserver.seen == [seen] * 5


@pytest.mark.parametrize(("send", "seen"), REQUESTS)
@pytest.mark.parametrize("status", [400, 403, 405, 422])
async def test_a_no_is_a_no(client: Cluster, apiserver: Apiserver, send: Send, seen: tuple[str, str], status: int) -> None:
    """What was refused is not asked again."""
    apiserver.faults = [Fault(status)]
    with pytest.raises(ApiError) as caught:
        await send(client)
    assert (caught.value.status, caught.value.reason) == (status, f"Reason{status}")
    assert apiserver.seen == [seen]


async def test_a_patch_is_a_strategic_merge(client: Cluster, apiserver: Apiserver) -> None:
    """The apiserver is told what kind of patch it gets."""
    apiserver.faults = [Fault(200, text='{"kind":"Pod"}')]
    assert await client.patch("pods", "p", {"metadata": {"annotations": {"a": "b"}}}) == {"kind": "Pod"}
    assert apiserver.requests[0].headers["Content-Type"] == "application/strategic-merge-patch+json"
    assert apiserver.requests[0].body == {"metadata": {"annotations": {"a": "b"}}}


async def test_a_list_selects(client: Cluster, apiserver: Apiserver) -> None:
    """Selectors are the query, whatever characters are in them."""
    apiserver.faults = [Fault(200, text='{"items":[]}')]
    await client.list("events", fieldSelector="involvedObject.uid=a&b", limit="1")
    assert apiserver.requests[0].query == {"fieldSelector": "involvedObject.uid=a&b", "limit": "1"}


async def test_a_deletion_names_the_uid_and_takes_the_pods_along(client: Cluster, apiserver: Apiserver) -> None:
    """Without a propagation policy the pods would stay; without the uid another Job of the name would go."""
    made = await client.create("jobs", JOB)
    await client.delete("jobs", "sandbox-a-1", made["metadata"]["uid"])
    assert apiserver.requests[-1].body == {"propagationPolicy": "Background", "preconditions": {"uid": "uid-1"}}
    assert apiserver.objects == {}


async def test_what_is_gone_is_deleted(client: Cluster, apiserver: Apiserver) -> None:
    """An object that is gone is no error, and another object of its name stays."""
    await client.delete("jobs", "sandbox-a-1", "uid-1")
    await client.create("jobs", JOB)
    await client.delete("jobs", "sandbox-a-1", "uid-of-another")
    assert list(apiserver.objects) == [f"{JOBS}/sandbox-a-1"]


@pytest.mark.usefixtures("pauses")
async def test_a_deletion_whose_answer_is_lost_is_done(client: Cluster, apiserver: Apiserver) -> None:
    """The repetition finds nothing any more, which is what was wanted."""
    await client.create("jobs", JOB)
    apiserver.faults = [DROP_AFTER]
    await client.delete("jobs", "sandbox-a-1", "uid-1")
    assert apiserver.objects == {}


async def test_nobody_there_is_an_api_error(tmp_path: Path, pauses: list[tuple[int, int, float | None]]) -> None:
    """A server that is not there is status 0, after five tries."""
    write_kubeconfig(tmp_path / "kubeconfig", f"http://127.0.0.1:{unused_port()}")
    client = await Cluster.connect(str(tmp_path / "kubeconfig"))
    with pytest.raises(ApiError) as caught:
        await client.list("pods")
    assert caught.value.status == 0
    assert len(pauses) == 4
    await client.close()


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "low", "high"),
    [
        pytest.param(0, None, 0.08, 0.12, id="the first"),
        pytest.param(2, None, 0.32, 0.48, id="the third"),
        pytest.param(9, None, 1.6, 2.4, id="never long"),
        pytest.param(0, 3.0, 3.0, 3.0, id="as the server says"),
        pytest.param(0, 3600.0, 10.0, 10.0, id="but not for an hour"),
        pytest.param(2, 0.0, 0.32, 0.48, id="never at once"),
    ],
)
async def test_pauses_are_bounded(
    monkeypatch: pytest.MonkeyPatch, attempt: int, retry_after_s: float | None, low: float, high: float
) -> None:
    """A pause doubles with each try, up to two seconds, and is what the server asks for up to ten."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(cluster_module, "asyncio", SimpleNamespace(sleep=sleep))
    for _ in range(20):
        await cluster_module._pause(attempt, ApiError(503, "", "", retry_after_s))
    assert low <= min(slept) <= max(slept) <= high


# -- credentials -------------------------------------------------------------------------------------------------------


async def test_a_rotated_token_is_read_again(client: Cluster, apiserver: Apiserver, kubeconfig: Path) -> None:
    """A token that the server does not know any more is read anew, and the request is sent once more."""
    apiserver.token = "new"
    write_kubeconfig(kubeconfig, apiserver.url, "new")  # type: ignore[attr-defined]
    made = await client.create("jobs", JOB)
    assert list(apiserver.objects.values()) == [made]
    assert [request.headers["Authorization"] for request in apiserver.requests] == ["Bearer secret", "Bearer new"]


async def test_credentials_that_are_gone_are_a_backend_error(client: Cluster, apiserver: Apiserver, kubeconfig: Path) -> None:
    """When the token has expired and the kubeconfig is gone, that is an error of ours that says so."""
    apiserver.token = "new"
    kubeconfig.unlink()
    with pytest.raises((ApiError, SandboxError)):
        await client.list("pods")


@pytest.mark.parametrize(
    ("context", "namespace", "expected"),
    [
        pytest.param("", "", "ns", id="the current context's"),
        pytest.param("there", "", "other", id="the named context's"),
        pytest.param("there", "mine", "mine", id="the setting"),
    ],
)
async def test_the_namespace(kubeconfig: Path, context: str, namespace: str, expected: str) -> None:
    """The namespace is that of the settings, or of the context."""
    client = await Cluster.connect(str(kubeconfig), context, namespace)
    assert client.namespace == expected
    await client.close()


async def test_without_any_the_namespace_is_default(tmp_path: Path) -> None:
    """A context without a namespace means `default`, as with kubectl."""
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", namespace=None)
    client = await Cluster.connect(str(tmp_path / "kubeconfig"))
    assert (client.namespace, client.host) == ("default", "http://127.0.0.1:1")
    await client.close()


async def test_the_environment_names_the_kubeconfig(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting KUBECONFIG counts."""
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    client = await Cluster.connect()
    assert client.namespace == "ns"
    await client.close()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(None, id="no file"),
        pytest.param("", id="empty"),
        pytest.param("{}", id="an empty object"),
        pytest.param("a: [b", id="no YAML"),
        pytest.param("[]", id="a list"),
        pytest.param("just text", id="text"),
        pytest.param('{"current-context":"x","contexts":[],"clusters":[],"users":[]}', id="no such context"),
    ],
)
async def test_a_kubeconfig_that_is_none_is_told(tmp_path: Path, text: str | None) -> None:
    """A kubeconfig that cannot be used is BackendUnavailable, with the settings that name one."""
    path = tmp_path / "kubeconfig"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BackendUnavailable, match="There is no usable kubeconfig") as caught:
        await Cluster.connect(str(path))
    assert "KubernetesBackend.kubeconfig" in caught.value.advice


async def test_an_unknown_context_is_told(kubeconfig: Path) -> None:
    """So is a context that the kubeconfig does not have."""
    with pytest.raises(BackendUnavailable, match="nowhere"):
        await Cluster.connect(str(kubeconfig), "nowhere")


# -- what the user reads -----------------------------------------------------------------------------------------------


async def test_errors_carry_the_servers_words(client: Cluster, apiserver: Apiserver) -> None:
    """Reason, message and Retry-After come from a Status; what is no Status is quoted, within bounds."""
    apiserver.faults = [Fault(422, headers=(("Retry-After", "soon"),))]
    with pytest.raises(ApiError) as caught:
        await client.create("jobs", JOB)
    assert vars(caught.value) == {
        "status": 422,
        "reason": "Reason422",
        "message": "message of 422",
        "retry_after_s": None,
    }
    for text in ("<html>" + "x" * 10_000, "[1]", '"text"', "null", ""):
        apiserver.faults = [Fault(413, text=text)]
        with pytest.raises(ApiError) as caught:
            await client.create("jobs", JOB)
        assert caught.value.message == text[:500]
        assert caught.value.reason == "Request Entity Too Large"


FORBIDDEN = 'jobs.batch is forbidden: User "u" cannot create resource "jobs" in API group "batch" in the namespace "ns"'


@pytest.mark.parametrize(
    ("error", "kind", "message", "advice"),
    [
        pytest.param(
            ApiError(0, "Connection", "refused"),
            BackendUnavailable,
            "The cluster at https://c did not answer while creating x: refused",
            "Check with: kubectl cluster-info",
            id="nobody",
        ),
        pytest.param(
            ApiError(401, "Unauthorized", "Unauthorized"),
            BackendUnavailable,
            "The cluster at https://c does not accept these credentials.",
            "Check with: kubectl auth whoami",
            id="401",
        ),
        pytest.param(
            ApiError(403, "Forbidden", FORBIDDEN),
            SandboxRefused,
            f"No permission while creating x: {FORBIDDEN}",
            "deploy/base has a Role that suffices.",
            id="no right",
        ),
        pytest.param(
            ApiError(403, "Forbidden", 'jobs "x" is forbidden: exceeded quota: q'),
            SandboxRefused,
            'Refused while creating x: jobs "x" is forbidden: exceeded quota: q',
            "",
            id="quota",
        ),
        pytest.param(
            ApiError(404, "NotFound", 'namespaces "ns" not found'),
            SandboxRefused,
            'Not found while creating x: namespaces "ns" not found',
            "Does the namespace exist?",
            id="404",
        ),
        pytest.param(
            ApiError(422, "Invalid", 'Job.batch "x" is invalid: spec'),
            SandboxRefused,
            'Refused while creating x: Job.batch "x" is invalid: spec',
            "",
            id="422",
        ),
    ],
)
def test_errors_are_translated(error: ApiError, kind: type[SandboxError], message: str, advice: str) -> None:
    """Each refusal is one of our errors, with what was being done, the server's words and the next step."""
    made = translated(error, "creating x", "https://c")
    assert (type(made), made.message, made.advice) == (kind, message, advice)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_fails_is_unavailable(status: int) -> None:
    """A server that is busy or broken did not say no."""
    assert isinstance(translated(ApiError(status, "", "etcd"), "creating x", "https://c"), BackendUnavailable)


# -- streams -----------------------------------------------------------------------------------------------------------

LINES = b'sk1 0 . ["heartbeat",{}]\nsk1 1 . ["started",{"cell":1}]\nsk1 2 . ["str'


async def begun(request: web.Request, data: bytes) -> web.StreamResponse:
    """Begin a stream with some data."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(data)
    return response


async def read_log(client: Cluster) -> tuple[bytes, ApiError | None]:
    """Return what came of a log, and what ended it."""
    data = b""
    try:
        async with client.log("p", "cell", follow=True) as response:
            async for chunk in response.content.iter_any():
                data += chunk
    except ApiError as error:
        return data, error
    return data, None


async def test_a_log_is_followed(client: Cluster, apiserver: Apiserver) -> None:
    """The whole log comes, from its beginning, and its end is the end."""

    async def stream(request: web.Request) -> web.StreamResponse:
        return await begun(request, LINES)

    apiserver.stream = stream
    assert await read_log(client) == (LINES, None)
    assert apiserver.seen == [("GET", "/api/v1/namespaces/ns/pods/p/log")]
    assert apiserver.requests[0].query == {"container": "cell", "follow": "true"}


async def test_a_log_that_is_cut_is_an_error(client: Cluster, apiserver: Apiserver) -> None:
    """A connection that is cut in the middle of a line gives what came, and then an error that says so."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = await begun(request, LINES)
        assert request.transport is not None
        request.transport.abort()
        return response

    apiserver.stream = stream
    data, error = await read_log(client)
    assert LINES.startswith(data)
    assert error is not None
    assert error.status == 0


async def test_a_silent_log_is_given_up(client: Cluster, apiserver: Apiserver, monkeypatch: pytest.MonkeyPatch) -> None:
    """A followed log without a beat of the guest is taken for a dead connection."""
    monkeypatch.setattr(cluster_module, "SILENCE_S", 0.05)
    over = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = await begun(request, LINES)
        await over.wait()
        return response

    apiserver.stream = stream
    data, error = await read_log(client)
    over.set()
    assert data == LINES
    assert error is not None
    assert error.status == 0


@pytest.mark.parametrize("status", [400, 404, 429, 503])
async def test_a_log_that_is_not_there_is_an_error(client: Cluster, apiserver: Apiserver, status: int) -> None:
    """Opening a log is not repeated here: whoever follows it knows what to do."""
    apiserver.faults = [Fault(status)]
    data, error = await read_log(client)
    assert data == b""
    assert error is not None
    assert (error.status, len(apiserver.seen)) == (status, 1)


def watch_event(kind: str, name: str, **more: Any) -> Object:
    """Return an event of a watch."""
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": "7", **more}}}


async def watch(client: Cluster, apiserver: Apiserver, *parts: bytes, cut: bool = False) -> tuple[list[Object], Any]:
    """Return the events of a watch on which ``parts`` are sent, and what ended it."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = await begun(request, b"")
        for part in parts:
            await response.write(part)
        if cut:
            assert request.transport is not None
            request.transport.abort()
        return response

    apiserver.stream = stream
    events: list[Object] = []
    try:
        async for event in client.watch("pods", "6", labelSelector="a=b"):
            events.append(event)
    except ApiError as error:
        return events, error.status
    return events, None


def line(event: Object) -> bytes:
    """Return an event as it is sent."""
    return json.dumps(event).encode() + b"\n"


ADDED, MORE = watch_event("ADDED", "p"), watch_event("BOOKMARK", "q", annotations={"a": "x" * 300_000})


async def test_a_watch_gives_events(client: Cluster, apiserver: Apiserver) -> None:
    """Events come as they are, however they are divided on their way and however large they are."""
    data = line(ADDED) + line(MORE) + line(ADDED)
    assert await watch(client, apiserver, data[:10], data[10:200_000], data[200_000:]) == ([ADDED, MORE, ADDED], None)
    assert apiserver.seen == [("GET", "/api/v1/namespaces/ns/pods")]
    assert apiserver.requests[0].query == {
        "labelSelector": "a=b",
        "watch": "true",
        "resourceVersion": "6",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "240",
    }


async def test_a_watch_from_too_long_ago_says_so(client: Cluster, apiserver: Apiserver) -> None:
    """A version that is too old is 410, whether the server says it in an event or as an answer."""
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}
    assert await watch(client, apiserver, line(ADDED), line(gone), line(ADDED)) == ([ADDED], 410)
    apiserver.faults = [Fault(410)]
    assert await watch(client, apiserver) == ([], 410)


async def test_a_watch_that_is_cut_is_an_error(client: Cluster, apiserver: Apiserver) -> None:
    """A connection that is cut ends the watch as an error without an answer."""
    _, ended = await watch(client, apiserver, line(ADDED), line(ADDED)[:9], cut=True)
    assert ended == 0


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(line(ADDED)[:9], id="half a line"),
        pytest.param(b"upstream connect error\n", id="a proxy's words"),
        pytest.param(b"{}\n", id="no event"),
        pytest.param(b"\n", id="an empty line"),
    ],
)
async def test_a_watch_of_nonsense_is_an_error(client: Cluster, apiserver: Apiserver, data: bytes) -> None:
    """What is no event is an error of the connection, after which whoever watches connects again."""
    assert await watch(client, apiserver, line(ADDED), data) == ([ADDED], 0)


async def test_a_client_can_be_closed_unused(kubeconfig: Path) -> None:
    """A client that never asked has nothing to close."""
    client = await Cluster.connect(str(kubeconfig))
    await client.close()

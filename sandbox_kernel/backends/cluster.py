"""A thin client of the Kubernetes API: plain dicts in and out. The only file that imports ``kubernetes``.

That package's generated models cost a conversion and a validation for each field; its ApiClient alone gives what is needed
(kubeconfig, exec plugins, tokens that are renewed, TLS, proxies). It takes two seconds to import, so that is done in a
thread when somebody connects. aiohttp, which it stands on, is imported as late: the settings are in reach of everybody.

Errors are translated here, once. What can be asked again safely is asked again, within bounds; what creates is not, but
looked up by name (see :meth:`Cluster.create`).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from ..errors import BackendUnavailable, SandboxRefused
from ..guest import wire

if TYPE_CHECKING:
    import aiohttp

Object = dict[str, Any]

#: A request that is not a stream.
REQUEST_S = 30.0
#: Beats of the guest that may be missed on a followed log before the connection is taken for dead.
SILENCE_S = 3 * wire.HEARTBEAT_S
#: The apiserver ends a watch after this; a quiet one is then opened again, which notices a dead connection.
WATCH_S = 240
TRIES = 5
_AGAIN = (429, 500, 502, 503, 504)
_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class ApiError(Exception):
    """The apiserver said no. ``status`` 0: nobody answered."""

    def __init__(self, status: int, reason: str, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after_s = retry_after_s

    @property
    def passing(self) -> bool:
        """Whether nobody answered, or somebody who was busy or broken: asking again may help."""
        return self.status in (0, *_AGAIN)


def translated(error: ApiError, doing: str, host: str) -> BackendUnavailable | SandboxRefused:
    """Return what the user is told of ``error``, met while ``doing`` something."""
    if error.status == 0:
        return BackendUnavailable(
            f"The cluster at {host} did not answer while {doing}: {error.message}", "Check with: kubectl cluster-info"
        )
    if error.passing:
        return BackendUnavailable(
            f"The cluster at {host} could not answer while {doing}: {error.status} {error.message}",
            "Try again; check with: kubectl get --raw /readyz",
        )
    if error.status == 401:
        return BackendUnavailable(
            f"The cluster at {host} does not accept these credentials.", "Check with: kubectl auth whoami"
        )
    if error.status == 403 and "cannot" in error.message:
        return SandboxRefused(f"No permission while {doing}: {error.message}", "deploy/base has a Role that suffices.")
    if error.status == 404:
        return SandboxRefused(f"Not found while {doing}: {error.message}", "Does the namespace exist?")
    return SandboxRefused(f"Refused while {doing}: {error.message}")


class Cluster:
    """One namespace of one cluster. Belongs to one event loop."""

    def __init__(self, api: Any, load: Any, namespace: str) -> None:
        self._api = api
        self._load = load
        self.namespace = namespace
        self.host: str = api.configuration.host

    @classmethod
    async def connect(cls, kubeconfig: str = "", context: str = "", namespace: str = "") -> Cluster:
        """Read the kubeconfig (or, in a pod without one, the service account) and return a client."""
        client, config = await asyncio.to_thread(_import)
        configuration = client.Configuration()
        path = os.path.expanduser(kubeconfig or os.environ.get("KUBECONFIG", ""))  # noqa: ASYNC240 - touches no disk

        async def load() -> str:
            if not path and not context and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(client_configuration=configuration)
                with contextlib.suppress(OSError), open(_SERVICE_ACCOUNT, encoding="ascii") as file:  # noqa: ASYNC230
                    return file.read().strip()
                return ""
            loader = await config.load_kube_config(
                config_file=path or config.KUBE_CONFIG_DEFAULT_LOCATION,
                context=context or None,
                client_configuration=configuration,
                persist_config=False,
            )
            return str(loader.current_context["context"].get("namespace") or "")

        try:
            found = await load()
        except Exception as error:
            raise BackendUnavailable(
                f"There is no usable kubeconfig: {error}",
                "Set KUBECONFIG or KubernetesBackend.kubeconfig; check with: kubectl config view",
            ) from error
        return cls(client.ApiClient(configuration), load, namespace or found or "default")

    async def close(self) -> None:
        """Close the connections."""
        pool = self._api.rest_client.pool_manager
        if pool is not None:
            await pool.connector.close(abort_ssl=True)
        await self._api.close()
        # Sockets that were aborted are closed by the event loop in its next rounds, if there are any.
        for _ in range(3):
            await asyncio.sleep(0)

    # -- objects of the namespace

    def path(self, kind: str, name: str = "") -> str:
        """Return the path of a kind (``jobs``, ``pods``, ``configmaps``, ``events``), or of one object."""
        group = "/apis/batch/v1" if kind == "jobs" else "/api/v1"
        return f"{group}/namespaces/{self.namespace}/{kind}" + (f"/{name}" if name else "")

    async def create(self, kind: str, body: Object) -> Object:
        """Create an object once, under a name that nobody else uses.

        When the answer is lost the request is repeated: if the first one took effect the name is taken now, so there is never
        a second object. Ours is then looked up for its uid; where we may not look (ConfigMaps) nobody needs it.
        """
        for attempt in range(TRIES):
            try:
                return await self._request("POST", self.path(kind), body=body)
            except ApiError as error:
                # The apiserver lost a race of its own for the namespace's quota, before anything was made.
                busy = error.status == 409 and error.reason == "Conflict"
                if attempt > 0 and error.status == 409 and not busy:
                    return await self._find_ours(kind, body)
                if not (error.passing or busy) or attempt == TRIES - 1:
                    raise
                await _pause(attempt, error)
        raise AssertionError  # the last attempt returns or raises

    async def try_create(self, kind: str, body: Object) -> None:
        """Ask whether an object would be admitted, without creating it."""
        await self._again("POST", self.path(kind), query={"dryRun": "All"}, body=body)

    async def _find_ours(self, kind: str, body: Object) -> Object:
        try:
            found = await self._again("GET", self.path(kind, body["metadata"]["name"]))
        except ApiError as error:
            if error.status != 403:
                raise
            return body
        # A webhook may have added some; ours name this host and session, which nobody else's do.
        if not body["metadata"]["labels"].items() <= found["metadata"].get("labels", {}).items():
            raise ApiError(409, "AlreadyExists", f"{kind} {found['metadata']['name']} exists and is not ours.")
        return found

    async def patch(self, kind: str, name: str, body: Object) -> Object:
        """Apply a strategic merge patch that may be applied twice."""
        return await self._again(
            "PATCH", self.path(kind, name), body=body, content_type="application/strategic-merge-patch+json"
        )

    async def list(self, kind: str, **selectors: str) -> Object:
        """List objects by ``labelSelector`` or ``fieldSelector``."""
        return await self._again("GET", self.path(kind), query=selectors)

    async def delete(self, kind: str, name: str, uid: str | None = None) -> None:
        """Delete an object and, in the background, what it owns. One that is gone, or another of its name, is no error."""
        body: Object = {"propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._again("DELETE", self.path(kind, name), body=body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    # -- streams

    async def watch(self, kind: str, version: str, **selectors: str) -> AsyncIterator[Object]:
        """Yield watch events from ``version`` on until the apiserver ends the watch. Raises ApiError 410 when too old."""
        query = {
            **selectors,
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
        }
        async with self._stream(self.path(kind), query, WATCH_S + REQUEST_S) as response:
            async for line in response.content:
                yield _watch_event(line)

    @contextlib.asynccontextmanager
    async def log(self, pod: str, container: str, *, follow: bool) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a container's log from its beginning."""
        query = {"container": container, "follow": "true" if follow else "false"}
        async with self._stream(f"{self.path('pods', pod)}/log", query, SILENCE_S) as response:
            yield response

    @contextlib.asynccontextmanager
    async def _stream(self, path: str, query: Mapping[str, str], silence_s: float) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp  # noqa: PLC0415 - see the module's text

        timeout = aiohttp.ClientTimeout(total=None, connect=REQUEST_S, sock_read=silence_s)
        try:
            response = await self._send("GET", path, query, None, None, timeout)
            try:
                await _raise_for_status(response)
                yield response
            finally:
                hang_up(response)
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            # Without its traceback: aiohttp raises one and the same error for each response that is closed while somebody
            # reads it, and what that holds would be there for good, 100 KB for each sandbox.
            raise ApiError(0, "Connection", str(error) or type(error).__name__) from error.with_traceback(None)

    # -- requests

    async def _again(self, method: str, path: str, **options: Any) -> Object:
        """Send what may be sent twice, again when the answer was lost or the server was busy."""
        for attempt in range(TRIES - 1):
            try:
                return await self._request(method, path, **options)
            except ApiError as error:
                if not error.passing:
                    raise
                await _pause(attempt, error)
        return await self._request(method, path, **options)

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        content_type: str | None = None,
    ) -> Object:
        try:
            return await self._request_once(method, path, query, body, content_type)
        except ApiError as error:
            if error.status != 401:
                raise
        # A token that has been rotated: read it anew, once.
        try:
            await self._load()
        except Exception as error:
            raise ApiError(401, "Unauthorized", f"the credentials cannot be read again: {error}") from error
        return await self._request_once(method, path, query, body, content_type)

    async def _request_once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, content_type: str | None
    ) -> Object:
        import aiohttp  # noqa: PLC0415 - see the module's text

        timeout = aiohttp.ClientTimeout(total=REQUEST_S)
        try:
            response = await self._send(method, path, query, body, content_type, timeout)
            async with response:
                await _raise_for_status(response)
                result: Object = await response.json(content_type=None)
                return result
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError) as error:
            raise ApiError(0, "Connection", str(error) or type(error).__name__) from error

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Object | None,
        content_type: str | None,
        timeout: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": "application/json", "Content-Type": content_type or "application/json"}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self._api.configuration.host + path + (f"?{urlencode(query)}" if query else "")
        sent = await self._api.rest_client.request(method, url, headers=headers, body=body, _request_timeout=timeout)
        response: aiohttp.ClientResponse = sent.response
        return response


def _watch_event(line: bytes) -> Object:
    try:
        event: Object = json.loads(line)
        kind, about = event["type"], event["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise ApiError(0, "Connection", f"this is no watch event: {line[:200]!r}") from error
    if kind == "ERROR":
        raise ApiError(about.get("code", 0), about.get("reason", ""), about.get("message", ""))
    return event


def hang_up(response: aiohttp.ClientResponse) -> None:
    """Give a stream up at once. A TLS farewell would wait for an answer, and outlive the event loop."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if response.status < 300:
        return
    text = await response.text(errors="replace")
    try:
        status = json.loads(text)
        reason, message = status.get("reason", ""), status.get("message", "")
    except (ValueError, AttributeError):
        reason, message = response.reason or "", text[:500]
    wait = response.headers.get("Retry-After", "")
    raise ApiError(response.status, reason, message, float(wait) if wait.isdigit() else None)


async def _pause(attempt: int, error: ApiError) -> None:
    wait_s = min(0.1 * 2**attempt, 2.0) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter
    await asyncio.sleep(max(wait_s, min(error.retry_after_s or 0.0, 10.0)))


def _import() -> tuple[Any, Any]:
    from kubernetes.aio import client, config  # noqa: PLC0415 - see the module's text

    return client, config

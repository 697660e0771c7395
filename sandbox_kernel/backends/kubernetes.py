"""Sandboxes on Kubernetes: the settings, one connection and one watch for all Jobs of this process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets

from traitlets import Dict, Float, Integer, List, Unicode
from traitlets.config import LoggingConfigurable

from ..errors import BackendUnavailable, ConfigurationError, SandboxError, StateUnusable
from ..limits import MIB, Limits
from ..processes import Processes
from ..shipped import guest_archive
from . import janitor, manifests
from .base import Check, Request, Sandbox
from .cluster import ApiError, Cluster, translated
from .handover import Handover
from .job import JobSandbox
from .mounted import Mounted, read_parts
from .oci import GUEST_PACKAGE
from .pods import Pods

#: Labels the pods of one backend, for its watch.
HOST_LABEL = "sandbox-kernel/host"
#: What the guest may need beyond inline_mib, to say what there is.
HEAD_MIB = 1.0


class KubernetesBackend(LoggingConfigurable):
    """Makes Jobs in one namespace."""

    image = Unicode(
        "python:3.11-slim",
        help="""Image of the sandboxes; it needs Python 3.9 or newer and nothing of ours. Default: python:3.11-slim, as in
        Google ADK's GkeCodeExecutor. Pin it by digest where you can.""",
    ).tag(config=True)
    command = List(
        Unicode(),
        default_value=["python3"],
        help="""The command that starts Python in the image, a word an item: a path, or a name on its PATH, and what must
        stand before or after it, as in conda, run, python. Default: python3.""",
    ).tag(config=True)
    namespace = Unicode(
        "",
        help="""Namespace of the Jobs. Empty (the default): the kubeconfig context's, in a pod the pod's own. Use one that
        holds nothing else: who may create Jobs in it can mount its Secrets.""",
    ).tag(config=True)
    kubeconfig = Unicode(
        "",
        help="""Path of the kubeconfig. Empty (the default): KUBECONFIG of the environment, in a pod its service account,
        else ~/.kube/config.""",
    ).tag(config=True)
    context = Unicode("", help="""Context of the kubeconfig. Empty (the default): its current one.""").tag(config=True)
    runtime_class = Unicode(
        "gvisor",
        help="""RuntimeClass of the pods. Default: gvisor, its name on GKE and in gVisor's documentation. It must be one that
        isolates; it cannot be empty.""",
    ).tag(config=True)
    image_pull_policy = Unicode("IfNotPresent", help="""Always, IfNotPresent or Never. Default: IfNotPresent.""").tag(
        config=True
    )
    image_pull_secrets = List(Unicode(), help="""Names of Secrets with registry credentials. Default: none.""").tag(
        config=True
    )
    service_account = Unicode(
        "",
        help="""Service account of the pods; its token is never mounted. Empty (the default): the namespace's default.""",
    ).tag(config=True)
    node_selector = Dict(
        value_trait=Unicode(),
        key_trait=Unicode(),
        help="""Labels that a node must have. Default: none; a RuntimeClass may bring its own, as GKE's does.""",
    ).tag(config=True)
    tolerations = List(
        Dict(),
        default_value=[{"key": "sandbox.gke.io/runtime", "operator": "Equal", "value": "gvisor", "effect": "NoSchedule"}],
        help="""Tolerations of the pods, as in a pod spec. Default: the taint of GKE Sandbox nodes.""",
    ).tag(config=True)
    labels = Dict(help="""Labels added to Job and pod. Default: none.""").tag(config=True)
    annotations = Dict(help="""Annotations added to Job and pod. Default: none.""").tag(config=True)
    environment = Dict(help="""Environment variables of the cells. Default: none.""").tag(config=True)
    cpu_request_millis = Integer(
        100,
        help="""Processor time that the scheduler sets aside, in thousandths of a processor; the limit is
        Runner.cpu_millis. Default: 100, because a cell mostly waits.""",
    ).tag(config=True)
    memory_request_mib = Integer(
        256, help="""Memory that the scheduler sets aside, in MiB; the limit is Runner.memory_mib. Default: 256."""
    ).tag(config=True)
    ttl_s = Integer(
        60,
        help="""Seconds after which the cluster removes a finished Job that we did not remove. Default: 60.""",
    ).tag(config=True)
    patience_s = Float(
        10.0,
        help="""Seconds that a cause which may pass (an image that cannot be pulled, no room on the nodes, a used-up quota)
        may keep a sandbox from starting until it is reported. While an autoscaler is getting a node, the start timeout
        counts instead. Default: 10.""",
    ).tag(config=True)

    workspace = Unicode(
        "",
        help="""Name of a PersistentVolumeClaim for state that is carried from cell to cell. Each runner has a folder of its
        own on it. Empty (the default): state travels through the pods' logs and ConfigMaps, up to inline_mib.""",
    ).tag(config=True)
    inline_mib = Float(
        4.0,
        min=0.0,
        max=16.0,
        help="""How much state may be carried from cell to cell without a workspace, in MiB; larger variables are left
        behind, and named. Default: 4, because a node keeps 10 MiB of a container's log. At most 16.""",
    ).tag(config=True)

    modes: tuple[str, ...] = ("carry", "fresh")

    def __init__(self, processes: Processes | None = None, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._ours = processes is None
        self._processes = processes if processes is not None else Processes()
        self._id = secrets.token_hex(5)
        self._cluster: Cluster | None = None
        self._pods: Pods | None = None
        self._sandboxes: set[JobSandbox] = set()
        self._handover = Handover(lambda: self.ttl_s, self.log)
        self._places: set[str] = set()
        self._opening = asyncio.Lock()
        self._telling = asyncio.Lock()
        self._told: frozenset[str] = frozenset()

    def pod_settings(self) -> manifests.PodSettings:
        """Return the settings as the builders take them. Raises ConfigurationError."""
        if not self.runtime_class:
            raise ConfigurationError(
                "KubernetesBackend.runtime_class is empty: the cells would run without a sandbox.",
                "Set it to the name of a RuntimeClass that isolates, for example gvisor.",
            )
        return manifests.PodSettings(
            image=self.image,
            command=tuple(self.command),
            runtime_class=self.runtime_class,
            image_pull_policy=self.image_pull_policy,
            image_pull_secrets=tuple(self.image_pull_secrets),
            service_account=self.service_account,
            node_selector=self.node_selector,
            tolerations=tuple(self.tolerations),
            labels={**self.labels, HOST_LABEL: self._id},
            annotations=self.annotations,
            environment=self.environment,
            cpu_request_millis=self.cpu_request_millis,
            memory_request_mib=self.memory_request_mib,
            ttl_s=self.ttl_s,
            workspace=self.workspace,
            inline_mib=self.inline_mib,
        )

    async def start(self, request: Request) -> Sandbox:
        """See :class:`.base.Backend`."""
        self._check_size(request)
        parts = await asyncio.to_thread(read_parts, request)
        inline = parts if manifests.fits_inline(parts) else {}
        guest = await _guest()
        body = manifests.job(request, self.pod_settings(), guest, inline)
        cluster, pods = await self._open()
        sandbox = JobSandbox(cluster, pods, request, self.patience_s, self._forget, self._handover.keep)
        self._sandboxes.add(sandbox)
        try:
            await self._bequeath(cluster)
            last = self._handover.last(request.session)
            known = last.shares if last is not None else ()
            mounted = Mounted(cluster, guest, {} if inline else parts, request.session, known)
            await sandbox.start(body, mounted, last)
        except BaseException as error:
            await asyncio.shield(sandbox.close())
            if isinstance(error, ApiError):
                raise translated(error, f"creating {sandbox.name}", cluster.host) from error
            raise
        self._handover.done(sandbox.session)
        return sandbox

    async def _bequeath(self, cluster: Cluster) -> None:
        """Name what is deleted for us when this process is gone. It may name more than there is."""
        async with self._telling:
            names = frozenset(sandbox.name for sandbox in self._sandboxes)
            if names <= self._told and (names or not self._told):
                return
            words = janitor.argv(self.kubeconfig, self.context, cluster.namespace, sorted(names)) if names else []
            with contextlib.suppress(BackendUnavailable):  # Then there are the deadlines.
                await self._processes.bequeath(words, janitor.environment(os.environ) if words else {})
                self._told = names

    def _check_size(self, request: Request) -> None:
        """Raise StateUnusable when a state is too large to be brought: loaded from elsewhere, or by a guest that lies."""
        snapshot = request.snapshot
        if snapshot is not None and not request.place and snapshot.size > (self.inline_mib + HEAD_MIB) * MIB:
            raise StateUnusable(
                f"It has {snapshot.size / MIB:.1f} MiB. KubernetesBackend.inline_mib allows {self.inline_mib:g} MiB, and a "
                "claim in KubernetesBackend.workspace any size.",
                damaged=True,
            )

    @property
    def keeps_parts(self) -> bool:
        """See :class:`.base.Backend`."""
        return bool(self.workspace)

    async def needs(self, request: Request) -> None:
        """See :class:`.base.Backend`. A cluster keeps no images of sandboxes for us."""

    async def _open(self) -> tuple[Cluster, Pods]:
        async with self._opening:
            if self._cluster is None:
                self._cluster = await Cluster.connect(self.kubeconfig, self.context, self.namespace)
                self._pods = Pods(self._cluster, f"{HOST_LABEL}={self._id}")
            assert self._pods is not None
            await self._pods.open()
            return self._cluster, self._pods

    def _forget(self, sandbox: JobSandbox) -> None:
        self._sandboxes.discard(sandbox)
        if sandbox.has_run and sandbox.place:
            self._places.add(sandbox.place)
        if self._pods is not None:
            self._pods.forget(sandbox.name)

    async def check(self) -> list[Check]:
        """See :class:`.base.Backend`."""
        try:
            cluster, _ = await self._open()
            await cluster.list("pods", limit="1")
            probe = Request("doctor", 0, Limits(), 1.0)
            await cluster.try_create("jobs", manifests.job(probe, self.pod_settings(), await _guest()))
        except ApiError as error:
            told = translated(error, "trying whether a sandbox would be admitted", cluster.host)
            return [Check("cluster", False, told.message, told.advice)]
        except SandboxError as error:
            return [Check("cluster", False, error.message, error.advice)]
        return [Check("cluster", True, f"{cluster.host}, namespace {cluster.namespace}")]

    async def close(self) -> None:
        """See :class:`.base.Backend`."""
        for sandbox in list(self._sandboxes):
            try:
                await sandbox.close()
            except BackendUnavailable as error:
                self.log.warning("A Job stays until its deadline: %s", error)
        await self._handover.close()
        if self._pods is not None:
            await self._pods.close()
        if self._cluster is not None:
            await self._bequeath(self._cluster)
            for place in self._places:
                with contextlib.suppress(ApiError):  # deploy/README.md tells what is then left on the workspace.
                    await self._cluster.create("jobs", manifests.sweep_job(place, self.pod_settings()))
            self._places.clear()
            await self._cluster.close()
        self._cluster = self._pods = None
        if self._ours:
            await self._processes.close()


async def _guest() -> bytes:
    """Return the guest. It is compiled once, off the event loop."""
    return await asyncio.to_thread(guest_archive, manifests.GUEST_ARCHIVE, GUEST_PACKAGE)

"""Widgets between front end and guest: which there are, and how each word goes.

What a guest says of a widget is made what may pass by :mod:`.widgets`. What the front end says to one goes to the session's
sandbox as a cell without code: where whole sandboxes are kept, the one that waits for the next cell has the widget in it. In
other sessions it ended with its cell: there widgets only draw, and what the front end says is ignored.
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from ipykernel.kernelbase import Kernel

from . import iopub, policy, widgets
from .errors import SandboxError
from .execution import Execution
from .going_back import REQUEST_STATE
from .guest import wire
from .lasting import LastingSession
from .session import Session
from .state.history import Point

#: A file that is uploaded has to fit into the guest's mailbox.
MOST_BYTES = 64 << 20
#: So many are told to the page when the session goes to another state; each takes a few milliseconds.
MOST_FOLLOWED = 300
#: What was left out is named so many times in a session.
MOST_SAID = 20
_ADVICE = "Runner.widgets says which may be shown."


class Comms:
    """The widgets of one session, as far as the host knows them.

    Attributes:
        open: The identifiers of those that live.
        stale: What the page shows of them may be of a future that was left.
    """

    def __init__(self, allowed: str) -> None:
        self.open: frozenset[str] = frozenset()
        self.stale = False
        self._allowed = allowed
        #: What each identifier stands for, also of those that are closed.
        self._models: dict[str, str] = {}
        self._said: set[str] = set()

    def put(self, event: wire.Comm, outlet: iopub.Outlet) -> None:
        """Send what a guest says of a widget, as far as it may be sent."""
        try:
            passed = self._pass(event, outlet)
        except widgets.RefusedError as error:
            self._say(str(error), outlet)
        else:
            if passed is not None:
                kind, content, more = passed
                outlet.put((kind, content), **more)

    def _pass(self, event: wire.Comm, outlet: iopub.Outlet) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        if event.kind == "open":
            return self._open(event, outlet)
        if event.id not in self.open:
            return None  # It was refused, or belongs to a future that was undone.
        if event.kind == "close":
            self.open -= {event.id}
            return "comm_close", {"comm_id": event.id, "data": {}}, {}
        method = event.data.get("method")
        if method in ("update", "echo_update"):
            data, buffers = self._state(event, self._models[event.id], outlet)
            return "comm_msg", {"comm_id": event.id, "data": {"method": method, **data}}, {"buffers": buffers}
        content = event.data.get("content")
        if method == "custom" and (self._allowed == "trusted" or content in ({"do": "focus"}, {"do": "blur"})):
            data = {"method": method, "content": _carriable(content)}
            return "comm_msg", {"comm_id": event.id, "data": data}, {"buffers": _decoded(event.buffers)}
        raise widgets.RefusedError(f"a message to {self._models[event.id]}")

    def _open(self, event: wire.Comm, outlet: iopub.Outlet) -> tuple[str, dict[str, Any], dict[str, Any]]:
        state, version = event.data.get("state"), event.metadata.get("version")
        if self._allowed == "none":
            raise widgets.RefusedError("widgets")
        if event.target != widgets.TARGET or not isinstance(state, dict) or not widgets.is_version(version):
            raise widgets.RefusedError(f"a comm for {policy.clean_word(event.target)}")
        model = "" if self._allowed == "trusted" else widgets.model_of(state)
        if self._models.get(event.id, model) != model or len(self._models) >= widgets.MOST_MODELS:
            raise widgets.RefusedError("a widget too many")
        self._models[event.id] = model
        data, buffers = self._state(event, model, outlet)
        self.open |= {event.id}
        content = {"comm_id": event.id, "target_name": widgets.TARGET, "data": data}
        return "comm_open", content, {"metadata": {"version": version}, "buffers": buffers}

    def _state(self, event: wire.Comm, model: str, outlet: iopub.Outlet) -> tuple[dict[str, Any], list[bytes]]:
        state, paths = event.data.get("state"), event.data.get("buffer_paths")
        if not isinstance(state, dict):
            raise widgets.RefusedError(f"a state of {model}")
        if self._allowed == "trusted":
            return _carriable({"state": state, "buffer_paths": paths or []}), _decoded(event.buffers)
        kept, refused = widgets.clean_state(model, state, self._models, outlet.parent_id)
        for name in refused:
            self._say(name, outlet)
        places, buffers = widgets.clean_buffers(model, paths, event.buffers)
        return {"state": kept, "buffer_paths": places}, buffers

    def _say(self, what: str, outlet: iopub.Outlet) -> None:
        if what not in self._said and len(self._said) < MOST_SAID:
            self._said.add(what)
            text = f"[sandbox: Not shown: {policy.clean_word(what, 100)}. {_ADVICE}]\n"
            outlet.put(("stream", {"name": "stderr", "text": text}))

    def shown(self, event: wire.Event) -> wire.Event:
        """Return ``event`` without the view of a widget that does not live."""
        if isinstance(event, wire.Display | wire.Result) and widgets.VIEW in event.data:
            view = event.data[widgets.VIEW]
            if not widgets.is_view(view) or view["model_id"] not in self.open:
                data = {name: item for name, item in event.data.items() if name != widgets.VIEW}
                return wire.replace(event, data=data)
        return event

    def go_to(self, point: Point | None) -> None:
        """Know the widgets that lived when the state was taken that the session goes on from."""
        mark = None if point is None else point.mark
        self.open = mark if isinstance(mark, frozenset) else frozenset()
        self.stale = True

    def settle(self, execution: Execution, before: frozenset[str]) -> None:
        """After a cell: its widgets are gone when its process is."""
        if execution.finished is None or not execution.finished.lives:
            self.open = before
            self.stale = True


def _carriable(data: Any) -> Any:
    """Return ``data`` without what has no UTF-8."""
    return json.loads(json.dumps(data, ensure_ascii=False).encode("utf-8", "replace"))


def _decoded(buffers: list[str]) -> list[bytes]:
    try:
        return [base64.b64decode(item, validate=True) for item in buffers]
    except ValueError:
        raise widgets.RefusedError("a binary part that is none") from None


class CommHandlers(Kernel):
    """The part of the kernel that answers what front ends say of widgets. Who inherits has the session and what it shows."""

    msg_types = [*Kernel.msg_types, "comm_open", "comm_msg", "comm_close"]  # noqa: RUF012

    comms: Comms
    _sandbox_session: Session | None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]
        self.comms = Comms("none")
        self._one_at_a_time = asyncio.Lock()

    async def shell_main(self, subshell_id: str | None, msg: Any) -> None:
        """Take the messages of the shell channel one after another.

        ipykernel lets those of widgets overtake a cell that awaits, as all of ours do, and then does not say when it is idle
        again: the front end, which waits for that, would not send the next.
        """
        async with self._one_at_a_time:
            await super().shell_main(subshell_id, msg)

    def _outlet(self, parent: dict[str, Any], silent: bool) -> iopub.Outlet:
        raise NotImplementedError

    def _show(self, event: wire.Event, outlet: iopub.Outlet) -> None:
        raise NotImplementedError

    async def comm_info_request(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Tell which widgets can be spoken with; a page that is loaded again asks each for its state."""
        wanted = parent["content"].get("target_name", "")
        known = sorted(self.comms.open) if self._listens() is not None and wanted in ("", widgets.TARGET) else []
        content = {"status": "ok", "comms": {name: {"target_name": widgets.TARGET} for name in known}}
        self._send(stream, "comm_info_reply", content, parent, ident=ident)

    async def comm_open(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Close what the front end opens: nothing in a guest waits for it. The widget manager then asks in another way."""
        content = {"comm_id": parent["content"].get("comm_id", ""), "data": {}}
        self._send(self.iopub_socket, "comm_close", content, parent, ident=b"comm_close")

    def _send(self, stream: Any, kind: str, content: dict[str, Any], parent: dict[str, Any], ident: Any) -> None:
        if self.session is not None:
            self.session.send(stream, kind, content, parent, ident=ident)

    async def comm_msg(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Give a message to its widget and show what comes of it."""
        await self._give("msg", parent)

    async def comm_close(self, stream: Any, ident: Any, parent: dict[str, Any]) -> None:
        """Tell a widget that its other half is gone."""
        await self._give("close", parent)
        self.comms.open -= {parent["content"].get("comm_id")}

    def _listens(self) -> LastingSession | None:
        """Return the session when its widgets live between two cells."""
        session = self._sandbox_session
        return session if isinstance(session, LastingSession) and session.mode == "exact" else None

    async def follow(self, outlet: iopub.Outlet) -> None:
        """Tell the page how each widget is, after the session has gone to another state."""
        session = self._listens()
        names = sorted(self.comms.open)[:MOST_FOLLOWED] if self.comms.stale and session is not None else []
        self.comms.stale = False
        for name in names:
            said = {"kind": "msg", "id": name, "data": {"method": REQUEST_STATE}, "metadata": {}, "buffers": []}
            if session is None or not await self._say_to_widget(session, said, outlet):
                break

    async def _give(self, kind: str, parent: dict[str, Any]) -> None:
        session, content = self._listens(), parent["content"]
        if session is None or content.get("comm_id") not in self.comms.open:
            return
        buffers = [bytes(item) for item in parent.get("buffers", ())]
        outlet = self._outlet(parent, silent=False)
        if sum(map(len, buffers)) > MOST_BYTES:
            text = f"[sandbox: More than {MOST_BYTES >> 20} MiB cannot be given to a widget at once.]\n"
            outlet.put(("stream", {"name": "stderr", "text": text}))
            return
        said = {"kind": kind, "id": content["comm_id"], "data": content.get("data", {}), "metadata": {}}
        said["buffers"] = [base64.b64encode(item).decode("ascii") for item in buffers]
        await self._say_to_widget(session, said, outlet)
        await self.follow(outlet)
        outlet.flush()

    async def _say_to_widget(self, session: LastingSession, said: dict[str, Any], outlet: iopub.Outlet) -> bool:
        """Say something to a widget and show what comes of it; return whether that went well."""
        before = self.comms.open
        execution = session.run("", label="widgets", name="<widget>", comm=said, parent=outlet.parent_id)
        try:
            async for event in execution:
                self._show(event, outlet)
        except SandboxError as error:
            outlet.put(("stream", {"name": "stderr", "text": f"[sandbox: {policy.clean_text(str(error))}]\n"}))
        self.comms.settle(execution, before)
        return execution.finished is not None and execution.finished.outcome == "ok"

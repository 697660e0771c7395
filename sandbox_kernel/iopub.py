"""Events to Jupyter messages: pure, but for the moment at which streams are sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from . import policy, widgets
from .guest import wire

Message = tuple[str, dict[str, Any]]

DEFAULT = policy.Policy()

#: Streams go out at most this often: jupyter_server drops what exceeds 1000 messages a second.
EVERY_S = 0.03
#: Pages that a cell may show beside the notebook, and the length of each.
MOST_PAGES = 10
PAGE_CHARACTERS = 250_000


def message(event: wire.Event, execution_count: int, rules: policy.Policy = DEFAULT) -> Message | None:
    """Return the type and content of the message for ``event``; None when a front end need not know."""
    if isinstance(event, wire.Stream):
        return "stream", {"name": event.name, "text": policy.clean_text(event.text)}
    if isinstance(event, wire.Display):
        return _display(event, rules)
    if isinstance(event, wire.Result):
        return "execute_result", {"execution_count": execution_count, **_shown(event, rules)}
    if isinstance(event, wire.ClearOutput):
        return "clear_output", {"wait": event.wait}
    if isinstance(event, wire.Error):
        return "error", error(event)
    text = _notice(event)
    return None if text is None else ("stream", {"name": "stderr", "text": text})


def _display(event: wire.Display, rules: policy.Policy) -> Message:
    content = _shown(event, rules)
    if event.display_id is None:
        return "display_data", content
    content["transient"] = {"display_id": policy.display_id(event.display_id)}
    return "update_display_data" if event.update else "display_data", content


def _shown(event: wire.Display | wire.Result, rules: policy.Policy) -> dict[str, Any]:
    also = [widgets.VIEW] if widgets.is_view(event.data.get(widgets.VIEW)) else []
    return {"data": rules.bundle(event.data, also), "metadata": rules.metadata(event.metadata)}


def error(event: wire.Error) -> dict[str, Any]:
    """Return the content of an error message, which is also that of an error reply."""
    return {
        "ename": policy.clean_text(event.name),
        "evalue": policy.clean_text(event.value),
        "traceback": [policy.clean_text(line) for line in event.traceback],
    }


class Reply:
    """What the reply to one request says, as the guest tells it bit by bit.

    Attributes:
        asked: The expressions of the request whose values go into it.
    """

    def __init__(self, asked: Mapping[str, str]) -> None:
        self.asked = {name: code for name, code in asked.items() if isinstance(name, str) and isinstance(code, str)}
        self._pages: list[dict[str, Any]] = []
        self._values: dict[str, Any] = {}
        self._error: dict[str, Any] | None = None

    def take(self, event: wire.Event) -> None:
        """Take note of an event; most have nothing to do with the reply."""
        if isinstance(event, wire.Error):
            self._error = error(event)
        elif isinstance(event, wire.Page) and len(self._pages) < MOST_PAGES:
            text = event.data.get("text/plain")
            if isinstance(text, str):  # Of all payloads a page alone does nothing but show.
                data = {"text/plain": policy.clean_text(text[:PAGE_CHARACTERS])}
                self._pages.append({"source": "page", "data": data, "start": 0})
        elif isinstance(event, wire.Expressions):
            self._values = {name: _value(event.values[name]) for name in self.asked if name in event.values}

    def content(self) -> dict[str, Any]:
        """Return the content of the reply, without the count."""
        if self._error is not None:
            return {"status": "error", **self._error}
        return {"status": "ok", "payload": self._pages, "user_expressions": self._values}


def _value(said: Any) -> dict[str, Any]:
    """Return the value of an expression, or how it failed."""
    said = said if isinstance(said, dict) else {}
    if said.get("status") == "ok":
        data, metadata = (item if isinstance(item, dict) else {} for item in (said.get("data"), said.get("metadata")))
        return {"status": "ok", "data": policy.clean_bundle(data), "metadata": policy.clean_metadata(metadata)}
    name, value = (policy.clean_text(str(said.get(key, ""))[:PAGE_CHARACTERS]) for key in ("ename", "evalue"))
    lines = said.get("traceback")
    told = [policy.clean_text(line) for line in lines if isinstance(line, str)] if isinstance(lines, list) else []
    return {"status": "error", "ename": name, "evalue": value, "traceback": told}


def _notice(event: wire.Event) -> str | None:
    """Return what the user is told of an event that is about the output itself."""
    if isinstance(event, wire.Truncated):
        return f"\n[Output over {event.limit_bytes / 2**20:g} MiB is left out. Runner.output_mib sets the limit.]\n"
    if isinstance(event, wire.Gap):
        return f"\n[Output was lost on its way: frames {event.first} to {event.last}.]\n"
    if isinstance(event, wire.Noise):
        return policy.clean_text(event.text) + "\n"
    return None


class Outlet:
    """Sends messages in order and merges what comes quickly to the same stream, as ipykernel does.

    Attributes:
        parent_id: The id of the request that they belong to.
        send: Sends at once what is not part of the cell's output.
        used: Something was put.
        before: Called before each put.
    """

    def __init__(self, send: Callable[..., None], parent_id: str = "") -> None:
        self.parent_id = parent_id
        self.send = send
        self.used = False
        self.before: Callable[[], None] = lambda: None
        self._name = ""
        self._texts: list[str] = []
        self._sent = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, message: Message, **more: Any) -> None:
        """Send a message: a stream at once or soon, anything else, with ``more`` of it, after what is waiting."""
        self.used = True
        self.before()
        kind, content = message
        if kind != "stream":
            self.flush()
            self.send(kind, content, **more)
            return
        if content["name"] != self._name:
            self.flush()
        self._name = content["name"]
        self._texts.append(content["text"])
        wait_s = self._sent + EVERY_S - time.monotonic()
        if wait_s <= 0:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.flush)

    def flush(self) -> None:
        """Send what is waiting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text, self._texts = "".join(self._texts), []
        if text:
            self.send("stream", {"name": self._name, "text": text})
            self._sent = time.monotonic()

"""Messages at the rate that jupyter_server passes on."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox_kernel import pace


class Server:
    """Counts as jupyter_server does, on a clock that goes as the pace waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.taken: list[tuple[float, str, Any]] = []
        self.pace = pace.Pace(lambda kind, content: self.taken.append((self.now, kind, content)))
        monkeypatch.setattr(pace, "time", SimpleNamespace(monotonic=lambda: self.now))
        loop = asyncio.get_running_loop()

        def call_later(wait_s: float, what: Any) -> asyncio.Handle:
            def go() -> None:
                self.now += wait_s
                what()

            return loop.call_soon(go)

        monkeypatch.setattr(pace.asyncio, "get_running_loop", lambda: SimpleNamespace(call_later=call_later))

    def busiest(self, weigh: Any) -> float:
        """Return the most that came within three seconds."""
        return max(sum(weigh(one) for one in self.taken if at - 3 < one[0] <= at) for at in {one[0] for one in self.taken})


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server at a moment of its own."""
    return Server(monkeypatch)


def text(number: int, size: int = 0) -> dict[str, Any]:
    """Return the content of a stream message."""
    return {"name": "stdout", "text": f"{number}" + "x" * size}


async def test_few_messages_do_not_wait(server: Server) -> None:
    """What an ordinary cell says goes out at once."""
    for number in range(1000):
        server.pace.send("display_data", text(number))
    assert len(server.taken) == 1000
    await server.pace.wait_sent()
    assert server.now == 1000.0


async def test_a_flood_of_messages_is_stretched(server: Server) -> None:
    """10,000 messages all arrive, in order, and never more than the server takes."""
    for number in range(10_000):
        server.pace.send("display_data", text(number))
    await server.pace.wait_sent()
    assert [content["text"] for _, _, content in server.taken] == [str(number) for number in range(10_000)]
    assert server.busiest(lambda _: 1) <= 3000


async def test_a_flood_of_text_is_stretched(server: Server) -> None:
    """8 MiB of text all arrive, in order, and never more bytes than the server takes."""
    for number in range(128):
        server.pace.send("stream", text(number, 2**16))
    await server.pace.wait_sent()
    assert [content["text"].rstrip("x") for _, _, content in server.taken] == [str(number) for number in range(128)]
    assert server.busiest(lambda one: len(one[2]["text"])) <= 3_000_000


async def test_one_message_that_is_too_large_is_sent(server: Server) -> None:
    """What can never fit does not wait for ever."""
    for number in range(3):
        server.pace.send("stream", text(number, 2_500_000))
    await server.pace.wait_sent()
    assert len(server.taken) == 3


async def test_an_interrupt_lets_everything_go(server: Server) -> None:
    """When the user stops the cell nothing is held back, then and after."""
    for number in range(10_000):
        server.pace.send("display_data", text(number))
    assert len(server.taken) < 10_000
    server.pace.hurry()
    assert len(server.taken) == 10_000
    server.pace.send("display_data", text(10_000))
    assert len(server.taken) == 10_001
    await server.pace.wait_sent()
    assert server.now == 1000.0

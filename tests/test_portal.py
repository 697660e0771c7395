"""Sync callers of an async core: what becomes of calls that go on when somebody closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox_kernel import portal as portals
from sandbox_kernel.portal import Portal


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """One more caller."""
    with ThreadPoolExecutor(1) as made:
        yield made


async def begin(begun: asyncio.Event) -> None:
    """Return when the other call has begun."""
    await begun.wait()


def test_a_call_that_needs_a_while_to_end_is_waited_for(threads: ThreadPoolExecutor) -> None:
    """A call that close() has told to end returns what it has to say, however many turns of the loop that takes."""
    portal = Portal()
    begun, told = asyncio.Event(), asyncio.Event()

    async def call() -> str:
        begun.set()
        await told.wait()
        for _ in range(100):
            await asyncio.sleep(0)
        return "ended"

    async def close() -> None:
        told.set()

    going = threads.submit(lambda: portal.call(call()))
    portal.call(begin(begun))
    portal.close(close())
    assert going.result(20) == "ended"


def test_a_call_that_does_not_end_is_answered(threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for ever for a call that close() could not end; what it has is let go of."""
    monkeypatch.setattr(portals, "CLOSE_S", 0.0)
    portal = Portal()
    begun = asyncio.Event()
    cleared = []

    async def call() -> None:
        try:
            begun.set()
            await asyncio.get_running_loop().create_future()
        finally:
            cleared.append(True)

    async def nothing() -> None:
        pass

    going = threads.submit(lambda: portal.call(call()))
    portal.call(begin(begun))
    portal.close(nothing())
    with pytest.raises(RuntimeError, match="closed before the call had ended"):
        going.result(20)
    assert cleared == [True]


def test_a_call_that_comes_after_the_end_is_refused() -> None:
    """Who calls when it is closed hears so, and nothing is begun."""
    portal = Portal()
    begun = []

    async def call() -> None:
        begun.append(True)

    async def nothing() -> None:
        pass

    portal.close(nothing())
    with pytest.raises(RuntimeError, match="is closed"):
        portal.call(call())
    assert begun == []

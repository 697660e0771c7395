"""When parts on a workspace are removed: not while anybody may need them, or may be writing the same ones anew."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from sandbox_kernel.backends.base import Request, Snapshot
from sandbox_kernel.limits import Limits
from sandbox_kernel.state.carried import CarryKeeper

A, B, C = "a" * 64, "b" * 64, "c" * 64


class Talk:
    """A sandbox that has been started for a request."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.ready: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.over = asyncio.Event()
        self.elsewhere: Any = None

    @property
    def ended(self) -> bool:
        return self.over.is_set()

    async def wait_ended(self) -> None:
        await self.over.wait()


def snapshot(*digests: str) -> Snapshot:
    """A snapshot of these parts."""
    return Snapshot("s", "carry", len(digests), Path(), parts=tuple((digest, 1) for digest in digests))


async def nowhere() -> Path:
    raise AssertionError("the host holds nothing")


def make_keeper() -> CarryKeeper:
    return CarryKeeper(nowhere, 1 << 30, 1.0, elsewhere=True)


async def begin(keeper: CarryKeeper) -> Talk:
    """Start a sandbox."""
    talk = Talk(await keeper.request(Request("s", 1, Limits(), None, "carry")))
    keeper.listen(cast("Any", talk))
    return talk


async def test_what_nobody_needs_is_removed_by_the_next_sandbox() -> None:
    """The next sandbox is told once of the parts that no snapshot has any more."""
    keeper = make_keeper()
    old, new = keeper.hold(snapshot(A, B)), keeper.hold(snapshot(B, C))
    await keeper.drop([old])
    talk = await begin(keeper)
    assert talk.request.dropped == (A,)
    assert talk.request.place.startswith("parts-")
    talk.over.set()
    assert (await begin(keeper)).request.dropped == ()
    await keeper.drop([new])


async def test_what_is_needed_again_is_not_removed() -> None:
    """A part that was given up, and is in a new snapshot before anybody removed it, stays."""
    keeper = make_keeper()
    await keeper.drop([keeper.hold(snapshot(A, B))])
    keeper.hold(snapshot(A))
    assert (await begin(keeper)).request.dropped == (B,)


async def test_nothing_is_removed_beside_another_sandbox() -> None:
    """While another sandbox may be writing the same part nobody is told to remove it; later somebody is."""
    keeper = make_keeper()
    other = await begin(keeper)
    await keeper.drop([keeper.hold(snapshot(A))])
    talk = await begin(keeper)
    assert talk.request.dropped == ()
    talk.over.set()
    other.over.set()
    assert (await begin(keeper)).request.dropped == (A,)


async def test_who_begins_waits_until_it_is_removed() -> None:
    """No sandbox starts before the one that removes parts has done so, or has ended."""
    for happens in ("ready", "over"):
        keeper = make_keeper()
        await keeper.drop([keeper.hold(snapshot(A))])
        removing = await begin(keeper)
        assert removing.request.dropped == (A,)
        waiting = asyncio.ensure_future(begin(keeper))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        if happens == "ready":
            removing.ready.set_result(True)
        else:
            removing.over.set()
        assert (await waiting).request.dropped == ()
        assert not removing.ready.cancelled()

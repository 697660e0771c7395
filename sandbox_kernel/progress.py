"""A start that takes long is shown, and removed before anything else is: as if it had never been there.

Only where a person looks on: nbval, nbclient, papermill and nbconvert allow no stdin, and programs that compare outputs name
no cell. What is shown is one display, the only output of its cell for as long as it is there, so that clear_output removes it
and nothing else.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from . import policy
from .iopub import Outlet

#: A start that is quicker is not worth a word.
AFTER_S = 3.0
#: Between two looks at what is waited for.
EVERY_S = 0.5
#: A sentence may hold words of the cluster.
LENGTH = 300


@contextmanager
def shown(waiting_for: Callable[[], str | None], outlet: Outlet, *, wanted: bool) -> Iterator[None]:
    """Show what ``waiting_for`` says, until it says None, something else is shown or the context is left."""
    if not wanted or outlet.used:
        yield
        return
    progress = _Progress(waiting_for, outlet)
    outlet.before = progress.end
    try:
        yield
    finally:
        progress.end()


class _Progress:
    def __init__(self, waiting_for: Callable[[], str | None], outlet: Outlet) -> None:
        self._waiting_for = waiting_for
        self._outlet = outlet
        self._id = uuid.uuid4().hex
        self._text = ""
        self._began = time.monotonic()
        self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        await asyncio.sleep(AFTER_S)
        while (sentence := self._waiting_for()) is not None:
            self._show(f"[{policy.clean_word(sentence, LENGTH)} {time.monotonic() - self._began:.0f} s]")
            await asyncio.sleep(EVERY_S)
        self.end()

    def _show(self, text: str) -> None:
        if text != self._text:
            kind = "update_display_data" if self._text else "display_data"
            self._text = text
            self._outlet.send(kind, {"data": {"text/plain": text}, "metadata": {}, "transient": {"display_id": self._id}})

    def end(self) -> None:
        """Remove what is shown, and show no more. May be called at any time."""
        self._task.cancel()
        if self._text:
            self._text = ""
            self._outlet.send("clear_output", {"wait": False})

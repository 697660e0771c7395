"""Sync callers on an async core: one background thread with an event loop. Not a second copy of anything."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers of any thread. The thread ends with the process or with close()."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon, because interpreters wait for other threads before they run what closes us.
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-kernel", daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and return its result. A KeyboardInterrupt here cancels it there."""
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("The portal cannot wait for itself; await the coroutine instead.")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the thread. May be called twice."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

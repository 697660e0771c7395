"""Sync callers on an async core: one background thread with an event loop. Not a second copy of anything."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Portal:
    """Runs coroutines for callers of any thread. The thread ends with the process or with close()."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon, because interpreters wait for other threads before they run what closes us.
        self._thread = threading.Thread(target=self._run, name="sandbox-kernel", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        self._last: asyncio.Task[None] | None = None

    def _run(self) -> None:
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and return its result. A KeyboardInterrupt here cancels it there."""
        if os.getpid() != self._pid:
            coroutine.close()
            raise RuntimeError("This executor was made before a fork, and its thread is in the parent. Make one here.")
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("The portal cannot wait for itself; await the coroutine instead.")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Coroutine[Any, Any, None]) -> None:
        """Run ``last`` and end the thread. In that thread, where the garbage collector may call this, both come soon."""
        if os.getpid() != self._pid:
            last.close()
            return
        if threading.current_thread() is self._thread:
            self._last = self._loop.create_task(last)
            self._last.add_done_callback(lambda _: self._loop.stop())
            return
        try:
            self.call(last)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

"""Sync callers on an async core: one background thread with an event loop. Not a second copy of anything."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

#: What goes on when the portal is closed has been told to end, and may take so long to.
CLOSE_S = 30.0
#: What does not end then is cancelled, and may take so long to let go of what it has.
CANCEL_S = 1.0


class Portal:
    """Runs coroutines for callers of any thread. The thread ends with the process or with close()."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # A daemon, because interpreters wait for other threads before they run what closes us.
        self._thread = threading.Thread(target=self._run, name="sandbox-kernel", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        self._last: asyncio.Task[None] | None = None
        #: Held while a call is begun, so that none is begun behind the back of who closes: nobody would ever answer it.
        self._beginning = threading.RLock()
        self._closed = False
        self._calls: set[concurrent.futures.Future[Any]] = set()

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            left = asyncio.all_tasks(self._loop)
            for task in left:
                task.cancel()
            if left:
                self._loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_S))
        finally:
            self._loop.close()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run ``coroutine`` and return its result. A KeyboardInterrupt here cancels it there.

        Raises RuntimeError when the portal is closed, or is closed meanwhile and the coroutine does not end.
        """
        if os.getpid() != self._pid:
            coroutine.close()
            raise RuntimeError("This executor was made before a fork, and its thread is in the parent. Make one here.")
        if threading.current_thread() is self._thread:
            coroutine.close()
            raise RuntimeError("The portal cannot wait for itself; await the coroutine instead.")
        with self._beginning:
            if self._closed:
                coroutine.close()
                raise RuntimeError("This executor is closed. Make another.")
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
            self._calls.add(future)
        future.add_done_callback(self._calls.discard)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            if not self._closed:
                raise
            raise RuntimeError("This executor was closed before the call had ended.") from None
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
            self._last.add_done_callback(lambda _: self._end(0.0))
            return
        try:
            self.call(last)
        finally:
            self._end(CLOSE_S)
            self._thread.join()

    def _end(self, wait_s: float) -> None:
        with self._beginning:
            self._closed = True
        calls = set(self._calls)
        concurrent.futures.wait(calls, wait_s)
        for call in calls:  # Who waits for one would wait for ever.
            call.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)

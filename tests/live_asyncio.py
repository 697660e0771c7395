"""Event loops with tasks that wait: see :mod:`live_things`."""

from __future__ import annotations

ASYNCIO: list[tuple[str, str, str]] = [
    (
        "asyncio_task",
        """
        import asyncio
        task_go = asyncio.Event()
        async def task_work():
            await task_go.wait()
            return "done"
        task = asyncio.create_task(task_work(), name="the task")
        await asyncio.sleep(0)
        """,
        """
        task_before = task.done(), task.get_name()
        task_go.set()
        (task_before, await task) == ((False, "the task"), "done")
        """,
    ),
    (
        "asyncio_queue",
        """
        import asyncio
        async_queue, async_lock = asyncio.Queue(), asyncio.Lock()
        await async_lock.acquire()
        async def async_consume():
            async with async_lock:
                return [await async_queue.get() for _ in range(2)]
        async_consumer = asyncio.ensure_future(async_consume())
        await async_queue.put(1)
        """,
        """
        async_before = async_queue.qsize(), async_lock.locked()
        async_lock.release()
        await async_queue.put(2)
        (async_before, await asyncio.wait_for(async_consumer, 60)) == ((1, True), [1, 2])
        """,
    ),
    (
        "asyncio_cancelled_later",
        """
        import asyncio
        cancel_seen = []
        async def cancel_work():
            try:
                await asyncio.sleep(1e6)
            except asyncio.CancelledError:
                cancel_seen.append("cleaned up")
                raise
        cancel_task = asyncio.create_task(cancel_work())
        await asyncio.sleep(0)
        """,
        """
        cancel_task.cancel()
        await asyncio.wait([cancel_task])
        cancel_task.cancelled() and cancel_seen == ["cleaned up"]
        """,
    ),
    (
        "asyncio_context",
        """
        import asyncio, contextvars
        task_variable, task_variable_go = contextvars.ContextVar("task_variable", default=0), asyncio.Event()
        async def task_variable_work(number):
            task_variable.set(number)
            await task_variable_go.wait()
            return task_variable.get()
        task_variable_tasks = [asyncio.create_task(task_variable_work(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        """,
        """
        task_variable_go.set()
        await asyncio.gather(*task_variable_tasks) == [1, 2] and task_variable.get() == 0
        """,
    ),
    (
        "asyncio_own_loop",
        """
        import asyncio
        own_loop, own_seen = asyncio.new_event_loop(), []
        own_loop.call_soon(own_seen.append, "soon")
        own_timer = own_loop.call_later(1e6, own_seen.append, "too early")
        """,
        """
        own_loop.call_soon(own_loop.stop)
        import threading
        own_thread = threading.Thread(target=own_loop.run_forever)
        own_thread.start()
        own_thread.join(60)
        own_left = own_timer.cancelled(), own_timer.when() > own_loop.time()
        own_loop.close()
        (own_seen, own_left) == (["soon"], (False, True))
        """,
    ),
    (
        "asyncio_loop_in_thread",
        """
        import asyncio, threading
        thread_loop = asyncio.new_event_loop()
        thread_loop_thread = threading.Thread(target=thread_loop.run_forever, daemon=True)
        thread_loop_thread.start()
        async def thread_loop_make():
            return asyncio.Event()
        thread_loop_go = asyncio.run_coroutine_threadsafe(thread_loop_make(), thread_loop).result(60)
        async def thread_loop_work():
            await thread_loop_go.wait()
            return threading.current_thread() is thread_loop_thread
        thread_loop_job = asyncio.run_coroutine_threadsafe(thread_loop_work(), thread_loop)
        """,
        """
        thread_loop_before = thread_loop_job.done()
        thread_loop.call_soon_threadsafe(thread_loop_go.set)
        thread_loop_result = thread_loop_job.result(60)
        thread_loop.call_soon_threadsafe(thread_loop.stop)
        thread_loop_thread.join(60)
        thread_loop.close()
        (thread_loop_before, thread_loop_result) == (False, True)
        """,
    ),
    (
        "asyncio_to_thread",
        """
        import asyncio, threading
        to_thread_go = threading.Event()
        to_thread_task = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(None, to_thread_go.wait, 3600))
        await asyncio.sleep(0)
        """,
        """
        to_thread_go.set()
        await asyncio.wait_for(to_thread_task, 60)
        """,
    ),
]

"""Threads that wait or work, and their locks and pools: see :mod:`live_things`."""

from __future__ import annotations

THREADS: list[tuple[str, str, str]] = [
    (
        "lock",
        """
        import threading
        lock = threading.Lock()
        lock.acquire()
        lock_seen = []
        def lock_work():
            with lock:
                lock_seen.append("got it")
        lock_thread = threading.Thread(target=lock_work)
        lock_thread.start()
        """,
        """
        lock_before = list(lock_seen), lock.locked(), lock_thread.is_alive()
        lock.release()
        lock_thread.join(60)
        lock_before == ([], True, True) and lock_seen == ["got it"] and not lock_thread.is_alive()
        """,
    ),
    (
        "rlock",
        """
        import threading
        rlock = threading.RLock()
        rlock.acquire()
        rlock.acquire()
        """,
        """
        rlock_tried = []
        def rlock_try():
            rlock_tried.append(rlock.acquire(blocking=False))
        def rlock_try_elsewhere():
            thread = threading.Thread(target=rlock_try)
            thread.start()
            thread.join(60)
        rlock_try()
        rlock_try_elsewhere()
        rlock.release(), rlock.release(), rlock.release()
        rlock_try_elsewhere()
        rlock_tried == [True, False, True]
        """,
    ),
    (
        "condition",
        """
        import threading
        condition, condition_items, condition_seen = threading.Condition(), [], []
        def condition_work():
            with condition:
                condition_seen.append(condition.wait_for(lambda: sum(condition_items) > 2))
        condition_threads = [threading.Thread(target=condition_work) for _ in range(2)]
        for condition_thread in condition_threads:
            condition_thread.start()
        """,
        """
        for condition_item in (1, 2):
            with condition:
                condition_items.append(condition_item)
                condition.notify_all()
        for condition_thread in condition_threads:
            condition_thread.join(60)
        condition_seen == [True, True]
        """,
    ),
    (
        "event",
        """
        import threading
        event, event_seen = threading.Event(), []
        event_thread = threading.Thread(target=lambda: event_seen.append(event.wait(3600)), daemon=True)
        event_thread.start()
        """,
        """
        event_before = list(event_seen)
        event.set()
        event_thread.join(60)
        (event_before, event_seen) == ([], [True])
        """,
    ),
    (
        "semaphore",
        """
        import threading
        semaphore = threading.BoundedSemaphore(2)
        semaphore.acquire(), semaphore.acquire()
        semaphore_thread = threading.Thread(target=semaphore.acquire)
        semaphore_thread.start()
        """,
        """
        semaphore_before = semaphore_thread.is_alive(), semaphore.acquire(blocking=False)
        semaphore.release()
        semaphore_thread.join(60)
        (semaphore_before, semaphore_thread.is_alive()) == ((True, False), False)
        """,
    ),
    (
        "barrier",
        """
        import threading
        barrier, barrier_seen = threading.Barrier(3), []
        barrier_threads = [threading.Thread(target=lambda: barrier_seen.append(barrier.wait())) for _ in range(2)]
        for barrier_thread in barrier_threads:
            barrier_thread.start()
        """,
        """
        barrier_seen.append(barrier.wait(60))
        for barrier_thread in barrier_threads:
            barrier_thread.join(60)
        sorted(barrier_seen) == [0, 1, 2]
        """,
    ),
    (
        "queue",
        """
        import queue, threading
        queue_in, queue_out = queue.Queue(), queue.PriorityQueue()
        def queue_work():
            while (item := queue_in.get()) is not None:
                queue_out.put(-item)
                queue_in.task_done()
        queue_thread = threading.Thread(target=queue_work)
        queue_thread.start()
        for queue_item in (3, 1, 2):
            queue_in.put(queue_item)
        """,
        """
        queue_in.put(7)
        queue_in.join()
        queue_in.put(None)
        queue_thread.join(60)
        [queue_out.get_nowait() for _ in range(4)] == [-7, -3, -2, -1]
        """,
    ),
    (
        "simple_queue",
        """
        import queue
        simple_queue, stack_queue = queue.SimpleQueue(), queue.LifoQueue(maxsize=2)
        for simple_item in "ab":
            simple_queue.put(simple_item)
            stack_queue.put(simple_item)
        """,
        """
        (simple_queue.get(), stack_queue.full(), stack_queue.get(), simple_queue.qsize()) == ("a", True, "b", 1)
        """,
    ),
    (
        "timer",
        """
        import threading
        timer_seen = []
        timer = threading.Timer(1e6, timer_seen.append, ["too early"])
        timer.start()
        """,
        """
        timer_alive = timer.is_alive()
        timer.cancel()
        timer.join(60)
        timer_alive and timer_seen == [] and not timer.is_alive()
        """,
    ),
    (
        "thread_local",
        """
        import threading
        local_data, local_go, local_seen = threading.local(), threading.Event(), []
        local_data.name = "main"
        def local_work():
            local_data.name = "other"
            local_go.wait()
            local_seen.append((local_data.name, threading.current_thread().name))
        local_thread = threading.Thread(target=local_work, name="local-thread")
        local_thread.start()
        """,
        """
        local_go.set()
        local_thread.join(60)
        (local_data.name, local_seen) == ("main", [("other", "local-thread")])
        """,
    ),
    (
        "thread_working",
        """
        import threading
        working_stop, working_counts, working_began = threading.Event(), [0], threading.Event()
        def working_work():
            while not working_stop.wait(0.01):
                working_counts[0] += 1
                working_began.set()
        working_thread = threading.Thread(target=working_work, daemon=True)
        working_thread.start()
        working_began.wait()
        """,
        """
        working_began.clear()
        working_goes_on = working_began.wait(60)
        working_stop.set()
        working_thread.join(60)
        working_goes_on and working_counts[0] >= 2 and not working_thread.is_alive()
        """,
    ),
    (
        "thread_generator",
        """
        import threading
        def shared_counting():
            for number in range(100):
                shared_turn.wait()
                yield number
        shared_turn, shared_generator = threading.Event(), shared_counting()
        shared_seen = []
        shared_thread = threading.Thread(target=lambda: shared_seen.append(next(shared_generator)))
        shared_thread.start()
        """,
        """
        shared_running = shared_generator.gi_running
        shared_turn.set()
        shared_thread.join(60)
        (shared_running, shared_seen, next(shared_generator)) == (True, [0], 1)
        """,
    ),
    (
        "thread_pool",
        """
        import concurrent.futures, threading
        pool_go = threading.Event()
        def pool_work(number):
            pool_go.wait()
            return number * number
        pool = concurrent.futures.ThreadPoolExecutor(2, initializer=lambda: None)
        pool_jobs = [pool.submit(pool_work, number) for number in range(5)]
        """,
        """
        pool_done_before = [job.done() for job in pool_jobs]
        pool_go.set()
        pool_results = [job.result(60) for job in pool_jobs] + list(pool.map(abs, [-1], timeout=60))
        pool.shutdown()
        (pool_done_before, pool_results) == ([False] * 5, [0, 1, 4, 9, 16, 1])
        """,
    ),
    (
        "future",
        """
        import concurrent.futures
        future, future_seen = concurrent.futures.Future(), []
        future.add_done_callback(lambda done: future_seen.append(done.result()))
        future.set_running_or_notify_cancel()
        """,
        """
        future_before = future.running()
        future.set_result("value")
        (future_before, future_seen, future.done()) == (True, ["value"], True)
        """,
    ),
    (
        "thread_in_read",
        """
        import os, threading
        reading_from, reading_to = os.pipe()
        reading_seen = []
        reading_thread = threading.Thread(target=lambda: reading_seen.append(os.read(reading_from, 5)))
        reading_thread.start()
        """,
        """
        os.write(reading_to, b"hello")
        reading_thread.join(60)
        reading_seen == [b"hello"]
        """,
    ),
    (
        "thread_profile",
        """
        import sys, threading
        profile_go, profile_seen = threading.Event(), []
        def profile_marked():
            pass
        def profile_work():
            sys.setprofile(lambda frame, event, _: profile_seen.append((event, frame.f_code.co_name)))
            profile_go.wait()
            profile_marked()
            sys.setprofile(None)
        profile_thread = threading.Thread(target=profile_work)
        profile_thread.start()
        """,
        """
        profile_go.set()
        profile_thread.join(60)
        ("call", "profile_marked") in profile_seen
        """,
    ),
    (
        "thread_trace",
        """
        import sys, threading
        trace_go, trace_lines = threading.Event(), []
        def trace_marked():
            trace_inside = 1
            return trace_inside
        def trace_function(frame, event, _):
            if frame.f_code is trace_marked.__code__:
                trace_lines.append(event)
                return trace_function
        def trace_work():
            sys.settrace(trace_function)
            trace_go.wait()
            trace_marked()
        trace_thread = threading.Thread(target=trace_work)
        trace_thread.start()
        """,
        """
        trace_go.set()
        trace_thread.join(60)
        trace_lines == ["call", "line", "line", "return"]
        """,
    ),
    (
        "thread_rounding",
        """
        import ctypes, platform, threading
        rounding_up = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
        rounding_set, rounding_go, rounding_seen = threading.Event(), threading.Event(), []
        def rounding_third(one, three):
            return one / three
        def rounding_work():
            ctypes.CDLL("libm.so.6").fesetround(rounding_up)
            rounding_set.set()
            rounding_go.wait()
            rounding_seen.append(rounding_third(1.0, 3.0))
        rounding_thread = threading.Thread(target=rounding_work)
        rounding_thread.start()
        rounding_set.wait()
        """,
        """
        rounding_go.set()
        rounding_thread.join(60)
        rounding_seen[0] > rounding_third(1.0, 3.0)  # The mode stands in a register of that thread alone.
        """,
    ),
]

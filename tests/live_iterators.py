"""Iterators, generators and coroutines in the middle of something: see :mod:`live_things`."""

from __future__ import annotations

ITERATORS: list[tuple[str, str, str]] = [
    (
        "generator",
        """
        def counting():
            total = 0
            while True:
                total += 1
                yield total
        generator = counting()
        next(generator)
        """,
        """
        next(generator) == 2 and generator.gi_frame.f_locals == {"total": 2}
        """,
    ),
    (
        "generator_send",
        """
        def averaging():
            total = count = 0
            while True:
                total += yield (total / count if count else 0)
                count += 1
        averager = averaging()
        next(averager)
        averager.send(10)
        """,
        """
        averager.send(20) == 15
        """,
    ),
    (
        "generator_finally",
        """
        finally_seen = []
        def with_finally():
            try:
                yield 1
            except KeyError:
                yield "caught"
            finally:
                finally_seen.append("closed")
        finally_generator = with_finally()
        next(finally_generator)
        """,
        """
        finally_thrown = finally_generator.throw(KeyError())
        finally_before = list(finally_seen)
        finally_generator.close()
        (finally_thrown, finally_before, finally_seen) == ("caught", [], ["closed"])
        """,
    ),
    (
        "generator_delegating",
        """
        def inner_numbers():
            yield from range(3)
            return "done"
        def outer_numbers():
            result = yield from inner_numbers()
            yield result
        delegating = outer_numbers()
        next(delegating)
        """,
        """
        delegating.gi_yieldfrom is not None and list(delegating) == [1, 2, "done"]
        """,
    ),
    (
        "generator_deep",
        """
        def nested(depth):
            yield depth
            if depth:
                yield from nested(depth - 1)
        deep_generator = nested(200)
        for deep_skip in range(150):
            next(deep_generator)
        """,
        """
        list(deep_generator) == list(range(50, -1, -1))
        """,
    ),
    (
        "generator_expression",
        """
        expression_source = iter(range(10))
        expression = (number * number for number in expression_source)
        next(expression), next(expression_source)
        """,
        """
        (next(expression), next(expression_source)) == (4, 3)
        """,
    ),
    (
        "coroutine",
        """
        import types
        @types.coroutine
        def pausing():
            return (yield "paused")
        async def adding(first):
            return first + await pausing()
        coroutine = adding(1)
        coroutine_said = coroutine.send(None)
        """,
        """
        try:
            coroutine.send(41)
        except StopIteration as stop:
            coroutine_value = stop.value
        (coroutine_said, coroutine_value) == ("paused", 42)
        """,
    ),
    (
        "async_generator",
        """
        async def async_counting():
            number = 0
            while True:
                number += (yield number) or 1
        async_numbers = async_counting()
        await async_numbers.__anext__()
        """,
        """
        [await async_numbers.__anext__(), await async_numbers.asend(10)] == [1, 11]
        """,
    ),
    (
        "context_manager",
        """
        import contextlib
        manager_seen = []
        @contextlib.contextmanager
        def managing(name):
            manager_seen.append("in")
            yield name.upper()
            manager_seen.append("out")
        manager = managing("a")
        manager_value = manager.__enter__()
        """,
        """
        manager.__exit__(None, None, None)
        (manager_value, manager_seen) == ("A", ["in", "out"])
        """,
    ),
    (
        "exit_stack",
        """
        import contextlib, io
        stack_seen = []
        stack = contextlib.ExitStack()
        stack.callback(stack_seen.append, "first in")
        stack_buffer = stack.enter_context(io.StringIO())
        stack.callback(lambda: stack_seen.append(stack_buffer.closed))
        """,
        """
        stack.close()
        stack_seen == [False, "first in"] and stack_buffer.closed
        """,
    ),
    (
        "async_exit_stack",
        """
        import contextlib
        async_stack_seen = []
        @contextlib.asynccontextmanager
        async def async_managing():
            yield
            async_stack_seen.append("left")
        async_stack = contextlib.AsyncExitStack()
        await async_stack.enter_async_context(async_managing())
        """,
        """
        await async_stack.aclose()
        async_stack_seen == ["left"]
        """,
    ),
    (
        "tee",
        """
        import itertools
        tee_left, tee_right = itertools.tee(number * 2 for number in range(4))
        next(tee_left), next(tee_left)
        """,
        """
        (list(tee_right), list(tee_left)) == ([0, 2, 4, 6], [4, 6])
        """,
    ),
    (
        "itertools",
        """
        import itertools
        grouped = itertools.groupby("aabbbc")
        next(grouped)
        group_letter, group_members = next(grouped)
        next(group_members)
        cycled = itertools.cycle("xyz")
        paired = itertools.product(range(2), "ab")
        counted = itertools.count(0.5, 0.25)
        for itertools_each in (cycled, paired, counted):
            next(itertools_each)
        """,
        """
        itertools_rest = len(list(group_members)), next(grouped)[0], next(cycled), next(paired), next(counted)
        itertools_rest == (2, "c", "y", (0, "b"), 0.75)
        """,
    ),
    (
        "container_iterators",
        """
        import collections
        container_sources = [
            {"a": 1, "b": 2}.items(), "ab", b"ab", [1, 2], (1, 2), range(2), memoryview(b"ab"), collections.deque("ab"),
            reversed([2, 1]), enumerate("ab"), zip("ab", "cd"), map(str.upper, "ab"), filter(None, "ab"),
        ]
        container_iterators = [iter(source) for source in container_sources]
        for container_each in container_iterators:
            next(container_each)
        """,
        """
        container_rest = [list(each) for each in container_iterators]
        container_rest == [
            [("b", 2)], ["b"], [98], [2], [2], [1], [98], ["b"], [2], [(1, "b")], [("b", "d")], ["B"], ["b"]
        ]
        """,
    ),
    (
        "changed_while_iterating",
        """
        changed_dict = {"a": 1, "b": 2}
        changed_iterator = iter(changed_dict)
        next(changed_iterator)
        """,
        """
        changed_dict["c"] = 3
        try:
            changed_value = next(changed_iterator)
        except RuntimeError as error:
            changed_value = str(error)
        changed_value == "dictionary changed size during iteration"
        """,
    ),
    (
        "set_iterator",
        """
        set_source = {f"name-{number}" for number in range(100)}
        set_order = list(set_source)
        set_iterator = iter(set_source)
        set_begun = [next(set_iterator) for _ in range(40)]
        """,
        """
        set_begun + list(set_iterator) == set_order == list(set_source)
        """,
    ),
    (
        "callable_iterator",
        """
        callable_left = [3, 2, 1, 0, 9]
        callable_iterator = iter(lambda: callable_left.pop(0), 0)
        next(callable_iterator)
        """,
        """
        (list(callable_iterator), callable_left) == ([2, 1], [9])
        """,
    ),
    (
        "heap_merge",
        """
        import heapq
        merged = heapq.merge([1, 4, 7], (number for number in (2, 5, 8)), [3, 6, 9])
        for merged_skip in range(4):
            next(merged)
        """,
        """
        list(merged) == [5, 6, 7, 8, 9]
        """,
    ),
]

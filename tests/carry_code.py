"""Functions, classes and what hangs on them: see :mod:`carry_cases`."""

from __future__ import annotations

FUNCTIONS: list[tuple[str, str, str]] = [
    ("lambda", "x = lambda a, b=2: a + b", "x(1) == 3"),
    (
        "function",
        """
        def full(a, /, b: int = 2, *rest, c=(), **more) -> list:
            "What it does."
            return [a, b, rest, c, more]
        full.note = "noted"
        x = full
        """,
        "x(1, c=3, d=4) == [1, 2, (), 3, {'d': 4}] and x is full and (x.__doc__, x.note) == ('What it does.', 'noted')",
    ),
    (
        "annotations_and_signature",
        "import inspect\ndef signed(a: int, *, b: 'str' = 'c') -> None: ...\nx = signed",
        "str(inspect.signature(x)) == \"(a: int, *, b: 'str' = 'c') -> None\"",
    ),
    (
        "recursive_function",
        """
        def fact(n):
            return n * fact(n - 1) if n else 1
        x = fact
        """,
        "x(20) == 2432902008176640000",
    ),
    (
        "mutual_recursion",
        """
        def even(n):
            return n == 0 or odd(n - 1)
        def odd(n):
            return n > 0 and even(n - 1)
        x = even
        """,
        "x(10) and not x(7)",
    ),
    (
        "closure",
        """
        def counter():
            count = 0
            def tick():
                nonlocal count
                count += 1
                return count
            def peek():
                return count
            return tick, peek
        x = counter()
        x[0]()
        """,
        "(x[0](), x[0](), x[1]()) == (2, 3, 3)",
    ),
    (
        "recursive_closure",
        """
        def deep():
            def down(n):
                return n and down(n - 1)
            return down
        x = deep()
        """,
        "x(50) == 0",
    ),
    (
        "empty_cell",
        """
        def unbound():
            def inner():
                return late
            if 0:
                late = 1
            return inner
        x = unbound()
        """,
        "x.__closure__[0] is not None and x.__name__ == 'inner'",
    ),
    (
        "decorated",
        """
        import functools
        def twice(function):
            @functools.wraps(function)
            def both(*args):
                return [function(*args), function(*args)]
            return both
        @twice
        def decorated(a):
            "Says a."
            return a
        x = decorated
        """,
        "x(1) == [1, 1] and x.__wrapped__(1) == 1 and (x.__name__, x.__doc__) == ('decorated', 'Says a.')",
    ),
    (
        "cached",
        """
        import functools
        @functools.lru_cache(maxsize=3)
        def square(n):
            'Squares.'
            return n * n
        x = square
        """,
        "x(3) == 9 and x.cache_parameters() == {'maxsize': 3, 'typed': False} and x.__doc__ == 'Squares.'",
    ),
    (
        "cached_recursion",
        """
        import functools
        @functools.lru_cache(maxsize=None)
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
        x = fibonacci
        """,
        "x(80) == 23416728348467685",
    ),
    (
        "cached_builtin",
        "import functools\nx = functools.lru_cache(divmod)",
        "x(7, 2) == (3, 1) and x.cache_info().currsize == 1",
    ),
    (
        "cached_method",
        """
        import functools
        class Cached:
            def __init__(self):
                self.calls = 0
            @functools.lru_cache(maxsize=None)
            def method(self, n):
                self.calls += 1
                return n
        x = Cached()
        """,
        "(x.method(1), x.method(1), x.calls) == (1, 1, 1)",
    ),
    (
        "cached_property",
        """
        import functools
        class Property:
            calls = 0
            @functools.cached_property
            def made(self):
                self.calls += 1
                return [self.calls]
        x = [Property(), Property()]
        x[0].made
        """,
        "[a.made for a in x] == [[1], [1]] and x[0].calls == 1",
    ),
    (
        "single_dispatch",
        """
        from functools import singledispatch
        @singledispatch
        def kind(value):
            return "any"
        @kind.register(int)
        def kind_of_int(value):
            return "int"
        x = kind
        """,
        "(x('a'), x(1), x(True)) == ('any', 'int', 'int')",
    ),
    (
        "single_dispatch_method",
        """
        from functools import singledispatchmethod
        class Teller:
            @singledispatchmethod
            def tell(self, value):
                return "any"
            @tell.register
            def tell_int(self, value: int):
                return "int"
        x = Teller()
        """,
        "(x.tell('a'), x.tell(1)) == ('any', 'int')",
    ),
    (
        "partial",
        """
        import functools
        x = functools.partial(lambda a, b, c: [a, b, c], 1, c=3)
        """,
        "x(2) == [1, 2, 3]",
    ),
    (
        "partial_method",
        """
        import functools
        class Switch:
            def turn(self, on):
                return on
            off = functools.partialmethod(turn, False)
        x = Switch()
        """,
        "x.off() is False",
    ),
    (
        "operators",
        """
        import operator
        x = operator.itemgetter(1, 0), operator.attrgetter('real'), operator.methodcaller('upper')
        """,
        "(x[0]('ab'), x[1](2), x[2]('a')) == (('b', 'a'), 2, 'A')",
    ),
    (
        "builtin_functions",
        "import math\nx = len, math.sqrt, print, open",
        "x[0] is len and x[1] is math.sqrt and x[2] is print and x[3] is open",
    ),
    ("method_of_builtin", "bag = [1]\nx = bag.append", "x(2) or bag == [1, 2]"),
    (
        "method_descriptors",
        "x = str.upper, int.__add__, dict.fromkeys, object.__init__",
        "(x[0]('a'), x[1](1, 2), x[2]('a')) == ('A', 3, {'a': None})",
    ),
    (
        "bound_method",
        """
        class Bound:
            def me(self):
                return self
        bound = Bound()
        x = bound.me
        """,
        "x() is bound and x.__func__ is Bound.me",
    ),
    ("method_wrapper", "x = (3).__add__", "x(4) == 7"),
    ("code_object", "x = compile('a + 1', '<made>', 'eval')", "eval(x, {'a': 2}) == 3"),
    (
        "syntax_tree",
        "import ast\nx = ast.parse('a = 1')",
        "ast.dump(x.body[0].value) == ast.dump(ast.parse('1').body[0].value)",
    ),
    (
        "generator_function",
        """
        def numbers(n):
            yield from range(n)
        x = numbers
        """,
        "list(x(3)) == [0, 1, 2]",
    ),
    (
        "coroutine_function",
        """
        import asyncio
        async def later(a):
            await asyncio.sleep(0)
            return a
        x = later
        """,
        "asyncio.new_event_loop().run_until_complete(x(5)) == 5",
    ),
    (
        "context_manager_function",
        """
        import contextlib
        @contextlib.contextmanager
        def around(log):
            log.append("in")
            try:
                yield 1
            finally:
                log.append("out")
        def through(manager):
            log = []
            with manager(log) as one:
                log.append(one)
            return log
        x = around
        """,
        "through(x) == ['in', 1, 'out']",
    ),
    (
        "function_of_exec",
        "made_globals = {'a': 1}\nexec('def get():\\n    return a', made_globals)\nx = made_globals['get']",
        "x() == 1 and x.__globals__ is made_globals",
    ),
    (
        "source_of_function",
        """
        import inspect
        def shown():
            return 1
        x = shown
        """,
        "x.__code__.co_firstlineno > 1 and x.__code__.co_name == 'shown'",
    ),
    (
        "mutable_default",
        """
        def remember(a, kept=[]):
            kept.append(a)
            return kept
        x = remember
        x(1)
        """,
        "x(2) == [1, 2] and x.__defaults__[0] is x(3)",
    ),
    (
        "method_of_super",
        """
        class Top:
            def who(self):
                return ['top']
        class Low(Top):
            def who(self):
                return ['low', *super().who()]
        x = Low()
        """,
        "x.who() == ['low', 'top']",
    ),
]

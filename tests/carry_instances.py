"""Instances of classes made in cells: see :mod:`carry_cases`."""

from __future__ import annotations

INSTANCES: list[tuple[str, str, str]] = [
    (
        "properties",
        """
        class Celsius:
            def __init__(self, degrees):
                self._degrees = degrees
            @property
            def degrees(self):
                "In degrees."
                return self._degrees
            @degrees.setter
            def degrees(self, value):
                self._degrees = value + 1
            @classmethod
            def zero(cls):
                return cls(0)
            @staticmethod
            def unit():
                return "C"
        x = Celsius(5)
        x.degrees = 9
        """,
        "(x.degrees, x.zero().degrees, x.unit(), Celsius.degrees.__doc__) == (10, 0, 'C', 'In degrees.')",
    ),
    (
        "descriptor",
        """
        class Positive:
            def __set_name__(self, owner, name):
                self.name = "_" + name
            def __get__(self, item, owner):
                return self if item is None else getattr(item, self.name)
            def __set__(self, item, value):
                setattr(item, self.name, abs(value))
        class Priced:
            price = Positive()
        x = Priced()
        x.price = -3
        """,
        "x.price == 3 and type(Priced.price) is Positive and Priced.price.name == '_price'",
    ),
    (
        "state_methods",
        """
        class Stateful:
            def __init__(self):
                self.a, self.scratch = 1, lambda: None
            def __getstate__(self):
                return {"a": self.a}
            def __setstate__(self, state):
                self.__dict__.update(state)
                if not hasattr(self, "scratch"):
                    self.scratch = None
        x = Stateful()
        """,
        "x.a == 1 and hasattr(x, 'scratch')",
    ),
    (
        "reduce",
        """
        class Reduced:
            def __init__(self, a):
                self.a = a
            def __reduce__(self):
                return Reduced, (self.a,)
        x = Reduced(7)
        """,
        "x.a == 7",
    ),
    (
        "new_with_arguments",
        """
        class Newly:
            def __new__(cls, a):
                self = super().__new__(cls)
                self.a = a
                return self
            def __getnewargs__(self):
                return (self.a,)
        x = Newly(3)
        """,
        "x.a == 3",
    ),
    (
        "singleton",
        """
        class Single:
            one = None
            def __new__(cls):
                cls.one = cls.one or super().__new__(cls)
                return cls.one
        x = Single()
        """,
        "x is Single() and x is Single.one",
    ),
    (
        "callable_instance",
        """
        class Adder:
            def __init__(self, n):
                self.n = n
            def __call__(self, a):
                return a + self.n
        x = Adder(2)
        """,
        "x(3) == 5",
    ),
    (
        "hashed_by_user",
        """
        class Hashed:
            def __init__(self, a):
                self.a = a
            def __hash__(self):
                return hash(self.a)
            def __eq__(self, other):
                return self.a == other.a
        x = {Hashed(1): 'one'}, {Hashed(2)}
        """,
        "x[0][Hashed(1)] == 'one' and Hashed(2) in x[1]",
    ),
    (
        "set_with_itself",
        """
        class Node:
            def __init__(self):
                self.near = set()
        x = Node()
        x.near.add(x)
        """,
        "x in x.near",
    ),
    (
        "list_subclass",
        """
        class Stack2(list):
            def top(self):
                return self[-1]
        x = Stack2([1, 2])
        x.note = 'n'
        """,
        "(x.top(), x.note, x) == (2, 'n', [1, 2])",
    ),
    (
        "dict_subclass",
        """
        class Dotted(dict):
            def __getattr__(self, name):
                try:
                    return self[name]
                except KeyError as error:
                    raise AttributeError(name) from error
        x = Dotted(a=1)
        """,
        "x.a == 1 and type(x) is Dotted",
    ),
    (
        "integer_subclass",
        """
        class Metres(int):
            def __repr__(self):
                return f'{int(self)}m'
        x = Metres(5)
        """,
        "repr(x) == '5m' and x + 1 == 6",
    ),
    (
        "counter_subclass",
        """
        from collections import Counter
        class Bag(Counter):
            def __init__(self, items=()):
                super().__init__(items)
                self.notes = notes_of_bag
        notes_of_bag = 'n'
        x = Bag('aab')
        """,
        "x['a'] == 2 and x.notes == 'n'",
    ),
    (
        "exception",
        """
        class Failure(ValueError):
            def __init__(self, a, b):
                super().__init__(f'{a} {b}')
                self.a = a
            def __reduce__(self):
                return Failure, (self.a, 'again')
        x = Failure('an', 'error')
        """,
        "x.a == 'an' and isinstance(x, ValueError)",
    ),
    (
        "exception_of_other_arguments",
        """
        class Bad(ValueError):
            def __init__(self, row, column):
                super().__init__(f"bad cell {row}, {column}")
                self.row = row
        x = Bad(1, 2)
        x.note = [x]
        """,
        "str(x) == 'bad cell 1, 2' and x.args == ('bad cell 1, 2',) and x.row == 1 and x.note[0] is x and type(x) is Bad",
    ),
    ("builtin_exception", "x = OSError(2, 'gone', 'a.txt')", "type(x) is FileNotFoundError and x.filename == 'a.txt'"),
    (
        "caught_exception",
        """
        try:
            1 / 0
        except ZeroDivisionError as error:
            x = error
        """,
        "str(x) == 'division by zero'",
    ),
    (
        "class_attributes_later",
        """
        class Grown:
            pass
        Grown.added = 5
        Grown.method = lambda self: self.added
        x = Grown()
        """,
        "x.method() == 5",
    ),
    (
        "class_with_doc",
        """
        class Documented:
            'Says what.'
            a: int = 1
        x = Documented
        """,
        "x.__doc__ == 'Says what.' and x.a == 1",
    ),
    (
        "comparison_by_total_ordering",
        """
        import functools
        @functools.total_ordering
        class Sized:
            def __init__(self, n):
                self.n = n
            def __eq__(self, other):
                return self.n == other.n
            def __lt__(self, other):
                return self.n < other.n
        x = [Sized(2), Sized(1)]
        """,
        "min(x).n == 1 and x[0] >= x[1]",
    ),
    (
        "iterator_class",
        """
        class Down:
            def __init__(self, n):
                self.n = n
            def __iter__(self):
                return self
            def __next__(self):
                if not self.n:
                    raise StopIteration
                self.n -= 1
                return self.n
        x = Down(3)
        next(x)
        """,
        "list(x) == [1, 0]",
    ),
    (
        "context_manager_class",
        """
        class Managed:
            depth = 0
            def __enter__(self):
                self.depth += 1
                return self
            def __exit__(self, *_):
                self.depth -= 1
        x = Managed().__enter__()
        """,
        "x.__exit__() or x.depth == 0",
    ),
    (
        "private_names",
        """
        class Hidden:
            def __init__(self):
                self.__secret = 4
            def tell(self):
                return self.__secret
        x = Hidden()
        """,
        "x.tell() == 4 and x._Hidden__secret == 4",
    ),
    (
        "hostile",
        """
        class Hostile:
            def fails(self, *_):
                raise RuntimeError("nobody asked")
            __eq__ = __bool__ = __len__ = __repr__ = __str__ = __sizeof__ = __iter__ = __hash__ = __dir__ = fails
            nbytes = shape = __doc__ = property(fails)
            a = 1
        x = Hostile()
        """,
        "x.a == 1 and type(x) is Hostile",
    ),
    (
        "required_by_its_base",
        """
        class Strict:
            def __init_subclass__(cls, *, key):
                cls.key = key
        class Follows(Strict, key="k"):
            pass
        x = Follows
        """,
        "x.key == 'k' and x.__mro__[1] is Strict",
    ),
]

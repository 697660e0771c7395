"""What only some Pythons have: the first minor version with it, or minus the first without. See :mod:`carry_cases`."""

from __future__ import annotations

NEW: list[tuple[int, str, str, str]] = [
    (10, "union_of_types", "x = int | str", "isinstance(1, x) and x == int | str"),
    (
        10,
        "parameters_of_function",
        """
        from typing import ParamSpec
        P = ParamSpec('P')
        x = P
        """,
        "x is P and x.__name__ == 'P'",
    ),
    (
        10,
        "dataclass_with_slots",
        """
        import dataclasses
        @dataclasses.dataclass(slots=True, kw_only=True)
        class Lean:
            a: int = 5
        x = Lean()
        """,
        "x == Lean() and not hasattr(x, '__dict__')",
    ),
    (
        10,
        "match_statement",
        """
        def matched(a):
            match a:
                case [b, *_]:
                    return b
        x = matched
        """,
        "x([3, 4]) == 3",
    ),
    (
        11,
        "exception_group",
        "x = ExceptionGroup('several', [ValueError(1), TypeError(2)])",
        "x.split(ValueError)[0].exceptions[0].args == (1,)",
    ),
    (11, "exception_with_notes", "x = ValueError(1)\nx.add_note('noted')", "x.__notes__ == ['noted']"),
    (
        11,
        "enum_of_words",
        """
        from enum import StrEnum, auto
        class Words(StrEnum):
            ONE = auto()
        x = Words.ONE
        """,
        "x is Words.ONE and x == 'one'",
    ),
    (12, "type_alias", "type Numbers = list[int]\nx = Numbers", "x is Numbers and x.__value__ == list[int]"),
    (
        12,
        "generic_class_by_syntax",
        """
        class Box[U]:
            def __init__(self, a: U):
                self.a = a
        x = Box[int](3)
        """,
        "type(x) is Box and x.a == 3 and Box.__type_params__[0].__name__ == 'U'",
    ),
    (
        12,
        "generic_function_by_syntax",
        "def same[V](a: V) -> V:\n    return a\nx = same",
        "x(3) == 3 and x.__type_params__[0].__name__ == 'V'",
    ),
    (-14, "counting", "import itertools\nx = itertools.count(5, 2)\nnext(x)", "(next(x), next(x)) == (7, 9)"),
    (
        -14,
        "cycling",
        "import itertools\nx = itertools.cycle('ab')\nnext(x)",
        "[next(x) for _ in range(3)] == ['b', 'a', 'b']",
    ),
    (-14, "chaining", "import itertools\nx = itertools.chain('ab', [1])\nnext(x)", "list(x) == ['b', 1]"),
    (
        -14,
        "products",
        "import itertools\nx = itertools.product('ab', repeat=2)\nnext(x)",
        "[''.join(pair) for pair in x] == ['ab', 'ba', 'bb']",
    ),
    (
        -14,
        "slicing",
        """
        import itertools
        x = itertools.islice('abcdef', 1, None, 2)
        next(x)
        """,
        "list(x) == ['d', 'f']",
    ),
    (
        -14,
        "groups",
        """
        import itertools
        x = itertools.groupby('aab')
        """,
        "[(key, len(list(group))) for key, group in x] == [('a', 2), ('b', 1)]",
    ),
]

"""What cells mean to each other: names and functions. Cells are parted by a line of dashes. See :mod:`carry_cases`."""

from __future__ import annotations

NAMES: list[tuple[str, str]] = [
    (
        "functions_see_later_values",
        """
        rate = 1
        def price():
            return rate
        ---
        rate = 2
        assert price() == 2
        ---
        assert price() == 2
        """,
    ),
    (
        "global_statement",
        """
        count = 0
        def more():
            global count, fresh
            count += 1
            fresh = count
        more()
        ---
        more()
        assert (count, fresh) == (2, 2)
        ---
        more()
        assert (count, fresh) == (3, 3)
        """,
    ),
    (
        "callers_see_a_redefinition",
        """
        def helper():
            return "old"
        def caller():
            return helper()
        ---
        def helper():
            return "new"
        ---
        assert caller() == "new"
        """,
    ),
    (
        "functions_of_different_cells",
        """
        def even(n):
            return n == 0 or odd(n - 1)
        ---
        def odd(n):
            return n > 0 and even(n - 1)
        ---
        assert even(10) and odd(7) and even.__globals__ is odd.__globals__ is globals()
        """,
    ),
    (
        "deleted_names_stay_deleted",
        """
        a, b = 1, 2
        ---
        del a
        ---
        assert b == 2
        try:
            a
            raise AssertionError
        except NameError as error:
            assert str(error) == "name 'a' is not defined"
        """,
    ),
    (
        "the_name_of_the_module",
        """
        class Thing:
            pass
        def told():
            return __name__
        ---
        import sys, types
        assert __name__ == "__main__" == Thing.__module__ == told() == told.__module__
        assert vars(sys.modules["__main__"]) is globals() is told.__globals__
        """,
    ),
    (
        "builtins_stay_a_module",
        """
        def uses_builtins():
            return len([1])
        ---
        import builtins
        assert __builtins__ is builtins and type(builtins).__name__ == "module"
        assert uses_builtins() == 1
        ---
        assert __builtins__ is builtins
        """,
    ),
    (
        "underscore_and_private_names",
        """
        _, _hidden, __very = 5, [6], 7
        ---
        assert (_, _hidden, __very) == (5, [6], 7)
        """,
    ),
    (
        "names_in_order",
        """
        zebra, ant = 1, 2
        def bee(): ...
        import json
        cat = 3
        ---
        names = [name for name in globals() if name in ("zebra", "ant", "bee", "json", "cat")]
        assert sorted(names) == ["ant", "bee", "cat", "json", "zebra"]
        """,
    ),
    (
        "annotations_of_names",
        """
        n: int = 5
        ---
        m: str = "a"
        ---
        import sys
        assert sys.version_info >= (3, 14) or __annotations__ == {"n": int, "m": str}
        """,
    ),
    (
        "two_names_for_one_object",
        """
        a = [1]
        b = a
        holder = {"a": a}
        ---
        a.append(2)
        assert b == [1, 2] and b is a is holder["a"]
        ---
        b.append(3)
        assert a == [1, 2, 3]
        """,
    ),
    (
        "an_object_and_its_method",
        """
        class Account:
            def __init__(self):
                self.money = 0
            def pay(self, n):
                self.money += n
        account = Account()
        pay, pays = account.pay, [account.pay]
        ---
        pay(5), pays[0](6)
        assert account.money == 11 and pay.__self__ is account
        """,
    ),
    (
        "closures_share_their_variables",
        """
        def account(money):
            def pay(n):
                nonlocal money
                money += n
            def told():
                return money
            return pay, told
        pay, told = account(5)
        ---
        pay(6)
        ---
        assert told() == 11 and pay.__closure__[0] is told.__closure__[0]
        """,
    ),
    (
        "a_default_is_one_object",
        """
        log = []
        def note(a, log=log):
            log.append(a)
        ---
        note(1)
        ---
        note(2)
        assert log == [1, 2]
        """,
    ),
    (
        "a_caught_error_is_kept",
        """
        made = [1]
        try:
            made.append(2)
            raise ValueError("stop")
        except ValueError as error:
            kept = error
        ---
        assert made == [1, 2] and str(kept) == "stop" and kept.args == ("stop",)
        """,
    ),
    (
        "values_made_with_globals_of_the_next_names",
        """
        class Bag(dict):
            def __setitem__(self, key, value):
                super().__setitem__(key, value * factor)
        factor = 1
        bag = Bag(a=1)
        bag["b"] = 2
        factor = 10
        ---
        assert bag == {"a": 1, "b": 2} or bag == {"a": 10, "b": 20}, bag
        bag["c"] = 1
        assert bag["c"] == 10
        """,
    ),
    (
        "import_in_one_cell_use_in_another",
        """
        import os.path, xml.etree.ElementTree as ET
        from collections import Counter, OrderedDict as Ordered
        from os.path import join
        def parsed(text):
            return ET.fromstring(text).tag
        ---
        assert os.path.join("a", "b") == join("a", "b") == "a/b" and parsed("<a/>") == "a"
        assert Counter("aa") == {"a": 2} and Ordered(a=1)["a"] == 1
        import sys, collections
        assert os is sys.modules["os"] and ET is sys.modules["xml.etree.ElementTree"] and Counter is collections.Counter
        """,
    ),
    (
        "a_module_of_ones_own",
        """
        with open("own_module.py", "w") as file:
            file.write("import json\\nstate = []\\nclass Own:\\n    def tell(self):\\n        return json.dumps(state)\\n")
        import own_module
        from own_module import Own
        own = Own()
        ---
        assert own.tell() == "[]" and type(own) is Own is own_module.Own
        own_module.state.append(1)
        assert own.tell() == "[1]"
        """,
    ),
    (
        "a_name_that_hides_a_builtin",
        """
        list = [1, 2]
        def sum(values):
            return "mine"
        def used():
            return sum(list)
        ---
        assert list == [1, 2] and used() == "mine"
        del list
        assert list("ab") == ["a", "b"]
        ---
        assert list("ab") == ["a", "b"]
        """,
    ),
    (
        "star_import",
        """
        from math import *
        ---
        assert sqrt(9) == 3 and floor(2.5) == 2 and pi > 3
        """,
    ),
]

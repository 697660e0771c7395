"""What cells mean to each other: classes and what they make. Cells are parted by a line of dashes. See :mod:`carry_cases`."""

from __future__ import annotations

TYPES: list[tuple[str, str]] = [
    (
        "class_identity",
        """
        class Animal:
            pass
        pet = Animal()
        ---
        assert type(pet) is Animal and isinstance(pet, Animal)
        class Dog(Animal):
            pass
        dog = Dog()
        ---
        assert type(dog) is Dog and Dog.__mro__[1] is Animal is type(pet) and Animal.__subclasses__() == [Dog]
        """,
    ),
    (
        "a_class_made_again_leaves_old_instances",
        """
        class Thing:
            version = 1
        old = Thing()
        ---
        class Thing:
            version = 2
        new = Thing()
        ---
        assert (old.version, new.version) == (1, 2) and type(new) is Thing is not type(old)
        """,
    ),
    (
        "a_class_changed_later",
        """
        class Robot:
            arms = 2
            def wave(self):
                return "old"
        robot = Robot()
        ---
        Robot.arms = 4
        Robot.wave = lambda self: "new %d" % self.arms
        Robot.jump = lambda self: "up"
        ---
        assert (robot.wave(), robot.jump(), Robot().arms) == ("new 4", "up", 4)
        """,
    ),
    (
        "a_count_in_the_class",
        """
        class Counted:
            made, all = 0, []
            def __init__(self):
                type(self).made += 1
                self.number = Counted.made
                Counted.all.append(self)
        first = Counted()
        ---
        second = Counted()
        ---
        assert (Counted.made, second.number, len(Counted.all)) == (2, 2, 2)
        assert Counted.all[0] is first and Counted.all[1] is second
        """,
    ),
    (
        "enum_members_are_one",
        """
        import enum
        class Level(enum.Enum):
            LOW = enum.auto()
            HIGH = enum.auto()
        now, seen = Level.LOW, {Level.HIGH: "h"}
        ---
        assert now is Level.LOW and Level(1) is now and seen[Level.HIGH] == "h" and list(Level) == [Level.LOW, Level.HIGH]
        def high(level):
            return level is Level.HIGH
        ---
        assert high(Level["HIGH"]) and not high(now)
        """,
    ),
    (
        "dataclasses_across_cells",
        """
        from dataclasses import dataclass, field, fields
        @dataclass
        class Base:
            a: int = 1
            log: list = field(default_factory=list)
        ---
        @dataclass
        class More(Base):
            b: str = "b"
        more = More(5)
        ---
        assert more == More(5) != More(6) and [f.name for f in fields(more)] == ["a", "log", "b"]
        assert isinstance(more, Base) and repr(more) == "More(a=5, log=[], b='b')" and More().log is not More().log
        """,
    ),
    (
        "super_and_cooperation",
        """
        class A:
            def who(self):
                return ["A"]
        class B(A):
            def who(self):
                return ["B", *super().who()]
        ---
        class C(A):
            def who(self):
                return ["C", *super().who(), __class__.__name__]
        class D(B, C):
            pass
        d = D()
        ---
        assert d.who() == ["B", "C", "A", "C"]
        """,
    ),
    (
        "abstract_across_cells",
        """
        from abc import ABC, abstractmethod
        class Shape(ABC):
            @abstractmethod
            def area(self): ...
        ---
        class Square(Shape):
            def area(self):
                return 4
        try:
            Shape()
            raise AssertionError
        except TypeError:
            pass
        ---
        assert Square().area() == 4 and issubclass(Square, Shape)
        Shape.register(int)
        ---
        assert isinstance(5, Shape)
        """,
    ),
    (
        "metaclass_across_cells",
        """
        class Registry(type):
            known = {}
            def __init__(cls, name, bases, space):
                super().__init__(name, bases, space)
                Registry.known[name] = cls
        class One(metaclass=Registry):
            pass
        ---
        class Two(One):
            pass
        ---
        assert Registry.known == {"One": One, "Two": Two} and type(Two) is Registry
        """,
    ),
    (
        "plugins_register_once",
        """
        class Plugin:
            known = []
            def __init_subclass__(cls, *, key):
                super().__init_subclass__()
                cls.key = key
                Plugin.known.append(cls)
        class One(Plugin, key="one"):
            pass
        ---
        class Two(Plugin, key="two"):
            pass
        ---
        assert Plugin.known == [One, Two] and [plugin.key for plugin in Plugin.known] == ["one", "two"]
        """,
    ),
    (
        "single_dispatch_across_cells",
        """
        from functools import singledispatch
        @singledispatch
        def told(value):
            return "any"
        class Mine:
            pass
        ---
        @told.register(Mine)
        def told_mine(value):
            return "mine"
        ---
        assert told(Mine()) == "mine" and told(5) == "any" and told.dispatch(Mine) is told_mine
        """,
    ),
    (
        "caches_answer_the_same",
        """
        from functools import lru_cache
        @lru_cache(maxsize=None)
        def fibonacci(n):
            return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
        assert fibonacci(60) == 1548008755920
        ---
        assert fibonacci(61) == 2504730781961 and fibonacci.cache_info().maxsize is None
        fibonacci.cache_clear()
        """,
    ),
    (
        "decorators_of_an_earlier_cell",
        """
        from functools import wraps
        calls = []
        def logged(function):
            @wraps(function)
            def logging(*args):
                calls.append(function.__name__)
                return function(*args)
            return logging
        ---
        @logged
        def add(a, b):
            return a + b
        ---
        assert add(1, 2) == 3 and calls == ["add"] and add.__wrapped__(1, 2) == 3
        """,
    ),
    (
        "types_of_names",
        """
        from typing import Generic, NamedTuple, NewType, TypeVar, Protocol
        T = TypeVar("T")
        Id = NewType("Id", int)
        class Box(Generic[T]):
            def __init__(self, item: T) -> None:
                self.item = item
        class Row(NamedTuple):
            a: int
            b: str = "b"
        class Walks(Protocol):
            def walk(self): ...
        ---
        class Pair(Box[T]):
            other: T
        assert Pair[int](5).item == Id(5) and Row(1) == (1, "b") and Row._field_defaults == {"b": "b"}
        ---
        assert Pair.__parameters__ == (T,) and Box[Id].__args__ == (Id,)
        """,
    ),
    (
        "pickles_of_the_users_own",
        """
        import pickle
        class Thing:
            def __init__(self, a):
                self.a = a
        def doubled(a):
            return 2 * a
        data = pickle.dumps([Thing(5), doubled, Thing])
        ---
        thing, function, cls = pickle.loads(data)
        assert type(thing) is Thing is cls and thing.a == 5 and function is doubled
        assert b"__main__" in pickle.dumps(thing) and pickle.loads(pickle.dumps(Thing(6))).a == 6
        import copy
        assert copy.deepcopy([thing, Thing])[1] is Thing
        """,
    ),
    (
        "monkeypatched_instances_and_modules",
        """
        class Door:
            def open(self):
                return "opens"
        door = Door()
        door.open = lambda: "creaks"
        ---
        assert door.open() == "creaks" and Door().open() == "opens"
        """,
    ),
    (
        "objects_that_know_each_other",
        """
        class Node:
            def __init__(self, up=None):
                self.up, self.below = up, []
                if up:
                    up.below.append(self)
        root = Node()
        leaf = Node(root)
        ---
        assert leaf.up is root and root.below == [leaf]
        twig = Node(leaf)
        ---
        assert twig.up.up is root and leaf.below[0] is twig
        """,
    ),
    (
        "keys_with_hashes_of_the_users_own",
        """
        class Key:
            def __init__(self, name):
                self.name = name
            def __hash__(self):
                return hash((salt, self.name))
            def __eq__(self, other):
                return self.name == other.name
        salt = 5
        table, group = {Key("a"): 1}, {Key("b")}
        ---
        assert table[Key("a")] == 1 and Key("b") in group
        """,
    ),
    (
        "iterators_go_on",
        """
        numbers = iter([1, 2, 3, 4])
        pairs = enumerate("abc")
        next(numbers), next(pairs)
        ---
        assert next(numbers) == 2 and next(pairs) == (1, "b")
        ---
        assert list(numbers) == [3, 4] and list(pairs) == [(2, "c")]
        """,
    ),
    (
        "dictionary_as_switch",
        """
        switch = {"add": lambda a, b: a + b, "twice": lambda a: switch["add"](a, a)}
        ---
        assert switch["twice"](4) == 8
        switch["add"] = lambda a, b: 0
        ---
        assert switch["twice"](4) == 0
        """,
    ),
]

"""Classes and their instances: see :mod:`carry_cases`."""

from __future__ import annotations

CLASSES: list[tuple[str, str, str]] = [
    (
        "class_and_instance",
        """
        class Plain:
            kind = "plain"
            def __init__(self, a):
                self.a = a
        x = Plain(1)
        """,
        "type(x) is Plain and (x.a, x.kind, Plain.__module__, Plain.__qualname__) == (1, 'plain', '__main__', 'Plain')",
    ),
    (
        "nested_class",
        """
        class Outside:
            class Inside:
                pass
        x = Outside.Inside()
        """,
        "type(x) is Outside.Inside and type(x).__qualname__ == 'Outside.Inside'",
    ),
    (
        "local_class",
        """
        def made_class():
            class Local:
                pass
            return Local
        x = [made_class()]
        x.append(x[0]())
        """,
        "type(x[1]) is x[0]",
    ),
    (
        "class_of_type",
        "Made = type('Made', (list,), {'first': lambda self: self[0]})\nx = Made([5])",
        "x.first() == 5 and isinstance(x, list)",
    ),
    (
        "dataclass",
        """
        import dataclasses
        @dataclasses.dataclass(order=True, frozen=True)
        class Item:
            a: int
            b: list = dataclasses.field(default_factory=list, compare=False)
        x = Item(1)
        """,
        "x < Item(2) and hash(x) == hash(Item(1, [2])) and x.b == [] and dataclasses.replace(x, a=3).a == 3",
    ),
    (
        "enum",
        """
        import enum
        class Colour(enum.Enum):
            RED = 1
            GREEN = 2
            CRIMSON = 1
            def shout(self):
                return self.name + "!"
        x = Colour.RED
        """,
        "x is Colour.RED and x is Colour.CRIMSON and x is Colour(1) and x.shout() == 'RED!' and list(Colour)[0] is x",
    ),
    (
        "enum_of_flags",
        """
        import enum
        class Bits(enum.IntFlag):
            A = 1
            B = 2
        x = Bits.A | Bits.B
        """,
        "x == 3 and Bits.B in x and x & Bits.A is Bits.A",
    ),
    (
        "enum_of_text",
        """
        import enum
        class Word(str, enum.Enum):
            HI = 'hi'
        x = {Word.HI: 1}
        """,
        "x[Word.HI] == 1 and x['hi'] == 1 and list(x)[0] is Word.HI",
    ),
    (
        "enum_by_call",
        "import enum\nCalled = enum.Enum('Called', 'A B', module=__name__)\nx = Called.B",
        "x is Called.B and x.value == 2",
    ),
    (
        "typed_namedtuple",
        """
        from typing import NamedTuple
        class Spot(NamedTuple):
            a: int
            b: str = 'z'
            def both(self):
                return f'{self.a}{self.b}'
        x = Spot(1)
        """,
        "type(x) is Spot and x == (1, 'z') and x.both() == '1z' and Spot.__annotations__['a'] is int",
    ),
    (
        "typed_dict",
        """
        from typing import TypedDict
        class Film(TypedDict, total=False):
            name: str
        x = Film
        """,
        "x(name='a') == {'name': 'a'} and x.__total__ is False",
    ),
    (
        "new_type",
        "from typing import NewType\nUserId = NewType('UserId', int)\nx = UserId",
        "x(5) == 5 and x.__supertype__ is int and x.__name__ == 'UserId' and x is UserId",
    ),
    (
        "generic_class",
        """
        from typing import Generic, List, TypeVar
        T = TypeVar("T", bound=int)
        class Stack(Generic[T]):
            def __init__(self) -> None:
                self.items: List[T] = []
        x = Stack[int]()
        """,
        "type(x) is Stack and Stack.__parameters__[0] is T and str(Stack[int]) == '__main__.Stack[int]'",
    ),
    (
        "type_hints",
        """
        from typing import Callable, Dict, List, Optional
        x = [Optional[Dict[str, List[int]]], Callable[[int], str], list[int]]
        """,
        "x == [Optional[Dict[str, List[int]]], Callable[[int], str], list[int]]",
    ),
    (
        "protocol",
        """
        from typing import Protocol, runtime_checkable
        @runtime_checkable
        class Closes(Protocol):
            def close(self) -> None: ...
        import io
        x = Closes
        """,
        "isinstance(io.BytesIO(), x) and not isinstance(1, x)",
    ),
    (
        "abstract_class",
        """
        import abc
        class Shape(abc.ABC):
            @abc.abstractmethod
            def area(self): ...
        class Square(Shape):
            def area(self):
                return 4
        @Shape.register
        class Stranger:
            pass
        x = Square()
        """,
        "x.area() == 4 and isinstance(x, Shape) and Shape.__abstractmethods__ == {'area'} and issubclass(Stranger, Shape)",
    ),
    (
        "metaclass",
        """
        class Meta(type):
            made = []
            def __new__(mcs, name, bases, space, **options):
                cls = super().__new__(mcs, name, bases, space)
                mcs.made.append((name, options))
                return cls
            def __init__(cls, name, bases, space, **options):
                super().__init__(name, bases, space)
            def __len__(cls):
                return 42
        class WithMeta(metaclass=Meta, colour="red"):
            pass
        x = WithMeta
        """,
        "type(x) is Meta and len(x) == 42 and ('WithMeta', {'colour': 'red'}) in Meta.made",
    ),
    (
        "subclass_hook",
        """
        class Registered:
            known = []
            def __init_subclass__(cls, **options):
                super().__init_subclass__()
                Registered.known.append(cls.__name__)
        class Plugin(Registered, key=1):
            pass
        x = Plugin
        """,
        "Registered.known == ['Plugin'] and issubclass(x, Registered)",
    ),
    (
        "slots",
        """
        class Slotted:
            __slots__ = ('a', 'b')
        x = Slotted()
        x.a = 1
        """,
        "x.a == 1 and not hasattr(x, 'b') and not hasattr(x, '__dict__')",
    ),
    (
        "slots_of_dataclass",
        """
        import dataclasses
        @dataclasses.dataclass
        class Narrow:
            __slots__ = ('a',)
            a: int
        x = Narrow(1)
        """,
        "x == Narrow(1) and not hasattr(x, '__dict__')",
    ),
]

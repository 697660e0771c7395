"""A new life: of two restored from one image each has its own randomness, and both have what the user seeded.

Two children of a prepared process stand for two restores of its image. They are made by the C library's fork, as Python's own
seeds ``random`` in every child. That OpenSSL repeats cannot be shown so: it sees that its process is another.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from importlib.machinery import BuiltinImporter
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from guests import PATIENCE_S, pythons

from sandbox_kernel.guest import hooks
from sandbox_kernel.shipped import write_guest

PYTHONS = pythons()

PROGRAM = """
import ctypes, json, os, sys
from _sandbox_guest.life import Life
before, prepare, looks, earlier = json.load(sys.stdin)
os.getpid = lambda: 1  # A restored process has the number it had; tempfile looks.
exec(before, {})
life = Life()
life.watch()
names = {"life": life, "__name__": "cell"}
exec(prepare, names)
for _ in range(earlier):
    life.begin_anew("an earlier life")

def restored(number, anew):
    read, write = os.pipe()
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        try:
            lines = life.begin_anew("life %d" % number) if anew else life.go_on()
            os.write(write, json.dumps([lines, [eval(look, names) for look in looks]], default=str).encode())
        except BaseException as error:
            os.write(write, json.dumps([repr(error), []]).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as answer:
        made = json.load(answer)
    os.waitpid(pid, 0)
    return made

json.dump([restored(number, anew=number < 2) for number in range(4)], sys.stdout)
"""


class Siblings:
    """Two forks of one image, which had some earlier lives itself, and two continuations to compare with.

    Attributes:
        lines: What ``begin_anew`` returned in each fork.
        seen: What each fork saw, a pair for each expression.
        continued: The same for the continuations.
    """

    def __init__(self, folder: Path, python: str, prepare: str, *looks: str, earlier: int = 0, before: str = "") -> None:
        package = folder / "_sandbox_guest"
        if not package.exists():
            write_guest(package)
        done = subprocess.run(
            [python, "-c", PROGRAM],
            input=json.dumps([before, prepare, looks, earlier]),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        )
        assert done.returncode == 0 and done.stderr == "", done.stderr
        answers = json.loads(done.stdout)
        assert [len(seen) for _, seen in answers] == [len(looks)] * 4, answers
        self.lines = [lines for lines, _ in answers[:2]]
        self.seen: list[Any] = list(zip(*(seen for _, seen in answers[:2]), strict=True))
        self.continued: list[Any] = list(zip(*(seen for _, seen in answers[2:]), strict=True))

    @property
    def differ(self) -> list[bool]:
        """For each expression, whether the two forks saw different things."""
        return [one != other for one, other in self.seen]

    def goes_on(self, *, count: int | None = None) -> bool:
        """Whether the continuations agree, in the first ``count`` expressions: else they are no model of a restore."""
        return all(one == other for one, other in self.continued[:count])


@pytest.fixture(params=PYTHONS)
def python(request: pytest.FixtureRequest) -> str:
    """One interpreter after the other."""
    return PYTHONS[request.param]


UNSEEDED = """
import random, secrets, tempfile, uuid
from random import random as draw
own = random.Random()
kind = type("Own", (random.Random,), {})
derived = kind()
for generator in (random, own, derived):
    generator.gauss(0, 1)
system = random.SystemRandom()
system.gauss(0, 1)
next(tempfile._get_candidate_names())
uuid.uuid1(), uuid.getnode()
"""
LOOKS = (
    "random.random()",
    "random.gauss(0, 1)",
    "own.random()",
    "own.gauss(0, 1)",
    "derived.gauss(0, 1)",
    "system.gauss(0, 1)",
    "next(tempfile._get_candidate_names())",
)


def test_what_nobody_seeded_differs(python: str, tmp_path: Path) -> None:
    """Two forks draw other numbers, find other temporary names and make other UUIDs; a continuation goes on as it was."""
    own = ("uuid.getnode()", "uuid.uuid1().node", "uuid.uuid1().clock_seq", "__import__('sandbox_session').id")
    forks = Siblings(tmp_path, python, UNSEEDED, *LOOKS, *own)
    assert all(forks.differ[:9]) and forks.differ[10], forks.seen
    assert forks.seen[-1] == ("life 0", "life 1")
    assert forks.lines == [[], []]
    node, of_uuid = forks.seen[7][0], forks.seen[8][0]
    assert node == of_uuid and node >> 40 & 1
    assert forks.goes_on(count=len(LOOKS))


def test_uuids_stay_ordinary(python: str, tmp_path: Path) -> None:
    """After several forks a uuid1 is one of version 1, of today, and is not made of the numbers of who seeded `random`."""
    prepare = "import random, time, uuid\nuuid.uuid1()\nrandom.seed(1)"
    siblings = Siblings(
        tmp_path,
        python,
        prepare,
        "uuid.uuid1().version",
        "uuid.uuid1().variant",
        "len({uuid.uuid1() for _ in range(1000)})",
        "abs(uuid.uuid1().time / 1e7 - 12219292800 - time.time())",
        # Without a libuuid Python itself takes the clock sequence from there.
        "uuid._generate_time_safe is None or random.random() == random.Random(1).random()",
        earlier=2,
    )
    version, variant, count, away, untouched = siblings.seen
    assert version == (1, 1) and variant == ("specified in RFC 4122",) * 2
    assert count == (1000, 1000) and max(away) < 10 and untouched == (True, True)


SEEDINGS = {
    "function": "random.seed(42)",
    "imported function": "from random import seed\nseed('a')",
    "named argument": "random.seed(a=0)",
    "after a seed by nobody": "random.seed()\nrandom.seed(1)",
    "state": "random.setstate(random.Random(5).getstate())",
    "state of before, moved on": "s = random.getstate()\nrandom.random()\nrandom.setstate(s)",
    "seed in between": "random.seed(1)\ns = random.getstate()\nrandom.seed(2)\nrandom.setstate(s)",
    "reloaded": "import importlib\nimportlib.reload(random)\nrandom.seed(3)",
    "forgotten": "import sys\ndel sys.modules['random']\nimport random\nrandom.seed(3)",
    "instance": "random = random.Random(3)",
    "instance later": "random = random.Random()\nrandom.seed(3)",
    "copy": "import copy\nrandom = copy.deepcopy(random.Random(3))",
    "pickle": "import pickle\nrandom = pickle.loads(pickle.dumps(random.Random(3)))",
    "subclass": "class Own(random.Random):\n    def seed(self, a=None):\n        super().seed(str(a))\nrandom = Own(3)",
}
DRAWN = "\nfor _ in range(1001):\n    random.random(), random.gauss(0, 1)\n"


def test_what_somebody_seeded_stays(python: str, tmp_path: Path) -> None:
    """However a generator was seeded, each fork goes on with it as the session would have, a number put aside included."""
    for name, seeding in SEEDINGS.items():
        prepare = "import random\nrandom.random()\n" + seeding + DRAWN
        forks = Siblings(
            tmp_path, python, prepare, "[random.gauss(0, 1), random.random(), random.getrandbits(99)]", earlier=1
        )
        assert forks.goes_on() and forks.seen == forks.continued, name


UNSEEDINGS = {
    "seed without a seed": "random.seed(1)\nrandom.seed()",
    "seed with None": "random.seed(1)\nrandom.seed(None)",
    "refused seed": "try:\n    random.seed(a=1, b=2)\nexcept TypeError: pass",
    "for a while": "s = random.getstate()\nrandom.seed(1)\nrandom.seed(2)\nrandom.random()\nrandom.setstate(s)",
    "instance seeded for a while": "random = random.Random()\ns = random.getstate()\nrandom.seed(1)\nrandom.setstate(s)",
    "set aside": "import gc\nrandom = random.Random()\ngc.freeze()",
    "subclass without seed": "random = type('Own', (random.Random,), {'seed': lambda self, a=None: None})(3)",
}


def test_what_is_seeded_no_more_differs(python: str, tmp_path: Path) -> None:
    """A seed that was taken back does not count, nor one that was set for a while to leave the numbers of others alone."""
    for name, code in UNSEEDINGS.items():
        siblings = Siblings(tmp_path, python, "import random\n" + code + DRAWN, "random.random()", earlier=1)
        assert siblings.differ == [True] and siblings.goes_on(), name


def test_random_looks_as_ever(python: str, tmp_path: Path) -> None:
    """Who looks at ``random.seed``, pickles it, or calls it wrongly, finds what there always was."""
    prepare = """
import inspect, pickle, random
try:
    random.seed([])
except TypeError as error:
    message = str(error)
"""
    looks = {
        "str(inspect.signature(random.seed))": "(a=None, version=2)",
        "str(inspect.signature(random.Random.seed))": "(self, a=None, version=2)",
        "random.seed.__qualname__, random.seed.__module__": ["Random.seed", "random"],
        "random.seed.__doc__.split()[:3]": ["Initialize", "internal", "state"],
        "'super().seed(a)' in inspect.getsource(random.seed)": True,
        "random.seed.__self__ is random._inst, random.setstate.__self__ is random._inst": [True, True],
        "pickle.loads(pickle.dumps(random.Random.seed)) is random.Random.seed": True,
        "pickle.loads(pickle.dumps(random.seed))(7), pickle.loads(pickle.dumps(random.seed)).__name__": [None, "seed"],
        "random.seed(5, 1), random.seed(5, version=2), random.randrange(1000)": [None, None, 637],
        "sorted(vars(random.Random()))": ["gauss_next"],
        "random.__spec__.name, type(random.__loader__).__name__": ["random", "SourceFileLoader"],
        "vars(random.__loader__).get('exec_module')": None,
        "message.startswith('unhashable') or message.startswith('The only supported seed types')": True,
    }
    siblings = Siblings(tmp_path, python, prepare, *looks)
    assert [one for one, _ in siblings.seen] == list(looks.values())


def test_it_brings_nothing_along(python: str, tmp_path: Path) -> None:
    """Beginning to watch, and a life of a process without any generators, import none."""
    look = "sorted({'random', '_random', 'ssl', 'hashlib', 'uuid', 'tempfile', 'numpy'} & set(sys.modules))"
    siblings = Siblings(tmp_path, python, "import sys", look)
    assert siblings.seen == [([], [])] and siblings.lines == [[], []]


def test_what_came_before(tmp_path: Path) -> None:
    """Of a module that was there when watching began it is known who seeds it from then on."""
    for code, differs in (("random.seed(1)", False), ("", True)):
        prepare = "import random\n" + code
        assert Siblings(tmp_path, sys.executable, prepare, "random.random()", before="import random").differ == [differs]


def test_imports_are_as_ever(python: str, tmp_path: Path) -> None:
    """What is watched can be searched for, loaded by hand, and be missing or broken, as if nobody watched."""
    prepare = """
import importlib.util, os, sys, zipfile
numpy, torch = importlib.util.find_spec("numpy"), importlib.util.find_spec("torch")
spec = importlib.util.find_spec("random")
by_hand = importlib.util.module_from_spec(spec)
spec.loader.exec_module(by_hand)
by_hand.seed(1)
os.mkdir("broken")
with open("broken/torch.py", "w") as file:
    file.write("import random\\n1 / 0")
sys.path.insert(0, "broken")
try:
    import torch
except ZeroDivisionError:
    torch = "broken"
sys.path[0] = "all.zip"
with zipfile.ZipFile("all.zip", "w") as archive:
    for name in ("torch", "other"):
        archive.writestr(name + ".py", "")
archived = importlib.util.find_spec("torch").origin
import other
"""
    (tmp_path / "home").mkdir()
    siblings = Siblings(
        tmp_path,
        python,
        f"import os\nos.chdir({str(tmp_path / 'home')!r})" + prepare,
        "torch",
        "by_hand.random()",
        "archived, other.__file__",
    )
    assert siblings.seen[0] == ("broken", "broken") and siblings.differ == [False] * 3
    assert siblings.lines == [[], []]


def test_built_in_modules_share_their_loader() -> None:
    """The class that loads what is built into an interpreter is left alone."""
    load = vars(BuiltinImporter)["exec_module"]
    spec = hooks.ImportWatch({"time": pytest.fail}).find_spec("time")
    assert spec.loader is BuiltinImporter and vars(BuiltinImporter)["exec_module"] is load


# -- OpenSSL, torch

OPENSSL = """
import sys, types
calls = []
class Library:
    @staticmethod
    def RAND_add(*arguments):
        calls.append(arguments)
sys.modules["_ssl"] = Library
sys.modules["cryptography.hazmat.bindings._rust"] = types.SimpleNamespace(_openssl=types.SimpleNamespace(lib=Library))
"""


def test_openssl_gets_entropy(tmp_path: Path) -> None:
    """After each restore, fork or not, every OpenSSL that is loaded gets 48 bytes that nobody else gets."""
    looks = ("[list(call[0]) for call in calls]", "[call[1:] for call in calls]")
    siblings = Siblings(tmp_path, sys.executable, OPENSSL, *looks)
    texts = [bytes(text) for pair in (siblings.seen[0], siblings.continued[0]) for life in pair for text in life]
    assert len(set(texts)) == 8 and {len(text) for text in texts} == {48}
    assert siblings.seen[1] == siblings.continued[1] == ([[48.0], [48, 48.0]],) * 2


def test_openssl_itself(python: str, tmp_path: Path) -> None:
    """The real one takes it, and gives other numbers to each life."""
    siblings = Siblings(tmp_path, python, "import ssl\nssl.RAND_bytes(8)", "ssl.RAND_bytes(16).hex()")
    assert len({*siblings.seen[0], *siblings.continued[0]}) == 4 and siblings.lines == [[], []]


TORCH = """
import random, secrets
state = [secrets.randbits(53)] * 2
def initial_seed():
    return state[0]
def seed():
    return manual_seed(secrets.randbits(53))
def manual_seed(value):
    state[:] = value, value
def rand():
    state[1] += 1
    return state[1]
"""


@pytest.mark.parametrize(("code", "differs"), [("", True), ("torch.manual_seed(1)", False), ("torch.seed()", False)])
def test_torch(code: str, differs: bool, tmp_path: Path) -> None:
    """A module like torch, by its three functions: new numbers unless it was seeded, by whomever, since the import."""
    (tmp_path / "torch.py").write_text(TORCH, encoding="utf-8")
    for earlier in (0, 1):
        siblings = Siblings(tmp_path, sys.executable, f"import torch\n{code}\ntorch.rand()", "torch.rand()", earlier=earlier)
        assert siblings.differ == [differs] and siblings.goes_on()


# -- numpy

NUMPY = """
import copy, pickle
import numpy as np
from numpy.random import MT19937, PCG64, PCG64DXSM, SFC64, Generator, Philox, RandomState, SeedSequence, default_rng
"""

NOBODYS = {
    "global": "np.random",
    "global, many numbers": "np.random\nnp.random.standard_normal(6_000_000)",
    "global, seeded by nobody": "np.random\nnp.random.seed(1)\nnp.random.seed()",
    "global, for a while": "np.random\ns = np.random.get_state()\nnp.random.seed(1)\nr.normal()\nnp.random.set_state(s)",
    "default_rng": "default_rng()",
    "RandomState": "RandomState()",
    "copy": "copy.deepcopy(default_rng())",
    "spawned": "default_rng().spawn(2)[1]",
    "from a sequence": "default_rng(SeedSequence().spawn(3)[2])",
    "larger pool": "default_rng(SeedSequence(pool_size=8))",
    **{kind: f"Generator({kind}())" for kind in ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")},
}
SOMEBODYS = {
    "global": "np.random\nnp.random.seed(1)",
    "global, its method": "np.random\nnp.random.mtrand._rand.seed(1)",
    "global, imported function": "np.random\nfrom numpy.random import seed\nseed([1, 2])",
    "global, state": "np.random\nnp.random.set_state(RandomState(3).get_state())",
    "global, state as dict": "np.random\nnp.random.set_state(RandomState(3).get_state(legacy=False))",
    "global, another bit generator": "np.random\nnp.random.set_bit_generator(PCG64(3))",
    "default_rng": "default_rng(1)",
    "as large as a drawn one": "default_rng(0x9E3779B97F4A7C15F39CC0605CEDC834)",
    "RandomState": "RandomState(1)",
    "RandomState later": "RandomState()\nr.seed(1)",
    "RandomState by state": "RandomState()\nr.set_state(RandomState(3).get_state())",
    "copy": "copy.deepcopy(default_rng(1))",
    "pickle": "pickle.loads(pickle.dumps(default_rng(1)))",
    "old pickle": "Generator(PCG64())\nr.bit_generator.__setstate__(PCG64(1).state)",
    "spawned": "default_rng(1).spawn(2)[1]",
    "of another package": "Generator(type('Own', (PCG64,), {})())",
    "keyed": "Generator(Philox(key=3))",
    "state later": "default_rng()\nr.bit_generator.state = PCG64(9).state",
    **{kind + " jumped": f"Generator({kind}(1).jumped())" for kind in ("PCG64", "PCG64DXSM", "Philox", "MT19937")},
    **{kind: f"Generator({kind}(1))" for kind in ("PCG64", "PCG64DXSM", "Philox", "SFC64", "MT19937")},
}
NUMPY_LOOKS = ("r.normal()", "r.standard_normal(5).tolist()", "r.bytes(8).hex()")


def _many(generators: dict[str, str], folder: Path, earlier: int) -> Iterator[tuple[str, list[Any], list[Any]]]:
    """Yield the numbers that each generator gives in forks and continuations; numpy's global one has processes of its own."""
    others = {name: code for name, code in generators.items() if not name.startswith("global")}
    groups = [others, *({name: generators[name]} for name in generators if name not in others)]
    for group in groups:
        prepare = NUMPY + "all = {}\n"
        for name, code in group.items():
            # An odd count of normals leaves one put aside in a RandomState.
            prepare += f"r = {code}\nr.normal(size=1001), r.bytes(2)\nall[{name!r}] = r\n"
        looks = [look.replace("r.", f"all[{name!r}].", 1) for name in group for look in NUMPY_LOOKS]
        siblings = Siblings(folder, sys.executable, prepare, *looks, earlier=earlier)
        assert siblings.lines == [[], []] and siblings.goes_on()
        for index, name in enumerate(group):
            part = slice(index * len(NUMPY_LOOKS), (index + 1) * len(NUMPY_LOOKS))
            yield name, siblings.seen[part], siblings.continued[part]


def test_numpy_that_nobody_seeded(tmp_path: Path) -> None:
    """Each kind of generator without a seed differs in each fork, from the first number on; also in a fork of a fork."""
    for earlier in (0, 1):
        for name, forked, _ in _many(NOBODYS, tmp_path, earlier):
            assert all(one != other for one, other in forked), name


def test_numpy_that_somebody_seeded(tmp_path: Path) -> None:
    """However a generator came to a state that somebody chose, each fork goes on with it as the session would have."""
    for name, forked, continued in _many(SOMEBODYS, tmp_path, 1):
        assert forked == continued, name


def test_numpy_seeds_that_belong_together(tmp_path: Path) -> None:
    """In a fork too, a seed sequence spawns what is related to it and new, and generators that share a seed share it."""
    prepare = NUMPY + "s = SeedSequence()\na, b = default_rng(s), default_rng(s)\na.random()\n[old] = s.spawn(1)"
    looks = (
        "s.entropy",
        "a.random() == b.random()",
        "old.entropy == s.entropy == a.bit_generator.seed_seq.entropy",
        "[s.n_children_spawned, s.spawn(1)[0].spawn_key]",
        "SeedSequence(int(s.entropy)).generate_state(4).tolist() == s.generate_state(4).tolist()",
    )
    entropy, *rest = Siblings(tmp_path, sys.executable, prepare, *looks).seen
    assert entropy[0] != entropy[1]
    assert rest == [(True, True), (True, True), ([1, [1]], [1, [1]]), (True, True)]


def test_numpy_looks_as_ever(tmp_path: Path) -> None:
    """Seeds and functions of numpy are printed, copied, pickled and called as if nobody watched."""
    looks = {
        "type(pickle.loads(pickle.dumps(default_rng().bit_generator.seed_seq.entropy))).__name__": "int",
        "repr(SeedSequence())[:24]": "SeedSequence(\n    entrop",
        "isinstance(SeedSequence().entropy, int) and SeedSequence().entropy.bit_length() > 90": True,
        "pickle.loads(pickle.dumps(np.random.seed)) is np.random.seed": True,
        "pickle.loads(pickle.dumps(np.random.set_state)) is np.random.set_state": True,
        "np.random.seed is np.random.mtrand.seed": True,
        "np.random.seed.__doc__.strip()[:5], np.random.seed.__module__": ["seed(", "numpy.random"],
        "np.random.seed(seed=3), np.random.bytes(8) == RandomState(3).bytes(8)": [None, True],
    }
    siblings = Siblings(tmp_path, sys.executable, NUMPY, *looks)
    assert [one for one, _ in siblings.seen] == list(looks.values())


def test_who_seeded_can_be_asked(tmp_path: Path) -> None:
    """A generator that somebody seeded is told from one that nobody seeded."""
    prepare = NUMPY + "import random\n"
    asked = {
        "random._inst": False,
        "random.Random(1)": True,
        "random.SystemRandom()": False,
        "default_rng()": False,
        "default_rng(1)": True,
        "PCG64(1)": True,
        "RandomState()": False,
        "np.random.mtrand._rand": False,
        "(np.random.seed(1), np.random.mtrand._rand)[1]": True,
    }
    siblings = Siblings(tmp_path, sys.executable, prepare, *(f"life.is_seeded({code})" for code in asked))
    assert [one for one, _ in siblings.seen] == list(asked.values())


# -- the functions of the user


def test_functions_are_called(python: str, tmp_path: Path) -> None:
    """Each fork calls what was given to ``on_fork``, in that order, with its own name set and its own randomness."""
    prepare = """
import random, sandbox_session, sandbox_session as again
from sandbox_session import on_fork
seen = [sandbox_session.id]
@on_fork
def first():
    seen.append([sandbox_session.id, random.random()])
@sandbox_session.on_fork
def second():
    seen.append("second")
returned = on_fork(seen.copy) == seen.copy and first() is None
del seen[1:]
"""
    siblings = Siblings(tmp_path, python, prepare, "seen", "returned", "again.__doc__.split()[:2]")
    (one, other), returned, words = siblings.seen
    assert one[0] == other[0] == "" and one[2:] == other[2:] == ["second"]
    assert (one[1][0], other[1][0]) == ("life 0", "life 1") and one[1][1] != other[1][1]
    assert returned == (True, True) and words[0] == ["The", "session"]
    assert siblings.continued[0] == ([""], [""])


RAISING = """
import sys, sandbox_session
called = []
class Silent(Exception):
    def __str__(self):
        raise ValueError
@sandbox_session.on_fork
def one():
    called.append(1)
    raise OSError("no way\\nout \\ud800")
sandbox_session.on_fork(lambda: sys.exit(3))
@sandbox_session.on_fork
def interrupted():
    raise KeyboardInterrupt
@sandbox_session.on_fork
def silent():
    raise Silent
@sandbox_session.on_fork
def wants_more(argument):
    pass
@sandbox_session.on_fork
def adds():
    sandbox_session.on_fork(called.clear)
    called.append(2)
"""


def test_functions_that_raise(python: str, tmp_path: Path) -> None:
    """What a function raises is told in one line, with the place, and keeps no other from being called."""
    siblings = Siblings(tmp_path, python, RAISING, "called")
    assert siblings.seen == [([1, 2], [1, 2])]
    assert siblings.lines[0] == siblings.lines[1]
    first, second, third, fourth, fifth = siblings.lines[0]
    assert first == "on_fork function one raised OSError: no way (<string>, line 10)"
    assert second == "on_fork function <lambda> raised SystemExit: 3 (<string>, line 11)"
    assert third == "on_fork function interrupted raised KeyboardInterrupt (<string>, line 14)"
    assert fourth == "on_fork function silent raised Silent (<string>, line 17)"
    assert "wants_more raised TypeError: " in fifth and "argument" in fifth


def test_a_cell_that_is_run_again() -> None:
    """A function takes the place of its namesake; functions that only look alike do not."""
    called: list[str] = []
    session = hooks.SessionHooks()
    code = "@on_fork\ndef again():\n    called.append(word)"
    for word in ("old", "new"):
        exec(code, {"__name__": "__main__", "on_fork": session.module.on_fork, "called": called, "word": word})
    for index in range(2):
        session.module.on_fork(lambda index=index: called.append(str(index)))
    method = session.module.on_fork(called.copy)
    session.module.on_fork(method)
    assert session.run() == []
    assert called == ["new", "0", "1"]


def test_complaints_are_short() -> None:
    """What a function raises takes one line, whatever it is."""
    session = hooks.SessionHooks()

    @session.module.on_fork
    def long() -> None:
        raise ValueError("\ud800" + "x" * 10_000 + "\n")

    [line] = session.run()
    assert 300 < len(line.encode()) < 1000 and line.startswith("on_fork function ") and "\n" not in line


async def _awaited() -> None:
    """Nobody would await it."""


@pytest.mark.parametrize("wrong", [None, 3, "name", _awaited])
def test_what_cannot_be_called_is_refused(wrong: Any) -> None:
    """Whoever gives something that could never run learns it at once."""
    with pytest.raises(TypeError, match="on_fork needs a function"):
        hooks.SessionHooks().module.on_fork(wrong)


def test_functions_travel_by_name() -> None:
    """A function of a cell that uses ``on_fork`` can be pickled: what it uses goes by its name."""
    session = hooks.SessionHooks()
    on_fork = session.module.on_fork
    assert (on_fork.__module__, on_fork.__qualname__) == ("sandbox_session", "on_fork")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "sandbox_session", session.module)
        assert pickle.loads(pickle.dumps(on_fork)) is on_fork
        made = cloudpickle.loads(cloudpickle.dumps(lambda: (session.module.id, on_fork)))
        assert made() == ("", on_fork)


def test_what_fails_is_told(tmp_path: Path) -> None:
    """A library that is not as we know it is told of, and keeps nothing else from being new."""
    prepare = """
import random, sandbox_session, sys, types, uuid
sys.modules["_ssl"] = types.ModuleType("_ssl")
del uuid._generate_time_safe
called = []
sandbox_session.on_fork(lambda: called.append(1))
"""
    siblings = Siblings(tmp_path, sys.executable, prepare, "random.random()", "called")
    assert siblings.differ == [True, False] and siblings.seen[1] == ([1], [1])
    assert siblings.goes_on()
    [line] = siblings.lines[0]
    assert line.startswith("making uuid new raised AttributeError: ")

"""What is known to differ from one process, and is not told: sessions whose last cell fails. See :mod:`carry_cases`."""

from __future__ import annotations

VALUES: list[tuple[str, str]] = [
    ("views_of_dicts_are_copies", "d = {'a': 1}\nx = d.keys()\n---\nd['b'] = 2\nassert list(x) == ['a', 'b']"),
    (
        "proxies_of_dicts_are_copies",
        "import types\nd = {'a': 1}\nx = types.MappingProxyType(d)\n---\nd['b'] = 2\nassert x['b'] == 2",
    ),
    ("memory_views_become_bytes", "b = bytearray(b'abc')\nx = memoryview(b)\n---\nb[0] = 65\nassert x[0] == 65"),
    (
        "causes_of_errors_are_gone",
        """
        try:
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("why") from error
        except ValueError as error:
            kept = error
        ---
        assert type(kept.__cause__) is ZeroDivisionError
        """,
    ),
    (
        "caches_are_empty",
        """
        import functools
        calls = []
        @functools.lru_cache
        def called(n):
            calls.append(n)
        called(1)
        ---
        called(1)
        assert calls == [1]
        """,
    ),
]

#: Only what cells made is carried, and settings of the process that are known; not what they changed in modules of others.
MODULES: list[tuple[str, str]] = [
    (
        "methods_added_to_classes_of_modules",
        """
        import collections
        collections.UserList.first = lambda self: self[0]
        ---
        assert collections.UserList([5]).first() == 5
        """,
    ),
    ("functions_of_modules_replaced", "import textwrap\ntextwrap.dedent = len\n---\nassert textwrap.dedent('abc') == 3"),
    ("names_added_to_builtins", "import builtins\nbuiltins.shared = 5\n---\nassert shared == 5"),
    (
        "registered_with_classes_of_modules",
        """
        import collections.abc
        class Mine:
            pass
        collections.abc.Sequence.register(Mine)
        ---
        assert issubclass(Mine, collections.abc.Sequence)
        """,
    ),
    (
        "registered_with_modules",
        """
        import copyreg, csv
        csv.register_dialect("mine", delimiter=";")
        class Mine:
            pass
        copyreg.pickle(Mine, lambda mine: (Mine, ()))
        ---
        assert "mine" in csv.list_dialects() and Mine in copyreg.dispatch_table
        """,
    ),
    (
        "modules_put_among_the_imported",
        """
        import sys, types
        sys.modules["made_up"] = types.ModuleType("made_up")
        ---
        import made_up
        """,
    ),
    (
        "hooks_and_handlers",
        """
        import signal, sys
        sys.excepthook = lambda *_: None
        _ = signal.signal(signal.SIGUSR1, lambda *_: None)
        ---
        assert sys.excepthook is not sys.__excepthook__ and callable(signal.getsignal(signal.SIGUSR1))
        """,
    ),
    ("the_collector_switched_off", "import gc\ngc.disable()\n---\nassert not gc.isenabled()"),
]

NUMPY: list[tuple[str, str]] = [
    (
        "mapped_files_become_arrays",
        """
        import numpy as np
        x = np.memmap("data", dtype="u1", mode="w+", shape=5)
        ---
        x[0] = 7
        x.flush()
        assert open("data", "rb").read(1) == bytes([7])
        """,
    ),
]

PANDAS: list[tuple[str, str]] = [
    (
        "accessors_of_frames",
        """
        import pandas as pd
        @pd.api.extensions.register_dataframe_accessor("mine")
        class Mine:
            def __init__(self, frame):
                self.frame = frame
        frame = pd.DataFrame({"a": [1]})
        ---
        assert frame.mine.frame is frame
        """,
    ),
]

MATPLOTLIB: list[tuple[str, str]] = [
    (
        "the_current_figure",
        "import matplotlib.pyplot as plt\n_ = plt.figure(3)\n---\nassert plt.get_fignums() == [3]",
    ),
]

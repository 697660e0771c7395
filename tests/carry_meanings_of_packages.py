"""What cells mean to each other: numpy, pandas, matplotlib. Cells are parted by dashes. See :mod:`carry_cases`."""

from __future__ import annotations

NUMPY: list[tuple[str, str]] = [
    (
        "views_share_memory",
        """
        import numpy as np
        a = np.arange(10.0)
        b, c, d = a[:3], a.reshape(2, 5).T, a[::-2]
        big = np.zeros(100_000)
        head, tail = big[:10], [big[-10:]]
        ---
        a[0], big[0], big[-1] = 7, 8, 9
        assert b[0] == c[0, 0] == 7 and head[0] == 8 and tail[0][-1] == 9
        assert np.shares_memory(a, d) and np.shares_memory(big, head)
        ---
        b[1] = 5
        assert a[1] == 5 and c[1, 0] == 5 and big[0] == 8 and b.base is a
        """,
    ),
    (
        "views_without_their_base",
        """
        import numpy as np
        def halves():
            both = np.arange(100_000)
            return both[:60_000], both[40_000:]
        left, right = halves()
        ---
        left[50_000] = -1
        assert right[10_000] == -1 and right[-1] == 99_999
        """,
    ),
    (
        "arrays_change_in_place",
        """
        import numpy as np
        big = np.zeros((500, 500))
        same = big
        ---
        big += 1
        ---
        big[0, 0] = 5
        assert big.sum() == 250_004 and same is big
        ---
        assert same[0, 0] == 5 and same.flags.writeable
        """,
    ),
    (
        "an_array_in_two_names",
        """
        import numpy as np
        big = np.arange(50_000)
        holder = {"array": big, "function": lambda: big[0]}
        ---
        big[0] = 9
        assert holder["array"] is big and holder["function"]() == 9
        """,
    ),
    (
        "numpy_numbers_go_on",
        """
        import numpy as np
        np.random.seed(5)
        np.random.rand()
        ---
        second = np.random.rand()
        same = np.random.RandomState(5)
        assert same.rand() != second == same.rand()
        """,
    ),
    (
        "modules_wait",
        """
        import numpy as np
        import numpy.linalg
        def norm(a):
            return np.linalg.norm(a)
        ---
        one = 1 + 1
        ---
        assert norm([3, 4]) == 5 and np.array([1]).sum() == 1 and numpy.linalg.det([[2]]) == 2
        import sys
        assert np is sys.modules["numpy"] or np.array is sys.modules["numpy"].array
        """,
    ),
]

PANDAS: list[tuple[str, str]] = [
    (
        "frames_change",
        """
        import pandas as pd
        frame = pd.DataFrame({"a": [1, 2, 3]})
        same = frame
        ---
        frame["b"] = frame.a * 2
        ---
        assert same is frame and same.b.tolist() == [2, 4, 6]
        frame.loc[0, "a"] = 10
        ---
        assert same.a.sum() == 15
        """,
    ),
    (
        "pandas_options",
        """
        import pandas as pd
        pd.set_option("display.max_rows", 7)
        ---
        unused = 1
        ---
        assert pd.get_option("display.max_rows") == 7
        """,
    ),
    (
        "frame_of_columns_of_the_users_own",
        """
        import pandas as pd
        class Money:
            def __init__(self, n):
                self.n = n
        frame = pd.DataFrame({"m": [Money(1), Money(2)]})
        total = lambda: sum(m.n for m in frame.m)
        ---
        assert type(frame.m[0]) is Money and total() == 3
        frame = pd.DataFrame({"m": [Money(5)]})
        assert total() == 5
        """,
    ),
]

MATPLOTLIB: list[tuple[str, str]] = [
    (
        "settings_of_figures",
        """
        import matplotlib
        matplotlib.use("svg")
        import matplotlib.pyplot as plt
        plt.rcParams["lines.linewidth"] = 7.0
        ---
        unused = 1
        ---
        import matplotlib.pyplot as plt
        from matplotlib.lines import Line2D
        assert plt.rcParams["lines.linewidth"] == 7.0 and Line2D([0], [0]).get_linewidth() == 7.0
        assert matplotlib.get_backend().lower() == "svg"
        """,
    ),
    (
        "a_figure_goes_on",
        """
        import matplotlib.pyplot as plt
        figure, axes = plt.subplots()
        axes.plot([1, 2])
        ---
        axes.plot([2, 1])
        axes.set_title("two")
        ---
        import io
        assert len(figure.axes[0].lines) == 2 and figure.axes[0] is axes and axes.get_title() == "two"
        out = io.BytesIO()
        figure.savefig(out, format="png")
        assert out.getvalue()[1:4] == b"PNG"
        """,
    ),
]

"""Values of packages: see :mod:`carry_cases`."""

from __future__ import annotations

NUMPY: list[tuple[str, str, str]] = [
    (
        "numpy_array",
        "import numpy as np\nx = np.arange(6.0).reshape(2, 3)",
        "x.sum() == 15 and x.shape == (2, 3) and x.flags.writeable and x.dtype == float",
    ),
    (
        "numpy_big_array",
        "import numpy as np\nx = np.arange(100_000)",
        "x.flags.writeable and int(x.sum()) == 4999950000 and (x.__setitem__(0, 5) or x[0] == 5)",
    ),
    (
        "numpy_fortran_order",
        "import numpy as np\nx = np.asfortranarray(np.arange(20_000.0).reshape(100, 200))",
        "x.flags.f_contiguous and not x.flags.c_contiguous and x[1, 0] == 200",
    ),
    (
        "numpy_read_only",
        "import numpy as np\nx = np.arange(100_000)\nx.flags.writeable = False",
        "not x.flags.writeable and x[-1] == 99_999",
    ),
    (
        "numpy_strides",
        "import numpy as np\nx = np.arange(100_000)[::-2]",
        "x[0] == 99_999 and x[1] == 99_997 and len(x) == 50_000",
    ),
    ("numpy_scalar", "import numpy as np\nx = np.float32(1.5)", "type(x) is np.float32 and x == 1.5"),
    (
        "numpy_objects",
        "import numpy as np\nx = np.array([1, 'a', None, [2]], dtype=object)",
        "list(x) == [1, 'a', None, [2]]",
    ),
    (
        "numpy_records",
        "import numpy as np\nx = np.array([(1, 2.5)], dtype=[('a', 'i4'), ('b', 'f8')])",
        "x['b'][0] == 2.5 and x.dtype.names == ('a', 'b')",
    ),
    (
        "numpy_subclass_with_attributes",
        """
        import numpy as np
        class Measured(np.ndarray):
            def __array_finalize__(self, other):
                self.unit = getattr(other, "unit", None)
        x = np.arange(20_000.0).view(Measured)
        x.unit = ["m", x.shape]
        """,
        "type(x) is Measured and x.unit == ['m', (20_000,)] and x[::2].unit is x.unit and x.sum() == 199_990_000",
    ),
    (
        "numpy_dates",
        "import numpy as np\nx = np.array(['2024-02-29'], dtype='datetime64[D]')",
        "str(x[0] + 1) == '2024-03-01'",
    ),
    (
        "numpy_masked",
        "import numpy as np\nx = np.ma.array([1, 2, 3], mask=[0, 1, 0])",
        "x.sum() == 4 and list(x.mask) == [False, True, False]",
    ),
    (
        "numpy_matrix_of_bools",
        """
        import numpy as np
        x = np.eye(300, dtype=bool)
        """,
        "x.sum() == 300 and x.dtype == bool",
    ),
    (
        "numpy_generator",
        "import numpy as np\nx = np.random.default_rng(5)\nx.random()",
        "[other := np.random.default_rng(5), other.random()] and x.random() == other.random()",
    ),
    (
        "numpy_random_state",
        "import numpy as np\nx = np.random.RandomState(5)\nx.rand()",
        "[other := np.random.RandomState(5), other.rand()] and x.rand() == other.rand()",
    ),
    (
        "numpy_functions",
        "import numpy as np\nx = np.sin, np.add, np.mean, np.linalg.norm",
        "x[0] is np.sin and x[1] is np.add and x[2] is np.mean and x[3]([3, 4]) == 5",
    ),
    (
        "numpy_vectorized",
        """
        import numpy as np
        x = np.vectorize(lambda a: a + 1)
        """,
        "list(x([1, 2])) == [2, 3]",
    ),
    ("numpy_polynomial", "import numpy as np\nx = np.polynomial.Polynomial([1, 2])", "x(3) == 7"),
    (
        "numpy_subclass",
        """
        import numpy as np
        class Marked(np.ndarray):
            def doubled(self):
                return self * 2
        x = np.arange(3).view(Marked)
        """,
        "type(x) is Marked and x.doubled()[2] == 4",
    ),
    (
        "numpy_in_closure",
        """
        import numpy as np
        def holds_array(array):
            return lambda i: array[i]
        x = holds_array(np.arange(50_000))
        """,
        "x(49_999) == 49_999",
    ),
    (
        "numpy_type",
        "import numpy as np\nx = [np.dtype('f4'), np.int64, np.iinfo('i2')]",
        "x[0] == np.float32 and x[1] is np.int64 and x[2].max == 32767",
    ),
    (
        "numpy_memory_map",
        """
        import numpy as np, tempfile
        x = np.memmap(tempfile.TemporaryFile(), dtype='u1', mode='w+', shape=5)
        x[:] = 7
        """,
        "x.sum() == 35",
    ),
]

NUMPY_LOST: list[tuple[str, str, str]] = [
    ("numpy_iterator", "import numpy as np\nx = np.nditer(np.arange(3))", "next(x)"),
    (
        "numpy_archive",
        """
        import numpy as np, tempfile
        numpy_folder = tempfile.mkdtemp()
        np.savez(numpy_folder + '/a.npz', a=1)
        x = np.load(numpy_folder + '/a.npz')
        """,
        "x['a']",
    ),
]

PANDAS: list[tuple[str, str, str]] = [
    (
        "pandas_frame",
        """
        import pandas as pd
        x = pd.DataFrame({'a': [1, 2, 3], 'b': ['x', None, 'z'], 'c': [0.5, float('nan'), 1.5]})
        """,
        "x.shape == (3, 3) and x.a.sum() == 6 and x.b[0] == 'x' and x.c.isna().tolist() == [False, True, False]",
    ),
    (
        "pandas_frame_is_writable",
        "import pandas as pd\nx = pd.DataFrame({'a': range(50_000), 'b': range(50_000)})",
        "x.__setitem__('c', x.a + x.b) or x.isetitem(0, 5) or (x.a.sum(), x.c.iloc[-1]) == (250_000, 99_998)",
    ),
    (
        "pandas_series",
        "import pandas as pd\nx = pd.Series([1.5, 2.5], index=['a', 'b'], name='s')",
        "x['b'] == 2.5 and x.name == 's'",
    ),
    (
        "pandas_category",
        "import pandas as pd\nx = pd.Categorical(['a', 'b', 'a'], categories=['b', 'a'], ordered=True)",
        "x.max() == 'a' and list(x.codes) == [1, 0, 1]",
    ),
    (
        "pandas_several_levels",
        """
        import pandas as pd
        x = pd.DataFrame({'v': [1, 2]}, index=pd.MultiIndex.from_tuples([('a', 1), ('b', 2)], names=['k', 'l']))
        """,
        "x.loc[('b', 2), 'v'] == 2 and x.index.names == ['k', 'l']",
    ),
    (
        "pandas_dates",
        "import pandas as pd\nx = pd.Series(pd.date_range('2024-02-28', periods=2, tz='UTC'))",
        "str(x.iloc[1]) == '2024-02-29 00:00:00+00:00'",
    ),
    (
        "pandas_groups",
        "import pandas as pd\nx = pd.DataFrame({'k': [1, 1, 2], 'v': [1, 2, 3]}).groupby('k')",
        "x.v.sum().tolist() == [3, 3]",
    ),
    (
        "pandas_stamps",
        """
        import pandas as pd
        x = [pd.Timestamp('2024-01-01', tz='UTC'), pd.Timedelta('1h'), pd.Period('2024-01'), pd.Interval(0, 1)]
        """,
        "x[0].year == 2024 and x[1].seconds == 3600 and x[2].month == 1 and 1 in x[3]",
    ),
    ("pandas_missing", "import pandas as pd\nx = [pd.NA, pd.NaT]", "x[0] is pd.NA and x[1] is pd.NaT"),
    (
        "pandas_window",
        """
        import pandas as pd
        x = pd.Series([1.0, 2.0, 3.0]).rolling(2)
        """,
        "x.sum().tolist()[1:] == [3.0, 5.0]",
    ),
    (
        "pandas_attributes",
        "import pandas as pd\nx = pd.DataFrame({'a': [1]})\nx.attrs['unit'] = 'm'",
        "x.attrs == {'unit': 'm'}",
    ),
    (
        "pandas_nullable",
        """
        import pandas as pd
        x = pd.array([1, None], dtype='Int64')
        """,
        "x[1] is pd.NA and x[0] == 1",
    ),
    (
        "pandas_sparse",
        """
        import pandas as pd
        x = pd.arrays.SparseArray([0, 0, 1])
        """,
        "x.sum() == 1 and x.density < 0.5",
    ),
]

MATPLOTLIB: list[tuple[str, str, str]] = [
    (
        "matplotlib_figure",
        """
        import matplotlib.pyplot as plt
        made_figure, made_axes = plt.subplots()
        made_axes.plot([1, 2], label='line')
        x = made_figure
        """,
        "x.axes[0] is made_axes and made_axes.lines[0].get_label() == 'line' and made_axes.set_title('t').get_text() == 't'",
    ),
    (
        "matplotlib_figure_draws",
        """
        import io
        from matplotlib.figure import Figure
        x = Figure()
        x.subplots().plot([1, 2])
        """,
        "[png := io.BytesIO(), x.savefig(png)] and png.getvalue()[1:4] == b'PNG'",
    ),
    (
        "matplotlib_line",
        "from matplotlib.lines import Line2D\nx = Line2D([0, 1], [0, 1], color='red')",
        "x.get_color() == 'red'",
    ),
    (
        "matplotlib_colours",
        "import matplotlib\nx = matplotlib.colormaps['viridis'], matplotlib.colors.Normalize(0, 2)",
        "x[0].name == 'viridis' and x[1](1) == 0.5",
    ),
    ("matplotlib_module", "import matplotlib.pyplot as plt\nx = plt", "x is plt and callable(x.plot)"),
]

ATTRS: list[tuple[str, str, str]] = [
    (
        "attrs_class",
        """
        import attr
        @attr.s(auto_attribs=True, slots=True, frozen=True)
        class Attrs:
            a: int
            b: list = attr.Factory(list)
        x = Attrs(1)
        """,
        "x == Attrs(1) and attr.asdict(x) == {'a': 1, 'b': []} and not hasattr(x, '__dict__')",
    ),
]

PYDANTIC: list[tuple[str, str, str]] = [
    (
        "pydantic_model",
        """
        import pydantic
        class Model(pydantic.BaseModel):
            a: int
            b: list[str] = []
        x = Model(a='5')
        """,
        "x.a == 5 and x == Model(a=5) and x.model_dump() == {'a': 5, 'b': []}",
    ),
]

PIL: list[tuple[str, str, str]] = [
    (
        "pillow_image",
        "from PIL import Image\nx = Image.new('RGB', (300, 200), (1, 2, 3))",
        "x.size == (300, 200) and x.getpixel((5, 5)) == (1, 2, 3)",
    ),
]

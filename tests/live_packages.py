"""Objects of numpy, pandas and matplotlib in the middle of something: see :mod:`live_things`."""

from __future__ import annotations

NUMPY: list[tuple[str, str, str]] = [
    (
        "numpy_views",
        """
        import numpy as np
        array = np.arange(12.0).reshape(3, 4)
        array_row, array_flat = array[1], array.T[::2].flat
        next(array_flat)
        """,
        """
        array_row[0] = 100.0
        (array[1, 0], next(array_flat), array_row.base is array.base) == (100.0, 100.0, True)
        """,
    ),
    (
        "numpy_generator",
        """
        import numpy as np
        rng, rng_legacy = np.random.default_rng(5), np.random.RandomState(5)
        rng.random(3), rng_legacy.normal(size=3)
        """,
        """
        rng_values = rng.random(), rng_legacy.normal()
        rng_values == (np.random.default_rng(5).random(4)[3], np.random.RandomState(5).normal(size=4)[3])
        """,
    ),
    (
        "numpy_iterators",
        """
        import numpy as np
        nditer_source = np.arange(6).reshape(2, 3)
        nditer = np.nditer(nditer_source, flags=["multi_index"], op_flags=[["readwrite"]])
        ndenumerate = np.ndenumerate(nditer_source)
        for nditer_skip in range(4):
            nditer.iternext(), next(ndenumerate)
        """,
        """
        nditer[0][...] = 40
        (nditer.multi_index, nditer_source[1, 1], next(ndenumerate)) == ((1, 1), 40, ((1, 1), 40))
        """,
    ),
    (
        "numpy_memmap",
        """
        import numpy as np, tempfile
        memmap_path = tempfile.mkdtemp() + "/memmap"
        memmap = np.memmap(memmap_path, dtype="int32", mode="w+", shape=(1000,))
        memmap[:] = np.arange(1000)
        """,
        """
        memmap[0] = -1
        memmap.flush()
        memmap_read = np.fromfile(memmap_path, dtype="int32")
        (memmap_read[0], memmap_read[999], len(memmap_read)) == (-1, 999, 1000)
        """,
    ),
    (
        "numpy_archive",
        """
        import numpy as np, os, tempfile
        archive_path = tempfile.mkdtemp() + "/arrays.npz"
        np.savez(archive_path, first=np.arange(3), second=np.eye(2))
        archive = np.load(archive_path)
        archive_first = archive["first"].sum()
        os.unlink(archive_path)
        """,
        """
        (archive_first, archive["second"].trace(), sorted(archive.files)) == (3, 2.0, ["first", "second"])
        """,
    ),
    (
        "numpy_products",
        """
        import numpy as np
        product_left = np.random.default_rng(1).random((300, 300))
        product_before = product_left @ product_left
        """,
        """
        bool((product_left @ product_left == product_before).all())
        """,
    ),
    (
        "numpy_callbacks",
        """
        import ctypes, numpy as np
        error_calls = []
        error_before = np.seterr(divide="call"), np.seterrcall(lambda kind, flag: error_calls.append(kind))
        error_vectorized = np.vectorize(lambda number: number + len(error_calls))
        raw_array = np.zeros(4)
        raw_pointer = raw_array.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        """,
        """
        raw_pointer[2] = 7.5
        error_divided = np.ones(2) / 0
        np.seterr(**error_before[0]), np.seterrcall(error_before[1])
        (raw_array.tolist(), error_calls, error_vectorized([1, 2]).tolist()) == ([0, 0, 7.5, 0], ["divide by zero"], [2, 3])
        """,
    ),
    (
        "numpy_structured",
        """
        import numpy as np
        records = np.rec.array([(1, "one"), (2, "two")], dtype=[("number", "i4"), ("name", "U5")])
        records_view, records_objects = records.view(np.ndarray)["number"], np.array([[], {}, None], dtype=object)
        records_objects[0].append(records_objects[1])
        """,
        """
        records_view[1] = 5
        records_objects[1]["shared"] = True
        (records[1].number, records.name.tolist(), records_objects[0]) == (5, ["one", "two"], [{"shared": True}])
        """,
    ),
]

PANDAS: list[tuple[str, str, str]] = [
    (
        "pandas_reader",
        """
        import pandas as pd, tempfile
        reader_path = tempfile.mkdtemp() + "/numbers.csv"
        pd.DataFrame({"number": range(10000)}).to_csv(reader_path, index=False)
        reader = pd.read_csv(reader_path, chunksize=1000)
        reader_begun = [len(next(reader)), next(reader)["number"].iloc[-1]]
        """,
        """
        reader_rest = [chunk["number"].iloc[0] for chunk in reader]
        (reader_begun, reader_rest) == ([1000, 1999], list(range(2000, 10000, 1000)))
        """,
    ),
    (
        "pandas_groups",
        """
        import pandas as pd
        group_frame = pd.DataFrame({"key": list("abab"), "value": range(4)})
        group_by = group_frame.groupby("key")
        group_iterator, row_iterator = iter(group_by), group_frame.itertuples()
        group_first, row_first = next(group_iterator)[0], next(row_iterator)
        """,
        """
        group_next = next(group_iterator)
        (group_first, group_next[0], group_next[1]["value"].sum(), next(row_iterator).key) == ("a", "b", 4, "b")
        """,
    ),
    (
        "pandas_sql",
        """
        import pandas as pd, sqlite3
        sql_connection = sqlite3.connect(":memory:")
        pd.DataFrame({"value": range(10)}).to_sql("numbers", sql_connection, index=False)
        sql_chunks = pd.read_sql("select value from numbers", sql_connection, chunksize=4)
        sql_first = next(sql_chunks)["value"].tolist()
        """,
        """
        [sql_first] + [chunk["value"].tolist() for chunk in sql_chunks] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        """,
    ),
    (
        "pandas_options",
        """
        import pandas as pd
        options_context = pd.option_context("display.precision", 1)
        options_context.__enter__()
        """,
        """
        options_text = repr(pd.Series([1.2345]))
        options_context.__exit__(None, None, None)
        ("1.2\\n" in options_text, "1.2345" in repr(pd.Series([1.2345]))) == (True, True)
        """,
    ),
    (
        "pandas_accessor",
        """
        import pandas as pd
        @pd.api.extensions.register_series_accessor("live")
        class LiveAccessor:
            def __init__(self, series):
                self.calls = []
                self.series = series
            def total(self):
                self.calls.append(1)
                return self.series.sum() + len(self.calls)
        accessor_series = pd.Series([1, 2, 3])
        accessor = accessor_series.live
        accessor.total()
        """,
        """
        accessor_total = accessor.total(), len(accessor.calls), pd.Series([1]).live.total()
        accessor_total == (8, 2, 2)
        """,
    ),
    (
        "pandas_window",
        """
        import pandas as pd
        window_frame = pd.DataFrame({"value": range(6)}, index=pd.date_range("2024-01-01", periods=6, freq="D"))
        window_rolling = window_frame["value"].rolling("3D")
        window_resampled, window_view = iter(window_frame.resample("2D")), window_frame["value"].to_numpy()
        next(window_resampled)
        """,
        """
        (window_rolling.sum().iloc[-1], next(window_resampled)[1]["value"].tolist(), window_view.base is not None) == (
            12.0, [2, 3], True
        )
        """,
    ),
]

MATPLOTLIB: list[tuple[str, str, str]] = [
    (
        "figure_drawn_later",
        """
        import matplotlib.pyplot as plt
        figure, figure_axes = plt.subplots()
        figure_line, = figure_axes.plot([1, 2, 3])
        """,
        """
        import io
        figure_axes.plot([3, 2, 1])
        figure_line.set_ydata([0, 0, 10])
        figure_axes.relim(), figure_axes.autoscale_view()
        figure_png = io.BytesIO()
        figure.savefig(figure_png)
        figure_png.getvalue()[1:4] == b"PNG" and len(figure_axes.lines) == 2 and bool(figure_axes.get_ylim()[1] > 10)
        """,
    ),
    (
        "figure_events",
        """
        import matplotlib.figure, matplotlib.backends.backend_agg
        event_figure, event_draws = matplotlib.figure.Figure(), []
        event_canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(event_figure)
        event_id = event_canvas.mpl_connect("draw_event", lambda drawn: event_draws.append(drawn.name))
        event_canvas.draw()
        """,
        """
        event_canvas.draw()
        event_pixels = event_canvas.buffer_rgba()
        event_draws == ["draw_event"] * 2 and event_pixels.shape == (480, 640, 4)
        """,
    ),
    (
        "plot_settings",
        """
        import matplotlib
        rc_context = matplotlib.rc_context({"lines.linewidth": 7.5})
        rc_context.__enter__()
        """,
        """
        import matplotlib.lines
        rc_width = matplotlib.lines.Line2D([], []).get_linewidth()
        rc_context.__exit__(None, None, None)
        (rc_width, matplotlib.rcParams["lines.linewidth"] != 7.5) == (7.5, True)
        """,
    ),
    (
        "plot_animation",
        """
        import itertools, matplotlib.pyplot as plt
        movie_figure, movie_axes = plt.subplots()
        movie_artists = movie_axes.plot([], [])
        movie_frames = itertools.cycle([1, 2, 3])
        def movie_draw():
            movie_artists[0].set_data([0, 1], [0, next(movie_frames)])
            movie_figure.canvas.draw()
            return movie_artists[0].get_ydata()[1]
        movie_first = movie_draw()
        """,
        """
        [movie_first, movie_draw(), movie_draw(), movie_draw()] == [1, 2, 3, 1]
        """,
    ),
    (
        "plot_cycle",
        """
        import matplotlib.figure
        cycle_axes = matplotlib.figure.Figure().subplots()
        cycle_colors = [cycle_axes.plot([0, 1])[0].get_color() for _ in range(3)]
        """,
        """
        cycle_colors += [line.get_color() for line in cycle_axes.plot([0, 1])]
        cycle_colors == matplotlib.rcParams["axes.prop_cycle"].by_key()["color"][:4]
        """,
    ),
]

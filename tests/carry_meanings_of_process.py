"""What cells mean to each other: the process, its files, what was lost. Parted by dashes. See :mod:`carry_cases`."""

from __future__ import annotations

PROCESS: list[tuple[str, str]] = [
    (
        "working_directory",
        """
        import os
        home = os.getcwd()
        os.makedirs("sub/deep")
        os.chdir("sub/deep")
        ---
        assert os.getcwd() == os.path.join(home, "sub", "deep")
        os.chdir("..")
        ---
        assert os.path.basename(os.getcwd()) == "sub" and os.listdir() == ["deep"]
        """,
    ),
    (
        "environment",
        """
        import os
        os.environ["CARRIED"] = "yes"
        gone = os.environ.pop("LANG", None)
        ---
        import subprocess
        assert os.environ["CARRIED"] == "yes" and "LANG" not in os.environ
        assert subprocess.run("echo $CARRIED", shell=True, capture_output=True).stdout == b"yes\\n"
        del os.environ["CARRIED"]
        ---
        assert "CARRIED" not in os.environ
        """,
    ),
    (
        "module_search_path",
        """
        import os, sys
        os.mkdir("modules")
        with open("modules/found_there.py", "w") as file:
            file.write("a = 5\\n")
        sys.path.append(os.path.abspath("modules"))
        ---
        import found_there
        assert found_there.a == 5
        """,
    ),
    (
        "random_numbers_go_on",
        """
        import random
        random.seed(5)
        random.random()
        ---
        second = random.random()
        same = random.Random(5)
        assert same.random() != second == same.random()
        """,
    ),
    (
        "warnings_filters",
        """
        import warnings
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "told often", RuntimeWarning)
        ---
        try:
            warnings.warn("told")
            raise AssertionError
        except UserWarning:
            pass
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("told often", RuntimeWarning)
        assert not seen
        """,
    ),
    (
        "sources_of_earlier_cells",
        """
        import inspect, traceback
        def fails():
            return 1 / 0  # here
        ---
        assert inspect.getsource(fails) == "def fails():\\n    return 1 / 0  # here\\n"
        try:
            fails()
        except ZeroDivisionError:
            assert "return 1 / 0  # here" in traceback.format_exc()
        ---
        assert "# here" in inspect.getsource(fails)
        """,
    ),
    (
        "recursion_limit",
        """
        import sys
        sys.setrecursionlimit(2345)
        ---
        assert sys.getrecursionlimit() == 2345
        """,
    ),
    (
        "decimal_context",
        """
        import decimal
        decimal.getcontext().prec = 5
        decimal.getcontext().rounding = decimal.ROUND_UP
        ---
        assert str(decimal.Decimal(1) / 3) == "0.33334"
        """,
    ),
    (
        "log_level",
        """
        import logging
        logging.getLogger().setLevel(logging.DEBUG)
        log = logging.getLogger("carried")
        log.setLevel(logging.ERROR)
        ---
        assert logging.getLogger().level == logging.DEBUG and log is logging.getLogger("carried")
        """,
    ),
    (
        "time_zone",
        """
        import os, time
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        ---
        assert time.localtime(0).tm_hour == 9 and time.tzname == ("JST", "JST")
        """,
    ),
    (
        "file_mode_mask",
        """
        import os
        os.umask(0o027)
        ---
        mask = os.umask(0)
        os.umask(mask)
        assert mask == 0o027
        """,
    ),
]

FILES: list[tuple[str, str]] = [
    (
        "files_stay",
        """
        import os
        os.makedirs("a/b")
        os.mkdir("empty")
        with open("a/b/text", "w") as file:
            file.write("one\\n")
        with open("script", "w") as file:
            file.write("#!/bin/sh\\necho ran\\n")
        os.chmod("script", 0o755)
        os.symlink("a/b/text", "link")
        ---
        import subprocess
        assert open("a/b/text").read() == open("link").read() == "one\\n" and os.readlink("link") == "a/b/text"
        assert os.listdir("empty") == [] and subprocess.run(["./script"], capture_output=True).stdout == b"ran\\n"
        with open("a/b/text", "a") as file:
            file.write("two\\n")
        ---
        assert open("a/b/text").read() == "one\\ntwo\\n" and os.access("script", os.X_OK)
        """,
    ),
    (
        "files_go",
        """
        import os
        for name in "ab":
            with open(name, "w") as file:
                file.write(name)
        ---
        os.remove("a")
        os.rename("b", "c")
        ---
        assert os.listdir() == ["c"] and open("c").read() == "b"
        """,
    ),
    (
        "names_that_are_no_text",
        """
        import os
        with open(b"\\xff", "w") as file:
            file.write("a")
        os.symlink(b"\\xff", b"link\\xfe")
        os.environb[b"ODD"] = b"\\xfd"
        name = os.listdir()[0]
        ---
        assert open(b"link\\xfe").read() == "a" and sorted(os.listdir(b".")) == [b"link\\xfe", b"\\xff"]
        assert os.environb[b"ODD"] == b"\\xfd" and os.path.exists(name)
        """,
    ),
    (
        "a_file_of_data",
        """
        with open("data.bin", "wb") as file:
            file.write(bytes(range(256)) * 10_000)
        ---
        import os
        assert os.path.getsize("data.bin") == 2_560_000
        with open("data.bin", "r+b") as file:
            file.seek(1_000_000)
            file.write(b"changed")
        ---
        data = open("data.bin", "rb").read()
        assert data[1_000_000:1_000_007] == b"changed" and data[:256] == bytes(range(256)) and len(data) == 2_560_000
        """,
    ),
    (
        "a_database_in_a_file",
        """
        import sqlite3
        connection = sqlite3.connect("data.db")
        connection.execute("create table t (a)")
        connection.execute("insert into t values (5)")
        connection.commit()
        connection.close()
        del connection
        ---
        assert sqlite3.connect("data.db").execute("select a from t").fetchall() == [(5,)]
        """,
    ),
]

#: These raise where nothing is lost, in one process: only between sandboxes is there anything to see.
GONE: list[tuple[str, str]] = [
    (
        "what_is_lost_says_so",
        """
        import sqlite3
        connection, other = sqlite3.connect(":memory:"), [1]
        def query():
            return connection.execute("select 1")
        ---
        assert other == [1] and "connection" in repr(connection)
        uses = {
            "call": lambda: connection(), "attribute": lambda: connection.execute, "set": lambda: setattr(connection, "a", 1),
            "item": lambda: connection[0], "length": lambda: len(connection), "iterate": lambda: list(connection),
            "add": lambda: connection + 1, "added": lambda: 1 + connection, "truth": lambda: bool(connection),
            "less": lambda: connection < 1, "equal": lambda: connection == 1, "format": lambda: f"{connection}",
            "text": lambda: str(connection), "in": lambda: 1 in connection, "with": lambda: connection.__enter__(),
            "hash": lambda: hash(connection), "integer": lambda: int(connection), "negative": lambda: -connection,
            "next": lambda: next(connection), "in a function": query,
        }
        wrong = []
        for use, call in uses.items():
            try:
                wrong.append((use, call()))
            except NameError as error:
                if not str(error).startswith("'connection' (sqlite3.Connection) was not carried"):
                    wrong.append((use, str(error)))
        assert not wrong, wrong
        """,
    ),
    (
        "what_is_lost_can_be_made_again",
        """
        lost = (a for a in "abc")
        ---
        kept = 1
        ---
        try:
            next(lost)
            raise AssertionError
        except NameError as error:
            assert "'lost' (generator) was not carried" in str(error)
        lost = "made again"
        ---
        assert lost == "made again" and kept == 1
        """,
    ),
    (
        "what_is_lost_can_be_deleted",
        """
        lost = (a for a in "abc")
        ---
        del lost
        ---
        assert "lost" not in globals()
        """,
    ),
    (
        "a_module_that_is_gone",
        """
        import os, sys
        with open("soon_gone.py", "w") as file:
            file.write("a = 5\\n")
        import soon_gone
        kept = soon_gone.a
        os.remove("soon_gone.py")
        ---
        assert kept == 5
        try:
            soon_gone.a
            raise AssertionError
        except (NameError, ImportError) as error:
            assert "soon_gone" in str(error)
        """,
    ),
    (
        "lost_things_take_nothing_along",
        """
        import threading
        class Guarded:
            def __init__(self):
                self.lock = threading.Lock()
                self.lock.acquire()
        guarded, plain, shared = Guarded(), {"a": 1}, [1]
        holds = [shared, (a for a in "abc")]
        def uses():
            return plain["a"], shared
        class Late:
            def __init__(self):
                self.a = 1
            def __setstate__(self, state):
                raise ValueError("never")
        late = Late()
        last = [shared]
        ---
        assert uses() == (1, [1]) and last[0] is shared and Guarded().lock and Late().a == 1
        assert len(holds) == 2 and holds[0] is shared and type(guarded) is Guarded
        for name in ("guarded.lock", "holds[1]", "late"):
            try:
                bool(eval(name))
                raise AssertionError(name)
            except NameError as error:
                assert name in str(error) and "was not carried" in str(error)
        """,
    ),
]

"""Iterators and objects of the standard library: see :mod:`carry_cases`."""

from __future__ import annotations

ITERATORS: list[tuple[str, str, str]] = [
    ("list_iterator", "x = iter([1, 2, 3])\nnext(x)", "list(x) == [2, 3]"),
    ("tuple_iterator", "x = iter((1, 2, 3))\nnext(x)", "list(x) == [2, 3]"),
    ("text_iterator", "x = iter('abc')\nnext(x)", "list(x) == ['b', 'c']"),
    ("range_iterator", "x = iter(range(5))\nnext(x)", "list(x) == [1, 2, 3, 4]"),
    ("dict_iterator", "x = iter({'a': 1, 'b': 2})\nnext(x)", "list(x) == ['b']"),
    ("set_iterator", "x = iter({5})", "list(x) == [5]"),
    ("reversed", "x = reversed([1, 2, 3])\nnext(x)", "list(x) == [2, 1]"),
    ("enumerate", "x = enumerate('abc')\nnext(x)", "list(x) == [(1, 'b'), (2, 'c')]"),
    ("zip", "x = zip([1, 2], 'ab')\nnext(x)", "list(x) == [(2, 'b')]"),
    ("map", "x = map(lambda a: a * 2, [1, 2, 3])\nnext(x)", "list(x) == [4, 6]"),
    ("filter", "x = filter(lambda a: a % 2, range(6))\nnext(x)", "list(x) == [3, 5]"),
    ("callable_iterator", "x = iter([3, 2, 1].pop, 3)\nnext(x)", "list(x) == [2]"),
    (
        "shared_iterator",
        "shared_iterator = iter([1, 2, 3, 4])\nx = zip(shared_iterator, shared_iterator)",
        "next(shared_iterator) == 1 and list(x) == [(2, 3)]",
    ),
]

LIBRARY: list[tuple[str, str, str]] = [
    (
        "logger",
        """
        import logging
        x = logging.getLogger('carried.logger')
        """,
        "x is logging.getLogger('carried.logger')",
    ),
    (
        "log_record",
        """
        import logging
        x = logging.makeLogRecord({'msg': 'a %s', 'args': ('b',)})
        """,
        "x.getMessage() == 'a b'",
    ),
    (
        "element_tree",
        "import xml.etree.ElementTree as ET\nx = ET.ElementTree(ET.fromstring('<a><b c=\"1\"/></a>'))",
        "x.getroot()[0].get('c') == '1'",
    ),
    (
        "minidom",
        "from xml.dom import minidom\nx = minidom.parseString('<a><b/></a>')",
        "x.documentElement.firstChild.tagName == 'b' and x.documentElement.firstChild.parentNode is x.documentElement",
    ),
    ("template", "import string\nx = string.Template('$a!')", "x.substitute(a='hi') == 'hi!'"),
    ("arguments", "import argparse\nx = argparse.Namespace(a=1)", "x == argparse.Namespace(a=1)"),
    (
        "argument_parser",
        "import argparse\nx = argparse.ArgumentParser('program')\nx.add_argument('--n', type=int)",
        "x.parse_args(['--n', '5']).n == 5",
    ),
    (
        "config_parser",
        "import configparser\nx = configparser.ConfigParser()\nx.read_string('[a]\\nb = 1')",
        "x.getint('a', 'b') == 1 and x['a']['b'] == '1'",
    ),
    ("signature", "import inspect\nx = inspect.signature(lambda a, *, b=1: None)", "str(x) == '(a, *, b=1)'"),
    ("stat_result", "import os\nx = os.stat('/')", "x.st_mode == os.stat('/').st_mode"),
    (
        "complete_process",
        "import subprocess\nx = subprocess.run(['echo', 'hi'], capture_output=True)",
        "x.stdout == b'hi\\n' and x.check_returncode() is None",
    ),
    (
        "email",
        """
        from email.message import EmailMessage
        x = EmailMessage()
        x['Subject'] = 'hi'
        x.set_content('body')
        """,
        "x['Subject'] == 'hi' and x.get_content() == 'body\\n'",
    ),
    (
        "url",
        "from urllib.parse import urlsplit\nx = urlsplit('http://a/b?c')",
        "x.netloc == 'a' and x.geturl() == 'http://a/b?c'",
    ),
    (
        "request",
        "from urllib.request import Request\nx = Request('http://a/b', headers={'H': 'v'})",
        "x.full_url == 'http://a/b' and x.headers == {'H': 'v'}",
    ),
    ("statistics", "from statistics import NormalDist\nx = NormalDist(1, 2)", "x.mean == 1 and x.stdev == 2"),
    ("calendar", "import calendar\nx = calendar.TextCalendar()", "'January 2024' in x.formatmonth(2024, 1)"),
    (
        "text_wrapper",
        """
        import textwrap
        x = textwrap.TextWrapper(width=10)
        """,
        "x.fill('one two three') == 'one two\\nthree'",
    ),
    (
        "sequence_matcher",
        """
        import difflib
        x = difflib.SequenceMatcher(None, 'abc', 'abd')
        """,
        "round(x.ratio(), 2) == 0.67",
    ),
    (
        "topological_sorter",
        "from graphlib import TopologicalSorter\nx = TopologicalSorter({'b': {'a'}})",
        "list(x.static_order()) == ['a', 'b']",
    ),
    (
        "scheduler_of_heap",
        "import heapq\nx = [3, 1, 2]\nheapq.heapify(x)",
        "[heapq.heappop(x) for _ in range(3)] == [1, 2, 3]",
    ),
    ("bisect_key", "import bisect\nx = [1, 3]\nbisect.insort(x, 2)", "x == [1, 2, 3]"),
    ("number_of_ctypes", "import ctypes\nx = ctypes.c_int(5)", "x.value == 5"),
    ("mock", "from unittest import mock\nx = mock.sentinel.thing", "x is mock.sentinel.thing"),
    (
        "exit_stack",
        """
        import contextlib
        x = contextlib.ExitStack()
        seen_by_stack = []
        x.callback(seen_by_stack.append, 1)
        """,
        "x.close() or seen_by_stack == [1]",
    ),
    ("time_zone", "import datetime\nx = datetime.timezone.utc", "x is datetime.timezone.utc"),
    ("zone", "from zoneinfo import ZoneInfo\nx = ZoneInfo('UTC')", "x is ZoneInfo('UTC')"),
    (
        "json_of_nested",
        """
        import json
        x = json.loads('{"a": [1, null, {"b": 2.5}]}')
        """,
        "x == {'a': [1, None, {'b': 2.5}]}",
    ),
    ("shuffled", "import random\nx = random.sample(range(100), 100)", "sorted(x) == list(range(100))"),
    ("profile", "import cProfile\nx = cProfile.run", "x is cProfile.run"),
    ("sys_path", "import sys\nx = sys.path, sys.modules", "x[0] is sys.path and x[1] is sys.modules"),
    (
        "builtin_types",
        "import types\nx = [int, type, types.FunctionType, types.ModuleType, type(None), type(...)]",
        "x == [int, type, types.FunctionType, types.ModuleType, type(None), type(...)]",
    ),
    (
        "future_annotations",
        "import __future__\nx = __future__.annotations",
        "x.getMandatoryRelease() == __future__.annotations.getMandatoryRelease()",
    ),
    ("free_lock", "import threading\nx = threading.Lock()", "x.acquire() and not x.acquire(blocking=False)"),
    (
        "free_reentrant_lock",
        """
        import threading
        x = threading.RLock()
        """,
        "x.acquire() and x.acquire() and not x.release()",
    ),
    (
        "free_lock_in_instance",
        """
        import threading
        class Guards:
            def __init__(self):
                self.lock = threading.Lock()
        x = Guards()
        """,
        "x.lock.acquire()",
    ),
    ("free_condition", "import threading\nx = threading.Condition()", "x.acquire() and not x.notify_all()"),
    ("event", "import threading\nx = threading.Event()\nx.set()", "x.is_set() and x.wait(0)"),
    ("queue", "import queue\nx = queue.Queue()\nx.put(1)", "x.get_nowait() == 1 and x.empty()"),
    (
        "thread_not_started",
        """
        import threading
        seen_by_thread = []
        x = threading.Thread(target=seen_by_thread.append, args=(1,))
        """,
        "x.start() or x.join() or seen_by_thread == [1]",
    ),
    (
        "finished_program",
        """
        import subprocess
        x = subprocess.Popen(['false'])
        x.wait()
        """,
        "x.poll() == 1 and x.args == ['false']",
    ),
    (
        "weak_reference",
        """
        import weakref
        class WeakTarget:
            pass
        weak_target = WeakTarget()
        x = weakref.ref(weak_target)
        """,
        "x() is weak_target",
    ),
    (
        "weak_values",
        """
        import weakref
        class WeakValue:
            pass
        weak_value = WeakValue()
        x = weakref.WeakValueDictionary(a=weak_value)
        """,
        "x['a'] is weak_value",
    ),
    (
        "weak_keys",
        """
        import weakref
        class WeakKey:
            pass
        weak_key = WeakKey()
        x = weakref.WeakKeyDictionary({weak_key: 1})
        """,
        "x[weak_key] == 1",
    ),
    (
        "weak_set",
        """
        import weakref
        class WeakItem:
            pass
        weak_item = WeakItem()
        x = weakref.WeakSet([weak_item])
        """,
        "list(x) == [weak_item]",
    ),
    ("mock_call", "from unittest import mock\nx = mock.call", "x.a(1) == mock.call.a(1)"),
    (
        "file_for_reading",
        """
        import os
        x = open(os.__file__)
        x.readline()
        """,
        "x.read() == open(os.__file__).read().partition(chr(10))[2] and x.name == os.__file__",
    ),
    (
        "binary_file_for_reading",
        """
        import os
        x = open(os.__file__, 'rb')
        x.seek(9)
        """,
        "x.tell() == 9 and x.read(5) == open(os.__file__, 'rb').read(14)[9:]",
    ),
]

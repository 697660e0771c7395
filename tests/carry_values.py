"""Plain values and what the standard library makes of them: see :mod:`carry_cases`."""

from __future__ import annotations

VALUES: list[tuple[str, str, str]] = [
    ("small_integer", "x = 7", "x == 7 and type(x) is int"),
    ("big_integer", "x = -(3**5000)", "x == -(3**5000)"),
    (
        "float",
        "x = [0.1 + 0.2, float('inf'), -0.0, float('nan')]",
        "[*map(str, x)] == ['0.30000000000000004', 'inf', '-0.0', 'nan']",
    ),
    ("complex", "x = complex(1.5, -0.0)", "str(x) == '(1.5-0j)'"),
    (
        "constants",
        "x = [None, True, False, ..., NotImplemented]",
        "all(a is b for a, b in zip(x, [None, True, False, ..., NotImplemented]))",
    ),
    ("text", r"x = 'ä\0\u20ac\U0001f600\r\n'", r"x == 'ä\0\u20ac\U0001f600\r\n'"),
    ("lone_surrogate", r"x = 'a\udc80b'", r"x == 'a\udc80b'"),
    ("long_text", "x = 'äb' * 200_000", "x == 'äb' * 200_000 and type(x) is str"),
    ("bytes", "x = bytes(range(256))", "x == bytes(range(256)) and type(x) is bytes"),
    ("long_bytes", "x = bytes(range(256)) * 2000", "x == bytes(range(256)) * 2000 and type(x) is bytes"),
    ("long_bytearray", "x = bytearray(300_000)", "x.extend(b'!') or (len(x), x[-1], type(x)) == (300_001, 33, bytearray)"),
    (
        "array",
        """
        import array
        x = array.array('d', [1.5, -2.0])
        """,
        "x.append(0.0) or x == array.array('d', [1.5, -2.0, 0.0])",
    ),
    ("tuple", "x = (1, (2, ('three',)), ())", "x == (1, (2, ('three',)), ())"),
    ("list", "x = [1, [2, ['three']], []]", "x == [1, [2, ['three']], []]"),
    ("dict_in_order", "x = {str(i * 7919 % 1000): i for i in range(1000)}", "list(x.values()) == list(range(1000))"),
    ("set", "x = {-2, 'a', (1, 2), frozenset({3})}", "x == {-2, 'a', (1, 2), frozenset({3})}"),
    ("range", "x = range(10**30, 0, -3)", "x == range(10**30, 0, -3)"),
    ("slice", "x = slice(1, None, -2)", "x == slice(1, None, -2)"),
    ("list_in_itself", "x = [1]\nx.append(x)", "x[1] is x and len(x) == 2"),
    ("tuple_in_its_list", "x = ([],)\nx[0].append(x)", "x[0][0] is x"),
    ("dict_in_itself", "x = {'a': 1}\nx['self'] = x", "x['self']['self'] is x"),
    ("shared_twice", "x = [[0]] * 3", "x[0].append(1) or x == [[0, 1]] * 3 and x[0] is x[2]"),
    (
        "deep_nesting",
        """
        x = []
        for _ in range(400):
            x = [x]
        """,
        "str(x) == '[' * 401 + ']' * 401",
    ),
    (
        "deque",
        "import collections\nx = collections.deque('abcde', maxlen=3)",
        "x.append('f') or ''.join(x) == 'def' and x.maxlen == 3",
    ),
    (
        "counter",
        "from collections import Counter\nx = Counter('abracadabra')",
        "x.most_common(1) == [('a', 5)] and x['z'] == 0",
    ),
    (
        "ordered_dict",
        "from collections import OrderedDict\nx = OrderedDict(a=1, b=2)\nx.move_to_end('a')",
        "list(x) == ['b', 'a'] and x != OrderedDict(a=1, b=2)",
    ),
    (
        "defaultdict",
        "from collections import defaultdict\nx = defaultdict(list, a=[1])",
        "x['b'].append(2) or x == {'a': [1], 'b': [2]}",
    ),
    (
        "defaultdict_of_lambda",
        "from collections import defaultdict\nx = defaultdict(lambda: 41)",
        "x['a'] + 1 == 42 and list(x) == ['a']",
    ),
    (
        "defaultdict_of_itself",
        """
        from collections import defaultdict
        def tree():
            return defaultdict(tree)
        x = tree()
        x['a']['b'] = 1
        """,
        "x['c']['d']['e'] == {} and x['a'] == {'b': 1}",
    ),
    (
        "chain_map",
        "from collections import ChainMap\nx = ChainMap({'a': 1}, {'a': 2, 'b': 3})",
        "dict(x) == {'a': 1, 'b': 3} and x.parents['a'] == 2",
    ),
    (
        "user_dict",
        """
        from collections import UserDict
        x = UserDict(a=1)
        """,
        "x == {'a': 1} and type(x) is UserDict",
    ),
    (
        "namedtuple",
        "from collections import namedtuple\nPoint = namedtuple('Point', 'x y', defaults=[0])\nx = Point(3)",
        "x == (3, 0) and x._replace(y=1) == Point(3, 1) and type(x) is Point",
    ),
    ("simple_namespace", "import types\nx = types.SimpleNamespace(a=1)", "x == types.SimpleNamespace(a=1)"),
    (
        "mappingproxy",
        "import types\nx = types.MappingProxyType({'a': 1})",
        "x['a'] == 1 and type(x) is types.MappingProxyType",
    ),
    (
        "dict_views",
        "x = {'a': 1}.keys(), {'a': 1}.values(), {'a': 1}.items()",
        "[list(view) for view in x] == [['a'], [1], [('a', 1)]]",
    ),
    ("decimal", "from decimal import Decimal\nx = Decimal('-1.10E+3')", "str(x) == '-1.10E+3'"),
    (
        "decimal_context",
        "import decimal\nx = decimal.Context(prec=5, rounding='ROUND_UP')",
        "str(x.divide(1, 3)) == '0.33334'",
    ),
    ("fraction", "from fractions import Fraction\nx = Fraction(6, -4)", "str(x) == '-3/2'"),
    (
        "datetimes",
        """
        import datetime as dates
        x = [dates.datetime(2024, 2, 29, 12, fold=1, tzinfo=dates.timezone(dates.timedelta(hours=2), "here")), dates.date.max]
        """,
        "str(x[0]) == '2024-02-29 12:00:00+02:00' and x[0].fold == 1 and x[0].tzname() == 'here' and x[1] == dates.date.max",
    ),
    (
        "time_delta",
        "import datetime\nx = datetime.timedelta(days=-1, microseconds=1)",
        "x == datetime.timedelta(days=-1, microseconds=1)",
    ),
    (
        "struct_time",
        """
        import time
        x = time.gmtime(0)
        """,
        "time.strftime('%Y', x) == '1970' and x.tm_gmtoff == 0",
    ),
    ("uuid", "import uuid\nx = uuid.UUID(int=5)", "x.int == 5 and x == uuid.UUID(int=5)"),
    (
        "path",
        "from pathlib import Path, PureWindowsPath\nx = [Path('/tmp/a.txt'), PureWindowsPath('C:/a')]",
        "x[0].suffix == '.txt' and x[1].drive == 'C:'",
    ),
    (
        "ip_address",
        """
        import ipaddress
        x = ipaddress.ip_network('10.0.0.0/8')
        """,
        "ipaddress.ip_address('10.1.2.3') in x",
    ),
    ("pattern", "import re\nx = re.compile('(?P<n>a+)b', re.I)", "x.match('AAB')['n'] == 'AA'"),
    (
        "bytes_io",
        """
        import io
        x = io.BytesIO(b'abcdef')
        x.read(2)
        """,
        "x.read() == b'cdef' and x.getvalue() == b'abcdef'",
    ),
    (
        "string_io",
        """
        import io
        x = io.StringIO('ab\\ncd')
        x.readline()
        """,
        "x.read() == 'cd' and x.getvalue() == 'ab\\ncd'",
    ),
    (
        "random_generator",
        "import random\nx = random.Random(5)\nx.random()",
        "[same := random.Random(5), same.random()] and x.random() == same.random()",
    ),
    ("environ", "import os\nx = os.environ", "x is os.environ"),
    ("stdout", "import sys\nx = [sys.stdout, sys.stderr]", "x[0] is sys.stdout and x[1] is sys.stderr"),
    ("module", "import json\nx = json", "x is json and x.dumps([1]) == '[1]'"),
    (
        "module_of_package",
        """
        import xml.etree.ElementTree
        x = xml
        """,
        "x.etree.ElementTree.fromstring('<a/>').tag == 'a'",
    ),
    (
        "module_made_here",
        """
        import types
        x = types.ModuleType('made_here')
        exec('count = 1\\ndef more():\\n    global count\\n    count += 1', x.__dict__)
        """,
        "x.more() or x.count == 2",
    ),
]

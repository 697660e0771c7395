"""Data of test_carry_process.py: cells, by what they show of the process. The names of one are not there in the next."""

from __future__ import annotations

from typing import Any

#: The standard library alone.
PROCESS: dict[str, list[Any]] = {
    "nothing": ["", "assert values == {}, values"],
    "cwd": [
        "import os; os.mkdir('a'); os.chdir('a')",
        "import os; assert os.path.basename(os.getcwd()) == 'a'",
        "import os; assert os.path.basename(os.getcwd()) == 'a'; os.chdir('/')",
        "import os; assert os.getcwd() == '/'",
    ],
    "cwd gone": [
        "import os; os.makedirs('a'); os.chdir('a'); os.rmdir('../a')",
        "import os; assert os.path.basename(os.getcwd()) == 'home'",
    ],
    "environment": [
        "import os; os.environ['A'] = '1'; os.environ['B'] = '2'; del os.environ['LANG']",
        "import os; assert (os.environ['A'], os.environ.get('LANG')) == ('1', None); del os.environ['B']",
        "import os; assert 'B' not in os.environ and values['environ'] == {'A': '1', 'LANG': None}",
    ],
    "environment of odd bytes": [
        r"import os; os.environb[b'A'] = b'\xff'",
        r"import os; assert os.environb[b'A'] == b'\xff'",
    ],
    "sys.path": [
        "import sys; sys.path.append('/nowhere'); sys.path.insert(0, '/first')",
        "import sys; assert sys.path[-1] == '/nowhere' and sys.path[0] == '/first'; del sys.path[0]",
        "import sys; assert sys.path[-1] == '/nowhere' and sys.path[0] != '/first'",
    ],
    "sys.argv": ["import sys; sys.argv[:] = ['me', '-x']", "import sys; assert sys.argv == ['me', '-x']"],
    "recursion": ["import sys; sys.setrecursionlimit(4321)", "import sys; assert sys.getrecursionlimit() == 4321"],
    "digits": [
        "import sys\nif hasattr(sys, 'set_int_max_str_digits'): sys.set_int_max_str_digits(0)",
        "import sys\nif hasattr(sys, 'set_int_max_str_digits'): assert sys.get_int_max_str_digits() == 0",
    ],
    "umask": [
        "import os; os.umask(0o007)",
        "import os; open('a', 'w').close(); assert os.stat('a').st_mode & 0o777 == 0o660; assert os.umask(0o022) == 0o007",
    ],
    "time zone": [
        "import os, time; os.environ['TZ'] = 'XYZ-5:30'; time.tzset()",
        "import time; assert time.timezone == -19800 and time.localtime(0).tm_hour == 5",
        "import os, time; assert time.timezone == -19800; del os.environ['TZ']; time.tzset()",
        "import os, time; assert time.timezone == 0 and 'TZ' not in os.environ",
    ],
    "time zone not set": [
        "import os, time; os.environ['TZ'] = 'XYZ-5:30'; assert time.localtime(0).tm_hour == 0",
        "import time; assert time.localtime(0).tm_hour == 0",
    ],
    "random": [
        """
        import random; random.seed(5); random.gauss(0, 1)
        import os; os.environ['NEXT'] = repr([random.gauss(0, 1), random.random()]); random.seed(5); random.gauss(0, 1)
        """,
        "",
        "import os, random; assert os.environ['NEXT'] == repr([random.gauss(0, 1), random.random()])",
    ],
    "random after filling": [
        "import random; random.seed(5)",
        ["import random; random.random()", "assert random.random() == random.Random(5).random()"],
    ],
    "random first in a task": [
        "import random; random.seed(1)",
        """
        import contextvars
        def late():
            import random
            assert random.random() == random.Random(1).random()
            random.seed(2)
        contextvars.copy_context().run(late)
        """,
        "import random; assert random.random() == random.Random(2).random()",
    ],
    "what filling disturbs": [
        "import os, sys; os.mkdir('a'); os.chdir('a'); sys.path.append('/mine')",
        [
            "import os, sys; os.chdir('/'); sys.path.append('/theirs'); sys.setrecursionlimit(5000)",
            "import os, sys; assert os.path.basename(os.getcwd()) == 'a' and sys.path[-1] == '/mine'",
        ],
    ],
    "random of a state": [
        "import random, json; json.dump(random.getstate(), open('state', 'w')); random.random()",
        "import random, json; json.dump(random.random(), open('drawn', 'w'))",
        """
        import random, json
        version, state, gauss = json.load(open('state'))
        random.setstate((version, tuple(state), gauss))
        random.random()
        assert random.random() == json.load(open('drawn'))
        """,
    ],
    "warnings ignored": [
        "import warnings; warnings.filterwarnings('ignore')",
        """
        import warnings
        assert warnings.filters[0] == ('ignore', None, Warning, None, 0)
        warnings.filterwarnings('error', message='a.c', category=UserWarning, module='b', lineno=7)
        """,
        """
        import re, warnings
        assert warnings.filters[0] == ('error', re.compile('a.c', re.I), UserWarning, re.compile('b'), 7)
        assert warnings.filters[1] == ('ignore', None, Warning, None, 0)
        try:
            warnings.warn_explicit('abc', UserWarning, 'b', 7, 'b')
        except UserWarning:
            pass
        else:
            raise AssertionError
        warnings.resetwarnings()
        """,
        "import warnings; assert not warnings.filters; warnings.simplefilter('error')",
        "import warnings; assert len(warnings.filters) == 1",
    ],
    "warnings of a class of __main__": [
        "import warnings\nclass W(Warning): pass\nwarnings.simplefilter('error', W)",
        "import warnings; assert warnings.filters[0][2].__qualname__ == 'W'",
        [
            "import sys\nclass W(Warning): pass\nsys.modules['__main__'].W = W",
            "import warnings; assert warnings.filters[0][2] is W",
        ],
    ],
    "warnings of a module that waits": [
        """
        open('mine.py', 'w').write('class W(Warning): pass')
        import sys, warnings
        sys.path.insert(0, '')
        import mine
        warnings.simplefilter('error', mine.W)
        """,
        "import sys, warnings; assert 'mine' not in sys.modules; warnings.simplefilter('ignore')",
        """
        import warnings, mine
        assert warnings.filters[0][:3] == ('ignore', None, Warning)
        assert warnings.filters[1][:3] == ('error', None, mine.W)
        warnings.resetwarnings()
        """,
    ],
    "a second import disturbs nothing": [
        """
        source = 'import random, warnings; warnings.simplefilter("always", UserWarning); random.seed(1)'
        open('mine.py', 'w').write(source)
        import random, sys, warnings
        sys.path.insert(0, '')
        import mine
        warnings.simplefilter('ignore')
        random.seed(2)
        """,
        """
        import random, warnings
        filters = list(warnings.filters)
        import mine
        assert warnings.filters == filters
        assert random.random() == random.Random(2).random()
        """,
    ],
    "a first import does": [
        "import warnings; open('mine.py', 'w').write('import random; random.seed(1)')",
        "import sys; sys.path.insert(0, ''); import mine, random; assert random.random() == random.Random(1).random()",
    ],
    "linecache": [
        """
        import linecache, os
        linecache.cache['Cell In[1]'] = (4, None, ['a\\n', 'b\\n'], 'Cell In[1]')
        linecache.getline(os.__file__, 1)
        """,
        "import linecache; assert linecache.getline('Cell In[1]', 2) == 'b\\n'; assert len(values['sources']) == 1",
        "import linecache; linecache.checkcache(); assert linecache.getline('Cell In[1]', 2) == 'b\\n'",
    ],
    "linecache is bounded": [
        """
        import linecache
        for n in range(30):
            linecache.cache['Cell In[%d]' % n] = (10**5, None, ['x' * 10**5], 'Cell In[%d]' % n)
        """,
        """
        import linecache
        assert [name for name in linecache.cache if name[0] == 'C'] == ['Cell In[%d]' % n for n in range(10, 30)]
        """,
    ],
    "decimal": [
        "import decimal; decimal.getcontext().prec = 7; decimal.getcontext().traps[decimal.Inexact] = True",
        "import sys; assert 'decimal' in before or 'decimal' not in sys.modules",
        """
        import decimal
        assert decimal.getcontext().prec == 7 and decimal.getcontext().traps[decimal.Inexact]
        decimal.getcontext().prec = 28
        decimal.getcontext().traps[decimal.Inexact] = False
        """,
        "assert 'settings' not in values",
    ],
    "logging": [
        """
        import logging, sys
        logging.basicConfig(level=logging.INFO, format='%(levelname)s-%(message)s')
        logging.getLogger('mine').setLevel(10)
        logging.getLogger('mine').addHandler(logging.FileHandler('log', encoding='utf-8'))
        logging.getLogger('mine').propagate = False
        logging.getLogger('mine').debug('one')
        logging.getLogger('json').addHandler(logging.StreamHandler())
        logging.disable(5)
        """,
        "import sys; assert 'logging' not in sys.modules",
        """
        import io, logging, sys
        [handler] = logging.root.handlers
        assert handler.stream is sys.stderr and logging.root.level == logging.root.manager.disable * 4 == 20
        handler.stream = io.StringIO()
        logging.info('hear %s', 'me')
        assert handler.stream.getvalue() == 'INFO-hear me\\n'
        handler.stream = sys.stderr
        logging.getLogger('mine').debug('two')
        assert open('log').read() == 'one\\ntwo\\n'
        import json
        assert not logging.getLogger('json').handlers
        """,
        "import logging; assert len(logging.root.handlers) == len(logging.getLogger('mine').handlers) == 1",
    ],
    "what is no filter": [
        "import warnings; warnings.filters.insert(0, 'odd'); warnings.filters.insert(0, ('ignore', None, Warning, None, 0))",
        "import warnings; assert 'odd' not in warnings.filters and warnings.filters[0][2] is Warning",
    ],
}

#: With :mod:`sandbox_kernel.guest.life`, which the cells see as `life`.
LIFE: dict[str, list[Any]] = {
    "random nobody seeded": [
        "import json, random; random.random(); json.dump(random.getstate(), open('state', 'w'))",
        """
        import json, random
        assert json.load(open('state')) == json.loads(json.dumps(random.getstate()))
        assert not life.is_seeded(random._inst)
        """,
        [
            "life.begin_anew('x'); process.begin_anew()",
            "import json, random; assert json.load(open('state')) != json.loads(json.dumps(random.getstate()))",
        ],
    ],
    "random that was seeded": [
        "import random; random.seed(5)",
        "import random; assert life.is_seeded(random._inst)",
        ["life.begin_anew('x'); process.begin_anew()", "import random; assert random.random() == random.Random(5).random()"],
        "import random; random.seed()",
        "import random; assert not life.is_seeded(random._inst)",
    ],
}

"""Data of test_carry_process.py: cells, by what they show of settings of packages."""

from __future__ import annotations

from typing import Any

#: Each needs the packages that its name begins with.
PACKAGES: dict[str, list[Any]] = {
    "numpy": [
        """
        import numpy as np
        np.set_printoptions(precision=3, suppress=True)
        np.seterr(divide='raise')
        np.random.seed(3)
        np.random.normal()
        """,
        "import sys; assert 'numpy' not in sys.modules",
        """
        import numpy as np
        assert np.get_printoptions()['precision'] == 3 and np.geterr()['divide'] == 'raise'
        state = np.random.RandomState(3)
        state.normal()
        assert [np.random.normal(), np.random.random()] == [state.normal(), state.random()]
        """,
        "import numpy as np; assert np.random.random() != 0 and str(np.array([1/3])) == '[0.333]'",
    ],
    "numpy printed by a function": [
        "import numpy as np; np.set_printoptions(precision=2, formatter={'float': lambda value: '<%g>' % value})",
        "import numpy as np; assert str(np.array([1.5])) == '[<1.5>]' and np.get_printoptions()['precision'] == 2",
    ],
    "numpy first in a task": [
        "import numpy as np; np.set_printoptions(precision=3)",
        """
        import asyncio
        async def late():
            import numpy as np
            assert np.get_printoptions()['precision'] == 3
        asyncio.run(late())
        """,
        "import numpy as np; assert np.get_printoptions()['precision'] == 3",
    ],
    "numpy generator exchanged": [
        "import numpy as np; np.random.set_bit_generator(np.random.PCG64(4)); np.random.random()",
        """
        import numpy as np
        twin = np.random.Generator(np.random.PCG64(4))
        twin.random()
        assert np.random.random() == twin.random()
        """,
    ],
    "pandas": [
        "import pandas as pd; pd.set_option('display.max_rows', 7); pd.options.display.float_format = '{:.1f}'.format",
        "import sys; assert not {'pandas', 'numpy'} & set(sys.modules)",
        """
        import pandas as pd
        assert pd.options.display.max_rows == 7 and str(pd.Series([1.25])).split()[1] == '1.2'
        pd.reset_option('display.max_rows')
        """,
        "import pandas as pd; assert pd.options.display.max_rows == 60 and pd.options.display.float_format(2.0) == '2.0'",
    ],
    "pandas formatted by a function": [
        "import pandas as pd; digits = 1; pd.options.display.float_format = lambda value: '<%.*f>' % (digits, value)",
        "",
        """
        import pandas as pd
        digits = 2
        assert str(pd.Series([1.25])).split()[1] == '<1.25>'
        assert __builtins__ is __import__('builtins')
        """,
    ],
    "matplotlib": [
        """
        import matplotlib
        matplotlib.use('svg')
        import matplotlib.pyplot as plt
        plt.style.use('ggplot')
        plt.rcParams['figure.figsize'] = (3, 4)
        plt.rcParams['font.sans-serif'].insert(0, 'Mine')
        plt.ioff()
        """,
        "import sys; assert 'matplotlib' not in sys.modules",
        """
        import matplotlib.pyplot as plt
        assert plt.get_backend() == 'svg' and plt.rcParams['figure.figsize'] == [3, 4]
        assert plt.rcParams['axes.prop_cycle'].by_key()['color'][0] == '#E24A33'
        assert plt.rcParams['font.sans-serif'][0] == 'Mine'
        plt.rcdefaults()
        """,
        "import matplotlib; assert matplotlib.rcParams['figure.figsize'] == [6.4, 4.8]",
    ],
    "matplotlib chooses no backend": [
        "import matplotlib; matplotlib.rcParams['lines.linewidth'] = 7",
        "import matplotlib; assert matplotlib.rcParams['lines.linewidth'] == 7",
        "assert list(values['settings']['matplotlib']) == ['lines.linewidth']",
    ],
    "pandas imported once more": [
        "import numpy, pandas, warnings; warnings.simplefilter('error')",
        """
        import warnings
        filters = [(*item[:2], item[2].__name__, *item[3:]) for item in warnings.filters]
        import numpy, pandas
        assert [(*item[:2], item[2].__name__, *item[3:]) for item in warnings.filters] == filters
        assert numpy.exceptions.RankWarning in [item[2] for item in warnings.filters]
        """,
    ],
}

#: With :mod:`sandbox_kernel.guest.life`, which the cells see as `life`; each needs the packages that its name begins with.
LIFE_PACKAGES: dict[str, list[Any]] = {
    "numpy nobody seeded": [
        "import numpy as np; _, key, at, *_ = np.random.get_state(); np.save('state', [*key, at]); np.random.random(1000)",
        "import numpy as np; np.save('drawn', np.random.random(1000)); assert not life.is_seeded(np.random.mtrand._rand)",
        """
        import numpy as np
        *key, at = np.load('state.npy')
        np.random.set_state(('MT19937', key, at))
        np.random.random(1000)
        assert (np.random.random(1000) == np.load('drawn.npy')).all()
        np.random.seed()
        """,
        "import numpy as np; np.save('state', np.random.get_state()[1])",
        "import numpy as np; assert (np.random.get_state()[1] == np.load('state.npy')).all()",
        [
            "life.begin_anew('x'); process.begin_anew()",
            "import numpy as np; assert (np.random.get_state()[1] != np.load('state.npy')).any()",
        ],
    ],
    "numpy that was seeded": [
        "import numpy as np; np.random.seed(7)",
        "life.begin_anew('x'); process.begin_anew()",
        [
            "life.begin_anew('x'); process.begin_anew()",
            """
            import numpy as np
            assert life.is_seeded(np.random.mtrand._rand)
            assert np.random.random() == np.random.RandomState(7).random()
            """,
        ],
    ],
}

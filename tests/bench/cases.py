"""What is saved and restored: sources of cells, the same for all who are compared. No imports here: rivals read it too."""

#: name: (what makes the value, what changes all of it)
CASES = {
    "1 KB": ("import os\nx = os.urandom(1_000)", "x = os.urandom(1_000)"),
    "1 MB": ("import numpy as np\nx = np.frombuffer(os.urandom(1_000_000), 'u1').copy()", "x += 1"),
    "100 MB": ("import numpy as np\nx = np.random.default_rng(0).integers(0, 256, 100_000_000, 'u1')", "x += 1"),
    "a million small objects": ("x = [(n, str(n)) for n in range(333_333)]", "x = [(n, str(n + 1)) for n in range(333_333)]"),
    "pandas, 100 MB": (
        """
import numpy as np, pandas as pd
rng = np.random.default_rng(0)
df = pd.DataFrame(rng.random((1_000_000, 12)), columns=list('abcdefghijkl'))
df['name'] = pd.Categorical(rng.choice(['red', 'green', 'blue'], len(df)))
""",
        "df[list('abcdefghijkl')] *= 1.5",
    ),
}
PREPARE = "import os"
#: What leaves the state as it is.
IDLE = "done = 1"

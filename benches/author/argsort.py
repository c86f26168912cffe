"""Writes the orders in which NumPy's portable argsort leaves equal values, for the tests of `--ties published`.

    NPY_DISABLE_CPU_FEATURES="X86_V3 X86_V4" \
        python3 benches/author/argsort.py > tests/data/argsort.json
"""

import json
import sys

import numpy as np

SIZES = ((5, 2), (16, 3), (17, 3), (18, 3), (40, 1), (100, 6), (257, 40), (600, 4))  # numbers of values, of different ones

rng = np.random.default_rng(42)
cases = []
for size, different in SIZES:
    values = rng.integers(0, different, size).astype(np.float32)
    cases.append({"values": values.astype(int).tolist(), "order": np.argsort(values).tolist()})
json.dump(cases, sys.stdout, separators=(",", ":"))
print()

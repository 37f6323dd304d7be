"""A clock on the wall that is another one whenever somebody looks: days, years, forwards and back.

Python imports this by itself in every process that has this folder on its PYTHONPATH. Monotonic time goes on, as in
a machine whose clock is set by hand, by NTP, or by its resumption from sleep.
"""

import random
import time

_OFFSETS_S = (-3.2e8, -90_000.0, -61.0, 0.0, 61.0, 90_000.0, 3.2e8)
_draw = random.Random(12)
_true = time.time


def _jumping() -> float:
    return _true() + _draw.choice(_OFFSETS_S)


time.time = _jumping
time.time_ns = lambda: int(_jumping() * 1e9)

"""Python imports this before anything else where this folder is on its path: its clock is off."""

import os
import time

_SHIFT_S = float(os.environ["CHAOS_CLOCK_SHIFT_S"])
_true_time, _true_time_ns = time.time, time.time_ns

time.time = lambda: _true_time() + _SHIFT_S
time.time_ns = lambda: _true_time_ns() + int(_SHIFT_S * 1e9)

"""How long a worker takes from the start of its process until it is ready, phase by phase.

import ─► connect (broker) ─► registry (first view, pool) ─► preload (models) ─► ready
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Self

from worker import metrics

_STAT = Path("/proc/self/stat")
# Fields of proc_pid_stat(5) behind the command's name, which may hold spaces itself.
_START_TICKS = 22 - 3


class StartClock:
    """Sets the metric of a phase when the phase has passed.

    Args:
        age_s: how long ago the first phase began, in seconds.

    """

    def __init__(self, age_s: float = 0.0) -> None:
        self._began = time.monotonic() - age_s

    @classmethod
    def of_process(cls) -> Self:
        """Begin where the process began; where the system does not tell, here."""
        try:
            fields = _STAT.read_text().rpartition(")")[2].split()
            started = int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
            return cls(time.clock_gettime(time.CLOCK_BOOTTIME) - started)
        except (OSError, AttributeError):
            return cls()

    def passed(self, phase: str) -> None:
        """Record that a phase has ended and the next begins."""
        now = time.monotonic()
        metrics.start_seconds.labels(phase).set(now - self._began)
        self._began = now

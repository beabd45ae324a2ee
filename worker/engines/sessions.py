"""Two ways to use the cores of a CPU, and which of them a run takes.

    alone   every core works on one run       a lone text is answered soonest
    busy    one core a run, a run a core      cores wait for nobody under load

A run takes the first where no other is in flight, else the second. On 2 idle cores both give
MiniLM the same throughput. With other processes on those cores the second gives 1.3 times as
much or more, since a thread that lost its core holds up no others, while the first answers a
lone text of 16 tokens in two thirds of the time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class AloneOrBusy(Generic[T]):
    """Lends one of two sessions to a run."""

    def __init__(self, alone: T, busy: T) -> None:
        self._alone = alone
        self._busy = busy
        self._lock = threading.Lock()
        self._in_flight = 0

    @contextmanager
    def lend(self) -> Iterator[T]:
        """Lend `alone` to the first of the runs in flight and `busy` to all others."""
        with self._lock:
            session = self._busy if self._in_flight else self._alone
            self._in_flight += 1
        try:
            yield session
        finally:
            with self._lock:
                self._in_flight -= 1


def available_cores() -> int:
    """How many cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Two ways to use the cores of a CPU, and which of them a run takes.

    alone   every core works on one run       a lone text is answered soonest
    busy    one core a run, a run a core      cores wait for nobody under load

A run takes the first where no other is in flight, of any model, else the second. On 2 idle
cores both give MiniLM the same throughput. With other processes on those cores the second
gives 1.3 times as much or more, since a thread that lost its core holds up no others, while the
first answers a lone text of 16 tokens in two thirds of the time.

The second is opened when it is first wanted, beside the work: a model that never has two runs at
once does not pay for it, in memory or in time to its first answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class AloneOrBusy(Generic[T]):
    """Lends one of two sessions to a run.

    Args:
        alone: for the first of the runs in flight, and for all until the other is open.
        open_busy: opens the session for all others.

    """

    def __init__(self, alone: T, open_busy: Callable[[], T]) -> None:
        self._alone = alone
        self._open_busy = open_busy
        self._busy: T | None = None
        self._opening: threading.Thread | None = None
        self._lock = threading.Lock()

    @contextmanager
    def lend(self) -> Iterator[T]:
        """Lend a session, whose runs are safe in several threads at once."""
        with _runs.one() as is_alone:
            yield self._session(is_alone=is_alone)

    def close(self) -> None:
        """Wait for a session that is being opened."""
        if self._opening is not None:
            self._opening.join()

    def _session(self, *, is_alone: bool) -> T:
        if is_alone:
            return self._alone
        with self._lock:
            if self._opening is None:
                self._opening = threading.Thread(
                    target=self._open, name="second-session", daemon=True
                )
                self._opening.start()
        return self._alone if self._busy is None else self._busy

    def _open(self) -> None:
        try:
            self._busy = self._open_busy()
        except Exception:
            log.exception("no second session; runs at once share the first")


class _Runs:
    """Counts the runs in flight in this process, which all of its models share."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_flight = 0

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Count a run, and tell whether it was the only one at its beginning."""
        with self._lock:
            is_alone = self._in_flight == 0
            self._in_flight += 1
        try:
            yield is_alone
        finally:
            with self._lock:
                self._in_flight -= 1


_runs = _Runs()

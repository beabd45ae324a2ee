"""How far a bulk call has come."""

import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

# Told the items that are done, and how many there are, or None where that is not known.
OnProgress = Callable[[int, int | None], None]

_EVERY_S = 0.1
_WIDTH = 30


class Progress:
    """Counts items, from any thread, for whoever wants to know.

    Args:
        wanted: whether to draw a bar on stderr, or what to tell instead.
        total: items in all; None: not known.
    """

    def __init__(self, wanted: bool | OnProgress, total: int | None) -> None:
        self._tell = Bar() if wanted is True else wanted or None
        self._total = total
        self._done = 0
        self._lock = threading.Lock()

    def know(self, total: int) -> None:
        """How many there are in all."""
        with self._lock:
            self._total = total

    def add(self, items: int) -> None:
        """So many more are done."""
        with self._lock:
            self._done += items
            if self._tell is not None:
                self._tell(self._done, self._total)


class Bar:
    """A bar on one line, drawn anew ten times a second and at the end.

    Args:
        stream: where to; stderr.
        clock: monotonic seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream or sys.stderr
        self._clock = clock
        self._began = clock()
        self._drawn = -_EVERY_S

    def __call__(self, done: int, total: int | None) -> None:
        now = self._clock()
        is_last = done == total
        if not is_last and now - self._drawn < _EVERY_S:
            return
        self._drawn = now
        rate = done / max(now - self._began, 1e-9)
        line = f"{done} items" if total is None else _bar(done, total)
        self._stream.write(f"\r{line}  {rate:.0f}/s" + ("\n" if is_last else ""))
        self._stream.flush()


def _bar(done: int, total: int) -> str:
    full = _WIDTH * done // max(total, 1)
    return f"{'#' * full}{'.' * (_WIDTH - full)} {done}/{total}"

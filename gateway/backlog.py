"""How long work that is published now would wait: a pure account, the clock is passed in.

The speed of a lane shows only while it has enough to do, so it is measured from the moment when
that much waits, and anew after each pause. Of a lane that answers nothing nothing is predicted: it
may be loading a model.
"""

# So many items keep every core busy.
_BUSY_ITEMS = 64
# Before that a mean says little.
_MEASURED_FOR_S = 1.0
# What was answered so long ago counts half.
_HALF_LIFE_S = 5.0


class Backlog:
    """Items of one lane that wait for this gateway's requests; seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.waiting = 0
        self._busy_since: float | None = None
        self._measured_at = 0.0
        self._answered = 0.0
        self._seconds = 0.0

    def add(self, now: float, items: int) -> None:
        """Items were published."""
        self.waiting += items
        if self._busy_since is None and self.waiting >= _BUSY_ITEMS:
            self._busy_since = self._measured_at = now
            self._answered = self._seconds = 0.0

    def answered(self, now: float, items: int) -> None:
        """Items have their results."""
        if self._busy_since is not None:
            self._forget(now)
            self._answered += items
        self.leave(items)

    def leave(self, items: int) -> None:
        """Items wait no more, for whatever reason."""
        self.waiting -= items
        if self.waiting < _BUSY_ITEMS:
            self._busy_since = None

    def wait_s(self, now: float) -> float:
        """Seconds until all that waits will have been answered; 0 where that is not known."""
        if self._busy_since is None or now - self._busy_since < _MEASURED_FOR_S:
            return 0.0
        self._forget(now)
        return self.waiting * self._seconds / self._answered if self._answered else 0.0

    def _forget(self, now: float) -> None:
        passed = now - self._measured_at
        kept = 0.5 ** (passed / _HALF_LIFE_S)
        self._answered *= kept
        self._seconds = self._seconds * kept + passed
        self._measured_at = now

"""How long work that is published now would wait: a pure account, the clock is passed in.

The speed of a lane shows only while it has enough to do, so only such time is measured, and
forgotten after a pause. Of a lane that answers nothing nothing is predicted: it may be loading a
model.
"""

# So many items keep a worker busy.
_BUSY_ITEMS = 16
# Before that a mean says little.
_MEASURED_FOR_S = 1.0
# What was answered so long ago, of busy time, counts half.
_HALF_LIFE_S = 5.0
# After so long a pause everything may be different.
_FORGOTTEN_AFTER_S = 30.0


class Backlog:
    """Items of one lane that wait for this gateway's requests; seconds of one monotonic clock."""

    def __init__(self) -> None:
        self.waiting = 0
        self._is_busy = False
        self._measured_at = 0.0
        self._answered = 0.0
        self._seconds = 0.0

    def add(self, now: float, items: int) -> None:
        """Items were published."""
        self.waiting += items
        if self._is_busy or self.waiting < _BUSY_ITEMS:
            return
        if now - self._measured_at > _FORGOTTEN_AFTER_S:
            self._answered = self._seconds = 0.0
        self._is_busy = True
        self._measured_at = now

    def answered(self, now: float, items: int) -> None:
        """Items have their results."""
        self._measure(now)
        if self._is_busy:
            self._answered += items
        self.leave(now, items)

    def leave(self, now: float, items: int) -> None:
        """Items wait no more, for whatever reason."""
        self._measure(now)
        self.waiting -= items
        self._is_busy = self._is_busy and self.waiting >= _BUSY_ITEMS

    def wait_s(self, now: float) -> float:
        """Seconds until all that waits will have been answered; 0 where that is not known."""
        self._measure(now)
        if not self._is_busy or self._seconds < _MEASURED_FOR_S or not self._answered:
            return 0.0
        return self.waiting * self._seconds / self._answered

    def _measure(self, now: float) -> None:
        if not self._is_busy:
            return
        passed = now - self._measured_at
        kept = 0.5 ** (passed / _HALF_LIFE_S)
        self._answered *= kept
        self._seconds = self._seconds * kept + passed
        self._measured_at = now

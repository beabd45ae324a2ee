"""When there will be room in a full queue again: a pure account, the clock is passed in.

Every gateway sees its own share of the queue, both of what waits and of what is answered, so
that the quotient of the two speaks for the whole.
"""

from collections import deque

_WINDOW_S = 10.0
# Room for so much of what waits is worth coming back for.
_SHARE = 0.1
_LEAST_S, _MOST_S = 1.0, 60.0
# While nothing at all is answered.
_STALLED_S = 15.0


class DrainRate:
    """What was answered lately of one queue, in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._answered: deque[tuple[int, int]] = deque()

    def answered(self, now: float, count: int = 1) -> None:
        """Takes note of so many items that left the queue."""
        second = int(now)
        if self._answered and self._answered[-1][0] == second:
            count += self._answered.pop()[1]
        self._answered.append((second, count))
        self._forget(now)

    def per_second(self, now: float) -> float:
        """Items a second, over the last ten."""
        self._forget(now)
        if not self._answered:
            return 0.0
        return sum(count for _, count in self._answered) / max(1.0, now - self._answered[0][0])

    def retry_after_s(self, now: float, waiting: int) -> float:
        """Seconds until a tenth of what waits here will have left, 1 to 60."""
        rate = self.per_second(now)
        if not rate:
            return _STALLED_S
        return min(_MOST_S, max(_LEAST_S, waiting * _SHARE / rate))

    def _forget(self, now: float) -> None:
        while self._answered and now - self._answered[0][0] > _WINDOW_S:
            self._answered.popleft()

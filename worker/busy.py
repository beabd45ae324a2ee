"""How busy a device was lately, of the seconds for which it was busy in all."""

from __future__ import annotations

from collections import deque


class BusyShare:
    """Keeps as much of the past as it takes; pure, with time passed in as monotonic seconds.

    Args:
        over_s: of how long a past the share is.

    """

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._seen: deque[tuple[float, float]] = deque()

    def share(self, busy_s: float, now: float) -> float:
        """Return the share, 0 to 1, up to now.

        Args:
            busy_s: seconds for which it was busy, since ever.
            now: never earlier than before.

        """
        self._seen.append((now, busy_s))
        # The newest of those that are old enough is where the past begins.
        while len(self._seen) > 2 and self._seen[1][0] <= now - self._over_s:
            self._seen.popleft()
        since, busy_then = self._seen[0]
        elapsed = now - since
        return min(1.0, (busy_s - busy_then) / elapsed) if elapsed > 0 else 0.0

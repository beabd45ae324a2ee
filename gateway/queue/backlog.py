"""What waits in one order, and how long more of it would wait: pure, the clock is passed in.

    waiting ▁▂▅▇▇▇▁▁▂▇▇▇
              └───┘   └──┘ busy: what is answered in such time is the speed

With little in the queue, what is answered a second is what was asked a second, and tells nothing
of what could be. So only busy time is measured, and forgotten after a pause. Of a queue in which
nothing is answered nothing is predicted: its model may be on its way.
"""

from collections import Counter

# So many items keep a worker busy.
_BUSY_ITEMS = 16
# Before that a mean says little.
_MEASURED_FOR_S = 1.0
# What was answered so long ago, of busy time, counts half.
_HALF_LIFE_S = 5.0
# After so long a pause everything may be different.
_FORGOTTEN_AFTER_S = 30.0
# Of a tenant's items, so many stand in line before those that others send next.
_IN_LINE_ITEMS = 16


class Backlog:
    """Items that this gateway has sent and that have no result yet.

    Every gateway sees its own share of what waits and of what is answered; their quotient is
    the wait of all.
    """

    def __init__(self) -> None:
        self._tenants: Counter[str] = Counter()
        # Tenants some of whose items do not stand in line.
        self._flooding: set[str] = set()
        self._waiting = 0
        self._is_busy = False
        self._measured_at = 0.0
        self._answered = 0.0
        self._seconds = 0.0

    def enter(self, tenant: str, count: int, now: float) -> int:
        """Takes note of a tenant's items that wait from now on.

        Returns:
            How many of them may stand in line with those of others. None while earlier ones of
            the tenant do not: they would be overtaken.
        """
        room = 0 if tenant in self._flooding else max(0, _IN_LINE_ITEMS - self._tenants[tenant])
        if count > room:
            self._flooding.add(tenant)
        self._tenants[tenant] += count
        self._waiting += count
        self._begin_measuring(now)
        return room

    def leave(self, tenant: str, count: int, now: float, *, answered: bool) -> None:
        """Takes note of items that wait no more, and whether a worker did that."""
        self._measure(now)
        if answered and self._is_busy:
            self._answered += count
        self._tenants[tenant] -= count
        if self._tenants[tenant] <= _IN_LINE_ITEMS:
            self._flooding.discard(tenant)
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        self._waiting -= count
        self._is_busy = self._is_busy and self._waiting >= _BUSY_ITEMS

    def excess_s(self, tenant: str, bound_s: float, now: float) -> float:
        """How many seconds too long one more request of the tenant would wait, or 0.

        What can be answered within the bound is shared evenly by the tenants that wait, so that
        one tenant's backlog refuses no other's requests.

        Args:
            tenant: who asks.
            bound_s: how long is not too long.
            now: seconds, monotonic.
        """
        self._measure(now)
        if not self._is_busy or self._seconds < _MEASURED_FOR_S or self._answered <= 0:
            return 0.0
        tenants = len(self._tenants.keys() | {tenant})
        wait_s = self._tenants[tenant] * tenants * self._seconds / self._answered
        return max(0.0, wait_s - bound_s)

    def _begin_measuring(self, now: float) -> None:
        if self._is_busy or self._waiting < _BUSY_ITEMS:
            return
        if now - self._measured_at > _FORGOTTEN_AFTER_S:
            self._answered = self._seconds = 0.0
        self._is_busy = True
        self._measured_at = now

    def _measure(self, now: float) -> None:
        if not self._is_busy:
            return
        passed = now - self._measured_at
        kept = 0.5 ** (passed / _HALF_LIFE_S)
        self._answered *= kept
        self._seconds = self._seconds * kept + passed
        self._measured_at = now

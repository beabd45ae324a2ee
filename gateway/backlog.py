"""What waits for one model in one lane, and how long more of it would wait: pure, clock passed in.

    waiting ▁▂▅▇▇▇▇▇▇▇
               └─────┴─ under pressure for three seconds: what is answered in them is the speed

With little in the queue, what is answered a second is what was asked a second, and tells nothing
of what could be. So there is no estimate before the queue has been under pressure for a while,
and none while nothing is answered, as when the model is being loaded.
"""

from collections import Counter

from gateway.drain_rate import DrainRate

# So many items keep every worker's batches full, or near it.
_PRESSURE_ITEMS = 64
_TELLING_S = 3.0


class Backlog:
    """Items of one lane and model that this gateway has sent and that are not answered.

    Every gateway sees its own share of what waits and of what is answered; their quotient is
    the wait of all.
    """

    def __init__(self) -> None:
        self._tenants: Counter[str] = Counter()
        self._waiting = 0
        self._pressed_since: float | None = None
        self._drained = DrainRate()

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def enter(self, tenant: str, count: int, now: float) -> None:
        """Takes note of a tenant's items that wait from now on."""
        self._tenants[tenant] += count
        self._waiting += count
        if self._pressed_since is None and self._waiting >= _PRESSURE_ITEMS:
            self._pressed_since = now
            self._drained = DrainRate()

    def leave(self, tenant: str, count: int, now: float, *, answered: bool) -> None:
        """Takes note of items that wait no more, and whether a worker did that."""
        self._tenants[tenant] -= count
        if not self._tenants[tenant]:
            del self._tenants[tenant]
        self._waiting -= count
        if answered:
            self._drained.answered(now, count)
        if self._waiting < _PRESSURE_ITEMS:
            self._pressed_since = None

    def excess_s(self, tenant: str, bound_s: float, now: float) -> float:
        """How many seconds too long one more request of the tenant would wait, or 0.

        What can be answered within the bound is shared evenly by the tenants that wait, so that
        one tenant's backlog refuses no other's requests.

        Args:
            tenant: who asks.
            bound_s: how long is not too long.
            now: seconds.
        """
        if self._pressed_since is None or now - self._pressed_since < _TELLING_S:
            return 0.0
        rate = self._drained.per_second(now)
        if not rate:
            return 0.0
        tenants = len(self._tenants.keys() | {tenant})
        return max(0.0, self._tenants[tenant] * tenants / rate - bound_s)

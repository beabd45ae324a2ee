"""How long work waits, by what this gateway sees of the queues, and what that refuses."""

import time
from collections import defaultdict
from collections.abc import Callable

from gateway.queue.backlog import Backlog
from gateway.queue.drain_rate import DrainRate
from gateway.queue.pending import Pending
from gateway.queue.work import Path
from servicekit.errors import SieError
from servicekit.subjects import Queue
from sie.errors.v1.error_reason_pb2 import ErrorReason

# When to come back where too much waits, in seconds.
_LEAST_EXCESS_S, _MOST_EXCESS_S = 1.0, 60.0
# Of the time to the deadline, what may be spent in the queue by prediction; the rest is for its
# errors, since work that is given up halfway has been computed for nobody.
_QUEUED_SHARE = 0.5


class Waits:
    """The backlog of each path, and the speed of each pool.

    Args:
        max_wait_s: interactive work that would wait longer for its turn is refused; 0: only what
            might miss its deadline is.
        clock: seconds, monotonic.
    """

    def __init__(self, max_wait_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_wait_s = max_wait_s
        self._clock = clock
        self._backlogs: defaultdict[Path, Backlog] = defaultdict(Backlog)
        self._drain_rates: defaultdict[str, DrainRate] = defaultdict(DrainRate)

    def check(self, path: Path, tenant: str, left_s: float) -> None:
        """Refuse what would wait too long, before it makes others wait.

        Args:
            path: where it would wait.
            tenant: who asks.
            left_s: time to its deadline.

        Raises:
            SieError: QUEUE_FULL.
        """
        bound_s = left_s * _QUEUED_SHARE
        if self._max_wait_s and path.queue is Queue.INTERACTIVE:
            bound_s = min(bound_s, self._max_wait_s)
        excess_s = self._backlogs[path].excess_s(tenant, bound_s, self._clock())
        if not excess_s:
            return
        raise SieError(
            ErrorReason.ERROR_REASON_QUEUE_FULL,
            f"work for model '{path.model_id}' waits more than {bound_s:.1f} s at present",
            retry_after_s=min(_MOST_EXCESS_S, max(_LEAST_EXCESS_S, excess_s)),
            pool=path.lane.pool,
        )

    def enter(self, pending: Pending) -> None:
        """Takes note of a request that waits from now on."""
        backlog = self._backlogs[pending.path]
        in_line = backlog.enter(pending.work.tenant, pending.item_count, self._clock())
        if pending.path.queue is Queue.INTERACTIVE:
            pending.in_line = in_line

    def answered(self, pending: Pending, count: int) -> None:
        """Takes note of items of a request that a worker has answered."""
        now = self._clock()
        self._backlogs[pending.path].leave(pending.work.tenant, count, now, answered=True)
        self._drain_rates[pending.lane.pool].answered(now, count)

    def leave(self, pending: Pending) -> None:
        """Takes note of a request that waits no more."""
        left = pending.results.remaining
        if left:
            now = self._clock()
            self._backlogs[pending.path].leave(pending.work.tenant, left, now, answered=False)

    def refused(self, pool: str, waiting: int) -> SieError:
        """What is said when the broker takes no more work of a pool in which so many wait."""
        return SieError(
            ErrorReason.ERROR_REASON_QUEUE_FULL,
            f"the work queue of pool '{pool}' is full",
            retry_after_s=self._drain_rates[pool].retry_after_s(self._clock(), waiting),
            pool=pool,
        )

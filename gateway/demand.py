"""Demand for workers that are not there yet: what wakes a lane from zero.

A request that finds no worker in its lane leaves a mark on that lane. The mark outlives the
Retry-After that the caller was given, so that it is still there when the caller returns, and
goes when a worker of that very lane takes work. A worker of another bundle, machine profile
or pool is no answer to it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from servicekit.subjects import Lane

# A caller that was told to come back, and did not three times, has given up.
_MISSED_RETURNS = 3

# Machine profile and bundle: what an autoscaler knows of a lane.
Kind = tuple[str, str]


class Demand:
    """The marks; pure, with time passed in as monotonic seconds.

    Args:
        retry_after_s: when callers are told to come back.
    """

    def __init__(self, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        self._until: dict[Lane, float] = {}
        # A kind that was ever wanted stays, so that its series falls to 0 and does not vanish.
        self._kinds: set[Kind] = set()

    def record(self, lane: Lane, now: float) -> None:
        """A request found, or finds, no worker in the lane."""
        self._until[lane] = now + _MISSED_RETURNS * self.retry_after_s
        self._kinds.add(lane[1:])

    def lanes(self, lanes_with_workers: Collection[Lane], now: float) -> Collection[Lane]:
        """Lanes that want a first worker; marks that are met or old are dropped."""
        self._until = {
            lane: until
            for lane, until in self._until.items()
            if until > now and lane not in lanes_with_workers
        }
        return self._until.keys()

    def pending(self, lanes_with_workers: Collection[Lane], now: float) -> Mapping[Kind, int]:
        """How many lanes want a first worker, by kind."""
        counted = Counter(lane[1:] for lane in self.lanes(lanes_with_workers, now))
        return {kind: counted[kind] for kind in sorted(self._kinds)}


def workers_wanted(pending: Mapping[Kind, int], there: Mapping[Kind, int]) -> dict[Kind, int]:
    """Workers that it takes for every lane to have one; 0 for kinds without demand.

    Those that serve other lanes of the kind are counted, because an autoscaler compares the
    number with all that there are: one leased worker must not pass for the one that is missed.
    """
    return {kind: lanes and lanes + there.get(kind, 0) for kind, lanes in pending.items()}


class DemandGauge(Collector):
    """Pending demand, computed when it is scraped.

    Args:
        demand: the marks.
        lanes: lanes in which workers take work now, with those.
        lanes_waiting: lanes in which requests wait; demand as well when their workers are gone.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        demand: Demand,
        lanes: Callable[[], Mapping[Lane, Sized]],
        lanes_waiting: Callable[[], Iterable[Lane]],
        clock: Callable[[], float],
    ) -> None:
        self._demand = demand
        self._lanes = lanes
        self._lanes_waiting = lanes_waiting
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_pending_demand",
            "Workers of this kind in all, with those that requests wait for; 0 when none wait",
            labels=["machine_profile", "bundle"],
        )
        now, served = self._clock(), self._lanes()
        for lane in self._lanes_waiting():
            if lane not in served:
                self._demand.record(lane, now)
        there: Counter[Kind] = Counter()
        for lane, workers in served.items():
            there[lane[1:]] += len(workers)
        for kind, count in workers_wanted(self._demand.pending(served, now), there).items():
            gauge.add_metric(kind, float(count))
        yield gauge

"""Demand for workers that are not there yet: what wakes a lane from zero.

A request that finds no worker in its lane leaves a mark on that lane. The mark outlives the
Retry-After that the caller was given, so that it is still there when the caller returns, and
goes when a worker of that very lane takes work. A worker of another bundle, machine profile
or pool is no answer to it.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from servicekit.subjects import Lane

RETRY_AFTER_S = 120.0
TTL_S = 3 * RETRY_AFTER_S

# Machine profile and bundle: what an autoscaler knows of a lane.
Kind = tuple[str, str]


class Demand:
    """The marks; pure, with time passed in as monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[Lane, float] = {}
        # A kind that was ever wanted stays, so that its series falls to 0 and does not vanish.
        self._kinds: set[Kind] = set()

    def record(self, lane: Lane, now: float) -> None:
        """A request found, or finds, no worker in the lane."""
        self._until[lane] = now + TTL_S
        self._kinds.add(lane[1:])

    def pending(self, lanes_with_workers: Collection[Lane], now: float) -> Mapping[Kind, int]:
        """How many lanes want a first worker, by kind; marks that are met or old are dropped."""
        self._until = {
            lane: until
            for lane, until in self._until.items()
            if until > now and lane not in lanes_with_workers
        }
        counted = Counter(lane[1:] for lane in self._until)
        return {kind: counted[kind] for kind in sorted(self._kinds)}


class DemandGauge(Collector):
    """Pending demand, computed when it is scraped.

    Args:
        demand: the marks.
        lanes_with_workers: lanes in which a worker takes work now.
        lanes_waiting: lanes in which requests wait; demand as well when their workers are gone.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        demand: Demand,
        lanes_with_workers: Callable[[], Collection[Lane]],
        lanes_waiting: Callable[[], Iterable[Lane]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._demand = demand
        self._lanes_with_workers = lanes_with_workers
        self._lanes_waiting = lanes_waiting
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_pending_demand",
            "Lanes (pools) in which requests wait for a first worker of this kind",
            labels=["machine_profile", "bundle"],
        )
        now, served = self._clock(), self._lanes_with_workers()
        for lane in self._lanes_waiting():
            if lane not in served:
                self._demand.record(lane, now)
        for kind, lanes in self._demand.pending(served, now).items():
            gauge.add_metric(kind, float(lanes))
        yield gauge

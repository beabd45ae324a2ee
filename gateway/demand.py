"""Demand for workers that are not there yet: what wakes a lane from zero.

A request that finds no worker leaves a mark on its (machine profile, bundle). The mark
outlives the Retry-After that the caller was given, so that it is still there when the
caller returns, and goes when a worker of exactly that pair takes work.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from servicekit.subjects import Lane

RETRY_AFTER_S = 120.0
TTL_S = 3 * RETRY_AFTER_S


class Demand(Collector):
    """Pending demand, computed when it is scraped.

    Args:
        lanes_with_workers: lanes in which a worker takes work now.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        lanes_with_workers: Callable[[], Iterable[Lane]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes_with_workers = lanes_with_workers
        self._clock = clock
        # A pair that was ever wanted stays, so that its series falls to 0 and does not vanish.
        self._until: dict[tuple[str, str], float] = {}

    def record(self, lane: Lane) -> None:
        """A request found no worker in the lane."""
        self._until[lane.machine_profile, lane.bundle] = self._clock() + TTL_S

    def pending(self) -> dict[tuple[str, str], bool]:
        """Whether workers are wanted, by (machine profile, bundle)."""
        for lane in self._lanes_with_workers():
            if (lane.machine_profile, lane.bundle) in self._until:
                self._until[lane.machine_profile, lane.bundle] = 0.0
        now = self._clock()
        return {key: until > now for key, until in self._until.items()}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_pending_demand",
            "1 while requests wait for a first worker of this kind",
            labels=["machine_profile", "bundle"],
        )
        for key, wanted in self.pending().items():
            gauge.add_metric(key, float(wanted))
        yield gauge

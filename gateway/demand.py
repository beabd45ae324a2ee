"""Demand for workers that are not there yet: what wakes a lane from zero.

A request that finds no worker leaves a mark on its (machine profile, bundle). The mark
outlives the Retry-After that the caller was given, so that it is still there when the
caller returns, and goes when a worker of exactly that pair takes work.
"""

import time
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Gauge

from servicekit.subjects import Lane

RETRY_AFTER_S = 120.0
TTL_S = 3 * RETRY_AFTER_S


class Demand:
    """Pending demand by (machine profile, bundle), and its gauge."""

    def __init__(
        self, metrics: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._until: dict[tuple[str, str], float] = {}
        self._gauge = Gauge(
            "sie_gateway_pending_demand",
            "1 while requests wait for a first worker of this kind.",
            ["machine_profile", "bundle"],
            registry=metrics,
        )

    def record(self, lane: Lane) -> None:
        """A request found no worker in the lane."""
        key = (lane.machine_profile, lane.bundle)
        self._until[key] = self._clock() + TTL_S
        self._gauge.labels(*key).set(1)

    def refresh(self, lanes_with_workers: Iterable[Lane]) -> None:
        """Clears demand that has been met or has expired."""
        met = {(lane.machine_profile, lane.bundle) for lane in lanes_with_workers}
        now = self._clock()
        for key in [key for key, until in self._until.items() if key in met or until <= now]:
            del self._until[key]
            self._gauge.labels(*key).set(0)

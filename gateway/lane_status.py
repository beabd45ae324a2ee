"""Lanes as the cluster's status tells of them: those with workers, and those that want a first."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.auth.principal import Principal
from gateway.demand import Demand
from gateway.worker_gauges import Requests, queued_on
from servicekit.subjects import Lane
from sie.worker.v1.worker_status_pb2 import WorkerStatus


class LaneStatus:
    """What this gateway knows of each lane, as JSON.

    Args:
        lanes: those in which workers take work now, with the workers.
        demand: lanes that requests have found without workers.
        requests: this gateway's that wait.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        lanes: Callable[[], Mapping[Lane, Sequence[WorkerStatus]]],
        demand: Demand,
        requests: Requests,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lanes = lanes
        self._demand = demand
        self._requests = requests
        self._clock = clock

    def describe(self, reader: Principal) -> list[dict[str, Any]]:
        """An entry for each lane of pools that the reader may use, in the order of their names."""
        served = self._lanes()
        waited_for = {lane for lane in self._requests.lanes() if lane not in served}
        wanted = {*self._demand.lanes(served, self._clock()), *waited_for}
        return [
            {
                "pool": lane.pool,
                "gpu": lane.machine_profile,
                "bundle": lane.bundle,
                "worker_count": len(served.get(lane, ())),
                "queue_depth": self._queued(lane, served.get(lane, ())),
                "in_demand": lane in wanted,
            }
            for lane in sorted({*served, *wanted})
            if reader.reaches(lane.pool)
        ]

    def _queued(self, lane: Lane, workers: Sequence[WorkerStatus]) -> int:
        # Workers tell of everybody's items, and not of those in the stream; this gateway counts
        # those too, and only its own.
        return max(sum(map(queued_on, workers)), self._requests.waiting_items(lane))

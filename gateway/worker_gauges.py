"""How many workers there are, and how much waits for them, for an autoscaler."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.demand import Kind
from servicekit.subjects import Lane
from servicekit.workers import lane_of
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

_STATES = {
    state: name.removeprefix("WORKER_STATE_").lower()
    for name, state in WorkerState.items()
    if state != WorkerState.WORKER_STATE_UNSPECIFIED
}


class WorkersGauge(Collector):
    """Live workers by state; every state has a series.

    Args:
        workers: those alive.
    """

    def __init__(self, workers: Callable[[], Iterable[WorkerStatus]]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_workers",
            "Live workers by state; the same on every gateway",
            labels=["status"],
        )
        counted = Counter[int](worker.state for worker in self._workers())
        for state, name in _STATES.items():
            gauge.add_metric([name], float(counted[state]))
        yield gauge


class Requests(Protocol):
    """Requests that wait."""

    def lanes(self) -> Iterable[Lane]:
        """Lanes in which they wait."""

    def waiting_items(self, lane: Lane) -> int:
        """Items of a lane that they wait for."""


def queued_on(worker: WorkerStatus) -> int:
    """Items that wait on a worker, by its own word."""
    return sum(entry.queued_items for entry in worker.models)


class QueueGauge(Collector):
    """Items that wait in lanes that can grow; those of leased pools are as large as was leased.

    What waits on a worker is under the worker's id, the same on every gateway. What this gateway's
    requests wait for beside that, in the stream or in a run, is under its own name. So each
    series' maximum over gateways, summed, is what waits. With several gateways it may be too low,
    by no more than what waits on workers, since each takes all of that for its own.

    Args:
        gateway_id: of this gateway.
        workers: those alive.
        requests: this gateway's.
        leased: names of leased pools.
    """

    def __init__(
        self,
        gateway_id: str,
        workers: Callable[[], Iterable[WorkerStatus]],
        requests: Requests,
        leased: Callable[[], Collection[str]],
    ) -> None:
        # Unlike any worker's id, which has no slash.
        self._name = f"gateway/{gateway_id}"
        self._workers = workers
        self._requests = requests
        self._leased = leased
        # A series that was there once falls to 0 and does not vanish.
        self._kinds: set[Kind] = set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_worker_queue_depth",
            "Items that wait on a worker, or beside that for this gateway's requests",
            labels=["worker", "machine_profile", "bundle"],
        )
        leased = self._leased()
        workers = [worker for worker in self._workers() if worker.pool not in leased]
        for worker in workers:
            kind = lane_of(worker)[1:]
            gauge.add_metric([worker.worker_id, *kind], float(queued_on(worker)))
        lanes = [lane for lane in self._requests.lanes() if lane.pool not in leased]
        beside = self._beside(lanes, workers)
        self._kinds |= beside.keys()
        for kind in sorted(self._kinds):
            gauge.add_metric([self._name, *kind], float(beside.get(kind, 0)))
        yield gauge

    def _beside(self, lanes: Iterable[Lane], workers: Iterable[WorkerStatus]) -> Mapping[Kind, int]:
        on_workers: Counter[Lane] = Counter()
        for worker in workers:
            on_workers[lane_of(worker)] += queued_on(worker)
        found: Counter[Kind] = Counter()
        for lane in lanes:
            found[lane[1:]] += max(0, self._requests.waiting_items(lane) - on_workers[lane])
        return found

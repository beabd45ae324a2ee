"""Lanes in use: what keeps workers whose work does not wait.

A worker that answers at once has no queue, and one that loads a model has nothing else to show,
so neither demand nor queues speak for them. A lane is in use while requests come to it, or wait
in it, or a worker of it loads a model; each such lane keeps one worker, and as many of those that
it has as its work keeps busy. A queue that was worked off is no sign that fewer would do: without
this, a steady load of several workers' work ends in one worker and a queue, again and again.
"""

import math
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.demand import Kind
from gateway.leases import wanted_gpus
from servicekit.subjects import Lane
from servicekit.workers import lane_of
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import Pool
from sie.worker.v1.worker_status_pb2 import WorkerStatus

# What a worker is busy when it has as much to do as it should.
_BUSY_ENOUGH = 0.7


class Usage:
    """When lanes were last used; pure, with time passed in as monotonic seconds.

    Args:
        recent_s: for how long a request keeps its lane in use.
    """

    def __init__(self, recent_s: float) -> None:
        self._recent_s = recent_s
        self._until: dict[Lane, float] = {}

    def record(self, lane: Lane, now: float) -> None:
        """A request came to the lane."""
        self._until[lane] = now + self._recent_s

    def recent(self, now: float) -> Collection[Lane]:
        self._until = {lane: until for lane, until in self._until.items() if until > now}
        return self._until.keys()


def loading(workers: Iterable[WorkerStatus]) -> set[Lane]:
    """Lanes in which a worker loads a model."""
    return {
        lane_of(worker)
        for worker in workers
        if any(entry.state == ModelState.MODEL_STATE_LOADING for entry in worker.models)
    }


def busy_workers(workers: Iterable[WorkerStatus]) -> dict[Lane, int]:
    """Workers with which those of a lane would be busy enough; never more than there are."""
    shares: defaultdict[Lane, list[float]] = defaultdict(list)
    for worker in workers:
        shares[lane_of(worker)].append(worker.busy)
    return {
        lane: min(len(each), math.ceil(round(sum(each), 2) / _BUSY_ENOUGH))
        for lane, each in shares.items()
    }


def workers_kept(
    lanes: Iterable[Lane], busy: Mapping[Lane, int], pools: Mapping[str, Pool]
) -> dict[Kind, int]:
    """Workers in all with which every lane in use can have one, or what its work takes, by kind.

    Leased pools have their own workers, so these are added: none of them passes for the one that
    a lane beside them needs. Kinds that only leased pools use are left to their leases.
    """
    shared: Counter[Kind] = Counter()
    for lane in set(lanes):
        if lane.pool not in pools:
            shared[lane[1:]] += max(1, busy.get(lane, 0))
    leased = wanted_gpus(pools.values())
    return {kind: count + leased.get(kind, 0) for kind, count in shared.items()}


class UsageGauge(Collector):
    """Workers that lanes in use keep, computed when it is scraped.

    Args:
        usage: when lanes were used.
        workers: those alive.
        lanes_waiting: lanes in which requests wait.
        pools: leased ones, by name.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        usage: Usage,
        workers: Callable[[], Iterable[WorkerStatus]],
        lanes_waiting: Callable[[], Iterable[Lane]],
        pools: Callable[[], Mapping[str, Pool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._usage = usage
        self._workers = workers
        self._lanes_waiting = lanes_waiting
        self._pools = pools
        self._clock = clock
        # A series that was there once falls to 0 and does not vanish.
        self._kinds: set[Kind] = set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "sie_gateway_workers_kept",
            "Workers of this kind in all, with those that lanes in use need; 0 when none is",
            labels=["machine_profile", "bundle"],
        )
        workers = list(self._workers())
        lanes = {
            *self._usage.recent(self._clock()),
            *self._lanes_waiting(),
            *loading(workers),
        }
        kept = workers_kept(lanes, busy_workers(workers), self._pools())
        self._kinds |= kept.keys()
        for kind in sorted(self._kinds):
            gauge.add_metric(kind, float(kept.get(kind, 0)))
        yield gauge

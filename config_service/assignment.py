"""Which workers each pool has: a pure function of the pools and the workers that are alive.

    keep       what a pool has and still wants stays, whatever else would be better
    reach      every pool is brought to its minimum, in the order of their creation
    fill       then to all that it wants, in the same order
    the rest   serves `default`

A worker is in one pool at most. One that another pool had until now is free only when the
registry says so, a round later: at no revision is it in two.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sie.pool.v1.pool_pb2 import Pool, PoolState
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

_READY = WorkerState.WORKER_STATE_READY
# A worker that restarts under its id is on its way back.
_KEPT = (_READY, WorkerState.WORKER_STATE_STARTING)


@dataclass
class Assignment:
    """What a pool is to have.

    Attributes:
        workers: machine profile by worker id.
        state: where it stands with them.
        reason: why, in a sentence.
    """

    workers: dict[str, str] = field(default_factory=dict)
    state: PoolState = PoolState.POOL_STATE_PENDING
    reason: str = ""


def assign(
    pools: Mapping[str, Pool], workers: Mapping[str, WorkerStatus], *, settled: bool
) -> dict[str, Assignment]:
    """An assignment for each pool.

    Args:
        pools: by name, as the registry has them.
        workers: those alive, by id.
        settled: whether a worker that is not among `workers` is gone; otherwise it may just
            not have been heard yet, and stays where it is.
    """
    round_ = _Round(pools, workers, settled=settled)
    for pool in round_.order:
        round_.keep(pool)
    for pool in round_.order:
        round_.take(pool, _minimum(pool))
    for pool in round_.order:
        round_.take(pool, _wanted(pool))
    return {pool.spec.name: round_.conclude(pool) for pool in round_.order}


def _wanted(pool: Pool) -> int:
    return sum(pool.spec.gpus.values())


def _minimum(pool: Pool) -> int:
    return pool.spec.minimum_worker_count or _wanted(pool)


class _Round:
    def __init__(
        self, pools: Mapping[str, Pool], workers: Mapping[str, WorkerStatus], *, settled: bool
    ) -> None:
        self.order = sorted(pools.values(), key=_age)
        self._workers = workers
        self._settled = settled
        self._held: dict[str, dict[str, str]] = {name: {} for name in pools}
        assigned = {w.name for pool in pools.values() for w in pool.status.assigned_workers}
        self._free = [
            workers[name]
            for name in sorted(workers)
            if name not in assigned and workers[name].state == _READY
        ]

    def keep(self, pool: Pool) -> None:
        """Leaves a pool what it has and still wants."""
        held = self._held[pool.spec.name]
        for worker in pool.status.assigned_workers:
            if self._missing(pool)[worker.gpu] > 0 and self._stays(worker.name, worker.gpu, pool):
                held[worker.name] = worker.gpu

    def take(self, pool: Pool, target: int) -> None:
        """Gives a pool free workers that it wants until it has `target`, its own first."""
        held, missing = self._held[pool.spec.name], self._missing(pool)
        if len(held) >= target:
            return
        own_first = sorted(self._free, key=lambda worker: not worker.dedicated)
        for worker in own_first:
            if len(held) == target:
                return
            if missing[worker.machine_profile] > 0 and _fits(worker, pool):
                held[worker.worker_id] = worker.machine_profile
                missing[worker.machine_profile] -= 1
                self._free.remove(worker)

    def conclude(self, pool: Pool) -> Assignment:
        """What the pool has now, and where it stands."""
        held, wanted = self._held[pool.spec.name], _wanted(pool)
        starting = [name for name in held if name in self._workers and not self._ready(name)]
        serving = len(held) - len(starting)
        active = serving >= _minimum(pool)
        missing = {profile: n for profile, n in sorted(self._missing(pool).items()) if n > 0}
        reason = f"{len(held)} of {wanted} workers"
        if missing:
            reason += "; none free of " + ", ".join(f"{p} ({n})" for p, n in missing.items())
        if starting:
            reason += f"; {len(starting)} starting"
        state = PoolState.POOL_STATE_ACTIVE if active else PoolState.POOL_STATE_PENDING
        return Assignment(held, state, reason)

    def _missing(self, pool: Pool) -> Counter[str]:
        missing = Counter(pool.spec.gpus)
        missing.subtract(self._held[pool.spec.name].values())
        return missing

    def _stays(self, name: str, machine_profile: str, pool: Pool) -> bool:
        worker = self._workers.get(name)
        if worker is None:
            return not self._settled
        same_machine = worker.machine_profile == machine_profile
        return worker.state in _KEPT and same_machine and _fits(worker, pool)

    def _ready(self, name: str) -> bool:
        return self._workers[name].state == _READY


def _fits(worker: WorkerStatus, pool: Pool) -> bool:
    if worker.dedicated and worker.pool != pool.spec.name:
        return False
    return worker.bundle == pool.spec.bundle


def _age(pool: Pool) -> tuple[int, int, str]:
    created = pool.status.created_at
    return created.seconds, created.nanos, pool.spec.name

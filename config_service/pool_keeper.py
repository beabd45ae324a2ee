"""Pools in step with the world: leases expire, workers are assigned, queues come and go.

    heartbeats ──┐
    registry ────┼─► round ─► delete what expired ─► assign ─► queues
    clock ───────┘      every second, and at once when a worker or a pool comes or goes

Rounds are idempotent and keep nothing that must survive: a config service that starts, or
takes over, begins with one like any other. Each command says which revision it was decided
at, so two config services that work side by side cannot give a worker away twice.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Collection

import nats.errors
from nats.aio.client import Client

from config_service.assignment import Assignment, assign
from config_service.leases import Leases
from config_service.metrics import Metrics
from config_service.pool_commands import AssignWorkers, DeletePool
from config_service.pool_streams import PoolStreams
from config_service.registry import Registry
from config_service.writer import RegistryWriter
from servicekit.defaults import DEFAULT_POOL
from servicekit.errors import SieError
from servicekit.workers import STALE_AFTER_S, WorkerDirectory
from sie.pool.v1.pool_pb2 import Pool
from sie.worker.v1.worker_status_pb2 import WorkerStatus

log = logging.getLogger(__name__)

INTERVAL_S = 1.0
# Rounds this far apart mean that the process did not run, and so did not hear.
_STALLED_S = STALE_AFTER_S / 2
# After it began to hear again, a worker has had this long to be heard.
_SETTLED_AFTER_S = STALE_AFTER_S + 1.0

Clock = Callable[[], float]


class PoolKeeper:
    """Runs the rounds.

    Args:
        client: connection to the broker.
        registry: read for pools.
        writer: the way to change them.
        workers: those alive.
        streams: the pools' queues.
        metrics: counts what happens to pools.
        dedicated: pools that have a queue though nobody leases them. A worker's word is not enough
            for one: whoever can send heartbeats could fill the broker with queues.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        client: Client,
        registry: Registry,
        writer: RegistryWriter,
        workers: WorkerDirectory,
        streams: PoolStreams,
        metrics: Metrics,
        dedicated: Collection[str] = (),
        clock: Clock = time.monotonic,
    ) -> None:
        self._client = client
        self._registry = registry
        self._writer = writer
        self._workers = workers
        self._streams = streams
        self._metrics = metrics
        self.dedicated = frozenset(dedicated)
        self._clock = clock
        self._leases = Leases()
        self._due = asyncio.Event()
        self._last_round = self._hears_since = clock()
        # Whether the last round could do all that it had to.
        self._well = True
        self._one_round = asyncio.Lock()
        self._kinds: dict[str, tuple[object, ...]] = {}
        workers.subscribe(self._heard)

    def wake(self) -> None:
        """Asks for a round now."""
        self._due.set()

    def renewal_is_due(self, pool: Pool) -> bool:
        """Whether a renewal that is heard now must be written."""
        return self._leases.worth_logging(pool, self._clock())

    async def run(self) -> None:
        """Rounds until cancelled."""
        while True:
            self._due.clear()
            await self.try_round()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL_S):
                    await self._due.wait()

    async def try_round(self) -> None:
        """Does what is to be done now; what fails is left to the next round."""
        try:
            async with self._one_round:
                await self.round()
            self._well = True
        except (SieError, nats.errors.Error, TimeoutError) as error:
            self._well = False
            log.info("pools wait: %s", error or type(error).__name__)

    async def round(self) -> None:
        """Does what is to be done now.

        Raises:
            SieError: the registry cannot be written, or has moved on meanwhile.
            nats.errors.Error: the broker is away or refuses.
        """
        self._listen()
        await self._expire()
        await self._assign()
        if left_over := await self._streams.follow(self._known()):
            # What another config service has created must not be taken for deleted.
            await self._writer.catch_up()
        await self._streams.end(set(left_over) - self._known())

    def _known(self) -> frozenset[str]:
        return self.dedicated | self._registry.state.pools.keys()

    def _listen(self) -> None:
        now = self._clock()
        elapsed, self._last_round = now - self._last_round, now
        stalled = not self._client.is_connected or elapsed > _STALLED_S
        if stalled:
            self._hears_since = now
        if stalled or not self._well:
            self._leases.prolong(elapsed)

    async def _expire(self) -> None:
        pools, now = self._registry.state.pools, self._clock()
        self._leases.observe(pools, now)
        for name in self._leases.expired(pools, now):
            await self._writer.execute(DeletePool(name, self._registry.revision))
            self._metrics.pool_events.labels(event="expired").inc()
            log.info("pool expired", extra={"fields": {"pool": name}})

    async def _assign(self) -> None:
        revision, pools = self._registry.revision, dict(self._registry.state.pools)
        workers = {worker.worker_id: worker for worker in self._workers.live()}
        self._kinds = {name: kind for name, kind in self._kinds.items() if name in workers}
        settled = self._clock() - self._hears_since > _SETTLED_AFTER_S
        for name, wanted in assign(pools, workers, settled=settled).items():
            if _differs(wanted, pools[name]):
                command = AssignWorkers(name, wanted.workers, wanted.state, wanted.reason, revision)
                revision = (await self._writer.execute(command)).revision
                fields = {"pool": name, "workers": sorted(wanted.workers), "why": wanted.reason}
                log.info("workers assigned", extra={"fields": fields})

    def _heard(self, status: WorkerStatus) -> None:
        kind = (status.state, status.pool, status.bundle, status.machine_profile)
        if self._kinds.get(status.worker_id) != kind:
            self._kinds[status.worker_id] = kind
            self.wake()
            if status.dedicated and status.pool not in self._known() | {DEFAULT_POOL}:
                fields = {"worker_id": status.worker_id, "pool": status.pool}
                log.warning("a worker is dedicated to an unknown pool", extra={"fields": fields})


def _differs(wanted: Assignment, pool: Pool) -> bool:
    status = pool.status
    held = {worker.name: worker.gpu for worker in status.assigned_workers}
    return (held, status.state, status.reason) != (wanted.workers, wanted.state, wanted.reason)

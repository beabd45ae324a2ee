"""PoolService: leases on workers, as the registry's only writer sees them."""

from typing import Any

import nats.errors

from config_service.metrics import Metrics
from config_service.pool_commands import CreatePool, DeletePool, PoolCommand, RenewPool
from config_service.pool_keeper import PoolKeeper
from config_service.pool_rules import check_spec, find
from config_service.pool_streams import PoolStreams
from config_service.registry import Registry
from config_service.writer import RegistryWriter
from servicekit.errors import SieError
from servicekit.paging import page_of
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import Pool, PoolSpec, PoolState, PoolStatus
from sie.pool.v1.pool_service_pb2 import (
    CreatePoolRequest,
    CreatePoolResponse,
    DeletePoolRequest,
    DeletePoolResponse,
    GetPoolRequest,
    GetPoolResponse,
    ListPoolsRequest,
    ListPoolsResponse,
    RenewPoolRequest,
    RenewPoolResponse,
)
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceServicer


class PoolService(PoolServiceServicer):
    """Reads and writes."""

    def __init__(
        self,
        registry: Registry,
        writer: RegistryWriter,
        keeper: PoolKeeper,
        streams: PoolStreams,
        metrics: Metrics,
    ) -> None:
        self._registry = registry
        self._writer = writer
        self._keeper = keeper
        self._streams = streams
        self._metrics = metrics

    async def CreatePool(self, request: CreatePoolRequest, context: Any) -> CreatePoolResponse:
        spec = PoolSpec(
            name=request.name,
            bundle=request.bundle,
            gpus=request.gpus,
            ttl_seconds=request.ttl_seconds,
            minimum_worker_count=request.minimum_worker_count,
        )
        # What another config service has written counts: bundles, machine profiles, pools.
        await self._writer.catch_up()
        spec = check_spec(spec, self._registry.state)
        held = self._registry.state.pools.get(spec.name)
        if held is None:
            # First, so that no pool is there without a queue. One without a pool does no harm.
            await self._make_queue(spec.name)
        if held is None or held.spec != spec or self._keeper.renewal_is_due(held):
            await self._execute(CreatePool(spec), "renewed" if held else "created")
            # The answer shows what came of it: a pool whose workers are free is active at once.
            await self._keeper.try_round()
        # Somebody may have deleted it since: it was created all the same.
        gone = PoolStatus(state=PoolState.POOL_STATE_PENDING, reason="the pool was deleted at once")
        pool = self._registry.state.pools.get(spec.name) or Pool(spec=spec, status=gone)
        return CreatePoolResponse(pool=pool, revision=self._registry.revision)

    async def GetPool(self, request: GetPoolRequest, context: Any) -> GetPoolResponse:
        return GetPoolResponse(pool=await self._find(request.name))

    async def ListPools(self, request: ListPoolsRequest, context: Any) -> ListPoolsResponse:
        pools = self._registry.state.pools
        page = page_of(pools, request.page_token, request.page_size)
        return ListPoolsResponse(
            pools=(pools[name] for name in page.names), next_page_token=page.next_page_token
        )

    async def RenewPool(self, request: RenewPoolRequest, context: Any) -> RenewPoolResponse:
        pool = await self._find(request.name)
        if self._keeper.renewal_is_due(pool):
            await self._execute(RenewPool(request.name), "renewed")
        pool = find(request.name, self._registry.state.pools)
        return RenewPoolResponse(pool=pool, revision=self._registry.revision)

    async def DeletePool(self, request: DeletePoolRequest, context: Any) -> DeletePoolResponse:
        await self._execute(DeletePool(request.name), "deleted")
        return DeletePoolResponse(revision=self._registry.revision)

    async def _find(self, name: str) -> Pool:
        """A pool, though another config service may have created it a moment ago."""
        if name not in self._registry.state.pools:
            await self._writer.catch_up()
        return find(name, self._registry.state.pools)

    async def _execute(self, command: PoolCommand, event: str) -> None:
        if (await self._writer.execute(command)).changed:
            self._metrics.pool_events.labels(event=event).inc()
        self._keeper.wake()

    async def _make_queue(self, pool: str) -> None:
        try:
            await self._streams.ensure(pool)
        except (nats.errors.Error, TimeoutError) as error:
            raise SieError(
                ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE,
                f"the broker gives pool '{pool}' no queue: {error or type(error).__name__}",
            ) from error

"""PoolService at the edge: reads from the registry view, writes through the config service.

Every gateway shows the same pools, whichever of them made one: what this one has written it
shows at once, and a pool that it does not know yet it asks for before it says that there is
none.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from gateway.auth.principal import Principal
from gateway.endpoint import Call
from servicekit.defaults import DEFAULT_BUNDLE, DEFAULT_POOL
from servicekit.errors import SieError
from servicekit.grpc_client import call as forward
from servicekit.paging import page_of
from servicekit.pools import pool_not_found
from servicekit.registry_view import CATCH_UP_S, RegistryView
from servicekit.workers import WorkerDirectory
from sie.pool.v1.pool_pb2 import AssignedWorker, Pool, PoolSpec, PoolState, PoolStatus
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
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceStub

_ASK_TIMEOUT_S = 1.0


def pools_of(view: RegistryView, workers: WorkerDirectory, reader: Principal) -> dict[str, Pool]:
    """Every pool that the reader may use, by name."""
    pools = {DEFAULT_POOL: default_pool(workers), **view.pools}
    return {name: pool for name, pool in pools.items() if reader.reaches(name)}


def default_pool(directory: WorkerDirectory) -> Pool:
    """The pool of all workers that are in no other, which the registry does not hold."""
    members = [worker for worker in directory.ready() if worker.pool == DEFAULT_POOL]
    members.sort(key=lambda worker: worker.worker_id)
    workers = [AssignedWorker(name=w.worker_id, gpu=w.machine_profile) for w in members]
    state = PoolState.POOL_STATE_ACTIVE if workers else PoolState.POOL_STATE_PENDING
    reason = f"{len(workers)} workers are in no other pool"
    return Pool(
        spec=PoolSpec(name=DEFAULT_POOL, bundle=DEFAULT_BUNDLE),
        status=PoolStatus(state=state, reason=reason, assigned_workers=workers),
    )


class PoolService:
    """Leases on workers.

    Args:
        view: the registry.
        workers: the live workers.
        stub: of the config service.
    """

    def __init__(self, view: RegistryView, workers: WorkerDirectory, stub: PoolServiceStub) -> None:
        self._view = view
        self._workers = workers
        self._stub = stub
        self._asking = asyncio.Lock()

    async def create_pool(self, request: CreatePoolRequest, call: Call) -> CreatePoolResponse:
        call.principal.check_reserves(request.name)
        response: CreatePoolResponse = await self._forward(self._stub.CreatePool, request, call)
        await self._view.catch_up(response.revision)
        return response

    async def get_pool(self, request: GetPoolRequest, call: Call) -> GetPoolResponse:
        call.principal.check_pool(request.name)
        if request.name == DEFAULT_POOL:
            return GetPoolResponse(pool=default_pool(self._workers))
        if request.name not in self._view.pools:
            await self.has_appeared(request.name)
        pool = self._view.pools.get(request.name)
        if pool is None:
            raise pool_not_found(request.name)
        return GetPoolResponse(pool=pool)

    async def list_pools(self, request: ListPoolsRequest, call: Call) -> ListPoolsResponse:
        pools = pools_of(self._view, self._workers, call.principal)
        page = page_of(pools, request.page_token, request.page_size)
        return ListPoolsResponse(
            pools=(pools[name] for name in page.names), next_page_token=page.next_page_token
        )

    async def renew_pool(self, request: RenewPoolRequest, call: Call) -> RenewPoolResponse:
        call.principal.check_reserves(request.name)
        if request.name == DEFAULT_POOL:
            return RenewPoolResponse(pool=default_pool(self._workers), revision=self._view.revision)
        response: RenewPoolResponse = await self._forward(self._stub.RenewPool, request, call)
        return response

    async def delete_pool(self, request: DeletePoolRequest, call: Call) -> DeletePoolResponse:
        call.principal.check_reserves(request.name)
        response: DeletePoolResponse = await self._forward(self._stub.DeletePool, request, call)
        await self._view.catch_up(response.revision)
        return response

    async def has_appeared(self, name: str) -> bool:
        """Whether a pool that the view does not hold was created just now; if so, it does then."""
        # One at a time, so that names that do not exist cannot crowd out the config service.
        async with self._asking:
            if name in self._view.pools:
                return True
            if not self._view.connected:
                return False
            try:
                await forward(self._stub.GetPool, GetPoolRequest(name=name), _ASK_TIMEOUT_S)
            except SieError:
                return False
        return await self._view.until(lambda: name in self._view.pools, CATCH_UP_S)

    async def _forward(self, method: Callable[..., Any], request: Any, call: Call) -> Any:
        return await forward(method, request, max(0.001, call.deadline - time.time()))

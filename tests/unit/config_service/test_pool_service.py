"""Calls that others' calls come between."""

import datetime as dt

from config_service.commands import Apply
from config_service.metrics import Metrics
from config_service.pool_commands import DeletePool
from config_service.pool_service import PoolService
from config_service.registry import Registry
from config_service.writer import Outcome
from sie.pool.v1.pool_pb2 import PoolState
from sie.pool.v1.pool_service_pb2 import CreatePoolRequest
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Beside:
    """The registry's writer, its queues, and rounds in which somebody else deletes the pool."""

    def __init__(self, registry):
        self._registry = registry

    async def catch_up(self):
        pass

    async def ensure(self, pool):
        pass

    async def execute(self, command):
        for event in self._registry.decide(command, NOW):
            self._registry.apply(event)
        return Outcome(self._registry.revision, self._registry.revision)

    def wake(self):
        pass

    async def try_round(self):
        await self.execute(DeletePool("p"))


async def test_a_pool_that_is_deleted_while_it_is_created_was_created():
    registry = Registry(100)
    beside = Beside(registry)
    await beside.execute(Apply(Bundle(bundle_id="default")))
    await beside.execute(Apply(MachineProfile(machine_profile_id="cpu")))
    service = PoolService(registry, beside, beside, beside, Metrics())
    made = await service.CreatePool(CreatePoolRequest(name="p", gpus={"cpu": 1}), None)
    assert (made.pool.spec.name, made.revision) == ("p", registry.revision)
    assert made.pool.status.state == PoolState.POOL_STATE_PENDING
    assert not registry.state.pools

"""Pools of the run: created one after the other, and made whole again when workers die."""

import time
from collections.abc import Callable

import grpc
from workers import Workers

from sie.pool.v1.pool_pb2 import Pool, PoolState
from sie.pool.v1.pool_service_pb2 import CreatePoolRequest, GetPoolRequest, ListPoolsRequest
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceStub

_LONGEST_WAIT_S = 60.0
_POLL_S = 0.01


class Pools:
    """Pools that want one worker each.

    Args:
        channel: to the config service.
        machine_profile: of the workers.
    """

    def __init__(self, channel: grpc.Channel, machine_profile: str) -> None:
        self._service = PoolServiceStub(channel)
        self._gpus = {machine_profile: 1}

    def create(self, count: int) -> list[tuple[float, float]]:
        """For each pool, seconds until it was created and until it had its worker."""
        return [self._create(f"pool-{number:03}") for number in range(count)]

    def replace(self, workers: Workers, count: int) -> float:
        """Seconds from the death of so many workers until every pool is whole without them."""
        dead = workers.kill(count)
        started = time.monotonic()
        _until(lambda: all(_is_whole_without(dead, pool) for pool in self._all()))
        return time.monotonic() - started

    def _create(self, name: str) -> tuple[float, float]:
        started = time.monotonic()
        self._service.CreatePool(CreatePoolRequest(name=name, gpus=self._gpus, ttl_seconds=3600))
        created = time.monotonic() - started
        active = PoolState.POOL_STATE_ACTIVE
        _until(lambda: self._service.GetPool(GetPoolRequest(name=name)).pool.status.state == active)
        return created, time.monotonic() - started

    def _all(self) -> list[Pool]:
        return list(self._service.ListPools(ListPoolsRequest()).pools)


def _is_whole_without(dead: set[str], pool: Pool) -> bool:
    names = {worker.name for worker in pool.status.assigned_workers}
    return pool.status.state == PoolState.POOL_STATE_ACTIVE and not names & dead


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_POLL_S)

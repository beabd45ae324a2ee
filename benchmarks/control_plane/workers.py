"""Simulated workers: heartbeats as real ones send them, and lanes as the registry assigns them.

They compute nothing and pull nothing; to the config service and to gateways they are workers.
"""

import asyncio
import multiprocessing
from multiprocessing.connection import Connection

import grpc
import nats
from google.protobuf.timestamp_pb2 import Timestamp
from nats.aio.client import Client
from watchers import OPTIONS

from servicekit import subjects
from servicekit.pools import assignments
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.registry_service_pb2 import WatchRegistryRequest
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

_EVERY_S = 1.0
_MODELS_EACH = 8
# Numbers of registered models that the first workers host.
HOSTED = range(3 * _MODELS_EACH)


class Workers:
    """Workers in a process of its own, with one connection to the broker.

    Args:
        nats_url: of the broker.
        config_address: of the config service.
        machine_profile: what they all run on.
        count: how many.
    """

    def __init__(
        self, nats_url: str, config_address: str, machine_profile: str, count: int
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._end, theirs = context.Pipe()
        self._process = context.Process(
            target=_work,
            args=(nats_url, config_address, machine_profile, count, theirs),
            daemon=True,
        )
        self._process.start()
        self._end.recv()

    def kill(self, count: int) -> set[str]:
        """Silences so many that are in pools; returns their ids."""
        self._end.send(count)
        return self._end.recv()  # type: ignore[no-any-return]

    def close(self) -> None:
        """Ends them all."""
        self._process.terminate()
        self._process.join(10)


def _work(
    nats_url: str, config_address: str, machine_profile: str, count: int, end: Connection
) -> None:
    asyncio.run(_Simulation(machine_profile, count, end).run(nats_url, config_address))


class _Simulation:
    def __init__(self, machine_profile: str, count: int, end: Connection) -> None:
        self._end = end
        self._workers = [_status(number, machine_profile) for number in range(count)]
        self._pools: dict[str, Pool] = {}
        self._revision = 0

    async def run(self, nats_url: str, config_address: str) -> None:
        client = await nats.connect(nats_url)
        tasks = [
            asyncio.create_task(self._follow(client, config_address)),
            asyncio.create_task(self._beat(client)),
        ]
        self._end.send(True)
        while True:
            count = await asyncio.to_thread(self._end.recv)
            pooled = [worker for worker in self._workers if worker.pool != "default"]
            gone = {worker.worker_id for worker in pooled[:count]}
            self._workers = [each for each in self._workers if each.worker_id not in gone]
            self._end.send(gone)
            for task in tasks:
                if task.done():
                    task.result()

    async def _beat(self, client: Client) -> None:
        """Every worker once a second, one after the other rather than all at once."""
        while True:
            for worker in list(self._workers):
                await self._tell(client, worker)
                await asyncio.sleep(_EVERY_S / len(self._workers))

    async def _follow(self, client: Client, config_address: str) -> None:
        async with grpc.aio.insecure_channel(config_address, options=OPTIONS) as channel:
            request = WatchRegistryRequest(watcher_id="benchmark/workers")
            async for response in RegistryServiceStub(channel).WatchRegistry(request):
                kind = response.WhichOneof("update")
                if kind == "snapshot":
                    self._pools = {pool.spec.name: pool for pool in response.snapshot.pools}
                    self._revision = response.snapshot.revision
                events = [response.event] if kind == "event" else list(response.events.events)
                for event in events:
                    self._revision = event.revision
                    change = event.WhichOneof("change")
                    if change == "pool_applied":
                        self._pools[event.pool_applied.spec.name] = event.pool_applied
                    elif change == "pool_deleted":
                        self._pools.pop(event.pool_deleted, None)
                await self._move(client)

    async def _move(self, client: Client) -> None:
        assigned = assignments(self._pools.values())
        for worker in self._workers:
            pool = assigned.get(worker.worker_id, "default")
            if worker.pool != pool:
                worker.pool = pool
                await self._tell(client, worker)

    async def _tell(self, client: Client, worker: WorkerStatus) -> None:
        worker.registry_revision = self._revision
        await client.publish(subjects.worker_status(worker.worker_id), worker.SerializeToString())


def _model_id(number: int) -> str:
    return f"org-{number % 100}/model-{number:05}"


def _status(number: int, machine_profile: str) -> WorkerStatus:
    started = Timestamp()
    started.GetCurrentTime()
    status = WorkerStatus(
        worker_id=f"simulated-{number:04}",
        pool="default",
        machine_profile=machine_profile,
        bundle="default",
        state=WorkerState.WORKER_STATE_READY,
        version="0",
        started_at=started,
    )
    for place in range(_MODELS_EACH):
        status.models.add(
            model_id=_model_id((number * _MODELS_EACH + place) % 10_000),
            state=ModelState.MODEL_STATE_LOADED,
            memory_bytes=400_000_000,
            tokens_per_second=50_000.0,
            engine="tensorrt",
        )
    return status

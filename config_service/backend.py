"""What stands behind the gRPC services: the broker, the registry and who writes it."""

import datetime as dt
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from config_service.dead_letters import DeadLetters
from config_service.metrics import Metrics
from config_service.pool_keeper import PoolKeeper
from config_service.pool_streams import PoolStreams
from config_service.registry import Registry
from config_service.seeds import apply_seeds, read_seeds
from config_service.settings import Settings
from config_service.store import RegistryStore
from config_service.streams import Streams
from config_service.upkeep import Upkeep
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit import broker
from servicekit.payloads import PayloadStore, open_files, open_payloads
from servicekit.prompt_client import PromptClient
from servicekit.workers import WorkerDirectory


@dataclass(frozen=True)
class Backend:
    """The parts that the services go through.

    Args:
        client: connection to the broker.
        registry: what is defined.
        writer: the only way to change it.
        watchers: those who are told of changes.
        upkeep: keeps the broker's part of it in order.
        pool_streams: the work queues of pools.
        keeper: assigns workers to pools.
        dead_letters: counts what could not be delivered.
        stores: of payloads and of files.
        metrics: of all of them.
    """

    client: PromptClient
    registry: Registry
    writer: RegistryWriter
    watchers: WatchHub
    upkeep: Upkeep
    pool_streams: PoolStreams
    keeper: PoolKeeper
    dead_letters: DeadLetters
    stores: Sequence[PayloadStore]
    metrics: Metrics


@asynccontextmanager
async def open_backend(
    settings: Settings, upkeep: Upkeep, metrics: Metrics
) -> AsyncIterator[Backend]:
    """Connects to the broker, waits for it, and reads the registry from it.

    Raises:
        DefinitionError: a definition file cannot be taken.
        ValueError: a setting is out of its bounds.
    """
    limits = settings.stream_limits
    dedicated = settings.dedicated
    seeds = read_seeds(settings.machine_profiles_dir, settings.bundles_dir, settings.models_dir)
    registry = Registry()
    watchers = WatchHub(registry)
    client = await broker.connect(settings.nats_url, "config-service", upkeep.lost, upkeep.wake)
    metrics.broker_connected.set_function(lambda: client.is_connected)
    try:
        store = RegistryStore(client, limits.storage, limits.replicas)
        writer = RegistryWriter(registry, store, watchers, metrics, _now)
        stores = [
            open_payloads(settings.payload_store, client),
            open_files(settings.file_store, client),
        ]
        streams = Streams(client, limits)
        upkeep.keep(streams.ensure, writer.catch_up, partial(apply_seeds, seeds, registry, writer))
        await upkeep.first_round()
        workers = WorkerDirectory()
        pool_streams = PoolStreams(client, streams, time.monotonic)
        keeper = PoolKeeper(client, registry, writer, workers, pool_streams, metrics, dedicated)
        await workers.follow(client)
        dead_letters = DeadLetters(client, metrics.dead_letters)
        yield Backend(
            client,
            registry,
            writer,
            watchers,
            upkeep,
            pool_streams,
            keeper,
            dead_letters,
            stores,
            metrics,
        )
    finally:
        await client.close()


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)

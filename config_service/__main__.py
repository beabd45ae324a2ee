"""Starts the config service: `python -m config_service`. Every setting is in `Settings`."""

import asyncio
import datetime as dt
import logging
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

from config_service.dead_letter_service import DeadLetterService
from config_service.dead_letters import DeadLetters
from config_service.metrics import Metrics
from config_service.pool_keeper import PoolKeeper
from config_service.pool_service import PoolService
from config_service.pool_streams import PoolStreams
from config_service.registry import Registry
from config_service.rpc_metrics import RpcMetrics
from config_service.seeds import apply_seeds, read_seeds
from config_service.service import (
    REGISTRY_SERVICE,
    RegistryAdminService,
    RegistryHistoryService,
    RegistryService,
    add_registry_service,
)
from config_service.store import RegistryStore
from config_service.streams import StreamLimits, Streams
from config_service.upkeep import Upkeep
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit import broker, logs
from servicekit.errors import SieError
from servicekit.grpc_server import GrpcServer
from servicekit.lifecycle import run_until_signal
from servicekit.payloads import JETSTREAM, PayloadStore, open_files, open_payloads
from servicekit.probes import Probes
from servicekit.settings import SettingsError, describe, from_environment, setting
from servicekit.workers import WorkerDirectory
from servicekit.yaml_nodes import DefinitionError
from sie.operations.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from sie.pool.v1 import pool_service_pb2, pool_service_pb2_grpc
from sie.registry.v1 import (
    registry_admin_service_pb2,
    registry_admin_service_pb2_grpc,
    registry_history_service_pb2,
    registry_history_service_pb2_grpc,
)

log = logging.getLogger(__name__)

STOP_GRACE_S = 5.0
_SWEEP_EVERY_S = 300.0
# A whole registry, to import it.
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_SERVICES = [
    REGISTRY_SERVICE,
    registry_history_service_pb2.DESCRIPTOR.services_by_name["RegistryHistoryService"].full_name,
    registry_admin_service_pb2.DESCRIPTOR.services_by_name["RegistryAdminService"].full_name,
    dead_letter_service_pb2.DESCRIPTOR.services_by_name["DeadLetterService"].full_name,
    pool_service_pb2.DESCRIPTOR.services_by_name["PoolService"].full_name,
]


@dataclass(frozen=True)
class Settings:
    """Everything that the config service reads from its environment."""

    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    host: str = setting("SIE_HOST", "127.0.0.1")
    grpc_port: int = setting("SIE_CONFIG_GRPC_PORT", 9091)
    http_port: int = setting("SIE_CONFIG_HTTP_PORT", 9092)
    models_dir: Path = setting("SIE_MODELS_DIR", Path("models"))
    bundles_dir: Path = setting("SIE_BUNDLES_DIR", Path("bundles"))
    machine_profiles_dir: Path = setting("SIE_MACHINE_PROFILES_DIR", Path("machine_profiles"))
    stream_storage: str = setting("SIE_STREAM_STORAGE", "memory")
    stream_replicas: int = setting("SIE_STREAM_REPLICAS", 1)
    stream_max_messages: int = setting("SIE_STREAM_MAX_MESSAGES", 100_000)
    # 0: 256 MiB in memory, 1 GiB in files.
    stream_max_bytes: int = setting("SIE_STREAM_MAX_BYTES", 0)
    # Its old entries are removed here: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    file_store: str = setting("SIE_FILE_STORE", JETSTREAM)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)


async def run(settings: Settings) -> None:
    """Serves until a signal.

    Raises:
        DefinitionError: a definition file cannot be taken.
        ValueError: a setting is out of its bounds.
        OSError: a port is taken.
    """
    limits = StreamLimits(
        settings.stream_storage,
        settings.stream_replicas,
        settings.stream_max_messages,
        settings.stream_max_bytes,
    )
    seeds = read_seeds(settings.machine_profiles_dir, settings.bundles_dir, settings.models_dir)
    metrics = Metrics()
    registry = Registry()
    watchers = WatchHub(registry)
    address = f"{settings.host}:{settings.grpc_port}"
    server = GrpcServer(
        address, _SERVICES, max_message_bytes=_MAX_MESSAGE_BYTES, interceptors=[RpcMetrics(metrics)]
    )
    upkeep = Upkeep(on_change=server.set_serving)
    starting = ["the gRPC server is not up yet"]

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            Probes(
                settings.host,
                settings.http_port,
                live=list,
                ready=lambda: starting + ([upkeep.problem] if upkeep.problem else []),
                metrics=metrics.registry,
            )
        )
        client = await broker.connect(settings.nats_url, "config-service", upkeep.lost, upkeep.wake)
        stack.push_async_callback(client.close)
        metrics.broker_connected.set_function(lambda: client.is_connected)

        store = RegistryStore(client, limits.storage, limits.replicas)
        writer = RegistryWriter(registry, store, watchers, metrics, _now)
        seed = partial(apply_seeds, seeds, registry, writer)
        stores = [
            open_payloads(settings.payload_store, client),
            open_files(settings.file_store, client),
        ]
        streams = Streams(client, limits)
        upkeep.keep(streams.ensure, writer.catch_up, seed)
        await upkeep.first_round()
        workers = WorkerDirectory()
        pool_streams = PoolStreams(client, streams, time.monotonic)
        keeper = PoolKeeper(client, registry, writer, workers, pool_streams, metrics)
        await workers.follow(client)

        add_registry_service(RegistryService(registry, watchers, metrics, version("sie")), server)
        registry_history_service_pb2_grpc.add_RegistryHistoryServiceServicer_to_server(
            RegistryHistoryService(registry), server.server
        )
        admin_service = RegistryAdminService(registry, writer)
        registry_admin_service_pb2_grpc.add_RegistryAdminServiceServicer_to_server(
            admin_service, server.server
        )
        dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(
            DeadLetterService(client), server.server
        )
        pool_service_pb2_grpc.add_PoolServiceServicer_to_server(
            PoolService(registry, writer, keeper, pool_streams, metrics), server.server
        )
        port = await server.start()
        stack.push_async_callback(server.stop, STOP_GRACE_S)
        stack.callback(watchers.close)
        stack.callback(upkeep.stopping)
        await server.set_serving(upkeep.problem is None)
        starting.clear()

        dead_letters = DeadLetters(client, metrics.dead_letters)
        fields = {"grpc": f"{settings.host}:{port}", "revision": registry.revision}
        log.info("config service ready", extra={"fields": fields})
        await run_until_signal(upkeep.run(), keeper.run(), dead_letters.run(), _sweep(stores))


async def _sweep(stores: Sequence[PayloadStore]) -> None:
    """Removes, for as long as it runs, what gateways that died have left in the stores."""
    while True:
        for store in stores:
            try:
                await store.sweep()
            except SieError as error:
                log.warning("payloads not swept: %s", error)
        await asyncio.sleep(_SWEEP_EVERY_S)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def main() -> None:
    try:
        settings = from_environment(Settings)
        logs.configure(settings.log_level, as_json=settings.log_json, process="config")
        log.info("starting", extra={"fields": describe(settings)})
        asyncio.run(run(settings))
    except (SettingsError, DefinitionError, ValueError, OSError) as error:
        sys.exit(f"config service: {error}")
    except KeyboardInterrupt:
        # Before the first round nothing has been accepted that could be finished.
        sys.exit(130)


if __name__ == "__main__":
    main()

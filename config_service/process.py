"""The process of the config service: the registry and the pools, written by it alone."""

import asyncio
import logging
import sys
from collections.abc import Sequence

from config_service.backend import open_backend
from config_service.face import open_server, serving
from config_service.metrics import Metrics
from config_service.settings import Settings
from config_service.upkeep import Upkeep
from servicekit import logs
from servicekit.errors import SieError
from servicekit.lifecycle import run_until_signal
from servicekit.payloads import PayloadStore
from servicekit.probes import Probes
from servicekit.settings import SettingsError, describe, from_environment
from servicekit.yaml_nodes import DefinitionError

log = logging.getLogger(__name__)

_SWEEP_EVERY_S = 300.0


async def run(settings: Settings) -> None:
    """Serves until a signal.

    Raises:
        DefinitionError: a definition file cannot be taken.
        ValueError: a setting is out of its bounds.
        OSError: a port is taken.
    """
    metrics = Metrics()
    server = open_server(settings.host, settings.grpc_port, metrics)
    upkeep = Upkeep(on_change=server.set_serving)
    starting = ["the gRPC server is not up yet"]
    probes = Probes(
        settings.host,
        settings.http_port,
        live=list,
        ready=lambda: starting + ([upkeep.problem] if upkeep.problem else []),
        metrics=metrics.registry,
    )
    async with (
        probes,
        open_backend(settings, upkeep, metrics) as backend,
        serving(server, backend) as port,
    ):
        starting.clear()
        fields = {"grpc": f"{settings.host}:{port}", "revision": backend.registry.revision}
        log.info("config service ready", extra={"fields": fields})
        await run_until_signal(
            upkeep.run(), backend.keeper.run(), backend.dead_letters.run(), _sweep(backend.stores)
        )


async def _sweep(stores: Sequence[PayloadStore]) -> None:
    """Removes, for as long as it runs, what gateways that died have left in the stores."""
    while True:
        for store in stores:
            try:
                await store.sweep()
            except SieError as error:
                log.warning("payloads not swept: %s", error)
        await asyncio.sleep(_SWEEP_EVERY_S)


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

"""The process of a gateway: gRPC and HTTP JSON at the edge, the work queue behind."""

import contextlib
import logging
import secrets
import sys
from importlib.metadata import version

import uvloop
from prometheus_client import REGISTRY

from gateway.backend import open_backend
from gateway.edge import Edge
from gateway.security import Security
from gateway.settings import Settings
from servicekit import logs
from servicekit.build_info import show_build
from servicekit.lifecycle import run_until_signal
from servicekit.settings import SettingsError, describe, from_environment
from servicekit.tracing import Tracer, open_tracer

log = logging.getLogger("gateway")


async def run(settings: Settings, gateway_id: str, tracer: Tracer) -> None:
    security = Security.of(settings)
    async with open_backend(settings, gateway_id) as backend:
        edge = Edge(settings, gateway_id, backend, security, tracer)
        await backend.start()
        ports = await edge.start()
        log.info("listening", extra={"fields": ports})
        try:
            await run_until_signal(edge.run_batches(), backend.peers.run(), edge.follow_health())
        finally:
            await edge.close(settings.drain_s)


def main() -> None:
    try:
        settings = from_environment(Settings)
        logs.configure(settings.log_level, as_json=settings.log_json, process="gateway")
        log.info("starting", extra={"fields": describe(settings)})
        show_build(REGISTRY)
        gateway_id = secrets.token_hex(4)
        tracer = open_tracer(settings, "sie-gateway", gateway_id, version("sie"))
        with contextlib.closing(tracer):
            uvloop.run(run(settings, gateway_id, tracer))
    except (SettingsError, OSError) as error:
        sys.exit(f"gateway: {error}")

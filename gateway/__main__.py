"""Starts a gateway: gRPC and HTTP JSON at the edge, the work queue behind.

python -m gateway        settings come from SIE_* variables, see Settings
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import uvloop
from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import REGISTRY

from gateway import console, grpc_face, grpc_stream
from gateway.access_log import AccessLog
from gateway.api import Api
from gateway.auth.guard import Guard
from gateway.auth.modes import tokens_of
from gateway.auth.pages import PageRules
from gateway.batches.assembly import Batches, BatchLimits
from gateway.batches.places import Places
from gateway.cluster import Cluster, fail_unloadable
from gateway.cluster_status import ClusterStatus
from gateway.compat.services import compat_services
from gateway.configs import registry_services
from gateway.connection_gauge import ConnectionGauge
from gateway.dead_letters import dead_letter_service
from gateway.demand import Demand, DemandGauge
from gateway.dispatch import Dispatcher
from gateway.hosting_gauge import HostingGauge
from gateway.http_face import HttpFace, Readiness
from gateway.http_server import HttpServer
from gateway.http_websocket import StatusSocket
from gateway.inference import InferenceService
from gateway.json_calls import JsonCalls
from gateway.leases import LeaseGauge
from gateway.models import ModelService
from gateway.oip.rest import RestFace
from gateway.oip.service import OpenInferenceService
from gateway.peers import Peers
from gateway.pools import PoolService
from gateway.refusals import Refusals
from gateway.usage import Usage, UsageGauge
from gateway.work_metrics import WorkMetrics
from gateway.worker_gauges import QueueGauge, WorkersGauge
from servicekit import broker, logs
from servicekit.grpc_client import channel
from servicekit.grpc_server import GrpcServer
from servicekit.lifecycle import end, until_signal
from servicekit.payloads import JETSTREAM, open_files, open_payloads
from servicekit.registry_view import RegistryView
from servicekit.settings import describe, from_environment, setting
from servicekit.tls import ServerTls
from servicekit.tracing import Tracer, TracingSettings, open_tracer
from servicekit.workers import WorkerDirectory
from sie.inference.v1 import inference_service_pb2, model_service_pb2
from sie.oip import open_inference_pb2
from sie.pool.v1 import pool_service_pb2
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceStub

log = logging.getLogger("gateway")

# The transport refuses without a typed error, so its limit only guards memory.
_TRANSPORT_LIMIT_FACTOR = 2
_HEALTH_EVERY_S = 0.25


@dataclass(frozen=True)
class Settings(TracingSettings):
    """What a gateway is told by its environment."""

    nats_url: str = setting("SIE_NATS_URL", "nats://127.0.0.1:4222")
    config_address: str = setting("SIE_CONFIG_ADDRESS", "127.0.0.1:9091")
    host: str = setting("SIE_HOST", "127.0.0.1")
    http_port: int = setting("SIE_HTTP_PORT", 8080)
    grpc_port: int = setting("SIE_GRPC_PORT", 9090)
    # Several gateways on one machine may listen on the same two ports, each on its own core.
    share_ports: bool = setting("SIE_SHARE_PORTS", False)
    state_dir: Path = setting("SIE_STATE_DIR", Path("~/.cache/sie/state").expanduser())
    max_request_bytes: int = setting("SIE_MAX_REQUEST_BYTES", 16 * 1024 * 1024)
    max_items: int = setting("SIE_MAX_ITEMS", 4096)
    default_models: tuple[str, ...] = setting("SIE_DEFAULT_MODEL", ())
    request_timeout_s: float = setting("SIE_REQUEST_TIMEOUT_S", 30.0)
    max_request_timeout_s: float = setting("SIE_MAX_REQUEST_TIMEOUT_S", 600.0)
    auth_mode: str = setting("SIE_AUTH_MODE", "none")
    auth_tokens: tuple[str, ...] = setting("SIE_AUTH_TOKEN", (), secret=True)
    admin_token: str = setting("SIE_ADMIN_TOKEN", "", secret=True)
    auth_file: Path | None = setting("SIE_AUTH_FILE", None)
    auth_exempt_operational: bool = setting("SIE_AUTH_EXEMPT_OPERATIONAL", False)
    metrics_token: str = setting("SIE_METRICS_TOKEN", "", secret=True)
    tls_cert: Path | None = setting("SIE_TLS_CERT", None)
    tls_key: Path | None = setting("SIE_TLS_KEY", None)
    tls_client_ca: Path | None = setting("SIE_TLS_CLIENT_CA", None)
    # Where requests are kept that are too large for the broker: jetstream, s3://, gs:// or file://.
    payload_store: str = setting("SIE_PAYLOAD_STORE", JETSTREAM)
    # Where the files of batches are kept: as above.
    file_store: str = setting("SIE_FILE_STORE", JETSTREAM)
    max_file_bytes: int = setting("SIE_MAX_FILE_BYTES", 200 * 1024 * 1024)
    # Where batches may read and write beside: URLs that end in /, with {tenant} for the caller's.
    batch_places: tuple[str, ...] = setting("SIE_BATCH_PLACES", ())
    batch_max_requests: int = setting("SIE_BATCH_MAX_REQUESTS", 50_000)
    # How many batches this gateway runs at a time; 0: none.
    batch_jobs: int = setting("SIE_BATCH_JOBS", 2)
    # After which a batch whose gateway is silent goes to another.
    batch_lease_s: float = setting("SIE_BATCH_LEASE_S", 10.0)
    # Interactive work that would wait longer is refused; 0: only what would miss its deadline is.
    max_wait_s: float = setting("SIE_MAX_WAIT_S", 10.0)
    # After which callers come back that find no worker: about half of what a machine takes to come.
    retry_after_s: float = setting("SIE_RETRY_AFTER_S", 120.0)
    # For how long a request keeps a worker of its lane.
    recent_use_s: float = setting("SIE_RECENT_USE_S", 60.0)
    drain_s: float = setting("SIE_DRAIN_S", 25.0)
    log_level: str = setting("SIE_LOG_LEVEL", "info")
    log_json: bool = setting("SIE_LOG_JSON", False)
    # A line for each request, without what was asked.
    access_log: bool = setting("SIE_ACCESS_LOG", True)


async def run(settings: Settings, gateway_id: str, tracer: Tracer) -> None:
    guard, pages, tls = _security(settings)
    async with contextlib.AsyncExitStack() as stack:

        async def on_reconnect() -> None:
            await workers.ask(client)
            await dispatcher.republish()

        client = await broker.connect(
            settings.nats_url, f"gateway/{gateway_id}", on_reconnect=on_reconnect
        )
        stack.push_async_callback(client.close)
        view = await stack.enter_async_context(
            RegistryView(settings.config_address, settings.state_dir, f"gateway/{gateway_id}")
        )
        workers = WorkerDirectory()
        demand = Demand(settings.retry_after_s)
        dispatcher = Dispatcher(
            client,
            gateway_id,
            payloads=open_payloads(settings.payload_store, client),
            metrics=WorkMetrics(REGISTRY),
            max_wait_s=settings.max_wait_s,
        )
        refusals = Refusals(REGISTRY)
        usage = Usage(settings.recent_use_s)
        cluster = Cluster(view, workers, demand, usage, refusals, client, dispatcher.waiting_items)
        for gauge in (
            DemandGauge(demand, cluster.lanes, dispatcher.lanes),
            LeaseGauge(lambda: view.pools),
            UsageGauge(usage, workers.live, dispatcher.lanes, lambda: view.pools),
            WorkersGauge(workers.live),
            HostingGauge(workers.live),
            ConnectionGauge(view, lambda: client.is_connected),
            QueueGauge(gateway_id, workers.live, dispatcher, lambda: view.pools),
        ):
            REGISTRY.register(gauge)
        config = await stack.enter_async_context(channel(settings.config_address))
        pool_service = PoolService(view, workers, PoolServiceStub(config))
        workers.subscribe(partial(fail_unloadable, dispatcher))
        workers.subscribe(partial(cluster.offer_waiting, dispatcher))

        peers = Peers(client, gateway_id, version("sie"), lambda: view.revision)
        stack.callback(view.subscribe(lambda _: peers.beat()))

        def not_ready() -> list[str]:
            reasons = [] if client.is_connected else ["the broker is not connected"]
            return reasons + ([] if view.is_loaded else ["the registry was not read yet"])

        def is_ready() -> bool:
            return not not_ready()

        verbs = InferenceService(cluster, pool_service, dispatcher, refusals, settings.max_items)
        tensors = OpenInferenceService(
            cluster,
            verbs,
            ready=is_ready,
            version=version("sie"),
            max_elements=settings.max_items,
        )
        batches = Batches(
            client,
            gateway_id,
            open_files(settings.file_store, client),
            BatchLimits(
                file_bytes=settings.max_file_bytes,
                line_bytes=settings.max_request_bytes,
                requests=settings.batch_max_requests,
                jobs=settings.batch_jobs,
                lease_s=settings.batch_lease_s,
            ),
            Places(settings.batch_places),
            REGISTRY,
        )
        services: list[tuple[ServiceDescriptor, object]] = [
            (_service(inference_service_pb2, "InferenceService"), verbs),
            (_service(model_service_pb2, "ModelService"), ModelService(cluster)),
            (_service(open_inference_pb2, "GRPCInferenceService"), tensors),
            (_service(pool_service_pb2, "PoolService"), pool_service),
            dead_letter_service(config),
            *registry_services(view, workers, peers, config),
            *batches.services(lambda: calls),
            *compat_services(
                cluster, verbs, settings.default_models, settings.max_items, version("sie")
            ),
        ]
        api = Api(
            services,
            default_timeout_s=settings.request_timeout_s,
            max_timeout_s=settings.max_request_timeout_s,
            registry=REGISTRY,
            guard=guard,
            machine_profile_of=cluster.machine_profile_label,
            access_log=AccessLog(enabled=settings.access_log),
            tracer=tracer,
        )

        calls = JsonCalls(api)

        def readiness() -> Readiness:
            details = {"healthy_workers": len(workers.ready()), "revision": view.revision}
            return Readiness(not_ready(), details)

        status = ClusterStatus(view, workers, peers, lambda: client.is_connected)
        face = HttpFace(
            api,
            calls,
            registry=REGISTRY,
            ready=readiness,
            page_rules=pages,
            version=version("sie"),
            max_request_bytes=settings.max_request_bytes,
            socket=StatusSocket(status.frame, pages),
            pages={**console.pages(), "/health": status.health},
            faces=[
                RestFace(
                    api,
                    ready=is_ready,
                    max_request_bytes=settings.max_request_bytes,
                    max_elements=settings.max_items,
                ),
                batches.face(api),
            ],
        )
        http = HttpServer(
            face, settings.host, settings.http_port, tls, shares_port=settings.share_ports
        )
        grpc = GrpcServer(
            f"{settings.host}:{settings.grpc_port}",
            [service.full_name for service, _ in services],
            settings.max_request_bytes * _TRANSPORT_LIMIT_FACTOR,
            tls,
            shares_port=settings.share_ports,
        )
        grpc.server.add_generic_rpc_handlers(
            [
                *grpc_face.handlers(api, settings.max_request_bytes),
                grpc_stream.handler(api, settings.max_request_bytes),
            ]
        )
        await dispatcher.start()
        await workers.follow(client)
        ports = {"http": await http.start(), "grpc": await grpc.start()}
        log.info("listening", extra={"fields": ports})

        background = [
            asyncio.create_task(work)
            for work in (batches.run(calls), peers.run(), _follow_health(grpc, is_ready))
        ]
        stack.push_async_callback(end, *background)
        await until_signal()
        await end(*background)
        await grpc.set_serving(False)
        await api.drain(settings.drain_s)
        await asyncio.gather(http.stop(1.0), grpc.stop(1.0))


def _security(settings: Settings) -> tuple[Guard, PageRules, ServerTls | None]:
    guard = Guard(
        tokens_of(
            settings.auth_mode, settings.auth_tokens, settings.admin_token, settings.auth_file
        )
    )
    pages = PageRules(
        guard, settings.metrics_token, open_operational=settings.auth_exempt_operational
    )
    tls = ServerTls.of(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    return guard, pages, tls


def _service(module: ModuleType, name: str) -> ServiceDescriptor:
    return module.DESCRIPTOR.services_by_name[name]  # type: ignore[no-any-return]


async def _follow_health(grpc: GrpcServer, ready: Callable[[], bool]) -> None:
    serving = False
    while True:
        if ready() != serving:
            serving = not serving
            await grpc.set_serving(serving)
        await asyncio.sleep(_HEALTH_EVERY_S)


def main() -> None:
    settings = from_environment(Settings)
    logs.configure(settings.log_level, as_json=settings.log_json, process="gateway")
    log.info("starting", extra={"fields": describe(settings)})
    gateway_id = secrets.token_hex(4)
    tracer = open_tracer(settings, "sie-gateway", gateway_id, version("sie"))
    with contextlib.closing(tracer):
        uvloop.run(run(settings, gateway_id, tracer))


if __name__ == "__main__":
    main()

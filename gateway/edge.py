"""What clients meet: every service of the gateway, behind gRPC and HTTP."""

import asyncio
from importlib.metadata import version
from types import ModuleType

from google.protobuf.descriptor import ServiceDescriptor
from prometheus_client import REGISTRY

from gateway import console, grpc_face, grpc_stream
from gateway.access_log import AccessLog
from gateway.api import Api
from gateway.auth.pages import PageRules
from gateway.backend import Backend
from gateway.batches.assembly import Batches, BatchLimits
from gateway.batches.places import Places
from gateway.cluster_status import ClusterStatus
from gateway.compat.services import compat_services
from gateway.configs import registry_services
from gateway.dead_letters import dead_letter_service
from gateway.http.face import HttpFace, Readiness
from gateway.http.server import HttpServer
from gateway.http.websocket import StatusSocket
from gateway.inference import InferenceService
from gateway.json_calls import JsonCalls
from gateway.lane_status import LaneStatus
from gateway.models import ModelService
from gateway.oip.rest import RestFace
from gateway.oip.service import OpenInferenceService
from gateway.pools import PoolService
from gateway.security import Security
from gateway.settings import Settings
from servicekit.grpc_server import GrpcServer
from servicekit.payloads import open_files
from servicekit.tracing import Tracer
from sie.inference.v1 import inference_service_pb2, model_service_pb2
from sie.oip import open_inference_pb2
from sie.pool.v1 import pool_service_pb2
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceStub

# The transport refuses without a typed error, so its limit only guards memory.
_TRANSPORT_LIMIT_FACTOR = 2
_HEALTH_EVERY_S = 0.25
_CLOSE_WITHIN_S = 1.0

_Services = list[tuple[ServiceDescriptor, object]]


class Edge:
    """The two servers, and the one pipeline behind them.

    Args:
        settings: of the gateway.
        gateway_id: unique among gateways.
        backend: what answers.
        security: who may call, and see the pages.
        tracer: begins the spans of calls.
    """

    def __init__(
        self,
        settings: Settings,
        gateway_id: str,
        backend: Backend,
        security: Security,
        tracer: Tracer,
    ) -> None:
        self._backend = backend
        self._batches = _batches(settings, gateway_id, backend)
        services = _services(settings, backend) + self._batches.services(lambda: self._calls)
        self._api = Api(
            services,
            default_timeout_s=settings.request_timeout_s,
            max_timeout_s=settings.max_request_timeout_s,
            registry=REGISTRY,
            guard=security.guard,
            machine_profile_of=backend.cluster.machine_profile_label,
            access_log=AccessLog(enabled=settings.access_log),
            tracer=tracer,
        )
        self._calls = JsonCalls(self._api)
        self._http = HttpServer(
            self._http_face(settings, security.pages),
            settings.host,
            settings.http_port,
            security.tls,
            shares_port=settings.share_ports,
        )
        self._grpc = GrpcServer(
            f"{settings.host}:{settings.grpc_port}",
            [service.full_name for service, _ in services],
            settings.max_request_bytes * _TRANSPORT_LIMIT_FACTOR,
            security.tls,
            shares_port=settings.share_ports,
        )
        self._grpc.server.add_generic_rpc_handlers(
            [
                *grpc_face.handlers(self._api, settings.max_request_bytes, version("sie")),
                grpc_stream.handler(self._api, settings.max_request_bytes, version("sie")),
            ]
        )

    async def start(self) -> dict[str, int]:
        """Begins to listen; returns the ports."""
        return {"http": await self._http.start(), "grpc": await self._grpc.start()}

    async def run_batches(self) -> None:
        """Runs batches until cancelled."""
        await self._batches.run(self._calls)

    async def follow_health(self) -> None:
        """Tells the health service of gRPC how things are, until cancelled."""
        serving = False
        while True:
            if self._backend.is_ready != serving:
                serving = not serving
                await self._grpc.set_serving(serving)
            await asyncio.sleep(_HEALTH_EVERY_S)

    async def close(self, drain_s: float) -> None:
        """Takes no new calls, answers those in flight for so long, and stops listening."""
        await self._grpc.set_serving(False)
        await self._api.drain(drain_s)
        await asyncio.gather(self._http.stop(_CLOSE_WITHIN_S), self._grpc.stop(_CLOSE_WITHIN_S))

    def _http_face(self, settings: Settings, pages: PageRules) -> HttpFace:
        backend = self._backend

        def readiness() -> Readiness:
            ready = len(backend.workers.ready())
            details = {"healthy_workers": ready, "revision": backend.view.revision}
            return Readiness(list(backend.missing()), details)

        status = ClusterStatus(
            backend.view,
            backend.workers,
            backend.peers,
            LaneStatus(backend.cluster.heartbeats, backend.demand, backend.dispatcher),
            lambda: backend.client.is_connected,
        )
        tensors = RestFace(
            self._api,
            ready=lambda: backend.is_ready and not self._api.is_draining,
            max_request_bytes=settings.max_request_bytes,
            max_elements=settings.max_items,
        )
        return HttpFace(
            self._api,
            self._calls,
            registry=REGISTRY,
            ready=readiness,
            page_rules=pages,
            version=version("sie"),
            max_request_bytes=settings.max_request_bytes,
            socket=StatusSocket(status.frame, pages),
            pages={**console.pages(), "/health": status.health},
            faces=[tensors, self._batches.face(self._api)],
        )


def _services(settings: Settings, backend: Backend) -> _Services:
    """Descriptor and implementation of each service but those of batches."""
    cluster, config = backend.cluster, backend.config
    pools = PoolService(backend.view, backend.workers, PoolServiceStub(config))
    verbs = InferenceService(
        cluster,
        backend.adoption,
        pools,
        backend.dispatcher,
        backend.refusals,
        settings.max_items,
    )
    tensors = OpenInferenceService(
        cluster,
        verbs,
        ready=lambda: backend.is_ready,
        version=version("sie"),
        max_elements=settings.max_items,
    )
    return [
        (_service(inference_service_pb2, "InferenceService"), verbs),
        (_service(model_service_pb2, "ModelService"), ModelService(cluster)),
        (_service(open_inference_pb2, "GRPCInferenceService"), tensors),
        (_service(pool_service_pb2, "PoolService"), pools),
        dead_letter_service(config),
        *registry_services(backend.view, backend.workers, backend.peers, config),
        *compat_services(
            cluster, verbs, settings.default_models, settings.max_items, version("sie")
        ),
    ]


def _batches(settings: Settings, gateway_id: str, backend: Backend) -> Batches:
    limits = BatchLimits(
        file_bytes=settings.max_file_bytes,
        tenant_bytes=settings.max_tenant_file_bytes,
        line_bytes=settings.max_request_bytes,
        requests=settings.batch_max_requests,
        jobs=settings.batch_jobs,
        lease_s=settings.batch_lease_s,
    )
    files = open_files(settings.file_store, backend.client)
    places = Places(settings.batch_places)
    return Batches(backend.client, gateway_id, files, limits, places, REGISTRY)


def _service(module: ModuleType, name: str) -> ServiceDescriptor:
    return module.DESCRIPTOR.services_by_name[name]  # type: ignore[no-any-return]

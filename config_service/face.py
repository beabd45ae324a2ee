"""The gRPC services of a config service, on one server."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from config_service.backend import Backend
from config_service.dead_letter_service import DeadLetterService
from config_service.metrics import Metrics
from config_service.pool_service import PoolService
from config_service.rpc_metrics import RpcMetrics
from config_service.service import (
    REGISTRY_SERVICE,
    RegistryAdminService,
    RegistryHistoryService,
    RegistryService,
    add_registry_service,
)
from servicekit.grpc_server import GrpcServer
from sie.operations.v1 import dead_letter_service_pb2, dead_letter_service_pb2_grpc
from sie.pool.v1 import pool_service_pb2, pool_service_pb2_grpc
from sie.registry.v1 import (
    registry_admin_service_pb2,
    registry_admin_service_pb2_grpc,
    registry_history_service_pb2,
    registry_history_service_pb2_grpc,
)

_STOP_GRACE_S = 5.0
# A whole registry, to import it.
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_SERVICES = [
    REGISTRY_SERVICE,
    registry_history_service_pb2.DESCRIPTOR.services_by_name["RegistryHistoryService"].full_name,
    registry_admin_service_pb2.DESCRIPTOR.services_by_name["RegistryAdminService"].full_name,
    dead_letter_service_pb2.DESCRIPTOR.services_by_name["DeadLetterService"].full_name,
    pool_service_pb2.DESCRIPTOR.services_by_name["PoolService"].full_name,
]


def open_server(host: str, port: int, metrics: Metrics) -> GrpcServer:
    """A server that listens nowhere yet."""
    return GrpcServer(
        f"{host}:{port}",
        _SERVICES,
        max_message_bytes=_MAX_MESSAGE_BYTES,
        interceptors=[RpcMetrics(metrics)],
    )


@asynccontextmanager
async def serving(server: GrpcServer, backend: Backend) -> AsyncIterator[int]:
    """Serves while it is entered; gives the port.

    Raises:
        OSError: the port is taken.
    """
    _add_services(server, backend)
    port = await server.start()
    try:
        await server.set_serving(backend.upkeep.problem is None)
        yield port
    finally:
        backend.upkeep.stopping()
        backend.watchers.close()
        await server.stop(_STOP_GRACE_S)


def _add_services(server: GrpcServer, backend: Backend) -> None:
    registry, writer, metrics = backend.registry, backend.writer, backend.metrics
    dedicated_pools = backend.keeper.dedicated
    add_registry_service(
        RegistryService(registry, backend.watchers, metrics, version("sie"), dedicated_pools),
        server,
    )
    registry_history_service_pb2_grpc.add_RegistryHistoryServiceServicer_to_server(
        RegistryHistoryService(registry), server.server
    )
    registry_admin_service_pb2_grpc.add_RegistryAdminServiceServicer_to_server(
        RegistryAdminService(registry, writer), server.server
    )
    dead_letter_service_pb2_grpc.add_DeadLetterServiceServicer_to_server(
        DeadLetterService(backend.client), server.server
    )
    pool_service_pb2_grpc.add_PoolServiceServicer_to_server(
        PoolService(registry, writer, backend.keeper, backend.pool_streams, metrics), server.server
    )

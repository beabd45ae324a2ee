"""The real faces on free ports, over a small real service."""

from types import SimpleNamespace

import grpc
import pytest
from prometheus_client import CollectorRegistry

from gateway import grpc_face, grpc_stream
from gateway.auth.guard import Guard
from gateway.auth.pages import PageRules
from gateway.http.face import HttpFace, Readiness
from gateway.http.server import HttpServer
from gateway.http.websocket import StatusSocket
from gateway.json_calls import JsonCalls
from servicekit.grpc_server import GrpcServer
from tests.unit.gateway.support import MAX_REQUEST_BYTES, EchoInference, make_api


@pytest.fixture
def inference():
    return EchoInference()


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def guard():
    return Guard(None)


@pytest.fixture
def api(inference, registry, guard):
    return make_api(inference, registry, guard)


@pytest.fixture
def tls():
    return None


@pytest.fixture
def readiness():
    return SimpleNamespace(reasons=[])


@pytest.fixture
def http_face(api, registry, readiness, guard):
    return HttpFace(
        api,
        JsonCalls(api),
        registry=registry,
        ready=lambda: Readiness(readiness.reasons, {"healthy_workers": 0}),
        page_rules=PageRules(guard, "", open_operational=False),
        socket=StatusSocket(lambda _: "{}", PageRules(guard, "", open_operational=False)),
        version="1.2.3",
        max_request_bytes=MAX_REQUEST_BYTES,
    )


@pytest.fixture
async def http_port(http_face, tls):
    server = HttpServer(http_face, "127.0.0.1", 0, tls)
    yield await server.start()
    await server.stop(0.05)


@pytest.fixture
async def grpc_channel(api):
    services = sorted({path.split("/")[1] for path in api.endpoints})
    server = GrpcServer("127.0.0.1:0", services, 2 * MAX_REQUEST_BYTES)
    server.server.add_generic_rpc_handlers(
        [
            *grpc_face.handlers(api, MAX_REQUEST_BYTES, "1.2.3"),
            grpc_stream.handler(api, MAX_REQUEST_BYTES, "1.2.3"),
        ]
    )
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)

"""Calls to the config service are counted by how they ended."""

import contextlib

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from config_service.metrics import Metrics
from config_service.rpc_metrics import RpcMetrics
from servicekit.grpc_server import GrpcServer
from tests.waiting import eventually


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
async def channel(metrics):
    server = GrpcServer("127.0.0.1:0", [], 1024, interceptors=[RpcMetrics(metrics)])
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    await server.stop(0)


def count(metrics, endpoint, status):
    labels = {"endpoint": endpoint, "status": status}
    return metrics.registry.get_sample_value("sie_config_requests_total", labels)


async def test_calls_are_counted_by_status_and_timed(metrics, channel):
    health = health_pb2_grpc.HealthStub(channel)
    await health.Check(health_pb2.HealthCheckRequest())
    with pytest.raises(grpc.aio.AioRpcError):
        await health.Check(health_pb2.HealthCheckRequest(service="none"))
    # A refusal is with its caller before the call has ended here.
    await eventually(lambda: count(metrics, "Check", "NOT_FOUND"))
    assert count(metrics, "Check", "OK") == count(metrics, "Check", "NOT_FOUND") == 1
    timed = metrics.registry.get_sample_value(
        "sie_config_request_seconds_count", {"endpoint": "Check"}
    )
    assert timed == 2


async def test_a_watch_counts_when_it_ends(metrics, channel):
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
    await watch.read()
    assert count(metrics, "Watch", "CANCELLED") is None
    watch.cancel()
    await eventually(lambda: count(metrics, "Watch", "CANCELLED"))


async def test_names_that_callers_make_up_have_no_series(metrics, channel):
    with contextlib.suppress(grpc.aio.AioRpcError):
        await channel.unary_unary("/nobody/Nothing")(b"")
    assert count(metrics, "Nothing", "UNIMPLEMENTED") is None

"""Two config services side by side, on the chart's broker: either writes, and one may go."""

import time
from collections.abc import Callable, Iterator

import grpc
import pytest

from cli.ports import HOST, free_port
from sie.inference.v1.model_service_pb2 import InputType
from sie.pool.v1.pool_service_pb2 import CreatePoolRequest, DeletePoolRequest, RenewPoolRequest
from sie.pool.v1.pool_service_pb2_grpc import PoolServiceStub
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import ApplyModelRequest, DeleteModelRequest
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_service_pb2 import GetModelRequest
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub
from tests.asking import ask
from tests.charts.chart_stack import ChartStack
from tests.waiting import until

_MODEL = "replicas/one"


def _again(call: Callable[[], object]) -> None:
    """Makes a call, again as long as the other writer was faster."""
    end = time.monotonic() + 60
    while True:
        try:
            call()
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.ABORTED or time.monotonic() > end:
                raise
        else:
            return


def _has(channel: grpc.Channel, model_id: str) -> bool:
    try:
        RegistryServiceStub(channel).GetModel(GetModelRequest(model_id=model_id), timeout=10)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    return True


@pytest.fixture
def second(chart_stack: ChartStack) -> Iterator[str]:
    """The address of a config service beside the stack's own."""
    port = free_port()
    ports = {"SIE_CONFIG_GRPC_PORT": str(port), "SIE_CONFIG_HTTP_PORT": str(free_port())}
    env = dict(chart_stack.processes["config"].env) | ports
    process = chart_stack._start_service("config", "config_service", "config-2", env)
    process.wait_ready(60)
    yield f"{HOST}:{port}"
    process.kill()
    process.wait(20)
    del chart_stack.processes["config-2"], chart_stack._roles["config-2"]


def test_either_writes_and_both_know_it(chart_stack: ChartStack, second: str) -> None:
    with (
        grpc.insecure_channel(chart_stack.config_address) as one,
        grpc.insecure_channel(second) as two,
    ):
        model = Model(model_id=_MODEL, inputs=[InputType.INPUT_TYPE_TEXT])
        model.sources.add().directory = "/nowhere"
        model.tasks.encode.dense.dims = 8
        apply = ApplyModelRequest(model=model)
        _again(lambda: RegistryAdminServiceStub(two).ApplyModel(apply, timeout=20))
        until(lambda: _has(one, _MODEL), wanted="the first to follow the second")

        create = CreatePoolRequest(name="replicated", gpus={"cpu": 1})
        renew = RenewPoolRequest(name="replicated")
        _again(lambda: PoolServiceStub(one).CreatePool(create, timeout=20))
        _again(lambda: PoolServiceStub(two).RenewPool(renew, timeout=20))
        delete = DeletePoolRequest(name="replicated")
        _again(lambda: PoolServiceStub(two).DeletePool(delete, timeout=20))

        # A gateway follows whichever it reaches, as behind a service of Kubernetes.
        addresses = f"ipv4:{second},{chart_stack.config_address}"
        url = {"SIE_CONFIG_ADDRESS": addresses, "SIE_NATS_URL": chart_stack.url("gateway")}
        gateway = chart_stack.start_gateway("follower", **url)
        gateway.wait_ready(60)
        address = f"{HOST}:{gateway.env['SIE_HTTP_PORT']}"
        try:
            chart_stack.processes["config-2"].kill()
            gone = DeleteModelRequest(model_id=_MODEL)
            _again(lambda: RegistryAdminServiceStub(one).DeleteModel(gone, timeout=20))
            until(
                lambda: ask(address, "GET", f"/v1/models/{_MODEL}").status == 404,
                wanted="the gateway to follow the one that is left",
            )
        finally:
            gateway.terminate()
            gateway.wait(40)
            del chart_stack.processes["follower"], chart_stack._roles["follower"]

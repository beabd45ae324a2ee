"""What a token that is bound to some models sees of a cluster that has more."""

import grpc
import pytest

from cli.ports import free_port
from sie.oip.open_inference_pb2 import ModelReadyRequest, ServerReadyRequest
from sie.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.asking import ask

OWN, OTHER = "golden/bert_ner", "golden/gliner"
TOKENS = """
tokens:
  - {token: acme-token, tenant: acme, models: ["golden/bert_*"]}
"""
ACME = {"authorization": "Bearer acme-token"}


@pytest.fixture(scope="module")
def gateway(golden_stack, tmp_path_factory):
    """A gateway that asks for tokens: its HTTP and gRPC addresses."""
    file = tmp_path_factory.mktemp("tenants") / "tokens.yaml"
    file.write_text(TOKENS)
    http, rpc = free_port(), free_port()
    process = golden_stack.start_gateway(
        "gateway-tenants",
        SIE_HTTP_PORT=str(http),
        SIE_GRPC_PORT=str(rpc),
        SIE_AUTH_MODE="static",
        SIE_AUTH_FILE=str(file),
    )
    process.wait_ready(60)
    yield f"127.0.0.1:{http}", f"127.0.0.1:{rpc}"
    process.terminate()
    process.wait(60)


@pytest.mark.parametrize(
    ("method", "path", "names_of"),
    [
        ("GET", "/v1/models", lambda body: [each["name"] for each in body["models"]]),
        ("GET", "/v1/models", lambda body: [each["id"] for each in body["data"]]),
        ("POST", "/v2/repository/index", lambda body: [each["name"] for each in body]),
    ],
)
def test_lists_hold_the_models_that_a_token_may_use(gateway, method, path, names_of):
    reply = ask(gateway[0], method, path, {} if method == "POST" else None, ACME)
    names = names_of(reply.json())
    assert OWN in names
    assert all(name.startswith("golden/bert_") for name in names)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/models/{}",
        "/v2/models/{}",
        "/v2/models/{}/ready",
    ],
)
def test_other_models_are_refused_by_name(gateway, path):
    assert ask(gateway[0], "GET", path.format(OWN), headers=ACME).status != 403
    reply = ask(gateway[0], "GET", path.format(OTHER), headers=ACME)
    assert reply.status == 403
    assert OTHER in reply.body.decode()


def test_the_registry_is_for_tokens_of_all_models(gateway):
    for path in ("", f"/{OWN}", f"/{OWN}/status"):
        assert ask(gateway[0], "GET", f"/v1/configs/models{path}", headers=ACME).status == 403


def test_the_clusters_pages_show_no_other_models(gateway):
    health = ask(gateway[0], "GET", "/health", headers=ACME).json()
    assert all(model["name"].startswith("golden/bert_") for model in health["models"])


def test_probes_of_the_open_inference_protocol_carry_no_token(gateway):
    with grpc.insecure_channel(gateway[1]) as channel:
        service = GRPCInferenceServiceStub(channel)
        assert service.ServerReady(ServerReadyRequest()).ready
        with pytest.raises(grpc.RpcError) as refused:
            service.ModelReady(ModelReadyRequest(name=OWN))
    assert refused.value.code() == grpc.StatusCode.UNAUTHENTICATED

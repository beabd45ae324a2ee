"""The open inference protocol without a client's help: REST, typed contents, and bad requests."""

import gzip
import json
import struct

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from cli.local_stack import DEFAULT_MODEL
from sie.oip.open_inference_pb2 import ModelInferRequest, ModelReadyRequest
from sie.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.asking import ENCODE, ask
from tests.e2e import case_files

MODEL = f"/v2/models/{DEFAULT_MODEL}"
ESCAPED = f"/v2/models/{DEFAULT_MODEL.replace('/', '%2F')}"
TEXT = {"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}


@pytest.fixture
def expected(stack):
    """What Encode gives for the two texts of TEXT."""
    items = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "a"}, {"text": "b"}]})
    return [item["dense"]["values"] for item in items.json()["items"]]


@pytest.mark.parametrize("path", [MODEL, ESCAPED, f"{MODEL}/versions/1", f"{ESCAPED}/versions/1"])
def test_a_model_is_found_under_each_form_of_its_path(stack, expected, path):
    metadata = ask(stack.http_address, "GET", path).json()
    assert metadata["name"] == DEFAULT_MODEL
    assert metadata["outputs"][0] == {"name": "embedding", "datatype": "FP32", "shape": [-1, 384]}
    ready = ask(stack.http_address, "GET", f"{path}/ready")
    assert (ready.status, ready.json()) == (200, {"name": DEFAULT_MODEL, "ready": True})
    reply = ask(stack.http_address, "POST", f"{path}/infer", {"id": "7", "inputs": [TEXT]})
    answer = reply.json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == (
        "7",
        DEFAULT_MODEL,
        "1",
    )
    assert answer["outputs"][0]["shape"] == [2, 384]
    np.testing.assert_allclose(answer["outputs"][0]["data"], np.ravel(expected), atol=1e-6)
    assert {"x-sie-worker", "x-sie-request-id", "x-total-time"} <= reply.headers.keys()


@pytest.mark.parametrize("compressed", [False, True])
def test_tensors_travel_in_binary(stack, expected, compressed):
    raw = b"".join(struct.pack("<I", 1) + each for each in (b"a", b"b"))
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2, 1]}
    tensor["parameters"] = {"binary_data_size": len(raw)}
    outputs = [{"name": "embedding", "parameters": {"binary_data": True}}, {"name": "truncated"}]
    head = json.dumps({"inputs": [tensor], "outputs": outputs}).encode()
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(len(head)),
    }
    body = head + raw
    if compressed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    reply = ask(stack.http_address, "POST", f"{MODEL}/infer", body, headers)
    length = int(reply.headers["inference-header-content-length"])
    embedding, truncated = json.loads(reply.body[:length])["outputs"]
    assert embedding["parameters"]["binary_data_size"] == len(reply.body) - length == 2 * 384 * 4
    found = np.frombuffer(reply.body[length:], "<f4").reshape(2, 384)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert truncated["data"] == [False, False]


def test_typed_contents_are_answered_in_kind(stack, channel, expected):
    request = ModelInferRequest(model_name=DEFAULT_MODEL)
    tensor = request.inputs.add(name="text", datatype="BYTES", shape=[2])
    tensor.contents.bytes_contents.extend([b"a", b"b"])
    reply, call = GRPCInferenceServiceStub(channel).ModelInfer.with_call(request)
    found = np.array(reply.outputs[0].contents.fp32_contents).reshape(2, 384)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert not reply.raw_output_contents
    assert "x-sie-request-id" in dict(call.trailing_metadata())


def test_a_model_scores_too_where_it_is_asked_to(stack):
    documents = {"name": "documents", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]}
    query = {"name": "query", "datatype": "BYTES", "shape": [1], "data": ["a"]}
    body = {"inputs": [query, documents]}
    reply = ask(stack.http_address, "POST", f"{MODEL}/infer", body).json()
    assert reply["parameters"] == {"score_kind": "cosine"}
    assert reply["outputs"][0]["data"][0] == pytest.approx(1, abs=1e-5)


def test_a_large_request_is_split_and_joined_in_order(stack):
    texts = [f"text number {number}" for number in range(100)]
    tensor = {"name": "text", "datatype": "BYTES", "shape": [100], "data": texts}
    reply = ask(stack.http_address, "POST", f"{MODEL}/infer", {"inputs": [tensor]}).json()
    found = np.array(reply["outputs"][0]["data"]).reshape(100, 384)
    items = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": t} for t in texts]})
    expected = [item["dense"]["values"] for item in items.json()["items"]]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_probes_and_metadata_of_the_server(stack):
    def get(path):
        reply = ask(stack.http_address, "GET", path)
        return reply.status, reply.json()

    assert get("/v2/health/live") == (200, {"live": True})
    assert get("/v2/health/ready") == (200, {"live": True, "ready": True})
    assert get("/v2")[1]["extensions"] == ["binary_tensor_data"]
    assert get("/v2/models/nothing/ready") == (404, {"error": "no model 'nothing' is registered"})


def test_a_model_that_no_worker_has_is_not_ready(stack, channel):
    index = ask(stack.http_address, "POST", "/v2/repository/index").json()
    waiting = [model for model in index if model["state"] == "UNAVAILABLE"]
    assert waiting, "every model of the project is loaded"
    name = waiting[0]["name"]
    reply = ask(stack.http_address, "GET", f"/v2/models/{name}/ready")
    assert (reply.status, reply.json()) == (503, {"name": name, "ready": False})
    stub = GRPCInferenceServiceStub(channel)
    assert not stub.ModelReady(ModelReadyRequest(name=name)).ready
    ready = ask(stack.http_address, "POST", "/v2/repository/index", {"ready": True}).json()
    assert DEFAULT_MODEL in {model["name"] for model in ready}
    assert name not in {model["name"] for model in ready}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", f"{MODEL}/infer", 405),
        ("POST", MODEL, 405),
        ("GET", f"{MODEL}?a=1", 400),
        ("GET", "/v2/models/%ff", 400),
        ("GET", f"{MODEL}/versions/2", 404),
        ("POST", f"/v2/repository/models/{DEFAULT_MODEL}/load", 501),
        ("POST", f"/v2/repository/models/{DEFAULT_MODEL}/unload", 501),
    ],
)
def test_refusals_have_the_protocols_error(stack, method, path, status):
    reply = ask(stack.http_address, method, path)
    assert reply.status == status
    assert set(reply.json()) == {"error"}
    assert "x-sie-error-code" in reply.headers


def test_reflection_and_openapi_list_it(stack, channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest(
        file_containing_symbol="inference.GRPCInferenceService"
    )
    (reply,) = stub.ServerReflectionInfo(iter([asked]))
    assert reply.file_descriptor_response.file_descriptor_proto
    paths = ask(stack.http_address, "GET", "/openapi.json").json()["paths"]
    assert {"/v2", "/v2/health/ready", "/v2/models/{model}/infer"} <= paths.keys()
    ids = [each["operationId"] for path in paths.values() for each in path.values()]
    assert len(ids) == len(set(ids))


def cases(protocol):
    table = case_files.read("open_inference_errors.yaml")
    found = [case for case in table if protocol in case["expect"]]
    return pytest.mark.parametrize("case", found, ids=lambda case: case["name"].replace(" ", "-"))


def field_of(case, protocol):
    field = case["expect"].get("field")
    return field[protocol] if isinstance(field, dict) else field


@cases("http")
def test_bad_requests_over_rest(golden_stack, case):
    path = f"/v2/models/{case.get('model', 'golden/clip')}/infer"
    headers = {}
    if "header" in case:
        headers["inference-header-content-length"] = str(case["header"])
    body = case["http"].encode() if "http" in case else case["request"]
    reply = ask(golden_stack.http_address, "POST", path, body, headers)
    assert reply.status == case["expect"]["http"], reply.body
    assert reply.headers["x-sie-error-code"] == case["expect"]["reason"]
    assert reply.json()["error"].startswith(field_of(case, "http") or "")


@cases("grpc")
def test_bad_requests_over_grpc(golden_stack, case):
    request = as_message(case["request"])
    request.model_name = case.get("model", "golden/clip")
    with (
        grpc.insecure_channel(golden_stack.grpc_address) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
    assert caught.value.code().name == case["expect"]["grpc"], caught.value.details()
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in rpc_status.from_call(caught.value).details)
    assert info.reason == case["expect"]["reason"]
    assert info.metadata.get("field") == field_of(case, "grpc") or not field_of(case, "grpc")


def as_message(body):
    request = ModelInferRequest(outputs=body.get("outputs", []))
    for each in body["inputs"]:
        tensor = request.inputs.add(
            name=each["name"], datatype=each["datatype"], shape=each["shape"]
        )
        tensor.contents.bytes_contents.extend(text.encode() for text in each["data"])
        for name, value in each.get("parameters", {}).items():
            tensor.parameters[name].string_param = value
    for name, value in body.get("parameters", {}).items():
        kind = "string_param" if isinstance(value, str) else "int64_param"
        setattr(request.parameters[name], kind, value)
    return request

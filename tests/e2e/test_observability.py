"""What an operator sees of requests: traces, the access log, metrics; and what tenants see."""

import http.client
import json
import re
import secrets
import time
import urllib.request

import grpc
import pytest

from cli.local_stack import DEFAULT_MODEL, LocalStack
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from sie.oip import open_inference_pb2 as oip
from sie.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.conftest import ENCODE, ask
from tests.e2e.otlp_receiver import OtlpReceiver

TOKENS = """
tokens:
  - token: token-of-acme
    tenant: acme
  - token: token-of-narrow
    tenant: narrow
    models: ["nobody/*"]
"""
ACME = {"authorization": "Bearer token-of-acme"}
NARROW = {"authorization": "Bearer token-of-narrow"}
SECRET_TEXT = "the-diagnosis-of-one-patient"


@pytest.fixture(scope="module")
def receiver():
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def observed(tmp_path_factory, engine_cache, receiver):
    directory = tmp_path_factory.mktemp("observed")
    tokens = directory / "tokens.yaml"
    tokens.write_text(TOKENS)
    env = {
        "SIE_LOG_JSON": "true",
        "SIE_AUTH_MODE": "static",
        "SIE_AUTH_FILE": str(tokens),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "NO_PROXY": "127.0.0.1",
    }
    with LocalStack(directory / "stack", cache_dir=engine_cache, env=env) as stack:
        stack.start()
        yield stack


def _traced(trace_id, *, sampled=True):
    return {**ACME, "traceparent": f"00-{trace_id}-{'b7' * 8}-0{int(sampled)}"}


def _encode(stack, headers, texts=("one", "two three")):
    body = {"items": [{"text": text} for text in texts]}
    return ask(stack.http_address, "POST", ENCODE, body, headers)


def _metrics(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as reply:
        return reply.read().decode()


def _worker_metrics(stack):
    port = stack.processes["worker-1"].env["SIE_WORKER_HTTP_PORT"]
    return _metrics(f"127.0.0.1:{port}")


def _value(text, name, **labels):
    for line in text.splitlines():
        found = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
        if found and dict(re.findall(r'(\w+)="([^"]*)"', found[1])).items() >= labels.items():
            return float(found[2])
    return 0.0


def _access_lines(stack, request_id):
    text = (stack.logs_dir / "gateway-1.log").read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [
        line for line in lines if line["message"] == "request" and line["request_id"] == request_id
    ]


SPANS = {
    "sie.inference.v1.InferenceService/Encode",
    "publish",
    "wait",
    "queue",
    "process",
    "tokenise",
    "batch wait",
    "engine run",
    "reply",
}


@pytest.mark.parametrize("face", ["http", "grpc"])
def test_a_trace_goes_from_the_caller_through_gateway_and_queue_to_the_engine(
    observed, receiver, face
):
    trace_id = secrets.token_hex(16)
    if face == "http":
        assert _encode(observed, _traced(trace_id)).status == 200
    else:
        with grpc.insecure_channel(observed.grpc_address) as channel:
            request = EncodeRequest(model=DEFAULT_MODEL, items=[{"text": "one"}, {"text": "two"}])
            metadata = tuple(_traced(trace_id).items())
            InferenceServiceStub(channel).Encode(request, metadata=metadata)
    spans = receiver.wait(lambda found: {s.name for s in found} >= SPANS, trace_id)
    assert {span.name for span in spans} == SPANS
    by_name = {span.name: span for span in spans}
    request = by_name["sie.inference.v1.InferenceService/Encode"]
    assert request.parent_id == "b7" * 8
    assert request.service == "sie-gateway"
    assert request.attributes["sie.model"] == DEFAULT_MODEL
    assert request.attributes["sie.tenant"] == "acme"
    assert request.attributes["sie.items"] == 2
    assert request.attributes["sie.tokens"] > 2
    for name in ("publish", "wait"):
        assert by_name[name].parent_id == request.span_id
    for name in ("queue", "process"):
        assert by_name[name].parent_id == by_name["publish"].span_id
        assert by_name[name].service == "sie-worker"
    for name in ("tokenise", "batch wait", "engine run", "reply"):
        assert by_name[name].parent_id == by_name["process"].span_id
    order = ["tokenise", "batch wait", "engine run", "reply"]
    starts = [by_name[name].start_s for name in order]
    assert starts == sorted(starts)
    for span in spans:
        # Clocks of runs and of spans differ by microseconds.
        assert request.start_s - 0.005 <= span.start_s <= span.end_s <= request.end_s + 0.1, span


def test_a_failure_is_a_failed_span(observed, receiver):
    trace_id = secrets.token_hex(16)
    path = "/v1/encode/no/such"
    body = {"items": [{"text": "x"}]}
    reply = ask(observed.http_address, "POST", path, body, _traced(trace_id))
    assert reply.status == 404
    (span,) = receiver.wait(len, trace_id)
    assert span.failed
    assert span.attributes["error.type"] == "MODEL_NOT_FOUND"


def test_what_the_caller_does_not_sample_is_not_exported(observed, receiver):
    quiet, loud = secrets.token_hex(16), secrets.token_hex(16)
    _encode(observed, _traced(quiet, sampled=False))
    _encode(observed, _traced(loud))
    assert receiver.wait(lambda found: len(found) >= len(SPANS), loud)
    assert not [span for span in receiver.spans if span.trace_id == quiet]


@pytest.mark.parametrize("given", ["", "x", "00-0-0-00", "ff" * 400, "00-" + "0" * 32 + "-1-01"])
def test_a_broken_trace_context_harms_nobody(observed, given):
    assert _encode(observed, {**ACME, "traceparent": given, "tracestate": ",=,"}).status == 200


def test_the_access_log_has_a_line_for_each_request_and_no_text(observed):
    request_id, trace_id = secrets.token_hex(8), secrets.token_hex(16)
    headers = {**_traced(trace_id), "x-sie-request-id": request_id}
    reply = _encode(observed, headers, [SECRET_TEXT])
    assert reply.status == 200
    (line,) = _access_lines(observed, request_id)
    assert line["level"] == "INFO"
    assert 0 < line["ms"] < 60_000
    expected = {
        "process": "gateway",
        "method": "POST",
        "path": ENCODE,
        "rpc": "encode",
        "status": 200,
        "tenant": "acme",
        "model": DEFAULT_MODEL,
        "items": 1,
        "trace_id": trace_id,
        "bytes_in": len(json.dumps({"items": [{"text": SECRET_TEXT}]})),
        "bytes_out": len(reply.body),
    }
    assert line.items() >= expected.items()
    assert line["tokens"] == reply.json()["items"][0]["input_tokens"]
    for log in observed.logs_dir.iterdir():
        text = log.read_text()
        assert SECRET_TEXT not in text, log
        assert "token-of-acme" not in text, log


def test_the_access_log_says_why_a_request_failed(observed):
    bad_path = "/v1/encode/x?secret=" + "s" * 5
    cases = [
        ("POST", ENCODE, b"{", ACME, 400, "INVALID_INPUT"),
        ("POST", bad_path, {"items": [{"text": "a"}]}, {}, 401, "UNAUTHENTICATED"),
        ("GET", "/nowhere", None, ACME, 404, "ROUTE_NOT_FOUND"),
    ]
    for method, path, body, headers, status, reason in cases:
        request_id = secrets.token_hex(8)
        reply = ask(
            observed.http_address, method, path, body, {**headers, "x-sie-request-id": request_id}
        )
        assert reply.status == status
        (line,) = _access_lines(observed, request_id)
        assert line["status"] == status
        assert line["reason"] == reason == reply.headers["x-sie-error-code"]
        assert "sssss" not in json.dumps(line)


def test_grpc_calls_are_in_the_access_log_too(observed):
    request_id = secrets.token_hex(8)
    request = EncodeRequest(model=DEFAULT_MODEL, items=[{"text": "one"}])
    with grpc.insecure_channel(observed.grpc_address) as channel:
        metadata = (*ACME.items(), ("x-sie-request-id", request_id))
        reply = InferenceServiceStub(channel).Encode(request, metadata=metadata)
    (line,) = _access_lines(observed, request_id)
    assert line["method"] == "GRPC"
    assert line["path"] == "/sie.inference.v1.InferenceService/Encode"
    assert line["bytes_in"] == request.ByteSize()
    assert line["bytes_out"] == reply.ByteSize()


def test_probes_are_not_in_the_access_log(observed):
    request_id = secrets.token_hex(8)
    ask(observed.http_address, "GET", "/readyz", headers={"x-sie-request-id": request_id})
    assert _access_lines(observed, request_id) == []


def test_tokens_and_time_of_the_device_are_put_down_to_the_tenant(observed):
    labels = {"model": DEFAULT_MODEL, "tenant": "acme"}
    gateway, worker = _metrics(observed.http_address), _worker_metrics(observed)
    reply = _encode(observed, ACME, ["a", "b c d e f g"]).json()
    tokens = sum(item["input_tokens"] for item in reply["items"])
    after_gateway, after_worker = _metrics(observed.http_address), _worker_metrics(observed)

    def gained(before, after, name):
        return _value(after, name, **labels) - _value(before, name, **labels)

    assert gained(gateway, after_gateway, "sie_gateway_input_tokens_total") == tokens
    assert gained(worker, after_worker, "sie_worker_input_tokens_total") == tokens
    assert 0 < gained(worker, after_worker, "sie_worker_device_seconds_total") < 10


def test_a_token_for_some_models_sees_no_others(observed):
    def seen(headers):
        address = observed.http_address
        models = ask(address, "GET", "/v1/models", headers=headers).json()
        index = ask(address, "POST", "/v2/repository/index", {}, headers).json()
        health = ask(address, "GET", "/health", headers=headers).json()
        loaded = [m for worker in health["workers"] for m in worker["loaded_models"]]
        return (
            [m["name"] for m in models["models"]],
            [m["id"] for m in models["data"]],
            [m["name"] for m in index],
            [m["name"] for m in health["models"]],
            loaded,
        )

    assert all(DEFAULT_MODEL in names for names in seen(ACME))
    assert seen(NARROW) == ([], [], [], [], [])
    for method, path in (
        ("GET", f"/v1/models/{DEFAULT_MODEL}"),
        ("GET", f"/v2/models/{DEFAULT_MODEL.replace('/', '%2F')}"),
    ):
        reply = ask(observed.http_address, method, path, headers=NARROW)
        assert reply.status == 403, (path, reply.body)
        assert ask(observed.http_address, method, path, headers=ACME).status == 200


def test_probes_of_the_open_inference_protocol_need_no_token(observed):
    with grpc.insecure_channel(observed.grpc_address) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(oip.ServerLiveRequest()).live
        assert stub.ServerReady(oip.ServerReadyRequest()).ready
        for call, request in (
            (stub.ServerMetadata, oip.ServerMetadataRequest()),
            (stub.ModelReady, oip.ModelReadyRequest(name=DEFAULT_MODEL)),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                call(request)
            assert caught.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_collector_that_is_away_delays_nothing(observed, tmp_path):
    gateway = observed.start_gateway(
        "gateway-2", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces"
    )
    gateway.wait_ready(20)
    address = f"127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"
    connection = http.client.HTTPConnection(address, timeout=20)
    body = json.dumps({"items": [{"text": "x"}]})
    for _ in range(5):
        connection.request("POST", ENCODE, body, ACME)
        assert connection.getresponse().read()
    connection.close()
    began = time.monotonic()
    gateway.terminate()
    assert gateway.wait(20) == 0
    assert time.monotonic() - began < 10

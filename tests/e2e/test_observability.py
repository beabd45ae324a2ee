"""What an operator sees of requests: traces, the access log, metrics; and what tenants see."""

import http.client
import json
import re
import secrets
import time
import urllib.request
from collections import Counter
from pathlib import Path

import grpc
import pytest

from cli.local_stack import DEFAULT_MODEL, LocalStack
from cli.ports import free_port
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from sie.oip import open_inference_pb2 as oip
from sie.oip.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.asking import ENCODE, ask
from tests.e2e.otlp_receiver import OtlpReceiver
from tests.waiting import until

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


def _access_lines(stack, request_id, wait_s=5.0):
    """The lines of a request, which are written after its reply."""
    deadline = time.monotonic() + wait_s
    while True:
        text = (stack.logs_dir / "gateway-1.log").read_text()
        lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        found = [
            each
            for each in lines
            if each["message"] == "request" and each["request_id"] == request_id
        ]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


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
    assert _access_lines(observed, request_id, wait_s=0.2) == []


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


def test_gateways_may_share_their_ports(observed):
    names = ("gateway-3", "gateway-4")
    http_port, grpc_port = free_port(), free_port()
    taken = {"SIE_HTTP_PORT": str(http_port), "SIE_GRPC_PORT": str(grpc_port)}
    for name in names:
        gateway = observed.start_gateway(name, SIE_SHARE_PORTS="true", **taken)
        gateway.wait_ready(60)
        # The other one may have answered the probe.
        log = observed.logs_dir / f"{name}.log"
        until(lambda log=log: '"message":"listening"' in log.read_text())
    answered = Counter()
    for number in range(60):
        headers = {**ACME, "x-sie-request-id": f"shared-{number}"}
        assert ask(f"127.0.0.1:{http_port}", "GET", "/v1/models", headers=headers).status == 200
        with grpc.insecure_channel(
            f"127.0.0.1:{grpc_port}", options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            assert GRPCInferenceServiceStub(channel).ServerLive(oip.ServerLiveRequest()).live
    for name in names:
        lines = (observed.logs_dir / f"{name}.log").read_text()
        answered[name, "http"] = lines.count('"rpc":"list_models"')
        answered[name, "grpc"] = lines.count('"rpc":"server_live"')
        observed.processes[name].terminate()
        assert observed.processes[name].wait(60) == 0
    assert len(answered) == 4
    assert all(answered.values()), answered


def test_a_collector_that_is_away_delays_nothing(observed, tmp_path):
    gateway = observed.start_gateway(
        "gateway-2", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:9/v1/traces"
    )
    gateway.wait_ready(60)
    address = f"127.0.0.1:{gateway.env['SIE_HTTP_PORT']}"
    connection = http.client.HTTPConnection(address, timeout=20)
    body = json.dumps({"items": [{"text": "x"}]})
    for _ in range(5):
        connection.request("POST", ENCODE, body, ACME)
        assert connection.getresponse().read()
    connection.close()
    began = time.monotonic()
    gateway.terminate()
    assert gateway.wait(60) == 0
    assert time.monotonic() - began < 30


DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"


def _families(text):
    helps = dict(re.findall(r"^# HELP (sie_\S+) (.*)$", text, re.MULTILINE))
    kinds = dict(re.findall(r"^# TYPE (sie_\S+) (\S+)$", text, re.MULTILINE))
    # When a series was made is told by a family of its own.
    return {
        (name, kinds[name], helps[name].replace("|", "\\|"))
        for name in helps
        if not name.endswith("_created")
    }


def test_the_table_of_metrics_is_what_the_services_show(observed):
    config = observed.processes["config"].env["SIE_CONFIG_HTTP_PORT"]
    shown = _families(_metrics(observed.http_address))
    shown |= _families(_worker_metrics(observed))
    shown |= _families(_metrics(f"127.0.0.1:{config}"))
    rows = re.findall(
        r"^\| `(\S+)` \| (\w+) \| ([^|]*) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE
    )
    assert {(name, kind, meaning) for name, kind, _, meaning in rows} == shown
    assert len(rows) == len({row[0] for row in rows}) > 50


def test_labels_are_those_of_the_table(observed):
    rows = re.findall(r"^\| `(\S+)` \| (\w+) \| ([^|]*) \|", DOCUMENT.read_text(), re.MULTILINE)
    documented = {name: set(re.findall(r"\w+", labels)) for name, _, labels in rows}
    text = _metrics(observed.http_address) + _worker_metrics(observed)
    for line in text.splitlines():
        found = re.match(r"(sie_\w+?)(_bucket|_sum|_count)?(?:\{(.*)\})? ", line)
        if found and not found[1].endswith("_created"):
            name = found[1] if found[1] in documented else found[1] + (found[2] or "")
            labels = set(re.findall(r'(\w+)="', found[3] or "")) - {"le"}
            assert labels == documented[name], line

"""One table of bad requests, each over HTTP and over gRPC (tests/cases/encode_errors.yaml)."""

import time
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from cli.local_stack import DEFAULT_MODEL
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from tests.e2e.conftest import ENCODE, ask

FILE = Path(__file__).parents[1] / "cases" / "encode_errors.yaml"
CASES = yaml.safe_load(FILE.read_text())
WITHIN_S = 5.0


def made(case) -> dict | None:
    """The request of a case as JSON values, if it has one."""
    if "make" not in case:
        return case.get("request")
    sizes = case["make"]
    item = {"text": "a" * sizes.get("text", 1), "id": "i" * sizes.get("id", 0)}
    return {"items": [item] * sizes["items"]}


def http_cases():
    return [case for case in CASES if "http" in case["expect"]]


def grpc_cases():
    return [case for case in CASES if "grpc" in case["expect"]]


def named(case):
    return case["name"].replace(" ", "-")


@pytest.mark.parametrize("case", http_cases(), ids=named)
def test_over_http(stack, case):
    path = f"/v1/encode/{case.get('model', DEFAULT_MODEL)}"
    body = made(case)
    if "http" in case:
        body = case["http"].encode()
    elif "http_hex" in case:
        body = bytes.fromhex(case["http_hex"])
    headers = {"x-request-timeout": str(case["timeout"])} if "timeout" in case else {}
    started = time.monotonic()
    reply = ask(stack.http_address, "POST", path, body, headers)
    assert time.monotonic() - started < WITHIN_S
    error = reply.json()["error"]
    expect = case["expect"]
    assert (reply.status, error["code"]) == (expect["http"], expect["reason"]), error
    assert reply.headers["x-sie-error-code"] == expect["reason"]
    if "field" in expect:
        assert error["metadata"]["field"] == expect["field"]
        assert expect["field"] in error["message"]


@pytest.mark.parametrize("case", grpc_cases(), ids=named)
def test_over_grpc(channel, case):
    if "grpc" in case:
        body = bytes.fromhex(case["grpc"])
    else:
        request = json_format.ParseDict(made(case), EncodeRequest())
        request.model = case.get("model", DEFAULT_MODEL)
        body = request.SerializeToString()
    call = channel.unary_unary("/sie.inference.v1.InferenceService/Encode")
    with pytest.raises(grpc.RpcError) as caught:
        call(body, timeout=case.get("timeout", WITHIN_S))
    expect = case["expect"]
    assert caught.value.code().name == expect["grpc"], caught.value.details()
    if expect["reason"] == "DEADLINE_EXCEEDED":
        return  # The client's own clock may end the call before the server's answer is there.
    details = {}
    for packed in rpc_status.from_call(caught.value).details:
        for message in (error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()):
            if packed.Unpack(message):
                details[type(message).__name__] = message
    assert details["ErrorInfo"].reason == expect["reason"]
    assert details["ErrorInfo"].domain == "sie"
    if "field" in expect:
        assert details["BadRequest"].field_violations[0].field == expect["field"]


def test_the_next_request_is_served(stack):
    reply = ask(stack.http_address, "POST", ENCODE, {"items": [{"text": "still here"}]})
    assert reply.status == 200

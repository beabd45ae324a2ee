"""A table of good requests: JSON, MessagePack and gRPC give the same answer (tests/cases)."""

import grpc
import msgpack
import numpy as np
import pytest
from google.protobuf import json_format

from gateway.transcoder.json_out import ResponseWriter
from sie.inference.v1 import inference_service_pb2 as messages
from tests.asking import ask
from tests.e2e import case_files
from tests.e2e.wire_client import arrays

CASES = case_files.read("answers.yaml")
MSGPACK = {"content-type": "application/x-msgpack", "accept": "application/x-msgpack"}


def over_http(stack, case, headers):
    body = case.get("http", case["request"])
    path = f"/v1/{case['rpc'].lower()}/{case['model']}"
    reply = ask(stack.http_address, "POST", path, msgpack.packb(body) if headers else body, headers)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == headers.get("accept", "application/json")
    if headers:
        return msgpack.unpackb(reply.body, object_pairs_hook=arrays, strict_map_key=False)
    return reply.json()


def over_grpc(stack, case):
    request_class = getattr(messages, f"{case['rpc']}Request")
    request = json_format.ParseDict({**case["request"], "model": case["model"]}, request_class())
    with grpc.insecure_channel(stack.grpc_address) as channel:
        call = channel.unary_unary(f"/sie.inference.v1.InferenceService/{case['rpc']}")
        body = call(request.SerializeToString(), timeout=60)
    return ResponseWriter(getattr(messages, f"{case['rpc']}Response")).render(body)


def plain(value):
    """The value without arrays, and without what differs from call to call."""
    if isinstance(value, dict):
        dropped = ("timing", "request_id")
        return {key: plain(item) for key, item in value.items() if key not in dropped}
    if isinstance(value, list | np.ndarray):
        return [plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def alike(one, other, path=""):
    assert type(one) is type(other) or {type(one), type(other)} == {int, float}, path
    if isinstance(one, dict):
        assert one.keys() == other.keys(), path
        for key in one:
            alike(one[key], other[key], f"{path}.{key}")
    elif isinstance(one, list):
        assert len(one) == len(other), path
        for index, both in enumerate(zip(one, other, strict=True)):
            alike(*both, f"{path}.{index}")
    elif isinstance(one, float):
        # Neighbours in a batch change the last digits.
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4), path
    else:
        assert one == other, path


def at(value, path):
    for key in path.split("."):
        value = value[int(key)] if isinstance(value, list) else value[key]
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].replace(" ", "-"))
def test_every_wire_gives_the_same_answer(golden_stack, case):
    as_json = plain(over_http(golden_stack, case, {}))
    for path, expected in case["has"].items():
        found = at(as_json, path)
        assert expected is None or found == pytest.approx(expected, abs=1e-3), path
    alike(as_json, plain(over_http(golden_stack, case, MSGPACK)))
    alike(as_json, plain(over_grpc(golden_stack, case)))

"""The gRPC face through a real server and channel."""

import asyncio
import contextlib

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.grpc_face import parse
from servicekit.errors import SieError, code_of, from_status
from sie.inference.v1 import inference_service_pb2, inference_service_pb2_grpc
from tests.unit.gateway.support import MAX_REQUEST_BYTES

ENCODE = "/sie.inference.v1.InferenceService/Encode"
EncodeRequest = inference_service_pb2.EncodeRequest


async def failure(call):
    """The typed error, its status code and its request id, which trailers tell as well."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    status = rpc_status.from_call(caught.value)
    trailers = dict(caught.value.trailing_metadata())
    assert trailers["x-sie-error-code"] == code_of(from_status(status).reason)
    assert trailers["x-sie-server-version"] == "1.2.3"
    info = error_details_pb2.RequestInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert trailers["x-sie-request-id"] == info.request_id
    return from_status(status), caught.value.code(), info.request_id


async def test_an_encode_call_is_answered(grpc_channel):
    stub = inference_service_pb2_grpc.InferenceServiceStub(grpc_channel)
    call = stub.Encode(
        EncodeRequest(model="m", items=[{"text": "Hello"}]), metadata=[("x-request-id", "abc")]
    )
    response = await call
    assert list(response.items[0].dense.values) == [5, pytest.approx(0.1)]
    trailing = dict(await call.trailing_metadata())
    assert (trailing["x-sie-request-id"], trailing["x-sie-worker"]) == ("abc", "worker-1")
    assert trailing["x-sie-server-version"] == "1.2.3"


MISTAKES = [
    (b"\x0a\x02\xff\xfe", "INVALID_INPUT", "body"),
    (b"\x0a", "INVALID_INPUT", "body"),
    (b"\xf8\x07\x01", "INVALID_INPUT", "body"),
    (b"\x12\x03\xf8\x07\x01", "INVALID_INPUT", "items[0]"),
    (b"\x12\x02\x12\x00\x12\x05\x2a\x03\xf8\x07\x01", "INVALID_INPUT", "items[1].metadata"),
    (b"\x12\x00" * (MAX_REQUEST_BYTES // 2 + 1), "PAYLOAD_TOO_LARGE", None),
]


@pytest.mark.parametrize(("body", "code", "field"), MISTAKES)
async def test_a_bad_request_has_one_typed_error(grpc_channel, body, code, field):
    error, _, request_id = await failure(grpc_channel.unary_unary(ENCODE)(body))
    assert (code_of(error.reason), error.metadata.get("field")) == (code, field)
    assert len(request_id) == 36


def test_an_unknown_field_is_named_by_its_number():
    with pytest.raises(SieError, match="number 127"):
        parse(EncodeRequest, b"\xf8\x07\x01", 99)


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("refused", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT"),
        ("broken", grpc.StatusCode.INTERNAL, "INTERNAL_ERROR"),
        ("cold", grpc.StatusCode.UNAVAILABLE, "PROVISIONING"),
    ],
)
async def test_what_a_handler_raises_is_a_status(grpc_channel, model, status, code):
    body = EncodeRequest(model=model).SerializeToString()
    error, given, _ = await failure(grpc_channel.unary_unary(ENCODE)(body))
    assert (given, code_of(error.reason)) == (status, code)
    assert "secret" not in error.message


async def test_a_missing_method_is_unimplemented(grpc_channel):
    method = "/sie.inference.v1.InferenceService/Extract"
    error, status, _ = await failure(grpc_channel.unary_unary(method)(b""))
    assert (status, code_of(error.reason)) == (grpc.StatusCode.UNIMPLEMENTED, "NOT_IMPLEMENTED")


async def test_a_deadline_of_a_millisecond_ends_the_call(grpc_channel, inference):
    body = EncodeRequest(model="slow").SerializeToString()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_channel.unary_unary(ENCODE)(body, timeout=0.001)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_request_timeout_in_metadata_is_typed(grpc_channel, inference):
    body = EncodeRequest(model="slow").SerializeToString()
    metadata = [("x-request-timeout", "0.05")]
    error, status, _ = await failure(
        grpc_channel.unary_unary(ENCODE)(body, metadata=metadata, timeout=5)
    )
    assert (status, code_of(error.reason)) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "DEADLINE_EXCEEDED",
    )
    assert inference.cancelled.is_set()


@pytest.mark.parametrize(
    "name", ["authorization", "idempotency-key", "x-request-timeout", "x-sie-pool"]
)
async def test_metadata_of_one_meaning_is_given_once(grpc_channel, inference, name):
    stub = inference_service_pb2_grpc.InferenceServiceStub(grpc_channel)
    twice = [(name, "1"), (name, "1")]
    error, code, _ = await failure(stub.Encode(EncodeRequest(model="m"), metadata=twice))
    assert (code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, name)
    stream = stub.EncodeStream(iter([]), metadata=twice)
    error, code, _ = await failure(stream.read())
    assert (code, error.metadata["field"]) == (grpc.StatusCode.INVALID_ARGUMENT, name)
    assert not inference.calls


async def test_a_client_that_cancels_stops_the_work(grpc_channel, inference):
    body = EncodeRequest(model="slow").SerializeToString()
    call = grpc_channel.unary_unary(ENCODE)(body)
    async with asyncio.timeout(30):
        await inference.called.wait()
        call.cancel()
        await inference.cancelled.wait()


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_make_parsing_fail_in_another_way(body):
    with contextlib.suppress(SieError):
        assert isinstance(parse(EncodeRequest, body, MAX_REQUEST_BYTES), EncodeRequest)

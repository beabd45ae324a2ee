"""EncodeStream over a real channel."""

import asyncio

import grpc
import pytest

from gateway.auth.guard import Guard
from gateway.auth.modes import tokens_of
from gateway.auth.principal import Principal
from servicekit.errors import code_of
from sie.inference.v1.inference_service_pb2 import (
    EncodeRequest,
    EncodeStreamRequest,
    StreamOrder,
)
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from sie.inference.v1.item_pb2 import Item


def request(key, model="m", text="x", order=StreamOrder.STREAM_ORDER_UNSPECIFIED):
    inner = EncodeRequest(model=model, items=[Item(text=text)])
    return EncodeStreamRequest(key=str(key), request=inner, order=order)


async def answers(channel, requests, **options):
    call = InferenceServiceStub(channel).EncodeStream(iter(requests), **options)
    return [reply async for reply in call]


async def test_replies_stand_in_the_order_of_the_requests(grpc_channel):
    count = 5 * Principal().in_hand
    replies = await answers(grpc_channel, [request(i, text="x" * (i + 1)) for i in range(count)])
    assert [reply.key for reply in replies] == [str(i) for i in range(count)]
    assert [reply.response.items[0].dense.values[0] for reply in replies] == [
        i + 1.0 for i in range(count)
    ]


async def test_a_request_that_fails_is_answered_with_its_error(grpc_channel):
    replies = await answers(
        grpc_channel, [request("a"), request("b", "refused"), request("c", "broken"), request("d")]
    )
    ends = [reply.WhichOneof("outcome") for reply in replies]
    assert ends == ["response", "error", "error", "response"]
    assert replies[1].error.metadata["field"] == "items[0].text"
    assert code_of(replies[2].error.reason) == "INTERNAL_ERROR"
    assert "secret" not in replies[2].error.message


async def test_as_ready_a_slow_request_holds_up_nobody(grpc_channel):
    ready = StreamOrder.STREAM_ORDER_READY
    call = InferenceServiceStub(grpc_channel).EncodeStream()
    await call.write(request("slow", "slow", order=ready))
    await call.write(request("quick"))
    assert (await call.read()).key == "quick"
    call.cancel()


async def test_every_request_has_an_id_of_its_own(grpc_channel, inference):
    metadata = [("x-sie-request-id", "stream-7")]
    await answers(grpc_channel, [request(1), request(2)], metadata=metadata)
    assert [call.request_id for call in inference.calls] == ["stream-7.1", "stream-7.2"]


async def test_a_caller_who_leaves_takes_his_requests_along(grpc_channel, inference):
    call = InferenceServiceStub(grpc_channel).EncodeStream()
    await call.write(request("a", "slow"))
    await asyncio.wait_for(inference.called.wait(), 30)
    call.cancel()
    await asyncio.wait_for(inference.cancelled.wait(), 30)


async def test_a_caller_who_does_not_read_is_not_read_from(grpc_channel, inference):
    big = "x" * 30_000
    call = InferenceServiceStub(grpc_channel).EncodeStream()
    writer = asyncio.create_task(
        _write(call, [request(big + str(i), text=big) for i in range(1000)])
    )
    await asyncio.wait_for(inference.at_rest(), 60)
    assert len(inference.calls) < 500
    count = 0
    while await call.read() is not grpc.aio.EOF:
        count += 1
    await writer
    assert count == 1000


async def _write(call, requests):
    for each in requests:
        await call.write(each)
    await call.done_writing()


async def test_a_message_that_cannot_be_read_ends_the_call_after_the_others(grpc_channel):
    call = grpc_channel.stream_stream("/sie.inference.v1.InferenceService/EncodeStream")
    stream = call(iter([request("a").SerializeToString(), b"\xff\xff"]))
    assert b"a" in await stream.read()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stream.read()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert dict(caught.value.trailing_metadata())["x-sie-error-code"] == "INVALID_INPUT"


async def test_an_order_that_does_not_exist_ends_the_call(grpc_channel):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answers(grpc_channel, [request("a", order=9)])
    assert "order: unknown value 9" in caught.value.details()


class TestAuth:
    @pytest.fixture
    def guard(self):
        return Guard(tokens_of("static", ["token"], "", None))

    async def test_a_stream_asks_for_the_token_once(self, grpc_channel):
        # Where a message is on its way when the call ends, grpcio tells of that instead.
        async def silent():
            await asyncio.Event().wait()
            yield b""

        call = grpc_channel.stream_stream("/sie.inference.v1.InferenceService/EncodeStream")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(silent()).read()
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        metadata = [("authorization", "Bearer token")]
        assert len(await answers(grpc_channel, [request("a")], metadata=metadata)) == 1

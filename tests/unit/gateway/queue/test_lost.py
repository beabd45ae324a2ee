"""What the broker may have lost is sent again, against a real broker."""

import asyncio
import time

import pytest

from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import PackedWorkResult
from servicekit import subjects
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeResponse
from tests.unit.gateway.queue.played import answer, chunk, ids, pull, run


async def test_a_queue_that_appears_late_still_gets_the_work(client, dispatcher):
    js = client.jetstream()
    await js.delete_stream(subjects.work_stream("default"))
    task = run(dispatcher, chunk(0, "a"))
    await asyncio.sleep(0.3)
    await js.add_stream(
        name=subjects.work_stream("default"), subjects=[subjects.work_wildcard("default")]
    )
    (item,) = await pull(client, 1)
    await answer(client, item)
    assert ids(await task) == ["a"]


async def test_work_is_published_again_when_the_broker_may_have_lost_it(client, dispatcher):
    task = run(dispatcher, chunk(0, "a"), chunk(1, "b"))
    first, second = await pull(client, 2)
    await answer(client, first)
    await client.flush()
    await asyncio.sleep(0.05)
    await dispatcher.republish()
    (again,) = await pull(client, 1)
    assert again.first_item == second.first_item
    await answer(client, again)
    assert ids(await task) == ["a", "b"]


async def test_work_that_lost_a_piece_of_its_result_is_published_again(
    client, dispatcher, monkeypatch
):
    monkeypatch.setattr("gateway.queue.dispatch._PIECES_WITHIN_S", 0.1)
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    part = {"reply_id": "r", "number": 0, "count": 2, "data": b"lost"}
    piece = PackedWorkResult(request_id="request-1", item_count=1, part=part)
    await client.publish(item.reply_subject, piece.SerializeToString())
    (again,) = await pull(client, 1)
    await answer(client, again)
    assert ids(await task) == ["a"]


async def test_work_whose_result_is_large_and_slow_is_not_published_again(
    client, dispatcher, monkeypatch
):
    monkeypatch.setattr("gateway.queue.dispatch._PIECES_WITHIN_S", 0.5)
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    response = EncodeResponse(items=[{"id": "a"}])
    data = PackedWorkResult(
        request_id="request-1", item_count=1, encode=response.SerializeToString()
    ).SerializeToString()
    longest, sent_at = 0.0, time.monotonic()
    for number in range(len(data)):
        part = {"reply_id": "r", "number": number, "count": len(data)}
        part["data"] = data[number : number + 1]
        piece = PackedWorkResult(request_id="request-1", item_count=1, part=part)
        await client.publish(item.reply_subject, piece.SerializeToString())
        await asyncio.sleep(0.15)
        longest, sent_at = max(longest, time.monotonic() - sent_at), time.monotonic()
    assert ids(await task) == ["a"]
    if longest > 0.4:
        pytest.skip("the machine was busy for as long as a lost piece is waited for")
    stream = await client.jetstream().stream_info(subjects.work_stream("default"))
    assert stream.state.last_seq == 1


class Losing:
    """A connection to a broker that loses some of the work, counted from 1."""

    def __init__(self, client, *lost):
        self._client = client
        self._lost = lost
        self.published = []

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def publish(self, subject, data, **more):
        if "headers" in more:
            self.published.append(more["headers"]["Nats-Msg-Id"])
            if len(self.published) in self._lost:
                return
        await self._client.publish(subject, data, **more)


async def test_work_that_the_broker_never_acknowledged_is_sent_again_and_no_other(client):
    losing = Losing(client, 2)
    dispatcher = Dispatcher(losing, "gl", ack_within_s=0.2)
    await dispatcher.start()
    task = run(dispatcher, chunk(0, "a"), chunk(1, "b"))
    for item in await pull(client, 2):
        await answer(client, item)
    assert ids(await task) == ["a", "b"]
    first, *seconds = losing.published
    # A copy that both came through is one: the broker knows it by its id.
    assert len(seconds) > 1
    assert len(set(seconds)) == 1
    assert first not in seconds


async def test_a_broker_that_stores_nothing_is_told_of_before_the_deadline(client):
    dispatcher = Dispatcher(Losing(client, *range(100)), "gn", ack_within_s=0.05)
    await dispatcher.start()
    with pytest.raises(SieError) as caught:
        await run(dispatcher, chunk(0, "a"), timeout=60.0)
    assert caught.value.reason == ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE

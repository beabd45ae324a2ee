"""Work that is given up, on a real broker."""

import asyncio
from contextlib import asynccontextmanager

import nats
import pytest
from nats.js import api

from config_service.dead_letters import DeadLetters
from config_service.metrics import Metrics
from config_service.streams import StreamLimits, Streams
from servicekit import broker
from servicekit.errors import code_of
from servicekit.subjects import DEAD_LETTERS_STREAM, Lane, work_stream, work_subject
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from tests.waiting import eventually

LANE = Lane("default", "cpu", "default")


@asynccontextmanager
async def dead_letters(client, metrics):
    task = asyncio.create_task(DeadLetters(client, metrics.dead_letters).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def exhaust(js, data):
    """Publishes work and lets its two deliveries fail."""
    subject, stream = work_subject(LANE, "org/model"), work_stream("default")
    config = api.ConsumerConfig(
        durable_name="lane", max_deliver=2, ack_wait=0.2, filter_subject=subject
    )
    await js.add_consumer(stream, config)
    await js.publish(subject, data)
    consumer = await js.pull_subscribe_bind(consumer="lane", stream=stream)
    for _ in range(2):
        [message] = await consumer.fetch(1, timeout=30)
        await message.nak()
    # The broker notices on the next request.
    with pytest.raises(nats.errors.TimeoutError):
        await consumer.fetch(1, timeout=0.5)
    await consumer.unsubscribe()


@pytest.mark.parametrize("listening_first", [True, False])
async def test_exhausted_work_becomes_a_dead_letter_and_its_caller_is_told(
    nats_server, listening_first
):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    replies = await client.subscribe("sie.reply.g1.t")
    item = WorkItem(request_id="r1", first_item=4, item_count=2, reply_subject="sie.reply.g1.t")
    data = item.SerializeToString()
    if listening_first:
        async with dead_letters(client, metrics):
            await exhaust(js, data)
            reply = await replies.next_msg(timeout=30)
    else:
        # The config service was away when the broker spoke.
        await exhaust(js, data)
        async with dead_letters(client, metrics):
            reply = await replies.next_msg(timeout=30)
            await asyncio.sleep(0.2)
    result = WorkResult.FromString(reply.data)
    assert (result.request_id, result.first_item, result.item_count) == ("r1", 4, 2)
    assert code_of(result.error.reason) == "DELIVERY_EXHAUSTED"
    assert result.error.metadata["attempts"] == "2"
    letter = await js.get_msg(DEAD_LETTERS_STREAM, 1)
    assert letter.data == data
    assert letter.subject == "sie.dead.default.cpu.default.org_2fmodel.interactive"
    assert letter.headers["Sie-Reason"] == "DELIVERY_EXHAUSTED"
    assert letter.headers["Sie-Deliveries"] == "2"
    assert letter.headers["Sie-Stream"] == "SIE_WORK_default"
    assert letter.headers["Sie-Consumer"] == "lane"
    assert (await js.stream_info(work_stream("default"))).state.messages == 0
    assert metrics.dead_letters.labels(pool="default")._value.get() == 1
    await client.close()


async def test_an_advisory_that_cannot_be_read_holds_up_nobody(nats_server):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    for data in (b"nonsense", b"{}", b"[]"):
        advisory = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.SIE_WORK_default.lane"
        await client.publish(advisory, data)
    await exhaust(js, b"")
    async with dead_letters(client, metrics):
        await eventually(lambda: metrics.dead_letters.labels(pool="default")._value.get() == 1)
    await client.close()


async def test_dead_letters_survive_a_broker_that_lost_its_memory(nats_server):
    client, metrics = await broker.connect(nats_server.url, "test"), Metrics()
    js = client.jetstream()
    await Streams(client, StreamLimits()).ensure()
    async with dead_letters(client, metrics):
        await asyncio.sleep(0.2)
        await asyncio.to_thread(nats_server.restart)
        await eventually(lambda: client.is_connected)
        await Streams(client, StreamLimits()).ensure()
        await exhaust(js, b"\xff no work item")
        await eventually(lambda: metrics.dead_letters.labels(pool="default")._value.get() == 1)
    assert (await js.get_msg(DEAD_LETTERS_STREAM, 1)).data == b"\xff no work item"
    await client.close()

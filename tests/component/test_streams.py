"""The streams of the system on a real broker."""

import asyncio

import nats
import pytest
from nats.js import api

from config_service.streams import StreamLimits, Streams
from servicekit import broker
from servicekit.subjects import DEAD_LETTERS_STREAM, Lane, work_stream, work_subject
from tests.waiting import eventually

LANE = Lane("default", "cpu", "default")


async def test_streams_are_made_once_updated_and_made_again_after_a_loss(nats_server):
    client = await broker.connect(nats_server.url, "test")
    js = client.jetstream()
    await Streams(client, StreamLimits(max_messages=10)).ensure()
    await Streams(client, StreamLimits(max_messages=20)).ensure()
    config = (await js.stream_info(work_stream("default"))).config
    assert config.max_msgs == 20
    assert config.retention == api.RetentionPolicy.WORK_QUEUE
    assert config.discard == api.DiscardPolicy.NEW
    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: client.is_connected)
    await Streams(client, StreamLimits(max_messages=20)).ensure()
    assert (await js.stream_info(DEAD_LETTERS_STREAM)).config.max_msgs == 20
    await client.close()


async def test_a_full_work_queue_refuses_new_work(nats_server):
    client = await broker.connect(nats_server.url, "test")
    await Streams(client, StreamLimits(max_messages=1)).ensure()
    js = client.jetstream()
    await js.publish(work_subject(LANE, "m"), b"")
    with pytest.raises(nats.js.errors.APIError, match="maximum messages exceeded"):
        await js.publish(work_subject(LANE, "m"), b"")
    await client.close()

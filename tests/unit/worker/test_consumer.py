"""Pulling work, against a real broker that forgets."""

import asyncio

import nats
import pytest

from servicekit import subjects
from servicekit.broker import connect
from servicekit.subjects import Lane, Queue
from tests import broker
from tests.waiting import PATIENCE_S
from worker.queue.consumer import PullConsumer

LANE, MODEL = Lane("default", "cpu", "default"), "m"
HEARTBEAT_S = 0.2


class Forgetful:
    """A connection whose next pull the broker never hears of."""

    def __init__(self, client):
        self._client = client
        self.pulls = 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def publish(self, subject, data, reply=""):
        if ".MSG.NEXT." in subject:
            self.pulls += 1
            if self.pulls == 1:
                return
        await self._client.publish(subject, data, reply=reply)


@pytest.fixture
async def client(tmp_path):
    with broker.running(tmp_path) as url:
        client = await nats.connect(url)
        stream, wildcard = subjects.work_stream("default"), subjects.work_wildcard("default")
        await client.jetstream().add_stream(name=stream, subjects=[wildcard], retention="workqueue")
        yield client
        await client.close()


async def consumer_of(client, came, seen=None):
    """One that has its messages put into `came`, each held until `seen`, where that is given."""

    async def on_message(message):
        came.put_nowait(message.data)
        if seen is not None:
            await seen.wait()

    consumer = PullConsumer(
        client, LANE, MODEL, Queue.INTERACTIVE, on_message, lambda: 1, HEARTBEAT_S
    )
    await consumer.start()
    return consumer


async def ticking(consumer, beats):
    for _ in range(beats):
        await asyncio.sleep(HEARTBEAT_S)
        await consumer.top_up()


async def test_a_pull_that_the_broker_lost_is_made_again(client):
    came = asyncio.Queue()
    forgetful = Forgetful(client)
    consumer = await consumer_of(forgetful, came)
    await client.jetstream().publish(subjects.work_subject(LANE, MODEL), b"work")
    await ticking(consumer, 6)
    assert await asyncio.wait_for(came.get(), 30) == b"work"


async def test_a_pull_that_delivers_nothing_is_not_made_again_while_it_is_open(client):
    forgetful = Forgetful(client)
    forgetful.pulls = 1
    consumer = await consumer_of(forgetful, asyncio.Queue())
    made = forgetful.pulls
    await ticking(consumer, 12)
    assert forgetful.pulls == made


async def test_one_that_drains_hands_over_what_has_come_and_asks_for_no_more(client):
    counting = Forgetful(client)
    counting.pulls = 1
    came, seen = asyncio.Queue(), asyncio.Event()
    consumer = await consumer_of(counting, came, seen)
    await client.jetstream().publish(subjects.work_subject(LANE, MODEL), b"work")
    assert await asyncio.wait_for(came.get(), 30) == b"work"
    made = counting.pulls
    draining = asyncio.create_task(consumer.drain())
    await client.flush()
    await ticking(consumer, 1)
    seen.set()
    await asyncio.wait_for(draining, 30)
    assert counting.pulls == made


async def test_one_that_has_drained_does_not_come_back(client):
    consumer = await consumer_of(client, asyncio.Queue())
    await consumer.drain()
    stream, name = subjects.work_stream("default"), subjects.work_consumer(LANE, MODEL)
    await client.jetstream().delete_consumer(stream, name)
    consumer.redeclare()
    await asyncio.sleep(HEARTBEAT_S)
    with pytest.raises(nats.js.errors.NotFoundError):
        await client.jetstream().consumer_info(stream, name)


async def test_one_drains_at_once_while_the_broker_is_away(tmp_path):
    with broker.running(tmp_path) as url:
        client = await connect(url, "test")
        stream, wildcard = subjects.work_stream("default"), subjects.work_wildcard("default")
        await client.jetstream().add_stream(name=stream, subjects=[wildcard])
        consumer = await consumer_of(client, asyncio.Queue())
    while client.is_connected:
        await asyncio.sleep(0.01)
    await asyncio.wait_for(consumer.drain(), PATIENCE_S)
    await client.close()

"""Deadlines hold by the broker's clock, however wrong a worker's is. Against a real broker."""

import time
from types import SimpleNamespace

import nats
import pytest

from servicekit.subjects import work_stream
from sie.work.v1.work_item_pb2 import WorkItem
from tests import broker
from worker.queue.broker_clock import BrokerClock
from worker.queue.delivery import Delivery

HOUR_S = 3600.0


@pytest.fixture
async def client(tmp_path):
    with broker.running(tmp_path) as url:
        client = await nats.connect(url)
        yield client
        await client.close()


async def stored(client):
    """The broker's stamp of a message that it has just stored."""
    js = client.jetstream()
    await js.add_stream(name=work_stream("default"), subjects=["work"])
    subscription = await js.subscribe("work")
    await js.publish("work", b"")
    return (await subscription.next_msg()).metadata.timestamp


@pytest.mark.parametrize("shift_s", [HOUR_S, -HOUR_S])
async def test_a_wrong_clock_does_not_make_work_older_or_younger(client, monkeypatch, shift_s):
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + shift_s)
    clock = BrokerClock(client)
    stamp = await stored(client)
    assert clock.age_s(stamp) == pytest.approx(max(0.0, shift_s), abs=5)
    await clock.ask()
    assert clock.age_s(stamp) < 5


async def test_time_that_passes_here_makes_work_older(client):
    now = 100.0
    clock = BrokerClock(client, lambda: now)
    stamp = await stored(client)
    await clock.ask()
    now += 50
    assert clock.age_s(stamp) == pytest.approx(50, abs=5)


async def test_a_broker_that_does_not_know_its_time_leaves_the_clock_as_it_is(client):
    clock = BrokerClock(client)
    await clock.ask()
    assert clock.age_s(await stored(client)) < 5


def delivery(age_s, published_at):
    """Work that had ten seconds when it was published, by a clock that shows anything."""
    item = WorkItem(
        deadline_unix_ms=int((published_at + 10) * 1e3), published_unix_us=int(published_at * 1e6)
    )
    return Delivery(None, SimpleNamespace(reply=""), item, "w", age_s)


@pytest.mark.parametrize("published_at", [0.0, 1e9, 4e9])
def test_a_deadline_is_a_length_of_time_from_the_publication(published_at):
    assert not delivery(8.0, published_at).expired
    assert delivery(11.0, published_at).expired


def test_work_that_is_published_anew_has_the_time_that_was_left():
    again = delivery(8.0, 1e9)
    again.restamp()
    left_s = again.item.deadline_unix_ms / 1e3 - again.item.published_unix_us / 1e6
    assert left_s == pytest.approx(2, abs=0.5)

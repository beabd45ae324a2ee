"""A broker with a work queue, and a dispatcher on it."""

import pytest

from gateway.queue.dispatch import Dispatcher
from servicekit import subjects
from servicekit.broker import connect
from tests import broker


# A broker for each test: streams that are deleted take their messages with them a while later.
@pytest.fixture
def nats_url(tmp_path):
    with broker.running(tmp_path) as url:
        yield url


@pytest.fixture
async def client(nats_url):
    client = await connect(nats_url, "test")
    js = client.jetstream()
    await js.add_stream(
        name=subjects.work_stream("default"),
        subjects=[subjects.work_wildcard("default")],
        retention="workqueue",
        discard="new",
        max_msgs=100,
    )
    yield client
    await client.close()


@pytest.fixture
async def dispatcher(client):
    # Of its own, as every gateway has: an answer of the last test may still be under way.
    dispatcher = Dispatcher(client, f"gw{client.client_id}")
    await dispatcher.start()
    return dispatcher

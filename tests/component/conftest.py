"""Brokers, and writers of the registry on them."""

import pytest

from servicekit import broker
from tests.broker import Broker
from tests.component.config_writer import Writer


@pytest.fixture
def nats_server(tmp_path):
    """A broker that tests may stop and start, in a thread beside their event loop."""
    server = Broker(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def new_writer(nats_server):
    clients = []

    async def make(storage="memory"):
        clients.append(await broker.connect(nats_server.url, "test"))
        writer = Writer(clients[-1], storage)
        await writer.writer.catch_up()
        return writer

    yield make
    for client in clients:
        await client.close()

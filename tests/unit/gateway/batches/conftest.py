"""A real broker for batches and files, and a gateway that runs them."""

import nats
import pytest

from config_service.streams import StreamLimits, Streams
from tests.unit.gateway.batches.running import Gateway
from tests.unit.gateway.support import EchoInference


@pytest.fixture
async def client(nats_url):
    client = await nats.connect(nats_url)
    await Streams(client, StreamLimits()).ensure()
    yield client
    for stream in ("KV_SIE_BATCHES", "OBJ_SIE_FILES"):
        await client.jetstream().purge_stream(stream)
    await client.close()


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/place/{{tenant}}/"


@pytest.fixture
async def gateway(client, place):
    async with Gateway(client, "gw", [place], EchoInference()) as gateway:
        yield gateway

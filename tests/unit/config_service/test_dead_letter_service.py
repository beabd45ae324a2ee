"""Replays of letters whose work nobody can take, at a real broker."""

from types import SimpleNamespace

import nats
import pytest

from config_service.dead_letter_service import DeadLetterService
from config_service.streams import StreamLimits, Streams
from servicekit.errors import SieError, code_of
from servicekit.subjects import DEAD_LETTERS_STREAM, DEAD_PREFIX, model_token, work_stream
from sie.operations.v1.dead_letter_pb2 import ReplayState
from sie.operations.v1.dead_letter_service_pb2 import ReplayDeadLetterRequest
from sie.work.v1.work_item_pb2 import WorkItem
from tests import broker

MODEL = "org/model"


@pytest.fixture
async def client(tmp_path):
    with broker.running(tmp_path) as url:
        client = await nats.connect(url, allow_reconnect=False)
        await Streams(client, StreamLimits()).ensure()
        yield client
        await client.close()


async def replay(client, pool="default", seconds=1.3):
    """Replays a letter of a pool's work."""
    item = WorkItem(model_id=MODEL, item_count=1)
    subject = f"{DEAD_PREFIX}.{pool}.cpu.default.{model_token(MODEL)}.x"
    stored = await client.jetstream().publish(subject, item.SerializeToString())
    assert stored.stream == DEAD_LETTERS_STREAM
    context = SimpleNamespace(time_remaining=lambda: seconds)
    request = ReplayDeadLetterRequest(letter_id=str(stored.seq))
    return await DeadLetterService(client).ReplayDeadLetter(request, context)


async def refused(client, **how):
    with pytest.raises(SieError) as caught:
        await replay(client, **how)
    return code_of(caught.value.reason), caught.value.metadata.get("pool")


async def test_work_that_nobody_takes_up_in_time_keeps_its_letter(client):
    response = await replay(client)
    assert response.outcome.state == ReplayState.REPLAY_STATE_TIMED_OUT


async def test_a_pool_that_is_gone_is_told_of(client):
    assert await refused(client, pool="gone") == ("POOL_NOT_FOUND", "gone")


@pytest.mark.parametrize("bound", ["max_msgs", "max_bytes"])
async def test_a_queue_that_is_full_is_told_of(client, bound):
    js = client.jetstream()
    config = (await js.stream_info(work_stream("default"))).config
    setattr(config, bound, 1)
    await js.update_stream(config)
    if bound == "max_msgs":
        await replay(client)
    assert await refused(client) == ("QUEUE_FULL", "default")


async def test_a_connection_that_is_lost_in_the_middle_is_told_of(client):
    service = DeadLetterService(client)
    item = WorkItem(model_id=MODEL, item_count=1).SerializeToString()
    await client.close()
    with pytest.raises(SieError, match="QUEUE_UNAVAILABLE"):
        await service._replay(SimpleNamespace(data=item, subject=f"{DEAD_PREFIX}.a.b.c"), 1)

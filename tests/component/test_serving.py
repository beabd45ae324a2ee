"""A served model with a real checkpoint and a real broker, and failures of what is around it."""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from nats.errors import OutboundBufferLimitError

from config_service.streams import StreamLimits, Streams
from servicekit import broker, subjects
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult
from tests.broker import running
from tests.unit.worker.goldens import GOLDEN
from tests.waiting import eventually
from worker.batching.device import Device
from worker.engine import OutOfMemoryError
from worker.hosting.loading import load
from worker.queue.broker_clock import BrokerClock
from worker.queue.cancellations import Cancellations
from worker.queue.intake import Intake
from worker.serving.served_model import ServedModel

LANE = Lane("default", "cpu", "default")
MODEL = Model(model_id="golden/bert_mean")
REPLIES = f"{subjects.reply_prefix('test')}.result"


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def loaded(cache):
    return load(GOLDEN / "bert_mean", cache)


@pytest.fixture
async def client(tmp_path):
    with running(tmp_path) as url:
        client = await broker.connect(url, "test")
        await Streams(client, StreamLimits()).ensure()
        yield client
        await client.close()


class SlowStore:
    """Payloads that come when they are let go."""

    def __init__(self):
        self.released = asyncio.Event()

    async def get(self, _key):
        await self.released.wait()
        return request("large").SerializeToString()


class Failing:
    """A connection on which nothing can be published to some subjects."""

    def __init__(self, client):
        self._client = client
        self.refused = ()
        self.refusals = 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def publish(self, subject, *arguments, **more):
        if self.refused and subject.startswith(self.refused):
            self.refusals += 1
            raise OutboundBufferLimitError
        await self._client.publish(subject, *arguments, **more)


class BrokenEngine:
    """An engine that has lost its device."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def run(self, *_):
        raise RuntimeError("an illegal memory access was encountered")


class ShortEngine:
    """An engine whose answers lack rows."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def run(self, *arguments):
        return {output: rows[:0] for output, rows in self._engine.run(*arguments).items()}


class FullEngine(BrokenEngine):
    """An engine without memory for anything."""

    def run(self, *_):
        raise OutOfMemoryError("no memory")


@asynccontextmanager
async def serving(client, loaded, payloads=None):
    intake = Intake(Cancellations(), payloads, BrokerClock(client))
    share = Device(loaded.engine.streams).join()
    served = ServedModel(client, LANE, "w", MODEL, loaded, share, lambda: None, intake)
    await served.start()
    try:
        yield served
    finally:
        async with asyncio.timeout(30):
            await served.close()


def request(text):
    return WorkItem(encode=EncodeRequest(model=MODEL.model_id, items=[{"id": text, "text": text}]))


class Caller:
    """Sends work items, and has their results by what they were called."""

    def __init__(self, client):
        self._client = client
        self._numbers = itertools.count()
        self.results = {}

    async def listen(self):
        def on_result(subject, data):
            self.results[subject.rpartition(".")[2]] = WorkResult.FromString(data)

        await self._client.listen(f"{REPLIES}.*", on_result)

    async def send(self, name, item):
        item.MergeFrom(
            WorkItem(
                item_count=1,
                model_id=MODEL.model_id,
                reply_subject=f"{REPLIES}.{name}",
                deadline_unix_ms=int((time.time() + 60) * 1000),
                published_unix_us=int(time.time() * 1e6),
            )
        )
        subject = subjects.work_subject(LANE, MODEL.model_id)
        await self._client.publish(subject, item.SerializeToString())


@pytest.fixture
async def caller(client):
    caller = Caller(client)
    await caller.listen()
    return caller


async def test_a_payload_that_comes_late_holds_up_nobody(client, loaded, caller):
    store = SlowStore()
    async with serving(client, loaded, store):
        large = WorkItem()
        large.payload.key, large.payload.size_bytes = "key", 100
        for number in range(3):
            await caller.send(f"large-{number}", WorkItem.FromString(large.SerializeToString()))
        await caller.send("small", request("small"))
        await eventually(lambda: "small" in caller.results)
        assert len(caller.results) == 1
        store.released.set()
        await eventually(lambda: len(caller.results) == 4)
    assert all(result.WhichOneof("outcome") == "encode" for result in caller.results.values())


async def test_what_could_not_be_answered_is_left_to_be_delivered_again(client, loaded, caller):
    failing = Failing(client)
    failing.refused = (REPLIES,)
    async with serving(failing, loaded) as served:
        await caller.send("a", request("a"))
        await eventually(lambda: failing.refusals and not served.in_use)
        await served.tick()
        assert not caller.results
        failing.refused = ()
        # The second delivery goes by way of the suspects.
        await eventually(lambda: "a" in caller.results)
    assert caller.results["a"].WhichOneof("outcome") == "encode"


async def test_a_tick_outlives_a_broker_that_takes_nothing(client, loaded, caller):
    failing, store = Failing(client), SlowStore()
    async with serving(failing, loaded, store) as served:
        item = WorkItem()
        item.payload.key, item.payload.size_bytes = "key", 100
        await caller.send("a", item)
        await eventually(lambda: served.in_use)
        failing.refused = ("$JS",)
        await served.tick()
        failing.refused = ()
        store.released.set()
        await eventually(lambda: "a" in caller.results)


async def test_a_broken_engine_asks_for_no_more_work(client, loaded, caller):
    broken = replace(loaded, engine=BrokenEngine(loaded.engine))
    async with serving(client, broken) as served:
        for number in range(3):
            await caller.send(f"{number}", request("a"))
        await eventually(lambda: served.broken)
        await eventually(lambda: len(caller.results) == 3)
        # What was asked for before may come yet; then it is for others.
        for number in range(3, 300):
            await caller.send(f"{number}", request("a"))
        await client.flush()
        await asyncio.sleep(0.5)
        assert len(caller.results) < 200
    assert {result.WhichOneof("outcome") for result in caller.results.values()} == {"error"}


async def test_answers_that_cannot_be_made_end_in_an_error(client, loaded, caller):
    async with serving(client, replace(loaded, engine=ShortEngine(loaded.engine))):
        for number in range(3):
            await caller.send(f"{number}", request("a"))
        await eventually(lambda: len(caller.results) == 3)
    reasons = {result.error.reason for result in caller.results.values()}
    assert reasons == {ErrorReason.ERROR_REASON_INFERENCE_ERROR}


async def test_an_input_that_does_not_fit_into_memory_alone_says_when_to_come_back(
    client, loaded, caller
):
    async with serving(client, replace(loaded, engine=FullEngine(loaded.engine))) as served:
        await caller.send("a", request("a"))
        await eventually(lambda: "a" in caller.results)
        assert not served.broken
    error = caller.results["a"].error
    assert error.reason == ErrorReason.ERROR_REASON_RESOURCE_EXHAUSTED
    assert error.retry_after.seconds > 0

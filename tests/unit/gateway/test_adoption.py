"""Offers of models, over a real broker, to workers that the tests play."""

import asyncio
import time

import pytest

from gateway.adoption import Adoption
from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import Chunk, Work
from servicekit import subjects
from servicekit.broker import connect
from servicekit.errors import SieError, proto_of
from servicekit.subjects import Lane
from servicekit.workers import WorkerDirectory
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.adoption_pb2 import AdoptionOffer
from sie.worker.v1.worker_status_pb2 import WorkerStatus

LANE = Lane("default", "cpu", "default")
MODEL = "org/model"
NO = proto_of(SieError(ErrorReason.ERROR_REASON_MODEL_LOAD_FAILED, "no"))


class Waiting:
    """A lane in which a request waits for the model."""

    def __init__(self, client, workers, dispatcher, request):
        self.workers = workers
        self.adoption = Adoption(workers, client, lambda: 7)
        self.dispatcher = dispatcher
        self.request = request
        self.offers = []

    async def follow(self, *statuses):
        """Each worker beats once; returns the subjects on which the model was offered."""
        self.offers.clear()
        for status in statuses:
            self.workers.update(status)
        for status in statuses:
            self.adoption.follow(self.dispatcher, status)
        async with asyncio.timeout(30):
            while not self.offers and not self.request.done() and not self.is_hosted():
                await asyncio.sleep(0.01)
        return self.offers

    def is_hosted(self):
        states = {entry.state for _, entry in self.workers.hosting(MODEL, LANE)}
        return states & {ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_LOADING}


@pytest.fixture
async def waiting(nats_url):
    client = await connect(nats_url, "test")
    stream = subjects.work_stream("default")
    await client.jetstream().add_stream(
        name=stream, subjects=[subjects.work_wildcard("default")], retention="workqueue"
    )
    dispatcher = Dispatcher(client, f"gw{client.client_id}")
    await dispatcher.start()
    work = Work("encode", LANE, MODEL, 7, "request-1", time.time() + 30)
    request = asyncio.create_task(dispatcher.run(work, [Chunk(0, 1, b"")]))
    waiting = Waiting(client, WorkerDirectory(), dispatcher, request)

    async def on_offer(message):
        assert AdoptionOffer.FromString(message.data).registry_revision == 7
        waiting.offers.append(message.subject)

    await client.subscribe("sie.adopt.>", cb=on_offer)
    while not dispatcher.waiting(LANE):
        await asyncio.sleep(0.01)
    yield waiting
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await client.jetstream().delete_stream(stream)
    await client.close()


def worker(name, state="", model=MODEL, status="WORKER_STATE_READY"):
    beat = WorkerStatus(
        worker_id=name,
        pool=LANE.pool,
        machine_profile=LANE.machine_profile,
        bundle=LANE.bundle,
        state=status,
    )
    if state:
        entry = beat.models.add(model_id=model, state=f"MODEL_STATE_{state}")
        if state == "FAILED":
            entry.last_error.CopyFrom(NO)
    return beat


async def test_a_model_that_nobody_hosts_is_offered_to_the_lane_while_requests_wait(waiting):
    assert await waiting.follow(worker("a", "LOADED", "another")) == [subjects.adoption(LANE)]
    assert not await waiting.follow(worker("a", "LOADED"))


@pytest.mark.parametrize("state", ["LOADED", "LOADING"])
async def test_a_worker_that_cannot_load_a_model_fails_nobody_while_another_has_it(waiting, state):
    assert not await waiting.follow(worker("a", "FAILED"), worker("b", state))
    waiting.adoption.ensure_hosted(MODEL, LANE)
    await asyncio.sleep(0.05)
    assert not waiting.request.done()


async def test_a_model_that_a_worker_failed_to_load_is_offered_to_one_that_has_not_tried(waiting):
    others = [worker("b", "UNLOADING"), worker("c"), worker("d", "LOADED", "another")]
    offers = await waiting.follow(worker("a", "FAILED"), *others)
    assert offers == [subjects.adoption(LANE, "c")]
    waiting.adoption.ensure_hosted(MODEL, LANE)
    assert not waiting.request.done()


async def test_a_model_that_no_worker_can_load_fails_who_waits_for_it(waiting):
    other_lane = worker("c")
    other_lane.bundle = "gpu"
    draining = worker("d", status="WORKER_STATE_DRAINING")
    beats = [worker("a", "FAILED"), worker("b", "FAILED"), other_lane, draining]
    assert not await waiting.follow(*beats)
    with pytest.raises(SieError, match="MODEL_LOAD_FAILED"):
        await waiting.request
    with pytest.raises(SieError, match="MODEL_LOAD_FAILED"):
        waiting.adoption.ensure_hosted(MODEL, LANE)


async def test_a_model_that_several_workers_cannot_load_is_not_tried_by_the_whole_lane(waiting):
    failed = [worker(name, "FAILED") for name in "abc"]
    assert not await waiting.follow(*failed, worker("d"))
    with pytest.raises(SieError, match="MODEL_LOAD_FAILED"):
        await waiting.request

"""The dispatcher against a real broker, with workers that the tests play."""

import asyncio
import time

import nats
import pytest
from nats.js.api import ConsumerConfig
from prometheus_client import CollectorRegistry

from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import Chunk, PackedWorkResult, Work
from gateway.queue.work_metrics import OUTCOMES, WorkMetrics
from servicekit import subjects
from servicekit.broker import connect
from servicekit.errors import SieError, code_of
from servicekit.subjects import Lane, Queue
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.work.v1.work_item_pb2 import CancelNotice, WorkClass, WorkItem
from tests import broker

LANE = Lane("default", "cpu", "default")
MODEL = "org/model"


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


def chunk(first, *texts):
    request = EncodeRequest(items=[{"id": text, "text": text} for text in texts])
    return Chunk(first, len(texts), request.SerializeToString())


def run(dispatcher, *chunks, timeout=5.0, lane=LANE):
    deadline = time.time() + timeout
    return asyncio.create_task(
        dispatcher.run(Work("encode", lane, MODEL, 1, "request-1", deadline), chunks)
    )


async def pull(client, count):
    """Takes work as a worker would: with one request for all of it."""
    # A name of its own: the last test's consumer may still be there to answer for it.
    stream, durable = subjects.work_stream("default"), f"worker-{client.client_id}"
    config = ConsumerConfig(
        durable_name=durable,
        filter_subjects=[
            subjects.work_subject(LANE, MODEL, queue)
            for queue in (Queue.INTERACTIVE, Queue.SURPLUS)
        ],
        ack_policy="explicit",
    )
    await client.jetstream().add_consumer(stream, config)
    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox)
    request = b'{"batch": %d, "expires": 5000000000}' % count
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", request, reply=inbox)
    messages = [await subscription.next_msg(timeout=5) for _ in range(count)]
    await subscription.unsubscribe()
    return [WorkItem.FromString(message.data) for message in messages]


async def answer(client, item, first=0, count=None, mark=""):
    """Answers a run of a work item's items."""
    entries = item.encode.items[first:][:count]
    response = EncodeResponse(items=[{"id": entry.id + mark} for entry in entries])
    result = PackedWorkResult(
        request_id=item.request_id,
        first_item=item.first_item + first,
        item_count=len(entries),
        encode=response.SerializeToString(),
    )
    await client.publish(item.reply_subject, result.SerializeToString())


def ids(results):
    return [
        item.id for result in results for item in EncodeResponse.FromString(result.encode).items
    ]


async def test_results_come_back_in_the_order_of_the_items(client, dispatcher):
    task = run(dispatcher, chunk(0, "a", "b"), chunk(2, "c"))
    for item in reversed(await pull(client, 2)):
        await answer(client, item)
    assert ids(await task) == ["a", "b", "c"]


async def test_a_work_item_holds_the_request_and_its_deadline(client, dispatcher):
    task = run(dispatcher, chunk(7, "a"))
    (item,) = await pull(client, 1)
    assert (item.request_id, item.model_id, item.first_item) == ("request-1", MODEL, 7)
    assert item.encode.items[0].text == "a"
    assert 4 < item.deadline_unix_ms / 1000 - time.time() < 5
    await answer(client, item)
    await task


async def test_a_chunk_may_be_answered_in_pieces(client, dispatcher):
    task = run(dispatcher, chunk(0, "a", "b", "c"))
    (item,) = await pull(client, 1)
    await answer(client, item, 1, 2)
    await answer(client, item, 0, 1)
    assert ids(await task) == ["a", "b", "c"]


async def test_a_redelivered_chunk_answered_in_other_pieces_is_whole_in_the_end(client, dispatcher):
    task = run(dispatcher, chunk(0, "a", "b", "c"))
    (item,) = await pull(client, 1)
    await answer(client, item, 0, 2, mark="1")
    await answer(client, item, 1, 2, mark="2")
    await client.flush()
    await asyncio.sleep(0.05)
    assert not task.done()
    await answer(client, item, 0, 1, mark="2")
    assert ids(await task) == ["a2", "b2", "c2"]


async def test_a_reply_that_nobody_waits_for_is_ignored(client, dispatcher):
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    await answer(client, item)
    await task
    await answer(client, item)
    await client.flush()
    assert len(dispatcher) == 0


async def test_concurrent_requests_get_their_own_results(client, dispatcher):
    tasks = [run(dispatcher, chunk(0, f"text-{n}")) for n in range(20)]
    for item in reversed(await pull(client, 20)):
        await answer(client, item)
    assert [ids(await task) for task in tasks] == [[f"text-{n}"] for n in range(20)]


async def test_nothing_within_the_deadline_is_a_typed_error(dispatcher):
    with pytest.raises(SieError) as caught:
        await run(dispatcher, chunk(0, "a"), timeout=0.1)
    assert code_of(caught.value.reason) == "DEADLINE_EXCEEDED"
    assert len(dispatcher) == 0


async def test_a_full_queue_refuses_at_once(client, dispatcher):
    waiting = [run(dispatcher, chunk(0, "x")) for _ in range(100)]
    await asyncio.sleep(0.1)
    started = time.monotonic()
    with pytest.raises(SieError) as caught:
        await run(dispatcher, chunk(0, "one too many"))
    assert time.monotonic() - started < 1
    assert code_of(caught.value.reason) == "QUEUE_FULL"
    assert caught.value.retry_after_s
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_work_that_would_wait_too_long_is_refused_before_it_is_queued(client):
    dispatcher = Dispatcher(client, "gw", max_wait_s=0.5)
    await dispatcher.start()

    def ask(count, work_class=WorkClass.WORK_CLASS_INTERACTIVE):
        work = Work("encode", LANE, MODEL, 1, "r", time.time() + 60, work_class=work_class)
        return asyncio.create_task(dispatcher.run(work, [chunk(0, *["x"] * count)]))

    waiting = [ask(64), *(ask(1) for _ in range(40))]
    # Five of more than a hundred items are answered in more than a second.
    for item in (await pull(client, 41))[1:6]:
        await asyncio.sleep(0.25)
        await answer(client, item)
    await asyncio.sleep(0.05)
    with pytest.raises(SieError, match=r"more than 0\.5 s") as caught:
        await ask(1)
    assert code_of(caught.value.reason) == "QUEUE_FULL"
    assert caught.value.retry_after_s > 5
    # Bulk work has a queue of its own.
    waiting.append(ask(1, WorkClass.WORK_CLASS_BULK))
    await asyncio.sleep(0.05)
    assert not waiting[-1].done()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_what_a_tenant_has_too_much_in_line_joins_the_surplus(client, dispatcher):
    def ask(tenant, *chunks):
        work = Work("encode", LANE, MODEL, 1, "r", time.time() + 60, tenant=tenant)
        return asyncio.create_task(dispatcher.run(work, chunks))

    async def standing(queue):
        subject = subjects.work_subject(LANE, MODEL, queue)
        stream = subjects.work_stream("default")
        info = await client.jetstream().stream_info(stream, subjects_filter=subject)
        return (info.state.subjects or {}).get(subject, 0)

    flood = [chunk(first, *["x"] * 32) for first in range(0, 32 * 9, 32)]
    waiting = [ask("flood", *flood), ask("quiet", chunk(0, "a")), ask("flood", chunk(0, "b"))]
    async with asyncio.timeout(5):
        while await standing(Queue.INTERACTIVE) < 2 or await standing(Queue.SURPLUS) < 9:
            await asyncio.sleep(0.02)
    # The same chunks stand where they stood when they are published again.
    await dispatcher.republish()
    async with asyncio.timeout(5):
        while await standing(Queue.INTERACTIVE) < 4 or await standing(Queue.SURPLUS) < 18:
            await asyncio.sleep(0.02)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_queue_that_appears_late_still_gets_the_work(client, dispatcher):
    js = client.jetstream()
    await js.delete_stream(subjects.work_stream("default"))
    task = run(dispatcher, chunk(0, "a"))
    await asyncio.sleep(0.3)
    await js.add_stream(
        name=subjects.work_stream("default"), subjects=[subjects.work_wildcard("default")]
    )
    (item,) = await pull(client, 1)
    await answer(client, item)
    assert ids(await task) == ["a"]


async def test_work_is_published_again_when_the_broker_may_have_lost_it(client, dispatcher):
    task = run(dispatcher, chunk(0, "a"), chunk(1, "b"))
    first, second = await pull(client, 2)
    await answer(client, first)
    await client.flush()
    await asyncio.sleep(0.05)
    await dispatcher.republish()
    (again,) = await pull(client, 1)
    assert again.first_item == second.first_item
    await answer(client, again)
    assert ids(await task) == ["a", "b"]


async def test_a_model_that_cannot_be_loaded_fails_those_who_wait_for_it(dispatcher):
    task = run(dispatcher, chunk(0, "a"))
    await asyncio.sleep(0.05)
    error = SieError(ErrorReason.ERROR_REASON_MODEL_LOAD_FAILED, "no")
    dispatcher.fail_model(LANE, "another", error)
    dispatcher.fail_model(LANE, MODEL, error)
    with pytest.raises(SieError, match="MODEL_LOAD_FAILED"):
        await task


@pytest.fixture
async def counted(client):
    """A dispatcher, and its counts of items by outcome."""
    registry = CollectorRegistry()
    dispatcher = Dispatcher(client, "gc", metrics=WorkMetrics(registry))
    await dispatcher.start()

    def counts():
        found = {
            outcome: registry.get_sample_value(
                "sie_gateway_work_items_ended_total", {"pool": "default", "outcome": outcome}
            )
            for outcome in OUTCOMES
        }
        found["accepted"] = registry.get_sample_value(
            "sie_gateway_work_items_accepted_total", {"pool": "default"}
        )
        return {name: value for name, value in found.items() if value}

    return dispatcher, counts


async def test_the_counts_of_items_add_up_however_they_end(client, counted):
    dispatcher, counts = counted
    answered = run(dispatcher, chunk(0, "a", "b"))
    (item,) = await pull(client, 1)
    await answer(client, item)
    await answered
    dead = run(dispatcher, chunk(0, "a"), chunk(1, "b", "c"))
    first, second = await pull(client, 2)
    await answer(client, first)
    result = PackedWorkResult(request_id="request-1", first_item=1, item_count=2)
    result.error.reason = ErrorReason.ERROR_REASON_DELIVERY_EXHAUSTED
    await client.publish(second.reply_subject, result.SerializeToString())
    await dead
    with pytest.raises(SieError):
        await run(dispatcher, chunk(0, "a"), timeout=0.05)
    gone = run(dispatcher, chunk(0, "a", "b", "c"))
    await asyncio.sleep(0.05)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert counts() == {
        "accepted": 9,
        "answered": 3,
        "dead_lettered": 2,
        "expired": 1,
        "cancelled": 3,
    }


async def test_workers_are_told_of_a_caller_that_has_gone(client, dispatcher):
    notices = await client.subscribe(subjects.cancel(LANE))
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    task.cancel()
    notice = CancelNotice.FromString((await notices.next_msg(timeout=5)).data)
    assert list(notice.reply_subjects) == [item.reply_subject]


async def test_a_request_that_was_answered_is_not_cancelled(client, dispatcher):
    notices = await client.subscribe(subjects.cancel(LANE))
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    await answer(client, item)
    await task
    with pytest.raises(nats.errors.TimeoutError):
        await notices.next_msg(timeout=0.1)


async def test_a_result_in_pieces_is_put_together_from_one_reply(client, dispatcher):
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    response = EncodeResponse(items=[{"id": "a" * 1000}])
    whole = PackedWorkResult(
        request_id="request-1", item_count=1, encode=response.SerializeToString()
    )
    data = whole.SerializeToString()
    # The worker died after the first piece; the work was computed again by another.
    for reply_id, numbers in (("one", [0]), ("two", [1, 0])):
        for number in numbers:
            part = {"reply_id": reply_id, "number": number, "count": 2}
            part["data"] = data[number * 500 :][: 500 if number == 0 else None]
            piece = PackedWorkResult(request_id="request-1", item_count=1, part=part)
            await client.publish(item.reply_subject, piece.SerializeToString())
    assert ids(await task) == ["a" * 1000]


def forged(item, **outcome):
    named = {"request_id": item.request_id, "item_count": item.item_count} | outcome
    return PackedWorkResult(**named).SerializeToString()


async def test_what_is_no_answer_to_the_work_is_not_taken_for_one(client, dispatcher):
    task = run(dispatcher, chunk(0, "a", "b"))
    (item,) = await pull(client, 1)
    two = EncodeResponse(items=[{"id": "x"}, {"id": "y"}]).SerializeToString()
    whole = forged(item, request_id="request-2", encode=two)
    pieces = [(0, 0, b""), (3, 1, b""), (0, 1, whole), (0, 1, b"\xff")]
    for data in (
        b"\xff",
        whole,
        forged(item),
        forged(item, encode=EncodeResponse(items=[{"id": "x"}]).SerializeToString()),
        forged(item, encode=two, item_count=1),
        forged(item, encode=b"\xff"),
        forged(item, score=b""),
        *(
            forged(item, part={"reply_id": str(n), "number": number, "count": count, "data": data})
            for n, (number, count, data) in enumerate(pieces)
        ),
    ):
        await client.publish(item.reply_subject, data)
    ack = item.reply_subject.replace(".result.", ".ack.")
    for subject, data in ((ack, b"{}"), (f"{ack}-x", b"{}"), (f"{ack}-0", b"[]")):
        await client.publish(subject, data)
    await answer(client, item)
    assert ids(await task) == ["a", "b"]


async def test_work_that_lost_a_piece_of_its_result_is_published_again(
    client, dispatcher, monkeypatch
):
    monkeypatch.setattr("gateway.queue.dispatch._PIECES_WITHIN_S", 0.1)
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    part = {"reply_id": "r", "number": 0, "count": 2, "data": b"lost"}
    piece = PackedWorkResult(request_id="request-1", item_count=1, part=part)
    await client.publish(item.reply_subject, piece.SerializeToString())
    (again,) = await pull(client, 1)
    await answer(client, again)
    assert ids(await task) == ["a"]


async def test_work_whose_result_is_large_and_slow_is_not_published_again(
    client, dispatcher, monkeypatch
):
    monkeypatch.setattr("gateway.queue.dispatch._PIECES_WITHIN_S", 0.5)
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    response = EncodeResponse(items=[{"id": "a"}])
    data = PackedWorkResult(
        request_id="request-1", item_count=1, encode=response.SerializeToString()
    ).SerializeToString()
    longest, sent_at = 0.0, time.monotonic()
    for number in range(len(data)):
        part = {"reply_id": "r", "number": number, "count": len(data)}
        part["data"] = data[number : number + 1]
        piece = PackedWorkResult(request_id="request-1", item_count=1, part=part)
        await client.publish(item.reply_subject, piece.SerializeToString())
        await asyncio.sleep(0.15)
        longest, sent_at = max(longest, time.monotonic() - sent_at), time.monotonic()
    assert ids(await task) == ["a"]
    if longest > 0.4:
        pytest.skip("the machine was busy for as long as a lost piece is waited for")
    stream = await client.jetstream().stream_info(subjects.work_stream("default"))
    assert stream.state.last_seq == 1


class Payloads:
    """A store in memory."""

    def __init__(self):
        self.kept = {}

    async def put(self, key, data):
        self.kept[key] = data

    async def delete(self, key):
        del self.kept[key]


async def test_a_request_too_large_for_the_broker_goes_to_the_store_and_is_removed(client):
    payloads = Payloads()
    dispatcher = Dispatcher(client, "gp", payloads=payloads)
    await dispatcher.start()
    text = "x" * (client.max_payload + 1)
    task = run(dispatcher, chunk(0, text), chunk(1, "small"))
    large, small = sorted(await pull(client, 2), key=lambda item: item.first_item)
    assert small.encode.items[0].text == "small"
    assert not large.HasField("encode")
    assert large.payload.size_bytes == len(payloads.kept[large.payload.key])
    request = WorkItem.FromString(payloads.kept[large.payload.key]).encode
    assert request.items[0].text == text
    await answer(client, small)
    large.encode.items.add(id="large")
    await answer(client, large)
    assert ids(await task) == ["large", "small"]
    await asyncio.sleep(0.01)
    assert not payloads.kept


async def test_bulk_work_waits_in_a_queue_of_its_own(client, dispatcher):
    work = Work("encode", LANE, MODEL, 1, "r", time.time() + 0.3, "acme", WorkClass.WORK_CLASS_BULK)
    task = asyncio.create_task(dispatcher.run(work, [chunk(0, "a")]))
    await asyncio.sleep(0.1)
    message = await client.jetstream().get_msg(subjects.work_stream("default"), 1)
    assert message.subject == subjects.work_subject(LANE, MODEL, Queue.BULK)
    assert WorkItem.FromString(message.data).tenant == "acme"
    with pytest.raises(SieError):
        await task


class Losing:
    """A connection to a broker that loses some of the work, counted from 1."""

    def __init__(self, client, *lost):
        self._client = client
        self._lost = lost
        self.published = []

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def publish(self, subject, data, **more):
        if "headers" in more:
            self.published.append(more["headers"]["Nats-Msg-Id"])
            if len(self.published) in self._lost:
                return
        await self._client.publish(subject, data, **more)


async def test_work_that_the_broker_never_acknowledged_is_sent_again_and_no_other(client):
    losing = Losing(client, 2)
    dispatcher = Dispatcher(losing, "gl", ack_within_s=0.2)
    await dispatcher.start()
    task = run(dispatcher, chunk(0, "a"), chunk(1, "b"))
    for item in await pull(client, 2):
        await answer(client, item)
    assert ids(await task) == ["a", "b"]
    first, *seconds = losing.published
    # A copy that both came through is one: the broker knows it by its id.
    assert len(seconds) > 1
    assert len(set(seconds)) == 1
    assert first not in seconds


async def test_a_broker_that_stores_nothing_is_told_of_before_the_deadline(client):
    dispatcher = Dispatcher(Losing(client, *range(100)), "gn", ack_within_s=0.05)
    await dispatcher.start()
    with pytest.raises(SieError) as caught:
        await run(dispatcher, chunk(0, "a"), timeout=60.0)
    assert caught.value.reason == ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE

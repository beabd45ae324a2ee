"""The dispatcher against a real broker, with workers that the tests play."""

import asyncio
import time

import nats
import pytest
from prometheus_client import CollectorRegistry

from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import PackedWorkResult
from gateway.queue.work_metrics import OUTCOMES, WorkMetrics
from servicekit import subjects
from servicekit.errors import SieError, code_of
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_item_pb2 import CancelNotice
from tests.unit.gateway.queue.played import LANE, MODEL, answer, chunk, ids, pull, run


async def test_results_come_back_in_the_order_of_the_items(client, dispatcher):
    task = run(dispatcher, chunk(0, "a", "b"), chunk(2, "c"))
    for item in reversed(await pull(client, 2)):
        await answer(client, item)
    assert ids(await task) == ["a", "b", "c"]


async def test_a_work_item_holds_the_request_and_its_deadline(client, dispatcher):
    began = time.time()
    task = run(dispatcher, chunk(7, "a"))
    (item,) = await pull(client, 1)
    assert (item.request_id, item.model_id, item.first_item) == ("request-1", MODEL, 7)
    assert item.encode.items[0].text == "a"
    # Whole milliseconds.
    assert began + 59.999 <= item.deadline_unix_ms / 1000 <= time.time() + 60
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
    notice = CancelNotice.FromString((await notices.next_msg(timeout=60)).data)
    assert list(notice.reply_subjects) == [item.reply_subject]


async def test_a_request_that_was_answered_is_not_cancelled(client, dispatcher):
    notices = await client.subscribe(subjects.cancel(LANE))
    task = run(dispatcher, chunk(0, "a"))
    (item,) = await pull(client, 1)
    await answer(client, item)
    await task
    with pytest.raises(nats.errors.TimeoutError):
        await notices.next_msg(timeout=0.1)

"""What is refused or put behind others because of what waits, against a real broker."""

import asyncio
import time

import pytest

from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import Work
from servicekit import subjects
from servicekit.errors import SieError, code_of
from servicekit.subjects import Queue
from sie.work.v1.work_item_pb2 import WorkClass, WorkItem
from tests.unit.gateway.queue.played import LANE, MODEL, answer, chunk, pull, run


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
    async with asyncio.timeout(30):
        while await standing(Queue.INTERACTIVE) < 2 or await standing(Queue.SURPLUS) < 9:
            await asyncio.sleep(0.02)
    # The same chunks stand where they stood when they are published again.
    await dispatcher.republish()
    async with asyncio.timeout(30):
        while await standing(Queue.INTERACTIVE) < 4 or await standing(Queue.SURPLUS) < 18:
            await asyncio.sleep(0.02)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_bulk_work_waits_in_a_queue_of_its_own(client, dispatcher):
    work = Work("encode", LANE, MODEL, 1, "r", time.time() + 0.3, "acme", WorkClass.WORK_CLASS_BULK)
    task = asyncio.create_task(dispatcher.run(work, [chunk(0, "a")]))
    await asyncio.sleep(0.1)
    message = await client.jetstream().get_msg(subjects.work_stream("default"), 1)
    assert message.subject == subjects.work_subject(LANE, MODEL, Queue.BULK)
    assert WorkItem.FromString(message.data).tenant == "acme"
    with pytest.raises(SieError):
        await task

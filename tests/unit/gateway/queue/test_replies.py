"""Results that are large, in pieces, or no answers to what was asked, against a real broker."""

import asyncio

from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import PackedWorkResult
from sie.inference.v1.inference_service_pb2 import EncodeResponse
from sie.work.v1.work_item_pb2 import WorkItem
from tests.unit.gateway.queue.played import answer, chunk, ids, pull, run


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

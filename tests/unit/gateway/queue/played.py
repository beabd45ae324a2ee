"""Requests to a dispatcher, and a worker that the tests play."""

import asyncio
import time

from nats.js.api import ConsumerConfig

from gateway.queue.work import Chunk, PackedWorkResult, Work
from servicekit import subjects
from servicekit.subjects import Lane, Queue
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.work.v1.work_item_pb2 import WorkItem

LANE = Lane("default", "cpu", "default")
MODEL = "org/model"


def chunk(first, *texts):
    request = EncodeRequest(items=[{"id": text, "text": text} for text in texts])
    return Chunk(first, len(texts), request.SerializeToString())


def run(dispatcher, *chunks, timeout=60.0, lane=LANE):
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
    request = b'{"batch": %d, "expires": 60000000000}' % count
    await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}", request, reply=inbox)
    messages = [await subscription.next_msg(timeout=60) for _ in range(count)]
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

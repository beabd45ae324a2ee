"""Work in whose company a worker died: taken apart, so that one bad item harms no other.

    delivered a second time ──► an item of work for each of its items ──► suspects' queue
                                                      each computed by itself ──┘

A worker has one suspect in hand at a time. So whatever dies with it has died of that item, or
by a rare chance: three times, and it is a dead letter. The other items of its chunk, and
whatever else the worker had in hand, are answered on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from nats.aio.client import Client

from servicekit import subjects
from servicekit.subjects import Lane, Queue
from sie.work.v1.work_item_pb2 import WorkItem


def pieces_of(item: WorkItem) -> Iterator[WorkItem]:
    """Yield a work item for each item of one."""
    verb = item.WhichOneof("request")
    rest = WorkItem()
    rest.CopyFrom(item)
    if verb is not None:
        del getattr(rest, verb).items[:]
    for index in range(item.item_count):
        piece = WorkItem()
        piece.CopyFrom(rest)
        piece.first_item, piece.item_count = item.first_item + index, 1
        if verb is not None:
            getattr(piece, verb).items.append(getattr(item, verb).items[index])
        else:
            piece.payload.first_item += index
        yield piece


async def isolate(
    client: Client, lane: Lane, item: WorkItem, sequence: int, trace: Mapping[str, str]
) -> None:
    """Queue the items of a work item among the suspects.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        item: what was delivered again.
        sequence: of its message; a crash behind this repeats it, and the broker drops the copies.
        trace: headers that go on with it.

    Raises:
        nats.errors.Error: the broker is away, or the stream is full.

    """
    js = client.jetstream()
    subject = subjects.work_subject(lane, item.model_id, Queue.SUSPECT)
    await asyncio.gather(
        *(
            js.publish(
                subject,
                piece.SerializeToString(),
                headers={**trace, **_headers(piece, sequence)},
            )
            for piece in pieces_of(item)
        )
    )


def _headers(piece: WorkItem, sequence: int) -> dict[str, str]:
    return {"Nats-Msg-Id": f"{piece.reply_subject}.{piece.first_item}.{sequence}.suspect"}


def with_request(item: WorkItem, data: bytes) -> None:
    """Fill in the request of a work item from what the payload store has of it."""
    first = item.payload.first_item
    item.MergeFromString(data)
    verb = item.WhichOneof("request")
    if verb is not None:
        items = getattr(item, verb).items
        del items[first + item.item_count :]
        del items[:first]

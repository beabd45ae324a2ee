"""Replies that are larger than a message of the broker."""

from types import SimpleNamespace

import numpy as np
import pytest

from gateway.queue.reassembly import Reassembly
from gateway.queue.work import PackedWorkResult
from sie.work.v1.work_item_pb2 import WorkItem
from worker.queue.delivery import Delivery, read_item

SUBJECT, ACK = "sie.reply.g.result.1", "$JS.ACK.x"


class Broker:
    """Takes messages of up to 20,000 bytes."""

    max_payload = 20_000

    def __init__(self):
        self.sent = []

    async def publish(self, subject, data):
        assert len(data) <= self.max_payload
        self.sent.append((subject, data))


async def replies_to(fragments):
    """What a gateway makes of the reply, and how many messages it took."""
    broker = Broker()
    item = WorkItem(reply_subject=SUBJECT, first_item=5, item_count=len(fragments))
    delivery = Delivery(broker, SimpleNamespace(reply=ACK), item, "w")
    await delivery.reply("encode", fragments)
    *results, (last, _) = broker.sent
    assert last == ACK
    pieces, whole = Reassembly(), []
    for subject, data in results:
        assert subject == SUBJECT
        result = PackedWorkResult.FromString(data)
        if not result.HasField("part"):
            whole.append(result)
        elif (joined := pieces.add(result.part)) is not None:
            whole.append(PackedWorkResult.FromString(joined))
    return whole, len(results)


def fragment(size):
    # Unknown to EncodeResponse as content, and so opaque as the fragments of a reply are.
    return np.random.default_rng(size).bytes(size)


async def test_a_result_larger_than_a_message_comes_in_pieces_and_is_the_same():
    fragments = [fragment(size) for size in (100, 100_000, 200)]
    results, messages = await replies_to(fragments)
    assert messages > len(results)
    assert [(r.first_item, r.item_count) for r in results] == [(5, 1), (6, 1), (7, 1)]
    assert [bytes(r.encode) for r in results] == fragments


async def test_small_results_share_a_message():
    fragments = [fragment(1000) for _ in range(3)]
    results, messages = await replies_to(fragments)
    assert (messages, results[0].item_count) == (1, 3)
    assert bytes(results[0].encode) == b"".join(fragments)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "sie.reply.",
        "$JS.API.STREAM.DELETE.SIE_WORK_default",
        "sie.work.default.a",
        "sie.reply.a b",
        "sie.reply.a\r\nPUB x 0",
        "sie.reply.>",
    ],
)
def test_a_work_item_has_the_worker_publish_nothing_but_replies(reply):
    with pytest.raises(ValueError, match="no subject for a reply"):
        read_item(WorkItem(reply_subject=reply).SerializeToString())


def test_what_is_no_work_item_is_not_read():
    with pytest.raises(ValueError, match="pars"):
        read_item(b"\xff\xffgarbage")
    item = WorkItem(reply_subject="sie.reply.gateway-7f3a.result.1f")
    assert read_item(item.SerializeToString()) == item

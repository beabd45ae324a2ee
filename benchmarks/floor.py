"""What a queue costs at least: one bare JetStream round trip right after an engine run.

The engine leaves the caches full of weights and the other processes asleep, which makes the
same round trip several times slower than in a tight loop. This is the part of the added
latency that no gateway could avoid with the same broker.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence

import nats
from nats.aio.msg import Msg

_STREAM, _SUBJECT, _REPLY = "SIE_BENCH", "sie.bench.work", "sie.bench.reply"
_PULL = b'{"batch":100000,"expires":600000000000}'
_WARM_UP = 20


async def round_trip_ms(url: str, texts: Sequence[str], encode: Callable[[str], None]) -> float:
    """Median of publish to reply over a memory stream, each after one engine run."""
    publisher, worker = await nats.connect(url), await nats.connect(url)
    await _echo_over_a_stream(worker)
    replied = asyncio.Event()

    async def on_reply(_: Msg) -> None:
        replied.set()

    await publisher.subscribe(_REPLY, cb=on_reply)
    took = []
    for text in [texts[0]] * _WARM_UP + list(texts):
        encode(text)
        replied.clear()
        started = time.perf_counter()
        await publisher.publish(_SUBJECT, text.encode(), reply="sie.bench.ack")
        await asyncio.wait_for(replied.wait(), 10)
        took.append((time.perf_counter() - started) * 1e3)
    await publisher.jetstream().delete_stream(_STREAM)
    await publisher.close()
    await worker.close()
    return statistics.median(took[_WARM_UP:])


async def _echo_over_a_stream(worker: nats.NATS) -> None:
    """A worker that answers each message of a work queue, then acknowledges it."""
    stream = worker.jetstream()
    await stream.add_stream(name=_STREAM, subjects=[_SUBJECT], retention="workqueue")
    await stream.add_consumer(_STREAM, durable_name="bench", ack_policy="explicit")

    async def on_message(message: Msg) -> None:
        if message.data:
            await worker.publish(_REPLY, message.data)
            await worker.publish(message.reply, b"")

    inbox = worker.new_inbox()
    await worker.subscribe(inbox, cb=on_message)
    await worker.publish(f"$JS.API.CONSUMER.MSG.NEXT.{_STREAM}.bench", _PULL, reply=inbox)
    await worker.flush()

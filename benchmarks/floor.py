"""What a queue costs at least: a bare JetStream round trip.

`round_trip_ms` makes it right after an engine run, which leaves the caches full of weights and
the other processes asleep, and the same round trip several times slower than in a tight loop.
This is the part of the added latency that no gateway could avoid with the same broker.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import nats
from nats.aio.msg import Msg

_STREAM, _SUBJECT = "SIE_BENCH", "sie.bench.work"
_PULL = b'{"batch":1000000,"expires":600000000000}'
_WARM_UP = 20


async def round_trip_ms(url: str, texts: Sequence[str], encode: Callable[[str], None]) -> float:
    """Median of publish to reply over a memory stream, each after one engine run."""
    publisher, worker = await nats.connect(url), await nats.connect(url)
    await echo(worker)
    call = await echo_call(publisher)
    took = []
    for text in [texts[0]] * _WARM_UP + list(texts):
        encode(text)
        started = time.perf_counter()
        await call(text)
        took.append((time.perf_counter() - started) * 1e3)
    await publisher.jetstream().delete_stream(_STREAM)
    await publisher.close()
    await worker.close()
    return statistics.median(took[_WARM_UP:])


async def echo_call(
    publisher: nats.NATS, *, acknowledged: bool = False
) -> Callable[[str], Awaitable[None]]:
    """A call that sends a text through a work queue and returns when it is back.

    Args:
        publisher: connection to the broker.
        acknowledged: whether the broker is to say that it has stored the message, as whoever
            must not lose it wants to know; under a message id, by which it knows a copy.
    """
    waiting: dict[bytes, asyncio.Future[None]] = {}
    numbers = itertools.count()

    reply_subject = publisher.new_inbox()

    async def on_reply(message: Msg) -> None:
        waiting.pop(message.data.split(b" ", 2)[1]).set_result(None)

    await publisher.subscribe(reply_subject, cb=on_reply)
    stream = publisher.jetstream()

    async def call(text: str) -> None:
        number = b"%d" % next(numbers)
        waiting[number] = replied = asyncio.get_running_loop().create_future()
        data = b"%b %b %b" % (reply_subject.encode(), number, text.encode())
        if acknowledged:
            message_id = {"Nats-Msg-Id": f"{reply_subject}.{number.decode()}"}
            await stream.publish(_SUBJECT, data, headers=message_id)
        else:
            await publisher.publish(_SUBJECT, data, reply="sie.bench.ack")
        await asyncio.wait_for(replied, 10)

    return call


async def echo(worker: nats.NATS) -> None:
    """A worker that answers each message of a work queue, then acknowledges it."""
    stream = worker.jetstream()
    await stream.add_stream(
        name=_STREAM, subjects=[_SUBJECT], retention="workqueue", storage="memory"
    )
    await stream.add_consumer(_STREAM, durable_name="bench", ack_policy="explicit")

    async def on_message(message: Msg) -> None:
        if message.data:
            await worker.publish(message.data.split(b" ", 1)[0].decode(), message.data)
            await worker.publish(message.reply, b"")

    inbox = worker.new_inbox()
    await worker.subscribe(inbox, cb=on_message)
    await worker.publish(f"$JS.API.CONSUMER.MSG.NEXT.{_STREAM}.bench", _PULL, reply=inbox)
    await worker.flush()

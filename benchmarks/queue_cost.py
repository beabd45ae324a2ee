"""What the queue costs: messages and bytes of a request, and its round trip beside bare ones.

    gateway's Dispatcher  ─► JetStream ─► Pulls, Delivery ─► reply ─► ack        `sie`
    the library's publish ─► JetStream ─► pull consumer   ─► reply ─► ack        `bare`
    publish, unconfirmed  ─► JetStream ─► pull consumer   ─► reply ─► ack        `unconfirmed`

All carry the same texts through the same broker to a process of its own, which answers a few
bytes, with no engine behind: only the queue is measured. The bare one is told, as the gateway is,
that the broker has stored the message; the unconfirmed one may lose it and never know, and goes
over the gateway's own connection. Rounds of the three alternate, so that a machine whose speed
drifts slows all; a ratio is the median over neighbouring rounds.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import floor
import nats
import texts
import uvloop
from nats.aio.msg import Msg

from cli.local_stack import LocalStack
from config_service.streams import StreamLimits, Streams
from gateway.queue.dispatch import Dispatcher
from gateway.queue.work import Chunk, Work
from servicekit import broker
from servicekit.subjects import Lane, Queue
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.work.v1.work_item_pb2 import WorkItem
from worker.queue.delivery import Delivery
from worker.queue.pulls import Pulls

_LANE = Lane("default", "cpu", "default")
_MODEL = "bench/model"
_CONCURRENCY = (1, 32, 128)
_TIMEOUT_S = 30.0

Call = Callable[[str], Awaitable[None]]
# The median and the 99th percentile, in ms.
Quantiles = tuple[float, float]


class Traffic(NamedTuple):
    """What the broker took in and gave out."""

    in_messages: int
    out_messages: int
    in_bytes: int
    out_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=2000, help="of a round")
    parser.add_argument("--rounds", type=int, default=5, help="of each concurrency")
    parser.add_argument("--answer", metavar="URL", help="be the worker's side")
    options = parser.parse_args()
    if options.answer:
        uvloop.run(_answer(options.answer))
        return
    with (
        tempfile.TemporaryDirectory(prefix="sie-bench-") as directory,
        LocalStack(Path(directory)) as stack,
    ):
        stack.start_broker()
        uvloop.run(_bench(stack.nats_url, options.requests, options.rounds))


async def _bench(url: str, requests: int, rounds: int) -> None:
    corpus = texts.mixed(256)
    publisher, watcher = await broker.connect(url, "gateway"), await nats.connect(url)
    await Streams(publisher, StreamLimits()).ensure()
    library = await nats.connect(url)
    calls = {
        "sie": await _queue_call(publisher),
        "bare": await floor.echo_call(library, acknowledged=True),
        "unconfirmed": await floor.echo_call(publisher),
    }
    worker = await broker.connect(url, "worker")
    await _serve(worker)
    for call in calls.values():
        await _round(call, corpus, 200, 8)
    await _show_traffic(watcher, (publisher, library, worker), calls, corpus)
    await worker.close()
    command = [sys.executable, __file__, "--answer", url]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        for call in calls.values():
            await _round(call, corpus, 500, 8)
        print(f"\n{'clients':>8}{'':>12}{'p50 ms':>9}{'p99 ms':>9}   sie in it: p50, p99")
        for clients in _CONCURRENCY:
            took: dict[str, list[Quantiles]] = {name: [] for name in calls}
            for _ in range(rounds):
                for name, call in calls.items():
                    took[name].append(_p50_p99(await _round(call, corpus, requests, clients)))
            _print(clients, took)
    finally:
        process.terminate()
        await process.wait()
    for connection in (publisher, library, watcher):
        await connection.close()


async def _answer(url: str) -> None:
    await _serve(await broker.connect(url, "worker"))
    print("ready", flush=True)
    await asyncio.Event().wait()


async def _serve(worker: nats.NATS) -> None:
    """Answer both kinds of work."""
    await floor.echo(worker)
    reply = EncodeResponse(items=[{"input_tokens": 1}]).SerializeToString()

    async def on_message(_lane: Lane, _queue: Queue, message: Msg) -> None:
        delivery = Delivery(worker, message, WorkItem.FromString(message.data), "bench")
        await delivery.reply("encode", [reply])

    queues = {queue: (lambda wanted=wanted: wanted) for queue, wanted in _WANT.items()}
    await Pulls(worker, _LANE, _MODEL, on_message, queues).start()
    await worker.flush()


async def _queue_call(publisher: nats.NATS) -> Call:
    dispatcher = Dispatcher(publisher, "bench")
    await dispatcher.start()

    async def call(text: str) -> None:
        request = EncodeRequest(model=_MODEL, items=[{"text": text}]).SerializeToString()
        work = Work("encode", _LANE, _MODEL, 1, "request", time.time() + _TIMEOUT_S)
        await dispatcher.run(work, [Chunk(0, 1, request)])

    return call


# As an idle worker asks.
_WANT = {Queue.INTERACTIVE: 64, Queue.SURPLUS: 64, Queue.BULK: 64, Queue.SUSPECT: 1}


async def _round(call: Call, corpus: list[str], requests: int, clients: int) -> list[float]:
    """Round trips in ms of so many requests by so many clients."""
    took: list[float] = []
    numbers = iter(range(requests))

    async def client() -> None:
        for number in numbers:
            started = time.perf_counter()
            await call(corpus[number % len(corpus)])
            took.append((time.perf_counter() - started) * 1e3)

    await asyncio.gather(*(client() for _ in range(clients)))
    return took


async def _show_traffic(
    watcher: nats.NATS,
    counted: Sequence[nats.NATS],
    calls: dict[str, Call],
    corpus: list[str],
) -> None:
    requests = 500
    print(f"of a request: {'messages':>9}{'of them acks':>14}{'bytes':>8}")
    for name, call in calls.items():
        acks = 0

        async def on_ack(_: Msg) -> None:
            nonlocal acks
            acks += 1

        subscription = await watcher.subscribe("$JS.ACK.>", cb=on_ack)
        await watcher.flush()
        before = _traffic(*counted)
        await _round(call, corpus, requests, 8)
        await watcher.flush()
        after = _traffic(*counted)
        await subscription.unsubscribe()
        spent = Traffic(*(b - a for a, b in zip(before, after, strict=True)))
        messages = (spent.in_messages + spent.out_messages) / requests
        size = (spent.in_bytes + spent.out_bytes) / requests
        print(f"{name:>12}: {messages:9.2f}{acks / requests:14.2f}{size:8.0f}")


def _traffic(*clients: nats.NATS) -> Traffic:
    names = ("in_msgs", "out_msgs", "in_bytes", "out_bytes")
    return Traffic(*(sum(client.stats[name] for client in clients) for name in names))


def _print(clients: int, took: dict[str, list[Quantiles]]) -> None:
    for name, rounds in took.items():
        p50, p99 = (statistics.median(each[n] for each in rounds) for n in (0, 1))
        ratios = [
            statistics.median(
                ours[n] / theirs[n] for ours, theirs in zip(took["sie"], rounds, strict=True)
            )
            for n in (0, 1)
        ]
        print(f"{clients:>8}{name:>12}{p50:9.2f}{p99:9.2f}{ratios[0]:14.2f}{ratios[1]:6.2f}")


def _p50_p99(took: list[float]) -> Quantiles:
    cuts = statistics.quantiles(took, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    main()

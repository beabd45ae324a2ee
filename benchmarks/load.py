"""A load generator with as little of its own as Python allows; run as a process of its own.

    python benchmarks/load.py {http|grpc} HOST:PORT MODEL CONCURRENCY TEXTS_PER_REQUEST SECONDS
    python benchmarks/load.py post HOST:PORT PATH CONCURRENCY 1 SECONDS [HEADER...] <bodies

Prints one JSON line: texts a second, and the median and 99th percentile of latency.
"""

import asyncio
import functools
import itertools
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import grpc
import http_client
import orjson
import texts
import uvloop

from sie.inference.v1.inference_service_pb2 import EncodeRequest

_CORPUS = 512
_AT_LEAST = 3

Send = Callable[[bytes], Awaitable[None]]


async def grpc_client(address: str, _model: str) -> Send:
    """One channel, replies left as bytes."""
    channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
    call = channel.unary_unary("/sie.inference.v1.InferenceService/Encode")

    async def send(body: bytes) -> None:
        await call(body)

    return send


def bodies(face: str, per_request: int, model: str) -> list[bytes]:
    if face == "post":
        return sys.stdin.buffer.read().splitlines()
    corpus = texts.mixed(_CORPUS)
    groups = [corpus[i : i + per_request] for i in range(0, len(corpus), per_request)]
    if face == "http":
        return [orjson.dumps({"items": [{"text": t} for t in group]}) for group in groups]
    return [
        EncodeRequest(model=model, items=[{"text": t} for t in group]).SerializeToString()
        for group in groups
    ]


async def main(
    face: str,
    address: str,
    model: str,
    concurrency: int,
    rows: int,
    s: float,
    headers: Sequence[str],
) -> None:
    over_http = functools.partial(http_client.connect, headers=headers)
    connect = grpc_client if face == "grpc" else over_http
    requests = itertools.cycle(bodies(face, rows, model))
    target = http_client.encode_path(model) if face == "http" else model
    finished: list[tuple[float, float]] = []
    start = time.perf_counter()

    async def client() -> None:
        send = await connect(address, target)
        # Each client sends several, so that there is a steady part to measure.
        sent = 0
        while (began := time.perf_counter()) < start + s or sent < _AT_LEAST:
            sent += 1
            await send(next(requests))
            ended = time.perf_counter()
            finished.append((ended, ended - began))

    await asyncio.gather(*(client() for _ in range(concurrency)))
    # Between two completions, so that neither the start nor the tail of the run counts.
    steady = sorted(finished)[concurrency - 1 : len(finished) - concurrency + 1]
    took = sorted(seconds for _, seconds in steady)
    result = {
        "texts_per_second": (len(steady) - 1) * rows / (steady[-1][0] - steady[0][0]),
        "p50_ms": statistics.median(took) * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "requests": len(took),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    face_, address_, model_, concurrency_, rows_, seconds_, *headers_ = sys.argv[1:]
    uvloop.run(
        main(face_, address_, model_, int(concurrency_), int(rows_), float(seconds_), headers_)
    )

"""What one tenant's flood costs another: a text every 100 ms, alone, and beside 2,000 items.

    python benchmarks/fair_tenants.py [--rounds 3] [--seconds 8] [--flood 2000] [--chunk 32]

A cluster with one worker whose gateway knows two tenants by their tokens. One keeps so many items
outstanding, in requests of so many; the other sends one text every 100 ms. Rounds alternate,
so that a machine whose speed drifts slows both.
"""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import texts

from cli.local_stack import DEFAULT_MODEL, LocalStack
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub

_CACHE = Path(__file__).resolve().parent.parent / ".sie" / "cache"
_TOKENS = """
tokens:
  - {token: flood, tenant: flood}
  - {token: quiet, tenant: quiet}
"""
_EVERY_S = 0.1
_WARM_S = 2.0


class Tenant:
    """Calls with a tenant's token on a channel of its own."""

    def __init__(self, address: str, name: str) -> None:
        channel = grpc.aio.insecure_channel(
            address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        self._stub = InferenceServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {name}"),)
        self._texts = itertools.cycle(texts.mixed(512, high=20))

    async def encode(self, count: int) -> None:
        items = [{"text": next(self._texts)} for _ in range(count)]
        request = EncodeRequest(model=DEFAULT_MODEL, items=items)
        await self._stub.Encode(request, metadata=self._metadata, timeout=60)


@asynccontextmanager
async def _flood(tenant: Tenant, outstanding: int, chunk: int) -> AsyncIterator[list[int]]:
    """Keeps so many items outstanding; what is answered is counted in the list."""
    answered = [0]

    async def send() -> None:
        while True:
            try:
                await tenant.encode(chunk)
                answered[0] += chunk
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise
                await asyncio.sleep(0.2)

    tasks = [asyncio.create_task(send()) for _ in range(outstanding // chunk)]
    try:
        yield answered
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _quiet(tenant: Tenant, seconds: float) -> list[float]:
    """Latencies in ms of a text every so often, whether or not the last is answered."""
    took: list[float] = []

    async def one() -> None:
        began = time.perf_counter()
        with contextlib.suppress(grpc.aio.AioRpcError):
            await tenant.encode(1)
        took.append((time.perf_counter() - began) * 1e3)

    async with asyncio.TaskGroup() as group:
        for _ in range(round(seconds / _EVERY_S)):
            group.create_task(one())
            await asyncio.sleep(_EVERY_S)
    return took


async def _measure(address: str, options: argparse.Namespace) -> None:
    flood, quiet = Tenant(address, "flood"), Tenant(address, "quiet")
    alone: list[float] = []
    beside: list[float] = []
    speeds: list[float] = []
    await _quiet(quiet, _WARM_S)
    for _ in range(options.rounds):
        alone += await _quiet(quiet, options.seconds)
        async with _flood(flood, options.flood, options.chunk) as answered:
            await asyncio.sleep(_WARM_S)
            before, since = answered[0], time.perf_counter()
            beside += await _quiet(quiet, options.seconds)
            speeds.append((answered[0] - before) / (time.perf_counter() - since))
    print(f"flood of {options.flood}: {statistics.median(speeds):.0f} texts/s")
    for percent in (50, 99):
        one, other = (_percentile(each, percent) for each in (alone, beside))
        print(f"p{percent}  alone {one:7.1f} ms   beside {other:7.1f} ms   {other / one:6.1f}x")


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of a round")
    parser.add_argument("--flood", type=int, default=2000, help="items outstanding")
    parser.add_argument("--chunk", type=int, default=32, help="items of a request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tokens = Path(folder) / "tokens.yaml"
        tokens.write_text(_TOKENS)
        env = {"SIE_AUTH_MODE": "static", "SIE_AUTH_FILE": str(tokens)}
        with LocalStack(Path(folder) / "stack", cache_dir=_CACHE, env=env) as stack:
            stack.start(workers=1)
            asyncio.run(_measure(stack.grpc_address, options))


if __name__ == "__main__":
    main()

"""Twice what the cluster can do, from 500 clients, and clients that behave badly.

    python benchmarks/overload.py [--seconds 120] [--clients 500] [--max-wait 2]

    calm       a few clients, one request after the other: capacity, and latency alone
    overload   requests arrive at twice that rate whatever becomes of them
    after      a few clients again
    bad        beside a few clients, others read slowly, send slowly, or vanish

Clients, gateway, broker and worker share one machine, so latencies include the clients' own.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import http_client
import orjson
import texts
import uvloop

from cli.local_stack import DEFAULT_MODEL, LocalStack

_CACHE = Path(__file__).resolve().parent.parent / ".sie" / "cache"
_PATH = http_client.encode_path(DEFAULT_MODEL)
_FEW = 16
_WORDS = 24
_TIMEOUT_S = 30.0
_BAD = 50


class Ended(NamedTuple):
    """A request: when it ended, how long it took, its status, and Retry-After."""

    at: float
    seconds: float
    status: int
    retry_after: bytes


class Client:
    """One keep-alive connection.

    Args:
        address: of the gateway.
        bodies: what is sent.
        ended: where requests are noted.
    """

    def __init__(self, address: str, bodies: Callable[[], bytes], ended: list[Ended]) -> None:
        self._address = address
        self._bodies = bodies
        self._ended = ended
        self._prefix = http_client.head(address, _PATH)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        """One request."""
        body, began = self._bodies(), time.perf_counter()
        if self._streams is None:
            host, port = self._address.split(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        writer.write(b"%b%d\r\n\r\n%b" % (self._prefix, len(body), body))
        top = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _TIMEOUT_S)).lower()
        await reader.readexactly(int(_header(top, b"content-length")))
        now = time.perf_counter()
        status = int(top.split(b" ", 2)[1])
        self._ended.append(Ended(now, now - began, status, _header(top, b"retry-after")))


def _header(top: bytes, name: bytes) -> bytes:
    _, _, rest = top.partition(b"\r\n" + name + b": ")
    return rest.split(b"\r\n", 1)[0]


class Scene:
    """A running cluster and what is asked of it.

    Args:
        stack: the cluster.
    """

    def __init__(self, stack: LocalStack) -> None:
        self._stack = stack
        corpus = texts.mixed(512, _WORDS // 2, _WORDS)
        self._bodies = itertools.cycle([orjson.dumps({"items": [{"text": t}]}) for t in corpus])

    def _client(self, ended: list[Ended]) -> Client:
        return Client(self._stack.http_address, self._bodies.__next__, ended)

    async def calm(self, seconds: float, clients: int = _FEW) -> list[Ended]:
        """Clients that ask one request after the other."""
        ended: list[Ended] = []
        end = time.perf_counter() + seconds

        async def ask() -> None:
            client = self._client(ended)
            while time.perf_counter() < end:
                await client.ask()

        await asyncio.gather(*(ask() for _ in range(clients)))
        return ended

    async def overload(self, seconds: float, rate: float, clients: int) -> list[Ended]:
        """Requests that arrive at a rate, each by a client that has none in flight."""
        ended: list[Ended] = []
        idle = [self._client(ended) for _ in range(clients)]
        tasks: set[asyncio.Task[None]] = set()
        arrivals, start = random.Random(1), time.perf_counter()  # noqa: S311 - a benchmark

        async def ask(client: Client) -> None:
            await client.ask()
            idle.append(client)

        due = start
        while due < start + seconds:
            due += arrivals.expovariate(rate)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if idle:
                tasks.add(task := asyncio.create_task(ask(idle.pop(0))))
                task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        return ended

    async def badly(self, seconds: float) -> list[Ended]:
        """Calm clients beside those that behave badly; returns the calm ones' requests."""
        kinds = (self._reads_slowly, self._sends_slowly, self._vanishes)
        others = [asyncio.create_task(kind()) for kind in kinds for _ in range(_BAD)]
        await asyncio.sleep(1.0)
        ended = await self.calm(seconds)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return ended

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._stack.http_address.split(":")
        return await asyncio.open_connection(host, int(port), limit=1024)

    def _whole(self) -> bytes:
        body = next(self._bodies)
        prefix = http_client.head(self._stack.http_address, _PATH)
        return b"%b%d\r\n\r\n%b" % (prefix, len(body), body)

    async def _reads_slowly(self) -> None:
        reader, writer = await self._connect()
        writer.write(self._whole())
        while await reader.read(16):  # noqa: ASYNC110 - it is this client that is slow
            await asyncio.sleep(1.0)

    async def _sends_slowly(self) -> None:
        _, writer = await self._connect()
        for byte in self._whole():
            writer.write(bytes([byte]))
            await asyncio.sleep(0.2)

    async def _vanishes(self) -> None:
        while True:
            _, writer = await self._connect()
            writer.write(self._whole())
            await asyncio.sleep(0.01)
            writer.transport.abort()
            await asyncio.sleep(5.0)

    def memory(self) -> str:
        """What every process has resident, in MB."""
        sizes = {name: _resident_mb(each.pid) for name, each in self._stack.processes.items()}
        return ", ".join(f"{name} {size:.0f}" for name, size in sorted(sizes.items()))


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def _spread(ended: Sequence[Ended]) -> str:
    if len(ended) < 2:
        return "too few"
    cuts = statistics.quantiles((each.seconds for each in ended), n=100)
    return f"p50 {cuts[49] * 1e3:.0f}  p99 {cuts[98] * 1e3:.0f} ms"


def _show(label: str, value: str) -> None:
    print(f"{label:<34} {value}", flush=True)


def _show_overload(ended: list[Ended], seconds: float) -> None:
    start = min(each.at - each.seconds for each in ended)
    answered = [each for each in ended if each.status == 200]
    refused = [each for each in ended if each.status == 503]
    other = {each.status for each in ended} - {200, 503}
    _show("  asked", f"{len(ended) / seconds:.0f}/s")
    _show("  answered", f"{len(answered) / seconds:.0f}/s, {_spread(answered)}")
    for name, low in (("second", 0.25), ("last", 0.75)):
        part = [each for each in answered if low <= (each.at - start) / seconds < low + 0.25]
        _show(f"    in the {name} quarter", _spread(part))
    _show("  refused", f"{len(refused) / seconds:.0f}/s, {_spread(refused)}")
    told = sum(bool(each.retry_after) for each in refused)
    _show("    with Retry-After", f"{told} of {len(refused)}")
    _show("  anything else", str(other or "nothing"))


async def _run(stack: LocalStack, options: argparse.Namespace) -> None:
    scene = Scene(stack)
    await scene.calm(3.0)
    calm = await scene.calm(10.0)
    capacity = len(await scene.calm(10.0, 64)) / 10.0
    _show(f"calm, {_FEW} clients", f"{len(calm) / 10.0:.0f}/s, {_spread(calm)}")
    _show("capacity, 64 clients", f"{capacity:.0f}/s")
    _show("resident before, MB", scene.memory())
    print(f"overload, {options.clients} clients, {options.seconds:.0f} s", flush=True)
    ended = await scene.overload(options.seconds, 2 * capacity, options.clients)
    _show_overload(ended, options.seconds)
    _show("resident after, MB", scene.memory())
    after = await scene.calm(10.0)
    _show(f"after, {_FEW} clients", f"{len(after) / 10.0:.0f}/s, {_spread(after)}")
    bad = await scene.badly(10.0)
    label = f"beside {3 * _BAD} bad clients"
    _show(label, f"{len(bad) / 10.0:.0f}/s, {_spread(bad)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="of overload")
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--max-wait", type=float, default=2.0, help="SIE_MAX_WAIT_S")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sie-bench-") as directory,
        LocalStack(
            Path(directory), cache_dir=_CACHE, env={"SIE_MAX_WAIT_S": str(options.max_wait)}
        ) as stack,
    ):
        stack.start()
        uvloop.run(_run(stack, options))


if __name__ == "__main__":
    main()

"""Twice as much as a cluster can do, from many clients at once; then clients that misbehave.

python benchmarks/overload.py [--clients 500] [--seconds 120]

What is more than capacity is to be refused at once, with Retry-After; what is accepted keeps its
latency; memory stays flat; and after it all is as before. Each request gives itself a second.
"""

import argparse
import asyncio
import contextlib
import itertools
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import NamedTuple

import http_client
import orjson
import texts
import uvloop

from cli.local_stack import DEFAULT_MODEL, LocalStack

_CACHE = Path(__file__).resolve().parent.parent / ".sie" / "cache"
_DEADLINE_S = 1.0
_PATIENT_S = 30.0
_MISBEHAVING = 50
_WARM_UP_S = 5.0


class Answer(NamedTuple):
    """How one request went."""

    at: float
    status: int
    seconds: float
    retry_after: bool


class Client:
    """One keep-alive connection."""

    def __init__(self, address: str, deadline_s: float) -> None:
        self._address = address
        path = http_client.encode_path(DEFAULT_MODEL)
        head = http_client.head(address, path).decode()
        timeout = f"x-request-timeout: {deadline_s}\r\ncontent-length: "
        self._head = head.replace("content-length: ", timeout).encode()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, body: bytes) -> Answer:
        """Sends one request and reads its answer."""
        if self._streams is None:
            host, port = self._address.split(":")
            self._streams = await asyncio.open_connection(host, int(port))
        reader, writer = self._streams
        began = time.perf_counter()
        writer.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        ended = time.perf_counter()
        return Answer(
            ended, int(head.split(b" ", 2)[1]), ended - began, b"\r\nretry-after:" in head
        )

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def load(
    address: str, clients: int, rate: float, seconds: float, deadline_s: float = _DEADLINE_S
) -> list[Answer]:
    """Requests at a rate that does not depend on the answers, while there are clients free."""
    corpus = texts.mixed(512)
    bodies = itertools.cycle([orjson.dumps({"items": [{"text": text}]}) for text in corpus])
    answers: list[Answer] = []
    start = time.perf_counter()

    async def client(number: int) -> None:
        connection = Client(address, deadline_s)
        every = clients / rate if rate else 0.0
        due = start + every * number / clients
        while due < start + seconds and time.perf_counter() < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            answers.append(await connection.ask(next(bodies)))
            due = max(due + every, time.perf_counter()) if rate else time.perf_counter()
        connection.close()

    await asyncio.gather(*(client(number) for number in range(clients)))
    return answers


@contextlib.asynccontextmanager
async def misbehaving(address: str) -> AsyncIterator[None]:
    """Clients that send a byte now and then, read nothing, or go away, until the end."""
    host, port = address.split(":")
    body = orjson.dumps({"items": [{"text": texts.mixed(1)[0]}]})
    request = b"%b%d\r\n\r\n" % (
        http_client.head(address, http_client.encode_path(DEFAULT_MODEL)),
        len(body),
    )

    async def slow_sender() -> None:
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                for byte in request:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.2)
                writer.close()

    async def never_reads() -> None:
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        del reader
        writer.write(request + body)
        await asyncio.sleep(3600)

    async def vanishing() -> None:
        while True:
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(request + body)
            await asyncio.sleep(0.01)
            writer.transport.abort()
            await asyncio.sleep(10)

    kinds = (slow_sender, never_reads, vanishing)
    tasks = [asyncio.create_task(kind()) for kind in kinds for _ in range(_MISBEHAVING)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def measure(stack: LocalStack, clients: int, seconds: float) -> None:
    """Every phase, with its line of figures."""
    address = stack.http_address
    await load(address, 32, 0, _WARM_UP_S / 2, _PATIENT_S)
    flat_out = await load(address, 32, 0, _WARM_UP_S, _PATIENT_S)
    capacity = len([each for each in flat_out if each.status == 200]) / _WARM_UP_S
    print(f"capacity: {capacity:.0f} requests/s of one text")
    half = await load(address, 16, capacity / 2, _WARM_UP_S)
    _row("at half of it", half)
    before = _memory_mb(stack)
    halfway: dict[str, float] = {}

    async def look() -> None:
        await asyncio.sleep(seconds / 2)
        halfway.update(_memory_mb(stack))

    looking = asyncio.create_task(look())
    overload = await load(address, clients, 2 * capacity, seconds)
    await looking
    _row(f"{clients} clients, twice as much", overload)
    after = _memory_mb(stack)
    _row("the second after", await load(address, 16, capacity / 2, 1.0))
    alone = await load(address, 16, capacity / 4, _WARM_UP_S)
    _row("at a quarter", alone)
    async with misbehaving(address):
        await asyncio.sleep(2)
        beside = await load(address, 16, capacity / 4, 2 * _WARM_UP_S)
    _row(f"beside {3 * _MISBEHAVING} that misbehave", beside)
    for name in before:
        print(f"{name}: {before[name]:.0f} MB, {halfway[name]:.0f} halfway, {after[name]:.0f} MB")


def _row(name: str, answers: Sequence[Answer]) -> None:
    ok = sorted(each.seconds * 1e3 for each in answers if each.status == 200)
    refused = sorted(each.seconds * 1e3 for each in answers if each.status in (429, 503))
    told = all(each.retry_after for each in answers if each.status in (429, 503))
    print(f"{name}: {dict(Counter(each.status for each in answers))}")
    if ok:
        print(f"  answered: p50 {statistics.median(ok):.1f} ms, p99 {_p99(ok):.1f} ms")
    if refused:
        print(
            f"  refused: p50 {statistics.median(refused):.1f} ms, p99 {_p99(refused):.1f} ms, "
            f"{'each' if told else 'NOT each'} with Retry-After",
            flush=True,
        )


def _p99(ordered: Sequence[float]) -> float:
    return ordered[int(len(ordered) * 0.99)]


def _memory_mb(stack: LocalStack) -> dict[str, float]:
    found = {}
    for name, process in stack.processes.items():
        fields = Path(f"/proc/{process.pid}/status").read_text().splitlines()
        found[name] = next(int(f.split()[1]) for f in fields if f.startswith("VmRSS")) / 1024
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=120.0)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sie-overload-") as directory,
        LocalStack(Path(directory), cache_dir=_CACHE) as stack,
    ):
        stack.start()
        uvloop.run(measure(stack, options.clients, options.seconds))


if __name__ == "__main__":
    main()

"""Watchers of the registry in processes of their own, each with a connection of its own."""

import asyncio
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import grpc

from sie.registry.v1.registry_service_pb2 import WatchRegistryRequest, WatchRegistryResponse
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Each watcher has a connection of its own, as each process of a cluster has.
    ("grpc.use_local_subchannel_pool", 1),
]
_PROCESSES = 2
_LONGEST_WAIT_S = 120.0


class Watchers:
    """Watchers in processes of their own, half of them in each.

    Args:
        address: of the config service.
        count: how many.
    """

    def __init__(self, address: str, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[Connection] = []
        self._processes = []
        for index in range(_PROCESSES):
            ours, theirs = context.Pipe()
            share = count // _PROCESSES + (index < count % _PROCESSES)
            process = context.Process(target=_watch, args=(address, share, theirs), daemon=True)
            process.start()
            self._ends.append(ours)
            self._processes.append(process)

    def joined(self) -> list[float]:
        """When each watcher had its snapshot, once all have."""
        return [at for end in self._ends for at in end.recv()]

    def seen(self, last_revision: int) -> dict[int, list[float]]:
        """When each watcher saw each revision, once all have seen the last; ends them."""
        found: dict[int, list[float]] = {}
        for end in self._ends:
            end.send(last_revision)
        for end in self._ends:
            for revision, times in end.recv().items():
                found.setdefault(revision, []).extend(times)
        for process in self._processes:
            process.join(10)
        return found


def _watch(address: str, count: int, end: Connection) -> None:
    asyncio.run(_watch_all(address, count, end))


async def _watch_all(address: str, count: int, end: Connection) -> None:
    joined: list[float] = []
    seen: dict[int, list[float]] = {}
    positions = [0] * count

    async def follow(index: int) -> None:
        async with grpc.aio.insecure_channel(address, options=OPTIONS) as channel:
            request = WatchRegistryRequest(watcher_id=f"benchmark/{index}")
            async for response in RegistryServiceStub(channel).WatchRegistry(request):
                positions[index] = _take(response, joined, seen) or positions[index]

    tasks = [asyncio.create_task(follow(index)) for index in range(count)]
    await _until(lambda: len(joined) == count)
    end.send(joined)
    last = await asyncio.to_thread(end.recv)
    await _until(lambda: min(positions) >= last)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    end.send(seen)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_LONGEST_WAIT_S):
        while not condition():  # noqa: ASYNC110 - a condition of many tasks
            await asyncio.sleep(0.02)


def _take(
    response: WatchRegistryResponse, joined: list[float], seen: dict[int, list[float]]
) -> int:
    now = time.monotonic()
    kind = response.WhichOneof("update")
    if kind == "snapshot":
        joined.append(now)
        return response.snapshot.revision
    events = [response.event] if kind == "event" else list(response.events.events)
    for event in events:
        seen.setdefault(event.revision, []).append(now)
    return events[-1].revision if events else 0

"""What the control plane costs: a large registry, many watchers, and how fast a change is seen.

python benchmarks/control_plane.py [--models 10000] [--watchers 500] [--applies 200]

One broker and one config service; watchers are connections of their own, in processes of
their own. Times are on one clock: a change's begins when its ApplyModel is sent.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc

from cli.local_stack import LocalStack
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import ApplyModelRequest, ImportRegistryRequest
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_document_pb2 import RegistryDocument
from sie.registry.v1.registry_service_pb2 import WatchRegistryRequest, WatchRegistryResponse
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

_PROCESSES = 2
_BETWEEN_APPLIES_S = 0.05
_LONGEST_WAIT_S = 120.0
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # Each watcher has a connection of its own, as each process of a cluster has.
    ("grpc.use_local_subchannel_pool", 1),
]


def model(number: int, tokens: int = 512) -> Model:
    """A definition of ordinary size."""
    made = Model(model_id=f"org-{number % 100}/model-{number:05}", max_sequence_length=tokens)
    source = made.sources.add()
    source.hugging_face.repo = made.model_id
    source.hugging_face.revision = f"{number:040x}"
    source.sha256["model.safetensors"] = f"{number:064x}"
    made.tasks.encode.dense.dims = 384
    made.profiles["default"].query_prompt = "query: "
    made.profiles["long"].extends = "default"
    made.bundles.append("default")
    return made


@dataclass
class Process:
    """What the system counts of a process."""

    pid: int

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def memory_mb(self) -> float:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0


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
        async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
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


class Bench:
    """Steps of the run, each of which adds rows to the table."""

    def __init__(self, address: str, config: Process, arguments: argparse.Namespace) -> None:
        self._config = config
        self._address = address
        self._arguments = arguments
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._admin = RegistryAdminServiceStub(self._channel)
        self.rows: list[tuple[str, str]] = []

    def run(self) -> None:
        self._apply_alone("apply, 1 model")
        self._import()
        self._apply_alone(f"apply, {self._arguments.models} models")
        watchers = self._join()
        self._apply_watched(watchers)
        self._channel.close()

    def _import(self) -> None:
        models = [model(number) for number in range(self._arguments.models)]
        request = ImportRegistryRequest(registry=RegistryDocument(models=models))
        started, cpu = time.monotonic(), self._config.cpu_s()
        self._admin.ImportRegistry(request)
        took = time.monotonic() - started
        rate = len(models) / took
        self._row(f"import of {len(models)} models", f"{took:.1f} s, {rate:.0f}/s")
        self._cost("  config service", cpu)

    def _apply_alone(self, label: str) -> None:
        times = [reply - sent for sent, reply, _ in self._applies()]
        self._row(label, _spread(times))

    def _join(self) -> Watchers:
        count = self._arguments.watchers
        started, cpu = time.monotonic(), self._config.cpu_s()
        watchers = Watchers(self._address, count)
        joined = watchers.joined()
        # The first snapshot tells when the watchers' processes were up.
        took = max(joined) - min(joined)
        self._row(f"{count} watchers have a snapshot", f"{took:.2f} s from first to last")
        self._row("  with their processes", f"{max(joined) - started:.1f} s")
        self._cost("  config service", cpu)
        return watchers

    def _apply_watched(self, watchers: Watchers) -> None:
        cpu, started = self._config.cpu_s(), time.monotonic()
        applied = self._applies()
        seen = watchers.seen(applied[-1][2])
        took = time.monotonic() - started
        count = self._arguments.watchers
        short = [revision for _, _, revision in applied if len(seen[revision]) != count]
        assert not short, f"revisions lost or repeated: {short}"
        self._row(f"apply, {count} watchers", _spread([reply - sent for sent, reply, _ in applied]))
        half = [statistics.median(seen[revision]) - sent for sent, _, revision in applied]
        self._row("  seen by half of them", _spread(half))
        last = [max(seen[revision]) - sent for sent, _, revision in applied]
        self._row("  seen by all of them", _spread(last))
        self._cost(f"  config service, {len(applied) / took:.0f} applies/s", cpu)

    def _applies(self) -> list[tuple[float, float, int]]:
        """Sent, answered and revision of one change after the other."""
        found = []
        for number in range(self._arguments.applies):
            changed = model(number % 10, tokens=int(time.monotonic() * 1e6) % 2**31)
            sent = time.monotonic()
            response = self._admin.ApplyModel(ApplyModelRequest(model=changed))
            found.append((sent, time.monotonic(), response.revision))
            time.sleep(_BETWEEN_APPLIES_S)
        return found

    def _cost(self, label: str, cpu_before: float) -> None:
        used = self._config.cpu_s() - cpu_before
        self._row(label, f"{used:.2f} s CPU, {self._config.memory_mb():.0f} MB")

    def _row(self, label: str, value: str) -> None:
        self.rows.append((label, value))
        print(f"{label:<36} {value}", flush=True)


def _spread(seconds: Sequence[float]) -> str:
    cuts = [cut * 1e3 for cut in statistics.quantiles(seconds, n=100)]
    return f"p50 {cuts[49]:.1f}  p99 {cuts[98]:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--applies", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, LocalStack(Path(name)) as stack:
        stack.start_broker()
        config: Any = stack.start_config()
        config.wait_ready(60)
        bench = Bench(stack.config_address, Process(config.pid), arguments)
        bench.run()
        started = time.monotonic()
        stack.processes["config"].kill()
        stack.processes["config"].wait(10)
        stack.start_config().wait_ready(120)
        print(f"{'restart after kill, until ready':<36} {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()

"""What the control plane costs: a large registry, many watchers, pools and workers.

python benchmarks/control_plane [--models 10000] [--watchers 500] [--pools 200] [--workers 300]

One broker, one config service and one gateway; watchers and simulated workers are in processes
of their own. Times are on one clock: a change's begins when its request is sent.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import grpc
from pools import Pools
from process import Process
from watchers import OPTIONS, Watchers
from workers import HOSTED, Workers

from cli.local_stack import LocalStack
from sie.inference.v1.inference_service_pb2 import EncodeRequest
from sie.inference.v1.inference_service_pb2_grpc import InferenceServiceStub
from sie.inference.v1.item_pb2 import Item
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_admin_service_pb2 import ApplyModelRequest, ImportRegistryRequest
from sie.registry.v1.registry_admin_service_pb2_grpc import RegistryAdminServiceStub
from sie.registry.v1.registry_document_pb2 import RegistryDocument

_BETWEEN_APPLIES_S = 0.05
_IDLE_S = 5.0
_MACHINE_PROFILE = "cpu"
_DEATHS = 30
_WAITED_FOR = 20
_SETTLE_S = 1.0


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


class Bench:
    """Steps of the run, each of which adds rows to the table."""

    def __init__(self, stack: LocalStack, arguments: argparse.Namespace) -> None:
        self._stack = stack
        self._config = Process(stack.processes["config"].pid)
        self._arguments = arguments
        self._channel = grpc.insecure_channel(stack.config_address, options=OPTIONS)
        self._admin = RegistryAdminServiceStub(self._channel)

    def run(self) -> None:
        self._apply_alone("apply, 1 model")
        self._import()
        self._apply_alone(f"apply, {self._arguments.models} models")
        gateway = Process(self._stack.start_gateway("gateway-1").pid)
        watchers = self._join()
        workers = self._beat(gateway)
        self._reserve(workers, gateway)
        self._apply_watched(watchers)
        workers.close()
        self._channel.close()

    def _beat(self, gateway: Process) -> Workers:
        count = self._arguments.workers
        workers = Workers(self._stack.nats_url, self._stack.config_address, _MACHINE_PROFILE, count)
        self._idle(f"{count} workers beat", gateway)
        self._wait(gateway)
        return workers

    def _wait(self, gateway: Process) -> None:
        """Rows of what it costs that requests wait beside heartbeats: they are looked after."""
        with grpc.insecure_channel(self._stack.grpc_address) as channel:
            encode = InferenceServiceStub(channel).Encode
            requests = [
                EncodeRequest(model=model(number).model_id, items=[Item(text="hello")])
                for number in HOSTED[:_WAITED_FOR]
            ]
            calls = [encode.future(request, timeout=3 * _IDLE_S) for request in requests]
            time.sleep(_SETTLE_S)
            self._idle(f"requests wait for {len(calls)} models", gateway)
            assert not any(call.done() for call in calls), "a request did not wait"
            for call in calls:
                call.cancel()

    def _reserve(self, workers: Workers, gateway: Process) -> None:
        count = self._arguments.pools
        pools, cpu = Pools(self._channel, _MACHINE_PROFILE), self._config.cpu_s()
        times = pools.create(count)
        self._row(f"{count} pools, created", _spread([created for created, _ in times]))
        self._row("  until each has its worker", _spread([active for _, active in times]))
        self._cost("  config service", cpu)
        self._idle(f"{count} pools, {self._arguments.workers} workers", gateway)
        whole = pools.replace(workers, _DEATHS)
        self._row(f"{_DEATHS} workers die, until replaced", f"{whole:.1f} s")

    def _idle(self, label: str, gateway: Process) -> None:
        """Rows of what processes use that nobody asks anything."""
        watched = {"config service": self._config, "gateway": gateway}
        before = {name: process.cpu_s() for name, process in watched.items()}
        time.sleep(_IDLE_S)
        for name, process in watched.items():
            share = (process.cpu_s() - before[name]) / _IDLE_S
            self._row(f"{label}: {name}", f"{share:.0%} of a core, {process.memory_mb():.0f} MB")

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
        watchers = Watchers(self._stack.config_address, count)
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
        print(f"{label:<44} {value}", flush=True)


def _spread(seconds: Sequence[float]) -> str:
    cuts = [cut * 1e3 for cut in statistics.quantiles(seconds, n=100)]
    return f"p50 {cuts[49]:.1f}  p99 {cuts[98]:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=10_000)
    parser.add_argument("--watchers", type=int, default=500)
    parser.add_argument("--applies", type=int, default=200)
    parser.add_argument("--pools", type=int, default=200)
    parser.add_argument("--workers", type=int, default=300)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, LocalStack(Path(name)) as stack:
        stack.start_broker()
        stack.start_config().wait_ready(60)
        Bench(stack, arguments).run()
        started = time.monotonic()
        stack.processes["config"].kill()
        stack.processes["config"].wait(10)
        stack.start_config().wait_ready(120)
        print(f"{'restart after kill, until ready':<44} {time.monotonic() - started:.1f} s")


if __name__ == "__main__":
    main()

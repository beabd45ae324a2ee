"""Where models and memory are, by the workers' own word; the same on every gateway."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import WorkerStatus


class HostingGauge(Collector):
    """Memory of each worker, and workers of each model.

    Args:
        workers: those alive.
    """

    def __init__(self, workers: Callable[[], Iterable[WorkerStatus]]) -> None:
        self._workers = workers
        # A series that was there once falls to 0 and does not vanish.
        self._models: set[str] = set()

    def collect(self) -> Iterator[GaugeMetricFamily]:
        workers = list(self._workers())
        memory = GaugeMetricFamily(
            "sie_gateway_worker_memory_used_bytes",
            "Memory in use on a worker's devices",
            labels=["worker", "machine_profile", "bundle"],
        )
        for worker in workers:
            used = sum(device.memory_used_bytes for device in worker.devices)
            labels = [worker.worker_id, worker.machine_profile, worker.bundle]
            memory.add_metric(labels, float(used))
        yield memory
        hosts = Counter(
            entry.model_id
            for worker in workers
            for entry in worker.models
            if entry.state == ModelState.MODEL_STATE_LOADED
        )
        self._models |= hosts.keys()
        gauge = GaugeMetricFamily(
            "sie_gateway_model_workers", "Workers that have a model loaded", labels=["model"]
        )
        for model_id in sorted(self._models):
            gauge.add_metric([model_id], float(hosts[model_id]))
        yield gauge

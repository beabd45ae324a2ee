"""The cluster as clients of this field read it: `/health`, and a frame each second over WebSocket.

Workers have no addresses here, so `url` names them by their ids.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from gateway.auth.principal import Principal
from gateway.http_response import Response, json_response
from servicekit.registry_view import RegistryView
from servicekit.workers import WorkerDirectory
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus


class ClusterStatus:
    """What the gateway knows of its cluster, as JSON.

    Args:
        view: the registry.
        workers: those alive.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self, view: RegistryView, workers: WorkerDirectory, clock: Callable[[], float] = time.time
    ) -> None:
        self._view = view
        self._workers = workers
        self._clock = clock

    def health(self, reader: Principal) -> Response:
        """`/health`: healthy with at least one worker that takes work, else degraded; 200 both.

        Args:
            reader: sees the models that he may use.
        """
        workers = _sorted(self._workers.live())
        healthy = any(map(_is_healthy, workers))
        return json_response(
            {
                "status": "healthy" if healthy else "degraded",
                "type": "gateway",
                "configured_gpu_types": sorted(self._view.machine_profiles),
                "live_gpu_types": sorted({w.machine_profile for w in workers if _is_healthy(w)}),
                **self._describe(workers, reader),
            }
        )

    def frame(self, reader: Principal) -> str:
        """One frame of `/ws/cluster-status` for a reader."""
        described = self._describe(_sorted(self._workers.live()), reader)
        return orjson.dumps({"timestamp": self._clock(), **described}).decode()

    def _describe(self, workers: Sequence[WorkerStatus], reader: Principal) -> dict[str, Any]:
        models = _models(workers, reader)
        return {
            "cluster": {
                "worker_count": sum(map(_is_healthy, workers)),
                "gpu_count": sum(self._gpus(worker) for worker in workers),
                "models_loaded": len(models),
            },
            "workers": [self._worker(worker, reader) for worker in workers],
            "models": models,
        }

    def _worker(self, worker: WorkerStatus, reader: Principal) -> dict[str, Any]:
        return {
            "name": worker.worker_id,
            "url": f"worker://{worker.worker_id}",
            "gpu": worker.machine_profile,
            "gpu_count": self._gpus(worker),
            "pool": worker.pool,
            "bundle": worker.bundle,
            "healthy": _is_healthy(worker),
            "loaded_models": sorted(filter(reader.sees, _loaded(worker))),
            "queue_depth": sum(model.queued_items for model in worker.models),
            "memory_used_bytes": sum(device.memory_used_bytes for device in worker.devices),
            "memory_total_bytes": sum(device.memory_total_bytes for device in worker.devices),
            "revision": worker.registry_revision,
            "version": worker.version,
        }

    def _gpus(self, worker: WorkerStatus) -> int:
        profile = self._view.machine_profiles.get(worker.machine_profile)
        return len(worker.devices) if profile is not None and profile.gpu_type else 0


def _models(workers: Sequence[WorkerStatus], reader: Principal) -> list[dict[str, Any]]:
    hosts: dict[str, list[WorkerStatus]] = {}
    for worker in workers:
        for name in filter(reader.sees, _loaded(worker)):
            hosts.setdefault(name, []).append(worker)
    return [
        {
            "name": name,
            "state": "loaded",
            "worker_count": len(hosts[name]),
            "gpu_types": sorted({worker.machine_profile for worker in hosts[name]}),
            "total_queue_depth": sum(_queued(worker, name) for worker in hosts[name]),
        }
        for name in sorted(hosts)
    ]


def _sorted(workers: Iterable[WorkerStatus]) -> list[WorkerStatus]:
    return sorted(workers, key=lambda worker: worker.worker_id)


def _is_healthy(worker: WorkerStatus) -> bool:
    return worker.state == WorkerState.WORKER_STATE_READY


def _loaded(worker: WorkerStatus) -> set[str]:
    loaded = ModelState.MODEL_STATE_LOADED
    return {model.model_id for model in worker.models if model.state == loaded}


def _queued(worker: WorkerStatus, name: str) -> int:
    return sum(model.queued_items for model in worker.models if model.model_id == name)

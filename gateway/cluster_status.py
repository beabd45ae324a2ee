"""The cluster as clients of this field read it: `/health`, and a frame each second over WebSocket.

Workers have no addresses here, so `url` names them by their ids.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import orjson

from gateway.auth.principal import Principal
from gateway.http.response import Response, json_response
from gateway.lane_status import LaneStatus
from gateway.peers import Peers
from gateway.pools import pools_of
from gateway.transcoder.json_out import renderer
from gateway.transcoder.names import descriptor_of
from gateway.worker_gauges import queued_on
from servicekit.registry_view import RegistryView
from servicekit.workers import WorkerDirectory
from sie.gateway.v1.gateway_status_pb2 import GatewayStatus
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import Pool
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

_render_pool = renderer(descriptor_of(Pool))
# Looked up once: members of an enum are found by a search through it.
_READY = WorkerState.WORKER_STATE_READY
_LOADED, _FAILED = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_FAILED

# Viewers who may see the same share a frame for so long: of 300 workers it takes tens of ms.
_FRAME_KEPT_S = 0.5


class ClusterStatus:
    """What the gateway knows of its cluster, as JSON.

    Args:
        view: the registry.
        workers: those alive.
        peers: the gateways.
        lanes: the lanes.
        broker_connected: whether this gateway has the broker.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        view: RegistryView,
        workers: WorkerDirectory,
        peers: Peers,
        lanes: LaneStatus,
        broker_connected: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._view = view
        self._workers = workers
        self._peers = peers
        self._lanes = lanes
        self._broker_connected = broker_connected
        self._clock = clock
        self._frames: dict[Principal, tuple[float, str]] = {}

    def health(self, reader: Principal) -> Response:
        """`/health`: healthy with at least one worker that takes work, else degraded; 200 both.

        Args:
            reader: sees the models and pools that he may use.
        """
        workers = _sorted(self._workers.live())
        healthy = any(map(_is_healthy, workers))
        return json_response(
            {
                "status": "healthy" if healthy else "degraded",
                "type": "gateway",
                "configured_gpu_types": sorted(self._view.machine_profiles),
                "live_gpu_types": sorted({w.machine_profile for w in workers if _is_healthy(w)}),
                "broker": {"connected": self._broker_connected()},
                "config_service": {
                    "connected": self._view.connected,
                    "version": self._view.server_version,
                },
                "gateways": [self._gateway(gateway) for gateway in self._peers.live()],
                **self._describe(workers, reader),
            }
        )

    def frame(self, reader: Principal) -> str:
        """One frame of `/ws/cluster-status` for a reader."""
        now = self._clock()
        self._frames = {
            viewer: made
            for viewer, made in self._frames.items()
            if 0 <= now - made[0] < _FRAME_KEPT_S
        }
        if reader not in self._frames:
            described = self._describe(_sorted(self._workers.live()), reader)
            text = orjson.dumps({"timestamp": now, **described}).decode()
            self._frames[reader] = now, text
        return self._frames[reader][1]

    def _describe(self, workers: Sequence[WorkerStatus], reader: Principal) -> dict[str, Any]:
        models = _models(workers, reader)
        pools = pools_of(self._view, self._workers, reader)
        return {
            "cluster": {
                "worker_count": sum(map(_is_healthy, workers)),
                "gpu_count": sum(self._gpus(worker) for worker in workers),
                "models_loaded": len(models),
            },
            "workers": [self._worker(worker, reader) for worker in workers],
            "models": models,
            "lanes": self._lanes.describe(reader),
            "pools": [_render_pool(pools[name]) for name in sorted(pools)],
        }

    def _gateway(self, gateway: GatewayStatus) -> dict[str, Any]:
        return {
            "name": gateway.gateway_id,
            "version": gateway.version,
            "revision": gateway.registry_revision,
            "clock_lag_s": _rounded(self._peers.lag_s(gateway.gateway_id)),
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
            "state": WorkerState.Name(worker.state).removeprefix("WORKER_STATE_").lower(),
            "loaded_models": sorted(filter(reader.sees, _loaded(worker))),
            "queue_depth": queued_on(worker),
            "memory_used_bytes": sum(device.memory_used_bytes for device in worker.devices),
            "memory_total_bytes": sum(device.memory_total_bytes for device in worker.devices),
            "engines": sorted({model.engine for model in worker.models if model.engine}),
            "failed_models": _failures(worker, reader),
            "clock_lag_s": _rounded(self._workers.lag_s(worker.worker_id)),
            "revision": worker.registry_revision,
            "version": worker.version,
        }

    def _gpus(self, worker: WorkerStatus) -> int:
        profile = self._view.machine_profiles.get(worker.machine_profile)
        return len(worker.devices) if profile is not None and profile.gpu_type else 0


def _models(workers: Sequence[WorkerStatus], reader: Principal) -> list[dict[str, Any]]:
    hosts: dict[str, list[WorkerStatus]] = {}
    queued: Counter[str] = Counter()
    for worker in workers:
        for model in worker.models:
            if model.state == _LOADED and reader.sees(model.model_id):
                hosts.setdefault(model.model_id, []).append(worker)
                queued[model.model_id] += model.queued_items
    return [
        {
            "name": name,
            "state": "loaded",
            "worker_count": len(hosts[name]),
            "gpu_types": sorted({worker.machine_profile for worker in hosts[name]}),
            "total_queue_depth": queued[name],
        }
        for name in sorted(hosts)
    ]


def _sorted(workers: Iterable[WorkerStatus]) -> list[WorkerStatus]:
    return sorted(workers, key=lambda worker: worker.worker_id)


def _is_healthy(worker: WorkerStatus) -> bool:
    return worker.state == _READY


def _failures(worker: WorkerStatus, reader: Principal) -> list[dict[str, str]]:
    """Models that could not be loaded, and why, of those that the reader sees."""
    return [
        {
            "name": model.model_id,
            "error_class": model.last_error.metadata.get("error_class", "UNKNOWN"),
            "message": model.last_error.message,
        }
        for model in worker.models
        if model.state == _FAILED and reader.sees(model.model_id)
    ]


def _rounded(lag_s: float | None) -> float | None:
    return None if lag_s is None else round(lag_s, 3)


def _loaded(worker: WorkerStatus) -> set[str]:
    return {model.model_id for model in worker.models if model.state == _LOADED}

"""What the cluster has, and waiting for more."""

from collections.abc import Iterable, Mapping
from typing import Any

from sie_sdk._core.failure import Failure, error_of
from sie_sdk._core.plan import Plan, Sleep, Surroundings, once
from sie_sdk._core.rpcs import HEALTH, LIST_MODELS, LIST_POOLS, Call, Reply
from sie_sdk._core.settings import Settings
from sie_sdk.errors import RequestError
from sie_sdk.types import CapacityInfo

_LOOK_EVERY_S = 5.0
_DEFAULT_POOL = "default"


class Capacity:
    """Reads of the cluster.

    Args:
        settings: of the client.
        around: the clock.
    """

    def __init__(self, settings: Settings, around: Surroundings) -> None:
        self._settings = settings
        self._around = around

    def get(self, gpu: str | None = None) -> Plan[CapacityInfo]:
        """The cluster, or its workers of one machine profile."""
        if self._settings.is_grpc:
            health = yield from self._from_pools()
        else:
            health = yield from self._ask(Call(HEALTH, {}))
            if health.get("type") != "gateway":
                raise RequestError(
                    f"{self._settings.url} is not a gateway", code="not_gateway", status_code=200
                )
        return _capacity(health, gpu)

    def wait(self, call: Call, failure: Failure, seconds: float) -> Plan[None]:
        """Waits until a worker may be there for want of which a call was refused.

        That is after `seconds`, or as soon as the cluster shows one: capacity that takes half
        a minute should not be noticed after two.
        """
        wanted = {
            "gpu": failure.metadata.get("gpu") or call.headers.get("x-sie-machine-profile", ""),
            "bundle": failure.metadata.get("bundle", ""),
            "pool": call.headers.get("x-sie-pool") or _DEFAULT_POOL,
        }
        end = self._around.clock() + seconds
        while (left := end - self._around.clock()) > 0:
            yield Sleep(min(left, _LOOK_EVERY_S))
            if left <= _LOOK_EVERY_S or self._settings.is_grpc:
                continue
            outcome = yield from once(Call(HEALTH, {}), self._settings.timeout_s)
            if isinstance(outcome, Reply) and _would_serve(outcome.value, wanted):
                return

    def _from_pools(self) -> Plan[dict[str, Any]]:
        """What `/health` shows, as far as it can be told from calls that gRPC has."""
        pools = yield from self._ask(Call(LIST_POOLS, {}))
        models = yield from self._ask(Call(LIST_MODELS, {}))
        workers = [
            {**worker, "healthy": True, "pool": pool["spec"]["name"]}
            for pool in pools["pools"]
            for worker in pool["status"].get("assigned_workers", [])
        ]
        names = {worker["name"] for worker in workers}
        loaded = sum(bool(model.get("loaded")) for model in models["models"])
        live = sorted({worker["gpu"] for worker in workers})
        return {
            "status": "healthy" if names else "degraded",
            "live_gpu_types": live,
            "cluster": {"models_loaded": loaded},
            "workers": workers,
        }

    def _ask(self, call: Call) -> Plan[Any]:
        outcome = yield from once(call, self._settings.timeout_s)
        if isinstance(outcome, Failure):
            raise error_of(outcome)
        return outcome.value


def _capacity(health: Mapping[str, Any], gpu: str | None) -> CapacityInfo:
    cluster = health.get("cluster", {})
    workers = [worker for worker in health.get("workers", []) if _is_of(worker, gpu)]
    healthy = [worker for worker in workers if worker.get("healthy")]
    info: dict[str, Any] = {
        "status": health.get("status", ""),
        "worker_count": len(healthy),
        "gpu_count": sum(worker.get("gpu_count", 0) for worker in healthy),
        "models_loaded": cluster.get("models_loaded", 0),
        "configured_gpu_types": health.get("configured_gpu_types", []),
        "live_gpu_types": health.get("live_gpu_types", []),
        "workers": workers,
    }
    return info  # type: ignore[return-value]


def _is_of(worker: Mapping[str, Any], gpu: str | None) -> bool:
    if not gpu:
        return True
    pool, separator, profile = gpu.rpartition("/")
    in_pool = not separator or worker.get("pool", pool) == pool
    return in_pool and str(worker.get("gpu", "")).lower() == profile.lower()


def _would_serve(health: Any, wanted: Mapping[str, str]) -> bool:
    """Whether there is a healthy worker with what is wanted; servers may show less of them."""
    if not isinstance(health, Mapping):
        return False
    workers: Iterable[Mapping[str, Any]] = health.get("workers", [])
    return any(
        worker.get("healthy")
        and all(not value or worker.get(key, value) == value for key, value in wanted.items())
        for worker in workers
    )

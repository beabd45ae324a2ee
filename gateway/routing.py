"""Which lane serves a request: a pure function of the registry, the workers and two headers.

model ──► bundles that serve it, by priority ──► lanes with ready workers
                                                  │  pool and machine profile as asked
                                                  ▼
                      hosts the model, then least queued tokens a worker
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from servicekit.workers import lane_of
from servicekit.defaults import DEFAULT_BUNDLE, DEFAULT_BUNDLE_PRIORITY, DEFAULT_POOL
from servicekit.errors import SieError
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import WorkerStatus

MACHINE_PROFILE_HEADER = "x-sie-machine-profile"
POOL_HEADER = "x-sie-pool"


class Wanted(NamedTuple):
    """What the caller asked for; empty means no wish."""

    pool: str
    machine_profile: str


def wanted(metadata: Mapping[str, str]) -> Wanted:
    """Reads the two headers. The profile header also takes `pool/profile`."""
    profile = metadata.get(MACHINE_PROFILE_HEADER, "").strip().lower()
    pool = metadata.get(POOL_HEADER, "").strip().lower()
    if "/" in profile:
        named, profile = profile.split("/", 1)
        pool = pool or named
    return Wanted(pool or DEFAULT_POOL, profile)


def bundles_of(model: Model, bundles: Mapping[str, Bundle]) -> list[str]:
    """Bundles that serve the model, best priority first."""
    names = list(model.bundles) or [DEFAULT_BUNDLE]
    return sorted(names, key=lambda name: (_priority(bundles.get(name)), name))


def _priority(bundle: Bundle | None) -> int:
    return (bundle.priority if bundle else 0) or DEFAULT_BUNDLE_PRIORITY


def route(
    model: Model,
    asked: Wanted,
    bundles: Mapping[str, Bundle],
    machine_profiles: Mapping[str, MachineProfile],
    pools: Iterable[str],
    workers: Sequence[WorkerStatus],
) -> tuple[Lane, bool]:
    """The lane for a request, and whether a worker of it takes work now.

    Raises:
        SieError: GPU_NOT_CONFIGURED or POOL_NOT_FOUND when there is no such thing.
    """
    _check_profile(asked.machine_profile, machine_profiles)
    _check_pool(asked.pool, {DEFAULT_POOL, *pools, *(worker.pool for worker in workers)})
    serving = bundles_of(model, bundles)
    lanes = _lanes(workers, asked)
    for bundle in serving:
        candidates = {lane: ws for lane, ws in lanes.items() if lane.bundle == bundle}
        if candidates:
            return min(candidates, key=lambda lane: _load(candidates[lane], model.model_id)), True
    # Demand always names a concrete profile, so that an autoscaler can act on it.
    profile = asked.machine_profile or min(machine_profiles, default="cpu")
    return Lane(asked.pool, profile, serving[0]), False


def _check_profile(name: str, configured: Mapping[str, MachineProfile]) -> None:
    if name and name not in configured:
        names = sorted(configured)
        raise SieError(
            ErrorReason.ERROR_REASON_GPU_NOT_CONFIGURED,
            f"GPU type '{name}' is not configured in this cluster.",
            gpu=name,
            configured_gpu_types=",".join(names),
        )


def _check_pool(name: str, known: set[str]) -> None:
    if name not in known:
        raise SieError(
            ErrorReason.ERROR_REASON_POOL_NOT_FOUND, f"there is no pool '{name}'", pool=name
        )


def _lanes(workers: Sequence[WorkerStatus], asked: Wanted) -> dict[Lane, list[WorkerStatus]]:
    lanes: dict[Lane, list[WorkerStatus]] = {}
    for worker in workers:
        lane = lane_of(worker)
        if lane.pool == asked.pool and asked.machine_profile in ("", lane.machine_profile):
            lanes.setdefault(lane, []).append(worker)
    return lanes


def _load(workers: Sequence[WorkerStatus], model_id: str) -> tuple[bool, float, str]:
    """Sorts lanes: those that host the model first, then by queued tokens a worker."""
    hosted = any(
        entry.model_id == model_id and entry.state == ModelState.MODEL_STATE_LOADED
        for worker in workers
        for entry in worker.models
    )
    tokens = sum(entry.queued_tokens for worker in workers for entry in worker.models)
    return not hosted, tokens / len(workers), workers[0].machine_profile

"""Which lane serves a request: a pure function of the registry, the workers and two headers.

    [bundle:/]model ──► bundles that serve it, by priority
    pool            ──► workers that are in it, by the registry and by their own word
    machine profile ──► as asked, or its spot variant; else the model's; else any
                              │
                              ▼
         among the lanes with ready workers, the one that would answer first

The best bundle that has a worker is taken, and in it the lane with the least work ahead for
each unit of speed. Equal lanes are ordered by name: every gateway chooses alike.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from servicekit.defaults import DEFAULT_POOL
from servicekit.errors import SieError
from servicekit.machine_profiles import resolve_profile
from servicekit.pools import pool_not_found
from servicekit.registry_reads import bundles_of
from servicekit.subjects import Lane
from servicekit.workers import Standing
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import WorkerState

MACHINE_PROFILE_HEADER = "x-sie-machine-profile"
POOL_HEADER = "x-sie-pool"

# What a name is cut to before it is looked up or shown; all real names are shorter.
_LONGEST_NAME = 80

# Assumed of an item that waits, and of a worker that has not measured its speed yet.
_TOKENS_PER_ITEM = 64.0
_TOKENS_PER_SECOND = 10_000.0
# A lane that would have to load the model is chosen when all others are behind by more.
_LOAD_S = 10.0
# Until a worker takes work that changes pools, or that is starting.
_READY = WorkerState.WORKER_STATE_READY
_ARRIVAL_S = {_READY: 1.0, WorkerState.WORKER_STATE_STARTING: 5.0}


class Wanted(NamedTuple):
    """What the caller asked for; empty means no wish."""

    pool: str
    machine_profile: str
    bundle: str = ""


class Known(NamedTuple):
    """What there is to choose from.

    Args:
        bundles: by id.
        machine_profiles: by id.
        pools: leased ones, by name.
        assigned: pool by worker id, as the registry has it; others belong to `default`.
        workers: those alive.
        lanes: those of them that take work, as `lanes_of` finds them.
        waiting: items that wait in a lane for all that this gateway knows.
        dedicated: pools that have a queue though nobody leases them; None: the config service has
            not said, so the workers are believed.
    """

    bundles: Mapping[str, Bundle]
    machine_profiles: Mapping[str, MachineProfile]
    pools: Mapping[str, Pool]
    assigned: Mapping[str, str]
    workers: Sequence[Standing]
    lanes: Mapping[Lane, Sequence[Standing]]
    waiting: Callable[[Lane], int] = lambda _: 0
    dedicated: Collection[str] | None = None


class Route(NamedTuple):
    """A lane, whether a worker of it takes work now, and if not, in how many seconds one may.

    `arrival_s` is None when no worker is on its way, as far as is known.
    """

    lane: Lane
    has_workers: bool
    arrival_s: float | None = None


def wanted(metadata: Mapping[str, str], bundle: str = "") -> Wanted:
    """Reads the two headers. The profile header also takes `pool/profile`."""
    profile = metadata.get(MACHINE_PROFILE_HEADER, "").strip().lower()
    pool = metadata.get(POOL_HEADER, "").strip().lower()
    if "/" in profile:
        named, profile = profile.split("/", 1)
        pool = pool or named
    return Wanted((pool or DEFAULT_POOL)[:_LONGEST_NAME], profile[:_LONGEST_NAME], bundle)


def route(model: Model, asked: Wanted, known: Known) -> Route:
    """The lane for a request.

    Raises:
        SieError: GPU_NOT_CONFIGURED, POOL_NOT_FOUND or BUNDLE_INCOMPATIBLE when there is no
            such thing, however long one waits.
    """
    _check_pool(asked.pool, known)
    profile = _profile(asked, known)
    serving = _serving(model, asked, known)
    lanes = [lane for lane in known.lanes if lane.pool == asked.pool]
    for bundle in serving:
        candidates = [lane for lane in lanes if lane.bundle == bundle]
        for preferred in _preferences(profile, model):
            found = [lane for lane in candidates if preferred in ("", lane.machine_profile)]
            if found:
                return Route(_best(found, model, known), True)
    demanded = profile or _demanded_profile(model, serving[0], asked.pool, known)
    lane = Lane(asked.pool, demanded, serving[0])
    coming = [_ARRIVAL_S[worker.state] for worker in known.workers if _arrives(worker, lane, known)]
    return Route(lane, False, min(coming, default=None))


def lanes_of(
    workers: Iterable[Standing], assigned: Mapping[str, str]
) -> dict[Lane, list[Standing]]:
    """Lanes with the workers that take their work."""
    lanes: dict[Lane, list[Standing]] = {}
    for worker in workers:
        if _takes_work(worker, assigned):
            lanes.setdefault(worker.lane, []).append(worker)
    return lanes


def _takes_work(worker: Standing, assigned: Mapping[str, str]) -> bool:
    """Whether a worker pulls its pool's work and will go on with that.

    One that is on its way to another pool does neither's: the work would wait for nobody.
    """
    return worker.state == _READY and worker.lane.pool == _home(worker, assigned)


def _home(worker: Standing, assigned: Mapping[str, str]) -> str:
    return worker.lane.pool if worker.dedicated else assigned.get(worker.worker_id, DEFAULT_POOL)


def _arrives(worker: Standing, lane: Lane, known: Known) -> bool:
    """Whether a worker is starting in the lane, or on its way to it."""
    if worker.state not in _ARRIVAL_S:
        return False
    return worker.lane._replace(pool=_home(worker, known.assigned)) == lane


def _check_pool(name: str, known: Known) -> None:
    if name in known.pools or name == DEFAULT_POOL:
        return
    dedicated = known.dedicated
    if dedicated is None:
        dedicated = {worker.lane.pool for worker in known.workers if worker.dedicated}
    if name not in dedicated:
        raise pool_not_found(name)


def _profile(asked: Wanted, known: Known) -> str:
    """The machine profile that was asked for, under its own name; empty if none was."""
    if not asked.machine_profile:
        return ""
    pool = known.pools.get(asked.pool)
    offered: Collection[str] = pool.spec.gpus if pool else known.machine_profiles
    profile = resolve_profile(asked.machine_profile, offered)
    if profile is None:
        place = f"pool '{asked.pool}'" if pool else "this cluster"
        raise SieError(
            ErrorReason.ERROR_REASON_GPU_NOT_CONFIGURED,
            f"GPU type '{asked.machine_profile}' is not configured in {place}.",
            gpu=asked.machine_profile,
            configured_gpu_types=",".join(sorted(offered)),
        )
    return profile


def _serving(model: Model, asked: Wanted, known: Known) -> list[str]:
    """Bundles that may serve the request, best first; at least one."""
    compatible = bundles_of(model, known.bundles)
    pool = known.pools.get(asked.pool)
    required = {name for name in (asked.bundle, pool.spec.bundle if pool else "") if name}
    serving = [name for name in compatible if required <= {name}]
    if not serving:
        named = " and ".join(name[:_LONGEST_NAME] for name in sorted(required))
        where = f"in pool '{asked.pool}' " if pool else ""
        raise SieError(
            ErrorReason.ERROR_REASON_BUNDLE_INCOMPATIBLE,
            f"'{model.model_id}' cannot be served {where}by bundle {named}",
            model=model.model_id,
            bundle=named,
            compatible_bundles=",".join(compatible),
        )
    return serving


def _preferences(profile: str, model: Model) -> tuple[str, ...]:
    """Machine profiles in the order in which they are tried; empty stands for any."""
    if profile:
        return (profile,)
    return (model.machine_profile, "") if model.machine_profile else ("",)


def _demanded_profile(model: Model, bundle: str, pool_name: str, known: Known) -> str:
    """A concrete machine profile, so that an autoscaler can act on the demand."""
    pool = known.pools.get(pool_name)
    offered: Collection[str] = pool.spec.gpus if pool else known.machine_profiles
    declared = known.bundles.get(bundle, Bundle()).machine_profile
    named = [name for name in (model.machine_profile, declared) if name in offered]
    return named[0] if named else min(offered, default="cpu")


def _best(lanes: Sequence[Lane], model: Model, known: Known) -> Lane:
    if len(lanes) == 1:
        return lanes[0]
    return min(lanes, key=lambda lane: _cost(lane, known.lanes[lane], model, known))


def _cost(
    lane: Lane, workers: Sequence[Standing], model: Model, known: Known
) -> tuple[float, Lane]:
    """Seconds until the lane would answer, estimated; the name decides between equals."""
    model_id = model.model_id
    speeds = [worker.speeds[model_id] for worker in workers if model_id in worker.speeds]
    speed = sum(each or _TOKENS_PER_SECOND for each in speeds)
    ahead = known.waiting(lane) * _TOKENS_PER_ITEM
    ahead += sum(worker.queued_tokens for worker in workers)
    seconds = ahead / (speed or _TOKENS_PER_SECOND * len(workers))
    return seconds + (0.0 if speeds else _LOAD_S), lane

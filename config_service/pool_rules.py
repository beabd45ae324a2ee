"""What a command about pools makes of them: pure, and the rules that a spec must keep."""

import datetime as dt
import re
from collections.abc import Collection, Mapping

from config_service.pool_commands import (
    AssignWorkers,
    CreatePool,
    DeletePool,
    PoolCommand,
    RenewPool,
)
from servicekit.defaults import DEFAULT_BUNDLE, DEFAULT_POOL, DEFAULT_POOL_TTL_S
from servicekit.errors import SieError, invalid
from servicekit.machine_profiles import resolve_profile
from servicekit.pools import pool_not_found
from servicekit.registry_state import RegistryState
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import AssignedWorker, Pool, PoolSpec, PoolState, PoolStatus
from sie.registry.v1.registry_service_pb2 import Event

MAX_TTL_S = 30 * 24 * 3600
MAX_PROFILES = 64
MAX_WORKERS = 1000

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
NAME_RULE = "1 to 63 lower-case letters, digits and '-', beginning with a letter"
_TICK = dt.timedelta(microseconds=1)


def decide(command: PoolCommand, state: RegistryState, now: dt.datetime, event: Event) -> bool:
    """Writes into the event what the command means; False if nothing would change.

    Raises:
        SieError: INVALID_INPUT, POOL_NOT_FOUND or PERMISSION_DENIED.
    """
    match command:
        case CreatePool(spec):
            pool = _created(check_spec(spec, state), state.pools.get(spec.name), now)
        case RenewPool(name):
            pool = renewed(find(name, state.pools), now)
        case AssignWorkers(name):
            pool = _assigned(find(name, state.pools), command)
        case DeletePool(name):
            _protect_default(name)
            event.pool_deleted = find(name, state.pools).spec.name
            return True
    if pool == state.pools.get(pool.spec.name):
        return False
    event.pool_applied.CopyFrom(pool)
    return True


def find(name: str, pools: Mapping[str, Pool]) -> Pool:
    """The pool of a name.

    Raises:
        SieError: POOL_NOT_FOUND.
    """
    pool = pools.get(name)
    if pool is None:
        raise pool_not_found(name)
    return pool


def check_spec(spec: PoolSpec, state: RegistryState) -> PoolSpec:
    """The spec with its defaults filled in and its machine profiles under their own names.

    Raises:
        SieError: INVALID_INPUT.
    """
    if not NAME.fullmatch(spec.name):
        raise invalid("name", f"must be {NAME_RULE}")
    if spec.name == DEFAULT_POOL:
        raise invalid("name", f"'{DEFAULT_POOL}' is the pool of all other workers")
    bundle = spec.bundle or DEFAULT_BUNDLE
    if bundle not in state.bundles and bundle != DEFAULT_BUNDLE:
        raise invalid("bundle", f"there is no bundle '{bundle[:80]}'")
    if spec.ttl_seconds > MAX_TTL_S:
        raise invalid("ttl_seconds", f"must be at most {MAX_TTL_S}")
    gpus = _gpus(spec.gpus, state.machine_profiles)
    if spec.minimum_worker_count > (total := sum(gpus.values())):
        raise invalid("minimum_worker_count", f"must be at most {total}, the workers wanted")
    return PoolSpec(
        name=spec.name,
        bundle=bundle,
        gpus=gpus,
        ttl_seconds=spec.ttl_seconds or DEFAULT_POOL_TTL_S,
        minimum_worker_count=spec.minimum_worker_count,
    )


def _gpus(asked: Mapping[str, int], configured: Collection[str]) -> dict[str, int]:
    if not asked:
        raise invalid("gpus", "must name at least one machine profile")
    if len(asked) > MAX_PROFILES:
        raise invalid("gpus", f"must name at most {MAX_PROFILES} machine profiles")
    gpus: dict[str, int] = {}
    for name, count in asked.items():
        field = f"gpus.{name[:80]}"
        profile = resolve_profile(name, configured)
        if profile is None:
            raise invalid(
                field, f"no such machine profile; there are {', '.join(sorted(configured))}"
            )
        if profile in gpus:
            raise invalid(field, f"means '{profile}', which is named already")
        if not 1 <= count <= MAX_WORKERS:
            raise invalid(field, f"must be 1 to {MAX_WORKERS}")
        gpus[profile] = count
    return gpus


def _created(spec: PoolSpec, held: Pool | None, now: dt.datetime) -> Pool:
    if held is not None:
        pool = renewed(held, now)
        pool.spec.CopyFrom(spec)
        return pool
    pool = Pool(
        spec=spec,
        status=PoolStatus(state=PoolState.POOL_STATE_PENDING, reason="workers are being assigned"),
    )
    pool.status.created_at.FromDatetime(now)
    pool.status.last_renewed.FromDatetime(now)
    return pool


def renewed(pool: Pool, now: dt.datetime) -> Pool:
    """The pool with its lease begun anew: always another than before, whatever the clock says."""
    made = Pool()
    made.CopyFrom(pool)
    before = pool.status.last_renewed.ToDatetime(dt.UTC)
    made.status.last_renewed.FromDatetime(max(now, before + _TICK))
    return made


def _assigned(pool: Pool, command: AssignWorkers) -> Pool:
    made = Pool()
    made.CopyFrom(pool)
    made.status.state = command.state
    made.status.reason = command.reason
    del made.status.assigned_workers[:]
    made.status.assigned_workers.extend(
        AssignedWorker(name=name, gpu=command.workers[name]) for name in sorted(command.workers)
    )
    return made


def _protect_default(name: str) -> None:
    if name == DEFAULT_POOL:
        raise SieError(
            ErrorReason.ERROR_REASON_PERMISSION_DENIED, f"the pool '{name}' cannot be deleted"
        )

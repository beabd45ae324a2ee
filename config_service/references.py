"""Who refers to whom in a registry."""

from collections.abc import Iterator

from servicekit.defaults import DEFAULT_BUNDLE
from servicekit.errors import SieError
from servicekit.registry_state import Key, RegistryState
from sie.errors.v1.error_reason_pb2 import ErrorReason

# A message names so many users at most.
_MOST_NAMED = 10


def check_unused(key: Key, state: RegistryState) -> None:
    """Whether a definition can go.

    Raises:
        SieError: IN_USE, naming what refers to it.
    """
    users = sorted(map(str, _users(key, state)))
    if not users:
        return
    named = ", ".join(users[:_MOST_NAMED])
    more = f" and {len(users) - _MOST_NAMED} more" if len(users) > _MOST_NAMED else ""
    raise SieError(
        ErrorReason.ERROR_REASON_IN_USE,
        f"{key} is used by {named}{more}",
        resource=str(key),
        used_by=named,
    )


def _users(key: Key, state: RegistryState) -> Iterator[Key]:
    if key.kind == "bundle":
        for model in state.models.values():
            if key.id in (model.bundles or [DEFAULT_BUNDLE]):
                yield Key("model", model.model_id)
        for pool in state.pools.values():
            if key.id == (pool.spec.bundle or DEFAULT_BUNDLE):
                yield Key("pool", pool.spec.name)
    elif key.kind == "machine_profile":
        for kind in ("bundle", "model"):
            for name, definition in state.of_kind(kind).items():
                if key.id == definition.machine_profile:
                    yield Key(kind, name)
        for pool in state.pools.values():
            if key.id in pool.spec.gpus:
                yield Key("pool", pool.spec.name)

"""Who refers to whom in a registry."""

from collections.abc import Callable, Iterator, Mapping

from servicekit.defaults import DEFAULT_BUNDLE
from servicekit.errors import SieError
from servicekit.registry_state import Definition, Key, RegistryState
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.model_pb2 import Model

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
    if (refers := _REFERS.get(key.kind)) is None:
        return
    for kind in ("bundle", "model", "pool"):
        for name, definition in state.of_kind(kind).items():
            if refers(definition, key.id):
                yield Key(kind, name)


def _to_bundle(definition: Definition, bundle: str) -> bool:
    if isinstance(definition, Model):
        return bundle in (definition.bundles or [DEFAULT_BUNDLE])
    return isinstance(definition, Pool) and bundle == (definition.spec.bundle or DEFAULT_BUNDLE)


def _to_machine_profile(definition: Definition, machine_profile: str) -> bool:
    if isinstance(definition, Pool):
        return machine_profile in definition.spec.gpus
    return isinstance(definition, Model | Bundle) and machine_profile == definition.machine_profile


# By kind, whether a definition refers to the one of that kind and an id.
_REFERS: Mapping[str, Callable[[Definition, str], bool]] = {
    "bundle": _to_bundle,
    "machine_profile": _to_machine_profile,
}

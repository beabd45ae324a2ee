"""From a command to single changes, in an order in which each leaves a valid registry.

what is referred to is applied first     machine profiles, bundles, models
what refers is deleted first             models, bundles, machine profiles
"""

from collections.abc import Iterable
from typing import NamedTuple

from config_service.history import History
from servicekit.errors import invalid
from servicekit.registry_reads import not_found
from servicekit.registry_state import Definition, Key, RegistryState, key_of

# Kinds that operators define; pools are made, renewed and ended by their own commands.
DEFINED = ("machine_profile", "bundle", "model")


class Change(NamedTuple):
    """One step.

    Args:
        key: what it is about.
        definition: what to write; None: delete.
        path: field of the request that asks for it; empty: none in particular.
    """

    key: Key
    definition: Definition | None
    path: str = ""


def deletion(key: Key, state: RegistryState, *, allow_missing: bool) -> list[Change]:
    """Raises SieError if there is nothing to delete."""
    if state.get(key) is not None:
        return [Change(key, None)]
    if allow_missing:
        return []
    raise not_found(key)


def import_of(
    definitions: Iterable[tuple[str, Definition]], prune: Iterable[str], state: RegistryState
) -> list[Change]:
    """Applies definitions and deletes others of the kinds in `prune`.

    Raises:
        SieError: INVALID_INPUT, two definitions have the same id.
    """
    changes: dict[Key, Change] = {}
    for path, definition in definitions:
        change = Change(key_of(definition), definition, path)
        if changes.setdefault(change.key, change) is not change:
            first = changes[change.key].path
            raise invalid(path, f"defines {change.key}, and so does {first}")
    for kind in prune:
        for name in state.of_kind(kind):
            key = Key(kind, name)
            changes.setdefault(key, Change(key, None))
    return _ordered(changes.values())


def rollback_of(revision: int, key: Key | None, history: History) -> list[Change]:
    """Brings one definition, or all, to what they were at `revision`.

    Raises:
        SieError: REVISION_NOT_KEPT; not found, if one is asked for that never was.
    """
    if key is None:
        return _ordered(
            Change(one, history.definition_at(one, revision, "to_revision"))
            for one in history.keys
            if one.kind in DEFINED
        )
    if history.latest(key) is None:
        raise not_found(key)
    return [Change(key, history.definition_at(key, revision, "to_revision"))]


def _ordered(changes: Iterable[Change]) -> list[Change]:
    def place(change: Change) -> tuple[bool, int, str]:
        rank = DEFINED.index(change.key.kind)
        deletes = change.definition is None
        return deletes, -rank if deletes else rank, change.key.id

    return sorted(changes, key=place)

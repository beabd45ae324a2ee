"""What can be asked of the registry's only writer."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from config_service.pool_commands import PoolCommand
from servicekit.registry_state import Definition, Key


@dataclass(frozen=True)
class Apply:
    """Creates or replaces one definition.

    Args:
        definition: the whole of it.
        expected_revision: refuse unless the registry is there; 0: in any case.
    """

    definition: Definition
    expected_revision: int = 0


@dataclass(frozen=True)
class Delete:
    """Removes one definition.

    Args:
        key: which.
        expected_revision: refuse unless the registry is there; 0: in any case.
        allow_missing: nothing to remove is no error.
    """

    key: Key
    expected_revision: int = 0
    allow_missing: bool = False


@dataclass(frozen=True)
class Import:
    """Applies many definitions, and may delete others.

    Args:
        definitions: each with the path of the field that it was read from.
        prune: kinds of which everything else is deleted.
        expected_revision: refuse unless the registry is there; 0: in any case.
    """

    definitions: Mapping[str, Definition]
    prune: frozenset[str] = field(default=frozenset())
    expected_revision: int = 0


@dataclass(frozen=True)
class Rollback:
    """Brings definitions back to what they were.

    Args:
        to_revision: when.
        key: which one; None: every one but pools, which are leases.
        expected_revision: refuse unless the registry is there; 0: in any case.
    """

    to_revision: int
    key: Key | None = None
    expected_revision: int = 0


DefinitionCommand = Apply | Delete | Import | Rollback
Command = DefinitionCommand | PoolCommand

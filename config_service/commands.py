"""What can be asked of the registry's only writer."""

from dataclasses import dataclass

from config_service.pool_commands import PoolCommand
from servicekit.registry_state import Definition


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
class DeleteModel:
    """Removes a model.

    Args:
        model_id: which.
        expected_revision: refuse unless the registry is there; 0: in any case.
    """

    model_id: str
    expected_revision: int = 0


Command = Apply | DeleteModel | PoolCommand

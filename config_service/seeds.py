"""Definitions from disk, given to the registry once.

A file is applied only if the registry has never heard of its id. From then on the
registry owns the definition: what the API has written, or deleted, a restart does not
undo. To change a definition that is there, apply it through the API.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from config_service.commands import Apply
from config_service.definitions import read_directory
from config_service.registry import Registry
from config_service.writer import RegistryWriter
from config_service.yaml_nodes import DefinitionError
from servicekit.errors import SieError
from servicekit.registry_state import Definition, Key, key_of
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model

log = logging.getLogger(__name__)

Seeds = Sequence[tuple[Path, Definition]]


def read_seeds(machine_profiles: Path, bundles: Path, models: Path) -> Seeds:
    """Every definition of three directories, in an order in which they can be applied.

    Raises:
        DefinitionError: a file cannot be taken, or two files define the same id.
    """
    seeds: list[tuple[Path, Definition]] = [
        *read_directory(machine_profiles, MachineProfile).items(),
        *read_directory(bundles, Bundle).items(),
        *read_directory(models, Model).items(),
    ]
    defined: dict[Key, Path] = {}
    for file, definition in seeds:
        other = defined.setdefault(key_of(definition), file)
        if other is not file:
            raise DefinitionError(file, 0, "", f"defines the same id as {other}")
    return seeds


async def apply_seeds(seeds: Seeds, registry: Registry, writer: RegistryWriter) -> None:
    """Applies what the registry has never heard of.

    Raises:
        DefinitionError: a definition breaks a rule.
        SieError: the store cannot be written.
    """
    for file, definition in seeds:
        if registry.latest(key_of(definition)) is not None:
            continue
        try:
            await writer.execute(Apply(definition))
        except SieError as error:
            if error.reason != ErrorReason.ERROR_REASON_INVALID_INPUT:
                raise
            raise DefinitionError(file, 0, "", error.message) from None
        log.info("seeded", extra={"fields": {"id": key_of(definition).id, "file": str(file)}})

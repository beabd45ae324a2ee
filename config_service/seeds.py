"""Definitions from disk, given to the registry once.

A file is applied only if the registry has never heard of its id. From then on the
registry owns the definition: what the API has written, or deleted, a restart does not
undo. To change a definition that is there, apply it through the API.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from config_service.commands import Apply
from config_service.registry import Registry
from config_service.writer import RegistryWriter
from servicekit.definitions import Source, files_of, read_source
from servicekit.errors import SieError
from servicekit.registry_state import Key, key_of
from servicekit.yaml_nodes import DefinitionError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model

log = logging.getLogger(__name__)

Seeds = Sequence[Source]


def read_seeds(machine_profiles: Path, bundles: Path, models: Path) -> Seeds:
    """Every definition of three directories, in an order in which they can be applied.

    Raises:
        DefinitionError: a file cannot be taken, or two files define the same id.
    """
    kinds = [(machine_profiles, MachineProfile), (bundles, Bundle), (models, Model)]
    seeds = [read_source(file, kind) for directory, kind in kinds for file in files_of(directory)]
    defined: dict[Key, Path] = {}
    for seed in seeds:
        other = defined.setdefault(key_of(seed.message), seed.file)
        if other is not seed.file:
            raise DefinitionError(seed.file, 0, "", f"defines the same id as {other}")
    return seeds


async def apply_seeds(seeds: Seeds, registry: Registry, writer: RegistryWriter) -> None:
    """Applies what the registry has never heard of.

    Raises:
        DefinitionError: a definition breaks a rule.
        SieError: the store cannot be written.
    """
    for seed in seeds:
        key = key_of(seed.message)
        if registry.latest(key) is not None:
            continue
        try:
            await writer.execute(Apply(seed.message))
        except SieError as error:
            if error.reason != ErrorReason.ERROR_REASON_INVALID_INPUT:
                raise
            raise error_at(seed, error) from None
        log.info("seeded", extra={"fields": {"id": key.id, "file": str(seed.file)}})


def error_at(seed: Source, error: SieError) -> DefinitionError:
    """A broken rule at its line: `model.profiles[x].extends` is a field of the file."""
    named = error.metadata.get("field", "")
    kind, _, field = named.partition(".")
    return seed.error(field if kind == key_of(seed.message).kind else "", _problem(error, named))


def _problem(error: SieError, named: str) -> str:
    return error.message.removeprefix(f"{named}: ")

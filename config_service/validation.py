"""The rules of registry definitions, as the comments of their proto files state them.

Every function raises INVALID_INPUT with the path of the field at fault, such as
`model.sources[0].hugging_face.revision`, and returns nothing.
"""

import re
from collections.abc import Collection, Iterator

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from config_service.model_rules import check_model
from config_service.pool_rules import NAME, NAME_RULE
from servicekit.errors import invalid
from servicekit.registry_state import Definition, RegistryState
from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model

# A definition travels in one broker message, whose default bound is 1 MiB.
MAX_DEFINITION_BYTES = 512 * 1024

_MACHINE_PROFILE_ID = re.compile(r"[a-z0-9-]{1,63}")
_RULE_MACHINE_PROFILE_ID = "1 to 63 lower-case letters, digits and '-'"


def validate(definition: Definition, state: RegistryState) -> None:
    """Checks one definition against the rules and against what the registry holds.

    Raises:
        SieError: INVALID_INPUT.
    """
    match definition:
        case Model():
            check_known(definition, "model")
            check_model(definition, state.bundles.keys())
            _check_registered(definition.machine_profile, "model.machine_profile", state)
        case Bundle():
            check_known(definition, "bundle")
            check_id(definition.bundle_id, NAME, "bundle.bundle_id", NAME_RULE)
            _check_registered(definition.machine_profile, "bundle.machine_profile", state)
        case MachineProfile():
            check_known(definition, "machine_profile")
            field, rule = "machine_profile.machine_profile_id", _RULE_MACHINE_PROFILE_ID
            check_id(definition.machine_profile_id, _MACHINE_PROFILE_ID, field, rule)
        case Pool():
            check_known(definition, "pool")


def _check_registered(machine_profile: str, field: str, state: RegistryState) -> None:
    if machine_profile and machine_profile not in state.machine_profiles:
        raise invalid(field, f"there is no machine profile '{machine_profile[:80]}'")


def check_id(value: str, pattern: re.Pattern[str], field: str, rule: str) -> None:
    if not pattern.fullmatch(value):
        raise invalid(field, f"must be {rule}")


def check_known(message: Message, path: str) -> None:
    """Refuses fields and enum values that this version does not know, and what is too large."""
    if message.ByteSize() > MAX_DEFINITION_BYTES:
        raise invalid(path, f"is larger than {MAX_DEFINITION_BYTES} bytes")
    for part, part_path in _parts(message, path):
        if unknown := UnknownFieldSet(part):
            raise invalid(part_path, f"has an unknown field, number {unknown[0].field_number}")
        _check_enums(part, part_path)


def _check_enums(message: Message, path: str) -> None:
    for field, value in message.ListFields():
        if field.enum_type is None:
            continue
        numbers: Collection[int] = value if field.is_repeated else [value]
        for number in numbers:
            if number not in field.enum_type.values_by_number:
                raise invalid(f"{path}.{field.name}", f"has no value {number}")


def _parts(message: Message, path: str) -> Iterator[tuple[Message, str]]:
    """The message and every message in it, each with its path."""
    yield message, path
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        below = f"{path}.{field.name}"
        if field.message_type.GetOptions().map_entry:
            for key, item in value.items():
                if isinstance(item, Message):
                    yield from _parts(item, f"{below}[{key}]")
        elif field.is_repeated:
            for index, item in enumerate(value):
                yield from _parts(item, f"{below}[{index}]")
        else:
            yield from _parts(value, below)

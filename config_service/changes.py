"""How two states of a definition differ, field by field."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from servicekit.definition_yaml import leaf, scalar_text, tree_of
from servicekit.registry_state import Definition, Key
from sie.registry.v1.registry_document_pb2 import (
    ChangeAction,
    FieldChange,
    ResourceChange,
    ResourceType,
)


def type_of(kind: str) -> ResourceType:
    """`model` -> RESOURCE_TYPE_MODEL."""
    return cast("ResourceType", ResourceType.Value(f"RESOURCE_TYPE_{kind.upper()}"))


def kind_of(resource_type: ResourceType) -> str:
    """RESOURCE_TYPE_MODEL -> `model`."""
    return ResourceType.Name(resource_type).removeprefix("RESOURCE_TYPE_").lower()


def differences(
    keys: Iterable[Key],
    before: Mapping[Key, Definition | None],
    after: Mapping[Key, Definition | None],
) -> list[ResourceChange]:
    """What differs, ordered by kind, then id."""
    found = (change_of(key, before.get(key), after.get(key)) for key in sorted(keys))
    return [change for change in found if change is not None]


def change_of(
    key: Key, before: Definition | None, after: Definition | None
) -> ResourceChange | None:
    """How one definition differs; None: not at all."""
    if before == after:
        return None
    change = ResourceChange(resource_type=type_of(key.kind), id=key.id)
    if before is None:
        change.action = ChangeAction.CHANGE_ACTION_CREATED
    elif after is None:
        change.action = ChangeAction.CHANGE_ACTION_DELETED
    else:
        change.action = ChangeAction.CHANGE_ACTION_UPDATED
        change.fields.extend(field_changes(before, after))
    return change


def field_changes(before: Message, after: Message) -> Iterator[FieldChange]:
    """Fields whose values differ, ordered by path."""
    old, new = dict(_leaves(before, "")), dict(_leaves(after, ""))
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            yield FieldChange(path=path, before=old.get(path, ""), after=new.get(path, ""))


def _leaves(message: Message, path: str) -> Iterator[tuple[str, str]]:
    fields = [] if isinstance(message, Struct) else message.ListFields()
    if not fields:
        # An empty message that is there differs from none.
        yield path, scalar_text(tree_of(message))
    for field, value in fields:
        below = f"{path}.{field.name}" if path else field.name
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name["value"]
            for name in value:
                yield from _leaf(entry, value[name], f"{below}[{name}]")
        elif field.is_repeated:
            for index, item in enumerate(value):
                yield from _leaf(field, item, f"{below}[{index}]")
        else:
            yield from _leaf(field, value, below)


def _leaf(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Message):
        yield from _leaves(value, path)
    else:
        yield path, scalar_text(leaf(field, value))

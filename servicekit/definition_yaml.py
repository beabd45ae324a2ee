"""Messages as YAML: what `servicekit.definitions` reads, written so that it reads back the same.

Only fields that are set are written, in the order of their declaration; maps are sorted.
"""

from typing import Any

import yaml
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from servicekit.definitions import enum_words

# The C library writes ten times faster, and is not in every build of PyYAML.
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def write(message: Message) -> str:
    """The message as one YAML document."""
    return dump(tree_of(message))


def dump(value: Any) -> str:
    """Plain values as YAML."""
    text: str = yaml.dump(
        value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text


def scalar_text(value: Any) -> str:
    """A value on one line."""
    text = yaml.dump(value, Dumper=_DUMPER, default_flow_style=True, width=1 << 30).strip()
    return str(text.removesuffix("\n...").strip())


def tree_of(message: Message) -> Any:
    """The message as plain values: mappings, lists, texts, numbers, booleans."""
    if isinstance(message, Timestamp):
        return message.ToJsonString()
    if isinstance(message, Struct):
        return {name: _plain(value) for name, value in sorted(message.items())}
    tree: dict[str, Any] = {}
    fields: list[tuple[FieldDescriptor, Any]] = sorted(
        message.ListFields(), key=lambda entry: entry[0].index
    )
    for field, value in fields:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            entry = field.message_type.fields_by_name["value"]
            tree[field.name] = {name: leaf(entry, value[name]) for name in sorted(value)}
        elif field.is_repeated:
            tree[field.name] = [leaf(field, item) for item in value]
        else:
            tree[field.name] = leaf(field, value)
    return tree


def leaf(field: FieldDescriptor, value: Any) -> Any:
    """One value of a field as a plain value."""
    if field.message_type is not None:
        return tree_of(value)
    if field.enum_type is not None:
        words = {number: word for word, number in enum_words(field.enum_type).items()}
        return words.get(value, value)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return tree_of(value)
    if isinstance(value, float):
        # Struct knows only doubles; what was written as 5 should not come back as 5.0.
        return int(value) if value.is_integer() else value
    if value is None or isinstance(value, (str, bool)):
        return value
    return [_plain(item) for item in value]

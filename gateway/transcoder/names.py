"""Names and numbers as JSON shows them."""

import functools

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.endpoint import snake_case

# Our own enums are lower-case words in JSON; foreign ones keep ProtoJSON's names.
_OWN_PACKAGE = "sie."
_UNSPECIFIED = "unspecified"


def descriptor_of(message_class: type[Message]) -> Descriptor:
    """The descriptor of a class; the library's stubs give it two types."""
    return message_class.DESCRIPTOR  # type: ignore[return-value]


@functools.cache
def enum_names(enum: EnumDescriptor) -> dict[int, str]:
    """JSON names by number: `DATA_TYPE_FLOAT32` of a `sie.` package is `float32`."""
    if not enum.full_name.startswith(_OWN_PACKAGE):
        return {value.number: value.name for value in enum.values}
    prefix = snake_case(enum.name).upper() + "_"
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


def choices(enum: EnumDescriptor) -> list[str]:
    """The names a caller can choose from."""
    return [name for name in enum_names(enum).values() if name != _UNSPECIFIED]


def is_json_number(field: FieldDescriptor) -> bool:
    """Whether a 64-bit integer is declared to fit into the numbers that JSON's readers have."""
    options = field.GetOptions()
    return bool(options.jstype == options.JS_NUMBER)


@functools.cache
def camel_names(descriptor: Descriptor) -> dict[str, str]:
    """Field names by ProtoJSON's lowerCamelCase, where that differs."""
    return {
        field.camelcase_name: field.name
        for field in descriptor.fields
        if field.camelcase_name != field.name
    }

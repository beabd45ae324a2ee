"""JSON to messages, strictly: every mistake is an error that names the field.

A reader is compiled for each message type: a table of field names to setters. Both the
proto name and ProtoJSON's lowerCamelCase are read; null is the same as absent.
"""

import difflib
import functools
from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoder.forms import FORMS
from gateway.transcoder.names import camel_names
from gateway.transcoder.reading import FieldError, expected
from gateway.transcoder.scalars import converter, plain_numbers, text_converter

# Puts a JSON value into one field of a message.
Setter = Callable[[Any, Any], None]
# Fills a message from a JSON value.
Reader = Callable[[Any, Any], None]

_LONGEST_GUESS = 40
# So many numbers are looked at in one go, in which nobody else in the process runs.
_AT_ONCE = 1 << 14


@functools.cache
def reader(descriptor: Descriptor) -> Reader:
    """What fills messages of a type; it raises FieldError."""
    form = FORMS.get(descriptor.full_name)
    return form.read if form and form.read else MessageReader(descriptor).read_into


class MessageReader:
    """Fills messages of one type from JSON objects."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._camel_names = camel_names(descriptor)
        self._reads_null = {field.name for field in descriptor.fields if _reads_null(field)}

    # Compiled at the first use, since message types may contain themselves.
    @functools.cached_property
    def _setters(self) -> dict[str, Setter]:
        return {field.name: setter(field) for field in self._descriptor.fields}

    def read_into(self, message: Message, value: Any) -> None:
        if type(value) is not dict:
            raise expected("an object", value)
        setters = self._setters
        for key, item in value.items():
            name = key if key in setters else self._known(key, value)
            if item is None and name not in self._reads_null:
                continue
            try:
                setters[name](message, item)
            except FieldError as error:
                error.within(name)
                raise

    def _known(self, key: str, value: dict[str, Any]) -> str:
        name = self._camel_names.get(key)
        if name is None:
            raise FieldError("unknown field" + _guess(key, list(self._setters)), key[:80])
        if name in value:
            raise FieldError(f"given twice, also as {key}", name)
        return name


def setter(field: FieldDescriptor) -> Setter:
    """What puts a JSON value into a field."""
    if field.is_repeated:
        return _repeated(field)
    put = _message(field) if field.message_type else _scalar(field)
    oneof = field.containing_oneof
    # An `optional` field is the only member of a oneof made for it, which is not in `oneofs`.
    if oneof is None or len(oneof.fields) == 1:
        return put
    return _exclusive(put, oneof.name, [member.name for member in oneof.fields])


def _scalar(field: FieldDescriptor) -> Setter:
    name, convert = field.name, converter(field)

    def put(message: Message, value: Any) -> None:
        setattr(message, name, convert(value))

    return put


def _message(field: FieldDescriptor) -> Setter:
    name, read = field.name, reader(field.message_type)

    def put(message: Message, value: Any) -> None:
        child = getattr(message, name)
        child.SetInParent()
        read(child, value)

    return put


def _exclusive(put: Setter, oneof: str, members: list[str]) -> Setter:
    def put_once(message: Message, value: Any) -> None:
        if message.WhichOneof(oneof) is not None:
            raise FieldError("only one may be given of " + ", ".join(members))
        put(message, value)

    return put_once


def _repeated(field: FieldDescriptor) -> Setter:
    if field.message_type is None:
        put = _scalars(field)
    elif field.message_type.GetOptions().map_entry:
        return _map(field.name, field.message_type)
    else:
        put = _messages(field)

    def put_list(message: Message, value: Any) -> None:
        if type(value) is not list:
            raise expected("a list", value)
        put(message, value)

    return put_list


def _scalars(field: FieldDescriptor) -> Setter:
    name, convert = field.name, converter(field)
    plain = plain_numbers(field)

    def put(message: Message, value: list[Any]) -> None:
        extend = getattr(message, name).extend
        for first in range(0, len(value), _AT_ONCE):
            part = value[first : first + _AT_ONCE]
            extend(part if plain(part) else _converted(convert, part, first))

    return put


def _converted(convert: Callable[[Any], Any], values: list[Any], first: int) -> list[Any]:
    converted = []
    for index, item in enumerate(values, first):
        try:
            converted.append(convert(item))
        except FieldError as error:
            error.at(index)
            raise
    return converted


def _messages(field: FieldDescriptor) -> Setter:
    name, read = field.name, reader(field.message_type)

    def put(message: Message, value: list[Any]) -> None:
        add = getattr(message, name).add
        for index, item in enumerate(value):
            try:
                read(add(), item)
            except FieldError as error:
                error.at(index)
                raise

    return put


def _map(name: str, entry: Descriptor) -> Setter:
    key_of = text_converter(entry.fields_by_name["key"])
    values = entry.fields_by_name["value"]
    read = reader(values.message_type) if values.message_type else None
    convert = None if read else converter(values)

    def put(message: Message, value: Any) -> None:
        if type(value) is not dict:
            raise expected("an object", value)
        entries = getattr(message, name)
        for key, item in value.items():
            try:
                if read:
                    read(entries[key_of(key)], item)
                elif convert:
                    entries[key_of(key)] = convert(item)
            except FieldError as error:
                error.within(key)
                raise

    return put


def _reads_null(field: FieldDescriptor) -> bool:
    form = FORMS.get(field.message_type.full_name) if field.message_type else None
    return form is not None and form.reads_null and not field.is_repeated


def _guess(key: str, names: list[str]) -> str:
    close = difflib.get_close_matches(key, names, n=1) if len(key) <= _LONGEST_GUESS else []
    return f"; did you mean {close[0]}?" if close else ""

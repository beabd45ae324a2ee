"""Response bytes to JSON bytes.

The bytes are read through the packed twin of the response class, so that vectors go from the
wire to numpy to orjson as they are. Names are the proto's snake_case. What is shown:

    numbers, booleans, lists and maps   always
    strings, enums and messages         when set
    `optional` fields, oneof members    when set

64-bit integers are strings (ProtoJSON) unless their `jstype` is JS_NUMBER, fields in `_ms` are
rounded to the microsecond, and a float is written with the digits that tell it from other
floats: 0.1, not 0.10000000149.
"""

import base64
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoder.forms import FORMS
from gateway.transcoder.names import descriptor_of, enum_names, is_json_number
from servicekit.packed import packed_twin

# The JSON value of a field's value.
Render = Callable[[Any], Any]
# Puts one field of a message into a JSON object.
Put = Callable[[Any, dict[str, Any]], None]

_64_BIT = {
    FieldDescriptor.TYPE_INT64,
    FieldDescriptor.TYPE_UINT64,
    FieldDescriptor.TYPE_SINT64,
    FieldDescriptor.TYPE_FIXED64,
    FieldDescriptor.TYPE_SFIXED64,
}
_NUMPY_TYPES = {
    FieldDescriptor.TYPE_FLOAT: "<f4",
    FieldDescriptor.TYPE_DOUBLE: "<f8",
    FieldDescriptor.TYPE_FIXED32: "<u4",
    FieldDescriptor.TYPE_SFIXED32: "<i4",
}
_FIXED64_TYPES = {
    FieldDescriptor.TYPE_FIXED64: "<u8",
    FieldDescriptor.TYPE_SFIXED64: "<i8",
}
_SHOWN_WHEN_SET = {
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_ENUM,
}


class ResponseWriter:
    """Writes the responses of one route.

    Args:
        response_class: the generated class.
        response_body: name of the field that is the body; empty: the whole message.

    Raises:
        ValueError: there is no such field.
    """

    def __init__(self, response_class: type[Message], response_body: str = "") -> None:
        descriptor = descriptor_of(response_class)
        self._parse = packed_twin(response_class).FromString
        self._response_body = response_body
        self._render = renderer(descriptor)
        self._render_parts = _parts_of(descriptor)
        if response_body:
            field = descriptor.fields_by_name.get(response_body)
            if field is None:
                raise ValueError(f"{descriptor.full_name} has no field {response_body}")
            self._render = _many(field) if field.is_repeated else _one(field)
            self._render_parts = _parts(field) if field.is_repeated else self._render

    def write(self, body: bytes) -> bytes:
        """JSON for the response message that is serialised in `body`."""
        value = self._render_parts(self._read(body))
        return orjson.dumps(value, default=_rendered, option=orjson.OPT_SERIALIZE_NUMPY)

    def render(self, body: bytes) -> Any:
        """The value that `write` writes: JSON's types, and numpy's arrays and numbers."""
        return self._render(self._read(body))

    def _read(self, body: bytes) -> Any:
        value = self._parse(body)
        return getattr(value, self._response_body) if self._response_body else value


@functools.cache
def renderer(descriptor: Descriptor) -> Render:
    """What renders messages of a type, or their packed twins."""
    form = FORMS.get(descriptor.full_name)
    return form.render if form and form.render else _MessageRenderer(descriptor, _many).render


def _parts_of(descriptor: Descriptor) -> Render:
    form = FORMS.get(descriptor.full_name)
    return form.render if form and form.render else _MessageRenderer(descriptor, _parts).render


class _MessageRenderer:
    def __init__(self, descriptor: Descriptor, many: Callable[[FieldDescriptor], Render]) -> None:
        self._descriptor = descriptor
        self._many = many

    # Compiled at the first use, since message types may contain themselves.
    @functools.cached_property
    def _puts(self) -> list[Put]:
        return [_put(field, self._many) for field in self._descriptor.fields]

    def render(self, message: Any) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for put in self._puts:
            put(message, rendered)
        return rendered


def _put(field: FieldDescriptor, many: Callable[[FieldDescriptor], Render]) -> Put:
    name = field.name
    render = many(field) if field.is_repeated else _one(field)

    def put_always(message: Any, rendered: dict[str, Any]) -> None:
        rendered[name] = render(getattr(message, name))

    def put_true(message: Any, rendered: dict[str, Any]) -> None:
        if value := getattr(message, name):
            rendered[name] = render(value)

    def put_present(message: Any, rendered: dict[str, Any]) -> None:
        if message.HasField(name):
            rendered[name] = render(getattr(message, name))

    if field.has_presence:
        return put_present
    if not field.is_repeated and field.type in _SHOWN_WHEN_SET:
        return put_true
    return put_always


def _one(field: FieldDescriptor) -> Render:
    if field.message_type is not None:
        return renderer(field.message_type)
    if field.enum_type is not None:
        return functools.partial(_enum_name, enum_names(field.enum_type))
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _base64
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return np.float32
    if field.type == FieldDescriptor.TYPE_DOUBLE and field.name.endswith("_ms"):
        return _microseconds
    return str if field.type in _64_BIT and not is_json_number(field) else _as_it_is


def _many(field: FieldDescriptor) -> Render:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return _map(field.message_type)
    # In the packed twin these are bytes.
    if numpy_type := _NUMPY_TYPES.get(field.type):
        return functools.partial(np.frombuffer, dtype=numpy_type)
    if numpy_type := _FIXED64_TYPES.get(field.type):
        return lambda run: list(map(str, np.frombuffer(run, numpy_type).tolist()))
    render = _one(field)
    return list if render is _as_it_is else lambda values: [render(value) for value in values]


def _parts(field: FieldDescriptor) -> Render:
    """As `_many`, of messages each when its turn comes to be written.

    A tree of all items would be written and freed in one go, while nobody else runs.
    """
    if field.message_type is None or field.message_type.GetOptions().map_entry:
        return _many(field)
    render = _one(field)
    return lambda values: [functools.partial(render, value) for value in values]


def _rendered(part: Callable[[], Any]) -> Any:
    return part()


def _map(entry: Descriptor) -> Render:
    render = _one(entry.fields_by_name["value"])
    is_boolean = entry.fields_by_name["key"].type == FieldDescriptor.TYPE_BOOL

    def render_map(values: Any) -> dict[str, Any]:
        return {
            str(key).lower() if is_boolean else str(key): render(values[key])
            for key in sorted(values)
        }

    return render_map


def _as_it_is(value: Any) -> Any:
    return value


def _enum_name(names: dict[int, str], number: int) -> str | int:
    # A number without a name was written by a newer version of ours.
    return names.get(number, number)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _microseconds(value: float) -> float:
    return round(value, 3)

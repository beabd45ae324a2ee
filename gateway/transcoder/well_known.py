"""The well-known types of google/protobuf in JSON."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

from google.protobuf import duration_pb2, json_format, timestamp_pb2
from google.protobuf.message import Message

from gateway.transcoder.form import Form
from gateway.transcoder.reading import FieldError, expected

# Each level of JSON is three of protobuf (map entry, Value, Struct), whose parsers stop at 100.
_DEEPEST = 24
# Of one Struct, ListValue or Value: each is a message of its own, two microseconds and as many
# bytes of memory as a hundred characters.
MOST_VALUES = 100_000


def _read_struct(message: Any, value: Any) -> None:
    _put_struct(message, value, 0, itertools.count(1))


def _read_list(message: Any, value: Any) -> None:
    _put_list(message, value, 0, itertools.count(1))


def _read_value(message: Any, value: Any) -> None:
    _put_value(message, value, 0, itertools.count(1))


def _put_struct(message: Any, value: Any, depth: int, seen: Iterator[int]) -> None:
    if type(value) is not dict:
        raise expected("an object", value)
    message.SetInParent()
    fields = message.fields
    for key, item in value.items():
        try:
            _put_value(fields[key], item, depth, seen)
        except FieldError as error:
            error.within(key)
            raise


def _put_list(message: Any, value: Any, depth: int, seen: Iterator[int]) -> None:
    if type(value) is not list:
        raise expected("a list", value)
    message.SetInParent()
    add = message.values.add
    for index, item in enumerate(value):
        try:
            _put_value(add(), item, depth, seen)
        except FieldError as error:
            error.at(index)
            raise


def _put_value(message: Any, value: Any, depth: int, seen: Iterator[int]) -> None:
    if depth > _DEEPEST:
        raise FieldError(f"nested deeper than {_DEEPEST} levels")
    if next(seen) > MOST_VALUES:
        raise FieldError(f"more than {MOST_VALUES} values are not taken here")
    kind = type(value)
    if kind is str:
        message.string_value = value
    elif kind is bool:
        message.bool_value = value
    elif kind is dict:
        _put_struct(message.struct_value, value, depth + 1, seen)
    elif kind is list:
        _put_list(message.list_value, value, depth + 1, seen)
    elif value is None:
        message.null_value = 0
    elif kind in (int, float) and math.isfinite(value):
        message.number_value = value
    else:
        # MessagePack has these, JSON has not.
        raise FieldError("expected a value that JSON has")


def _render_struct(message: Any) -> dict[str, Any]:
    return {key: _render_value(value) for key, value in message.fields.items()}


def _render_list(message: Any) -> list[Any]:
    return [_render_value(value) for value in message.values]


def _render_value(message: Any) -> Any:
    kind = message.WhichOneof("kind")
    if kind is None or kind == "null_value":
        return None
    if kind == "struct_value":
        return _render_struct(message.struct_value)
    if kind == "list_value":
        return _render_list(message.list_value)
    value = getattr(message, kind)
    # Struct knows only doubles; what was written as 5 should not come back as 5.0.
    return int(value) if kind == "number_value" and value.is_integer() else value


def _read_text(message: Any, value: Any) -> None:
    if type(value) is not str:
        raise expected("a string", value)
    try:
        message.FromJsonString(value)
    except ValueError as error:
        raise FieldError(str(error)) from None


def _render_timestamp(message: Any) -> str:
    return timestamp_pb2.Timestamp(seconds=message.seconds, nanos=message.nanos).ToJsonString()


def _render_duration(message: Any) -> str:
    return duration_pb2.Duration(seconds=message.seconds, nanos=message.nanos).ToJsonString()


def _read_any(message: Message, value: Any) -> None:
    try:
        json_format.ParseDict(value, message)
    except json_format.ParseError as error:
        raise FieldError(str(error)) from None


_WRAPPERS = {
    "BoolValue": {"type": "boolean"},
    "BytesValue": {"type": "string", "contentEncoding": "base64"},
    "DoubleValue": {"type": "number"},
    "FloatValue": {"type": "number"},
    "Int32Value": {"type": "integer"},
    "Int64Value": {"type": "string", "format": "int64"},
    "StringValue": {"type": "string"},
    "UInt32Value": {"type": "integer"},
    "UInt64Value": {"type": "string", "format": "uint64"},
}

FORMS = {
    "google.protobuf.Struct": Form(_read_struct, _render_struct, {"type": "object"}),
    "google.protobuf.ListValue": Form(_read_list, _render_list, {"type": "array"}),
    "google.protobuf.Value": Form(_read_value, _render_value, {}, reads_null=True),
    "google.protobuf.Timestamp": Form(
        _read_text, _render_timestamp, {"type": "string", "format": "date-time"}
    ),
    "google.protobuf.Duration": Form(
        _read_text, _render_duration, {"type": "string", "pattern": r"^-?\d+(\.\d+)?s$"}
    ),
    "google.protobuf.FieldMask": Form(_read_text, json_format.MessageToDict, {"type": "string"}),
    **{
        f"google.protobuf.{name}": Form(_read_any, json_format.MessageToDict, schema)
        for name, schema in _WRAPPERS.items()
    },
}

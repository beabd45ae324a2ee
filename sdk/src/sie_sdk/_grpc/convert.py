"""Messages and the values that JSON has in their place, with arrays for vectors.

What is shown is what the server's JSON shows: numbers, booleans, lists and maps always; texts,
enums and messages when set.
"""

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from sie_sdk._grpc.schema import message_class

_TENSOR = "sie.inference.v1."
_ERROR = "sie.errors.v1.Error"
_DTYPES = {"float16": "<f2", "int8": "|i1", "uint8": "|u1", "binary": "|i1", "ubinary": "|u1"}
_VECTORS = {f"{_TENSOR}{name}" for name in ("DenseVector", "SparseVector", "MultiVector")}
_SHOWN_WHEN_SET = (
    FieldDescriptor.TYPE_STRING,
    FieldDescriptor.TYPE_BYTES,
    FieldDescriptor.TYPE_ENUM,
)


class FieldError(ValueError):
    """A value is not what its field holds.

    Args:
        problem: why.
        path: of the field, such as `items[0].text`.
    """

    def __init__(self, problem: str, path: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.problem = problem
        self.path = path

    def below(self, name: str) -> "FieldError":
        """The same, seen from the message or list around it."""
        dot = "" if self.path.startswith("[") else "."
        return FieldError(self.problem, f"{name}{dot}{self.path}")


def to_message(value: Mapping[str, Any], descriptor: Descriptor) -> Any:
    """A message of a dict.

    Raises:
        FieldError: a value is not what its field holds.
    """
    message = message_class(descriptor.full_name)()
    for name, part in value.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            raise FieldError("unknown field", str(name))
        if part is None:
            continue
        try:
            _put(message, field, part)
        except FieldError as error:
            raise error.below(name) from None
        except (TypeError, ValueError, AttributeError) as error:
            raise FieldError(str(error), name) from None
    return message


def to_value(message: Any) -> dict[str, Any]:
    """A dict of a message."""
    descriptor: Descriptor = message.DESCRIPTOR
    if descriptor.full_name in _VECTORS:
        return _vector(message)
    if descriptor.full_name == _ERROR:
        return _error(message)
    shown: dict[str, Any] = {}
    for field in descriptor.fields:
        if _is_shown(message, field):
            shown[field.name] = _shown(field, getattr(message, field.name))
    return shown


@functools.cache
def enum_names(enum: EnumDescriptor) -> dict[int, str]:
    """`DATA_TYPE_FLOAT32` is `float32`."""
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    return {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}


@functools.cache
def _enum_numbers(enum: EnumDescriptor) -> dict[str, int]:
    return {name: number for number, name in enum_names(enum).items()}


def _put(message: Any, field: FieldDescriptor, part: Any) -> None:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        getattr(message, field.name).update(part)
    elif kind is not None and field.is_repeated:
        getattr(message, field.name).extend(_messages(part, kind))
    elif kind is not None:
        getattr(message, field.name).CopyFrom(_sub_message(part, kind))
    elif field.enum_type is not None:
        _put_enum(message, field, part)
    elif field.is_repeated:
        getattr(message, field.name).extend(part)
    else:
        setattr(message, field.name, part)


def _messages(parts: Iterable[Any], kind: Descriptor) -> Iterator[Any]:
    for index, part in enumerate(parts):
        try:
            yield to_message(part, kind)
        except FieldError as error:
            raise error.below(f"[{index}]") from None


def _sub_message(part: Any, kind: Descriptor) -> Any:
    if kind.full_name == "google.protobuf.Struct":
        return json_format.ParseDict(dict(part), message_class(kind.full_name)())
    if isinstance(part, np.ndarray):
        rows, dims = part.shape
        sizes = {"num_tokens": rows, "token_dims": dims, "dtype": "float32"}
        return to_message({**sizes, "values": part.astype("<f4").tobytes()}, kind)
    return to_message(part, kind)


def _put_enum(message: Any, field: FieldDescriptor, part: Any) -> None:
    numbers = _enum_numbers(field.enum_type)
    names = list(part) if field.is_repeated else [part]
    if unknown := [name for name in names if name not in numbers]:
        raise ValueError(f"{unknown[0]!r} is not one of {', '.join(numbers)}")
    if field.is_repeated:
        getattr(message, field.name).extend(numbers[name] for name in names)
    else:
        setattr(message, field.name, numbers[part])


def _is_shown(message: Any, field: FieldDescriptor) -> bool:
    if field.has_presence:
        return bool(message.HasField(field.name))
    if not field.is_repeated and field.type in _SHOWN_WHEN_SET:
        return bool(getattr(message, field.name))
    return True


def _shown(field: FieldDescriptor, value: Any) -> Any:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        of = kind.fields_by_name["value"]
        return {key: _one(of, value[key]) for key in sorted(value)}
    if field.is_repeated:
        return [_one(field, each) for each in value]
    return _one(field, value)


def _one(field: FieldDescriptor, value: Any) -> Any:
    if field.enum_type is not None:
        return enum_names(field.enum_type).get(value, value)
    if field.message_type is None:
        return value
    if field.message_type.full_name.startswith("google.protobuf."):
        return json_format.MessageToDict(value)
    return to_value(value)


def _vector(message: Any) -> dict[str, Any]:
    dtype = enum_names(message.DESCRIPTOR.fields_by_name["dtype"].enum_type)[message.dtype]
    values = (
        np.frombuffer(message.data, _DTYPES[dtype])
        if dtype in _DTYPES
        else np.frombuffer(message.values, "<f4")
    )
    shown: dict[str, Any] = {"dtype": dtype, "values": values}
    for name in ("dims", "num_tokens", "token_dims"):
        if name in message.DESCRIPTOR.fields_by_name:
            shown[name] = getattr(message, name)
    if shown.get("num_tokens"):
        shown["values"] = values.reshape(message.num_tokens, -1)
    if "indices" in message.DESCRIPTOR.fields_by_name:
        shown["indices"] = np.frombuffer(message.indices, "<i4")
    if "range_min" in message.DESCRIPTOR.fields_by_name and message.HasField("range_min"):
        shown["range_min"], shown["range_max"] = message.range_min, message.range_max
    return shown


def _error(message: Any) -> dict[str, Any]:
    names = enum_names(message.DESCRIPTOR.fields_by_name["reason"].enum_type)
    shown: dict[str, Any] = {
        "code": names.get(message.reason, "unknown").upper(),
        "message": message.message,
    }
    if message.metadata:
        shown["metadata"] = dict(message.metadata)
    if message.HasField("retry_after"):
        shown["retry_after_s"] = message.retry_after.seconds + message.retry_after.nanos / 1e9
    return shown

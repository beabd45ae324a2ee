"""JSON values to protobuf scalars: ProtoJSON's rules, without its leniency about meaning.

A number of the wrong range, a fraction for an integer, text that is no base64 and anything
not finite are errors. 64-bit integers may be strings, as ProtoJSON writes them.
"""

import binascii
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from gateway.numbers import integer_of, number_of
from gateway.transcoder.names import choices, enum_names
from gateway.transcoder.reading import FieldError, expected

Convert = Callable[[Any], Any]

_INT32, _UINT32 = (-(2**31), 2**31 - 1), (0, 2**32 - 1)
_INT64, _UINT64 = (-(2**63), 2**63 - 1), (0, 2**64 - 1)
_RANGES = {
    FieldDescriptor.TYPE_INT32: _INT32,
    FieldDescriptor.TYPE_SINT32: _INT32,
    FieldDescriptor.TYPE_SFIXED32: _INT32,
    FieldDescriptor.TYPE_INT64: _INT64,
    FieldDescriptor.TYPE_SINT64: _INT64,
    FieldDescriptor.TYPE_SFIXED64: _INT64,
    FieldDescriptor.TYPE_UINT32: _UINT32,
    FieldDescriptor.TYPE_FIXED32: _UINT32,
    FieldDescriptor.TYPE_UINT64: _UINT64,
    FieldDescriptor.TYPE_FIXED64: _UINT64,
}
# The largest finite value.
_LIMITS = {
    FieldDescriptor.TYPE_FLOAT: float(np.finfo(np.float32).max),
    FieldDescriptor.TYPE_DOUBLE: float(np.finfo(np.float64).max),
}


def converter(field: FieldDescriptor) -> Convert:
    """What turns a JSON value into a value of the field's scalar type.

    The function raises FieldError.
    """
    if field.enum_type is not None:
        return _enum(field.enum_type)
    return _CONVERTERS[field.type]


def text_converter(field: FieldDescriptor) -> Convert:
    """The same for the text of a path or query, where booleans are `true` and `false`."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _boolean_text
    return converter(field)


def plain_numbers(field: FieldDescriptor) -> Callable[[list[Any]], bool]:
    """What tells of a list whether the field takes it as it is; without a loop over its numbers."""
    if field.type in _RANGES:
        return functools.partial(_all_integers, *_RANGES[field.type])
    if field.type in _LIMITS:
        return functools.partial(_all_within, _LIMITS[field.type])
    return lambda _: False


def _all_integers(low: int, high: int, values: list[Any]) -> bool:
    return set(map(type, values)) == {int} and low <= min(values) and max(values) <= high


def _all_within(limit: float, values: list[Any]) -> bool:
    if not set(map(type, values)) <= {float, int}:
        return False
    return bool((np.abs(np.array(values, np.float64)) <= limit).all())


def _string(value: Any) -> str:
    if type(value) is str:
        return value
    raise expected("a string", value)


def _boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise expected("a boolean", value)


def _boolean_text(value: str) -> bool:
    if value in ("true", "false"):
        return value == "true"
    raise FieldError("expected true or false")


def _bytes(value: Any) -> bytes:
    # JSON has no bytes, MessagePack has.
    if type(value) is bytes:
        return value
    text = _string(value)
    if "-" in text or "_" in text:
        text = text.replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise FieldError("expected base64") from None


def _integer(low: int, high: int) -> Convert:
    def convert(value: Any) -> int:
        kind = type(value)
        if kind is float and not value.is_integer():
            raise FieldError("expected an integer, got a fraction")
        number = integer_of(value) if kind is str else int(value) if kind in (int, float) else None
        if number is None:
            raise expected("an integer", value)
        if low <= number <= high:
            return number
        raise FieldError(f"out of range, from {low} to {high}")

    return convert


def _floating(limit: float) -> Convert:
    def convert(value: Any) -> float:
        kind = type(value)
        number = number_of(value) if kind is str else value if kind in (int, float) else None
        if number is None:
            raise expected("a number", value)
        if -limit <= number <= limit:
            return float(number)
        raise FieldError(f"out of range, at most {limit:.8g}")

    return convert


def _enum(enum: EnumDescriptor) -> Convert:
    numbers = {name: number for number, name in enum_names(enum).items()}
    numbers.update({value.name: value.number for value in enum.values})
    # The descriptor's own table takes a number modulo 2**32.
    known = {value.number for value in enum.values}
    wanted = "one of " + ", ".join(choices(enum))

    def convert(value: Any) -> int:
        if type(value) is str:
            number = numbers.get(value)
        elif type(value) is int and value in known:
            number = value
        else:
            raise expected(wanted, value)
        if number is None:
            raise FieldError(f"expected {wanted}")
        return number

    return convert


_CONVERTERS: dict[int, Convert] = {
    FieldDescriptor.TYPE_STRING: _string,
    FieldDescriptor.TYPE_BOOL: _boolean,
    FieldDescriptor.TYPE_BYTES: _bytes,
    **{kind: _integer(low, high) for kind, (low, high) in _RANGES.items()},
    **{kind: _floating(limit) for kind, limit in _LIMITS.items()},
}

"""Tensors as the open inference protocol writes them: a type, a shape and raw bytes.

Raw elements stand row by row, little-endian. Those of type BYTES vary in length, and each
stands after its length in four bytes.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BYTES = "BYTES"

# The types of outputs, by what numpy calls them.
NUMPY_TYPES = {
    "BOOL": "?",
    "INT8": "i1",
    "UINT8": "u1",
    "INT32": "<i4",
    "FP16": "<f2",
    "FP32": "<f4",
}
_NAMES = {np.dtype(numpy_type): name for name, numpy_type in NUMPY_TYPES.items()}
_LENGTH = struct.Struct("<I")


class MalformedTensorError(ValueError):
    """The bytes of a tensor and what is said of them disagree."""


class Tensor(NamedTuple):
    """An output.

    Attributes:
        name: of the output.
        datatype: a key of NUMPY_TYPES, or BYTES.
        shape: sizes.
        raw: the elements.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    raw: bytes


def tensor_of(name: str, values: NDArray[Any]) -> Tensor:
    """A tensor of an array whose dtype is among NUMPY_TYPES."""
    return Tensor(name, _NAMES[values.dtype], values.shape, values.tobytes())


def bytes_tensor(name: str, elements: Sequence[bytes]) -> Tensor:
    """A tensor of type BYTES and shape [n]."""
    return Tensor(name, BYTES, (len(elements),), pack_bytes(elements))


def array(tensor: Tensor) -> NDArray[Any]:
    """The elements of a tensor that is not BYTES, flat."""
    return np.frombuffer(tensor.raw, NUMPY_TYPES[tensor.datatype])


def count_of(shape: Iterable[int]) -> int:
    """How many elements a list of n has, whose shape is [n] or [n, 1].

    Raises:
        MalformedTensorError: the shape is another one.
    """
    sizes = list(shape)
    if len(sizes) not in (1, 2) or sizes[0] < 0 or sizes[1:] not in ([], [1]):
        shown = ", ".join(map(str, sizes[:8]))
        raise MalformedTensorError(f"must be [n] or [n, 1], got [{shown}]")
    return math.prod(sizes)


def pack_bytes(elements: Iterable[bytes]) -> bytes:
    """Elements of type BYTES in their raw form."""
    return b"".join(chain.from_iterable((_LENGTH.pack(len(each)), each) for each in elements))


def unpack_bytes(raw: bytes, count: int) -> list[bytes]:
    """The elements of a raw tensor of type BYTES.

    Raises:
        MalformedTensorError: there are not exactly `count`.
    """
    if len(raw) < count * _LENGTH.size:
        raise MalformedTensorError(f"{len(raw)} bytes cannot hold {count} elements")
    elements, position = [], 0
    for index in range(count):
        start = position + _LENGTH.size
        if start > len(raw):
            raise MalformedTensorError(f"ends before element {index}")
        position = start + _LENGTH.unpack_from(raw, start - _LENGTH.size)[0]
        if position > len(raw):
            raise MalformedTensorError(f"ends within element {index}")
        elements.append(raw[start:position])
    if position != len(raw):
        raise MalformedTensorError(f"holds {len(raw) - position} bytes after its last element")
    return elements

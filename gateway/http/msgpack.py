"""MessagePack on every transcoded route: the JSON values, with arrays as arrays.

An array is a map with binary keys, as msgpack-numpy writes it:

    {b"nd": true, b"type": "<f4", b"kind": b"", b"shape": [2, 384], b"data": bytes}

Nothing is unpickled: only the dtypes listed here are read, from exactly as many bytes as the
shape says.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgpack
import numpy as np

from servicekit.errors import invalid

MSGPACK = "application/msgpack"
MSGPACK_TYPES = frozenset({MSGPACK, "application/x-msgpack", "application/vnd.msgpack"})

_DTYPES = frozenset(
    ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]
)
_MOST_DIMENSIONS = 8
# A byte of a body can be 64 bytes of memory, and a container that is empty half a microsecond.
_MOST_ELEMENTS = 1_000_000
_CONTAINER_COUNTS = 10


def is_msgpack(metadata: Mapping[str, str]) -> bool:
    """Whether the body is MessagePack."""
    return _kind(metadata.get("content-type", "")) in MSGPACK_TYPES


def asked_msgpack(metadata: Mapping[str, str]) -> str:
    """The MessagePack type that the caller accepts; empty: JSON it is."""
    kinds = [_kind(part) for part in metadata.get("accept", "").split(",")]
    return next((kind for kind in kinds if kind in MSGPACK_TYPES), "")


def unpack(body: bytes) -> Any:
    """The value in a body: what JSON has, and beside it bytes and numpy arrays.

    Raises:
        SieError: INVALID_INPUT.
    """
    limits = _Limits()
    try:
        return msgpack.unpackb(
            body,
            object_pairs_hook=limits.map,
            list_hook=limits.list,
            ext_hook=_no_extension,
            max_array_len=_MOST_ELEMENTS,
            max_map_len=_MOST_ELEMENTS,
            strict_map_key=False,
        )
    except (ValueError, msgpack.UnpackException, RecursionError):
        raise invalid("body", "not MessagePack, or of too many elements") from None


def pack(value: Any) -> bytes:
    """A rendered response as MessagePack."""
    packed: bytes = msgpack.packb(value, default=_array_map)
    return packed


def _kind(header: str) -> str:
    return header.partition(";")[0].strip().lower()


class _Limits:
    """Holds a body to a number of elements: nested lists would multiply any other bound."""

    def __init__(self) -> None:
        self._elements = 0

    def list(self, values: list[Any]) -> list[Any]:
        self._count(values)
        return values

    def map(self, pairs: Sequence[tuple[Any, Any]]) -> Any:
        self._count(pairs)
        return _map(pairs)

    def _count(self, values: Sequence[Any]) -> None:
        self._elements += _CONTAINER_COUNTS + len(values)
        if self._elements > _MOST_ELEMENTS:
            raise invalid("body", f"lists and maps hold more than {_MOST_ELEMENTS} elements")


def _map(pairs: Sequence[tuple[Any, Any]]) -> Any:
    if not all(type(key) in (str, bytes) for key, _ in pairs):
        raise invalid("body", "keys must be text")
    made = dict(pairs)
    if len(made) != len(pairs):
        raise invalid("body", "a key is given twice")
    if b"nd" in made:
        return _array(made)
    if not all(type(key) is str for key in made):
        raise invalid("body", "keys must be text")
    return made


def _array(made: dict[Any, Any]) -> Any:
    kind, dtype = made.get(b"kind", b""), made.get(b"type")
    data, shape = made.get(b"data"), made.get(b"shape", [])
    if kind not in (b"", "") or type(dtype) is not str or dtype not in _DTYPES:
        raise invalid("body", f"arrays are read of {', '.join(sorted(_DTYPES))} only")
    if not _is_shape(shape) or type(data) is not bytes:
        raise invalid("body", "an array needs a shape and its bytes")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise invalid("body", f"an array of shape {shape[:8]} has not {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape)
    if made[b"nd"]:
        return array
    # A single number of numpy's.
    if array.size != 1:
        raise invalid("body", f"a number has one element, not {array.size}")
    return array.item()


def _is_shape(shape: Any) -> bool:
    return (
        type(shape) is list
        and len(shape) <= _MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**31 for size in shape)
    )


def _array_map(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {
            b"nd": True,
            b"type": value.dtype.str,
            b"kind": b"",
            b"shape": list(value.shape),
            b"data": value.tobytes(),
        }
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(type(value).__name__)


def _no_extension(code: int, data: bytes) -> Any:
    raise invalid("body", f"extension type {code} of {len(data)} bytes is not read")

"""MessagePack with numpy arrays, as msgpack-numpy writes them, read by a decoder of our own.

An array is a map with binary keys:

    {b"nd": true, b"type": "<f4", b"kind": b"", b"shape": [2, 384], b"data": bytes}

Only plain numbers are read, from exactly as many bytes as the shape says, and nothing is ever
unpickled. Nothing is patched either: other users of msgpack in the process see no difference.
"""

import math
from typing import Any

import msgpack
import numpy as np

_DTYPES = frozenset(
    ["|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"]
)
_MOST_DIMENSIONS = 8


class UnreadableError(ValueError):
    """The bytes are no MessagePack, or hold what is not read."""


def pack(value: Any) -> bytes:
    """A value of dicts, lists, texts, bytes, numbers and arrays."""
    packed: bytes = msgpack.packb(value, default=_packable)
    return packed


def unpack(body: bytes) -> Any:
    """The value in a body; arrays are read-only views of it.

    Raises:
        UnreadableError: there is none, or it holds an array of anything but numbers.
    """
    try:
        return msgpack.unpackb(body, object_pairs_hook=_map, strict_map_key=False, timestamp=0)
    except UnreadableError:
        raise
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError) as error:
        raise UnreadableError(f"not MessagePack: {error}") from None


def _packable(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.str not in _DTYPES:
            raise TypeError(f"arrays of {value.dtype} cannot be sent")
        return {
            b"nd": True,
            b"type": value.dtype.str,
            b"kind": b"",
            b"shape": list(value.shape),
            b"data": value.tobytes(),
        }
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _map(pairs: list[tuple[Any, Any]]) -> Any:
    made = dict(pairs)
    return _array(made) if b"nd" in made else made


def _array(made: dict[Any, Any]) -> Any:
    dtype, kind = made.get(b"type"), made.get(b"kind", b"")
    shape, data = made.get(b"shape", []), made.get(b"data")
    if kind not in (b"", "") or not isinstance(dtype, str) or dtype not in _DTYPES:
        raise UnreadableError(f"an array of type {dtype!r}, kind {kind!r} is not read")
    if not _is_shape(shape) or not isinstance(data, bytes):
        raise UnreadableError("an array without its shape or its bytes")
    if math.prod(shape) * np.dtype(dtype).itemsize != len(data):
        raise UnreadableError(f"an array of shape {shape} has not {len(data)} bytes")
    array = np.frombuffer(data, dtype).reshape(shape)
    # `nd` false is a single number of numpy's.
    return array if made[b"nd"] else array.reshape(-1)[0].item()


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) <= _MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 2**31 for size in shape)
    )

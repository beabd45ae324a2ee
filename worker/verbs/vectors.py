"""Engine outputs to the wire: element types, shortening, and bytes without a loop.

float16   rounded to nearest even
int8      round(x / max|x| * 127)                              for each vector
uint8     round((x - min) / (max - min) * 255)                 for each vector
ubinary   eight signs to a byte, 1 where x > 0, first component in the high bit
binary    the ubinary byte minus 128, as a signed byte
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sie.inference.v1.tensor_pb2 import DataType

FLOAT32 = DataType.DATA_TYPE_FLOAT32
FLOAT16 = DataType.DATA_TYPE_FLOAT16
_RANGED = {DataType.DATA_TYPE_INT8, DataType.DATA_TYPE_UINT8}
_LITTLE_FLOAT32 = np.dtype("<f4")
_LITTLE_FLOAT16 = np.dtype("<f2")
_LITTLE_INT32 = np.dtype("<i4")


def write_dense(message: Any, vector: NDArray[np.float32], dtype: int, dimensions: int) -> None:
    """Fill a packed DenseVector.

    Args:
        message: packed twin of DenseVector.
        vector: (dim,) float32.
        dtype: element type to write; unspecified means float32.
        dimensions: leading components to keep, scaled to length 1 again; 0 keeps all.

    """
    if dimensions and dimensions < len(vector):
        vector = _unit(vector[:dimensions])
    message.dims = len(vector)
    _write_values(message, vector, dtype)
    if dtype in _RANGED:
        message.range_min, message.range_max = (float(bound[0]) for bound in _bounds(vector, dtype))


def write_sparse(
    message: Any, indices: NDArray[np.int32], weights: NDArray[np.float32], dtype: int, size: int
) -> None:
    """Fill a packed SparseVector.

    Args:
        message: packed twin of SparseVector.
        indices: (words,) int32, ascending, without repeats.
        weights: (words,) float32.
        dtype: float32 or float16; anything else means float32.
        size: of the vocabulary.

    """
    message.dims = size
    message.indices = indices.astype(_LITTLE_INT32, copy=False).tobytes()
    _write_values(message, weights, dtype if dtype == FLOAT16 else FLOAT32)


def write_multivector(message: Any, vectors: NDArray[np.float32], dtype: int) -> None:
    """Fill a packed MultiVector.

    Args:
        message: packed twin of MultiVector.
        vectors: (tokens, dim) float32.
        dtype: element type to write; unspecified means float32.

    """
    message.num_tokens, message.token_dims = vectors.shape
    _write_values(message, vectors, dtype)


def _write_values(message: Any, vectors: NDArray[np.float32], dtype: int) -> None:
    message.dtype = dtype or FLOAT32
    if message.dtype == FLOAT32:
        message.values = vectors.astype(_LITTLE_FLOAT32, copy=False).tobytes()
    else:
        message.data = _quantize(vectors, dtype).tobytes()


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def _quantize(vectors: NDArray[np.float32], dtype: int) -> NDArray[Any]:
    """Quantize each vector (the last axis) for itself."""
    if dtype == FLOAT16:
        return vectors.astype(_LITTLE_FLOAT16)
    if dtype == DataType.DATA_TYPE_UBINARY:
        return np.packbits(vectors > 0, axis=-1)
    if dtype == DataType.DATA_TYPE_BINARY:
        return (np.packbits(vectors > 0, axis=-1).astype(np.int16) - 128).astype(np.int8)
    low, high = _bounds(vectors, dtype)
    if dtype == DataType.DATA_TYPE_INT8:
        return np.rint(_share(vectors, high) * 127).astype(np.int8)
    return np.rint(_share(vectors - low, high - low) * 255).astype(np.uint8)


def _share(values: NDArray[Any], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return values / whole, 0 where the whole is."""
    # In float64: the smallest float32 numbers overflow when they divide.
    result: NDArray[np.float64] = values / np.where(whole > 0, whole, np.inf)
    return result


def _bounds(
    vectors: NDArray[np.float32], dtype: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the smallest and the largest code of int8 or uint8 stand for, (..., 1)."""
    exact = vectors.astype(np.float64)
    if dtype == DataType.DATA_TYPE_INT8:
        bound = np.abs(exact).max(axis=-1, keepdims=True)
        return -bound, bound
    return exact.min(axis=-1, keepdims=True), exact.max(axis=-1, keepdims=True)

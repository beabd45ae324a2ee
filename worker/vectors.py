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
_LITTLE_FLOAT32 = np.dtype("<f4")
_LITTLE_FLOAT16 = np.dtype("<f2")


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
    message.dtype = dtype or FLOAT32
    if message.dtype == FLOAT32:
        message.values = vector.astype(_LITTLE_FLOAT32, copy=False).tobytes()
        return
    message.data = _quantize(vector, dtype).tobytes()
    bounds = _range(vector, dtype)
    if bounds is not None:
        message.range_min, message.range_max = bounds


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if length > 0 else vector


def _quantize(vector: NDArray[np.float32], dtype: int) -> NDArray[Any]:
    if dtype == DataType.DATA_TYPE_FLOAT16:
        return vector.astype(_LITTLE_FLOAT16)
    if dtype == DataType.DATA_TYPE_UBINARY:
        return np.packbits(vector > 0)
    if dtype == DataType.DATA_TYPE_BINARY:
        return (np.packbits(vector > 0).astype(np.int16) - 128).astype(np.int8)
    low, high = _range(vector, dtype) or (0.0, 0.0)
    # In double precision, for the reciprocal of a tiny float32 is beyond float32.
    exact = vector.astype(np.float64)
    if dtype == DataType.DATA_TYPE_INT8:
        return np.asarray(np.rint(exact * (127 / high if high else 0.0)), dtype=np.int8)
    width = high - low
    return np.asarray(np.rint((exact - low) * (255 / width if width else 0.0)), dtype=np.uint8)


def _range(vector: NDArray[np.float32], dtype: int) -> tuple[float, float] | None:
    """Return the values that the smallest and the largest code stand for."""
    if dtype == DataType.DATA_TYPE_INT8:
        bound = float(np.abs(vector).max())
        return -bound, bound
    if dtype == DataType.DATA_TYPE_UINT8:
        return float(vector.min()), float(vector.max())
    return None

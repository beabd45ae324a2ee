"""Vectors in JSON: `{dims, dtype, values: [...]}`, from bytes and without touching a number.

The components are in `values` (float32) or in `data` (any other dtype); JSON shows one
`values` in every case. Rendering reads packed twins (servicekit.packed), in which `values`
and `indices` are the bytes that the worker wrote.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.transcoder.form import Form
from gateway.transcoder.names import choices, enum_names
from gateway.transcoder.reading import FieldError, expected
from servicekit.packed import packed_twin
from sie.inference.v1 import tensor_pb2

_PackedMultiVector = packed_twin(tensor_pb2.MultiVector)
_FLOAT32 = tensor_pb2.DATA_TYPE_FLOAT32
_NUMPY_TYPES: dict[int, str] = {
    tensor_pb2.DATA_TYPE_FLOAT16: "<f2",
    tensor_pb2.DATA_TYPE_INT8: "i1",
    tensor_pb2.DATA_TYPE_UINT8: "u1",
    tensor_pb2.DATA_TYPE_BINARY: "i1",
    tensor_pb2.DATA_TYPE_UBINARY: "u1",
}
_READ_DTYPES = ("float32", "DATA_TYPE_FLOAT32")
_DTYPE_NAMES = enum_names(tensor_pb2.DataType.DESCRIPTOR)


def components(twin: Any) -> NDArray[Any]:
    """The components of a vector's packed twin, flat, as they travelled."""
    if numpy_type := _NUMPY_TYPES.get(twin.dtype):
        return np.frombuffer(twin.data, numpy_type)
    return np.frombuffer(twin.values, "<f4")


def _render_dense(twin: Any) -> dict[str, Any]:
    rendered = {
        "dims": twin.dims,
        "dtype": _DTYPE_NAMES[twin.dtype or _FLOAT32],
        "values": components(twin),
    }
    if twin.HasField("range_min"):
        rendered["range_min"] = np.float32(twin.range_min)
        rendered["range_max"] = np.float32(twin.range_max)
    return rendered


def _render_sparse(twin: Any) -> dict[str, Any]:
    return {
        "dims": twin.dims,
        "dtype": _DTYPE_NAMES[twin.dtype or _FLOAT32],
        "indices": np.frombuffer(twin.indices, "<i4"),
        "values": components(twin),
    }


def _render_multi(twin: Any) -> dict[str, Any]:
    rows = twin.num_tokens
    values = components(twin)
    return {
        "num_tokens": rows,
        "token_dims": twin.token_dims,
        "dtype": _DTYPE_NAMES[twin.dtype or _FLOAT32],
        "values": values.reshape(rows, -1) if rows else [],
    }


def _read_multi(message: Any, value: Any) -> None:
    """Reads what `_render_multi` gives for float32; the sizes may be left to the rows."""
    if isinstance(value, np.ndarray):
        value = {"values": value}
    if type(value) is not dict:
        raise expected("an object", value)
    if unknown := value.keys() - {"num_tokens", "token_dims", "dtype", "values"}:
        raise FieldError("unknown field", min(unknown))
    dtype = value.get("dtype")
    if dtype is not None and (type(dtype) is not str or dtype not in _READ_DTYPES):
        raise FieldError("expected float32", "dtype")
    rows = _rows(value.get("values"))
    sizes = dict(zip(("num_tokens", "token_dims"), rows.shape, strict=True))
    for name, size in sizes.items():
        if (given := value.get(name)) is not None and (type(given), given) != (int, size):
            raise FieldError(f"the values have {size}", name)
    twin = _PackedMultiVector(dtype=_FLOAT32, values=rows.astype("<f4").tobytes(), **sizes)
    message.ParseFromString(twin.SerializeToString())


def _rows(values: Any) -> NDArray[np.float32]:
    if isinstance(values, np.ndarray):
        return _finite(_matrix(values))
    if type(values) is not list or not values:
        raise FieldError("expected a list of rows of numbers", "values")
    for index, row in enumerate(values):
        if type(row) is not list or not set(map(type, row)) <= {float, int}:
            raise FieldError("expected a list of numbers", f"values[{index}]")
        if len(row) != len(values[0]):
            raise FieldError("rows differ in length", f"values[{index}]")
    return _finite(np.array(values, np.float64))


def _matrix(values: NDArray[Any]) -> NDArray[Any]:
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
        raise FieldError("expected rows of numbers", "values")
    return values


def _finite(values: NDArray[Any]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        rows = values.astype(np.float32)
    if not np.isfinite(rows).all():
        raise FieldError("out of range of float32", "values")
    return rows


def _schema(sizes: dict[str, str], values: dict[str, Any], **more: Any) -> dict[str, Any]:
    properties: dict[str, Any] = {
        name: {"type": "integer", "description": text} for name, text in sizes.items()
    }
    properties["dtype"] = {"enum": choices(tensor_pb2.DataType.DESCRIPTOR)}
    properties.update(more)
    properties["values"] = values
    return {"type": "object", "properties": properties, "additionalProperties": False}


_NUMBERS = {"type": "array", "items": {"type": "number"}}
_ROWS = {"type": "array", "items": _NUMBERS, "description": "One row for each token."}

FORMS = {
    "sie.inference.v1.DenseVector": Form(
        render=_render_dense,
        schema=_schema(
            {"dims": "Components before packing."},
            _NUMBERS,
            range_min={"type": "number", "description": "What the smallest code stands for."},
            range_max={"type": "number", "description": "What the largest code stands for."},
        ),
    ),
    "sie.inference.v1.SparseVector": Form(
        render=_render_sparse,
        schema=_schema(
            {"dims": "Size of the vocabulary."},
            _NUMBERS,
            indices={"type": "array", "items": {"type": "integer"}},
        ),
    ),
    "sie.inference.v1.MultiVector": Form(
        read=_read_multi,
        render=_render_multi,
        schema=_schema({"num_tokens": "Rows.", "token_dims": "Components of each row."}, _ROWS),
    ),
}

"""Encode as tensors.

    text or image      BYTES [n]       in
    embedding          FP32 [n, d]     dense vectors
    embedding_range    FP32 [n, 2]     what the smallest and the largest code of INT8 and UINT8
                                       stand for
    sparse_offsets     INT32 [n + 1]   the weights of text i are
    sparse_indices     INT32 [w]       indices[offsets[i]:offsets[i + 1]] and values of the
    sparse_values      FP32 [w]        same range: a matrix in compressed rows (CSR)
    multivector_offsets INT32 [n + 1]  the rows of text i are
    multivector        FP32 [t, d]     multivector[offsets[i]:offsets[i + 1]]
    input_tokens       INT32 [n]
    truncated          BOOL [n]

The parameter `output_dtype` (float32, float16, int8, uint8, binary, ubinary) makes vectors FP16,
INT8 or UINT8.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gateway.oip.parameters import fill
from gateway.oip.tensors import NUMPY_TYPES, Tensor, tensor_of
from gateway.oip.verbs import items
from gateway.oip.verbs.verb import Asked, Elements, Given, TensorSpec, Values
from gateway.transcoder.names import enum_names
from gateway.validation import lower, outputs_of
from gateway.verbs import encode
from gateway.verbs.fragments import raise_item_error
from servicekit.defaults import DEFAULT_PROFILE
from servicekit.packed import packed_twin
from sie.inference.v1.inference_service_pb2 import EncodeRequest, EncodeResponse
from sie.inference.v1.tensor_pb2 import DataType, OutputType
from sie.registry.v1.model_pb2 import Model

NAME = encode.NAME
_PARAMETERS = (
    "output_dtype",
    "instruction",
    "is_query",
    "dimensions",
    "truncate",
    "profile",
    "options",
)

answers = encode.answers

_PackedResponse = packed_twin(EncodeResponse)
_DATATYPES: dict[int, str] = {
    DataType.DATA_TYPE_UNSPECIFIED: "FP32",
    DataType.DATA_TYPE_FLOAT32: "FP32",
    DataType.DATA_TYPE_FLOAT16: "FP16",
    DataType.DATA_TYPE_INT8: "INT8",
    DataType.DATA_TYPE_UINT8: "UINT8",
    DataType.DATA_TYPE_BINARY: "INT8",
    DataType.DATA_TYPE_UBINARY: "UINT8",
}
_RANGED = {DataType.DATA_TYPE_INT8, DataType.DATA_TYPE_UINT8}
_BITS = {DataType.DATA_TYPE_BINARY, DataType.DATA_TYPE_UBINARY}
_DTYPES = {name: number for number, name in enum_names(DataType.DESCRIPTOR).items()}


def inputs(model: Model) -> list[TensorSpec]:
    return items.specs("text", "image", model)


def outputs(model: Model, values: Values) -> list[TensorSpec]:
    dtype = _dtype(model, values)
    found = []
    for output in outputs_of(model):
        dims = getattr(model.tasks.encode, lower(OutputType, output)).dims
        found += _SPECS[output](dims, dtype)
    return [*found, items.TOKENS, items.TRUNCATED]


def request(model: Model, elements: Elements, wanted: Sequence[str], values: Values) -> Asked:
    name = items.only_one(elements, [spec.name for spec in inputs(model)])
    message = EncodeRequest(items=items.items_of(name, elements[name]))
    fill(message.params, values, _PARAMETERS)
    kinds = dict.fromkeys(_OF[each] for each in wanted if each in _OF)
    message.params.output_types.extend(kinds)
    return Asked(message, name)


def read(body: bytes, wanted: Sequence[str]) -> Given:
    results = _PackedResponse.FromString(body).items
    raise_item_error(results)
    tokens = items.token_tensors(wanted, results)
    return Given([tokens.get(name) or _MAKERS[name](name, results) for name in wanted], {})


def _dtype(model: Model, values: Values) -> int:
    asked = _DTYPES.get(values.get("output_dtype", ""), DataType.DATA_TYPE_UNSPECIFIED)
    profile = str(values.get("profile") or DEFAULT_PROFILE)
    declared = model.profiles[profile].output_dtype if profile in model.profiles else 0
    return asked or declared or DataType.DATA_TYPE_FLOAT32


def _width(dims: int, dtype: int) -> int:
    return -(-dims // 8) if dtype in _BITS else dims


def _dense_specs(dims: int, dtype: int) -> list[TensorSpec]:
    found = [TensorSpec("embedding", _DATATYPES[dtype], (-1, _width(dims, dtype)))]
    if dtype in _RANGED:
        found.append(TensorSpec("embedding_range", "FP32", (-1, 2)))
    return found


def _sparse_specs(_dims: int, dtype: int) -> list[TensorSpec]:
    return [
        TensorSpec("sparse_offsets", "INT32", (-1,)),
        TensorSpec("sparse_indices", "INT32", (-1,)),
        TensorSpec("sparse_values", _DATATYPES[dtype], (-1,)),
    ]


def _multivector_specs(dims: int, dtype: int) -> list[TensorSpec]:
    return [
        TensorSpec("multivector_offsets", "INT32", (-1,)),
        TensorSpec("multivector", _DATATYPES[dtype], (-1, _width(dims, dtype))),
    ]


_SPECS: dict[int, Callable[[int, int], list[TensorSpec]]] = {
    OutputType.OUTPUT_TYPE_DENSE: _dense_specs,
    OutputType.OUTPUT_TYPE_SPARSE: _sparse_specs,
    OutputType.OUTPUT_TYPE_MULTIVECTOR: _multivector_specs,
}
# The output of the model that each tensor is made from.
_OF: dict[str, Any] = {
    spec.name: output
    for output, specs in _SPECS.items()
    for spec in specs(0, DataType.DATA_TYPE_INT8)
}


def _joined(name: str, vectors: Sequence[Any], shape: tuple[int, ...]) -> Tensor:
    """Components of vectors one after the other; of `values` and `data` one is empty."""
    raw = b"".join([vector.values or vector.data for vector in vectors])
    return Tensor(name, _DATATYPES[vectors[0].dtype], shape, raw)


def _embedding(name: str, results: Any) -> Tensor:
    vectors = [result.dense for result in results]
    width = _width(vectors[0].dims, vectors[0].dtype)
    return _joined(name, vectors, (len(vectors), width))


def _ranges(name: str, results: Any) -> Tensor:
    ends = [(result.dense.range_min, result.dense.range_max) for result in results]
    return tensor_of(name, np.array(ends, np.float32))


def _sparse_offsets(name: str, results: Any) -> Tensor:
    return _offsets(name, [len(result.sparse.indices) // 4 for result in results])


def _sparse_indices(name: str, results: Any) -> Tensor:
    raw = b"".join([result.sparse.indices for result in results])
    return Tensor(name, "INT32", (len(raw) // 4,), raw)


def _sparse_values(name: str, results: Any) -> Tensor:
    joined = _joined(name, [result.sparse for result in results], ())
    size = np.dtype(NUMPY_TYPES[joined.datatype]).itemsize
    return joined._replace(shape=(len(joined.raw) // size,))


def _multivector_offsets(name: str, results: Any) -> Tensor:
    return _offsets(name, [result.multivector.num_tokens for result in results])


def _multivector(name: str, results: Any) -> Tensor:
    vectors = [result.multivector for result in results]
    rows = sum(vector.num_tokens for vector in vectors)
    width = _width(vectors[0].token_dims, vectors[0].dtype)
    return _joined(name, vectors, (rows, width))


def _offsets(name: str, counts: Sequence[int]) -> Tensor:
    return tensor_of(name, np.cumsum([0, *counts], dtype=np.int32))


_MAKERS: dict[str, Callable[[str, Any], Tensor]] = {
    "embedding": _embedding,
    "embedding_range": _ranges,
    "sparse_offsets": _sparse_offsets,
    "sparse_indices": _sparse_indices,
    "sparse_values": _sparse_values,
    "multivector_offsets": _multivector_offsets,
    "multivector": _multivector,
}

"""A small builder of ONNX graphs whose weights stream to a file beside the graph.

    model.onnx      nodes, inputs, outputs, small constants
    model.weights   the large constants, one after another, each at a 64-byte boundary

Weights are written as they are added, so compiling holds one tensor in memory at a time, the
2 GB bound of a protobuf message does not matter, and ONNX Runtime maps the file instead of
reading it. The same calls give the same bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from worker.compiler.graph_form import TEXT_GRAPH, Precision

CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own fused operators."""

_OPSET = 17
# The newest IR version that every ONNX Runtime we accept can read.
_IR_VERSION = 8
_ALIGNMENT_BYTES = 64
# Shapes, axes and scalars must be in the graph itself, where shape inference sees them.
_INLINE_BYTES = 1024

_ELEMENTS = {
    Precision.FLOAT32: TensorProto.FLOAT,
    Precision.FLOAT16: TensorProto.FLOAT16,
    Precision.BFLOAT16: TensorProto.BFLOAT16,
    # What is no product of a linear layer.
    Precision.INT8: TensorProto.FLOAT,
}
_HALVES = {Precision.FLOAT16, Precision.BFLOAT16}
# Operators that ONNX Runtime alone has and nobody else needs: of products in int8.
_NEVER_LOWERED = {"MatMulIntegerToFloat"}
# The largest of float16: what hides a token must stay finite.
_LARGEST_HALF = 65504.0

Dims = tuple[str | int, ...]

Lowering = Callable[["Graph", str, Sequence[str], Mapping[str, Any]], list[str]]
"""Adds other nodes in place of a fused operator's, and returns its outputs."""


class Graph:
    """An ONNX graph under construction. Values are named by strings, as in ONNX itself."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        file: str = TEXT_GRAPH,
        lowering: Lowering | None = None,
    ) -> None:
        """Open the files of a graph; `lowering` replaces every fused operator."""
        self._name = name
        self._lowering = lowering
        self._shared: dict[str, str] = {}
        self._precision = Precision.FLOAT32
        self._model_file = directory / file
        self._weights_file = self._model_file.with_suffix(".weights")
        self._weights = self._weights_file.open("wb")
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._counts: Counter[str] = Counter()
        self._domains: set[str] = set()

    def input(self, name: str, dtype: int, dims: Dims) -> str:
        """Declare a graph input; a dimension is a number, or a name where it varies."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, dims))
        return name

    def output(self, name: str, value: str, dtype: int, dims: Dims) -> None:
        """Declare the graph output `name` as the given value."""
        self._nodes.append(helper.make_node("Identity", [value], [name], name=f"output/{name}"))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, dims))

    def constant(self, name: str, array: NDArray[Any]) -> str:
        """Add a constant, once by name, and return its name."""
        if array.dtype == np.float32 and self._precision in _HALVES:
            name, array = f"{name}/{self._precision}", _rounded(array, self._precision)
        if name not in self._constants:
            small = array.nbytes < _INLINE_BYTES
            self._constants[name] = (
                numpy_helper.from_array(array, name) if small else self._write(name, array)
            )
        return name

    def integers(self, *values: int) -> str:
        """Add a one-dimensional int64 constant, named by its values."""
        name = "int64/" + "_".join(map(str, values))
        return self.constant(name, np.array(values, dtype=np.int64))

    @contextmanager
    def computing(self, precision: Precision) -> Iterator[None]:
        """Within this, constants and casts to float32 are of that precision instead."""
        before, self._precision = self._precision, precision
        yield
        self._precision = before

    @property
    def precision(self) -> Precision:
        """What is computed in at this place."""
        return self._precision

    def once(self, key: str, add: Callable[[], str]) -> str:
        """Return the value that `add` adds, the same one for the same key."""
        if key not in self._shared:
            self._shared[key] = add()
        return self._shared[key]

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name; "" omits an input."""
        return self.nodes(operator, inputs, 1, domain=domain, **attributes)[0]

    def nodes(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: int,
        *,
        domain: str = "",
        **attributes: Any,
    ) -> list[str]:
        """Add a node and return the names of its outputs."""
        if operator == "Cast" and attributes["to"] == TensorProto.FLOAT:
            attributes["to"] = _ELEMENTS[self._precision]
        if domain == CONTRIB and self._lowering and operator not in _NEVER_LOWERED:
            return self._lowering(self, operator, inputs, attributes)
        name = f"{operator}/{self._counts[operator]}"
        self._counts[operator] += 1
        self._domains.add(domain)
        results = [f"{name}:{index}" for index in range(outputs)]
        self._nodes.append(
            helper.make_node(operator, inputs, results, name=name, domain=domain, **attributes)
        )
        return results

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._weights.close()

    def save(self) -> None:
        """Write the file of nodes; the weights are complete once the graph is closed."""
        content = self._model().SerializeToString(deterministic=True)
        self._model_file.write_bytes(content)

    def _model(self) -> ModelProto:
        graph = helper.make_graph(
            self._nodes,
            self._name,
            self._inputs,
            self._outputs,
            initializer=list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        if CONTRIB in self._domains:
            opsets.append(helper.make_opsetid(CONTRIB, 1))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
        model.producer_name = "sie"
        return model

    def _write(self, name: str, array: NDArray[Any]) -> TensorProto:
        self._weights.write(b"\0" * (-self._weights.tell() % _ALIGNMENT_BYTES))
        place = {
            "location": self._weights_file.name,
            "offset": self._weights.tell(),
            "length": array.nbytes,
        }
        # As bytes: the buffer protocol has no word for bfloat16.
        self._weights.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
        tensor = TensorProto(name=name, dims=array.shape)
        tensor.data_type = helper.np_dtype_to_tensor_dtype(array.dtype)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _rounded(array: NDArray[np.float32], precision: Precision) -> NDArray[Any]:
    if precision == Precision.FLOAT16:
        return np.clip(array, -_LARGEST_HALF, _LARGEST_HALF).astype(np.float16)
    rounded: NDArray[Any] = array.astype(ml_dtypes.bfloat16)
    return rounded

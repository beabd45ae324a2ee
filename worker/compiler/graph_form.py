"""In which form a checkpoint is compiled: what an engine can read, and how texts lie in a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Dialect(StrEnum):
    """Which operators a graph is made of."""

    FUSED = "fused"
    """ONNX and the fused operators of ONNX Runtime's `com.microsoft` domain."""
    STANDARD = "standard"
    """The operators of the ONNX standard alone, for everybody else."""


class Layout(StrEnum):
    """How texts lie in the rows of a batch."""

    PADDED = "padded"
    """One text a row, padded to the longest."""
    PACKED = "packed"
    """Several texts a row, one behind the other."""


class Precision(StrEnum):
    """What an encoder computes in; its heads, inputs and outputs are always float32."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    INT8 = "int8"
    """Products of linear layers in int8, the rest in float32."""


TEXT_GRAPH = "model.onnx"
VISION_GRAPH = "vision.onnx"
"""The second graph of a model that reads images too; weights lie beside each, as `.weights`."""


@dataclass(frozen=True, slots=True)
class GraphForm:
    """A form of graph; engines that want the same share one cache entry."""

    dialect: Dialect = Dialect.FUSED
    layout: Layout = Layout.PADDED
    precision: Precision = Precision.FLOAT32

    @classmethod
    def of(cls, values: Mapping[str, str]) -> GraphForm:
        """Read what `dataclasses.asdict` made; raises ValueError or KeyError."""
        return cls(
            Dialect(values["dialect"]), Layout(values["layout"]), Precision(values["precision"])
        )

    def __str__(self) -> str:
        return f"{self.dialect}-{self.layout}-{self.precision}"

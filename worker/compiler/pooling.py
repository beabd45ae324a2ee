"""From the vectors of a row's tokens to one vector; padding never counts.

`hidden` is (rows, tokens, size) float32, `lengths` (rows,) int32.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from worker.checkpoint.heads import Pooling
from worker.compiler.graph import Graph


def pooled(graph: Graph, hidden: str, lengths: str, mode: Pooling) -> str:
    """Reduce the real tokens of each row to one vector (rows, size)."""
    match mode:
        case Pooling.MEAN:
            return _weighted(graph, hidden, _shares(graph, hidden, lengths, root=False))
        case Pooling.MEAN_SQRT_LEN:
            return _weighted(graph, hidden, _shares(graph, hidden, lengths, root=True))
        case Pooling.WEIGHTED_MEAN:
            return _weighted(graph, hidden, _rising_shares(graph, hidden, lengths))
        case Pooling.MAX:
            real = without_padding(graph, hidden, lengths)
            return graph.node("ReduceMax", real, axes=[1], keepdims=0)
        case Pooling.CLS:
            return graph.node("Gather", hidden, _scalar(graph, "first", 0), axis=1)
        case Pooling.LAST_TOKEN:
            last = graph.node("Sub", _int64(graph, lengths), graph.integers(1))
            index = graph.node("Unsqueeze", last, graph.integers(1))
            return graph.node("GatherND", hidden, index, batch_dims=1)


def unit_length(graph: Graph, vectors: str) -> str:
    """Scale each vector, along the last axis, to Euclidean norm 1; a zero vector stays zero."""
    return graph.node("LpNormalization", vectors, axis=-1, p=2)


def without_padding(graph: Graph, hidden: str, lengths: str) -> str:
    """Put the first token's vector in place of padding, so that a maximum does not see it."""
    real = graph.node("Unsqueeze", is_token(graph, hidden, lengths), graph.integers(2))
    first = graph.node("Gather", hidden, graph.integers(0), axis=1)
    return graph.node("Where", real, hidden, first)


def token_mask(graph: Graph, hidden: str, lengths: str) -> str:
    """Return 1 for a real token and 0 for padding, (rows, tokens) float32."""
    return _float(graph, is_token(graph, hidden, lengths))


def _weighted(graph: Graph, hidden: str, shares: str) -> str:
    """Sum the vectors of each row times `shares` (rows, tokens)."""
    row = graph.node("Unsqueeze", shares, graph.integers(1))
    return graph.node("Squeeze", graph.node("MatMul", row, hidden), graph.integers(1))


def _shares(graph: Graph, hidden: str, lengths: str, *, root: bool) -> str:
    count = graph.node("Unsqueeze", _float(graph, lengths), graph.integers(1))
    divisor = graph.node("Sqrt", count) if root else count
    return graph.node("Div", token_mask(graph, hidden, lengths), divisor)


def _rising_shares(graph: Graph, hidden: str, lengths: str) -> str:
    """Weigh the n-th token by n."""
    mask = token_mask(graph, hidden, lengths)
    numbers = graph.node("Mul", mask, graph.node("CumSum", mask, _scalar(graph, "one", 1)))
    total = graph.node("ReduceSum", numbers, graph.integers(1), keepdims=1)
    return graph.node("Div", numbers, total)


def is_token(graph: Graph, hidden: str, lengths: str) -> str:
    """Return bool (rows, tokens): whether a place holds a real token."""
    ends = graph.node("Unsqueeze", _int64(graph, lengths), graph.integers(1))
    return graph.node("Less", places(graph, hidden), ends)


def places(graph: Graph, hidden: str) -> str:
    """Return 0, 1, ... for the tokens of a row, (tokens,) int64."""
    zero, one = _scalar(graph, "zero", 0), _scalar(graph, "one", 1)
    tokens = graph.node("Gather", graph.node("Shape", hidden), one)
    return graph.node("Range", zero, tokens, one)


def _scalar(graph: Graph, name: str, value: int) -> str:
    return graph.constant(f"int64/{name}", np.array(value, dtype=np.int64))


def _float(graph: Graph, value: str) -> str:
    return graph.node("Cast", value, to=TensorProto.FLOAT)


def _int64(graph: Graph, value: str) -> str:
    return graph.node("Cast", value, to=TensorProto.INT64)

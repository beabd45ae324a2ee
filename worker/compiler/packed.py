"""Several texts in a row of a graph: where they lie, and that they do not see each other.

    lengths   3 2 0        ids        a a a b b ·
                           places     0 1 2 0 1 0        positions begin anew with each text
                           members    1 1 1 0 0 0        one line for each text
                                      0 0 0 1 1 0
                           bias       0 where both tokens are of the same text

All of it is computed in the graph from the lengths, so a batch cannot contradict itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from worker.checkpoint.heads import Pooling
from worker.compiler.graph import Graph
from worker.compiler.pooling import places

# Finite: the rows of padding see nothing at all, and must not become NaN.
_HIDDEN = np.float32(1e4)

POOLINGS = frozenset(Pooling) - {Pooling.MAX}
"""Poolings that are a product with a matrix."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How texts lie in rows.

    Attributes:
        places: (rows, tokens) int32, from 0 for the first token of each text.
        members: (rows, texts, tokens) float32, 1 where the token is of the text.
        bias: (rows, 1, tokens, tokens) float32, for attention.
        counts: (rows, texts, 1) float32, how many tokens a text has, at least 1.

    """

    places: str
    members: str
    bias: str
    counts: str

    @classmethod
    def of(cls, graph: Graph, ids: str, lengths: str) -> Packing:
        """Derive it from `lengths`, (rows, texts) int32, 0 where a row has fewer texts."""
        ends = graph.node("CumSum", lengths, graph.constant("int64/one", np.array(1)))
        starts = graph.node("Unsqueeze", graph.node("Sub", ends, lengths), graph.integers(2))
        ends = graph.node("Unsqueeze", ends, graph.integers(2))
        row = graph.node("Cast", places(graph, ids), to=TensorProto.INT32)
        inside = graph.node(
            "And", graph.node("GreaterOrEqual", row, starts), graph.node("Less", row, ends)
        )
        members = graph.node("Cast", inside, to=TensorProto.FLOAT)
        return cls(
            places=_places(graph, row, starts, inside),
            members=members,
            bias=_bias(graph, members),
            counts=_counts(graph, lengths),
        )


def pooled_texts(graph: Graph, hidden: str, packing: Packing, mode: Pooling) -> str:
    """Reduce the tokens of each text to one vector, (rows, texts, size)."""
    match mode:
        case Pooling.MEAN:
            weights = graph.node("Div", packing.members, packing.counts)
        case Pooling.MEAN_SQRT_LEN:
            weights = graph.node("Div", packing.members, graph.node("Sqrt", packing.counts))
        case Pooling.WEIGHTED_MEAN:
            rising = graph.node("Mul", packing.members, _numbers(graph, packing))
            one = graph.constant("float/one", np.array(1, dtype=np.float32))
            total = graph.node("ReduceSum", rising, graph.integers(2), keepdims=1)
            weights = graph.node("Div", rising, graph.node("Max", total, one))
        case Pooling.CLS:
            one = graph.constant("float/one", np.array(1, dtype=np.float32))
            weights = _where_number(graph, packing, one)
        case Pooling.LAST_TOKEN:
            weights = _where_number(graph, packing, packing.counts)
        case _:
            raise ValueError(f"{mode} is no product with a matrix")
    return graph.node("MatMul", weights, hidden)


def _places(graph: Graph, row: str, starts: str, inside: str) -> str:
    """Return each token's place in its text; 0 for padding, which a table of positions has."""
    zero = graph.constant("int32/zero", np.array(0, dtype=np.int32))
    own = graph.node("Where", inside, graph.node("Sub", row, starts), zero)
    return graph.node("ReduceSum", own, graph.integers(1), keepdims=0)


def _bias(graph: Graph, members: str) -> str:
    tokens_first = graph.node("Transpose", members, perm=[0, 2, 1])
    together = graph.node("MatMul", tokens_first, members)
    one = graph.constant("float/one", np.array(1, dtype=np.float32))
    far = graph.constant("float/far", np.array(_HIDDEN))
    bias = graph.node("Mul", graph.node("Sub", together, one), far)
    return graph.node("Unsqueeze", bias, graph.integers(1))


def _counts(graph: Graph, lengths: str) -> str:
    one = graph.constant("float/one", np.array(1, dtype=np.float32))
    counted = graph.node("Max", graph.node("Cast", lengths, to=TensorProto.FLOAT), one)
    return graph.node("Unsqueeze", counted, graph.integers(2))


def _numbers(graph: Graph, packing: Packing) -> str:
    """Return each token's number in its text, from 1, (rows, 1, tokens) float32."""
    one = graph.constant("float/one", np.array(1, dtype=np.float32))
    numbers = graph.node("Add", graph.node("Cast", packing.places, to=TensorProto.FLOAT), one)
    return graph.node("Unsqueeze", numbers, graph.integers(1))


def _where_number(graph: Graph, packing: Packing, number: str) -> str:
    chosen = graph.node("Equal", _numbers(graph, packing), number)
    return graph.node("Mul", packing.members, graph.node("Cast", chosen, to=TensorProto.FLOAT))

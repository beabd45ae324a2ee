"""Where tokens stand, in the text and to each other."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from worker.checkpoint.config import Config
from worker.compiler.body import Tokens
from worker.compiler.graph import Graph
from worker.compiler.pooling import places

# Of RoBERTa, and all that followed it.
_PADDING_ID = 1


def padding_id(config: Config) -> int:
    """Read the id of RoBERTa's padding token, which config.json may leave at its default."""
    return int(config.number("pad_token_id", default=_PADDING_ID))


def places_after_padding(graph: Graph, tokens: Tokens, first: int) -> str:
    """Number the tokens of each row from `first` on, (rows, tokens) int32.

    As RoBERTa does, whose padding token, id `first - 1`, has the place `first - 1` and is not
    counted, also where somebody has written it in a text.
    """
    padding = graph.constant("int32/padding", np.array(first - 1, dtype=np.int32))
    is_padding = graph.node("Equal", tokens.ids, padding)
    counted = graph.node("Cast", graph.node("Not", is_padding), to=TensorProto.INT32)
    axis = graph.constant("int64/one", np.array(1, dtype=np.int64))
    number = graph.node("Mul", graph.node("CumSum", counted, axis), counted)
    return graph.node("Add", number, padding)


def distances(graph: Graph, hidden: str) -> str:
    """Return the key's place minus the query's, (tokens, tokens) int64."""
    numbered = places(graph, hidden)
    keys = graph.node("Unsqueeze", numbered, graph.integers(0))
    return graph.node("Sub", keys, graph.node("Unsqueeze", numbered, graph.integers(1)))


def neighbourhood(graph: Graph, hidden: str, reach: int) -> str:
    """Return a bias that hides what stands further than `reach`, (1, 1, tokens, tokens)."""
    near = graph.constant("int64/reach", np.array(reach, dtype=np.int64))
    seen = graph.node("LessOrEqual", graph.node("Abs", distances(graph, hidden)), near)
    shown = graph.constant("float/shown", np.array(0, dtype=np.float32))
    # Finite: the rows of padding may see nothing at all, and must not become NaN.
    hidden_score = graph.constant("float/hidden", np.array(-1e4, dtype=np.float32))
    bias = graph.node("Where", seen, shown, hidden_score)
    return graph.node("Unsqueeze", bias, graph.integers(0, 1))

"""Where a token stands, for families that do not simply count from the first."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from worker.compiler.body import Tokens
from worker.compiler.graph import Graph


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

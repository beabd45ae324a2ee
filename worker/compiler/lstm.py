"""Bidirectional LSTM (Hochreiter and Schmidhuber, 1997), as `torch.nn.LSTM` lays it out.

PyTorch stacks the gates as input, forget, cell, output; ONNX as input, output, forget, cell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters

_GATES = [0, 3, 1, 2]
_DIRECTIONS = ("", "_reverse")


def bidirectional_lstm(own: Parameters, sequence: str, lengths: str, size: int, layers: int) -> str:
    """Add the layers over `sequence`, (rows, steps, size); what is returned has its shape.

    Args:
        own: the tensors of the module.
        sequence: right-padded vectors.
        lengths: (rows,) int32, how many steps of each row count.
        size: of the vectors that go in and come out, both directions together.
        layers: how many follow each other.

    """
    graph = own.graph
    steps = graph.node("Transpose", sequence, perm=[1, 0, 2])
    for layer in range(layers):
        steps = _layer(own, steps, lengths, size, layer)
    return graph.node("Transpose", steps, perm=[1, 0, 2])


def _layer(own: Parameters, steps: str, lengths: str, size: int, layer: int) -> str:
    """Return the states of a layer, (steps, rows, size), like its input."""
    graph, half = own.graph, size // 2

    def both(kind: str, *shape: int) -> NDArray[np.float32]:
        parts = [own.read(f"{kind}_l{layer}{side}", *shape) for side in _DIRECTIONS]
        return np.stack([_reordered(part) for part in parts])

    bias = np.concatenate([both("bias_ih", 4 * half), both("bias_hh", 4 * half)], axis=1)
    states = graph.node(
        "LSTM",
        steps,
        own.add(f"input_l{layer}", both("weight_ih", 4 * half, size)),
        own.add(f"recurrent_l{layer}", both("weight_hh", 4 * half, half)),
        own.add(f"bias_l{layer}", bias),
        lengths,
        direction="bidirectional",
        hidden_size=half,
    )
    return _side_by_side(graph, states, size)


def _side_by_side(graph: Graph, states: str, size: int) -> str:
    """Turn (steps, 2, rows, half) into (steps, rows, size)."""
    by_row = graph.node("Transpose", states, perm=[0, 2, 1, 3])
    return graph.node("Reshape", by_row, graph.integers(0, 0, size))


def _reordered(gates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the four gates, stacked along the first axis, into ONNX's order."""
    return np.concatenate([np.split(gates, 4)[index] for index in _GATES])

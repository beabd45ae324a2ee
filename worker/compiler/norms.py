"""Root mean square normalisation (Zhang and Sennrich, 2019): x / rms(x) * scale.

`scale` is (size,) float32; the last axis is normalised.
"""

from __future__ import annotations

import numpy as np

from worker.compiler.graph import CONTRIB, Graph


def rms_normed(graph: Graph, values: str, scale: str, epsilon: float) -> str:
    """Normalise values in the form that ONNX Runtime fuses to SimplifiedLayerNormalization.

    That operator itself is none of the ONNX standard and so cannot stand in a valid file.
    """
    two = graph.constant("float/two", np.array(2, dtype=np.float32))
    small = graph.constant(f"float/{epsilon:g}", np.array(epsilon, dtype=np.float32))
    squares = graph.node("Pow", values, two)
    mean = graph.node("ReduceMean", squares, axes=[-1], keepdims=1)
    root = graph.node("Sqrt", graph.node("Add", mean, small))
    return graph.node("Mul", graph.node("Div", values, root), scale)


def added_and_rms_normed(
    graph: Graph, values: str, residual: str, scale: str, epsilon: float
) -> tuple[str, str]:
    """Return the normalised sum, and the sum: the seam of two pre-norm sub-layers."""
    normed, _, _, total = graph.nodes(
        "SkipSimplifiedLayerNormalization",
        [values, residual, scale],
        4,
        domain=CONTRIB,
        epsilon=epsilon,
    )
    return normed, total

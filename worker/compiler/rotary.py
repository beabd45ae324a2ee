"""Attention with rotary positions (Su et al., RoFormer, 2021), rotating halves of each head.

Each pair of components (i, i + half) of a query or key turns by place x frequency[i], so that
their product depends on the distance of their places alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.compiler.graph import CONTRIB, Graph


@dataclass(frozen=True, slots=True)
class Rotary:
    """Constants of a rotation: cosines and sines are (places, head size / 2) float32."""

    cosines: str
    sines: str


def frequencies(head_size: int, theta: float) -> NDArray[np.float64]:
    """Return theta^(-2i / head_size), (head_size / 2,)."""
    return theta ** -(np.arange(0, head_size, 2, dtype=np.float64) / head_size)


def rotary(
    graph: Graph, name: str, turns: NDArray[np.float64], places: int, scale: float = 1.0
) -> Rotary:
    """Add the tables of a rotation, once by name, for that many places; `scale` multiplies both."""
    angles = np.outer(np.arange(places), turns)
    return Rotary(
        graph.constant(f"rotary/{name}/cosines", (np.cos(angles) * scale).astype(np.float32)),
        graph.constant(f"rotary/{name}/sines", (np.sin(angles) * scale).astype(np.float32)),
    )


def rotary_attention(
    graph: Graph, qkv: str, rotation: Rotary, heads: int, lengths: str, bias: str = ""
) -> str:
    """Attend to the real tokens of the same row.

    Args:
        graph: where the nodes are added.
        qkv: query, key and value side by side, (rows, tokens, 3 x size).
        rotation: for queries and keys.
        heads: how many.
        lengths: (rows,) int32.
        bias: (1, 1, tokens, tokens), added to the scores; "" for none.

    Returns:
        (rows, tokens, size).

    """
    query, key, value = graph.nodes("Split", [qkv], 3, axis=-1)
    query, key = (rotated(graph, each, rotation, heads) for each in (query, key))
    inputs = [query, key, value, "", lengths, *([bias] if bias else [])]
    return graph.node("MultiHeadAttention", *inputs, domain=CONTRIB, num_heads=heads)


def rotated(graph: Graph, values: str, rotation: Rotary, heads: int) -> str:
    """Turn queries or keys, (rows, tokens, heads x head size), by their places in the row."""
    return graph.node(
        "RotaryEmbedding",
        *(values, graph.integers(0), rotation.cosines, rotation.sines),
        domain=CONTRIB,
        num_heads=heads,
    )

"""Rotary position embedding (Su et al., 2021, RoFormer), halves rotated as GPT-NeoX does.

dimension pair (i, i + d/2) of the token at place p turns by the angle p * theta^(-2i/d)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.compiler.graph import CONTRIB, Graph
from worker.config import CheckpointError, Config


@dataclass(frozen=True, slots=True)
class Rotary:
    """Constants of the rotation: cosines and sines (places, head_dim / 2) float32."""

    cosines: str
    sines: str


def rope_theta(config: Config, default: float = 10_000.0) -> float:
    """Read either spelling: `rope_theta` beside `rope_scaling`, or `rope_parameters`.

    Raises:
        CheckpointError: positions are scaled, by whichever method.

    """
    parameters, scaling = config.below("rope_parameters"), config.below("rope_scaling")
    kind = parameters.text(
        "rope_type", default=scaling.text("rope_type", "type", default="default")
    )
    if kind != "default":
        raise CheckpointError(config.path, f"rope_type {kind} is not supported")
    return parameters.number("rope_theta", default=config.number("rope_theta", default=default))


def rotary(graph: Graph, theta: float, head_dim: int, places: int) -> Rotary:
    """Add the angles of the places 0 to places - 1, shared by all layers of the same theta."""
    frequencies = theta ** -(np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim))
    angles = np.outer(np.arange(places, dtype=np.float32), frequencies.astype(np.float32))
    name = f"rotary/{theta:g}_{head_dim}_{places}"
    return Rotary(
        graph.constant(f"{name}.cosines", np.cos(angles)),
        graph.constant(f"{name}.sines", np.sin(angles)),
    )


def rotated(graph: Graph, vectors: str, angles: Rotary) -> str:
    """Turn queries or keys (rows, tokens, heads * head_dim) by their places in the row."""
    first = graph.integers(0)
    return graph.node(
        "RotaryEmbedding", vectors, first, angles.cosines, angles.sines, domain=CONTRIB
    )

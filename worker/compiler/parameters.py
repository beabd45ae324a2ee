"""A checkpoint's tensors, by their published names, as constants of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.compiler.graph import Graph
from worker.weights import Weights


@dataclass(frozen=True, slots=True)
class Linear:
    """Constants of y = x @ weight + bias: weight (inputs, outputs), bias (outputs,), float32."""

    weight: str
    bias: str


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Constants of a layer normalisation: scale and bias (size,), float32."""

    scale: str
    bias: str
    epsilon: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tensors below a prefix, added to the graph as they are asked for."""

    graph: Graph
    weights: Weights
    prefix: str = ""

    def below(self, name: str) -> Parameters:
        return replace(self, prefix=f"{self.prefix}{name}.")

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.weights

    def read(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return a tensor as stored; raise CheckpointError if it is absent or misshapen."""
        return self.weights.read(self.prefix + name, shape)

    def add(self, name: str, array: NDArray[np.float32]) -> str:
        """Add an array made from tensors below this prefix; return the constant's name."""
        return self.graph.constant(self.prefix + name, array)

    def linear(self, name: str, inputs: int, outputs: int) -> Linear:
        return self.merged(name, [name], inputs, outputs)

    def merged(self, name: str, parts: Sequence[str], inputs: int, outputs: int) -> Linear:
        """Join linear layers of one input, each `outputs` wide, into one product."""
        weights = [self.read(f"{part}.weight", outputs, inputs).T for part in parts]
        biases = [self.read(f"{part}.bias", outputs) for part in parts]
        return Linear(
            self.add(f"{name}.weight", np.concatenate(weights, axis=1)),
            self.add(f"{name}.bias", np.concatenate(biases)),
        )

    def layer_norm(self, name: str, size: int, epsilon: float) -> LayerNorm:
        # The first BERT releases call scale and bias as TensorFlow did.
        old = f"{name}.gamma" in self
        scale, bias = ("gamma", "beta") if old else ("weight", "bias")
        return LayerNorm(
            self.add(f"{name}.weight", self.read(f"{name}.{scale}", size)),
            self.add(f"{name}.bias", self.read(f"{name}.{bias}", size)),
            epsilon,
        )

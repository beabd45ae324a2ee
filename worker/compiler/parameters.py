"""A checkpoint's tensors, by their published names, as constants of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.weights import Weights
from worker.compiler.graph import Graph
from worker.compiler.graph_form import Precision
from worker.compiler.quantized import quantized


@dataclass(frozen=True, slots=True)
class Linear:
    """Constants of y = x @ weight + bias: weight (inputs, outputs), bias (outputs,), float32.

    `bias` is "" where there is none. Where `scales`, (outputs,), is not "", the weight is int8, in
    units of those.
    """

    weight: str
    bias: str
    inputs: int
    scales: str = ""


@dataclass(frozen=True, slots=True)
class LayerNorm:
    """Constants of a layer normalisation: scale and bias (size,), float32."""

    scale: str
    bias: str
    epsilon: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """Tensors below a prefix, added to the graph as they are asked for.

    Attributes:
        graph: where constants are added.
        weights: the file or files they come from.
        prefix: what their names begin with.
        scope: what the constants' names begin with, so that two files do not collide.

    """

    graph: Graph
    weights: Weights
    prefix: str = ""
    scope: str = ""

    def below(self, name: str) -> Parameters:
        """Return the tensors below a further name; "" is this one's own."""
        return replace(self, prefix=f"{self.prefix}{name}.") if name else self

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.weights

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape; raise CheckpointError if it is absent."""
        return self.weights.shape(self.prefix + name)

    def read(self, name: str, *shape: int) -> NDArray[np.float32]:
        """Return a tensor as stored; raise CheckpointError if it is absent or misshapen."""
        return self.weights.read(self.prefix + name, shape)

    def add(self, name: str, array: NDArray[np.float32]) -> str:
        """Add an array made from tensors below this prefix; return the constant's name."""
        return self.graph.constant(self.scope + self.prefix + name, array)

    def vectors(self, name: str, *shape: int) -> str:
        """Add a tensor of that shape as stored, such as a table of vectors (count, size)."""
        return self.add(name, self.read(name, *shape))

    def linear(self, name: str, inputs: int, outputs: int, *, biased: bool | None = None) -> Linear:
        return self.merged(name, [name], inputs, outputs, biased=biased)

    def merged(
        self,
        name: str,
        parts: Sequence[str],
        inputs: int,
        outputs: int,
        *,
        biased: bool | None = None,
    ) -> Linear:
        """Join linear layers of one input, each `outputs` wide, into one product.

        `biased` says whether they have biases, which must then be there; None: as the file has it.
        """
        weights = [self.read(dotted(part, "weight"), outputs, inputs).T for part in parts]
        weight = np.concatenate(weights, axis=1)
        bias = ""
        if biased is None:
            biased = any(dotted(part, "bias") in self for part in parts)
        if biased:
            biases = [self.read(dotted(part, "bias"), outputs) for part in parts]
            bias = self.add(dotted(name, "bias"), np.concatenate(biases))
        return self.layer(name, weight, bias)

    def layer(self, name: str, weight: NDArray[np.float32], bias: str = "") -> Linear:
        """Add a weight (inputs, outputs) in the precision of this place."""
        inputs = len(weight)
        if self.graph.precision != Precision.INT8:
            return Linear(self.add(dotted(name, "weight"), weight), bias, inputs)
        integers, scales = quantized(weight)
        named = self.graph.constant(self.scope + self.prefix + dotted(name, "int8"), integers)
        return Linear(named, bias, inputs, self.add(dotted(name, "scales"), scales))

    def layer_norm(
        self, name: str, size: int, epsilon: float, *, biased: bool = False
    ) -> LayerNorm:
        """Add a norm, which with `biased` must have a bias; else one that is absent is zero."""
        # The first BERT releases call scale and bias as TensorFlow did.
        old = f"{name}.gamma" in self
        scale, bias = ("gamma", "beta") if old else ("weight", "bias")
        shift = (
            self.read(f"{name}.{bias}", size)
            if biased or f"{name}.{bias}" in self
            else np.zeros(size, dtype=np.float32)
        )
        return LayerNorm(
            self.add(f"{name}.weight", self.read(f"{name}.{scale}", size)),
            self.add(f"{name}.bias", shift),
            epsilon,
        )


def dotted(name: str, leaf: str) -> str:
    """Return a tensor's name below a module's; "" is the module at the top."""
    return f"{name}.{leaf}" if name else leaf

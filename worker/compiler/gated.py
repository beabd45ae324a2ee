"""What the encoders of the rotary generation share beside their attention."""

from __future__ import annotations

import numpy as np

from worker.compiler.blocks import activate, linear, normalized
from worker.compiler.body import Tokens
from worker.compiler.graph import Graph
from worker.compiler.parameters import LayerNorm, Linear, Parameters


def word_vectors(
    own: Parameters, tokens: Tokens, shape: tuple[int, int], types: tuple[str, int], norm: LayerNorm
) -> str:
    """Look up the tokens' vectors, add those of their types and normalise the sum.

    Args:
        own: parameters that hold the tables.
        tokens: the graph's inputs.
        shape: vocabulary and size of the words' table.
        types: name and rows of the types' table; no rows where the model has none.
        norm: what follows the sum.

    """
    graph, name, (type_name, rows) = own.graph, "word_embeddings.weight", types
    words = own.read(name, *shape)
    if not rows:
        summed = graph.node("Gather", own.add(name, words), tokens.ids)
    elif tokens.types is None:
        # Every token is of type 0, so its vector is added here and not at each run.
        table = words + own.read(type_name, rows, shape[1])[0]
        summed = graph.node("Gather", own.add(name, table), tokens.ids)
    else:
        kinds = graph.node("Gather", own.vectors(type_name, rows, shape[1]), tokens.types)
        summed = graph.node("Add", graph.node("Gather", own.add(name, words), tokens.ids), kinds)
    return normalized(graph, summed, norm)


def gated(graph: Graph, hidden: str, both: Linear, out: Linear, activation: str) -> str:
    """Return out(activation(x) * y) where `both` gives x and y side by side."""
    active, gate = graph.nodes("Split", [linear(graph, hidden, both)], 2, axis=-1)
    return linear(graph, graph.node("Mul", activate(graph, active, activation), gate), out)


def swapped(own: Parameters, name: str, inputs: int, inner: int) -> Linear:
    """Read a layer whose halves stand as [gate; active], the other way round than `gated`."""
    weight = own.read(f"{name}.weight", 2 * inner, inputs)
    halves = np.concatenate([weight[inner:], weight[:inner]])
    return own.layer(name, np.ascontiguousarray(halves.T))


def added(graph: Graph, hidden: str, change: str, norm: LayerNorm) -> str:
    """Return norm(hidden + change), the end of a post-norm sub-layer."""
    return normalized(graph, graph.node("Add", hidden, change), norm)

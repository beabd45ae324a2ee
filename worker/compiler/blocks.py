"""The blocks that encoder families share.

Values are float32 unless said otherwise: `hidden` is (rows, tokens, size), right-padded, and
`lengths` (rows,) int32 says how many tokens of each row are real. Fused operators are those
that ONNX Runtime's CPU provider has (docs/ContribOperators.md in its repository).
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.attention import attended
from worker.compiler.body import Tokens
from worker.compiler.graph import CONTRIB, Graph
from worker.compiler.parameters import LayerNorm, Linear
from worker.compiler.quantized import quantized_product

_FUSED_ACTIVATIONS = {
    "gelu": "BiasGelu",
    "gelu_new": "FastGelu",
    "gelu_fast": "FastGelu",
    "gelu_pytorch_tanh": "FastGelu",
}
_PLAIN_ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}
# CLIP's stand-in for GELU is x * sigmoid(1.702 x).
_QUICK_GELU_ALPHA = 1.702

ACTIVATIONS = frozenset({"quick_gelu", "silu", *_FUSED_ACTIVATIONS, *_PLAIN_ACTIVATIONS})
"""The values of `hidden_act` that `activated` takes."""


def checked_activation(config: Config, *names: str, default: str = "gelu") -> str:
    """Return an entry of config.json; raise CheckpointError if it is none of ACTIVATIONS."""
    activation = config.text(*names, default=default)
    if activation not in ACTIVATIONS:
        raise CheckpointError(config.path, f"{names[0]} {activation} is not supported")
    return activation


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Tables of vectors that are added for each token, and the normalisation after.

    Attributes:
        words: (vocabulary, size).
        positions: (places, size), from the first place on.
        norm: what follows the sum.
        types: (types, size); "" where the graph is not told types.

    """

    words: str
    positions: str
    norm: LayerNorm
    types: str = ""


def embed(graph: Graph, tokens: Tokens, tables: Embeddings, places: str = "") -> str:
    """Sum the vectors of each token and normalise them: (rows, tokens) -> hidden.

    `places`, (rows, tokens) int32, are rows of the table of positions; "" counts from 0.
    """
    norm = tables.norm
    if not places and tokens.packing is not None:
        places = tokens.packing.places
    inputs = [tokens.ids, tokens.types or "", tables.words, tables.positions, tables.types]
    inputs += [norm.scale, norm.bias, *(["", places] if places else [])]
    hidden, _ = graph.nodes(
        "EmbedLayerNormalization", inputs, 2, domain=CONTRIB, epsilon=norm.epsilon
    )
    return hidden


def self_attention(
    graph: Graph, hidden: str, qkv: Linear, heads: int, lengths: str, bias: str = ""
) -> str:
    """Attend to the real tokens of the same row; `qkv` is query, key and value side by side.

    `bias`, (1, heads, tokens, tokens), is added to the scores of query and key.

    One operator for products and attention measured 2-5% faster than a product followed by
    MultiHeadAttention, and 6% faster than plain operators.
    """
    if qkv.scales:
        parts = graph.nodes("Split", [linear(graph, hidden, qkv)], 3, axis=-1)
        return attended(graph, (parts[0], parts[1], parts[2]), heads, lengths=lengths, bias=bias)
    inputs = [hidden, qkv.weight, qkv.bias, lengths, *(["", bias] if bias else [])]
    return graph.node("Attention", *inputs, domain=CONTRIB, num_heads=heads)


def projected(graph: Graph, hidden: str, linear: Linear, residual: str, norm: LayerNorm) -> str:
    """Return norm(hidden @ weight + bias + residual), the end of a post-norm sub-layer."""
    return graph.node(
        "SkipLayerNormalization",
        *(product(graph, hidden, linear), residual, norm.scale, norm.bias, linear.bias),
        domain=CONTRIB,
        epsilon=norm.epsilon,
    )


def linear(graph: Graph, hidden: str, layer: Linear) -> str:
    """Return hidden @ weight + bias."""
    values = product(graph, hidden, layer)
    return graph.node("Add", values, layer.bias) if layer.bias else values


def product(graph: Graph, hidden: str, layer: Linear) -> str:
    """Return hidden @ weight."""
    if layer.scales:
        return quantized_product(graph, hidden, layer.weight, layer.scales, layer.inputs)
    return graph.node("MatMul", hidden, layer.weight)


def activated(graph: Graph, hidden: str, layer: Linear, activation: str) -> str:
    """Return activation(hidden @ weight + bias) for one of ACTIVATIONS."""
    fused = _FUSED_ACTIVATIONS.get(activation)
    if fused is None:
        return activate(graph, linear(graph, hidden, layer), activation)
    values = product(graph, hidden, layer)
    if layer.bias:
        return graph.node(fused, values, layer.bias, domain=CONTRIB)
    return activate(graph, values, activation)


def activate(graph: Graph, values: str, activation: str) -> str:
    """Apply one of ACTIVATIONS, or `identity`, to each element."""
    match activation:
        case "identity":
            return values
        case "silu":
            return graph.node("Mul", values, graph.node("Sigmoid", values))
        case "quick_gelu":
            return graph.node("QuickGelu", values, domain=CONTRIB, alpha=_QUICK_GELU_ALPHA)
        case "gelu":
            return graph.node("Gelu", values, domain=CONTRIB)
        case _ if activation in _FUSED_ACTIVATIONS:
            return graph.node("FastGelu", values, domain=CONTRIB)
        case _:
            return graph.node(_PLAIN_ACTIVATIONS[activation], values)


def normalized(graph: Graph, hidden: str, norm: LayerNorm) -> str:
    """Return the layer normalisation of each vector."""
    return graph.node(
        "LayerNormalization", hidden, norm.scale, norm.bias, axis=-1, epsilon=norm.epsilon
    )

"""The layer that BERT and its near relatives share; they differ in names and in attention.

h = norm(h + attention(h)),  h = norm(h + feed_forward(h))
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.blocks import activated, checked_activation, projected, self_attention
from worker.compiler.body import Tokens
from worker.compiler.parameters import Parameters


@dataclass(frozen=True, slots=True)
class LayerNames:
    """What a family calls the parts of a layer."""

    qkv: tuple[str, str, str]
    attention_out: str
    attention_norm: str
    widen: str
    narrow: str
    out_norm: str


@dataclass(frozen=True, slots=True)
class Sizes:
    """What decides the shapes of every layer."""

    hidden: int
    inner: int
    heads: int
    layers: int
    activation: str
    epsilon: float

    @classmethod
    def read(cls, config: Config) -> Sizes:
        """Raise CheckpointError if an entry is absent or not supported."""
        sizes = cls(
            hidden=config.integer("hidden_size", "dim"),
            inner=config.integer("intermediate_size", "hidden_dim"),
            heads=config.integer("num_attention_heads", "n_heads"),
            layers=config.integer("num_hidden_layers", "n_layers"),
            activation=checked_activation(config, "hidden_act", "activation"),
            epsilon=config.number("layer_norm_eps", default=1e-12),
        )
        if sizes.hidden % sizes.heads:
            raise CheckpointError(
                config.path, "hidden_size is not a multiple of num_attention_heads"
            )
        return sizes


def layers(
    parameters: Parameters,
    path: str,
    names: LayerNames,
    sizes: Sizes,
    hidden: str,
    tokens: Tokens,
    bias: str = "",
) -> str:
    """Add every layer, below `path` and its number, of texts alone in a row or packed.

    `bias`, for texts alone in a row, is that of `self_attention`.
    """
    packing, lengths = tokens.packing, tokens.lengths
    if packing is not None:
        lengths, bias = "", parameters.graph.node("CastLike", packing.bias, hidden)
    for index in range(sizes.layers):
        hidden = layer(parameters.below(f"{path}.{index}"), names, sizes, hidden, lengths, bias)
    return hidden


def layer(
    own: Parameters, names: LayerNames, sizes: Sizes, hidden: str, lengths: str, bias: str = ""
) -> str:
    """Add one layer and return its hidden state, (rows, tokens, size)."""
    graph, size = own.graph, sizes.hidden
    qkv = own.merged("qkv", names.qkv, size, size, biased=True)
    context = self_attention(graph, hidden, qkv, sizes.heads, lengths, bias)
    return after_attention(own, names, sizes, context, hidden)


def after_attention(
    own: Parameters, names: LayerNames, sizes: Sizes, context: str, hidden: str
) -> str:
    """Add what follows the attention over a layer's input, and return the layer's output."""
    graph, size = own.graph, sizes.hidden
    out = own.linear(names.attention_out, size, size, biased=True)
    norm = own.layer_norm(names.attention_norm, size, sizes.epsilon, biased=True)
    hidden = projected(graph, context, out, hidden, norm)

    widen = own.linear(names.widen, size, sizes.inner, biased=True)
    wide = activated(graph, hidden, widen, sizes.activation)
    narrow = own.linear(names.narrow, sizes.inner, size, biased=True)
    norm = own.layer_norm(names.out_norm, size, sizes.epsilon, biased=True)
    return projected(graph, wide, narrow, hidden, norm)

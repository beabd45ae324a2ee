"""The transformers of CLIP and SigLIP: one tower for text, one for images, in one shared space.

text     words[id] + positions
image    patches of the image, each a product with one matrix, + positions

each layer:  h = h + attention(norm1(h)),  h = h + mlp(norm2(h))
"""

from __future__ import annotations

from dataclasses import dataclass

from worker.checkpoint import CheckpointError, Config
from worker.compiler.attention import token_places
from worker.compiler.blocks import ACTIVATIONS, activated
from worker.compiler.graph import CONTRIB, Graph
from worker.compiler.parameters import LayerNorm, Linear, Parameters

CHANNELS = 3
_QKV = ("q_proj", "k_proj", "v_proj")


@dataclass(frozen=True, slots=True)
class Tower:
    """The sizes of a text or an image tower."""

    size: int
    inner: int
    heads: int
    layers: int
    epsilon: float
    activation: str

    @classmethod
    def read(cls, config: Config) -> Tower:
        """Read `text_config` or `vision_config`."""
        activation = config.text("hidden_act", "")
        if activation not in ACTIVATIONS:
            raise CheckpointError(config.path, f"hidden_act {activation} is not supported")
        return cls(
            size=config.integer("hidden_size"),
            inner=config.integer("intermediate_size"),
            heads=config.integer("num_attention_heads"),
            layers=config.integer("num_hidden_layers"),
            epsilon=config.number("layer_norm_eps", 1e-5),
            activation=activation,
        )


def pre_norm_encoder(own: Parameters, tower: Tower, hidden: str, *, causal: bool = False) -> str:
    """Add all layers over (rows, tokens, size).

    A token sees all of its row, padding too; with `causal` only what is before it.
    """
    for number in range(tower.layers):
        hidden = _layer(own.below(f"encoder.layers.{number}"), tower, hidden, causal=causal)
    return hidden


def text_embeddings(own: Parameters, config: Config, places: int, input_ids: str) -> str:
    """Return the sum of token and position vectors, (rows, tokens, size), for up to `places`."""
    graph, size = own.graph, config.integer("hidden_size")
    count = config.integer("max_position_embeddings")
    if places > count:
        raise CheckpointError(config.path, f"has {count} positions, too few for inputs of {places}")
    words = own.read("token_embedding.weight", config.integer("vocab_size"), size)
    hidden = graph.node("Gather", own.add("token_embedding.weight", words), input_ids)
    table = own.add("position_embedding.weight", own.read("position_embedding.weight", count, size))
    return graph.node("Add", hidden, graph.node("Gather", table, token_places(graph, hidden)))


def patches(own: Parameters, config: Config, pixel_values: str, *, bias: bool) -> tuple[str, int]:
    """Cut images (rows, 3, side, side) into patches; return them (rows, count, size) and count."""
    graph, size, side = own.graph, config.integer("hidden_size"), config.integer("patch_size")
    shape = (size, CHANNELS, side, side)
    inputs = [pixel_values, own.add("patch.weight", own.read("patch_embedding.weight", *shape))]
    if bias:
        inputs.append(own.add("patch.bias", own.read("patch_embedding.bias", size)))
    grid = graph.node("Conv", *inputs, kernel_shape=[side, side], strides=[side, side])
    flat = graph.node("Reshape", grid, graph.integers(0, size, -1))
    count = (config.integer("image_size") // side) ** 2
    return graph.node("Transpose", flat, perm=[0, 2, 1]), count


def normed(graph: Graph, hidden: str, norm: LayerNorm) -> str:
    """Normalise the last axis."""
    return graph.node(
        "LayerNormalization", hidden, norm.scale, norm.bias, axis=-1, epsilon=norm.epsilon
    )


def mlp(own: Parameters, tower: Tower, hidden: str) -> str:
    """Return fc2(activation(fc1(hidden)))."""
    wide = activated(
        own.graph, hidden, own.linear("fc1", tower.size, tower.inner), tower.activation
    )
    return added(own.graph, wide, own.linear("fc2", tower.inner, tower.size))


def added(graph: Graph, hidden: str, linear: Linear) -> str:
    """Return hidden @ weight + bias."""
    return graph.node("Add", graph.node("MatMul", hidden, linear.weight), linear.bias)


def _layer(own: Parameters, tower: Tower, hidden: str, *, causal: bool) -> str:
    graph, size = own.graph, tower.size
    attention = own.below("self_attn")
    qkv = attention.merged("qkv", _QKV, size, size)
    first = normed(graph, hidden, own.layer_norm("layer_norm1", size, tower.epsilon))
    context = graph.node(
        "Attention",
        *(first, qkv.weight, qkv.bias),
        domain=CONTRIB,
        num_heads=tower.heads,
        unidirectional=int(causal),
    )
    out = attention.linear("out_proj", size, size)
    norm = own.layer_norm("layer_norm2", size, tower.epsilon)
    second, hidden = _added_and_normed(graph, context, out, hidden, norm)
    return graph.node("Add", mlp(own.below("mlp"), tower, second), hidden)


def _added_and_normed(
    graph: Graph, hidden: str, linear: Linear, residual: str, norm: LayerNorm
) -> tuple[str, str]:
    """Return the normalised sum hidden @ weight + bias + residual, and the sum."""
    product = graph.node("MatMul", hidden, linear.weight)
    result, _, _, total = graph.nodes(
        "SkipLayerNormalization",
        [product, residual, norm.scale, norm.bias, linear.bias],
        4,
        domain=CONTRIB,
        epsilon=norm.epsilon,
    )
    return result, total

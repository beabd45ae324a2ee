"""The transformers of CLIP and SigLIP: one tower for text, one for images, in one shared space.

text     words[id] + positions
image    patches of the image, each a product with one matrix, + positions

each layer:  h = h + attention(norm1(h)),  h = h + mlp(norm2(h))
"""

from __future__ import annotations

from dataclasses import dataclass

from onnx import TensorProto

from worker.checkpoint.config import Config
from worker.compiler.blocks import activated, checked_activation, linear, normalized
from worker.compiler.body import Tokens
from worker.compiler.graph import CONTRIB, Graph
from worker.compiler.parameters import LayerNorm, Linear, Parameters
from worker.compiler.pooling import places

_CHANNELS = 3
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
        return cls(
            size=config.integer("hidden_size"),
            inner=config.integer("intermediate_size"),
            heads=config.integer("num_attention_heads"),
            layers=config.integer("num_hidden_layers"),
            epsilon=config.number("layer_norm_eps", default=1e-5),
            activation=checked_activation(config, "hidden_act"),
        )


def pre_norm_encoder(own: Parameters, tower: Tower, hidden: str, *, causal: bool = False) -> str:
    """Add all layers over (rows, tokens, size).

    A token sees all of its row, padding too; with `causal` only what is before it.
    """
    for number in range(tower.layers):
        hidden = _layer(own.below(f"encoder.layers.{number}"), tower, hidden, causal=causal)
    return hidden


def text_embeddings(own: Parameters, config: Config, tokens: Tokens, ids: str) -> str:
    """Return the sum of token and position vectors of ids (rows, tokens): (rows, tokens, size)."""
    graph, size = own.graph, config.integer("hidden_size")
    count = config.integer("max_position_embeddings")
    tokens.require_positions(count, config)
    words = own.vectors("token_embedding.weight", config.integer("vocab_size"), size)
    table = own.vectors("position_embedding.weight", count, size)
    hidden = graph.node("Gather", words, ids)
    return graph.node("Add", hidden, graph.node("Gather", table, places(graph, hidden)))


def patches(own: Parameters, config: Config, *, bias: bool) -> tuple[str, int]:
    """Add the input `pixel_values` and cut it into patches, (rows, count, size); return count too.

    A patch is a product with one matrix, written as a convolution that never overlaps.
    """
    graph, size, side = own.graph, config.integer("hidden_size"), config.integer("patch_size")
    image = config.integer("image_size")
    pixels = graph.input("pixel_values", TensorProto.FLOAT, ("rows", _CHANNELS, image, image))
    weight = own.read("patch_embedding.weight", size, _CHANNELS, side, side)
    inputs = [pixels, own.add("patch_embedding.weight", weight)]
    if bias:
        inputs.append(own.add("patch_embedding.bias", own.read("patch_embedding.bias", size)))
    grid = graph.node("Conv", *inputs, kernel_shape=[side, side], strides=[side, side])
    flat = graph.node("Reshape", grid, graph.integers(0, size, -1))
    return graph.node("Transpose", flat, perm=[0, 2, 1]), (image // side) ** 2


def mlp(own: Parameters, tower: Tower, hidden: str) -> str:
    """Return fc2(activation(fc1(hidden)))."""
    widen = own.linear("fc1", tower.size, tower.inner, biased=True)
    narrow = own.linear("fc2", tower.inner, tower.size, biased=True)
    return linear(own.graph, activated(own.graph, hidden, widen, tower.activation), narrow)


def _layer(own: Parameters, tower: Tower, hidden: str, *, causal: bool) -> str:
    graph, size = own.graph, tower.size
    attention = own.below("self_attn")
    qkv = attention.merged("qkv", _QKV, size, size, biased=True)
    first = normalized(
        graph, hidden, own.layer_norm("layer_norm1", size, tower.epsilon, biased=True)
    )
    context = graph.node(
        "Attention",
        *(first, qkv.weight, qkv.bias),
        domain=CONTRIB,
        num_heads=tower.heads,
        unidirectional=int(causal),
    )
    out = attention.linear("out_proj", size, size, biased=True)
    norm = own.layer_norm("layer_norm2", size, tower.epsilon, biased=True)
    second, hidden = _added_and_normed(graph, context, out, hidden, norm)
    return graph.node("Add", mlp(own.below("mlp"), tower, second), hidden)


def _added_and_normed(
    graph: Graph, hidden: str, layer: Linear, residual: str, norm: LayerNorm
) -> tuple[str, str]:
    """Return the normalised sum hidden @ weight + bias + residual, and the sum."""
    product = graph.node("MatMul", hidden, layer.weight)
    result, _, _, total = graph.nodes(
        "SkipLayerNormalization",
        [product, residual, norm.scale, norm.bias, layer.bias],
        4,
        domain=CONTRIB,
        epsilon=norm.epsilon,
    )
    return result, total

"""Causal decoders read as encoders: Qwen2, Qwen3, Mistral (`transformers.*Model`).

    h = words[id]
    each layer:  h = h + attention(rms_norm(h)),  h = h + swiglu(rms_norm(h))
    last hidden state = rms_norm(h)

Attention is causal and grouped-query (Ainslie et al., 2023), positions are rotary, the feed
forward is SwiGLU (Shazeer, 2020). Rows are right-padded, so a real token never sees padding and
causal attention needs no mask.

    family    query, key and value bias    norm of each query and key head    sliding window
    Qwen2     yes                          no                                 if use_sliding_window
    Qwen3     if stored                    yes                                if use_sliding_window
    Mistral   no                           no                                 if sliding_window
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import Pooling
from worker.compiler.attention import attended, repeated_heads, window_bias
from worker.compiler.blocks import checked_activation, linear
from worker.compiler.body import Body, Classifier, Family, Hidden, Tokens
from worker.compiler.gated import gated
from worker.compiler.norms import added_and_rms_normed, rms_normed
from worker.compiler.parameters import Parameters
from worker.compiler.rope_scaling import turns_of
from worker.compiler.rotary import Rotary, rotary, rotated

_WORDS = "embed_tokens.weight"
# What `transformers` assumes where config.json says nothing.
_WINDOW = 4096
_FIRST_WINDOW = {"qwen2": 28, "qwen3": 28}


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a decoder and where its families differ.

    Attributes:
        head_norm: whether each head of queries and keys is normalised.
        windows: for each layer how many tokens a token sees, itself included; None is all.

    """

    size: int
    inner: int
    heads: int
    key_heads: int
    head_dim: int
    activation: str
    epsilon: float
    causal: bool
    head_norm: bool
    windows: list[int | None]

    @classmethod
    def read(cls, config: Config, tokens: Tokens, *, windowed: bool, head_norm: bool) -> Shape:
        """Read the sizes; `windowed` says whether `sliding_window` is in force."""
        size, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
        return cls(
            size=size,
            inner=config.integer("intermediate_size"),
            heads=heads,
            key_heads=config.positive("num_key_value_heads") or heads,
            head_dim=config.positive("head_dim") or size // heads,
            activation=checked_activation(config, "hidden_act", default="silu"),
            epsilon=config.number("rms_norm_eps", default=1e-6),
            causal=config.flag("is_causal", default=True),
            head_norm=head_norm,
            windows=_windows(config, tokens) if windowed else [None] * _layers(config),
        )


def qwen2(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add a Qwen2 (Yang et al., 2024)."""
    windowed = config.flag("use_sliding_window", default=False)
    shape = Shape.read(config, tokens, windowed=windowed, head_norm=False)
    return _decoder(parameters, config, tokens, shape)


def qwen3(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add a Qwen3 (Yang et al., 2025)."""
    windowed = config.flag("use_sliding_window", default=False)
    shape = Shape.read(config, tokens, windowed=windowed, head_norm=True)
    return _decoder(parameters, config, tokens, shape)


def mistral(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add a Mistral (Jiang et al., 2023)."""
    shape = Shape.read(config, tokens, windowed=True, head_norm=False)
    return _decoder(parameters, config, tokens, shape)


def _decoder(own: Parameters, config: Config, tokens: Tokens, shape: Shape) -> Hidden:
    _reject_variants(config, shape)
    graph, epsilon = own.graph, shape.epsilon
    words = own.vectors(_WORDS, config.integer("vocab_size"), shape.size)
    hidden = graph.node("Gather", words, tokens.ids)
    turns = turns_of(config, shape.head_dim, tokens.max_length)
    angles = rotary(graph, "places", turns.frequencies, tokens.max_length, turns.scale)
    normed = rms_normed(graph, hidden, _scale(own, _norm_before(0, shape), shape), epsilon)
    biases = {width: window_bias(graph, hidden, width) for width in {*shape.windows} if width}
    for number, width in enumerate(shape.windows):
        layer, bias = own.below(f"layers.{number}"), biases[width] if width else ""
        context = _attention(layer.below("self_attn"), shape, angles, normed, tokens.lengths, bias)
        scale = _scale(layer, "post_attention_layernorm", shape)
        normed, hidden = added_and_rms_normed(graph, context, hidden, scale, epsilon)
        wide = _feed_forward(layer.below("mlp"), shape, normed)
        scale = _scale(own, _norm_before(number + 1, shape), shape)
        normed, hidden = added_and_rms_normed(graph, wide, hidden, scale, epsilon)
    return Hidden(normed, shape.size)


def _attention(
    own: Parameters, shape: Shape, angles: Rotary, normed: str, lengths: str, bias: str
) -> str:
    graph, groups = own.graph, shape.heads // shape.key_heads
    queries, keys, values = _qkv(own, shape, normed)
    if shape.head_norm:
        queries = _head_normed(own, shape, "q_norm", queries, shape.heads)
        keys = _head_normed(own, shape, "k_norm", keys, shape.key_heads)
    queries = rotated(graph, queries, angles, shape.heads)
    keys = rotated(graph, keys, angles, shape.key_heads)
    keys = repeated_heads(graph, keys, shape.key_heads, shape.head_dim, groups)
    values = repeated_heads(graph, values, shape.key_heads, shape.head_dim, groups)
    context = attended(
        graph,
        (queries, keys, values),
        shape.heads,
        lengths="" if shape.causal else lengths,
        bias=bias,
        causal=shape.causal,
    )
    return linear(graph, context, own.linear("o_proj", shape.heads * shape.head_dim, shape.size))


def _qkv(own: Parameters, shape: Shape, normed: str) -> list[str]:
    """Return queries (rows, tokens, heads * head_dim), keys and values, from one product."""
    graph, key_width = own.graph, shape.key_heads * shape.head_dim
    widths = {"q_proj": shape.heads * shape.head_dim, "k_proj": key_width, "v_proj": key_width}
    weights = [own.read(f"{name}.weight", width, shape.size).T for name, width in widths.items()]
    bias = ""
    if "q_proj.bias" in own:
        biases = [own.read(f"{name}.bias", width) for name, width in widths.items()]
        bias = own.add("qkv.bias", np.concatenate(biases))
    product = linear(graph, normed, own.layer("qkv", np.concatenate(weights, axis=1), bias))
    return graph.nodes("Split", [product, graph.integers(*widths.values())], 3, axis=-1)


def _head_normed(own: Parameters, shape: Shape, name: str, vectors: str, heads: int) -> str:
    """Normalise every head of (rows, tokens, heads * head_dim) by itself."""
    graph, width = own.graph, shape.head_dim
    scale = own.add(f"{name}.weight", own.read(f"{name}.weight", width))
    apart = graph.node("Reshape", vectors, graph.integers(0, 0, heads, width))
    normed = rms_normed(graph, apart, scale, shape.epsilon)
    return graph.node("Reshape", normed, graph.integers(0, 0, heads * width))


def _feed_forward(own: Parameters, shape: Shape, normed: str) -> str:
    """Return down(activation(gate(x)) * up(x)), gate and up being one product."""
    both = own.merged("gate_up", ("gate_proj", "up_proj"), shape.size, shape.inner)
    down = own.linear("down_proj", shape.inner, shape.size)
    return gated(own.graph, normed, both, down, shape.activation)


def _norm_before(number: int, shape: Shape) -> str:
    """Name the norm that reads the sum before a layer; after the last it ends the decoder."""
    return f"layers.{number}.input_layernorm" if number < len(shape.windows) else "norm"


def _scale(own: Parameters, norm: str, shape: Shape) -> str:
    return own.add(f"{norm}.weight", own.read(f"{norm}.weight", shape.size))


def _windows(config: Config, tokens: Tokens) -> list[int | None]:
    """Read which layers see only near tokens: `layer_types`, or the rule they replaced."""
    layers, entry = _layers(config), "sliding_window"
    # Null means that there is none; an entry left out, the default.
    width = config.positive(entry) if entry in config.values else _WINDOW
    # A window as long as the longest input hides nothing.
    if width is None or width >= tokens.max_length:
        return [None] * layers
    model = config.text("model_type", default="")
    first = int(config.number("max_window_layers", default=_FIRST_WINDOW.get(model, 0)))
    kinds = config.values.get("layer_types") or [
        "sliding_attention" if number >= first else "full_attention" for number in range(layers)
    ]
    if len(kinds) != layers:
        raise CheckpointError(config.path, f"layer_types does not name {layers} layers")
    return [width if kind == "sliding_attention" else None for kind in kinds]


def _layers(config: Config) -> int:
    return config.integer("num_hidden_layers")


def _reject_variants(config: Config, shape: Shape) -> None:
    if shape.heads % shape.key_heads:
        raise CheckpointError(
            config.path, "num_attention_heads is not a multiple of num_key_value_heads"
        )
    if not shape.causal and any(shape.windows):
        raise CheckpointError(config.path, "is_causal false with a sliding window is not supported")


def _family(body: Body) -> Family:
    return Family(
        body,
        prefix="model",
        words=_WORDS,
        sequence=Classifier("score", pooling=Pooling.LAST_TOKEN),
        causal_lm="lm_head.weight",
    )


QWEN2 = _family(qwen2)
QWEN3 = _family(qwen3)
MISTRAL = _family(mistral)

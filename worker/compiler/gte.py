"""The encoder of gte-multilingual and arctic-embed v2 (Zhang et al., mGTE, 2024).

    h = attn_ln(h + attention(h)),  h = mlp_ln(h + down(act(gate(h)) * up(h)))

Published as `NewModel` with code of its own; `GteModel` in `transformers` 5.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.token_types import type_count
from worker.compiler.blocks import checked_activation, linear
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.gated import added, gated, swapped, word_vectors
from worker.compiler.parameters import Parameters
from worker.compiler.rotary import Rotary, frequencies, rotary, rotary_attention


def gte(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    _reject_variants(config)
    size = config.integer("hidden_size")
    own = parameters.below("embeddings")
    types = ("token_type_embeddings.weight", type_count(config))
    norm = own.layer_norm("LayerNorm", size, _epsilon(config))
    hidden = word_vectors(own, tokens, (config.integer("vocab_size"), size), types, norm)
    turns = _frequencies(config, size // config.integer("num_attention_heads"))
    rotation = rotary(parameters.graph, "all", turns, tokens.max_length)
    for index in range(config.integer("num_hidden_layers")):
        own = parameters.below(f"encoder.layer.{index}")
        hidden = _layer(own, config, hidden, tokens.lengths, rotation)
    return Hidden(hidden, size)


def _layer(own: Parameters, config: Config, hidden: str, lengths: str, rotation: Rotary) -> str:
    graph, epsilon, size = own.graph, _epsilon(config), config.integer("hidden_size")
    inner, heads = config.integer("intermediate_size"), config.integer("num_attention_heads")

    qkv = linear(graph, hidden, own.linear("attention.qkv_proj", size, 3 * size))
    context = rotary_attention(graph, qkv, rotation, heads, lengths)
    change = linear(graph, context, own.linear("attention.o_proj", size, size))
    hidden = added(graph, hidden, change, own.layer_norm("attn_ln", size, epsilon))

    both = swapped(own, "mlp.up_gate_proj", size, inner)
    activation = checked_activation(config, "hidden_act")
    change = gated(graph, hidden, both, own.linear("mlp.down_proj", inner, size), activation)
    return added(graph, hidden, change, own.layer_norm("mlp_ln", size, epsilon))


def _frequencies(config: Config, head_size: int) -> NDArray[np.float64]:
    # The code published with the first checkpoints and `transformers` assume different ones.
    silent = 160_000.0 if config.text("model_type", default="") == "gte" else 10_000.0
    theta = config.number("rope_theta", default=silent)
    given = config.below("rope_parameters")
    theta = given.number("rope_theta", default=theta)
    scaling = config.below("rope_scaling")
    if given.text("rope_type", default="default") != "default":
        scaling = given
    if not scaling.values:
        return frequencies(head_size, theta)
    if scaling.text("type", "rope_type", default="") != "ntk":
        raise CheckpointError(config.path, f"rope_scaling {scaling.values} is not supported")
    # The published code's NTKScalingRotaryEmbedding, without its `mixed_b`.
    factor = scaling.number("factor", default=1.0)
    shrink = np.float64(factor ** (2 / head_size))
    return frequencies(head_size, theta * factor) / shrink


def _epsilon(config: Config) -> float:
    return config.number("layer_norm_eps", default=1e-12)


def _reject_variants(config: Config) -> None:
    if config.text("position_embedding_type", default="rope") != "rope":
        raise CheckpointError(config.path, "only rotary positions are supported")
    if config.text("layer_norm_type", default="layer_norm") != "layer_norm":
        raise CheckpointError(config.path, "only layer_norm is supported")
    if config.flag("logn_attention_scale", default=False):
        raise CheckpointError(config.path, "logn_attention_scale is not supported")


GTE = Family(
    gte,
    prefix="new",
    other_prefix="gte",
    words="embeddings.word_embeddings.weight",
    sequence=Classifier("classifier", dense="pooler.dense", below_prefix=True),
    token=Classifier("classifier"),
)

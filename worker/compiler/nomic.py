"""NomicBERT (Nussbaum et al., 2024): post-norm, rotary positions, gated by SiLU, few biases.

    h = norm1(h + attention(h)),  h = norm2(h + fc2(fc11(h) * silu(fc12(h))))

Its published configuration has the names of GPT-2's, that of `transformers` 5 those of BERT's.
"""

from __future__ import annotations

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.token_types import type_count
from worker.compiler.blocks import linear
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.gated import added, gated, word_vectors
from worker.compiler.parameters import Parameters
from worker.compiler.rotary import Rotary, frequencies, rotary, rotary_attention


def nomic(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    _reject_variants(config, tokens)
    size, heads = config.integer("hidden_size", "n_embd"), _heads(config)
    norm = parameters.layer_norm("emb_ln", size, _epsilon(config))
    types = ("token_type_embeddings.weight", type_count(config))
    shape = (config.integer("vocab_size"), size)
    hidden = word_vectors(parameters.below("embeddings"), tokens, shape, types, norm)
    # The published code and `transformers` assume different ones where nothing is said.
    silent = 10_000.0 if "n_embd" in config.values else 1_000.0
    theta = config.below("rope_parameters").number(
        "rope_theta", default=config.number("rotary_emb_base", default=silent)
    )
    turns = frequencies(size // heads, theta)
    rotation = rotary(parameters.graph, "all", turns, tokens.max_length)
    for index in range(config.integer("num_hidden_layers", "n_layer")):
        own = parameters.below(f"encoder.layers.{index}")
        hidden = _layer(own, config, hidden, tokens.lengths, rotation)
    return Hidden(hidden, size)


def _layer(own: Parameters, config: Config, hidden: str, lengths: str, rotation: Rotary) -> str:
    graph, epsilon = own.graph, _epsilon(config)
    size = config.integer("hidden_size", "n_embd")
    inner = config.positive("intermediate_size", "n_inner") or 4 * size

    qkv = linear(graph, hidden, own.linear("attn.Wqkv", size, 3 * size))
    context = rotary_attention(graph, qkv, rotation, _heads(config), lengths)
    change = linear(graph, context, own.linear("attn.out_proj", size, size))
    hidden = added(graph, hidden, change, own.layer_norm("norm1", size, epsilon))

    both = own.below("mlp").merged("fc1", ["fc12", "fc11"], size, inner)
    change = gated(graph, hidden, both, own.linear("mlp.fc2", inner, size), "silu")
    return added(graph, hidden, change, own.layer_norm("norm2", size, epsilon))


def _heads(config: Config) -> int:
    return config.integer("num_attention_heads", "n_head")


def _epsilon(config: Config) -> float:
    return config.number("layer_norm_eps", "layer_norm_epsilon", default=1e-12)


def _reject_variants(config: Config, tokens: Tokens) -> None:
    variants = {
        "prenorm": config.flag("prenorm", default=False),
        "use_rms_norm": config.flag("use_rms_norm", default=False),
        "rotary_emb_interleaved": config.flag("rotary_emb_interleaved", default=False),
        "rope_type": config.below("rope_parameters").text("rope_type", default="default")
        != "default",
        "rotary_emb_fraction": config.number("rotary_emb_fraction", default=1.0) != 1.0,
        "moe_every_n_layers": config.number("moe_every_n_layers", default=0) > 0,
        "activation_function": config.text("hidden_act", "activation_function", default="silu")
        not in {"silu", "swiglu"},
    }
    refused = [name for name, given in variants.items() if given]
    if refused:
        raise CheckpointError(config.path, f"{', '.join(refused)} as here is not supported")
    # Beyond what it was trained on, the published code scales positions with the batch's length.
    trained = config.positive("max_trained_positions") or tokens.max_length
    if config.positive("rotary_scaling_factor") and tokens.max_length > trained:
        raise CheckpointError(
            config.path, f"rotary_scaling_factor beyond {trained} tokens is not supported"
        )


NOMIC = Family(
    nomic,
    prefix="bert",
    other_prefix="nomic_bert",
    words="embeddings.word_embeddings.weight",
    sequence=Classifier("classifier", dense="pooler.dense", below_prefix=True),
)

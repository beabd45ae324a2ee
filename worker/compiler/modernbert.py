"""ModernBERT (Warner et al., 2024), as `transformers.ModernBertModel` lays it out.

    each layer:  h = h + attention(norm(h)),  h = h + gated(norm(h))

Pre-norm, rotary positions, gated feed-forward; some layers see the whole text, the others only
their neighbourhood. The first layer has no norm before attention: the embeddings' is there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.blocks import checked_activation, linear, normalized
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.gated import gated
from worker.compiler.parameters import Parameters
from worker.compiler.positions import neighbourhood
from worker.compiler.rotary import Rotary, frequencies, rotary, rotary_attention

_GLOBAL, _LOCAL = "full_attention", "sliding_attention"
_THETAS = {_GLOBAL: ("global_rope_theta", 160_000.0), _LOCAL: ("local_rope_theta", 10_000.0)}


@dataclass(frozen=True, slots=True)
class _Attention:
    """What the layers of one kind share."""

    rotation: Rotary
    bias: str


@dataclass(frozen=True, slots=True)
class _Sizes:
    hidden: int
    inner: int
    heads: int
    activation: str
    epsilon: float
    attention_biased: bool
    mlp_biased: bool


def modernbert(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    sizes = _sizes(config)
    graph, size = parameters.graph, sizes.hidden
    words = parameters.vectors(
        "embeddings.tok_embeddings.weight", config.integer("vocab_size"), size
    )
    norm = parameters.layer_norm("embeddings.norm", size, sizes.epsilon)
    hidden = normalized(graph, graph.node("Gather", words, tokens.ids), norm)
    kinds = _kinds(config)
    shared = {
        kind: _shared(parameters, config, tokens, kind, hidden) for kind in dict.fromkeys(kinds)
    }
    for index, kind in enumerate(kinds):
        own = parameters.below(f"layers.{index}")
        hidden = _layer(own, sizes, hidden, tokens.lengths, shared[kind])
    final = parameters.layer_norm("final_norm", size, sizes.epsilon)
    return Hidden(normalized(graph, hidden, final), size)


def _layer(own: Parameters, sizes: _Sizes, hidden: str, lengths: str, attention: _Attention) -> str:
    graph, size = own.graph, sizes.hidden
    before = _normalized(own, "attn_norm", sizes, hidden) if "attn_norm.weight" in own else hidden
    qkv = linear(
        graph, before, own.linear("attn.Wqkv", size, 3 * size, biased=sizes.attention_biased)
    )
    context = rotary_attention(graph, qkv, attention.rotation, sizes.heads, lengths, attention.bias)
    out = own.linear("attn.Wo", size, size, biased=sizes.attention_biased)
    hidden = graph.node("Add", hidden, linear(graph, context, out))

    widen = own.linear("mlp.Wi", size, 2 * sizes.inner, biased=sizes.mlp_biased)
    narrow = own.linear("mlp.Wo", sizes.inner, size, biased=sizes.mlp_biased)
    before = _normalized(own, "mlp_norm", sizes, hidden)
    return graph.node("Add", hidden, gated(graph, before, widen, narrow, sizes.activation))


def _normalized(own: Parameters, name: str, sizes: _Sizes, hidden: str) -> str:
    return normalized(own.graph, hidden, own.layer_norm(name, sizes.hidden, sizes.epsilon))


def _shared(
    parameters: Parameters, config: Config, tokens: Tokens, kind: str, hidden: str
) -> _Attention:
    head_size = config.integer("hidden_size") // config.integer("num_attention_heads")
    graph, turns = parameters.graph, frequencies(head_size, _theta(config, kind))
    bias = ""
    if kind == _LOCAL:
        bias = neighbourhood(graph, hidden, config.integer("local_attention") // 2)
    return _Attention(rotary(graph, kind, turns, tokens.max_length), bias)


def _theta(config: Config, kind: str) -> float:
    """Read the spelling of `transformers` 5, or the one before: an entry for each kind."""
    entry, default = _THETAS[kind]
    # There an entry that is null means the global's, one that is absent its own default.
    names = (entry, "global_rope_theta") if entry in config.values else (entry,)
    spelled = config.number(*names, default=default)
    given = config.below("rope_parameters").below(kind)
    if (scaling := given.text("rope_type", default="default")) != "default":
        raise CheckpointError(config.path, f"rope_type {scaling} is not supported")
    return given.number("rope_theta", default=spelled)


def _kinds(config: Config) -> list[str]:
    """Return the kind of attention of each layer."""
    layers = config.integer("num_hidden_layers")
    named = config.values.get("layer_types")
    if named is None:
        every = config.positive("global_attn_every_n_layers") or 3
        return [_LOCAL if index % every else _GLOBAL for index in range(layers)]
    if len(named) != layers or set(named) - {_GLOBAL, _LOCAL}:
        raise CheckpointError(config.path, f"layer_types {named} are not supported")
    return list(named)


def _sizes(config: Config) -> _Sizes:
    return _Sizes(
        hidden=config.integer("hidden_size"),
        inner=config.integer("intermediate_size"),
        heads=config.integer("num_attention_heads"),
        activation=checked_activation(config, "hidden_activation"),
        epsilon=config.number("norm_eps", default=1e-5),
        attention_biased=config.flag("attention_bias", default=False),
        mlp_biased=config.flag("mlp_bias", default=False),
    )


_HEAD = Classifier(
    "classifier",
    dense="head.dense",
    activation="gelu",
    activation_entry="classifier_activation",
    norm="head.norm",
    epsilon=1e-5,
)

MODERNBERT = Family(
    modernbert,
    prefix="model",
    words="embeddings.tok_embeddings.weight",
    sequence=_HEAD,
    token=_HEAD,
    masked_lm=replace(_HEAD, out="decoder.bias", decoder="decoder.weight"),
)

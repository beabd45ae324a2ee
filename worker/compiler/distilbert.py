"""DistilBERT (Sanh et al., 2019): BERT without token types, under names of its own."""

from __future__ import annotations

from worker.checkpoint.config import Config
from worker.compiler.blocks import Embeddings, embed
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.parameters import Parameters
from worker.compiler.postnorm import LayerNames, Sizes, layers

_NAMES = LayerNames(
    qkv=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attention_out="attention.out_lin",
    attention_norm="sa_layer_norm",
    widen="ffn.lin1",
    narrow="ffn.lin2",
    out_norm="output_layer_norm",
)


def distilbert(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    sizes = Sizes.read(config)
    hidden = _embeddings(parameters.below("embeddings"), config, tokens, sizes)
    hidden = layers(parameters, "transformer.layer", _NAMES, sizes, hidden, tokens)
    return Hidden(hidden, sizes.hidden)


def _embeddings(own: Parameters, config: Config, tokens: Tokens, sizes: Sizes) -> str:
    places = config.integer("max_position_embeddings")
    tokens.require_positions(places, config)
    tables = Embeddings(
        own.vectors("word_embeddings.weight", config.integer("vocab_size"), sizes.hidden),
        # Sinusoidal positions are stored as learned ones are.
        own.vectors("position_embeddings.weight", places, sizes.hidden),
        own.layer_norm("LayerNorm", sizes.hidden, sizes.epsilon),
    )
    return embed(own.graph, tokens, tables)


DISTILBERT = Family(
    distilbert,
    prefix="distilbert",
    words="embeddings.word_embeddings.weight",
    sequence=Classifier("classifier", dense="pre_classifier", activation="relu"),
    token=Classifier("classifier"),
    packs=True,
    masked_lm=Classifier(
        "vocab_projector.bias",
        dense="vocab_transform",
        activation="gelu",
        activation_entry="activation",
        norm="vocab_layer_norm",
        decoder="vocab_projector.weight",
    ),
)

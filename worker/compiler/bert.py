"""BERT (Devlin et al., 2018) and RoBERTa (Liu et al., 2019), as `transformers` lays them out.

    embeddings = norm(word[id] + position[place] + type[type])

RoBERTa and XLM-R, its multilingual twin, differ in where positions begin, and in the names of
their heads.
"""

from __future__ import annotations

import numpy as np

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.token_types import type_count
from worker.compiler.blocks import Embeddings, embed
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.parameters import Parameters
from worker.compiler.positions import padding_id, places_after_padding
from worker.compiler.postnorm import LayerNames, Sizes, layers

_NAMES = LayerNames(
    qkv=("attention.self.query", "attention.self.key", "attention.self.value"),
    attention_out="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    widen="intermediate.dense",
    narrow="output.dense",
    out_norm="output.LayerNorm",
)


def bert(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder; positions begin at 0."""
    return _encoder(parameters, config, tokens, first_place=0)


def roberta(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder; positions begin after the padding's."""
    return _encoder(parameters, config, tokens, first_place=padding_id(config) + 1)


def _encoder(parameters: Parameters, config: Config, tokens: Tokens, *, first_place: int) -> Hidden:
    _reject_variants(config)
    sizes = Sizes.read(config)
    hidden = _embeddings(parameters.below("embeddings"), config, tokens, sizes, first_place)
    hidden = layers(parameters, "encoder.layer", _NAMES, sizes, hidden, tokens)
    return Hidden(hidden, sizes.hidden)


def _embeddings(
    own: Parameters, config: Config, tokens: Tokens, sizes: Sizes, first_place: int
) -> str:
    places, size = config.integer("max_position_embeddings"), sizes.hidden
    tokens.require_positions(places - first_place, config)
    positions = own.read("position_embeddings.weight", places, size)
    types = own.read("token_type_embeddings.weight", type_count(config), size)
    if tokens.types is None:
        positions, types = positions + types[0], np.empty(0, dtype=np.float32)
    tables = Embeddings(
        own.vectors("word_embeddings.weight", config.integer("vocab_size"), size),
        own.add("position_embeddings.weight", positions),
        own.layer_norm("LayerNorm", size, sizes.epsilon),
        own.add("token_type_embeddings.weight", types) if types.size else "",
    )
    numbered = places_after_padding(own.graph, tokens, first_place) if first_place else ""
    return embed(own.graph, tokens, tables, numbered)


def _reject_variants(config: Config) -> None:
    if config.text("position_embedding_type", default="absolute") != "absolute":
        raise CheckpointError(config.path, "only absolute position embeddings are supported")
    if config.values.get("is_decoder") is True:
        raise CheckpointError(config.path, "is a decoder, which is not supported")


BERT = Family(
    bert,
    prefix="bert",
    words="embeddings.word_embeddings.weight",
    sequence=Classifier("classifier", dense="pooler.dense", below_prefix=True),
    token=Classifier("classifier"),
    packs=True,
    masked_lm=Classifier(
        "cls.predictions.bias",
        dense="cls.predictions.transform.dense",
        activation="gelu",
        activation_entry="hidden_act",
        norm="cls.predictions.transform.LayerNorm",
        decoder="cls.predictions.decoder.weight",
    ),
)

ROBERTA = Family(
    roberta,
    prefix="roberta",
    words="embeddings.word_embeddings.weight",
    sequence=Classifier("classifier.out_proj", dense="classifier.dense"),
    token=Classifier("classifier"),
    masked_lm=Classifier(
        "lm_head.bias",
        dense="lm_head.dense",
        activation="gelu",
        norm="lm_head.layer_norm",
        decoder="lm_head.decoder.weight",
    ),
)

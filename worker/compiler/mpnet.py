"""MPNet (Song et al., 2020): BERT with one bias on attention for all layers, as T5 has it.

The bias depends on how far apart two tokens are: each distance up to 7 has a bucket of its own,
longer ones share buckets that widen up to distance 128.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.config import Config
from worker.compiler.bert import ROBERTA
from worker.compiler.blocks import Embeddings, embed
from worker.compiler.body import Hidden, Tokens
from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters
from worker.compiler.positions import distances, padding_id, places_after_padding
from worker.compiler.postnorm import LayerNames, Sizes, layers

_NAMES = LayerNames(
    qkv=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    attention_out="attention.attn.o",
    attention_norm="attention.LayerNorm",
    widen="intermediate.dense",
    narrow="output.dense",
    out_norm="output.LayerNorm",
)
# Fixed in the published code, not in its configuration.
_MAX_DISTANCE = 128


def mpnet(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    sizes = Sizes.read(config)
    hidden = _embeddings(parameters.below("embeddings"), config, tokens, sizes)
    buckets = config.positive("relative_attention_num_buckets") or 32
    table = parameters.read("encoder.relative_attention_bias.weight", buckets, sizes.heads)
    bias = _bias(parameters.graph, hidden, table, tokens.max_length)
    hidden = layers(parameters, "encoder.layer", _NAMES, sizes, hidden, tokens, bias)
    return Hidden(hidden, sizes.hidden)


def bucket(distance: NDArray[np.int64], buckets: int) -> NDArray[np.int64]:
    """Return the bucket of key place minus query place, by the formula of T5."""
    half = buckets // 2
    exact = half // 2
    size = np.abs(distance)
    # In float32, as the published code: the buckets' edges depend on how it rounds.
    ratio = np.log(np.maximum(size, 1).astype(np.float32) / np.float32(exact))
    steps = ratio / np.float32(np.log(_MAX_DISTANCE / exact)) * np.float32(half - exact)
    wide = np.minimum(exact + steps.astype(np.int64), half - 1)
    found: NDArray[np.int64] = np.where(size < exact, size, wide) + half * (distance > 0)
    return found


def _bias(graph: Graph, hidden: str, table: NDArray[np.float32], max_length: int) -> str:
    """Return (1, heads, tokens, tokens) from the table (buckets, heads)."""
    reach = np.arange(1 - max_length, max_length)
    by_distance = np.ascontiguousarray(table[bucket(reach, len(table))].T)
    named = graph.constant("bias_by_distance", by_distance)
    offset = graph.integers(max_length - 1)
    indices = graph.node("Add", distances(graph, hidden), offset)
    return graph.node("Unsqueeze", graph.node("Gather", named, indices, axis=1), graph.integers(0))


def _embeddings(own: Parameters, config: Config, tokens: Tokens, sizes: Sizes) -> str:
    places, first = config.integer("max_position_embeddings"), padding_id(config) + 1
    tokens.require_positions(places - first, config)
    tables = Embeddings(
        own.vectors("word_embeddings.weight", config.integer("vocab_size"), sizes.hidden),
        own.vectors("position_embeddings.weight", places, sizes.hidden),
        own.layer_norm("LayerNorm", sizes.hidden, sizes.epsilon),
    )
    return embed(own.graph, tokens, tables, places_after_padding(own.graph, tokens, first))


# Its heads are RoBERTa's.
MPNET = replace(ROBERTA, body=mpnet, prefix="mpnet")

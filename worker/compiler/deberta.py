"""DeBERTa-v2 and v3 (He et al., 2020 and 2021), as `transformers.DebertaV2Model` lays it out.

    embeddings = norm(word[id] (+ position[place]))
    each layer:  h = norm(h + attention(h)),  h = norm(h + feed_forward(h))

Attention is disentangled: beside content with content it scores content with distance (c2p) and
distance with content (p2c),

    score(i, j) = (q_i . k_j  +  q_i . K[bucket(i - j)]  +  k_j . Q[bucket(i - j)]) / scale

where K and Q are projections of one table of relative embeddings, so they are constants, and
buckets widen with the logarithm of the distance.

The published code gathers from q @ K^T, (tokens, 2 * buckets). Here K and Q are first laid out
by distance, and the products (tokens, 2 * tokens - 1) are skewed into (tokens, tokens) as in
Music Transformer (Huang et al., 2018): no gather over tokens^2, and short texts pay for the
distances they have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.config import CheckpointError, Config
from worker.compiler.attention import attended
from worker.compiler.blocks import linear, normalized
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.convolution import convolved, convolves
from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters
from worker.compiler.pooling import places
from worker.compiler.postnorm import LayerNames, Sizes, after_attention

_WORDS = "embeddings.word_embeddings.weight"
_NAMES = LayerNames(
    qkv=("query_proj", "key_proj", "value_proj"),
    attention_out="attention.output.dense",
    attention_norm="attention.output.LayerNorm",
    widen="intermediate.dense",
    narrow="output.dense",
    out_norm="output.LayerNorm",
)


@dataclass(frozen=True, slots=True)
class _Scores:
    """Which scores are added to those of content with content, and what a distance is.

    Attributes:
        terms: c2p, p2c, both or none.
        scale: what scores are multiplied by.
        head_dim: the size of a query.
        shared: whether the layers' own projections serve the relative embeddings too.
        buckets: half the rows of the table of relative embeddings.
        logarithmic: whether buckets widen with the distance, up to max_distance.

    """

    terms: frozenset[str]
    scale: float
    head_dim: int
    shared: bool
    buckets: int
    logarithmic: bool
    max_distance: int

    @classmethod
    def read(cls, config: Config, sizes: Sizes) -> _Scores:
        max_distance = int(config.number("max_relative_positions", default=-1))
        if max_distance < 1:
            max_distance = config.integer("max_position_embeddings")
        buckets = int(config.number("position_buckets", default=-1))
        named, head_dim = _terms(config), sizes.hidden // sizes.heads
        return cls(
            terms=named if config.flag("relative_attention", default=False) else frozenset(),
            # Each term adds to the variance, and is counted where it is not in force as well.
            scale=float((head_dim * (1 + len(named))) ** -0.5),
            head_dim=head_dim,
            shared=config.flag("share_att_key", default=False),
            buckets=buckets if buckets > 0 else max_distance,
            logarithmic=buckets > 0,
            max_distance=max_distance,
        )


@dataclass(frozen=True, slots=True)
class _Relative:
    """What all layers know of distances.

    Attributes:
        table: the relative embeddings (2 * buckets, size) float32, normalised.
        falling: the rows of the table for the distances tokens - 1 down to 1 - tokens, int64.
        rising: those for the distances 1 - tokens up to tokens - 1.

    """

    table: NDArray[np.float32]
    falling: str
    rising: str


def deberta_v2(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    """Add the encoder."""
    _reject_variants(config)
    sizes = replace(Sizes.read(config), epsilon=config.number("layer_norm_eps", default=1e-7))
    scores = _Scores.read(config, sizes)
    hidden = _embeddings(parameters.below("embeddings"), config, tokens, sizes)
    table = _relative_embeddings(parameters.below("encoder"), config, sizes, scores)
    relative = _laid_out(parameters.graph, tokens, scores, table, hidden)
    for number in range(sizes.layers):
        own = parameters.below(f"encoder.layer.{number}")
        attention = own.below("attention.self")
        context = _attention(attention, sizes, scores, relative, hidden, tokens.lengths)
        before, hidden = hidden, after_attention(own, _NAMES, sizes, context, hidden)
        if number == 0 and convolves(config):
            states, encoder = (before, hidden), parameters.below("encoder")
            hidden = convolved(encoder, config, states, tokens.lengths, sizes.epsilon)
    return Hidden(hidden, sizes.hidden)


def _terms(config: Config) -> frozenset[str]:
    """Read `pos_att_type`, a list or names between bars."""
    named = config.values.get("pos_att_type") or []
    names = named.lower().split("|") if isinstance(named, str) else named
    terms = frozenset(name.strip() for name in names if name.strip())
    if unknown := terms - {"c2p", "p2c"}:
        raise CheckpointError(config.path, f"pos_att_type {sorted(unknown)} is not supported")
    return terms


def _embeddings(own: Parameters, config: Config, tokens: Tokens, sizes: Sizes) -> str:
    graph, size = own.graph, sizes.hidden
    words = own.vectors("word_embeddings.weight", config.integer("vocab_size"), size)
    hidden = graph.node("Gather", words, tokens.ids)
    if config.flag("position_biased_input", default=True):
        count = config.integer("max_position_embeddings")
        tokens.require_positions(count, config)
        table = own.vectors("position_embeddings.weight", count, size)
        hidden = graph.node("Add", hidden, graph.node("Gather", table, places(graph, hidden)))
    if types := int(config.number("type_vocab_size", default=0)):
        hidden = graph.node("Add", hidden, _types(own, tokens, types, size))
    return normalized(graph, hidden, own.layer_norm("LayerNorm", size, sizes.epsilon))


def _types(own: Parameters, tokens: Tokens, count: int, size: int) -> str:
    table = own.read("token_type_embeddings.weight", count, size)
    if tokens.types is None:
        return own.add("token_type_embeddings.weight", table[0])
    return own.graph.node("Gather", own.add("token_type_embeddings.weight", table), tokens.types)


def _relative_embeddings(
    own: Parameters, config: Config, sizes: Sizes, scores: _Scores
) -> NDArray[np.float32]:
    """Return the table of relative embeddings, (2 * buckets, size); empty where unused."""
    if not scores.terms:
        return np.empty((0, sizes.hidden), dtype=np.float32)
    table = own.read("rel_embeddings.weight", 2 * scores.buckets, sizes.hidden)
    if "layer_norm" not in config.text("norm_rel_ebd", default="none").lower().split("|"):
        return table
    scale, bias = (own.read(f"LayerNorm.{name}", sizes.hidden) for name in ("weight", "bias"))
    return _normalised(table, sizes.epsilon) * scale + bias


def _laid_out(
    graph: Graph, tokens: Tokens, scores: _Scores, table: NDArray[np.float32], hidden: str
) -> _Relative:
    longest = tokens.max_length
    rising = _bucket(np.arange(1 - longest, longest), scores) + scores.buckets
    rows = np.clip(rising, 0, 2 * scores.buckets - 1)
    return _Relative(
        table,
        falling=_around_zero(graph, hidden, "distances/falling", rows[::-1]),
        rising=_around_zero(graph, hidden, "distances/rising", rows),
    )


def _bucket(distances: NDArray[np.int64], scores: _Scores) -> NDArray[np.int64]:
    """Return the signed bucket of each distance: itself while small, then logarithmic."""
    if not scores.logarithmic:
        return distances
    middle = scores.buckets // 2
    # float32 throughout, as published: the ceiling of a quotient decides the bucket.
    sizes = np.append(np.maximum(np.abs(distances), middle), scores.max_distance - 1)
    logarithms = np.log(sizes.astype(np.float32) / np.float32(middle))
    shares = logarithms[:-1] / logarithms[-1] * np.float32(middle - 1)
    far = (np.ceil(shares) + middle).astype(np.int64) * np.sign(distances)
    return np.where(np.abs(distances) <= middle, distances, far)


def _around_zero(graph: Graph, hidden: str, name: str, rows: NDArray[np.int64]) -> str:
    """Cut from the rows of all distances, 0 in the middle, those of `tokens` tokens."""
    tokens = graph.node("Shape", hidden, start=1, end=2)
    middle = graph.integers(len(rows) // 2)
    start = graph.node("Sub", graph.node("Add", middle, graph.integers(1)), tokens)
    end = graph.node("Add", middle, tokens)
    return graph.node("Slice", graph.constant(name, np.ascontiguousarray(rows)), start, end)


def _attention(
    own: Parameters, sizes: Sizes, scores: _Scores, relative: _Relative, hidden: str, lengths: str
) -> str:
    graph, size = own.graph, sizes.hidden
    product = linear(graph, hidden, own.merged("qkv", _NAMES.qkv, size, size, biased=True))
    thirds = graph.integers(size, size, size)
    queries, keys, values = graph.nodes("Split", [product, thirds], 3, axis=-1)
    terms = []
    if "c2p" in scores.terms:
        table = _projected_table(own, sizes, scores, relative.table, "key")
        terms.append(_by_distance(graph, sizes, queries, table, relative.falling))
    if "p2c" in scores.terms:
        table = _projected_table(own, sizes, scores, relative.table, "query")
        by_key = _by_distance(graph, sizes, keys, table, relative.rising)
        terms.append(graph.node("Transpose", by_key, perm=[0, 1, 3, 2]))
    bias = graph.node("Sum", *terms) if terms else ""
    qkv = (queries, keys, values)
    return attended(graph, qkv, sizes.heads, lengths=lengths, bias=bias, scale=scores.scale)


def _projected_table(
    own: Parameters, sizes: Sizes, scores: _Scores, table: NDArray[np.float32], side: str
) -> str:
    """Project the relative embeddings to scaled keys or queries, (heads, head_dim, 2 * buckets)."""
    name = f"{side}_proj" if scores.shared else f"pos_{side}_proj"
    weight = own.read(f"{name}.weight", sizes.hidden, sizes.hidden)
    projected_rows = table @ weight.T + own.read(f"{name}.bias", sizes.hidden)
    heads = (projected_rows * np.float32(scores.scale)).reshape(-1, sizes.heads, scores.head_dim)
    return own.add(f"relative_{side}", np.ascontiguousarray(heads.transpose(1, 2, 0)))


def _by_distance(graph: Graph, sizes: Sizes, vectors: str, table: str, rows: str) -> str:
    """Return (rows, heads, tokens, tokens): each vector with the table's row of each distance."""
    apart = graph.node(
        "Reshape", vectors, graph.integers(0, 0, sizes.heads, sizes.hidden // sizes.heads)
    )
    heads = graph.node("Transpose", apart, perm=[0, 2, 1, 3])
    by_distance = graph.node("Gather", table, rows, axis=2)
    return _skewed(graph, graph.node("MatMul", heads, by_distance))


def _skewed(graph: Graph, scores: str) -> str:
    """Turn x (..., tokens, 2 * tokens - 1) into y[i, j] = x[i, j - i + tokens - 1].

    With one column more, rows one after another hold y[i, j] at i * (2 * tokens - 1) + j behind
    the first tokens - 1 numbers.
    """
    one = graph.integers(1)
    tokens = graph.node("Shape", scores, start=2, end=3)
    width = graph.node("Shape", scores, start=3, end=4)
    column = graph.constant("pad/column", np.array([0, 0, 0, 0, 0, 0, 0, 1], dtype=np.int64))
    padded = graph.node("Pad", scores, column)
    flat = graph.node("Reshape", padded, graph.integers(0, 0, -1))
    start = graph.node("Sub", tokens, one)
    end = graph.node("Add", start, graph.node("Mul", tokens, width))
    kept = graph.node("Slice", flat, start, end, graph.integers(2))
    shape = graph.node("Concat", graph.integers(0, 0), tokens, width, axis=0)
    square = graph.node("Reshape", kept, shape)
    return graph.node("Slice", square, graph.integers(0), tokens, graph.integers(3))


def _normalised(table: NDArray[np.float32], epsilon: float) -> NDArray[np.float32]:
    centred = table - table.mean(axis=1, keepdims=True)
    variance = np.square(centred).mean(axis=1, keepdims=True)
    normalised: NDArray[np.float32] = centred / np.sqrt(variance + np.float32(epsilon))
    return normalised


def _reject_variants(config: Config) -> None:
    size = config.integer("hidden_size")
    for entry in ("embedding_size", "pooler_hidden_size"):
        if (config.positive(entry) or size) != size:
            raise CheckpointError(config.path, f"{entry} other than hidden_size is not supported")
    if config.positive("attention_head_size"):
        raise CheckpointError(config.path, "attention_head_size is not supported")


DEBERTA_V2 = Family(
    deberta_v2,
    prefix="deberta",
    words=_WORDS,
    sequence=Classifier(
        "classifier",
        dense="pooler.dense",
        activation="gelu",
        activation_entry="pooler_hidden_act",
    ),
    token=Classifier("classifier"),
)

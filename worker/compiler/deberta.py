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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint import Checkpoint, CheckpointError, Config
from worker.compiler.attention import attended, token_places
from worker.compiler.blocks import ACTIVATIONS, activated, projected
from worker.compiler.graph import Graph
from worker.compiler.parameters import Parameters
from worker.weights import Weights

_EPSILON = 1e-7


@dataclass(frozen=True, slots=True)
class _Shape:
    """The sizes of an encoder and which scores it adds to those of content with content.

    Attributes:
        buckets: half the rows of the table of relative embeddings.
        logarithmic: whether buckets widen with the distance, up to max_distance.

    """

    size: int
    inner: int
    heads: int
    epsilon: float
    buckets: int
    logarithmic: bool
    max_distance: int
    scores: frozenset[str]
    shared: bool

    @property
    def head_dim(self) -> int:
        return self.size // self.heads

    @property
    def scale(self) -> float:
        """What scores are multiplied by: each of their terms adds to the variance."""
        return float((self.head_dim * (1 + len(self.scores))) ** -0.5)


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


def deberta_v2(
    graph: Graph, weights: Weights, checkpoint: Checkpoint, input_ids: str, lengths: str
) -> str:
    """Add the encoder and return its last hidden state, (rows, tokens, hidden_size) float32."""
    _reject_variants(checkpoint.config)
    shape = _shape(checkpoint.config)
    own = Parameters(graph, weights, _prefix(weights))
    hidden = _embeddings(own.below("embeddings"), checkpoint, shape, input_ids)
    relative = _relative(own.below("encoder"), checkpoint, shape, hidden)
    for number in range(checkpoint.config.integer("num_hidden_layers")):
        layer = own.below(f"encoder.layer.{number}")
        hidden = _layer(layer, checkpoint.config, shape, relative, hidden, lengths)
    return hidden


def _shape(config: Config) -> _Shape:
    max_distance = int(config.number("max_relative_positions", -1))
    if max_distance < 1:
        max_distance = config.integer("max_position_embeddings")
    buckets = int(config.number("position_buckets", -1))
    return _Shape(
        size=config.integer("hidden_size"),
        inner=config.integer("intermediate_size"),
        heads=config.integer("num_attention_heads"),
        epsilon=config.number("layer_norm_eps", _EPSILON),
        buckets=buckets if buckets > 0 else max_distance,
        logarithmic=buckets > 0,
        max_distance=max_distance,
        scores=_scores(config),
        shared=config.values.get("share_att_key") is True,
    )


def _scores(config: Config) -> frozenset[str]:
    """Read `pos_att_type`, a list or names between bars."""
    if config.values.get("relative_attention") is not True:
        return frozenset()
    named = config.values.get("pos_att_type") or []
    names = named.lower().split("|") if isinstance(named, str) else named
    scores = frozenset(name.strip() for name in names if name.strip())
    if unknown := scores - {"c2p", "p2c"}:
        raise CheckpointError(config.path, f"pos_att_type {sorted(unknown)} is not supported")
    return scores


def _embeddings(own: Parameters, checkpoint: Checkpoint, shape: _Shape, input_ids: str) -> str:
    graph, config = own.graph, checkpoint.config
    words = own.read("word_embeddings.weight", config.integer("vocab_size"), shape.size)
    if types := int(config.number("type_vocab_size", 0)):
        # All texts are of type 0, as those of an embedding model are.
        words = words + own.read("token_type_embeddings.weight", types, shape.size)[0]
    hidden = graph.node("Gather", own.add("word_embeddings.weight", words), input_ids)
    if config.values.get("position_biased_input", True) is True:
        hidden = graph.node("Add", hidden, _positions(own, checkpoint, shape, hidden))
    norm = own.layer_norm("LayerNorm", shape.size, shape.epsilon)
    return graph.node(
        "LayerNormalization", hidden, norm.scale, norm.bias, axis=-1, epsilon=norm.epsilon
    )


def _positions(own: Parameters, checkpoint: Checkpoint, shape: _Shape, hidden: str) -> str:
    """Return the vectors of the places of a row, (tokens, size)."""
    config, count = checkpoint.config, checkpoint.config.integer("max_position_embeddings")
    if checkpoint.max_length > count:
        raise CheckpointError(
            config.path, f"has {count} positions, too few for inputs of {checkpoint.max_length}"
        )
    table = own.read("position_embeddings.weight", count, shape.size)
    added = own.add("position_embeddings.weight", table)
    return own.graph.node("Gather", added, token_places(own.graph, hidden))


def _relative(
    own: Parameters, checkpoint: Checkpoint, shape: _Shape, hidden: str
) -> _Relative | None:
    if not shape.scores:
        return None
    table = own.read("rel_embeddings.weight", 2 * shape.buckets, shape.size)
    if "layer_norm" in checkpoint.config.text("norm_rel_ebd", "none").lower().split("|"):
        scale, bias = (own.read(f"LayerNorm.{name}", shape.size) for name in ("weight", "bias"))
        table = _normalised(table, shape.epsilon) * scale + bias
    longest = checkpoint.max_length
    rising = _bucket(np.arange(1 - longest, longest), shape) + shape.buckets
    rows = np.clip(rising, 0, 2 * shape.buckets - 1)
    return _Relative(
        table,
        falling=_around_zero(own.graph, hidden, "distances/falling", rows[::-1]),
        rising=_around_zero(own.graph, hidden, "distances/rising", rows),
    )


def _bucket(distances: NDArray[np.int64], shape: _Shape) -> NDArray[np.int64]:
    """Return the signed bucket of each distance: itself while small, then logarithmic."""
    if not shape.logarithmic:
        return distances
    middle = shape.buckets // 2
    # float32 throughout, as published: the ceiling of a quotient decides the bucket.
    sizes = np.append(np.maximum(np.abs(distances), middle), shape.max_distance - 1)
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


def _layer(
    own: Parameters,
    config: Config,
    shape: _Shape,
    relative: _Relative | None,
    hidden: str,
    lengths: str,
) -> str:
    graph = own.graph
    context = _attention(own.below("attention.self"), shape, relative, hidden, lengths)
    out = own.linear("attention.output.dense", shape.size, shape.size)
    norm = own.layer_norm("attention.output.LayerNorm", shape.size, shape.epsilon)
    hidden = projected(graph, context, out, hidden, norm)

    widen = own.linear("intermediate.dense", shape.size, shape.inner)
    wide = activated(graph, hidden, widen, config.text("hidden_act", "gelu"))
    narrow = own.linear("output.dense", shape.inner, shape.size)
    norm = own.layer_norm("output.LayerNorm", shape.size, shape.epsilon)
    return projected(graph, wide, narrow, hidden, norm)


def _attention(
    own: Parameters, shape: _Shape, relative: _Relative | None, hidden: str, lengths: str
) -> str:
    graph = own.graph
    qkv = own.merged("qkv", ("query_proj", "key_proj", "value_proj"), shape.size, shape.size)
    product = graph.node("Add", graph.node("MatMul", hidden, qkv.weight), qkv.bias)
    thirds = graph.integers(shape.size, shape.size, shape.size)
    queries, keys, values = graph.nodes("Split", [product, thirds], 3, axis=-1)
    terms = []
    if relative and "c2p" in shape.scores:
        table = _projected_table(own, shape, relative.table, "key")
        terms.append(_by_distance(graph, shape, queries, table, relative.falling))
    if relative and "p2c" in shape.scores:
        table = _projected_table(own, shape, relative.table, "query")
        by_key = _by_distance(graph, shape, keys, table, relative.rising)
        terms.append(graph.node("Transpose", by_key, perm=[0, 1, 3, 2]))
    bias = graph.node("Sum", *terms) if terms else ""
    qkv_values = (queries, keys, values)
    return attended(graph, qkv_values, shape.heads, lengths=lengths, bias=bias, scale=shape.scale)


def _projected_table(own: Parameters, shape: _Shape, table: NDArray[np.float32], side: str) -> str:
    """Project the relative embeddings to scaled keys or queries, (heads, head_dim, 2 * buckets)."""
    name = f"{side}_proj" if shape.shared else f"pos_{side}_proj"
    weight = own.read(f"{name}.weight", shape.size, shape.size)
    projected_rows = table @ weight.T + own.read(f"{name}.bias", shape.size)
    heads = (projected_rows * np.float32(shape.scale)).reshape(-1, shape.heads, shape.head_dim)
    return own.add(f"relative_{side}", np.ascontiguousarray(heads.transpose(1, 2, 0)))


def _by_distance(graph: Graph, shape: _Shape, vectors: str, table: str, rows: str) -> str:
    """Return (rows, heads, tokens, tokens): each vector with the table's row of each distance."""
    apart = graph.node("Reshape", vectors, graph.integers(0, 0, shape.heads, shape.head_dim))
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


def _prefix(weights: Weights) -> str:
    """Checkpoints saved with a head keep the encoder below `deberta.`."""
    return "deberta." if "deberta.embeddings.word_embeddings.weight" in weights else ""


def _reject_variants(config: Config) -> None:
    size = config.integer("hidden_size")
    if config.number("conv_kernel_size", 0):
        raise CheckpointError(config.path, "a convolution layer is not supported")
    if config.integer("hidden_size") % config.integer("num_attention_heads"):
        raise CheckpointError(config.path, "hidden_size is not a multiple of num_attention_heads")
    if (config.positive("embedding_size") or size) != size:
        raise CheckpointError(config.path, "an embedding_size of its own is not supported")
    activation = config.text("hidden_act", "gelu")
    if activation not in ACTIVATIONS:
        raise CheckpointError(config.path, f"hidden_act {activation} is not supported")

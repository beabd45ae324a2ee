"""Adds a checkpoint's heads to the graph of its encoder, several over one forward pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto

from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import (
    AnswerHead,
    DenseHead,
    Head,
    MultivectorHead,
    Pooling,
    Projection,
    SequenceClassificationHead,
    SpanHead,
    SpladeHead,
    TokenClassificationHead,
    TokenWeightsHead,
)
from worker.checkpoint.vocabulary import token_ids
from worker.checkpoint.weights import Weights, weight_files
from worker.compiler.blocks import ACTIVATIONS, activate, activated, linear, normalized
from worker.compiler.body import Classifier, Family, Hidden, Tokens
from worker.compiler.graph import Dims, Graph
from worker.compiler.packed import pooled_texts
from worker.compiler.parameters import Parameters, dotted
from worker.compiler.pooling import pooled, token_mask, unit_length, without_padding


@dataclass(frozen=True, slots=True)
class Encoded:
    """An encoder in a graph, and what its heads are made from.

    Attributes:
        root: the checkpoint's directory, where projections lie.
        config: config.json.
        family: how the heads are spelled.
        parameters: the weights beside the encoder's.
        encoder: the encoder's weights.
        tokens: the graph's inputs.
        hidden: the last hidden state.

    """

    root: Path
    config: Config
    family: Family
    parameters: Parameters
    encoder: Parameters
    tokens: Tokens
    hidden: Hidden

    @property
    def graph(self) -> Graph:
        return self.parameters.graph


def add_head(encoded: Encoded, head: Head) -> None:
    """Add a head and declare its output."""
    match head:
        case DenseHead():
            value, dims = _dense(encoded, head)
        case SpladeHead():
            value, dims = _splade(encoded, head)
        case TokenWeightsHead():
            value, dims = _token_weights(encoded, head)
        case MultivectorHead():
            value, dims = _multivector(encoded, head)
        case AnswerHead():
            value, dims = _answers(encoded, head)
        case SequenceClassificationHead():
            value, dims = _sequence_classification(encoded)
        case TokenClassificationHead():
            value, dims = _token_classification(encoded)
        case SpanHead():
            raise CheckpointError(encoded.config.path, "spans are scored by a family of their own")
    encoded.graph.output(head.output, value, TensorProto.FLOAT, dims)


def _dense(encoded: Encoded, head: DenseHead) -> tuple[str, Dims]:
    packing, states = encoded.tokens.packing, encoded.hidden.states
    if packing is None:
        vectors = pooled(encoded.graph, states, encoded.tokens.lengths, head.pooling)
    else:
        vectors = pooled_texts(encoded.graph, states, packing, head.pooling)
    vectors, size = _projected(encoded, vectors, head.projections)
    if head.normalize:
        vectors = unit_length(encoded.graph, vectors)
    return vectors, ("rows", size) if packing is None else ("rows", "texts", size)


def _multivector(encoded: Encoded, head: MultivectorHead) -> tuple[str, Dims]:
    if head.projections:
        vectors, size = _projected(encoded, encoded.hidden.states, head.projections)
    else:
        size = encoded.parameters.shape("linear.weight")[0]
        layer = encoded.parameters.linear("linear", encoded.hidden.size, size)
        vectors = linear(encoded.graph, encoded.hidden.states, layer)
    return unit_length(encoded.graph, vectors), ("rows", "tokens", size)


def _token_weights(encoded: Encoded, head: TokenWeightsHead) -> tuple[str, Dims]:
    weights, _ = _projected(encoded, encoded.hidden.states, (head.projection,))
    return encoded.graph.node("Squeeze", weights, encoded.graph.integers(2)), ("rows", "tokens")


def _splade(encoded: Encoded, head: SpladeHead) -> tuple[str, Dims]:
    graph, states, lengths = encoded.graph, encoded.hidden.states, encoded.tokens.lengths
    if head.pooling == "max":
        # The logarithm rises with its argument, so it is taken once a word, not once a token.
        logits, words = _word_logits(encoded, without_padding(graph, states, lengths))
        logits = graph.node("ReduceMax", logits, axes=[1], keepdims=0)
        return _damped(graph, logits, head.logarithms), ("rows", words)
    logits, words = _word_logits(encoded, states)
    mask = graph.node("Unsqueeze", token_mask(graph, states, lengths), graph.integers(2))
    weights = graph.node("Mul", _damped(graph, logits, head.logarithms), mask)
    return graph.node("ReduceSum", weights, graph.integers(1), keepdims=0), ("rows", words)


def _damped(graph: Graph, logits: str, logarithms: int) -> str:
    """Return log(1 + relu(x)), with the logarithm taken `logarithms` times."""
    values = graph.node("Relu", logits)
    one = graph.constant("float/one", np.array(1, dtype=np.float32))
    for _ in range(logarithms):
        values = graph.node("Log", graph.node("Add", values, one))
    return values


def _word_logits(encoded: Encoded, states: str) -> tuple[str, int]:
    """Return the masked language model's logits, (rows, tokens, vocabulary)."""
    names = encoded.family.masked_lm
    if names is None:
        raise CheckpointError(encoded.config.path, "the family has no masked language model")
    transformed = _transformed(encoded, states, names)
    words, size = encoded.config.integer("vocab_size"), encoded.hidden.size
    own = encoded.parameters
    # Files leave the decoder out where it is tied to the word vectors.
    if names.decoder in own:
        vectors = own.read(names.decoder, words, size)
    else:
        vectors = encoded.encoder.read(encoded.family.words, words, size)
    # A decoder that is not tied has a bias of its own, and the other is idle.
    biases = (names.decoder.replace(".weight", ".bias"), names.out)
    bias = next((own.vectors(name, words) for name in biases if name in own), "")
    layer = own.layer("decoder", vectors.T, bias)
    return linear(encoded.graph, transformed, layer), words


def _sequence_classification(encoded: Encoded) -> tuple[str, Dims]:
    names = encoded.family.sequence
    default = names.pooling if names else Pooling.CLS
    mode = Pooling(encoded.config.text("classifier_pooling", default=default))
    states = pooled(encoded.graph, encoded.hidden.states, encoded.tokens.lengths, mode)
    logits, labels = _classified(encoded, states, names)
    return logits, ("rows", labels)


def _answers(encoded: Encoded, head: AnswerHead) -> tuple[str, Dims]:
    """Multiply with the answers' rows of the vocabulary only."""
    graph, size = encoded.graph, encoded.hidden.size
    name, own = encoded.family.causal_lm, encoded.parameters
    if name not in own:
        name, own = encoded.family.words, encoded.encoder
    ids = token_ids(encoded.config.path.parent / "tokenizer.json", *head.tokens)
    rows = own.read(name, encoded.config.integer("vocab_size"), size)[ids]
    last = pooled(graph, encoded.hidden.states, encoded.tokens.lengths, Pooling.LAST_TOKEN)
    return graph.node("MatMul", last, own.add("answers.weight", rows.T)), ("rows", len(ids))


def _token_classification(encoded: Encoded) -> tuple[str, Dims]:
    logits, labels = _classified(encoded, encoded.hidden.states, encoded.family.token)
    return logits, ("rows", "tokens", labels)


def _classified(encoded: Encoded, states: str, names: Classifier | None) -> tuple[str, int]:
    if names is None:
        raise CheckpointError(encoded.config.path, "the family has no such classifier")
    transformed = _transformed(encoded, states, names)
    labels = encoded.parameters.shape(f"{names.out}.weight")[0]
    out = encoded.parameters.linear(names.out, encoded.hidden.size, labels)
    return linear(encoded.graph, transformed, out), labels


def _transformed(encoded: Encoded, states: str, names: Classifier) -> str:
    """Apply what stands between the encoder and a head's last linear layer."""
    if not names.dense:
        return states
    own = encoded.encoder if names.below_prefix else encoded.parameters
    size = encoded.hidden.size
    activation = encoded.config.text(names.activation_entry, default=names.activation)
    _require_activation(encoded.config, activation)
    states = activated(encoded.graph, states, own.linear(names.dense, size, size), activation)
    if not names.norm:
        return states
    epsilon = encoded.config.number("layer_norm_eps", "norm_eps", default=names.epsilon)
    return normalized(encoded.graph, states, own.layer_norm(names.norm, size, epsilon))


def _projected(
    encoded: Encoded, values: str, projections: tuple[Projection, ...]
) -> tuple[str, int]:
    """Apply linear layers that lie in files of their own; return the values and their size."""
    size = encoded.hidden.size
    for number, each in enumerate(projections):
        _require_activation(encoded.config, each.activation)
        files = weight_files(encoded.root / each.directory, each.stem)
        with Weights(files) as weights:
            scope = f"{each.directory}/{each.stem}/{number}/"
            own = Parameters(encoded.graph, weights, scope=scope)
            outputs = own.shape(dotted(each.layer, "weight"))[0]
            layer = own.linear(each.layer, size, outputs)
        values = activate(encoded.graph, linear(encoded.graph, values, layer), each.activation)
        size = outputs
    return values, size


def _require_activation(config: Config, activation: str) -> None:
    if activation not in ACTIVATIONS | {"identity"}:
        raise CheckpointError(config.path, f"activation {activation} is not supported")

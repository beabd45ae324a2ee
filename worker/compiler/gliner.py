"""GLiNER (Zaratiana et al., 2023): scores of spans of words against labels read beside them.

    [CLS] <<ENT>> label <<ENT>> label <<SEP>> word word ... [SEP]
            │                                  │
            encoder ─ projection ──────────────┤
            │                                  first sub-token of each word ─ LSTM
            prompt layer                       start layer, end layer ─ relu ─ out layer
            └───────── label . span ◄──────────┘

Which token stands for which word or label is told by the input `marks`, (rows, tokens) int32:
n where the n-th word begins, -n at the marker of the n-th label, counted from 1, else 0. Vectors
are picked by a product with 0 and 1, so a word without a token is a vector of zeros, as published.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import TensorProto

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError, Config
from worker.checkpoint.heads import Output
from worker.compiler.blocks import linear
from worker.compiler.body import Hidden, Tokens
from worker.compiler.families import family_of
from worker.compiler.graph import Graph
from worker.compiler.lstm import bidirectional_lstm
from worker.compiler.parameters import Parameters

_ENCODER = "token_rep_layer.bert_layer.model"
_SPANS = "span_rep_layer.span_rep_layer"
# An MLP is linear, relu, dropout, linear: these are its places that have weights.
_WIDEN, _NARROW = "0", "3"
_WIDENING = 4


@dataclass(frozen=True, slots=True)
class _Marked:
    """Vectors of words and of labels.

    Attributes:
        words: (rows, words, size).
        counts: (rows,) int32, how many words each row has.
        labels: (rows, labels, size).

    """

    words: str
    counts: str
    labels: str


def compile_gliner(checkpoint: Checkpoint, directory: Path) -> None:
    """Write `model.onnx` and `model.weights` into an existing directory.

    Raises:
        CheckpointError: a file is missing or corrupt, a variant is not supported, or a tensor is
            absent, misshapen or not finite.

    """
    config = checkpoint.config
    _reject_variants(config)
    with checkpoint.weights() as weights, Graph("gliner", directory) as graph:
        parameters = Parameters(graph, weights)
        tokens, marks = _inputs(graph, checkpoint)
        hidden = _encoder(parameters, config, tokens)
        marked = _marked(graph, hidden, marks)
        words = bidirectional_lstm(
            parameters.below("rnn.lstm"),
            marked.words,
            marked.counts,
            hidden.size,
            int(config.number("num_rnn_layers", default=1)),
        )
        width = config.integer("max_width")
        spans = _spans(parameters.below(_SPANS), words, hidden.size, width)
        labels = _mlp(parameters, "prompt_rep_layer", marked.labels, hidden.size)
        logits = _scores(graph, spans, labels)
        dims = ("rows", "words", width, "labels")
        graph.output(Output.SPAN_LOGITS, logits, TensorProto.FLOAT, dims)
        graph.save()


def _inputs(graph: Graph, checkpoint: Checkpoint) -> tuple[Tokens, str]:
    dims = ("rows", "tokens")
    ids = graph.input("input_ids", TensorProto.INT32, dims)
    lengths = graph.input("lengths", TensorProto.INT32, ("rows",))
    marks = graph.input("marks", TensorProto.INT32, dims)
    return Tokens(ids, lengths, None, checkpoint.max_length), marks


def _encoder(parameters: Parameters, config: Config, tokens: Tokens) -> Hidden:
    encoder = config.below("encoder_config")
    if not encoder.values:
        raise CheckpointError(config.path, "has no encoder_config")
    hidden = family_of(encoder).body(parameters.below(_ENCODER), encoder, tokens)
    size = config.integer("hidden_size")
    if "token_rep_layer.projection.weight" not in parameters:
        return hidden
    layer = parameters.linear("token_rep_layer.projection", hidden.size, size)
    return Hidden(linear(parameters.graph, hidden.states, layer), size)


def _marked(graph: Graph, hidden: Hidden, marks: str) -> _Marked:
    negative = graph.node("Neg", marks)
    return _Marked(
        words=_picked(graph, hidden.states, marks),
        counts=graph.node("ReduceMax", marks, axes=[1], keepdims=0),
        labels=_picked(graph, hidden.states, negative),
    )


def _picked(graph: Graph, states: str, numbers: str) -> str:
    """Return (rows, most, size): in the n-th place the state whose number is n + 1, or zeros."""
    zero, one = (graph.constant(f"int32/scalar_{n}", np.array(n, dtype=np.int32)) for n in (0, 1))
    most = graph.node("ReduceMax", numbers, keepdims=0)
    places = graph.node("Add", graph.node("Range", zero, most, one), one)
    apart = graph.node("Unsqueeze", places, graph.integers(1))
    same = graph.node("Equal", graph.node("Unsqueeze", numbers, graph.integers(1)), apart)
    return graph.node("MatMul", graph.node("Cast", same, to=TensorProto.FLOAT), states)


def _spans(own: Parameters, words: str, size: int, width: int) -> str:
    """Return (rows, words, width, size): the span from each word on, of each width.

    The published layer multiplies the vectors of start and end side by side; each has its half of
    the product here, so it is taken once a word and not once a span.
    """
    graph = own.graph
    wide = _WIDENING * size
    weight = own.read(f"out_project.{_WIDEN}.weight", wide, 2 * size)
    bias = own.vectors(f"out_project.{_WIDEN}.bias", wide)
    halves = []
    for index, name in enumerate(("project_start", "project_end")):
        vectors = graph.node("Relu", _mlp(own, name, words, size))
        half = weight[:, index * size : (index + 1) * size].T
        layer = own.layer(f"{name}.out", half, "" if index else bias)
        halves.append(linear(graph, vectors, layer))
    starts = graph.node("Unsqueeze", halves[0], graph.integers(2))
    ends = graph.node("Gather", halves[1], _ends(graph, words, width), axis=1)
    joined = graph.node("Relu", graph.node("Add", starts, ends))
    return linear(graph, joined, own.linear(f"out_project.{_NARROW}", wide, size))


def _ends(graph: Graph, words: str, width: int) -> str:
    """Return (words, width) int64: the last word of each span; the row's last where it is past."""
    zero, one = (graph.constant(f"int64/scalar_{n}", np.array(n, dtype=np.int64)) for n in (0, 1))
    count = graph.node("Gather", graph.node("Shape", words), one)
    starts = graph.node("Unsqueeze", graph.node("Range", zero, count, one), graph.integers(1))
    widths = graph.constant("int64/widths", np.arange(width, dtype=np.int64))
    return graph.node("Min", graph.node("Add", starts, widths), graph.node("Sub", count, one))


def _mlp(own: Parameters, name: str, values: str, size: int) -> str:
    wide = _WIDENING * size
    hidden = linear(own.graph, values, own.linear(f"{name}.{_WIDEN}", size, wide))
    hidden = own.graph.node("Relu", hidden)
    return linear(own.graph, hidden, own.linear(f"{name}.{_NARROW}", wide, size))


def _scores(graph: Graph, spans: str, labels: str) -> str:
    """Return (rows, words, width, labels): the product of every span with every label."""
    columns = graph.node("Transpose", labels, perm=[0, 2, 1])
    return graph.node("MatMul", spans, graph.node("Unsqueeze", columns, graph.integers(1)))


def _reject_variants(config: Config) -> None:
    expected = {
        "span_mode": ("markerV0", "marker_v0"),
        "subtoken_pooling": ("first",),
        "words_splitter_type": ("whitespace",),
    }
    for entry, supported in expected.items():
        value = config.text(entry, default=supported[0])
        if value not in supported:
            raise CheckpointError(config.path, f"{entry} {value} is not supported")
    for entry in ("labels_encoder", "labels_decoder", "relations_layer", "fuse_layers"):
        if config.values.get(entry):
            raise CheckpointError(config.path, f"{entry} is not supported")

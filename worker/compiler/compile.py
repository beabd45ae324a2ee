"""From a checkpoint to the files of a graph: inputs, the family's body, the heads."""

from __future__ import annotations

from pathlib import Path

from onnx import TensorProto

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.config import CheckpointError
from worker.checkpoint.heads import DenseHead, SpanHead, architecture_of
from worker.compiler.body import Family, Hidden, Tokens
from worker.compiler.dual import DUALS, compile_dual
from worker.compiler.families import family_of
from worker.compiler.gliner import compile_gliner
from worker.compiler.graph import Graph
from worker.compiler.graph_form import Dialect, GraphForm, Layout, Precision
from worker.compiler.heads import Encoded, add_head
from worker.compiler.packed import POOLINGS, Packing
from worker.compiler.parameters import Parameters
from worker.compiler.standard import lowered

PADDED = GraphForm()


def compile_checkpoint(
    checkpoint: Checkpoint,
    directory: Path,
    *,
    hidden_states: bool = False,
    form: GraphForm = PADDED,
) -> None:
    """Write `model.onnx` and `model.weights` into an existing directory.

    A model of texts and images has `vision.onnx` and `vision.weights` as well.

    The graph has one output for each of the checkpoint's heads, by the names and shapes of
    `worker.checkpoint.heads.Output`. With `hidden_states` it has `last_hidden_state` too, (rows,
    tokens, hidden_size) float32.

    Raises:
        UnsupportedArchitectureError: no family compiles this architecture.
        CheckpointError: a file is missing or corrupt, or a tensor is absent, misshapen or not
            finite.

    """
    lowering = lowered if form.dialect == Dialect.STANDARD else None
    dual = DUALS.get(architecture_of(checkpoint.config))
    has_spans = isinstance(checkpoint.heads[0], SpanHead)
    if form.precision == Precision.INT8 and (dual is not None or has_spans):
        raise CheckpointError(checkpoint.config.path, "is not supported in int8")
    if dual is not None:
        compile_dual(dual, checkpoint, directory, lowering)
        return
    if has_spans:
        compile_gliner(checkpoint, directory)
        return
    family = family_of(checkpoint.config)
    with (
        checkpoint.weights() as weights,
        Graph("encoder", directory, lowering=lowering) as graph,
    ):
        tokens = _inputs(graph, checkpoint, form.layout)
        encoded = _encoded(checkpoint, family, Parameters(graph, weights), tokens, form.precision)
        for head in checkpoint.heads:
            add_head(encoded, head)
        if hidden_states:
            dims = ("rows", "tokens", encoded.hidden.size)
            graph.output("last_hidden_state", encoded.hidden.states, TensorProto.FLOAT, dims)
        graph.save()


def packs(checkpoint: Checkpoint) -> bool:
    """Whether the packed layout is supported: by the family, and by every head."""
    if architecture_of(checkpoint.config) in DUALS:
        return False
    pooled = (isinstance(head, DenseHead) and head.pooling in POOLINGS for head in checkpoint.heads)
    return all(pooled) and family_of(checkpoint.config).packs


def _packed_inputs(graph: Graph, checkpoint: Checkpoint) -> Tokens:
    if not packs(checkpoint):
        raise CheckpointError(checkpoint.config.path, "texts of this model cannot share a row")
    ids = graph.input("input_ids", TensorProto.INT32, ("rows", "tokens"))
    lengths = graph.input("lengths", TensorProto.INT32, ("rows", "texts"))
    packing = Packing.of(graph, ids, lengths)
    return Tokens(ids, lengths, None, checkpoint.max_length, packing)


def _inputs(graph: Graph, checkpoint: Checkpoint, layout: Layout) -> Tokens:
    if layout == Layout.PACKED:
        return _packed_inputs(graph, checkpoint)
    dims = ("rows", "tokens")
    ids = graph.input("input_ids", TensorProto.INT32, dims)
    lengths = graph.input("lengths", TensorProto.INT32, ("rows",))
    paired = checkpoint.reads_type_ids
    types = graph.input("type_ids", TensorProto.INT32, dims) if paired else None
    return Tokens(ids, lengths, types, checkpoint.max_length)


def _encoded(
    checkpoint: Checkpoint,
    family: Family,
    parameters: Parameters,
    tokens: Tokens,
    precision: Precision,
) -> Encoded:
    # Checkpoints that were saved without a head have the encoder at the top.
    places = (parameters.below(each) for each in (family.prefix, family.other_prefix))
    encoder = next((place for place in places if family.words in place), parameters)
    with parameters.graph.computing(precision):
        hidden = family.body(encoder, checkpoint.config, tokens)
    if precision in {Precision.FLOAT16, Precision.BFLOAT16}:
        states = parameters.graph.node("Cast", hidden.states, to=TensorProto.FLOAT)
        hidden = Hidden(states, hidden.size)
    return Encoded(
        root=checkpoint.root,
        config=checkpoint.config,
        family=family,
        parameters=parameters,
        encoder=encoder,
        tokens=tokens,
        hidden=hidden,
    )

"""Models with two towers: one graph for texts, one for images, in one cache entry.

model.onnx     input_ids (rows, tokens) int32, lengths (rows,) int32   ─► dense (rows, size)
vision.onnx    pixel_values (rows, 3, side, side) float32              ─► dense (rows, size)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from onnx import TensorProto

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.heads import DenseHead, Output
from worker.compiler.body import Hidden, Tokens
from worker.compiler.clip import clip_image, clip_text
from worker.compiler.graph import Graph, Lowering
from worker.compiler.graph_form import VISION_GRAPH
from worker.compiler.parameters import Parameters
from worker.compiler.pooling import unit_length
from worker.compiler.siglip import siglip_image, siglip_text


@dataclass(frozen=True, slots=True)
class Dual:
    """A family with a tower for texts and one for images, whose states are vectors already.

    Attributes:
        text: adds the tower of texts for the given tokens.
        image: adds the tower of images and its input.

    """

    text: Callable[[Parameters, Checkpoint, Tokens], Hidden]
    image: Callable[[Parameters, Checkpoint], Hidden]


DUALS: dict[str, Dual] = {
    "CLIPModel": Dual(clip_text, clip_image),
    "SiglipModel": Dual(siglip_text, siglip_image),
}


def compile_dual(
    dual: Dual, checkpoint: Checkpoint, directory: Path, lowering: Lowering | None = None
) -> None:
    """Write the four files of both graphs into an existing directory.

    Raises:
        CheckpointError: a file is missing or corrupt, or a tensor is absent, misshapen or not
            finite.

    """
    with checkpoint.weights() as weights:
        with Graph("text", directory, lowering=lowering) as graph:
            vectors = dual.text(Parameters(graph, weights), checkpoint, _tokens(graph, checkpoint))
            _finish(graph, checkpoint, vectors)
        with Graph("vision", directory, file=VISION_GRAPH, lowering=lowering) as graph:
            _finish(graph, checkpoint, dual.image(Parameters(graph, weights), checkpoint))


def _tokens(graph: Graph, checkpoint: Checkpoint) -> Tokens:
    ids = graph.input("input_ids", TensorProto.INT32, ("rows", "tokens"))
    lengths = graph.input("lengths", TensorProto.INT32, ("rows",))
    return Tokens(ids, lengths, None, checkpoint.max_length)


def _finish(graph: Graph, checkpoint: Checkpoint, vectors: Hidden) -> None:
    scaled = any(isinstance(head, DenseHead) and head.normalize for head in checkpoint.heads)
    dense = unit_length(graph, vectors.states) if scaled else vectors.states
    graph.output(Output.DENSE, dense, TensorProto.FLOAT, ("rows", vectors.size))
    graph.save()

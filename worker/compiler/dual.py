"""Models with two towers: one graph for texts, one for images, in one cache entry.

model.onnx     input_ids (rows, tokens) int32, lengths (rows,) int32   ─► dense (rows, size)
vision.onnx    pixel_values (rows, 3, side, side) float32              ─► dense (rows, size)
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto

from worker.checkpoint import Checkpoint
from worker.compiler.blocks import unit_length
from worker.compiler.clip import clip_image, clip_text
from worker.compiler.graph import VISION_FILE, Graph
from worker.compiler.siglip import siglip_image, siglip_text
from worker.compiler.towers import CHANNELS
from worker.weights import Weights

TextTower = Callable[[Graph, Weights, Checkpoint, str, str], str]
ImageTower = Callable[[Graph, Weights, Checkpoint, str], str]

DUAL: dict[str, tuple[TextTower, ImageTower]] = {
    "CLIPModel": (clip_text, clip_image),
    "SiglipModel": (siglip_text, siglip_image),
}


def compile_dual(
    text: TextTower, image: ImageTower, checkpoint: Checkpoint, directory: Path
) -> None:
    """Write the four files of both graphs into an existing directory."""
    with checkpoint.weights() as weights:
        with Graph("text", directory) as graph:
            input_ids = graph.input("input_ids", TensorProto.INT32, ("rows", "tokens"))
            lengths = graph.input("lengths", TensorProto.INT32, ("rows",))
            _finish(graph, checkpoint, text(graph, weights, checkpoint, input_ids, lengths))
        with Graph("vision", directory, file=VISION_FILE) as graph:
            pixels = graph.input(
                "pixel_values", TensorProto.FLOAT, ("rows", CHANNELS, "side", "side")
            )
            _finish(graph, checkpoint, image(graph, weights, checkpoint, pixels))


def _finish(graph: Graph, checkpoint: Checkpoint, vectors: str) -> None:
    dense = unit_length(graph, vectors) if checkpoint.normalize else vectors
    graph.output("dense", dense, TensorProto.FLOAT, ("rows", "size"))
    graph.save()

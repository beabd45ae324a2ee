"""Compiles a checkpoint to an ONNX graph, without PyTorch.

    input_ids (rows, tokens) int32, right-padded ─┐
    lengths   (rows,)        int32 ───────────────┴─ encoder ─ pooling ─ normalise ─► dense

One file a family of architectures; a family is a function that adds its encoder to a graph.
"""

from worker.compiler.compile import UnsupportedArchitectureError, compile_checkpoint

__all__ = ["UnsupportedArchitectureError", "compile_checkpoint"]

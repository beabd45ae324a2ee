"""From a checkpoint to the files of a graph: inputs, the family's encoder, the dense head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from onnx import TensorProto

from worker.checkpoint import Checkpoint, CheckpointError, Config
from worker.compiler.bert import bert
from worker.compiler.blocks import pooled, unit_length
from worker.compiler.deberta import deberta_v2
from worker.compiler.decoder import mistral, qwen2, qwen3
from worker.compiler.dual import DUAL, compile_dual
from worker.compiler.graph import Graph
from worker.weights import Weights

Encoder = Callable[[Graph, Weights, Checkpoint, str, str], str]

_ENCODERS: dict[str, Encoder] = {
    "BertModel": bert,
    "BertForMaskedLM": bert,
    "BertForPreTraining": bert,
    "DebertaV2Model": deberta_v2,
    "MistralModel": mistral,
    "Qwen2Model": qwen2,
    "Qwen2ForCausalLM": qwen2,
    "Qwen3Model": qwen3,
    "Qwen3ForCausalLM": qwen3,
}
# For a config.json that names no architecture.
_BY_MODEL_TYPE = {"bert": "BertModel"}


class UnsupportedArchitectureError(CheckpointError):
    """No encoder family compiles the architecture that config.json names."""

    def __init__(self, path: Path, architecture: str) -> None:
        supported = ", ".join(sorted(_ENCODERS))
        super().__init__(
            path, f"architecture {architecture} is not supported; supported are {supported}"
        )
        self.architecture = architecture


def compile_checkpoint(
    checkpoint: Checkpoint, directory: Path, *, hidden_states: bool = False
) -> None:
    """Write `model.onnx` and `model.weights` into an existing directory.

    The graph's output `dense` is (rows, hidden_size) float32. With `hidden_states` it has
    `last_hidden_state`, (rows, tokens, hidden_size) float32, too.

    Raises:
        UnsupportedArchitectureError: no family compiles this architecture.
        CheckpointError: a file is missing or corrupt, or a tensor is absent, misshapen or not
            finite.

    """
    architecture = _architecture(checkpoint.config)
    if architecture in DUAL:
        text, image = DUAL[architecture]
        compile_dual(text, image, checkpoint, directory)
        return
    encoder = _encoder(checkpoint.config)
    size = checkpoint.config.integer("hidden_size")
    with checkpoint.weights() as weights, Graph("encoder", directory) as graph:
        input_ids = graph.input("input_ids", TensorProto.INT32, ("rows", "tokens"))
        lengths = graph.input("lengths", TensorProto.INT32, ("rows",))
        hidden = encoder(graph, weights, checkpoint, input_ids, lengths)
        dense = pooled(graph, hidden, lengths, checkpoint.pooling)
        if checkpoint.normalize:
            dense = unit_length(graph, dense)
        graph.output("dense", dense, TensorProto.FLOAT, ("rows", size))
        if hidden_states:
            dims = ("rows", "tokens", size)
            graph.output("last_hidden_state", hidden, TensorProto.FLOAT, dims)
        graph.save()


def _encoder(config: Config) -> Encoder:
    architecture = _architecture(config)
    encoder = _ENCODERS.get(architecture)
    if encoder is None:
        raise UnsupportedArchitectureError(config.path, architecture or "(none)")
    return encoder


def _architecture(config: Config) -> str:
    named = config.values.get("architectures")
    model_type = config.text("model_type", "")
    return str(named[0]) if named else _BY_MODEL_TYPE.get(model_type, model_type)

"""What a model's definition says instead of its checkpoint: honoured, or refused at load.

A model is compiled once, for all of its profiles, so what the graph depends on must be the
same in each of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from servicekit.profiles import conflict, resolve
from sie.registry.v1 import model_pb2
from sie.registry.v1.model_pb2 import Model
from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.heads import DenseHead, Pooling
from worker.compiler.graph_form import Precision
from worker.load_errors import ErrorClass, LoadError

_POOLINGS = {
    model_pb2.POOLING_MEAN: Pooling.MEAN,
    model_pb2.POOLING_CLS: Pooling.CLS,
    model_pb2.POOLING_LAST_TOKEN: Pooling.LAST_TOKEN,
}
_PRECISIONS = {
    model_pb2.PRECISION_FLOAT32: Precision.FLOAT32,
    model_pb2.PRECISION_FLOAT16: Precision.FLOAT16,
    model_pb2.PRECISION_BFLOAT16: Precision.BFLOAT16,
    model_pb2.PRECISION_INT8: Precision.INT8,
}


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings in place of a checkpoint's.

    Attributes:
        max_length: the longest input in tokens, special tokens included; 0 for the
            checkpoint's.
        pooling: how token vectors become one; None for the checkpoint's.
        normalize: whether vectors are scaled to length 1; None for the checkpoint's.
        max_batch_tokens: most tokens in a batch; 0 for the worker's own bound.
        precision: what the engine computes in; None for what is measured as best.

    """

    max_length: int = 0
    pooling: Pooling | None = None
    normalize: bool | None = None
    max_batch_tokens: int = 0
    precision: Precision | None = None


def overrides_of(model: Model) -> Overrides:
    """Read a definition.

    Raises:
        LoadError: its profiles contradict each other.

    """
    if (found := conflict(model)) is not None:
        raise _unsupported(
            f"profile '{found.profile}' has a {found.field} of its own, and all profiles share "
            "one graph"
        )
    default = resolve(model)
    return Overrides(
        max_length=model.max_sequence_length,
        pooling=_POOLINGS.get(default.pooling),
        normalize=default.normalize if default.HasField("normalize") else None,
        max_batch_tokens=default.max_batch_tokens,
        precision=_PRECISIONS.get(default.precision),
    )


def overridden(checkpoint: Checkpoint, overrides: Overrides) -> Checkpoint:
    """Return the checkpoint with the settings in place.

    Raises:
        LoadError: it cannot have them.

    """
    if overrides.max_length:
        checkpoint = replace(checkpoint, max_length=_max_length(checkpoint, overrides.max_length))
    if overrides.pooling is None and overrides.normalize is None:
        return checkpoint
    if not any(isinstance(head, DenseHead) for head in checkpoint.heads):
        raise _unsupported("the registry says pooling or normalize, and there is no dense vector")
    heads = tuple(
        _dense(head, overrides) if isinstance(head, DenseHead) else head
        for head in checkpoint.heads
    )
    return replace(checkpoint, heads=heads)


def _dense(head: DenseHead, overrides: Overrides) -> DenseHead:
    return replace(
        head,
        pooling=overrides.pooling or head.pooling,
        normalize=head.normalize if overrides.normalize is None else overrides.normalize,
    )


def _max_length(checkpoint: Checkpoint, wanted: int) -> int:
    config = checkpoint.config
    places = config.below("text_config", config.values).positive("max_position_embeddings")
    if wanted > checkpoint.max_length and places is not None and wanted > places:
        raise _unsupported(
            f"the registry says max_sequence_length {wanted}, the checkpoint has {places} positions"
        )
    return wanted


def _unsupported(problem: str) -> LoadError:
    return LoadError(problem, ErrorClass.UNSUPPORTED)

"""A graph that a repository ships (`onnx/model.onnx`), run as it is.

    input_ids, attention_mask[, token_type_ids, position_ids] ─► logits
                                                               ─► sentence_embedding
                                                               ─► last_hidden_state ─► pooling here

What the graph leaves out, pooling and scaling to length 1, is done here in numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.checkpoint import Checkpoint
from worker.checkpoint.heads import DenseHead, Output, Pooling
from worker.engine import Batch, EngineError, TokenBatch, engine_error
from worker.engines.catalog import PUBLISHED
from worker.engines.onnxruntime_cpu import open_session
from worker.machine import available_cores

_HIDDEN_STATES = ("last_hidden_state", "token_embeddings")
_POOLED = "sentence_embedding"


class PublishedOnnx:
    """An Engine for a graph that was not compiled here."""

    name = PUBLISHED

    def __init__(self, model: Path, checkpoint: Checkpoint, *, cores: int | None = None) -> None:
        """Open a graph.

        Args:
            model: the .onnx file.
            checkpoint: says which output is wanted, and how it is pooled.
            cores: how many cores to use; those this process may run on by default.

        Raises:
            EngineError: ONNX Runtime rejects the file, or no output of it can serve.

        """
        self.streams = cores or available_cores()
        self._session = open_session(model, threads=self.streams)
        self._inputs = {each.name for each in self._session.get_inputs()}
        self._head = checkpoint.heads[0]
        self._source = _source(model, self._head.output, self._session)

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> Mapping[str, NDArray[np.float32]]:
        """See Engine.run."""
        if not isinstance(batch, TokenBatch):
            raise EngineError(f"{self.name}: takes texts, one a row")
        feeds = published_feeds(batch, self._inputs)
        try:
            (values,) = self._session.run([self._source], feeds)
        except Exception as error:  # the library's exceptions share no base of their own
            raise engine_error(self.name, error) from error
        if isinstance(self._head, DenseHead):
            if self._source in _HIDDEN_STATES:
                values = pooled(values, batch.lengths, self._head.pooling)
            if self._head.normalize:
                values = unit_length(values)
        return {self._head.output: np.asarray(values, dtype=np.float32)}

    def close(self) -> None:
        """See Engine.close."""
        del self._session


def published_feeds(batch: TokenBatch, inputs: set[str]) -> dict[str, NDArray[np.int64]]:
    """Return the inputs as `transformers` names them, each (rows, tokens) int64."""
    places = np.arange(batch.input_ids.shape[1])
    attended = places < batch.lengths[:, None]
    types = np.zeros_like(batch.input_ids) if batch.type_ids is None else batch.type_ids
    feeds = {
        "input_ids": batch.input_ids,
        "attention_mask": attended,
        "token_type_ids": types,
        "position_ids": np.broadcast_to(places, batch.input_ids.shape),
    }
    return {name: feeds[name].astype(np.int64) for name in inputs if name in feeds}


def pooled(states: NDArray[Any], lengths: NDArray[np.int32], mode: Pooling) -> NDArray[np.float32]:
    """Reduce (rows, tokens, size) to one vector a row; padding never counts."""
    numbers = np.arange(states.shape[1])
    real = numbers < lengths[:, None]
    match mode:
        case Pooling.CLS:
            weights = numbers == 0
        case Pooling.LAST_TOKEN:
            weights = numbers == lengths[:, None] - 1
        case Pooling.WEIGHTED_MEAN:
            weights = real * (numbers + 1) / (real * (numbers + 1)).sum(axis=1, keepdims=True)
        case Pooling.MEAN_SQRT_LEN:
            weights = real / np.sqrt(lengths[:, None])
        case Pooling.MEAN:
            weights = real / lengths[:, None]
        case Pooling.MAX:
            highest: NDArray[np.float32] = np.where(real[:, :, None], states, -np.inf).max(axis=1)
            return highest.astype(np.float32)
    weights = np.broadcast_to(weights, real.shape).astype(np.float32)
    found: NDArray[np.float32] = np.einsum("rt,rts->rs", weights, states.astype(np.float32))
    return found


def unit_length(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale each row to Euclidean norm 1; a zero vector stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    scaled: NDArray[np.float32] = np.divide(vectors, np.where(norms, norms, 1), dtype=np.float32)
    return scaled


def _source(model: Path, output: Output, session: Any) -> str:
    """Choose the graph's output that ours is made from."""
    named = [each.name for each in session.get_outputs()]
    wanted = {
        Output.DENSE: (_POOLED, *_HIDDEN_STATES),
        Output.LOGITS: ("logits",),
        Output.TOKEN_LOGITS: ("logits",),
    }.get(output, ())
    for name in wanted:
        if name in named:
            return name
    raise EngineError(f"{model}: has outputs {', '.join(named)}, none of which gives {output}")

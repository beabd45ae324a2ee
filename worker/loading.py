"""From a checkpoint directory to a model that has answered once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worker.checkpoint import Checkpoint
from worker.engine import Batch, Engine, EngineError, TokenBatch
from worker.engine_cache import EngineCache
from worker.engines.onnxruntime_cpu import NAME, OnnxRuntimeCpu
from worker.preprocessor import ImagePreprocessor
from worker.tokenizer import Tokenizer
from worker.vision import GRAPH, Vision, has_vision

# Short and long rows, so that padding and the masks are exercised too.
_CANARY_TEXTS = ("canary", "The canary sang in the mine, and so the miners went on working.")
_PRECISION = "float32"


class CanaryError(EngineError):
    """The model was loaded, but its first answer was not a vector of finite numbers."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to serve.

    Attributes:
        tokenizer: texts to token ids.
        engine: token ids to vectors.
        dense_dimension: the length of a `dense` vector.
        max_length: the longest input in tokens, special tokens included.
        seconds: how long each phase of loading took: read, compile, session, warm_up.
        vision: images to vectors, for a model that reads them too.

    """

    tokenizer: Tokenizer
    engine: Engine
    dense_dimension: int
    max_length: int
    seconds: Mapping[str, float]
    vision: Vision | None = None


def load(directory: Path, cache_dir: Path, *, cores: int | None = None) -> LoadedModel:
    """Open a checkpoint, compile it unless the cache holds it, and run a canary through it.

    Args:
        directory: a sentence-transformers or transformers checkpoint.
        cache_dir: where compiled graphs are kept; created if need be, shared by processes.
        cores: how many cores the engine uses; all that this process may run on by default.

    Raises:
        CheckpointError: the checkpoint is incomplete, corrupt or not supported.
        CanaryError: the loaded model answers with something other than finite numbers.
        EngineError: the engine rejects the graph.

    """
    seconds: dict[str, float] = {}
    cache = EngineCache(cache_dir)
    with _timed(seconds, "read"):
        checkpoint = Checkpoint.open(directory)
        tokenizer = Tokenizer.open(checkpoint)
        key = cache.key(checkpoint, engine=NAME, precision=_PRECISION)
    with _timed(seconds, "compile"):
        compiled = cache.find(key) or _compile(cache, key, checkpoint)
    with _timed(seconds, "session"):
        engine = OnnxRuntimeCpu(compiled / "model.onnx", cores=cores)
        vision = _vision(checkpoint, compiled, cores)
    with _timed(seconds, "warm_up"):
        dimension = check_canary(tokenizer, engine)
        if vision is not None:
            check_image_canary(vision, dimension)
    return LoadedModel(tokenizer, engine, dimension, checkpoint.max_length, seconds, vision)


def check_canary(tokenizer: Tokenizer, engine: Engine) -> int:
    """Run two known texts and return the dimension of their vectors.

    Raises:
        CanaryError: the answer is not a finite vector a text.

    """
    texts = tokenizer.encode(_CANARY_TEXTS)
    return _checked(engine, TokenBatch.pack([text.ids for text in texts]), len(texts))


def check_image_canary(vision: Vision, dimension: int) -> None:
    """Run two known images.

    Raises:
        CanaryError: the answer is not a finite vector an image, as long as a text's.

    """
    batch = vision.canary()
    answered = _checked(vision.engine, batch, len(batch.pixel_values))
    if answered != dimension:
        raise CanaryError(f"images have {answered} dimensions, texts {dimension}")


def _checked(engine: Engine, batch: Batch, rows: int) -> int:
    dense = engine.run(batch)["dense"]
    if dense.ndim != 2 or len(dense) != rows:
        raise CanaryError(f"{engine.name}: dense has shape {dense.shape}")
    if not np.isfinite(dense).all():
        raise CanaryError(f"{engine.name}: dense holds NaN or infinity")
    return int(dense.shape[1])


def _vision(checkpoint: Checkpoint, compiled: Path, cores: int | None) -> Vision | None:
    if not has_vision(compiled):
        return None
    preprocessor = ImagePreprocessor.open(checkpoint.directory)
    return Vision(preprocessor, OnnxRuntimeCpu(compiled / GRAPH, cores=cores))


def _compile(cache: EngineCache, key: str, checkpoint: Checkpoint) -> Path:
    # Importing onnx takes as long as a warm start.
    from worker.compiler import compile_checkpoint  # noqa: PLC0415

    return cache.build(key, lambda work: compile_checkpoint(checkpoint, work))


@contextmanager
def _timed(seconds: dict[str, float], phase: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - started

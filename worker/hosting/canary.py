"""The first question to a model that was loaded: does it answer with numbers at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from worker.batching.packing import pack_images, pack_texts
from worker.checkpoint.heads import Output
from worker.engine import Batch, Engine, EngineError
from worker.images.vision import Vision
from worker.texts.tokenizer import Tokenizer

# Short and long rows, so that padding and the masks are exercised too.
_TEXTS = ("canary", "The canary sang in the mine, and so the miners went on working.")


class CanaryError(EngineError):
    """The model was loaded, but its first answer was not made of finite numbers."""


def check_canary(
    tokenizer: Tokenizer, engine: Engine, outputs: Sequence[Output]
) -> dict[Output, tuple[int, ...]]:
    """Run two known texts and return the shapes of the outputs.

    Raises:
        CanaryError: an answer is not a row of finite numbers for each text.

    """
    texts = tokenizer.encode(_TEXTS)
    return _checked(engine, pack_texts(texts), len(texts), outputs)


def check_image_canary(vision: Vision, expected: tuple[int, ...]) -> None:
    """Run two known images.

    Raises:
        CanaryError: the answer is not a vector of finite numbers for each, as long as a text's.

    """
    images = vision.canary()
    shapes = _checked(vision.engine, pack_images(images), len(images), [Output.DENSE])
    shape = shapes[Output.DENSE]
    if shape[1:] != expected[1:]:
        raise CanaryError(f"images have vectors of {shape[-1]}, texts of {expected[-1]}")


def _checked(
    engine: Engine, batch: Batch, rows: int, outputs: Sequence[Output]
) -> dict[Output, tuple[int, ...]]:
    answers = engine.run(batch, outputs)
    for output in outputs:
        answer = answers[output]
        if answer.ndim < 2 or len(answer) != rows:
            raise CanaryError(f"{engine.name}: {output} has shape {answer.shape}")
        if not np.isfinite(answer).all():
            raise CanaryError(f"{engine.name}: {output} holds NaN or infinity")
    return {output: answers[output].shape for output in outputs}

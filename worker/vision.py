"""The image side of a model that reads texts and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worker.engine import Engine, ImageBatch
from worker.preprocessor import ImagePreprocessor

GRAPH = "vision.onnx"
"""The graph of the image tower, beside that of texts in a cache entry."""


@dataclass(frozen=True, slots=True)
class Vision:
    """Image files to vectors, in the space of the model's texts.

    Attributes:
        preprocessor: image files to pixel values; for threads, since it decodes.
        engine: pixel values, as an ImageBatch, to `dense`.

    """

    preprocessor: ImagePreprocessor
    engine: Engine

    def canary(self) -> ImageBatch:
        """Return two images of our own, one black and one grey."""
        width, height = self.preprocessor.size
        pixels = np.zeros((2, 3, height, width), dtype=np.float32)
        pixels[1] = 0.5
        return ImageBatch(pixels)


def has_vision(compiled: Path) -> bool:
    """Return whether a cache entry has the graph of an image tower."""
    return (compiled / GRAPH).exists()

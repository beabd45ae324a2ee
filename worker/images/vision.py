"""The image side of a model that reads texts and images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from servicekit.errors import invalid
from sie.inference.v1.item_pb2 import Item
from worker.batching.packing import PreparedImage
from worker.compiler.graph_form import VISION_GRAPH
from worker.engine import Engine
from worker.images.error import ImageError

# Decoding takes milliseconds, which the event loop does not have.
_CHARACTERS_PER_IMAGE = 100_000
# The first list of token ids makes a copy of the tokenizer, which takes as long.
_CHARACTERS_PER_ID_LIST = 10_000


class Preprocessor(Protocol):
    """Image files to what the model sees of them."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""

    def pixel_values(self, content: bytes) -> NDArray[np.float32]:
        """Return (3, height, width); raise ImageError if the bytes are no image."""


@dataclass(frozen=True, slots=True)
class Vision:
    """Image files to vectors, in the space of the model's texts.

    Attributes:
        preprocessor: image files to pixel values; for threads, since it decodes.
        engine: pixel values, as an ImageBatch, to `dense`.
        patch_size: side in pixels of the patches that the model cuts an image into.

    """

    preprocessor: Preprocessor
    engine: Engine
    patch_size: int

    def prepare(self, content: bytes) -> PreparedImage:
        """Raise ImageError if the bytes are no image that can be used."""
        return PreparedImage(self.preprocessor.pixel_values(content), self._patches())

    def canary(self) -> list[PreparedImage]:
        """Return two images of our own, one black and one grey."""
        width, height = self.preprocessor.size
        shades = [np.full((3, height, width), shade, dtype=np.float32) for shade in (0.0, 0.5)]
        return [PreparedImage(pixels, self._patches()) for pixels in shades]

    def _patches(self) -> int:
        width, height = self.preprocessor.size
        return (width // self.patch_size) * (height // self.patch_size)


def size_of(item: Item) -> int:
    """Return how many characters take as long to tokenise as an item takes to prepare."""
    ids = _CHARACTERS_PER_ID_LIST if item.token_ids else 0
    return len(item.text) + ids + _CHARACTERS_PER_IMAGE * len(item.images)


def read_image(vision: Vision | None, item: Item, path: str) -> PreparedImage:
    """Read the one image of an item.

    Raises:
        SieError: INVALID_INPUT, it is no image that can be used, or the model reads none.

    """
    if vision is None:
        raise invalid(f"{path}.images", "the model reads no images")
    try:
        return vision.prepare(item.images[0].data)
    except ImageError as error:
        raise invalid(f"{path}.images[0]", str(error)) from None


def has_vision(compiled: Path) -> bool:
    """Return whether a cache entry has the graph of an image tower."""
    return (compiled / VISION_GRAPH).exists()

"""What engines read, from inputs that wait one by one to a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.engine import ImageBatch, TokenBatch
from worker.texts.tokenizer import TokenizedText


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """What the model sees of one image.

    Attributes:
        pixel_values: (3, height, width) float32.
        input_tokens: patches that the model cuts it into.

    """

    pixel_values: NDArray[np.float32]
    input_tokens: int

    @property
    def truncated(self) -> bool:
        """An image is resized, never cut to a length."""
        return False


Input = TokenizedText | PreparedImage
"""One row of a batch before it is packed."""


def pack_texts(texts: Sequence[TokenizedText]) -> TokenBatch:
    """Pad texts to the longest of them."""
    ids = [text.ids for text in texts]
    return TokenBatch.pack(
        ids,
        attended=[text.attended for text in texts],
        type_ids=_beside(ids, [text.type_ids for text in texts]),
        marks=_beside(ids, [text.marks for text in texts]),
    )


def pack_images(images: Sequence[PreparedImage]) -> ImageBatch:
    """Stack images, which are all of one size."""
    return ImageBatch.stack([image.pixel_values for image in images])


def _beside(
    ids: Sequence[NDArray[np.int32]], given: Sequence[NDArray[np.int32] | None]
) -> list[NDArray[np.int32]] | None:
    """Put zeros where a text has none of what others have; None where no text has any."""
    if all(values is None for values in given):
        return None
    return [
        np.zeros_like(row) if values is None else values
        for row, values in zip(ids, given, strict=True)
    ]

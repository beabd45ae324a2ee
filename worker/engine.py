"""The seam between the worker and whatever computes: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EngineError(Exception):
    """An engine could not be opened, or a run failed inside it."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """Tokenised texts that are computed together.

    Attributes:
        input_ids: (rows, tokens) int32, C order, right-padded; what stands in the padding
            does not matter as long as it is an id of the vocabulary.
        lengths: (rows,) int32, how many tokens of each row are real, from 1 to tokens.

    """

    input_ids: NDArray[np.int32]
    lengths: NDArray[np.int32]

    @classmethod
    def pack(cls, rows: Sequence[NDArray[np.int32]]) -> TokenBatch:
        """Pad token ids, each (tokens,) int32, to the longest of them."""
        lengths = np.array([len(ids) for ids in rows], dtype=np.int32)
        input_ids = np.zeros((len(rows), int(lengths.max())), dtype=np.int32)
        for row, ids in zip(input_ids, rows, strict=True):
            row[: len(ids)] = ids
        return cls(input_ids, lengths)


@dataclass(frozen=True, slots=True, eq=False)
class ImageBatch:
    """Preprocessed images that are computed together.

    Attributes:
        pixel_values: (rows, 3, height, width) float32, C order, of the one size that the graph
            takes.

    """

    pixel_values: NDArray[np.float32]

    @classmethod
    def stack(cls, images: Sequence[NDArray[np.float32]]) -> ImageBatch:
        """Join images, each (3, height, width) float32."""
        return cls(np.stack(images))


Batch = TokenBatch | ImageBatch
"""What an engine computes; a graph takes one kind, texts or images."""


class Engine(Protocol):
    """One model, ready to run on one device."""

    @property
    def name(self) -> str:
        """The engine's name in settings, cache keys and metrics."""

    @property
    def streams(self) -> int:
        """How many run() calls in flight are worthwhile."""

    def run(self, batch: Batch) -> Mapping[str, NDArray[np.float32]]:
        """Compute a batch and return its outputs by name.

        Blocks; releases the GIL; may be called from several threads at once. `dense` is
        (rows, dimension) float32, in the order of the batch.

        Raises:
            EngineError: the computation failed.

        """

    def close(self) -> None:
        """Release the device; no run() may be in flight or follow."""

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
        lengths: (rows,) int32, how many tokens of each row are attended to, from 1 to tokens.
        type_ids: (rows, tokens) int32, which text of a pair each token belongs to; None for
            0 throughout, and for engines that do not read them.

    """

    input_ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    type_ids: NDArray[np.int32] | None = None

    @classmethod
    def pack(
        cls,
        rows: Sequence[NDArray[np.int32]],
        *,
        attended: Sequence[int] | None = None,
        type_ids: Sequence[NDArray[np.int32]] | None = None,
    ) -> TokenBatch:
        """Pad rows to the longest of them.

        Args:
            rows: token ids, each (tokens,) int32.
            attended: lengths; by default those of the rows.
            type_ids: as long as the rows.

        """
        lengths = [len(ids) for ids in rows] if attended is None else attended
        return cls(
            _padded(rows),
            np.array(lengths, dtype=np.int32),
            None if type_ids is None else _padded(type_ids),
        )


def _padded(rows: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int32)
    for row, values in zip(padded, rows, strict=True):
        row[: len(values)] = values
    return padded


@dataclass(frozen=True, slots=True, eq=False)
class PackedBatch:
    """Tokenised texts that are computed together, several to a row.

    Attributes:
        input_ids: (rows, tokens) int32, C order, one text behind the other.
        lengths: (rows, texts) int32, the tokens of each text of a row, 0 behind the last.

    """

    input_ids: NDArray[np.int32]
    lengths: NDArray[np.int32]


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


Batch = TokenBatch | PackedBatch | ImageBatch
"""What an engine computes; a graph takes one kind: texts, rows of texts, or images."""


class Engine(Protocol):
    """One model, ready to run on one device."""

    @property
    def name(self) -> str:
        """The engine's name in settings, cache keys and metrics."""

    @property
    def streams(self) -> int:
        """How many run() calls in flight are worthwhile."""

    def run(self, batch: Batch, outputs: Sequence[str] = ()) -> Mapping[str, NDArray[np.float32]]:
        """Compute a batch and return its outputs by name.

        Blocks; releases the GIL; may be called from several threads at once. Rows stand in
        the order of the batch; `worker.heads.Output` says names and shapes. Where `outputs`
        names some, others may be left uncomputed.

        Raises:
            EngineError: the computation failed.

        """

    def close(self) -> None:
        """Release the device; no run() may be in flight or follow."""

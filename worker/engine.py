"""The seam between the worker and whatever computes: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class EngineError(Exception):
    """An engine could not be opened, or a run failed inside it."""


class NoEngineError(EngineError):
    """No engine that can run here is what was asked for."""


class OutOfMemoryError(EngineError):
    """A run needed more memory than the device has left; a smaller batch may do."""


# As ONNX Runtime, its CUDA provider and the C++ library say it.
_OUT_OF_MEMORY = (
    "failed to allocate memory",
    "bad_alloc",
    "out of memory",
    "cudaerrormemoryallocation",
    "out_of_memory",
    "available memory of",
    "cudnn_status_alloc_failed",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a library's failure means that memory ran out."""
    text = str(error).lower()
    known = isinstance(error, MemoryError | OutOfMemoryError)
    return known or any(words in text for words in _OUT_OF_MEMORY)


def engine_error(context: object, error: BaseException) -> EngineError:
    """Return the EngineError for what a library raised."""
    kind = OutOfMemoryError if is_out_of_memory(error) else EngineError
    return kind(f"{context}: {error}")


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """Tokenised texts that are computed together.

    Attributes:
        input_ids: (rows, tokens) int32, C order, right-padded; what stands in the padding
            does not matter as long as it is an id of the vocabulary.
        lengths: (rows,) int32, how many tokens of each row are attended to, from 1 to tokens.
        type_ids: (rows, tokens) int32, which text of a pair each token belongs to; None for
            0 throughout, and for engines that do not read them.
        marks: (rows, tokens) int32, for engines that score spans: n where the n-th word begins,
            -n at the marker of the n-th label, counted from 1, else 0; None for others.

    """

    input_ids: NDArray[np.int32]
    lengths: NDArray[np.int32]
    type_ids: NDArray[np.int32] | None = None
    marks: NDArray[np.int32] | None = None

    @classmethod
    def pack(
        cls,
        rows: Sequence[NDArray[np.int32]],
        *,
        attended: Sequence[int] | None = None,
        type_ids: Sequence[NDArray[np.int32]] | None = None,
        marks: Sequence[NDArray[np.int32]] | None = None,
    ) -> TokenBatch:
        """Pad rows to the longest of them.

        Args:
            rows: token ids, each (tokens,) int32.
            attended: lengths; by default those of the rows.
            type_ids: as long as the rows.
            marks: as long as the rows.

        """
        lengths = [len(ids) for ids in rows] if attended is None else attended
        return cls(
            _padded(rows),
            np.array(lengths, dtype=np.int32),
            None if type_ids is None else _padded(type_ids),
            None if marks is None else _padded(marks),
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
        the order of the batch; `worker.checkpoint.heads.Output` says names and shapes. Where
        `outputs` names some, others may be left uncomputed.

        Raises:
            EngineError: the computation failed.

        """

    def close(self) -> None:
        """Release the device; no run() may be in flight or follow."""

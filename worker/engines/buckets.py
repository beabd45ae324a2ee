"""The few shapes that a GPU is given, since each new one costs it a plan or a captured graph.

    tokens   16  32  48  64  96  128  192  256  384  512 ...     two to an octave
    rows      1   2   4   8   16 ...                             one to an octave

From 32 tokens up, padding to the next bucket costs at most half as many tokens again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.checkpoint.heads import Output
from worker.engine import Batch, ImageBatch, PackedBatch, TokenBatch

MAX_TOKENS = 32_768
"""Rows times tokens of the largest batch that a GPU is prepared for."""

_SHORTEST = 16
_PER_TOKEN = {Output.TOKEN_WEIGHTS, Output.MULTIVECTOR, Output.TOKEN_LOGITS}
# Where a range of lengths ends that shares an optimisation profile.
_PROFILE_ENDS = (32, 128, 512, 2048, 8192)


class Shape(NamedTuple):
    """Rows of so many tokens."""

    rows: int
    tokens: int


class ProfileRange(NamedTuple):
    """The shapes that one optimisation profile of TensorRT covers, and the one it is tuned for."""

    least: Shape
    best: Shape
    most: Shape

    def covers(self, shape: Shape) -> bool:
        """Whether both of the shape's sizes lie in the range."""
        return (
            self.least.rows <= shape.rows <= self.most.rows
            and self.least.tokens <= shape.tokens <= self.most.tokens
        )


def bucket_of(shape: Shape, max_length: int) -> Shape:
    """Return the bucket that a batch is padded to; a row is never longer than max_length."""
    rows = 1 << (shape.rows - 1).bit_length()
    return Shape(rows, max(shape.tokens, min(_token_bucket(shape.tokens), max_length)))


def padded(batch: TokenBatch, shape: Shape) -> TokenBatch:
    """Return the batch in a larger shape; the rows that are added hold one token."""
    rows, tokens = batch.input_ids.shape
    lengths = np.ones(shape.rows, dtype=np.int32)
    lengths[:rows] = batch.lengths
    types = None if batch.type_ids is None else _placed(batch.type_ids, shape)
    marks = None if batch.marks is None else _placed(batch.marks, shape)
    assert rows <= shape.rows
    assert tokens <= shape.tokens
    return TokenBatch(_placed(batch.input_ids, shape), lengths, types, marks)


def trimmed(
    answers: Mapping[str, NDArray[np.float32]], shape: Shape
) -> dict[str, NDArray[np.float32]]:
    """Cut the outputs of a padded batch back to what was asked."""
    return {
        name: values[: shape.rows, : shape.tokens] if name in _PER_TOKEN else values[: shape.rows]
        for name, values in answers.items()
    }


def bucketed(batch: Batch, max_length: int) -> tuple[Batch, Shape]:
    """Return a batch padded to its bucket, and the shape it came in.

    Images and packed rows have few shapes already.
    """
    if isinstance(batch, ImageBatch):
        return batch, Shape(len(batch.pixel_values), 0)
    rows, tokens = batch.input_ids.shape
    shape = Shape(rows, tokens)
    if isinstance(batch, PackedBatch):
        return batch, shape
    return padded(batch, bucket_of(shape, max_length)), shape


def profiles(max_length: int, max_tokens: int) -> list[ProfileRange]:
    """Return optimisation profiles by length, shortest first.

    Args:
        max_length: the longest row.
        max_tokens: rows times tokens of the largest batch.

    """
    ends = [end for end in _PROFILE_ENDS if end < max_length] + [max_length]
    found = []
    for begin, end in zip([1, *(end + 1 for end in ends[:-1])], ends, strict=True):
        # A batch's rows are padded to a power of two.
        most = 1 << max(0, (max_tokens // begin).bit_length() - 1)
        best = max(1, min(most, max_tokens // end))
        found.append(ProfileRange(Shape(1, begin), Shape(best, end), Shape(most, end)))
    return found


def _placed(values: NDArray[np.int32], shape: Shape) -> NDArray[np.int32]:
    larger = np.zeros(shape, dtype=np.int32)
    larger[: values.shape[0], : values.shape[1]] = values
    return larger


def _token_bucket(tokens: int) -> int:
    """Return the least power of two, or from 48 on one and a half of it, that is enough."""
    power = max(_SHORTEST, 1 << (tokens - 1).bit_length())
    between = power * 3 // 4
    return between if between >= max(tokens, 3 * _SHORTEST) else power

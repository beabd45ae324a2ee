"""From weights to the non-zero ones, by ascending index."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

SparsePair = tuple[NDArray[np.int32], NDArray[np.float32]]
"""Indices, ascending and without repeats, and the weight of each."""


def nonzero(weights: NDArray[np.float32]) -> SparsePair:
    """Return the indices and weights of a vector (vocabulary,) that are above 0."""
    indices = np.flatnonzero(weights > 0)
    return indices.astype(np.int32), weights[indices]


def merged_weights(
    ids: NDArray[np.int32], weights: NDArray[np.float32], dropped: Collection[int]
) -> SparsePair:
    """Return for each id the largest weight of its tokens, if above 0.

    Args:
        ids: (tokens,) int32.
        weights: (at least tokens,) float32.
        dropped: ids that have no weight.

    """
    counted = (weights[: len(ids)] > 0) & ~np.isin(ids, list(dropped))
    indices, places = np.unique(ids[counted], return_inverse=True)
    largest = np.zeros(len(indices), dtype=np.float32)
    np.maximum.at(largest, places, weights[: len(ids)][counted])
    return indices.astype(np.int32), largest

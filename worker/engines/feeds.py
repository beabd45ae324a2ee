"""A batch as the inputs of a compiled graph, by name."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import Batch, ImageBatch, PackedBatch

# The patches of 224 x 224 pixels, each 14 x 14.
_TOKENS_PER_IMAGE = 256


def feeds_of(batch: Batch, inputs: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return an array for each of the graph's inputs."""
    if isinstance(batch, ImageBatch):
        return {"pixel_values": batch.pixel_values}
    feeds = {"input_ids": batch.input_ids, "lengths": batch.lengths}
    if "type_ids" in inputs and not isinstance(batch, PackedBatch):
        zeros = np.zeros_like(batch.input_ids)
        feeds["type_ids"] = zeros if batch.type_ids is None else batch.type_ids
    if "marks" in inputs and not isinstance(batch, PackedBatch):
        zeros = np.zeros_like(batch.input_ids)
        feeds["marks"] = zeros if batch.marks is None else batch.marks
    return feeds


def tokens_in(batch: Batch) -> int:
    """Return how many tokens are computed, padding and patches of images included."""
    if isinstance(batch, ImageBatch):
        return len(batch.pixel_values) * _TOKENS_PER_IMAGE
    return batch.input_ids.size

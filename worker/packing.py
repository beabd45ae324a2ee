"""Tokenised texts as one batch of the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.engine import TokenBatch
from worker.tokenizer import TokenizedText


def pack_texts(texts: Sequence[TokenizedText]) -> TokenBatch:
    """Pad texts to the longest of them."""
    ids = [text.ids for text in texts]
    return TokenBatch.pack(
        ids,
        attended=[text.attended for text in texts],
        type_ids=_beside(ids, [text.type_ids for text in texts]),
        marks=_beside(ids, [text.marks for text in texts]),
    )


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

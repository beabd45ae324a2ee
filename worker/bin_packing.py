"""Several texts in one row: which of them share it, a pure function, and the arrays of such rows.

    row 0   ▇▇▇▇▇▇▇▇▇▇▇▅▅▅▅▂▂      row_tokens wide
    row 1   ▆▆▆▆▆▆▆▆▆▅▅▅▅▅▃▃░      ░ is all the padding there is

Best fit, longest first: each text goes to the row that it leaves the least room in. Such a packing
needs at most 11/9 of the rows of the best there is, plus one (Johnson, 1973).
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from worker.engine import PackedBatch


def best_fit(lengths: Sequence[int], row_tokens: int, row_texts: int) -> list[list[int]]:
    """Distribute texts over rows.

    Args:
        lengths: in tokens.
        row_tokens: how many tokens a row holds.
        row_texts: how many texts a row holds at most.

    Returns:
        Indices of the texts in each row.

    Raises:
        ValueError: a text is longer than a row.

    """
    if max(lengths, default=0) > row_tokens:
        raise ValueError(f"a text of {max(lengths)} tokens fits no row of {row_tokens}")
    rows: list[list[int]] = []
    # Rows with room left, as (room, row), the fullest first.
    open_rows: list[tuple[int, int]] = []
    for index in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        found = bisect.bisect_left(open_rows, (lengths[index], -1))
        if found == len(open_rows):
            rows.append([])
            room, row = row_tokens, len(rows) - 1
        else:
            room, row = open_rows.pop(found)
        rows[row].append(index)
        if len(rows[row]) < row_texts and room > lengths[index]:
            bisect.insort(open_rows, (room - lengths[index], row))
    return rows


def fill(lengths: Sequence[int], rows: int, row_tokens: int) -> float:
    """Return the share of the rows' places that hold tokens."""
    return sum(lengths) / (rows * row_tokens) if rows else 1.0


def pack(
    texts: Sequence[NDArray[np.int32]],
    rows: Sequence[Sequence[int]],
    row_tokens: int,
    row_texts: int,
) -> PackedBatch:
    """Lay texts, each (tokens,) int32, into rows as `best_fit` distributed them."""
    ids = np.zeros((len(rows), row_tokens), dtype=np.int32)
    lengths = np.zeros((len(rows), row_texts), dtype=np.int32)
    for row, indices in enumerate(rows):
        joined = np.concatenate([texts[index] for index in indices])
        ids[row, : len(joined)] = joined
        lengths[row, : len(indices)] = [len(texts[index]) for index in indices]
    return PackedBatch(ids, lengths)


def unpacked(values: NDArray[np.float32], rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
    """Return the vectors of a packed batch, (rows, texts, size), in the texts' order."""
    found = np.empty((sum(map(len, rows)), values.shape[-1]), dtype=values.dtype)
    for row, indices in zip(values, rows, strict=True):
        found[indices] = row[: len(indices)]
    return found

"""Several texts in one row: which of them share it, a pure function, and the arrays of such rows.

    row 0   ▇▇▇▇▇▇▇▇▇▇▇▅▅▅▅▂▂      row_tokens wide
    row 1   ▆▆▆▆▆▆▆▆▆▅▅▅▅▅▃▃░      ░ is all the padding there is

Best fit: each text goes to the row that it leaves the least room in. Longest first, such a packing
needs at most 11/9 of the rows of the best there is, plus one (Johnson, 1973).
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.batching.sized import Order, Sized, by_arrival
from worker.engine import PackedBatch

T = TypeVar("T", bound=Sized)

# A row has places for a text of every so many tokens.
_TOKENS_PER_TEXT = 4
# Rows are filled from so many times the tokens that they hold.
_CHOICE = 1.5
# Rows narrower than the usual ones have few widths too.
_WIDTH_STEP = 8


class Plan(NamedTuple):
    """Rows of one width, so many texts in each at most, and the indices of those."""

    row_tokens: int
    row_texts: int
    rows: list[list[int]]

    @property
    def places(self) -> int:
        """Tokens that are computed, padding included."""
        return self.row_tokens * len(self.rows)


class _Rows:
    """Rows that are being filled."""

    def __init__(self, row_tokens: int, row_texts: int) -> None:
        self.rows: list[list[int]] = []
        self._tokens = row_tokens
        self._texts = row_texts
        # Rows with room left, as (room, row), the fullest first.
        self._open: list[tuple[int, int]] = []

    def has_room(self, length: int) -> bool:
        return bool(self._open) and self._open[-1][0] >= length

    def place(self, index: int, length: int) -> None:
        """Put a text into the row that it fits best, or into a new one."""
        found = bisect.bisect_left(self._open, (length, -1))
        if found == len(self._open):
            self.rows.append([])
            room, row = self._tokens, len(self.rows) - 1
        else:
            room, row = self._open.pop(found)
        self.rows[row].append(index)
        if len(self.rows[row]) < self._texts and room > length:
            bisect.insort(self._open, (room - length, row))


def best_fit(lengths: Sequence[int], row_tokens: int, row_texts: int) -> list[list[int]]:
    """Distribute texts over rows, in the order given.

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
    filled = _Rows(row_tokens, row_texts)
    for index, length in enumerate(lengths):
        filled.place(index, length)
    return filled.rows


def plan_rows(lengths: Sequence[int], row_tokens: int) -> Plan:
    """Lay texts out, in the order given.

    Rows are of the usual width, or narrower where one is enough. Where a text is longer than that,
    each has a row of its own.
    """
    longest, total = max(lengths), sum(lengths)
    if longest > row_tokens:
        return Plan(longest, 1, [[index] for index in range(len(lengths))])
    width = min(row_tokens, -(-total // _WIDTH_STEP) * _WIDTH_STEP)
    texts = _texts_of(row_tokens)
    return Plan(width, texts, best_fit(lengths, width, texts))


def fill_rows(
    waiting: Sequence[T], row_tokens: int, max_tokens: int, order: Order[T] = by_arrival
) -> list[T]:
    """Choose texts that fill the rows of one run, of those that have waited longest.

    The oldest is first, then come the longest that still fit: whoever is passed over is nearer to
    the front the next time.

    Args:
        waiting: at least one text, none longer than a row, in any order.
        row_tokens: width of a row.
        max_tokens: rows times their width, unless that is less than one row.
        order: whose turn it is, least first.

    Returns:
        Texts in an order in which `plan_rows` needs no more rows.

    """
    most = max(1, max_tokens // row_tokens)
    first = _first(waiting, int(most * row_tokens * _CHOICE), order)
    oldest = first[0]
    filled = _Rows(row_tokens, _texts_of(row_tokens))
    chosen: list[T] = []
    for text in sorted(first, key=lambda text: (text is not oldest, -text.tokens)):
        if filled.has_room(text.tokens) or len(filled.rows) < most:
            filled.place(len(chosen), text.tokens)
            chosen.append(text)
    return chosen


def _first(waiting: Sequence[T], tokens: int, order: Order[T]) -> list[T]:
    """Return those that came first, of at least so many tokens together."""
    found: list[T] = []
    for text in sorted(waiting, key=order):
        found.append(text)
        tokens -= text.tokens
        if tokens <= 0:
            break
    return found


def _texts_of(row_tokens: int) -> int:
    return max(1, row_tokens // _TOKENS_PER_TEXT)


def fill(lengths: Sequence[int], rows: int, row_tokens: int) -> float:
    """Return the share of the rows' places that hold tokens."""
    return sum(lengths) / (rows * row_tokens) if rows else 1.0


def pack(texts: Sequence[NDArray[np.int32]], plan: Plan) -> PackedBatch:
    """Lay texts, each (tokens,) int32, into rows as planned."""
    ids = np.zeros((len(plan.rows), plan.row_tokens), dtype=np.int32)
    lengths = np.zeros((len(plan.rows), plan.row_texts), dtype=np.int32)
    for row, indices in enumerate(plan.rows):
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

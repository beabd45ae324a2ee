"""Which waiting texts are computed together: a pure function, no clock and no I/O.

    by length   ▂▂▃▃▃▄▅▅▅▆▇▇█
                    └──┬──┘ grows from the one that waited longest towards whichever
                     oldest  neighbour is nearest in length, until a limit is met

The oldest is always in the batch, so that nothing starves; near-equal lengths keep the
padding small, which on a CPU is worth more than a large batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Sized(Protocol):
    """What the batcher looks at."""

    @property
    def tokens(self) -> int:
        """Length in tokens, at least 1."""

    @property
    def arrived(self) -> float:
        """When it came, in seconds; only compared."""


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch.

    Attributes:
        max_tokens: rows times the longest of them. A longer text goes alone.
        max_rows: rows.
        max_padding: share of the batch that is padding, in [0, 1).

    """

    max_tokens: int
    max_rows: int
    max_padding: float


def select(waiting: Sequence[T], limits: BatchLimits) -> list[T]:
    """Choose the next batch.

    Args:
        waiting: at least one text, in any order.
        limits: bounds of the batch.

    Returns:
        Texts from `waiting`, shortest first, the oldest among them.

    """
    by_length = sorted(waiting, key=lambda text: text.tokens)
    start = by_length.index(min(waiting, key=lambda text: text.arrived))
    end = start + 1
    total = by_length[start].tokens
    while (grown := _grow(by_length, start, end)) != (start, end):
        low, high = grown
        added = by_length[low] if low < start else by_length[high - 1]
        if not _fits(high - low, by_length[high - 1].tokens, total + added.tokens, limits):
            break
        start, end, total = low, high, total + added.tokens
    return by_length[start:end]


def _grow(by_length: Sequence[Sized], start: int, end: int) -> tuple[int, int]:
    """Return the window with its nearest neighbour, or as it is at both ends of the list."""
    if start == 0 and end == len(by_length):
        return start, end
    if start == 0:
        return start, end + 1
    if end == len(by_length):
        return start - 1, end
    shorter = by_length[start].tokens - by_length[start - 1].tokens
    longer = by_length[end].tokens - by_length[end - 1].tokens
    return (start - 1, end) if shorter < longer else (start, end + 1)


def _fits(rows: int, longest: int, tokens: int, limits: BatchLimits) -> bool:
    padded = rows * longest
    return (
        rows <= limits.max_rows
        and padded <= limits.max_tokens
        and padded - tokens <= limits.max_padding * padded
    )

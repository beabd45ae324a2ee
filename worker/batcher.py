"""Which waiting texts are computed together: a pure function, no clock and no I/O.

    by length   ▂▂▃▃▃▄▅▅▅▆▇▇█
                    └──┬──┘ grows from the one that waited longest towards whichever
                     oldest  neighbour is nearest in length, until a limit is met

The oldest is always in the batch, so that nothing starves. A neighbour joins while the
padding that it brings costs less than a run of its own: on a CPU that means near-equal
lengths and small batches, on a GPU large ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
Order = Callable[[T], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch.

    Attributes:
        max_tokens: rows times the longest of them. A longer text goes alone.
        max_rows: rows.
        run_cost_tokens: tokens that could be computed in the time that a run costs
            beside its tokens. Padding is accepted while the runs it saves cost more.

    """

    max_tokens: int
    max_rows: int
    run_cost_tokens: int


def select(waiting: Sequence[T], limits: BatchLimits, order: Order[T] | None = None) -> list[T]:
    """Choose the next batch.

    Args:
        waiting: at least one text, in any order.
        limits: bounds of the batch.
        order: whose turn it is, least first; by arrival if not given.

    Returns:
        Texts from `waiting`, shortest first, the oldest among them.

    """
    by_length = sorted(waiting, key=lambda text: text.tokens)
    start = by_length.index(min(waiting, key=order or _by_arrival))
    end = start + 1
    while (grown := _grow(by_length, start, end)) != (start, end):
        if not _worthwhile(by_length, (start, end), grown, limits):
            break
        start, end = grown
    return by_length[start:end]


def _by_arrival(text: Sized) -> tuple[float, ...]:
    return (text.arrived,)


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


def _worthwhile(
    by_length: Sequence[Sized], window: tuple[int, int], grown: tuple[int, int], limits: BatchLimits
) -> bool:
    """Whether computing one more text in this run costs less than a run of its own."""
    padded = _padded(by_length, *grown)
    if padded > limits.max_tokens or grown[1] - grown[0] > limits.max_rows:
        return False
    added = by_length[grown[0] if grown[0] < window[0] else grown[1] - 1].tokens
    return padded - _padded(by_length, *window) - added <= limits.run_cost_tokens


def _padded(by_length: Sequence[Sized], start: int, end: int) -> int:
    return (end - start) * by_length[end - 1].tokens

"""Which waiting texts are computed together: pure functions, no clock and no I/O.

    by length   ▂▂▃▃▃▄▅▅▅▆▇▇█
                    └──┬──┘ grows from the one that waited longest towards whichever
                     oldest  neighbour is nearest in length, until a limit is met

The oldest is always in the batch, so that nothing starves. A neighbour joins while the
padding that it brings costs less than a run of its own: on a CPU that means near-equal
lengths and small batches, on a GPU large ones. Where texts share rows, `bin_packing` chooses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from worker.batching.bin_packing import fill_rows, plan_rows
from worker.batching.sized import Order, Sized, by_arrival

T = TypeVar("T", bound=Sized)

# What a batch computes for each token that it was given, at most.
_PADDED = 1.25
# A stream takes this part of an even share, again and again, so that all end at about one time.
_OF_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """Bounds of a batch.

    Attributes:
        max_tokens: rows times the longest of them. A longer text goes alone.
        max_rows: rows.
        run_cost_tokens: tokens that could be computed in the time that a run costs
            beside its tokens. Padding is accepted while the runs it saves cost more.
        row_tokens: width of the rows that texts share, unless they are longer; 0 where each has
            its own.
        full_tokens: so many make a run beside another worth its own cost; fewer wait for more.
        patience_s: how long they wait for that, at most, in seconds.

    """

    max_tokens: int
    max_rows: int
    run_cost_tokens: int
    row_tokens: int = 0
    full_tokens: int = 0
    patience_s: float = 0.0

    def shared(self, waiting_tokens: int, streams: int) -> BatchLimits:
        """Return the limits of one of several streams, so that none takes the others' work.

        A batch is as large as half an even share of what waits, padding included, and at least
        full.
        """
        if streams == 1:
            return self
        share = int(waiting_tokens / streams * _OF_SHARE * _PADDED)
        least = max(share, self.full_tokens, self.row_tokens)
        return replace(self, max_tokens=min(self.max_tokens, least))

    def beside_interactive(self) -> BatchLimits:
        """Return the limits of bulk work which others may have to wait for: runs that just pay."""
        if not self.full_tokens:
            return self
        least = max(self.full_tokens, self.row_tokens)
        return replace(self, max_tokens=min(self.max_tokens, least))


def select(waiting: Sequence[T], limits: BatchLimits, order: Order[T] = by_arrival) -> list[T]:
    """Choose the next batch.

    Args:
        waiting: at least one text, in any order.
        limits: bounds of the batch.
        order: whose turn it is, least first.

    Returns:
        Texts from `waiting`, the oldest among them.

    """
    oldest = min(waiting, key=order)
    if limits.row_tokens:
        # Those longer than a row have one each, in groups of their own.
        shares = oldest.tokens <= limits.row_tokens
        waiting = [each for each in waiting if (each.tokens <= limits.row_tokens) == shares]
        if shares:
            return fill_rows(waiting, limits.row_tokens, limits.max_tokens, order)
    by_length = sorted(waiting, key=lambda text: text.tokens)
    start = by_length.index(oldest)
    end = start + 1
    while (grown := _grow(by_length, start, end)) != (start, end):
        if not _worthwhile(by_length, (start, end), grown, limits):
            break
        start, end = grown
    return by_length[start:end]


def places(lengths: Sequence[int], limits: BatchLimits) -> int:
    """Return how many tokens a batch of texts computes, padding included."""
    if limits.row_tokens:
        return plan_rows(lengths, limits.row_tokens).places
    return len(lengths) * max(lengths)


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

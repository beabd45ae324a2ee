"""What waits for one engine, and whose turn it is: a pure state machine, no clock, no threads.

    class of the batch      interactive nine tokens to bulk's one while both wait, at once if alone
      └ its first input     tenants in turn, by the tokens they have had
          └ its neighbours  the batcher: inputs of near length, of any tenant of the class
              └ room left   inputs of the other class that bring no padding

Both levels are start-time fair queueing (Goyal, Vin and Cheng, 1996): nobody starves, a pause
earns nothing, and a tenant that sends a thousand texts delays another's single one by a batch.

A batch is chosen among those whose turn comes first. A book is thousands of windows, and to look
at all of them for each batch would take longer than a small model takes to compute it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from servicekit.defaults import DEFAULT_TENANT
from worker.batching.batcher import BatchLimits, select

INTERACTIVE_WEIGHT = 9.0
BULK_WEIGHT = 1.0


class Flow(NamedTuple):
    """Work that takes its turns together."""

    tenant: str
    bulk: bool


DEFAULT_FLOW = Flow(DEFAULT_TENANT, bulk=False)


class Queued(Protocol):
    """What the queue looks at."""

    turn: float
    """Written by the queue."""

    @property
    def tokens(self) -> int:
        """Length in tokens, at least 1."""

    @property
    def arrived(self) -> float:
        """When it came, in seconds; only compared."""

    @property
    def flow(self) -> Flow:
        """Whose it is."""


T = TypeVar("T", bound=Queued)


def _order(text: Queued) -> tuple[float, float]:
    return text.turn, text.arrived


class _Class(Generic[T]):
    """The waiting work of one class, over its tenants."""

    def __init__(self, weight: float, front: int) -> None:
        self.weight = weight
        self.time = 0.0
        self.tokens = 0
        self._most = front
        self._front: list[T] = []
        # A heap of those behind them, by order; numbers part those that are equal.
        self._behind: list[tuple[tuple[float, float], int, T]] = []
        self._numbers = itertools.count()
        self._now = 0.0
        self._finish: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._front) + len(self._behind)

    def __iter__(self) -> Iterator[T]:
        return itertools.chain(self._front, (text for *_, text in self._behind))

    def add(self, text: T) -> None:
        text.turn = max(self._now, self._finish.get(text.flow.tenant, 0.0))
        self._finish[text.flow.tenant] = text.turn + text.tokens
        heapq.heappush(self._behind, (_order(text), next(self._numbers), text))
        self.tokens += text.tokens

    def front(self, limits: BatchLimits) -> Sequence[T]:
        """Return what a batch is chosen from: whoever is next, and many of those who follow."""
        if not self._behind:
            return self._front
        least = min(map(_order, self._front), default=self._behind[0][0])
        most = max(self._most, 2 * limits.max_rows)
        while self._behind and (len(self._front) < most or self._behind[0][0] < least):
            *_, text = heapq.heappop(self._behind)
            self._front.append(text)
        return self._front

    def batch(self, limits: BatchLimits) -> list[T]:
        """Choose a batch and move on to the turn of its first."""
        front = self.front(limits)
        self._now = max(self._now, min(text.turn for text in front))
        return select(front, limits, _order)

    def take(self, chosen: Sequence[T]) -> None:
        """Remove some of the front, which are computed."""
        taken = {id(text) for text in chosen}
        self._front = [text for text in self._front if id(text) not in taken]
        self.time += self._gone(chosen) / self.weight

    def remove(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Remove what is not wanted any more, and return it."""
        removed = [text for text in self if unwanted(text)]
        if removed:
            gone = {id(text) for text in removed}
            self._front = [text for text in self._front if id(text) not in gone]
            self._behind = [entry for entry in self._behind if id(entry[-1]) not in gone]
            heapq.heapify(self._behind)
            self._gone(removed)
        return removed

    def _gone(self, texts: Sequence[T]) -> int:
        tokens = sum(text.tokens for text in texts)
        self.tokens -= tokens
        if not len(self):
            # With nobody ahead of the others there is nothing to remember.
            self._finish.clear()
        return tokens


class WaitingQueue(Generic[T]):
    """Inputs of one engine.

    Args:
        front: among so many of a class a batch finds neighbours of near length, and among twice
            as many as it may have rows.

    """

    def __init__(self, front: int = 1024) -> None:
        self._interactive: _Class[T] = _Class(INTERACTIVE_WEIGHT, front)
        self._bulk: _Class[T] = _Class(BULK_WEIGHT, front)
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._interactive) + len(self._bulk)

    def __iter__(self) -> Iterator[T]:
        return itertools.chain(self._interactive, self._bulk)

    @property
    def tokens(self) -> int:
        return self._interactive.tokens + self._bulk.tokens

    @property
    def interactive_tokens(self) -> int:
        return self._interactive.tokens

    @property
    def oldest(self) -> float:
        """When the first of what waits came; something must wait."""
        return min(text.arrived for text in self)

    def add(self, texts: Iterable[T]) -> None:
        """Queue texts that came together: the longest first, so that no long one ends alone."""
        for text in sorted(texts, key=lambda text: text.tokens, reverse=True):
            of = self._bulk if text.flow.bulk else self._interactive
            if not of:
                of.time = max(of.time, self._now)
            of.add(text)

    def take(self, limits: BatchLimits, bulk_limits: BatchLimits | None) -> list[T]:
        """Remove the next batch, in the order of `select`; something must wait.

        Args:
            limits: bounds of a batch.
            bulk_limits: bounds of one whose first input is bulk work; None: there is to be none,
                and where nothing else waits the batch is empty.

        """
        first, other = self._interactive, self._bulk
        may_bulk = bulk_limits is not None and bool(other)
        if may_bulk and (not first or other.time < first.time):
            first, other, limits = other, first, bulk_limits or limits
        if not first:
            return []
        self._now = max(self._now, first.time)
        batch = first.batch(limits)
        first.take(batch)
        if limits.row_tokens:
            return batch
        # Interactive work does not wait for bulk work that would be a run of its own.
        room = limits.run_cost_tokens if first is self._interactive else limits.max_tokens
        added = _fitting(batch, other.front(limits), limits, room)
        other.take(added)
        return sorted([*batch, *added], key=lambda text: text.tokens)

    def remove(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Remove what is not wanted any more, and return it."""
        return self._interactive.remove(unwanted) + self._bulk.remove(unwanted)


def _fitting(
    batch: Sequence[T], others: Sequence[T], limits: BatchLimits, most_tokens: int
) -> list[T]:
    """Return texts of others, of `most_tokens`, that a batch has room for as long as it is."""
    shortest = batch[0].tokens
    longest = batch[-1].tokens
    room = min(limits.max_rows, limits.max_tokens // longest) - len(batch)
    room = min(room, most_tokens // longest)
    if room <= 0:
        return []
    fitting = [text for text in others if shortest <= text.tokens <= longest]
    return sorted(fitting, key=_order)[:room]

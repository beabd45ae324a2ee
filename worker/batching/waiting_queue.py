"""What waits for one engine, and whose turn it is: a pure state machine, no clock, no threads.

    class of the batch      interactive nine tokens to bulk's one while both wait, at once if alone
      └ its first input     tenants in turn, by the tokens they have had
          └ its neighbours  the batcher: inputs of near length, of any tenant of the class
              └ room left   inputs of the other class that bring no padding

Both levels are start-time fair queueing (Goyal, Vin and Cheng, 1996): nobody starves, a pause
earns nothing, and a tenant that sends a thousand texts delays another's single one by a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.time = 0.0
        self.tokens = 0
        self.waiting: list[T] = []
        self._now = 0.0
        self._finish: dict[str, float] = {}

    def add(self, text: T) -> None:
        text.turn = max(self._now, self._finish.get(text.flow.tenant, 0.0))
        self._finish[text.flow.tenant] = text.turn + text.tokens
        self.waiting.append(text)
        self.tokens += text.tokens

    def batch(self, limits: BatchLimits) -> list[T]:
        """Choose a batch and move on to the turn of its first."""
        self._now = max(self._now, min(text.turn for text in self.waiting))
        return select(self.waiting, limits, _order)

    def take(self, chosen: Sequence[T]) -> None:
        taken = {id(text) for text in chosen}
        self.waiting = [text for text in self.waiting if id(text) not in taken]
        tokens = sum(text.tokens for text in chosen)
        self.tokens -= tokens
        self.time += tokens / self.weight
        if not self.waiting:
            # With nobody ahead of the others there is nothing to remember.
            self._finish.clear()


class WaitingQueue(Generic[T]):
    """Inputs of one engine."""

    def __init__(self) -> None:
        self._interactive: _Class[T] = _Class(INTERACTIVE_WEIGHT)
        self._bulk: _Class[T] = _Class(BULK_WEIGHT)
        self._now = 0.0

    def __len__(self) -> int:
        return len(self._interactive.waiting) + len(self._bulk.waiting)

    @property
    def tokens(self) -> int:
        return self._interactive.tokens + self._bulk.tokens

    @property
    def interactive_tokens(self) -> int:
        return self._interactive.tokens

    @property
    def oldest(self) -> float:
        """When the first of what waits came; something must wait."""
        waiting = (*self._interactive.waiting, *self._bulk.waiting)
        return min(text.arrived for text in waiting)

    def add(self, texts: Iterable[T]) -> None:
        """Queue texts that came together: the longest first, so that no long one ends alone."""
        for text in sorted(texts, key=lambda text: text.tokens, reverse=True):
            of = self._bulk if text.flow.bulk else self._interactive
            if not of.waiting:
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
        may_bulk = bulk_limits is not None and bool(other.waiting)
        if may_bulk and (not first.waiting or other.time < first.time):
            first, other, limits = other, first, bulk_limits or limits
        if not first.waiting:
            return []
        self._now = max(self._now, first.time)
        batch = first.batch(limits)
        first.take(batch)
        if limits.row_tokens:
            return batch
        # Interactive work does not wait for bulk work that would be a run of its own.
        room = limits.run_cost_tokens if first is self._interactive else limits.max_tokens
        added = _fitting(batch, other.waiting, limits, room)
        other.take(added)
        return sorted([*batch, *added], key=lambda text: text.tokens)

    def remove(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Remove what is not wanted any more, and return it."""
        removed: list[T] = []
        for of in (self._interactive, self._bulk):
            gone = [text for text in of.waiting if unwanted(text)]
            if gone:
                before = of.time
                of.take(gone)
                of.time = before
                removed += gone
        return removed


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

"""How much of a model's work a worker asks for, by what it has in hand and how fast it is."""

from __future__ import annotations

from servicekit.subjects import Queue
from worker.batching.runners import Runners
from worker.hosting.loading import LoadedModel
from worker.queue.in_hand import InHand
from worker.queue.prefetch import messages_wanted_beside, yielding_messages_wanted

# Assumed until the first batches have been measured.
_INITIAL_TOKENS_PER_SECOND = 20_000.0
_INITIAL_TOKENS_PER_MESSAGE = 64.0
_SMOOTHING = 0.1


class Appetite:
    """Means of the latest speeds and sizes, and what follows from them.

    Args:
        loaded: the model.
        runners: what waits for it here.
        in_hand: what has been taken of its work.

    Attributes:
        tokens_per_second: speed lately, over all streams.

    """

    def __init__(self, loaded: LoadedModel, runners: Runners, in_hand: InHand) -> None:
        self._runners = runners
        self._in_hand = in_hand
        self._streams = loaded.engine.streams
        # Of each queue: one tenant's texts say nothing of another's chunks.
        self._tokens_per_message = dict.fromkeys(Queue, _INITIAL_TOKENS_PER_MESSAGE)
        self.tokens_per_second = (
            loaded.cost.tokens_per_second if loaded.cost else _INITIAL_TOKENS_PER_SECOND
        )

    def received(self, queue: Queue, tokens: int) -> None:
        """Take note of a message of so many tokens."""
        mean = self._tokens_per_message[queue]
        self._tokens_per_message[queue] = mean + _SMOOTHING * (tokens - mean)

    def computed(self, tokens: int, seconds: float) -> None:
        """Take note of a batch."""
        speed = tokens / seconds * self._streams
        self.tokens_per_second += _SMOOTHING * (speed - self.tokens_per_second)

    def interactive(self) -> int:
        """Return how many messages of interactive work there is room for."""
        waiting = self._runners.waiting_interactive_tokens
        surplus, others = map(self._in_hand.count, (Queue.SURPLUS, Queue.INTERACTIVE))
        per_message = self._tokens_per_message[Queue.INTERACTIVE]
        return messages_wanted_beside(surplus, others, self.tokens_per_second, waiting, per_message)

    def surplus(self) -> int:
        """Return how many messages of the surplus there is room for."""
        waiting = self._runners.waiting_interactive_tokens
        return self._yielding(Queue.SURPLUS, waiting, self._in_hand.count(Queue.SURPLUS))

    def bulk(self) -> int:
        """Return how many messages of bulk work there is room for."""
        waiting = self._runners.waiting_tokens
        bulk = waiting - self._runners.waiting_interactive_tokens
        return self._yielding(Queue.BULK, waiting, bulk)

    def suspect(self) -> int:
        """Return how many suspects there is room for."""
        return int(not self._in_hand.count(Queue.SUSPECT))

    def _yielding(self, queue: Queue, waiting: int, at_hand: int) -> int:
        per_message = self._tokens_per_message[queue]
        return yielding_messages_wanted(self.tokens_per_second, waiting, at_hand, per_message)

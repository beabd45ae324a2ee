"""How much of a model's work a worker asks for, by what it has in hand and how fast it is."""

from __future__ import annotations

from worker.loading import LoadedModel
from worker.prefetch import bulk_messages_wanted, messages_wanted
from worker.runners import Runners

# Assumed until the first batches have been measured.
_INITIAL_TOKENS_PER_SECOND = 20_000.0
_INITIAL_TOKENS_PER_MESSAGE = 64.0
_SMOOTHING = 0.1


class Appetite:
    """Means of the latest speeds and sizes, and what follows from them.

    Args:
        loaded: the model.
        runners: what waits for it here.

    Attributes:
        tokens_per_second: speed lately, over all streams.

    """

    def __init__(self, loaded: LoadedModel, runners: Runners) -> None:
        self._runners = runners
        self._streams = loaded.engine.streams
        self._tokens_per_message = _INITIAL_TOKENS_PER_MESSAGE
        self.tokens_per_second = (
            loaded.cost.tokens_per_second if loaded.cost else _INITIAL_TOKENS_PER_SECOND
        )

    def received(self, tokens: int) -> None:
        """Take note of a message of so many tokens."""
        self._tokens_per_message += _SMOOTHING * (tokens - self._tokens_per_message)

    def computed(self, tokens: int, seconds: float) -> None:
        """Take note of a batch."""
        speed = tokens / seconds * self._streams
        self.tokens_per_second += _SMOOTHING * (speed - self.tokens_per_second)

    def interactive(self) -> int:
        """Return how many messages of interactive work there is room for."""
        waiting = self._runners.waiting_interactive_tokens
        return messages_wanted(self.tokens_per_second, waiting, self._tokens_per_message)

    def bulk(self) -> int:
        """Return how many messages of bulk work there is room for."""
        waiting = self._runners.waiting_tokens
        bulk = waiting - self._runners.waiting_interactive_tokens
        return bulk_messages_wanted(self.tokens_per_second, waiting, bulk, self._tokens_per_message)

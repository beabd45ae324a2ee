"""The work items of one model that a worker has taken and not yet answered."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

from nats.aio.msg import Msg

from servicekit.subjects import Queue
from worker.queue.delivery import Delivery


class InHand:
    """Deliveries by the place of their message in its stream."""

    def __init__(self) -> None:
        self._deliveries: dict[tuple[str, int], Delivery] = {}
        self._counts: Counter[Queue] = Counter()
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._deliveries)

    def __iter__(self) -> Iterator[Delivery]:
        """Those of this moment; they may be forgotten meanwhile."""
        return iter(list(self._deliveries.values()))

    def count(self, queue: Queue) -> int:
        """How many came from a queue."""
        return self._counts[queue]

    def renew(self, message: Msg) -> bool:
        """Take a message that is delivered again while in hand as the one to acknowledge.

        Returns:
            Whether it is one.

        """
        known = self._deliveries.get(_place(message))
        if known is not None:
            known.message = message
        return known is not None

    def take(self, delivery: Delivery, queue: Queue) -> None:
        """Take note of one that came from a queue."""
        delivery.queue = queue
        self._deliveries[_place(delivery.message)] = delivery
        self._counts[queue] += 1

    def forget(self, delivery: Delivery) -> None:
        """Take note of one that has been answered, or was never taken."""
        if self._deliveries.pop(_place(delivery.message), None) is not None:
            self._counts[delivery.queue] -= 1
        if not self._deliveries:
            self._empty.set()

    async def emptied(self) -> None:
        """Wait until there is none."""
        while self._deliveries:
            self._empty.clear()
            await self._empty.wait()


def _place(message: Msg) -> tuple[str, int]:
    """Stream and sequence: while a worker changes pools, it has work of two streams in hand."""
    return message.metadata.stream, message.metadata.sequence.stream

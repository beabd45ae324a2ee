"""The consumers of one model in one lane, one for each of its queues."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit.subjects import Lane, Queue
from worker.queue.consumer import PullConsumer


class Pulls:
    """Pulls one model's work of every queue.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        model_id: the model.
        on_message: called with each message, its lane and its queue.
        want: how many messages of each queue it would take now; may be 0.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        model_id: str,
        on_message: Callable[[Lane, Queue, Msg], Awaitable[None]],
        want: Mapping[Queue, Callable[[], int]],
    ) -> None:
        self._consumers = [
            PullConsumer(client, lane, model_id, queue, partial(on_message, lane, queue), wanted)
            for queue, wanted in want.items()
        ]

    async def start(self) -> None:
        """Declare the consumers and begin to pull; waits for the stream as long as it takes."""
        await asyncio.gather(*(consumer.start() for consumer in self._consumers))

    async def drain(self) -> None:
        """Stop pulling. What the broker has already sent is still handed to on_message."""
        await asyncio.gather(*(consumer.drain() for consumer in self._consumers))

    def redeclare(self) -> None:
        """Declare the consumers again: the broker may have lost them."""
        for consumer in self._consumers:
            consumer.redeclare()

    async def top_up(self) -> None:
        """Ask for more where there is room for more."""
        for consumer in self._consumers:
            await consumer.top_up()

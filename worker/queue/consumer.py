"""The pull side of the work queue for one model: asks for as much as the engine can take.

    want() ── NEXT {batch} ──► JetStream ── messages ──► on_message
                 ▲                  └─ 408, 409: the request has ended, unfilled
                 └── top_up after every message and every batch

Several requests may be open at once; what they may still deliver is the *credit*. While one is
open the broker beats. Silence means that it knows of none: it went down with the consumer's
leader, say, while the connection to another broker of the cluster stood.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig

from servicekit import subjects
from servicekit.subjects import Lane, Queue

log = logging.getLogger(__name__)

# A worker that died is noticed after this long without a progress ack.
ACK_WAIT_S = 5.0
# Work is taken apart at its second delivery. The rest is for when that cannot be done.
MAX_DELIVER = 5
# Of one item by itself.
MAX_DELIVER_SUSPECT = 3
# A consumer that no worker pulls from goes away; its messages stay in the stream.
INACTIVE_THRESHOLD_S = 300.0

_PULL_EXPIRES_S = 30.0
# Of an open request that delivers nothing; and after how many beats missed it is given up.
HEARTBEAT_S = 2.0
_MISSED_BEATS = 3
_RETRY_S = 0.5


def consumer_config(lane: Lane, model_id: str, queue: Queue = Queue.INTERACTIVE) -> ConsumerConfig:
    """Define the durable consumer of a model's queue in a lane; every worker declares it."""
    return ConsumerConfig(
        durable_name=subjects.work_consumer(lane, model_id, queue),
        filter_subject=subjects.work_subject(lane, model_id, queue),
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_deliver=MAX_DELIVER_SUSPECT if queue is Queue.SUSPECT else MAX_DELIVER,
        inactive_threshold=INACTIVE_THRESHOLD_S,
    )


class PullConsumer:
    """Pulls one model's work.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        model_id: the model.
        queue: which of its queues.
        on_message: called with each message.
        want: how many messages it would take now; may be 0.
        heartbeat_s: how often the broker says that a request is open.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        model_id: str,
        queue: Queue,
        on_message: Callable[[Msg], Awaitable[None]],
        want: Callable[[], int],
        heartbeat_s: float = HEARTBEAT_S,
    ) -> None:
        self._nats = client
        self._config = consumer_config(lane, model_id, queue)
        self._stream = subjects.work_stream(lane.pool)
        # What each line of the log says of it.
        self._told = {"fields": {"stream": self._stream, "consumer": self._config.durable_name}}
        self._subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._config.durable_name}"
        self._on_message = on_message
        self._want = want
        self._credit = 0
        self._credit_ends = 0.0
        self._heartbeat_s = heartbeat_s
        self._heard_at = 0.0
        self._inbox = ""
        self._subscription: Subscription | None = None
        self._declaring: asyncio.Task[None] | None = None
        self._draining = False

    async def start(self) -> None:
        """Declare the consumer and begin to pull; waits for the stream as long as it takes."""
        self._inbox = self._nats.new_inbox()
        self._subscription = await self._nats.subscribe(self._inbox, cb=self._receive)
        await self._declare()

    async def drain(self) -> None:
        """Stop pulling for good. What the broker has sent is still handed to on_message.

        While the broker is away there is nothing to wait for: what it has sent and nobody has
        seen, it delivers again to whoever pulls next.
        """
        self._draining = True
        if self._declaring is not None:
            self._declaring.cancel()
        subscription, self._subscription = self._subscription, None
        if subscription is None:
            return
        try:
            if self._nats.is_connected:
                await subscription.drain()  # type: ignore[no-untyped-call]
            else:
                await subscription.unsubscribe()
        except nats.errors.Error as error:
            name = error or type(error).__name__
            log.info("pulling ended without the broker: %s", name, extra=self._told)

    def redeclare(self) -> None:
        """Declare the consumer again: the broker may have lost it."""
        if self._draining:
            return
        if self._declaring is None or self._declaring.done():
            self._declaring = asyncio.create_task(self._declare())

    async def top_up(self) -> None:
        """Ask for more if there is room for more."""
        if self._subscription is None or self._draining:
            return
        now = time.monotonic()
        if self._credit and now - self._heard_at > _MISSED_BEATS * self._heartbeat_s:
            log.info("nothing heard of an open pull", extra=self._told)
            self._heard_at = now
            self.redeclare()
            return
        if now > self._credit_ends:
            self._credit = 0
        wanted = self._want()
        # Asking again for each message would double the traffic.
        if self._credit > wanted // 2 or wanted == 0:
            return
        batch = wanted - self._credit
        self._credit = wanted
        self._credit_ends = now + _PULL_EXPIRES_S
        self._heard_at = now
        request = {
            "batch": batch,
            "expires": int(_PULL_EXPIRES_S * 1e9),
            "idle_heartbeat": int(self._heartbeat_s * 1e9),
        }
        await self._nats.publish(self._subject, orjson.dumps(request), reply=self._inbox)

    async def _declare(self) -> None:
        # Up to Python 3.11 the library may forget that this task was cancelled.
        while not self._draining:
            try:
                await self._nats.jetstream().add_consumer(self._stream, self._config)
                break
            except (nats.js.errors.Error, nats.errors.Error) as error:
                name = error or type(error).__name__
                log.info("work queue not there yet: %s", name, extra=self._told)
                await asyncio.sleep(_RETRY_S)
        self._credit = 0
        await self.top_up()

    async def _receive(self, message: Msg) -> None:
        self._heard_at = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is None or message.data:
            self._credit -= 1
            await self._on_message(message)
            await self.top_up()
            return
        await self._end_of_request(status, message)

    async def _end_of_request(self, status: str, message: Msg) -> None:
        headers = message.headers or {}
        if status == "408":
            self._credit -= int(headers.get("Nats-Pending-Messages", self._credit))
            await self.top_up()
        elif status in ("404", "409", "503"):
            # The consumer is gone, or the broker cannot reach it: declare it again.
            log.info("pull ended: %s", headers.get("Description", status), extra=self._told)
            self._credit = 0
            await asyncio.sleep(_RETRY_S)
            self.redeclare()

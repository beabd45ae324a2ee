"""Has the broker store what a request is made of, once and for certain.

    publish ─► stored ─► ack        what nearly always happens; nobody waits for it
            └► refused              the queue is full: the request fails at once
            └► no stream            it may be missing for a moment: published again a little later
            └► silence              the broker died with the message: sent again, under its
                                    message id, by which the broker knows a copy

Publishing again under new message ids is for what may have been lost after it was stored.
Computing something twice is harmless, forgetting it is not.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.queue.pending import Pending
from servicekit import subjects
from servicekit.errors import SieError
from servicekit.tasks import Tasks
from sie.errors.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

# A broker that lives and has a leader for the stream says sooner that it has stored a message.
ACK_WITHIN_S = 2.0
# After so many times that, it does not store anything: its disk is full, or most brokers are gone.
_ACKS_MISSED = 5

# The stream may be missing for a moment after a broker restart.
_REPUBLISH_AFTER_S = 0.25
_REPUBLISH_FOR_S = 5.0


class Publisher:
    """Publishes the items of requests, and follows what the broker says of them.

    Args:
        nats: connection to the broker.
        ack_prefix: of the subjects where its acks come.
        pending: the requests that wait, by token.
        on_full: called with a request of which the broker refused a part.
        ack_within_s: a message that the broker has not acknowledged by then is sent again.
    """

    def __init__(
        self,
        nats: Client,
        ack_prefix: str,
        pending: Mapping[str, Pending],
        on_full: Callable[[Pending], None],
        ack_within_s: float = ACK_WITHIN_S,
    ) -> None:
        self._nats = nats
        self._ack_prefix = ack_prefix
        self._pending = pending
        self._on_full = on_full
        self._ack_within_s = ack_within_s
        self._tasks = Tasks()

    def start(self) -> None:
        self._tasks.spawn(self._follow_acks())

    async def publish(self, pending: Pending) -> None:
        """Publishes what has no result yet, under message ids of its own.

        Raises:
            SieError: QUEUE_UNAVAILABLE.
        """
        pending.attempt += 1
        pending.published_at = time.monotonic()
        await self._send(pending, pending.unanswered())

    async def publish_again(self, pending: Pending) -> None:
        """Publishes what has no result yet; where that fails, the request does."""
        try:
            await self.publish(pending)
        except SieError as error:
            pending.fail(error)

    def on_ack(self, pending: Pending, first_item: int, data: bytes) -> None:
        """Takes in what the broker says of a chunk."""
        pending.unacked.discard(first_item)
        if not data:  # No stream listens on the subject.
            self._publish_soon(pending)
        elif b'"error"' in data:
            detail = orjson.loads(data)["error"].get("description", "refused")
            log.warning("queue refused work", extra={"fields": {"detail": detail}})
            self._on_full(pending)
        else:
            pending.unroutable_since = 0.0

    async def _send(self, pending: Pending, items: Sequence[Any]) -> None:
        lane, model_id, _ = pending.path
        ack_subject = f"{self._ack_prefix}{pending.token}-"
        pending.unacked = {item.first_item for item in items}
        pending.sent_at = time.monotonic()
        published_us = int(time.time() * 1e6)
        try:
            for item in items:
                first_item = item.first_item
                item.published_unix_us = published_us
                message_id = f"{pending.reply_subject}.{first_item}.{pending.attempt}"
                await self._nats.publish(
                    subjects.work_subject(lane, model_id, pending.queue_of(first_item)),
                    item.SerializeToString(),
                    reply=f"{ack_subject}{first_item}",
                    headers={"Nats-Msg-Id": message_id, **pending.trace},
                )
        except NatsError as error:
            raise queue_unavailable(str(error) or type(error).__name__) from error

    async def _follow_acks(self) -> None:
        """Send again what the broker has not acknowledged, for as long as this gateway runs."""
        while True:
            await asyncio.sleep(self._ack_within_s / 2)
            if not self._nats.is_connected:
                continue
            latest = time.monotonic() - self._ack_within_s
            for pending in list(self._pending.values()):
                if pending.unacked and pending.sent_at < latest:
                    await self._send_unacked(pending)

    async def _send_unacked(self, pending: Pending) -> None:
        if time.monotonic() - pending.published_at > _ACKS_MISSED * self._ack_within_s:
            pending.fail(queue_unavailable("the broker stores no work"))
            return
        items = [each for each in pending.unanswered() if each.first_item in pending.unacked]
        try:
            await self._send(pending, items)
        except SieError as error:
            pending.fail(error)

    def _publish_soon(self, pending: Pending) -> None:
        now = time.monotonic()
        if pending.unroutable_since == 0.0:
            pending.unroutable_since = now
        if now - pending.unroutable_since > _REPUBLISH_FOR_S:
            pending.fail(queue_unavailable(f"pool '{pending.lane.pool}' has no work queue"))
            return
        self._tasks.spawn(self._publish_later(pending, pending.attempt))

    async def _publish_later(self, pending: Pending, attempt: int) -> None:
        await asyncio.sleep(_REPUBLISH_AFTER_S)
        # Of several chunks that found no stream the first one speaks for all.
        if pending.token in self._pending and pending.attempt == attempt:
            await self.publish_again(pending)


def queue_unavailable(detail: str) -> SieError:
    """What is said while the broker does not do its part."""
    return SieError(
        ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE, f"the work queue cannot be reached: {detail}"
    )

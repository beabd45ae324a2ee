"""From a request to the queue and back: publishes chunks, collects their results.

    run() ── WorkItem ──► JetStream ──► worker
      ▲                      │ publish ack          sie.reply.<gateway>.ack.<token>
      └── future ◄───────────┴── WorkResult ◄────── sie.reply.<gateway>.result.<token>

One subscription carries all replies. The publish ack is not awaited before the result: it
only matters when it is a refusal, and then it fails the request at once. When the broker
comes back after a loss, chunks without a result are published again, under a new message
id: computing one twice is harmless, forgetting one is not.
"""

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from servicekit import subjects
from servicekit.errors import SieError
from servicekit.packed import packed_twin
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_item_pb2 import WorkItem
from sie.work.v1.work_result_pb2 import WorkResult

log = logging.getLogger(__name__)

# The verbs' messages pass through as bytes: they are written by the edge or by a worker.
_VERBS = ("encode", "score", "extract", "tokenize")
PackedWorkItem = packed_twin(WorkItem, opaque=_VERBS)
PackedWorkResult = packed_twin(WorkResult, opaque=_VERBS)

# The stream may be missing for a moment after a broker restart.
_REPUBLISH_AFTER_S = 0.25
_REPUBLISH_FOR_S = 5.0

# Room for a message's headers beside its payload.
_HEADER_BYTES = 1024

# Left of the deadline for the reply itself.
_REPLY_MARGIN_S = 0.002


class Chunk(NamedTuple):
    """A run of a request's items, with the serialised request that holds only them."""

    first_item: int
    item_count: int
    request: bytes


@dataclass(slots=True)
class _Pending:
    """A request that waits for its results."""

    lane: Lane
    model_id: str
    items: dict[int, Any]  # WorkItem by first item, while unanswered
    remaining: int
    done: asyncio.Future[None]
    results: dict[int, Any] = field(default_factory=dict)  # WorkResult by first item
    attempt: int = 0
    unroutable_since: float = 0.0

    def add(self, result: Any) -> None:
        """Takes a result in. A redelivered chunk may be answered again, in other pieces."""
        start, end = result.first_item, result.first_item + result.item_count
        overlapping = [
            key
            for key, other in self.results.items()
            if key < end and start < key + other.item_count
        ]
        for key in overlapping:
            self.remaining += self.results.pop(key).item_count
        self.results[start] = result
        self.remaining -= result.item_count
        if self.remaining <= 0 and not self.done.done():
            self.done.set_result(None)

    def fail(self, error: SieError) -> None:
        if not self.done.done():
            self.done.set_exception(error)

    def unanswered(self) -> list[Any]:
        answered = self.results.values()
        return [
            item
            for first, item in self.items.items()
            if not any(
                first >= r.first_item and first < r.first_item + r.item_count for r in answered
            )
        ]


class Dispatcher:
    """Publishes work and waits for its results.

    Args:
        nats: connection to the broker.
        gateway_id: names this gateway's reply subjects; unique among gateways.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self, nats: Client, gateway_id: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._nats = nats
        self._clock = clock
        prefix = subjects.reply_prefix(gateway_id)
        self._wildcard = f"{prefix}.*.*"
        self._ack_prefix = f"{prefix}.ack."
        self._result_prefix = f"{prefix}.result."
        self._tokens = (f"{number:x}" for number in itertools.count(1))
        self._pending: dict[str, _Pending] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._nats.subscribe(self._wildcard, cb=self._on_message)

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._pending)

    async def run(
        self,
        verb: str,
        lane: Lane,
        model_id: str,
        revision: int,
        chunks: Sequence[Chunk],
        request_id: str,
        deadline: float,
    ) -> list[Any]:
        """Has the chunks computed.

        Args:
            verb: `encode`, `score`, `extract` or `tokenize`.
            deadline: seconds since 1970 UTC; nothing is published past it.

        Returns:
            WorkResults, packed twins, in the order of items, covering all of them.

        Raises:
            SieError: PAYLOAD_TOO_LARGE, QUEUE_FULL, QUEUE_UNAVAILABLE, DEADLINE_EXCEEDED.
        """
        if not self._nats.is_connected:
            raise _queue_unavailable("the broker is not connected")
        token = next(self._tokens)
        now = self._clock()
        items = {
            chunk.first_item: PackedWorkItem(
                request_id=request_id,
                first_item=chunk.first_item,
                item_count=chunk.item_count,
                model_id=model_id,
                registry_revision=revision,
                reply_subject=self._result_prefix + token,
                deadline_unix_ms=int(deadline * 1000),
                published_unix_us=int(now * 1e6),
                **{verb: chunk.request},
            )
            for chunk in chunks
        }
        self._check_sizes(items.values())
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        total = sum(chunk.item_count for chunk in chunks)
        pending = _Pending(lane, model_id, items, total, done)
        self._pending[token] = pending
        try:
            await self._publish(token, pending, list(items.values()))
            async with asyncio.timeout(deadline - now - _REPLY_MARGIN_S):
                await done
        except TimeoutError:
            raise SieError(
                ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
                "the deadline passed before the result was there",
                timeout_ms=round((deadline - now) * 1000),
            ) from None
        finally:
            del self._pending[token]
        return [pending.results[key] for key in sorted(pending.results)]

    def fail_model(self, lane: Lane, model_id: str, error: SieError) -> None:
        """Fails every request that waits for a model which cannot be served."""
        for pending in self._pending.values():
            if pending.lane == lane and pending.model_id == model_id:
                pending.fail(error)

    def waiting(self, lane: Lane) -> set[str]:
        """Ids of the models that requests of a lane wait for."""
        return {each.model_id for each in self._pending.values() if each.lane == lane}

    def waiting_items(self, lane: Lane) -> int:
        """Items of a lane that have no result yet."""
        return sum(each.remaining for each in self._pending.values() if each.lane == lane)

    def lanes(self) -> set[Lane]:
        """Lanes in which requests wait."""
        return {each.lane for each in self._pending.values()}

    async def republish(self) -> None:
        """Publishes again what has no result yet: the broker may have lost it."""
        for token, pending in list(self._pending.items()):
            await self._publish(token, pending, pending.unanswered())

    def _check_sizes(self, items: Iterable[Any]) -> None:
        """Refuse what the broker would: it does not become smaller by trying again."""
        limit = self._nats.max_payload - _HEADER_BYTES
        for item in items:
            if item.ByteSize() > limit:
                raise SieError(
                    ErrorReason.ERROR_REASON_PAYLOAD_TOO_LARGE,
                    f"an item, with the query if there is one, is larger than {limit} bytes",
                    limit_bytes=limit,
                )

    async def _publish(self, token: str, pending: _Pending, items: Sequence[Any]) -> None:
        subject = subjects.work_subject(pending.lane, pending.model_id)
        pending.attempt += 1
        try:
            for item in items:
                message_id = f"{item.reply_subject}.{item.first_item}.{pending.attempt}"
                await self._nats.publish(
                    subject,
                    item.SerializeToString(),
                    reply=self._ack_prefix + token,
                    headers={"Nats-Msg-Id": message_id},
                )
        except NatsError as error:
            raise _queue_unavailable(str(error) or type(error).__name__) from error

    async def _on_message(self, message: Msg) -> None:
        kind, token = message.subject.rsplit(".", 2)[1:]
        pending = self._pending.get(token)
        if pending is None:
            return  # The caller has gone, or a redelivered chunk was answered before.
        if kind == "ack":
            self._on_ack(token, pending, message)
        else:
            pending.add(PackedWorkResult.FromString(message.data))

    def _on_ack(self, token: str, pending: _Pending, message: Msg) -> None:
        if not message.data:  # No stream listens on the subject.
            self._republish_soon(token, pending)
        elif b'"error"' in message.data:
            detail = orjson.loads(message.data)["error"].get("description", "refused")
            log.warning("queue refused work", extra={"fields": {"detail": detail}})
            pending.fail(
                SieError(
                    ErrorReason.ERROR_REASON_QUEUE_FULL,
                    f"the work queue of pool '{pending.lane.pool}' is full",
                    pool=pending.lane.pool,
                )
            )
        else:
            pending.unroutable_since = 0.0

    def _republish_soon(self, token: str, pending: _Pending) -> None:
        now = self._clock()
        if pending.unroutable_since == 0.0:
            pending.unroutable_since = now
        if now - pending.unroutable_since > _REPUBLISH_FOR_S:
            pending.fail(_queue_unavailable(f"pool '{pending.lane.pool}' has no work queue"))
            return
        task = asyncio.create_task(self._republish_one(token, pending, pending.attempt))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _republish_one(self, token: str, pending: _Pending, attempt: int) -> None:
        await asyncio.sleep(_REPUBLISH_AFTER_S)
        # Of several chunks that found no stream the first one speaks for all.
        if token in self._pending and pending.attempt == attempt:
            try:
                await self._publish(token, pending, pending.unanswered())
            except SieError as error:
                pending.fail(error)


def _queue_unavailable(detail: str) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE, f"the work queue cannot be reached: {detail}"
    )

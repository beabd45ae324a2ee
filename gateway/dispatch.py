"""From a request to the queue and back: publishes chunks, collects their results.

    run() ── WorkItem ──► JetStream ──► worker
      ▲                      │ publish ack          sie.reply.<gateway>.ack.<token>-<first item>
      └── future ◄───────────┴── WorkResult ◄────── sie.reply.<gateway>.result.<token>

One subscription carries all replies. The publish ack is not awaited before the result: a
refusal fails the request at once, and where none comes, because a broker died with the
message, the chunk is sent again under its message id, by which the broker knows a copy.
When the broker comes back after a loss, chunks without a result are published again, under a
new message id: computing one twice is harmless, forgetting one is not. When a caller goes
away, or a request fails while parts of it wait, workers are told not to compute the rest.
"""

import asyncio
import itertools
import logging
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry

from gateway.backlog import Backlog
from gateway.drain_rate import DrainRate
from gateway.reassembly import Reassembly
from gateway.work_metrics import WorkMetrics
from servicekit import subjects
from servicekit.defaults import DEFAULT_TENANT
from servicekit.errors import SieError
from servicekit.packed import packed_twin
from servicekit.payloads import JetStreamPayloads, PayloadStore
from servicekit.subjects import Lane, Queue
from servicekit.tracing import NO_SPAN, Span
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_item_pb2 import CancelNotice, WorkClass, WorkItem
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

# A broker that lives and has a leader for the stream says sooner that it has stored a message.
_ACK_WITHIN_S = 2.0
# After so many times that, it does not store anything: its disk is full, or most brokers are gone.
_ACKS_MISSED = 5

# Pieces of one result come one after the other; when the rest stays away so long it is lost.
_PIECES_WITHIN_S = 5.0

# When to come back where too much waits, in seconds.
_LEAST_EXCESS_S, _MOST_EXCESS_S = 1.0, 60.0

# Left of the deadline for the reply itself.
_REPLY_MARGIN_S = 0.002


class Chunk(NamedTuple):
    """A run of a request's items, with the serialised request that holds only them."""

    first_item: int
    item_count: int
    request: bytes


class Path(NamedTuple):
    """What waits in one order."""

    lane: Lane
    model_id: str
    queue: Queue


class Work(NamedTuple):
    """What holds for all chunks of a request.

    Args:
        verb: `encode`, `score`, `extract` or `tokenize`.
        lane: whose workers compute it.
        model_id: the model.
        revision: of the registry, at which the model was looked up.
        request_id: the request's id.
        deadline: seconds since 1970 UTC; nothing is published past it.
        tenant: whose work it is.
        work_class: whether it goes before or behind other work of the lane.
        span: the request in its trace.
    """

    verb: str
    lane: Lane
    model_id: str
    revision: int
    request_id: str
    deadline: float
    tenant: str = DEFAULT_TENANT
    work_class: WorkClass = WorkClass.WORK_CLASS_INTERACTIVE
    span: Span = NO_SPAN

    @property
    def queue(self) -> Queue:
        is_bulk = self.work_class == WorkClass.WORK_CLASS_BULK
        return Queue.BULK if is_bulk else Queue.INTERACTIVE

    @property
    def path(self) -> Path:
        return Path(self.lane, self.model_id, self.queue)


@dataclass(slots=True)
class _Pending:
    """A request that waits for its results."""

    work: Work
    reply_subject: str
    items: dict[int, Any]  # WorkItem by first item, while unanswered
    remaining: int
    done: asyncio.Future[None]
    results: dict[int, Any] = field(default_factory=dict)  # WorkResult by first item
    attempt: int = 0
    unacked: set[int] = field(default_factory=set)  # first items the broker may not have
    published_at: float = 0.0  # the latest attempt, seconds, monotonic
    sent_at: float = 0.0  # the latest copy
    unroutable_since: float = 0.0
    pieces: Reassembly = field(default_factory=Reassembly)
    trace: dict[str, str] = field(default_factory=dict)  # headers that go on with it

    @property
    def lane(self) -> Lane:
        return self.work.lane

    @property
    def model_id(self) -> str:
        return self.work.model_id

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
        payloads: keeps requests that are too large for the broker; its own store by default.
        metrics: counts items; into a registry of its own by default.
        max_wait_s: interactive work that would wait longer for its turn is refused; 0: only what
            would miss its deadline is.
        ack_within_s: a message that the broker has not acknowledged by then is sent again.
    """

    def __init__(
        self,
        nats: Client,
        gateway_id: str,
        clock: Callable[[], float] = time.time,
        payloads: PayloadStore | None = None,
        metrics: WorkMetrics | None = None,
        max_wait_s: float = 0.0,
        ack_within_s: float = _ACK_WITHIN_S,
    ) -> None:
        self._nats = nats
        self._clock = clock
        prefix = subjects.reply_prefix(gateway_id)
        self._wildcard = f"{prefix}.*.*"
        self._ack_prefix = f"{prefix}.ack."
        self._result_prefix = f"{prefix}.result."
        self._tokens = (f"{number:x}" for number in itertools.count(1))
        self._pending: dict[str, _Pending] = {}
        self._payloads = payloads or JetStreamPayloads(nats)
        self._metrics = metrics or WorkMetrics(CollectorRegistry())
        self._max_wait_s = max_wait_s
        self._backlogs: defaultdict[Path, Backlog] = defaultdict(Backlog)
        self._drain_rates: defaultdict[str, DrainRate] = defaultdict(DrainRate)
        self._ack_within_s = ack_within_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self._nats.subscribe(self._wildcard, cb=self._on_message)
        self._spawn(self._follow_acks())

    def __len__(self) -> int:
        """Requests that wait."""
        return len(self._pending)

    async def run(self, work: Work, chunks: Sequence[Chunk]) -> list[Any]:
        """Has the chunks computed.

        Returns:
            WorkResults, packed twins, in the order of items, covering all of them.

        Raises:
            SieError: QUEUE_FULL (also where the deadline would pass before its turn comes),
                QUEUE_UNAVAILABLE, DEADLINE_EXCEEDED, PAYLOAD_UNAVAILABLE, RESULT_TOO_LARGE.
        """
        if not self._nats.is_connected:
            raise _queue_unavailable("the broker is not connected")
        now, started = self._clock(), time.perf_counter()
        self._check_wait(work, now)
        token = next(self._tokens)
        items = self._items(work, chunks, self._result_prefix + token)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        total = sum(chunk.item_count for chunk in chunks)
        pending = _Pending(work, self._result_prefix + token, items, total, done)
        self._pending[token] = pending
        self._backlogs[work.path].enter(work.tenant, total, now)
        self._metrics.accepted(work.lane.pool, total)
        outcome = "cancelled"
        keys: list[str] = []
        try:
            async with asyncio.timeout(work.deadline - now - _REPLY_MARGIN_S):
                with work.span.child("publish", "producer") as span:
                    pending.trace = span.headers()
                    await self._keep_large(items.values(), keys)
                    await self._publish(token, pending, list(items.values()))
                published = time.perf_counter()
                self._metrics.published(work.verb, total, published - started)
                with work.span.child("wait"):
                    await done
            self._metrics.waited(work.verb, time.perf_counter() - published)
            outcome = "answered"
        except TimeoutError:
            outcome = "expired"
            raise SieError(
                ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED,
                "the deadline passed before the result was there",
                timeout_ms=round((work.deadline - now) * 1000),
            ) from None
        except SieError:
            outcome = "refused"
            raise
        finally:
            del self._pending[token]
            self._leave_backlog(work, max(0, pending.remaining), answered=False)
            self._account(pending, outcome)
            if outcome in ("cancelled", "refused"):
                self._spawn(self._cancel(pending))
            if keys and not _is_dead(pending):
                self._spawn(self._forget(keys))
        return [pending.results[key] for key in sorted(pending.results)]

    def _check_wait(self, work: Work, now: float) -> None:
        """Refuse what would wait too long, before it makes others wait.

        Raises:
            SieError: QUEUE_FULL.
        """
        bound_s = work.deadline - now
        if self._max_wait_s and work.queue is Queue.INTERACTIVE:
            bound_s = min(bound_s, self._max_wait_s)
        backlog = self._backlogs.get(work.path)
        if backlog is None or not (excess_s := backlog.excess_s(work.tenant, bound_s, now)):
            return
        raise SieError(
            ErrorReason.ERROR_REASON_QUEUE_FULL,
            f"work for model '{work.model_id}' waits more than {bound_s:.1f} s at present",
            retry_after_s=min(_MOST_EXCESS_S, max(_LEAST_EXCESS_S, excess_s)),
            pool=work.lane.pool,
        )

    def _leave_backlog(self, work: Work, count: int, *, answered: bool) -> None:
        if not count:
            return
        backlog = self._backlogs[work.path]
        backlog.leave(work.tenant, count, self._clock(), answered=answered)
        if backlog.is_empty:
            del self._backlogs[work.path]

    def _items(self, work: Work, chunks: Sequence[Chunk], reply_subject: str) -> dict[int, Any]:
        return {
            chunk.first_item: PackedWorkItem(
                request_id=work.request_id,
                first_item=chunk.first_item,
                item_count=chunk.item_count,
                model_id=work.model_id,
                registry_revision=work.revision,
                reply_subject=reply_subject,
                deadline_unix_ms=int(work.deadline * 1000),
                work_class=work.work_class,
                tenant=work.tenant,
                **{work.verb: chunk.request},
            )
            for chunk in chunks
        }

    def _account(self, pending: _Pending, outcome: str) -> None:
        """Count the items of a request that has ended."""
        pool, left = pending.lane.pool, sum(item.item_count for item in pending.items.values())
        for result in pending.results.values():
            self._metrics.ended(pool, _outcome_of(result), result.item_count)
            left -= result.item_count
        self._metrics.ended(pool, outcome, left)
        tokens = sum(result.input_tokens for result in pending.results.values())
        self._metrics.tokens(pending.model_id, pending.work.tenant, tokens)
        if pending.results:
            count = sum(result.item_count for result in pending.results.values())
            self._drain_rates[pool].answered(self._clock(), count)

    async def _cancel(self, pending: _Pending) -> None:
        """Tell the lane's workers that nobody waits for a request any more."""
        notice = CancelNotice(reply_subjects=[pending.reply_subject])
        try:
            await self._nats.publish(subjects.cancel(pending.lane), notice.SerializeToString())
        except NatsError as error:
            log.debug("cancel notice not sent: %s", error)

    def fail_model(self, lane: Lane, model_id: str, error: SieError) -> None:
        """Fails every request that waits for a model which cannot be served."""
        for pending in self._pending.values():
            if pending.lane == lane and pending.model_id == model_id:
                pending.fail(error)

    def waiting(self, lane: Lane) -> Mapping[str, int]:
        """Items of a lane that have no result yet, by the model that they wait for."""
        found: Counter[str] = Counter()
        for each in self._pending.values():
            if each.lane == lane:
                found[each.model_id] += each.remaining
        return found

    def waiting_items(self, lane: Lane) -> int:
        """Items of a lane that have no result yet."""
        return sum(each.remaining for each in self._pending.values() if each.lane == lane)

    def lanes(self) -> set[Lane]:
        """Lanes in which requests wait."""
        return {each.lane for each in self._pending.values()}

    async def republish(self) -> None:
        """Publishes again what has no result yet: the broker may have lost it."""
        for token, pending in list(self._pending.items()):
            if not pending.attempt:
                continue  # Its first publication is still to come.
            await self._publish(token, pending, pending.unanswered())

    async def _keep_large(self, items: Iterable[Any], keys: list[str]) -> None:
        """Put requests that the broker would refuse into the store; their keys into `keys`."""
        limit = self._nats.max_payload - _HEADER_BYTES
        for item in items:
            if item.ByteSize() <= limit:
                continue
            verb = item.WhichOneof("request")
            request = PackedWorkItem(**{verb: getattr(item, verb)}).SerializeToString()
            keys.append(secrets.token_hex(16))
            await self._payloads.put(keys[-1], request)
            self._metrics.offloaded()
            item.ClearField(verb)
            item.payload.key, item.payload.size_bytes = keys[-1], len(request)

    async def _forget(self, keys: Sequence[str]) -> None:
        for key in keys:
            try:
                await self._payloads.delete(key)
            except SieError as error:
                # The store forgets it by itself when it is old.
                log.info("payload not removed: %s", error)

    async def _publish(self, token: str, pending: _Pending, items: Sequence[Any]) -> None:
        """Publish under message ids of their own."""
        pending.attempt += 1
        pending.published_at = time.monotonic()
        await self._send(token, pending, items)

    async def _send(self, token: str, pending: _Pending, items: Sequence[Any]) -> None:
        subject = subjects.work_subject(pending.lane, pending.model_id, pending.work.queue)
        pending.unacked = {item.first_item for item in items}
        pending.sent_at = time.monotonic()
        try:
            for item in items:
                item.published_unix_us = int(self._clock() * 1e6)
                message_id = f"{item.reply_subject}.{item.first_item}.{pending.attempt}"
                await self._nats.publish(
                    subject,
                    item.SerializeToString(),
                    reply=f"{self._ack_prefix}{token}-{item.first_item}",
                    headers={"Nats-Msg-Id": message_id, **pending.trace},
                )
        except NatsError as error:
            raise _queue_unavailable(str(error) or type(error).__name__) from error

    async def _follow_acks(self) -> None:
        """Send again what the broker has not acknowledged, for as long as this gateway runs."""
        while True:
            await asyncio.sleep(self._ack_within_s / 2)
            if not self._nats.is_connected:
                continue
            latest = time.monotonic() - self._ack_within_s
            for token, pending in list(self._pending.items()):
                if pending.unacked and pending.sent_at < latest:
                    await self._send_unacked(token, pending)

    async def _send_unacked(self, token: str, pending: _Pending) -> None:
        if time.monotonic() - pending.published_at > _ACKS_MISSED * self._ack_within_s:
            pending.fail(_queue_unavailable("the broker stores no work"))
            return
        items = [each for each in pending.unanswered() if each.first_item in pending.unacked]
        try:
            await self._send(token, pending, items)
        except SieError as error:
            pending.fail(error)

    async def _on_message(self, message: Msg) -> None:
        kind, last = message.subject.rsplit(".", 2)[1:]
        token, _, first_item = last.partition("-")
        pending = self._pending.get(token)
        if pending is None:
            return  # The caller has gone, or a redelivered chunk was answered before.
        if kind == "ack":
            self._on_ack(token, int(first_item), pending, message)
        else:
            self._on_result(token, pending, PackedWorkResult.FromString(message.data))

    def _on_result(self, token: str, pending: _Pending, result: Any) -> None:
        if not result.HasField("part"):
            self._add(pending, result)
            return
        is_first = result.part.reply_id not in pending.pieces
        try:
            whole = pending.pieces.add(result.part)
        except SieError as error:
            pending.fail(error)
            return
        if whole is not None:
            self._add(pending, PackedWorkResult.FromString(whole))
        elif is_first:
            self._spawn(self._await_pieces(token, pending, result.part.reply_id))

    def _add(self, pending: _Pending, result: Any) -> None:
        before = pending.remaining
        pending.add(result)
        self._leave_backlog(pending.work, before - pending.remaining, answered=True)

    async def _await_pieces(self, token: str, pending: _Pending, reply_id: str) -> None:
        """Have a result computed again of which pieces were lost."""
        await asyncio.sleep(_PIECES_WITHIN_S)
        if token in self._pending and reply_id in pending.pieces:
            log.warning("pieces of a result were lost", extra={"fields": {"reply": reply_id}})
            await self._publish_unanswered(token, pending)

    def _on_ack(self, token: str, first_item: int, pending: _Pending, message: Msg) -> None:
        pending.unacked.discard(first_item)
        if not message.data:  # No stream listens on the subject.
            self._republish_soon(token, pending)
        elif b'"error"' in message.data:
            detail = orjson.loads(message.data)["error"].get("description", "refused")
            log.warning("queue refused work", extra={"fields": {"detail": detail}})
            self._metrics.refused_by_broker()
            pending.fail(self._queue_full(pending.lane.pool))
        else:
            pending.unroutable_since = 0.0

    def _queue_full(self, pool: str) -> SieError:
        waiting = sum(each.remaining for each in self._pending.values() if each.lane.pool == pool)
        return SieError(
            ErrorReason.ERROR_REASON_QUEUE_FULL,
            f"the work queue of pool '{pool}' is full",
            retry_after_s=self._drain_rates[pool].retry_after_s(self._clock(), waiting),
            pool=pool,
        )

    def _republish_soon(self, token: str, pending: _Pending) -> None:
        now = self._clock()
        if pending.unroutable_since == 0.0:
            pending.unroutable_since = now
        if now - pending.unroutable_since > _REPUBLISH_FOR_S:
            pending.fail(_queue_unavailable(f"pool '{pending.lane.pool}' has no work queue"))
            return
        self._spawn(self._republish_one(token, pending, pending.attempt))

    async def _republish_one(self, token: str, pending: _Pending, attempt: int) -> None:
        await asyncio.sleep(_REPUBLISH_AFTER_S)
        # Of several chunks that found no stream the first one speaks for all.
        if token in self._pending and pending.attempt == attempt:
            await self._publish_unanswered(token, pending)

    async def _publish_unanswered(self, token: str, pending: _Pending) -> None:
        try:
            await self._publish(token, pending, pending.unanswered())
        except SieError as error:
            pending.fail(error)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _outcome_of(result: Any) -> str:
    if not result.HasField("error"):
        return "answered"
    dead = result.error.reason == ErrorReason.ERROR_REASON_DELIVERY_EXHAUSTED
    return "dead_lettered" if dead else "failed"


def _is_dead(pending: _Pending) -> bool:
    """Whether a dead letter still refers to the request's payload."""
    return any(_outcome_of(result) == "dead_lettered" for result in pending.results.values())


def _queue_unavailable(detail: str) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE, f"the work queue cannot be reached: {detail}"
    )

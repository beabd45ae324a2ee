"""From a request to the queue and back.

    run() ── Publisher ──► JetStream ──► worker
      ▲                       │ publish ack         sie.reply.<gateway>.ack.<token>-<first item>
      └── Pending ◄───────────┴── WorkResult ◄───── sie.reply.<gateway>.result.<token>

One subscription carries all replies. When a caller goes away, or a request fails while parts of
it wait, workers are told not to compute the rest.
"""

import asyncio
import itertools
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from nats.errors import Error as NatsError
from prometheus_client import CollectorRegistry

from gateway.queue.large_requests import LargeRequests
from gateway.queue.pending import Pending
from gateway.queue.publisher import ACK_WITHIN_S, Publisher, queue_unavailable
from gateway.queue.replies import fault
from gateway.queue.waits import Waits
from gateway.queue.work import Chunk, PackedWorkResult, Work
from gateway.queue.work_metrics import WorkMetrics
from servicekit import subjects
from servicekit.errors import SieError
from servicekit.payloads import JetStreamPayloads, PayloadStore
from servicekit.prompt_client import PromptClient
from servicekit.subjects import Lane
from servicekit.tasks import Tasks
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.work.v1.work_item_pb2 import CancelNotice

log = logging.getLogger(__name__)

# Pieces of one result come one after the other; when the rest stays away so long it is lost.
_PIECES_WITHIN_S = 5.0

# Left of the deadline for the reply itself.
_REPLY_MARGIN_S = 0.002


class Dispatcher:
    """Publishes work and waits for its results.

    Args:
        nats: connection to the broker.
        gateway_id: names this gateway's reply subjects; unique among gateways.
        payloads: keeps requests that are too large for the broker; its own store by default.
        metrics: counts items; into a registry of its own by default.
        max_wait_s: see Waits.
        ack_within_s: see Publisher.
    """

    def __init__(
        self,
        nats: PromptClient,
        gateway_id: str,
        payloads: PayloadStore | None = None,
        metrics: WorkMetrics | None = None,
        max_wait_s: float = 0.0,
        ack_within_s: float = ACK_WITHIN_S,
    ) -> None:
        self._nats = nats
        prefix = subjects.reply_prefix(gateway_id)
        self._wildcard = f"{prefix}.*.*"
        self._ack_prefix = f"{prefix}.ack."
        self._result_prefix = f"{prefix}.result."
        self._tokens = (f"{number:x}" for number in itertools.count(1))
        self._pending: dict[str, Pending] = {}
        self._large = LargeRequests(payloads or JetStreamPayloads(nats))
        self._metrics = metrics or WorkMetrics(CollectorRegistry())
        self._waits = Waits(max_wait_s)
        self._publisher = Publisher(
            nats, self._ack_prefix, self._pending, self._on_full, ack_within_s
        )
        self._tasks = Tasks()

    async def start(self) -> None:
        await self._nats.listen(self._wildcard, self._on_message)
        self._publisher.start()

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
            raise queue_unavailable("the broker is not connected")
        left_s, path = work.deadline - time.time(), work.path
        self._waits.check(path, work.tenant, left_s)
        token = next(self._tokens)
        pending = Pending(token, work, path, chunks, self._result_prefix + token)
        expiry = asyncio.get_running_loop().call_later(
            left_s - _REPLY_MARGIN_S, pending.expire, round(left_s * 1000)
        )
        self._enter(pending)
        outcome = "cancelled"
        try:
            await self._publish(pending)
            await self._results(pending)
            outcome = "answered"
        except SieError as error:
            late = error.reason == ErrorReason.ERROR_REASON_DEADLINE_EXCEEDED
            outcome = "expired" if late else "refused"
            raise
        finally:
            expiry.cancel()
            self._leave(pending, outcome)
        return pending.results.chosen

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
                found[each.model_id] += each.results.remaining
        return found

    def waiting_items(self, lane: Lane) -> int:
        """Items of a lane that have no result yet."""
        return sum(each.results.remaining for each in self._pending.values() if each.lane == lane)

    def lanes(self) -> set[Lane]:
        """Lanes in which requests wait."""
        return {each.lane for each in self._pending.values()}

    async def republish(self) -> None:
        """Publishes again what has no result yet: the broker may have lost it."""
        for pending in list(self._pending.values()):
            if pending.attempt:  # Else its first publication is still to come.
                await self._publisher.publish(pending)

    async def _publish(self, pending: Pending) -> None:
        started = time.perf_counter()
        with pending.work.span.child("publish", "producer") as span:
            pending.trace = span.headers()
            keys = pending.payload_keys
            await self._large.keep(pending.items.values(), self._nats.max_payload, keys)
            if keys:
                self._metrics.offloaded(len(keys))
            await self._publisher.publish(pending)
        self._metrics.published(
            pending.work.verb, pending.item_count, time.perf_counter() - started
        )

    async def _results(self, pending: Pending) -> None:
        started = time.perf_counter()
        with pending.work.span.child("wait"):
            await pending.done
        self._metrics.waited(pending.work.verb, time.perf_counter() - started)

    def _enter(self, pending: Pending) -> None:
        """Have a request wait for its results."""
        self._pending[pending.token] = pending
        self._waits.enter(pending)
        self._metrics.accepted(pending.lane.pool, pending.item_count)

    def _leave(self, pending: Pending, outcome: str) -> None:
        """Forget a request that has ended, and count its items by how they did."""
        del self._pending[pending.token]
        self._waits.leave(pending)
        self._count(pending, outcome)
        if outcome in ("cancelled", "refused"):
            self._tasks.spawn(self._cancel(pending))
        if pending.payload_keys and not _is_dead(pending):
            self._tasks.spawn(self._large.remove(pending.payload_keys))

    def _count(self, pending: Pending, outcome: str) -> None:
        pool, left, tokens = pending.lane.pool, pending.item_count, 0
        for result in pending.results.chosen:
            self._metrics.ended(pool, _outcome_of(result), result.item_count)
            left -= result.item_count
            tokens += result.input_tokens
        self._metrics.ended(pool, outcome, left)
        self._metrics.tokens(pending.model_id, pending.work.tenant, tokens)

    async def _cancel(self, pending: Pending) -> None:
        """Tell the lane's workers that nobody waits for a request any more."""
        notice = CancelNotice(reply_subjects=[pending.reply_subject])
        try:
            await self._nats.publish(subjects.cancel(pending.lane), notice.SerializeToString())
        except NatsError as error:
            log.debug("cancel notice not sent: %s", error)

    def _on_message(self, subject: str, data: bytes) -> None:
        _, kind, last = subject.rsplit(".", 2)
        token, _, first_item = last.partition("-")
        pending = self._pending.get(token)
        if pending is None:
            return  # The caller has gone, or a redelivered chunk was answered before.
        if kind == "ack":
            self._publisher.on_ack(pending, int(first_item), data)
        else:
            self._on_result(pending, PackedWorkResult.FromString(data))

    def _on_result(self, pending: Pending, result: Any) -> None:
        if problem := fault(result, pending.work):
            log.warning("result refused: %s", problem, extra={"fields": _shown(result)})
            return
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
            self._on_result(pending, PackedWorkResult.FromString(whole))
        elif is_first:
            self._tasks.spawn(self._await_pieces(pending, result.part.reply_id))

    def _add(self, pending: Pending, result: Any) -> None:
        before = pending.results.remaining
        pending.add(result)
        self._waits.answered(pending, before - pending.results.remaining)

    async def _await_pieces(self, pending: Pending, reply_id: str) -> None:
        """Have a result computed again of which pieces were lost."""
        seen = 0
        while (count := pending.pieces.count(reply_id)) > seen:
            seen = count
            await asyncio.sleep(_PIECES_WITHIN_S)
        if pending.token in self._pending and count:
            log.warning("pieces of a result were lost", extra={"fields": {"reply": reply_id}})
            pending.pieces.give_up(reply_id)
            await self._publisher.publish_again(pending)

    def _on_full(self, pending: Pending) -> None:
        pool = pending.lane.pool
        waiting = sum(
            each.results.remaining for each in self._pending.values() if each.lane.pool == pool
        )
        self._metrics.refused_by_broker()
        pending.fail(self._waits.refused(pool, waiting))


def _shown(result: Any) -> Mapping[str, object]:
    return {"request_id": result.request_id[:128], "worker_id": result.worker_id[:128]}


def _outcome_of(result: Any) -> str:
    if not result.HasField("error"):
        return "answered"
    dead = result.error.reason == ErrorReason.ERROR_REASON_DELIVERY_EXHAUSTED
    return "dead_lettered" if dead else "failed"


def _is_dead(pending: Pending) -> bool:
    """Whether a dead letter still refers to the request's payload."""
    return any(_outcome_of(result) == "dead_lettered" for result in pending.results.chosen)

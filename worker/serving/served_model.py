"""One model while it is served: messages in, inputs through the engines, replies out.

PullConsumer ─► Delivery ─► Preparation ─► Runner ─► Job.put ─► reply ─► ack (Outcomes)
                   │ past its deadline, or nobody waits: acknowledged, not computed
                   │ delivered before: taken apart, item by item
                   └ cannot be read: terminated
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from servicekit import logs
from servicekit.subjects import Lane, Queue
from servicekit.tasks import Tasks
from sie.registry.v1.model_pb2 import Model
from worker.batching.device import Share
from worker.batching.engine_health import EngineHealth
from worker.batching.run_spans import trace_run
from worker.batching.runner import Computed, Waiting
from worker.batching.runners import Runners
from worker.engine import OutOfMemoryError
from worker.hosting.loading import LoadedModel
from worker.metrics import ServingMetrics
from worker.queue.appetite import Appetite
from worker.queue.delivery import Delivery, read_item, terminate
from worker.queue.in_hand import InHand
from worker.queue.intake import Intake
from worker.queue.isolation import isolate
from worker.queue.pulls import Pulls
from worker.serving.outcomes import Outcomes
from worker.serving.preparation import Preparation
from worker.verbs.job import Job
from worker.verbs.jobs import job_of

log = logging.getLogger(__name__)

_ISOLATION_RETRY_S = 1.0


class ServedModel:
    """A loaded model with its queue, its consumer and its jobs.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        worker_id: who answers.
        model: the definition it was loaded from.
        loaded: the model.
        share: its turns on the device.
        relieve: see Runner.
        intake: what else a work item may need before it is computed.

    Attributes:
        runners: what computes its inputs.
        used_at: when it had work last, seconds, monotonic.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        worker_id: str,
        model: Model,
        loaded: LoadedModel,
        share: Share,
        relieve: Callable[[], None],
        intake: Intake,
    ) -> None:
        self._nats = client
        self._intake = intake
        self._worker_id = worker_id
        self._model = model
        self._loaded = loaded
        self._metrics = ServingMetrics(model.model_id)
        self._in_hand = InHand()
        self._tasks = Tasks()
        self.used_at = time.monotonic()
        self._relieve = relieve
        self.runners = Runners(
            model, loaded, share, self._on_batch, self._on_expired, self._relieve_run
        )
        self._appetite = Appetite(loaded, self.runners, self._in_hand)
        self._health = EngineHealth()
        self._outcomes = Outcomes(model.model_id, self._metrics, self._in_hand, self._on_end)
        self._preparation = Preparation(
            partial(job_of, model, loaded),
            intake.payloads,
            self.runners,
            self._appetite,
            self._metrics,
            self._outcomes,
            self._tasks,
            self._top_up,
        )
        self._pulls = self._pulls_in(lane)
        self._starting: asyncio.Task[None] | None = None
        self._closing = False

    @property
    def engine_name(self) -> str:
        return self._loaded.engine.name

    @property
    def tokens_per_second(self) -> float:
        """Speed lately, over all streams."""
        return self._appetite.tokens_per_second

    @property
    def broken(self) -> bool:
        """Whether its engine fails whatever it is given."""
        return self._health.broken

    @property
    def in_use(self) -> bool:
        """Whether there is work in hand."""
        return bool(self._in_hand)

    async def start(self) -> None:
        """Begin to pull; return when the work queue is there, or the model moves elsewhere."""
        self._starting = self._tasks.spawn(self._pulls.start())
        await asyncio.wait([self._starting])
        if not self._starting.cancelled():
            self._starting.result()

    async def move(self, lane: Lane) -> None:
        """Pull the work of another lane; what is in hand of the old one is answered as well."""
        if self._closing:
            return
        left, self._pulls = self._pulls, self._pulls_in(lane)
        if self._starting is None:
            return
        self._starting.cancel()
        # A broker that is away takes the subscription with it.
        with suppress(NatsError):
            await left.drain()
        self._starting = self._tasks.spawn(self._pulls.start())

    async def close(self) -> None:
        """Stop pulling, answer everything in hand, and release the engine."""
        self._closing = True
        if self._starting is not None:
            self._starting.cancel()
        await self._pulls.drain()
        await self._in_hand.emptied()
        await self._tasks.finish()
        await self.runners.close()

    async def tick(self) -> None:
        """Keep what is in hand from being delivered again; called every second or so."""
        # While the broker is away nothing can be told.
        with suppress(NatsError):
            for delivery in self._in_hand:
                if not delivery.closed:
                    await delivery.progress()
        self._metrics.waiting(
            self.runners.waiting_inputs,
            self.runners.waiting_tokens,
            self.runners.oldest_wait_s(),
        )
        await self._top_up()

    def on_reconnect(self) -> None:
        """The broker came back, perhaps without its memory."""
        self._pulls.redeclare()

    def cancel(self, reply_subjects: Collection[str]) -> None:
        """Drop what is in hand for callers that have gone."""
        for delivery in self._in_hand:
            if delivery.item.reply_subject in reply_subjects and not delivery.closed:
                delivery.closed = True
                self.runners.discard(delivery)
                self._outcomes.count("cancelled")
                self._tasks.spawn(self._outcomes.end(delivery, delivery.ack()))

    def _pulls_in(self, lane: Lane) -> Pulls:
        want = {
            Queue.INTERACTIVE: partial(self._wanted, self._appetite.interactive),
            Queue.SURPLUS: partial(self._wanted, self._appetite.surplus),
            Queue.BULK: partial(self._wanted, self._appetite.bulk),
            Queue.SUSPECT: partial(self._wanted, self._appetite.suspect),
        }
        return Pulls(self._nats, lane, self._model.model_id, self._on_message, want)

    def _wanted(self, appetite: Callable[[], int]) -> int:
        """Return what to ask for: nothing while nobody knows how much there is in hand."""
        if self._health.broken or self._preparation.busy:
            return 0
        return appetite()

    async def _on_end(self) -> None:
        self.used_at = time.monotonic()
        await self._top_up()

    async def _top_up(self) -> None:
        # A broker that is back is asked again at the next tick.
        with suppress(NatsError):
            await self._pulls.top_up()

    def _relieve_run(self) -> None:
        """Get memory back for a run that is then tried again."""
        self._metrics.out_of_memory("retried").inc()
        self._relieve()

    async def _on_message(self, lane: Lane, queue: Queue, message: Msg) -> None:
        self.used_at = time.monotonic()
        if self._in_hand.renew(message):
            return
        try:
            item = read_item(message.data)
        except ValueError as error:
            fields = {"subject": message.subject, "detail": str(error)}
            log.warning("unreadable work item", extra={"fields": fields})
            self._outcomes.count("unreadable")
            await terminate(self._nats, message)
            return
        logs.request_id.set(item.request_id)
        age_s = self._intake.clock.age_s(message.metadata.timestamp)
        delivery = Delivery(self._nats, message, item, self._worker_id, age_s)
        try:
            await self._receive(delivery, lane, queue)
        finally:
            # The task of the subscription goes on to other requests.
            logs.request_id.set("")

    async def _receive(self, delivery: Delivery, lane: Lane, queue: Queue) -> None:
        item = delivery.item
        if item.reply_subject in self._intake.cancelled:
            self._outcomes.count("cancelled")
            await delivery.ack()
            return
        if delivery.expired:
            self._outcomes.count("expired")
            await delivery.ack()
            return
        if queue is not Queue.SUSPECT and delivery.message.metadata.num_delivered > 1:
            await self._isolate(delivery, lane)
            return
        self._in_hand.take(delivery, queue)
        self._metrics.queue_seconds.observe(delivery.timing.queue_ms / 1e3)
        delivery.begin(self._intake.tracer)
        await self._preparation.take(delivery)

    async def _isolate(self, delivery: Delivery, lane: Lane) -> None:
        """Have a work item with which a worker died computed item by item."""
        try:
            sequence = delivery.message.metadata.sequence.stream
            delivery.restamp()
            await isolate(self._nats, lane, delivery.item, sequence, delivery.trace)
        except NatsError as error:
            fields = self._outcomes.fields(delivery)
            log.warning(
                "suspect not isolated: %s",
                error or type(error).__name__,
                extra={"fields": fields},
            )
            await delivery.nak(_ISOLATION_RETRY_S)
            return
        self._outcomes.count("isolated")
        await delivery.ack()

    def _on_batch(self, computed: Computed) -> None:
        """Hand a batch's rows to their jobs, and answer those that are complete."""
        self._watch_health(computed)
        trace_run(computed, self.engine_name)
        for row, waited in enumerate(computed.inputs):
            job: Job | None = waited.owner
            if job is None or job.delivery.closed:
                continue
            began = time.perf_counter()
            if computed.error is not None:
                job.fail(waited.index, self._outcomes.engine_error(computed.error))
            else:
                self._put(job, waited.index, computed, row)
            timing = job.delivery.timing
            timing.inference_ms = max(timing.inference_ms, computed.seconds * 1000)
            timing.queue_ms = max(timing.queue_ms, (computed.started - waited.arrived) * 1000)
            timing.postprocessing_ms += (time.perf_counter() - began) * 1000
            if job.done:
                self._outcomes.count("answered")
                self._tasks.spawn(self._outcomes.end(job.delivery, job.finish()))
        self._measure(computed)

    def _put(self, job: Job, index: int, computed: Computed, row: int) -> None:
        try:
            job.put(index, computed.outputs, row)
        except Exception:
            # The others of the batch have their answers, and this caller an error, not a silence.
            fields = self._outcomes.fields(job.delivery)
            log.exception("no answer made of what the engine gave", extra={"fields": fields})
            job.fail(index, self._outcomes.inference_error("what follows the engine"))

    def _watch_health(self, computed: Computed) -> None:
        if computed.error is None:
            self._health.succeeded()
            return
        fields = {"model": self._model.model_id, "engine": self.engine_name}
        log.error("engine failed: %s", computed.error, extra={"fields": fields})
        if isinstance(computed.error, OutOfMemoryError):
            return
        if self._health.failed(canary=all(each.owner is None for each in computed.inputs)):
            self.runners.submit_canary()
        if self._health.broken:
            log.critical("the engine fails whatever it is given", extra={"fields": fields})

    def _measure(self, computed: Computed) -> None:
        if computed.error is not None:
            return
        tokens = sum(each.tokens for each in computed.inputs)
        self._metrics.ran(computed, tokens, *self.runners.fill(computed.inputs))
        self._appetite.computed(tokens, computed.seconds)

    def _on_expired(self, inputs: Sequence[Waiting]) -> None:
        """Nobody waits for these any more: leave the queue without a reply."""
        for job in {each.owner for each in inputs} - {None}:
            if not job.delivery.closed:
                job.delivery.closed = True
                self._outcomes.count("expired")
                self._tasks.spawn(self._outcomes.end(job.delivery, job.delivery.ack()))

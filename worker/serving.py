"""One model while it is served: messages in, tokens through the engine, replies out.

PullConsumer ─► Delivery ─► Job ─► tokenise ─► Runner ─► Job.put ─► reply ─► ack
                   │ past its deadline: acknowledged, not computed
                   └ cannot be read: terminated
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit.errors import SieError
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.model_pb2 import Model
from sie.work.v1.work_item_pb2 import WorkItem
from worker import metrics
from worker.consumer import PullConsumer
from worker.delivery import Delivery, terminate
from worker.encode import EncodeJob
from worker.loading import LoadedModel
from worker.prefetch import messages_wanted
from worker.runner import Computed, Runner, Text

log = logging.getLogger(__name__)

# Assumed until the first batches have been measured.
_INITIAL_TOKENS_PER_SECOND = 20_000.0
_INITIAL_TOKENS_PER_MESSAGE = 64.0
_SMOOTHING = 0.1

# Below this a text is tokenised faster than a thread is woken.
_INLINE_CHARACTERS = 4096

_CANARY = "canary"
_CANARY_DEADLINE_S = 30.0


class ServedModel:
    """A loaded model with its queue, its consumer and its jobs.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        worker_id: who answers.
        model: the definition it was loaded from.
        loaded: the model.

    """

    def __init__(
        self, client: Client, lane: Lane, worker_id: str, model: Model, loaded: LoadedModel
    ) -> None:
        self._nats = client
        self._worker_id = worker_id
        self._model = model
        self._loaded = loaded
        self._deliveries: dict[int, Delivery] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._empty = asyncio.Event()
        self._tokens_per_second = (
            loaded.cost.tokens_per_second if loaded.cost else _INITIAL_TOKENS_PER_SECOND
        )
        self._tokens_per_message = _INITIAL_TOKENS_PER_MESSAGE
        self.runner = Runner(loaded.engine, loaded.limits, self._on_batch, self._on_expired)
        self._consumer = PullConsumer(client, lane, model.model_id, self._on_message, self._want)

    @property
    def engine_name(self) -> str:
        return self._loaded.engine.name

    @property
    def tokens_per_second(self) -> float:
        """Speed lately, over all streams."""
        return self._tokens_per_second

    async def start(self) -> None:
        """Begin to pull."""
        await self._consumer.start()

    async def close(self) -> None:
        """Stop pulling, answer everything in hand, and release the engine."""
        await self._consumer.drain()
        while self._deliveries:
            self._empty.clear()
            await self._empty.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self.runner.close)
        if self._loaded.vision is not None:
            self._loaded.vision.engine.close()

    async def tick(self) -> None:
        """Keep what is in hand from being delivered again; called every second or so."""
        for delivery in list(self._deliveries.values()):
            if not delivery.closed:
                await delivery.progress()
        await self._consumer.top_up()

    def on_reconnect(self) -> None:
        """The broker came back, perhaps without its memory."""
        self._consumer.redeclare()

    def submit_canary(self) -> None:
        """Queue a text of our own, whose success shows in the runner's last_success."""
        (tokenized,) = self._loaded.tokenizer.encode([_CANARY])
        outputs = frozenset(list(self._loaded.sizes)[:1])
        deadline = time.time() + _CANARY_DEADLINE_S
        self.runner.submit([Text(tokenized, outputs, deadline, None, 0)])

    def _want(self) -> int:
        return messages_wanted(
            self._tokens_per_second, self.runner.waiting_tokens, self._tokens_per_message
        )

    async def _on_message(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        if sequence in self._deliveries:
            # Delivered again while in hand: from now on this is the one to acknowledge.
            self._deliveries[sequence].message = message
            return
        try:
            item = WorkItem.FromString(message.data)
        except DecodeError:
            log.warning("unreadable work item", extra={"fields": {"subject": message.subject}})
            self._count("unreadable")
            await terminate(self._nats, message)
            return
        delivery = Delivery(self._nats, message, item, self._worker_id)
        if delivery.expired:
            self._count("expired")
            await delivery.ack()
            return
        metrics.queue_seconds.labels(self._model.model_id).observe(delivery.timing.queue_ms / 1e3)
        self._deliveries[sequence] = delivery
        try:
            await self._begin(delivery)
        except SieError as error:
            self._count("refused")
            await self._end(delivery, delivery.fail(error))
        except Exception:
            log.exception("work item failed", extra={"fields": {"request_id": item.request_id}})
            self._count("failed")
            await self._end(delivery, delivery.fail(self._inference_error("the tokenizer")))

    async def _begin(self, delivery: Delivery) -> None:
        """Tokenise a work item and queue its texts."""
        job = self._job(delivery)
        started = time.perf_counter()
        if job.characters <= _INLINE_CHARACTERS:
            tokenized = job.tokenize()
        else:
            tokenized = await asyncio.to_thread(job.tokenize)
        delivery.timing.tokenization_ms = (time.perf_counter() - started) * 1000
        queued = [
            Text(tokenized[index], job.outputs, delivery.deadline, job, index)
            for index in job.accept(tokenized)
        ]
        tokens = sum(text.tokens for text in queued)
        self._tokens_per_message += _SMOOTHING * (tokens - self._tokens_per_message)
        self.runner.submit(queued)
        if job.done:
            self._count("refused")
            await self._end(delivery, job.finish())

    def _job(self, delivery: Delivery) -> EncodeJob:
        verb = delivery.item.WhichOneof("request")
        if verb == EncodeJob.verb and verb in self._loaded.verbs:
            return EncodeJob(delivery, self._model, self._loaded)
        raise SieError(
            ErrorReason.ERROR_REASON_NOT_IMPLEMENTED,
            f"this worker has no engine for '{verb}'",
            method=verb,
        )

    def _on_batch(self, computed: Computed) -> None:
        """Hand a batch's rows to their jobs, and answer those that are complete."""
        self._measure(computed)
        if computed.error is not None:
            log.error("engine failed: %s", computed.error)
        for row, text in enumerate(computed.texts):
            job: EncodeJob | None = text.owner
            if job is None or job.delivery.closed:
                continue
            began = time.perf_counter()
            if computed.error is not None:
                job.fail(text.index, self._inference_error("the engine"))
            else:
                job.put(text.index, computed.outputs, row)
            timing = job.delivery.timing
            timing.inference_ms = max(timing.inference_ms, computed.seconds * 1000)
            timing.queue_ms = max(timing.queue_ms, (computed.started - text.arrived) * 1000)
            timing.postprocessing_ms += (time.perf_counter() - began) * 1000
            if job.done:
                self._count("answered")
                self._spawn(self._end(job.delivery, job.finish()))

    def _measure(self, computed: Computed) -> None:
        if computed.error is not None:
            return
        model_id, rows = self._model.model_id, len(computed.texts)
        tokens = sum(text.tokens for text in computed.texts)
        padded = rows * max(text.tokens for text in computed.texts)
        metrics.batch_tokens.labels(model_id).inc(tokens)
        metrics.batch_tokens_padded.labels(model_id).inc(padded)
        metrics.batch_rows.labels(model_id).observe(rows)
        metrics.inference_seconds.labels(model_id).observe(computed.seconds)
        speed = tokens / computed.seconds * self._loaded.engine.streams
        self._tokens_per_second += _SMOOTHING * (speed - self._tokens_per_second)

    def _on_expired(self, texts: Sequence[Text]) -> None:
        """Nobody waits for these any more: leave the queue without a reply."""
        for job in {text.owner for text in texts} - {None}:
            if not job.delivery.closed:
                job.delivery.closed = True
                self._count("expired")
                self._spawn(self._end(job.delivery, job.delivery.ack()))

    async def _end(self, delivery: Delivery, last_words: Coroutine[None, None, None]) -> None:
        await last_words
        self._deliveries.pop(delivery.message.metadata.sequence.stream, None)
        if not self._deliveries:
            self._empty.set()
        await self._consumer.top_up()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _count(self, outcome: str) -> None:
        metrics.work_items.labels(self._model.model_id, outcome).inc()

    def _inference_error(self, part: str) -> SieError:
        model_id = self._model.model_id
        return SieError(
            ErrorReason.ERROR_REASON_INFERENCE_ERROR,
            f"{part} of model '{model_id}' failed on this input",
            model=model_id,
        )

"""From a work item in hand to inputs that wait for the engine.

payload fetched ─► Job.prepare, on the event loop or in a thread ─► Runners.submit
    └ refused, or failed: answered with the error
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from servicekit.errors import SieError
from servicekit.payloads import PayloadStore
from servicekit.tasks import Tasks
from worker.batching.packing import Input
from worker.batching.runner import Waiting
from worker.batching.runners import Runners
from worker.metrics import ServingMetrics
from worker.queue.appetite import Appetite
from worker.queue.delivery import Delivery
from worker.queue.isolation import with_request
from worker.serving.outcomes import Outcomes
from worker.verbs.job import Job

log = logging.getLogger(__name__)

# Below this, in bytes, an item is prepared faster than a thread is woken.
_INLINE_SIZE = 4096
# Larger work items are prepared so many at a time, beside the small ones.
_PREPARED_AT_ONCE = 2


class Preparation:
    """Prepares the work items of one model.

    Args:
        job_of: makes the job of a work item; raises SieError where there is none.
        payloads: holds requests that are too large for a message.
        runners: where inputs go.
        appetite: is told how much they are.
        metrics: of the model.
        outcomes: how those end that come no further.
        tasks: what goes on beside the subscription.
        free: called when a large work item is done.

    """

    def __init__(
        self,
        job_of: Callable[[Delivery], Job],
        payloads: PayloadStore,
        runners: Runners,
        appetite: Appetite,
        metrics: ServingMetrics,
        outcomes: Outcomes,
        tasks: Tasks,
        free: Callable[[], Awaitable[None]],
    ) -> None:
        self._job_of = job_of
        self._payloads = payloads
        self._runners = runners
        self._appetite = appetite
        self._metrics = metrics
        self._outcomes = outcomes
        self._tasks = tasks
        self._free = free
        self._large = 0
        self._turns = asyncio.Semaphore(_PREPARED_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether nobody knows how much there is in hand."""
        return self._large >= _PREPARED_AT_ONCE

    async def take(self, delivery: Delivery) -> None:
        """Prepare a work item; return when it is done, or goes on beside the caller."""
        if len(delivery.message.data) > _INLINE_SIZE or delivery.item.HasField("payload"):
            # Those behind it in the subscription would wait, and seem to have killed a worker.
            self._tasks.spawn(self._take_large(delivery))
        else:
            await self._take(delivery)

    async def _take_large(self, delivery: Delivery) -> None:
        self._large += 1
        try:
            async with self._turns:
                if not delivery.closed:
                    await self._take(delivery)
        finally:
            self._large -= 1
        await self._free()

    async def _take(self, delivery: Delivery) -> None:
        try:
            await self._begin(delivery)
        except SieError as error:
            self._outcomes.count("refused")
            await self._outcomes.end(delivery, delivery.fail(error))
        except Exception:
            log.exception("work item failed", extra={"fields": self._outcomes.fields(delivery)})
            self._outcomes.count("failed")
            failed = self._outcomes.inference_error("the tokenizer")
            await self._outcomes.end(delivery, delivery.fail(failed))

    async def _begin(self, delivery: Delivery) -> None:
        if delivery.item.HasField("payload"):
            payload = await self._payloads.get(delivery.item.payload.key)
            with_request(delivery.item, payload)
        job = self._job_of(delivery)
        inputs = await self._inputs(job)
        outputs, flow = job.outputs, delivery.flow
        queued = [
            Waiting(prepared, outputs, delivery.deadline, job, index, flow)
            for index, prepared in inputs
        ]
        tokens = sum(each.tokens for each in queued)
        delivery.input_tokens = tokens
        self._appetite.received(delivery.queue, tokens)
        if delivery.closed:
            return  # Its caller went away meanwhile.
        self._runners.submit(queued)
        if job.done:
            # What needs no engine has its answers by now; anything else has been refused.
            self._outcomes.count("refused" if job.outputs else "answered")
            await self._outcomes.end(delivery, job.finish())

    async def _inputs(self, job: Job) -> Sequence[tuple[int, Input]]:
        """Have the job prepare, in a thread if there is much of it."""
        delivery, started = job.delivery, time.perf_counter()
        with delivery.span.child("tokenise"):
            if job.size <= _INLINE_SIZE:
                inputs = job.prepare()
            else:
                inputs = await asyncio.to_thread(job.prepare)
        seconds = time.perf_counter() - started
        delivery.timing.tokenization_ms = seconds * 1000
        self._metrics.tokenize_seconds.observe(seconds)
        return inputs

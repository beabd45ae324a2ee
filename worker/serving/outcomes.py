"""How the work items of one model end: answered or not, counted, and no longer in hand."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Coroutine

from nats.errors import Error as NatsError

from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from worker.engine import OutOfMemoryError
from worker.metrics import ServingMetrics
from worker.queue.delivery import Delivery
from worker.queue.in_hand import InHand

log = logging.getLogger(__name__)

_MEMORY_RETRY_S = 5.0


class Outcomes:
    """The ends of work items, and the errors that callers get from what failed.

    Args:
        model_id: the model.
        metrics: where ends are counted.
        in_hand: what has not ended yet.
        ended: called when one has.

    """

    def __init__(
        self,
        model_id: str,
        metrics: ServingMetrics,
        in_hand: InHand,
        ended: Callable[[], Awaitable[None]],
    ) -> None:
        self._model_id = model_id
        self._metrics = metrics
        self._in_hand = in_hand
        self._ended = ended

    def fields(self, delivery: Delivery) -> dict[str, object]:
        """Return what a line of the log says of a work item."""
        return {"model": self._model_id, "request_id": delivery.item.request_id}

    def count(self, outcome: str) -> None:
        """Count one by how it ended."""
        self._metrics.work_items(outcome).inc()

    async def end(self, delivery: Delivery, last_words: Coroutine[None, None, None]) -> None:
        """Say the last words to the broker, and let go of the work item."""
        try:
            with delivery.span, delivery.span.child("reply"):
                await last_words
        except NatsError as error:
            # Without its ack it is delivered again, to whoever can answer it.
            log.warning(
                "work item not answered: %s",
                error or type(error).__name__,
                extra={"fields": self.fields(delivery)},
            )
        finally:
            self._metrics.item_seconds.observe(time.time() - delivery.item.published_unix_us / 1e6)
            self._in_hand.forget(delivery)
        await self._ended()

    def engine_error(self, error: Exception) -> SieError:
        """Return what a caller is told whose input the engine failed on."""
        if not isinstance(error, OutOfMemoryError):
            return self.inference_error("the engine")
        self._metrics.out_of_memory("failed").inc()
        return SieError(
            ErrorReason.ERROR_REASON_RESOURCE_EXHAUSTED,
            f"model '{self._model_id}' ran out of memory on this input alone",
            retry_after_s=_MEMORY_RETRY_S,
        )

    def inference_error(self, part: str) -> SieError:
        """Return what a caller is told when a part of the model failed on its input."""
        return SieError(
            ErrorReason.ERROR_REASON_INFERENCE_ERROR,
            f"{part} of model '{self._model_id}' failed on this input",
            model=self._model_id,
        )

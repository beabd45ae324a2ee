"""What batches do, for Prometheus.

A batch is counted by the gateway whose commit moved it on, so counters add up over gateways. How
many have not ended every gateway reads from the records: take the maximum of that, not the sum.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as CounterMetric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from gateway.batches.outcome import ENDED
from gateway.batches.records import Key, created_at
from sie.batch.v1.batch_pb2 import BatchStatus
from sie.batch.v1.record_pb2 import BatchRecord

_NAMES = {
    status: name.removeprefix("BATCH_STATUS_").lower()
    for name, status in BatchStatus.items()
    if status != BatchStatus.BATCH_STATUS_UNSPECIFIED
}
_IN_HAND = [status for status in _NAMES if status not in ENDED]


class BatchMetrics:
    """Counts what commits change; every series is there from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ended = CounterMetric(
            "sie_gateway_batches_ended",
            "Batches by how they ended: failed, completed, expired, cancelled",
            ["status"],
            registry=registry,
        )
        requests = CounterMetric(
            "sie_gateway_batch_requests",
            "Requests of batches that are done, with a result or with an error",
            ["outcome"],
            registry=registry,
        )
        size = CounterMetric(
            "sie_gateway_batch_bytes",
            "Bytes of batches: of the requests that are done, and of what they became",
            ["direction"],
            registry=registry,
        )
        self._ended = {status: ended.labels(_NAMES[status]) for status in ENDED}
        self._completed = requests.labels("completed")
        self._failed = requests.labels("failed")
        self._input = size.labels("input")
        self._output = size.labels("output")

    def changed(self, before: BatchRecord, after: BatchRecord) -> None:
        """Counts a change of a record that was written."""
        was, now = before.batch.request_counts, after.batch.request_counts
        self._completed.inc(now.completed - was.completed)
        self._failed.inc(now.failed - was.failed)
        self._input.inc(after.bytes_done - before.bytes_done)
        self._output.inc(_written(after) - _written(before))
        if after.batch.status != before.batch.status and after.batch.status in ENDED:
            self._ended[after.batch.status].inc()


class BatchGauges(Collector):
    """Batches that have not ended; computed when it is scraped.

    Args:
        unended: of all gateways.
        running: how far those are that this gateway runs.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        unended: Callable[[], Sequence[Key]],
        running: Callable[[], Iterable[BatchStatus]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._unended = unended
        self._running = running
        self._clock = clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        unended, now = self._unended(), self._clock()
        yield GaugeMetricFamily(
            "sie_gateway_batches_unended",
            "Batches that have not ended, run or waiting; the same on every gateway that runs any",
            value=len(unended),
        )
        oldest = min((created_at(key.id) for key in unended), default=now)
        yield GaugeMetricFamily(
            "sie_gateway_batch_oldest_age_seconds",
            "Age of the oldest batch that has not ended; the same on every gateway that runs any",
            value=max(0.0, now - oldest),
        )
        gauge = GaugeMetricFamily(
            "sie_gateway_batches_running",
            "Batches that this gateway runs, by how far they are",
            labels=["status"],
        )
        counted = Counter[int](self._running())
        for status in _IN_HAND:
            gauge.add_metric([_NAMES[status]], float(counted[status]))
        yield gauge


def _written(record: BatchRecord) -> int:
    return sum(piece.size_bytes for piece in (*record.output, *record.errors))

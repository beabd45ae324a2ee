"""What goes to the queue and comes back, from the gateway's point of view.

Items add up:

accepted = answered + failed + dead_lettered + expired + cancelled + refused + in flight
"""

import functools

from prometheus_client import CollectorRegistry, Counter, Histogram

from servicekit.bounded_labels import BoundedLabels

OUTCOMES = ("answered", "failed", "dead_lettered", "expired", "cancelled", "refused")

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096)


class WorkMetrics:
    """Items that went to the queue, how they ended, and what that took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        accepted = Counter(
            "sie_gateway_work_items_accepted",
            "Items handed to the work queue",
            ["pool"],
            registry=registry,
        )
        ended = Counter(
            "sie_gateway_work_items_ended",
            f"Items by how they ended: {', '.join(OUTCOMES)}",
            ["pool", "outcome"],
            registry=registry,
        )
        tokens = Counter(
            "sie_gateway_input_tokens",
            "Tokens computed, after truncation: what quotas count",
            ["model", "tenant"],
            registry=registry,
        )
        publish_seconds = Histogram(
            "sie_gateway_queue_publish_seconds",
            "Time to hand a request's items to the broker",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )
        items_published = Histogram(
            "sie_gateway_queue_items_published",
            "Items of a request",
            ["operation"],
            buckets=_ITEMS,
            registry=registry,
        )
        result_wait_seconds = Histogram(
            "sie_gateway_queue_result_wait_seconds",
            "From the publication of a request's items to the last of their results",
            ["operation"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._offloads = Counter(
            "sie_gateway_queue_payload_offloads",
            "Messages that went through the payload store, being too large for the broker",
            registry=registry,
        )
        self._ack_failures = Counter(
            "sie_gateway_queue_ack_failures",
            "Messages that the broker refused to store",
            registry=registry,
        )
        # Looking children up costs more than counting.
        self._accepted = functools.cache(accepted.labels)
        self._ended = functools.cache(ended.labels)
        self._publish_seconds = functools.cache(publish_seconds.labels)
        self._items_published = functools.cache(items_published.labels)
        self._result_wait_seconds = functools.cache(result_wait_seconds.labels)
        self._tokens = BoundedLabels(tokens)

    def accepted(self, pool: str, items: int) -> None:
        self._accepted(pool).inc(items)

    def ended(self, pool: str, outcome: str, items: int) -> None:
        if items:
            self._ended(pool, outcome).inc(items)

    def published(self, operation: str, items: int, seconds: float) -> None:
        self._items_published(operation).observe(items)
        self._publish_seconds(operation).observe(seconds)

    def waited(self, operation: str, seconds: float) -> None:
        self._result_wait_seconds(operation).observe(seconds)

    def tokens(self, model_id: str, tenant: str, tokens: int) -> None:
        if tokens:
            self._tokens(model_id, tenant).inc(tokens)

    def offloaded(self, messages: int) -> None:
        self._offloads.inc(messages)

    def refused_by_broker(self) -> None:
        self._ack_failures.inc()

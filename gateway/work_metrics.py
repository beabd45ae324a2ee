"""Counts of items from the queue's point of view; they add up.

accepted = answered + failed + dead_lettered + expired + cancelled + refused + in flight
"""

import functools

from prometheus_client import CollectorRegistry, Counter

OUTCOMES = ("answered", "failed", "dead_lettered", "expired", "cancelled", "refused")


class WorkMetrics:
    """Items that went to the queue, and how they ended."""

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
        # Looking children up costs more than counting.
        self._accepted = functools.cache(accepted.labels)
        self._ended = functools.cache(ended.labels)

    def accepted(self, pool: str, items: int) -> None:
        self._accepted(pool).inc(items)

    def ended(self, pool: str, outcome: str, items: int) -> None:
        if items:
            self._ended(pool, outcome).inc(items)

"""Children of a metric with labels that come with requests, no more of them than is good."""

from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

M = TypeVar("M", bound=MetricWrapperBase)

OTHER = "other"


class BoundedLabels(Generic[M]):
    """Finds children, and keeps them: looking them up costs more than counting.

    Args:
        metric: with labels.
        most: so many combinations have series of their own; the rest share one, `other`.
    """

    def __init__(self, metric: M, most: int = 1000) -> None:
        self._metric = metric
        self._most = most
        self._children: dict[tuple[str, ...], M] = {}

    def __call__(self, *values: str) -> M:
        """The child for these values of the labels."""
        child = self._children.get(values)
        if child is None:
            if len(self._children) >= self._most:
                return self._metric.labels(*[OTHER] * len(values))
            child = self._metric.labels(*values)
            self._children[values] = child
        return child

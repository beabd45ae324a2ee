"""Requests that were not served for want of capacity, counted for operators and autoscalers."""

from prometheus_client import CollectorRegistry, Counter

from servicekit.errors import SieError
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason

# Under the names by which autoscalers of this field tell them apart. A deadline that passed is
# not among them: it may have been too short.
_REASONS: dict[int, str] = {
    ErrorReason.ERROR_REASON_GPU_NOT_CONFIGURED: "gpu_not_configured",
    ErrorReason.ERROR_REASON_QUEUE_FULL: "backpressure",
    ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE: "queue_unavailable",
    ErrorReason.ERROR_REASON_RESOURCE_EXHAUSTED: "resource_exhausted",
    ErrorReason.ERROR_REASON_MODEL_LOADING: "upstream_model_loading",
}


class Refusals:
    """Counts them by where they wanted to go.

    Args:
        registry: holds the metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._provisioning = Counter(
            "sie_gateway_provisioning_responses_total",
            "Requests that found no worker in their lane and were told to come back",
            ["machine_profile"],
            registry=registry,
        )
        self._rejected = Counter(
            "sie_gateway_rejected_requests_total",
            "Requests refused for want of capacity, by reason",
            ["machine_profile", "bundle", "reason"],
            registry=registry,
        )

    def provisioning(self, lane: Lane) -> None:
        """A request found no worker in the lane."""
        self._provisioning.labels(lane.machine_profile).inc()

    def rejected(self, error: SieError, lane: Lane) -> None:
        """A request of the lane failed; counts if capacity was the reason."""
        if reason := _REASONS.get(error.reason):
            self._rejected.labels(lane.machine_profile, lane.bundle, reason).inc()

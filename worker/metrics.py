"""What a worker measures. Label sets are bounded: models that are hosted here."""

import functools

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

batch_tokens = Counter("sie_worker_batch_tokens", "Tokens computed, without padding", ["model"])
batch_tokens_padded = Counter(
    "sie_worker_batch_tokens_padded", "Tokens computed, with padding", ["model"]
)
batch_rows = Histogram(
    "sie_worker_batch_rows", "Texts in a batch", ["model"], buckets=(1, 2, 4, 8, 16, 32, 64, 128)
)
inference_seconds = Histogram(
    "sie_worker_inference_seconds", "Time of a batch in the engine", ["model"], buckets=_SECONDS
)
queue_seconds = Histogram(
    "sie_worker_queue_wait_seconds",
    "From the gateway's publish to the worker's hands",
    ["model"],
    buckets=_SECONDS,
)
work_items = Counter("sie_worker_work_items", "Work items by how they ended", ["model", "outcome"])
model_load_seconds = Gauge(
    "sie_worker_model_load_seconds", "Time of each phase of the last load", ["model", "phase"]
)
model_memory_bytes = Gauge(
    "sie_worker_model_memory_bytes", "Memory that a loaded model takes", ["model"]
)
model_fetched_bytes = Gauge(
    "sie_worker_model_fetched_bytes", "Bytes of a model's files brought here so far", ["model"]
)
model_fetch_total_bytes = Gauge(
    "sie_worker_model_fetch_total_bytes",
    "Bytes of a model's files that were to be fetched",
    ["model"],
)
model_load_failures = Counter(
    "sie_worker_model_load_failures", "Loads that failed, by error class", ["model", "error_class"]
)
model_evictions = Counter(
    "sie_worker_model_evictions", "Models let go, by why", ["model", "reason"]
)
memory_budget_bytes = Gauge(
    "sie_worker_memory_budget_bytes", "What all models together may take; 0 is no bound"
)
engine_run_seconds = Gauge(
    "sie_worker_engine_run_seconds", "What a run costs beside its tokens", ["model", "engine"]
)
engine_token_seconds = Gauge(
    "sie_worker_engine_token_seconds", "What a token costs in a run", ["model", "engine"]
)
batch_max_tokens = Gauge(
    "sie_worker_batch_max_tokens", "Tokens in a batch at most, with padding", ["model", "engine"]
)


class ServingMetrics:
    """One model's part of what is measured for each work item and each batch.

    Label children are kept: looking them up costs more than counting.

    Args:
        model_id: the model.

    """

    def __init__(self, model_id: str) -> None:
        self.batch_tokens = batch_tokens.labels(model_id)
        self.batch_tokens_padded = batch_tokens_padded.labels(model_id)
        self.batch_rows = batch_rows.labels(model_id)
        self.inference_seconds = inference_seconds.labels(model_id)
        self.queue_seconds = queue_seconds.labels(model_id)
        self.work_items = functools.cache(functools.partial(work_items.labels, model_id))

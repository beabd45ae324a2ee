"""What a worker measures. Label sets are bounded: models that are hosted here."""

import functools

from prometheus_client import Counter, Gauge, Histogram

from servicekit.bounded_labels import BoundedLabels
from worker.batching.runner import Computed

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

batch_tokens = Counter("sie_worker_batch_tokens", "Tokens computed, without padding", ["model"])
batch_tokens_padded = Counter(
    "sie_worker_batch_tokens_padded", "Tokens computed, with padding", ["model"]
)
batch_fill = Histogram(
    "sie_worker_batch_fill_ratio",
    "Tokens of a batch, with padding, of those that it may have",
    ["model"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
)
batch_wait_seconds = Histogram(
    "sie_worker_batch_wait_seconds",
    "From the worker's hands to the run, of the oldest in a batch",
    ["model"],
    buckets=_SECONDS,
)
tokenize_seconds = Histogram(
    "sie_worker_tokenize_seconds",
    "Time to make inputs of a work item",
    ["model"],
    buckets=_SECONDS,
)
item_seconds = Histogram(
    "sie_worker_work_item_seconds",
    "From the gateway's publish to the worker's reply",
    ["model"],
    buckets=_SECONDS,
)
device_seconds = Counter(
    "sie_worker_device_seconds",
    "Time of runs in the engine, shared by their tokens; padding is everybody's",
    ["model", "tenant"],
)
input_tokens = Counter(
    "sie_worker_input_tokens", "Tokens computed, without padding", ["model", "tenant"]
)
queue_age_seconds = Gauge(
    "sie_worker_queue_age_seconds", "How long the oldest waiting input has waited", ["model"]
)
queue_inputs = Gauge("sie_worker_queue_inputs", "Inputs that wait for the engine", ["model"])
queue_tokens = Gauge("sie_worker_queue_tokens", "Their tokens", ["model"])
out_of_memory = Counter(
    "sie_worker_out_of_memory",
    "Runs for which memory did not suffice: retried, or failed on one input alone",
    ["model", "outcome"],
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
start_seconds = Gauge(
    "sie_worker_start_seconds",
    "Time of each phase from the start of the process until the worker was ready",
    ["phase"],
)
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
broker_connected = Gauge("sie_worker_broker_connected", "1 while the broker can be reached")
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


# Tenants come with requests.
_device_seconds = BoundedLabels(device_seconds)
_input_tokens = BoundedLabels(input_tokens)


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
        self.batch_fill = batch_fill.labels(model_id)
        self.batch_wait_seconds = batch_wait_seconds.labels(model_id)
        self.tokenize_seconds = tokenize_seconds.labels(model_id)
        self.item_seconds = item_seconds.labels(model_id)
        for outcome in ("retried", "failed"):
            out_of_memory.labels(model_id, outcome)
        self.out_of_memory = functools.partial(out_of_memory.labels, model_id)
        self._model_id = model_id
        self._queue = tuple(
            gauge.labels(model_id) for gauge in (queue_inputs, queue_tokens, queue_age_seconds)
        )
        self.work_items = functools.cache(functools.partial(work_items.labels, model_id))

    def ran(self, computed: Computed, tokens: int, padded: int, fill: float) -> None:
        """Take note of a run that answered.

        Args:
            computed: the batch.
            tokens: of its inputs.
            padded: what it computed, padding included.
            fill: `padded` of what a batch may have, 0 to 1.

        """
        self.batch_tokens.inc(tokens)
        self.batch_tokens_padded.inc(padded)
        self.batch_rows.observe(len(computed.inputs))
        self.batch_fill.observe(fill)
        self.inference_seconds.observe(computed.seconds)
        self.batch_wait_seconds.observe(
            computed.started - min(each.arrived for each in computed.inputs)
        )
        for each in computed.inputs:
            if each.owner is not None:
                self._charge(each.flow.tenant, each.tokens, computed.seconds * each.tokens / tokens)

    def waiting(self, inputs: int, tokens: int, oldest_s: float) -> None:
        """Show what waits for the engine."""
        for gauge, value in zip(self._queue, (inputs, tokens, oldest_s), strict=True):
            gauge.set(value)

    def _charge(self, tenant: str, tokens: int, seconds: float) -> None:
        """Put an input's part of a run down to its tenant."""
        _input_tokens(self._model_id, tenant).inc(tokens)
        _device_seconds(self._model_id, tenant).inc(seconds)

"""What is worth knowing about a model that was loaded: in metrics, and in one line of the log."""

from __future__ import annotations

import logging

from worker import metrics
from worker.hosting.loading import LoadedModel

log = logging.getLogger(__name__)


def record_load(model_id: str, loaded: LoadedModel) -> None:
    """Record how long the phases took, which engine was chosen and why, and what its runs cost."""
    for phase, seconds in loaded.seconds.items():
        metrics.model_load_seconds.labels(model_id, phase).set(seconds)
    fields: dict[str, object] = {"model": model_id, "engine": loaded.engine.name}
    fields |= {f"{name}_s": round(seconds, 3) for name, seconds in loaded.seconds.items()}
    if loaded.choice is not None:
        fields["graph"] = str(loaded.choice.form)
        fields["chosen"] = loaded.choice.reason
    if loaded.layout is not None:
        fields["row_tokens"] = loaded.layout.row_tokens
        fields["layout"] = loaded.layout.reason
    log.info("model loaded", extra={"fields": fields | _cost(model_id, loaded)})


def _cost(model_id: str, loaded: LoadedModel) -> dict[str, object]:
    labels = (model_id, loaded.engine.name)
    metrics.batch_max_tokens.labels(*labels).set(loaded.limits.max_tokens)
    fields: dict[str, object] = {
        "batch_max_tokens": loaded.limits.max_tokens,
        "run_cost_tokens": loaded.limits.run_cost_tokens,
    }
    if loaded.cost is not None:
        metrics.engine_run_seconds.labels(*labels).set(loaded.cost.run)
        metrics.engine_token_seconds.labels(*labels).set(loaded.cost.token)
        fields["run_ms"] = round(loaded.cost.run * 1e3, 3)
        fields["token_us"] = round(loaded.cost.token * 1e6, 2)
    return fields

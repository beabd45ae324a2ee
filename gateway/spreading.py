"""Second hosts of a model: what makes a worker useful that came because work was waiting.

A model is offered to a lane when nobody hosts it, so by itself it stays with one worker. A worker
that has had nothing to do for a while, beside more waiting items of a model than its hosts are
meant to have, is offered the model as well.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

# By which autoscalers reckon too: a worker comes for every ten items that wait.
_ITEMS_PER_HOST = 10
# A queue that empties sooner needs nobody else; a model that is loaded may cost another its place.
_PATIENCE_S = 2.0


class Crowd(NamedTuple):
    """What waits for a model in a lane, and how many workers of it host or load the model."""

    items: int
    hosts: int


class Spreading:
    """Which workers are to help; pure, with time passed in as monotonic seconds."""

    def __init__(self) -> None:
        # Since when a worker has stood idle beside the queue of a model, by both ids.
        self._since: dict[str, dict[str, float]] = {}

    def wanted(self, worker: WorkerStatus, crowds: Mapping[str, Crowd], now: float) -> list[str]:
        """Models that a worker should host too; asked whenever it tells how it stands."""
        earlier = self._since.pop(worker.worker_id, {})
        beside = {
            model_id: earlier.get(model_id, now)
            for model_id, crowd in crowds.items()
            if crowd.items > _ITEMS_PER_HOST * crowd.hosts
        }
        if not beside or not _is_idle(worker):
            return []
        self._since[worker.worker_id] = beside
        known = {entry.model_id for entry in worker.models}
        due = [each for each, since in beside.items() if now - since >= _PATIENCE_S]
        return [model_id for model_id in due if model_id not in known]


def _is_idle(worker: WorkerStatus) -> bool:
    is_busy = any(
        entry.queued_items or entry.state == ModelState.MODEL_STATE_LOADING
        for entry in worker.models
    )
    return worker.state == WorkerState.WORKER_STATE_READY and not is_busy

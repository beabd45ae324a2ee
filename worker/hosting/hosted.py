"""One model on a worker, as the heartbeat, placement and those who offer it see it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from servicekit.errors import SieError, proto_of
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, LoadPhase, LoadProgress
from worker.hosting.placement import Resident
from worker.serving.served_model import ServedModel
from worker.sources import Progress

_LOADING = ModelState.MODEL_STATE_LOADING
_FAILED = ModelState.MODEL_STATE_FAILED


@dataclass(slots=True, eq=False)
class Hosted:
    """A model on this worker.

    Attributes:
        model: the definition it is loaded from.
        progress: of its fetch.
        state: where it stands.
        phase: what is done for it while it is loading.
        served: it, from when its engine is open until it is let go.
        memory_bytes: what it takes, as measured.
        loaded_at: when it was loaded, seconds, monotonic.
        error: why it could not be loaded.
        retry_at: when trying again may help, seconds, monotonic.
        loading: ends when it is loaded or has failed.
        unloading: ends when it is gone.

    """

    model: Model
    progress: Progress
    state: ModelState = _LOADING
    phase: LoadPhase = LoadPhase.LOAD_PHASE_FETCHING
    served: ServedModel | None = None
    memory_bytes: int = 0
    loaded_at: float = 0.0
    error: SieError | None = None
    retry_at: float | None = None
    loading: asyncio.Task[None] | None = field(default=None)
    unloading: asyncio.Task[None] | None = field(default=None)

    @property
    def model_id(self) -> str:
        return str(self.model.model_id)

    @property
    def is_patient(self) -> bool:
        """Whether its load waits for something that may never come, and can be given up."""
        return self.phase == LoadPhase.LOAD_PHASE_WAITING or self.served is not None

    def why_not(self, model: Model) -> str:
        """Return why this definition is not to be loaded now, or nothing."""
        if self.unloading is not None:
            return "the model is being unloaded"
        if self.model == model:
            return "the model could not be loaded" if self.state == _FAILED else "already here"
        return "" if self.state == _FAILED else "another definition of the model is here"

    def resident(self, pinned: Collection[str]) -> Resident | None:
        """Return what placement looks at; None while it takes no memory."""
        if self.served is None:
            return None
        return Resident(
            self.model_id,
            self.memory_bytes,
            self.loaded_at,
            self.served.used_at,
            self.served.in_use,
            self.model_id in pinned,
        )

    def describe(self) -> HostedModel:
        """Return its entry of the heartbeat."""
        entry = HostedModel(model_id=self.model_id, state=self.state)
        if self.state == _FAILED and self.error is not None:
            entry.last_error.CopyFrom(proto_of(self.error))
        if self.state == _LOADING:
            entry.progress.CopyFrom(self._progress())
        if self.served is not None:
            entry.engine = self.served.engine_name
            entry.memory_bytes = self.memory_bytes
            entry.queued_items = self.served.runners.waiting_inputs
            entry.queued_tokens = self.served.runners.waiting_tokens
            entry.tokens_per_second = self.served.tokens_per_second
        return entry

    def _progress(self) -> LoadProgress:
        return LoadProgress(
            phase=self.phase,
            fetched_bytes=self.progress.done_bytes,
            total_bytes=self.progress.total_bytes,
        )

"""The models of one worker: adopted, loaded, served, let go.

adopt ─► loading ─┬─► loaded ─► unloading
                  └─► failed   the error stays until the model's definition changes
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client

from servicekit.errors import SieError, proto_of
from servicekit.subjects import Lane
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel
from worker.checkpoint import CheckpointError
from worker.encode_settings import output_for
from worker.engines.choose import AUTO
from worker.load_report import record_load
from worker.loading import LoadedModel, load
from worker.serving import ServedModel
from worker.sources import SourceError, locate

log = logging.getLogger(__name__)

# An unchanged engine is proved alive by its own work, or else by a canary this often.
_CANARY_EVERY_S = 5.0
# A run that takes longer than this never ends.
_STUCK_AFTER_S = 60.0

_LOADING = ModelState.MODEL_STATE_LOADING
_LOADED = ModelState.MODEL_STATE_LOADED
_UNLOADING = ModelState.MODEL_STATE_UNLOADING
_FAILED = ModelState.MODEL_STATE_FAILED


@dataclass(slots=True)
class _Hosted:
    """A model on this worker."""

    model: Model
    state: ModelState
    served: ServedModel | None = None
    error: SieError | None = None
    attempts: int = 1
    loading: asyncio.Task[None] | None = field(default=None)


class ModelHost:
    """Loads and serves models.

    Args:
        client: connection to the broker.
        lane: the worker's lane.
        worker_id: who answers.
        cache_dir: where compiled engines are kept.
        on_change: called when a model's state changes.
        engine: the engine of every model, or `auto`.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        worker_id: str,
        cache_dir: Path,
        on_change: Callable[[], None],
        engine: str = AUTO,
    ) -> None:
        self._nats = client
        self._lane = lane
        self._worker_id = worker_id
        self._cache_dir = cache_dir
        self._on_change = on_change
        self._engine = engine
        self._hosted: dict[str, _Hosted] = {}

    def adopt(self, model: Model) -> str:
        """Begin to load a model; return why not, or nothing if it is being loaded now."""
        hosted = self._hosted.get(model.model_id)
        if hosted is not None and hosted.model == model:
            return "the model could not be loaded" if hosted.state == _FAILED else "already here"
        if hosted is not None and hosted.state == _UNLOADING:
            return "the model is being unloaded"
        hosted = _Hosted(model, _LOADING)
        self._hosted[model.model_id] = hosted
        hosted.loading = asyncio.create_task(self._load(hosted))
        self._on_change()
        return ""

    async def wait_for(self, model_id: str) -> None:
        """Return when the model is loaded or has failed."""
        hosted = self._hosted.get(model_id)
        if hosted is not None and hosted.loading is not None:
            await asyncio.wait([hosted.loading])

    async def release(self, model_id: str) -> None:
        """Let a model go after what is in hand is answered."""
        hosted = self._hosted.get(model_id)
        if hosted is None or hosted.state == _UNLOADING:
            return
        if hosted.loading is not None:
            await asyncio.wait([hosted.loading])
        hosted.state = _UNLOADING
        self._on_change()
        if hosted.served is not None:
            await hosted.served.close()
        del self._hosted[model_id]
        self._on_change()

    async def reconcile(self, registry: Mapping[str, Model]) -> None:
        """Follow the registry: let deleted models go, and load changed ones anew."""
        for model_id, hosted in list(self._hosted.items()):
            definition = registry.get(model_id)
            if definition == hosted.model:
                continue
            await self.release(model_id)
            if definition is not None:
                self.adopt(definition)

    async def close(self) -> None:
        """Answer what is in hand and let every model go."""
        await asyncio.gather(*(self.release(model_id) for model_id in list(self._hosted)))

    async def tick(self) -> None:
        """Progress acks and canaries; called every second or so."""
        now = time.perf_counter()
        for served in self._served():
            await served.tick()
            if now - served.runner.last_success > _CANARY_EVERY_S:
                served.submit_canary()

    def on_reconnect(self) -> None:
        """The broker came back, perhaps without its memory."""
        for served in self._served():
            served.on_reconnect()

    def unhealthy(self) -> list[str]:
        """Why this worker cannot serve; empty if it can."""
        now = time.perf_counter()
        return [
            f"model '{model_id}': no inference has succeeded for {silent:.0f} s"
            for model_id, hosted in self._hosted.items()
            if hosted.served is not None
            and (silent := now - hosted.served.runner.last_success) > 3 * _CANARY_EVERY_S
        ]

    def stuck(self) -> bool:
        """Whether a run will never end; only a new process can help."""
        return any(served.runner.longest_run_s() > _STUCK_AFTER_S for served in self._served())

    def describe(self) -> list[HostedModel]:
        """Entries of the heartbeat, ordered by id."""
        return [self._describe(self._hosted[key]) for key in sorted(self._hosted)]

    def _served(self) -> list[ServedModel]:
        return [h.served for h in self._hosted.values() if h.served is not None]

    def _describe(self, hosted: _Hosted) -> HostedModel:
        entry = HostedModel(model_id=hosted.model.model_id, state=hosted.state)
        if hosted.error is not None:
            entry.last_error.CopyFrom(proto_of(hosted.error))
        if hosted.served is not None:
            entry.engine = hosted.served.engine_name
            entry.queued_items = hosted.served.runner.waiting_texts
            entry.queued_tokens = hosted.served.runner.waiting_tokens
            entry.tokens_per_second = hosted.served.tokens_per_second
        return entry

    async def _load(self, hosted: _Hosted) -> None:
        model = hosted.model
        try:
            loaded = await asyncio.to_thread(_load, model, self._cache_dir, self._engine)
            served = ServedModel(self._nats, self._lane, self._worker_id, model, loaded)
            await served.start()
        except Exception as error:
            log.exception("model failed to load", extra={"fields": {"model": model.model_id}})
            hosted.error = _load_error(model.model_id, error)
            hosted.state = _FAILED
        else:
            record_load(model.model_id, loaded)
            hosted.served = served
            hosted.state = _LOADED
        self._on_change()


def _load(model: Model, cache_dir: Path, engine: str = AUTO) -> LoadedModel:
    loaded = load(locate(model.sources), cache_dir, engine=engine)
    encode = model.tasks.encode
    for name in ("dense", "sparse", "multivector"):
        if encode.HasField(name):
            _check_size(name, getattr(encode, name).dims, loaded)
    return loaded


def _check_size(name: str, declared: int, loaded: LoadedModel) -> None:
    """Raise SourceError if the checkpoint is not what the registry says."""
    output = output_for(name, loaded.sizes)
    if output is None:
        raise SourceError(f"the registry says {name} vectors, the checkpoint has none")
    if declared and declared != loaded.sizes[output]:
        raise SourceError(
            f"the registry says {declared} dimensions of {name}, "
            f"the checkpoint has {loaded.sizes[output]}"
        )


def _load_error(model_id: str, error: Exception) -> SieError:
    known = isinstance(error, CheckpointError | SourceError)
    return SieError(
        ErrorReason.ERROR_REASON_MODEL_LOAD_FAILED,
        f"model '{model_id}' could not be loaded: {error}",
        model=model_id,
        error_class="NOT_FOUND"
        if isinstance(error, SourceError)
        else "CHECKPOINT"
        if known
        else "UNKNOWN",
        attempts=1,
        permanent="true",
    )

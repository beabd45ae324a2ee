"""The models of one worker: adopted, loaded, served, let go.

adopt ─► fetching ─► waiting ─► opening ─┬─► loaded ─► unloading ─► gone
         └──────── loading ──────────────┤             evicted, idle, changed or deleted
                                         └─► failed ─► gone, if trying again may help
                                             └ else until the model's definition changes

Fetches run side by side. Loads run one at a time, each after room was made for it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from pathlib import Path

from nats.aio.client import Client

from servicekit.subjects import Lane
from servicekit.tasks import Tasks
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, LoadPhase
from worker import metrics
from worker.batching.device import Device
from worker.hosting.hosted import Hosted
from worker.hosting.load_report import record_load
from worker.hosting.loader import Loader
from worker.hosting.loading import LoadedModel
from worker.hosting.memory import release_unused
from worker.hosting.placement import Residence, Resident, expired
from worker.hosting.room import Room
from worker.load_errors import RETRY_AFTER_S, ErrorClass, class_of, load_failed
from worker.queue.intake import Intake
from worker.serving.served_model import ServedModel
from worker.sources import FetchCancelledError, Progress

log = logging.getLogger(__name__)

# An unchanged engine is proved alive by its own work, or else by a canary this often.
_CANARY_EVERY_S = 5.0
# A run that takes longer than this never ends.
_STUCK_AFTER_S = 60.0
_RELIEF_TIMEOUT_S = 10.0

_LOADED = ModelState.MODEL_STATE_LOADED
_UNLOADING = ModelState.MODEL_STATE_UNLOADING
_FAILED = ModelState.MODEL_STATE_FAILED


class ModelHost:
    """Loads and serves models.

    Args:
        client: connection to the broker.
        lane: the worker's first lane.
        worker_id: who answers.
        loader: does the loading.
        device: what the models share.
        residence: which of them stay.
        on_change: called when a model's state changes.
        intake: see ServedModel.

    """

    def __init__(
        self,
        client: Client,
        lane: Lane,
        worker_id: str,
        loader: Loader,
        device: Device,
        residence: Residence,
        on_change: Callable[[], None],
        intake: Intake,
    ) -> None:
        self._nats = client
        self._lane = lane
        self._worker_id = worker_id
        self._loader = loader
        self._device = device
        self._residence = residence
        self._on_change = on_change
        self._intake = intake
        intake.cancelled.subscribe(self._cancel)
        self._hosted: dict[str, Hosted] = {}
        self._attempts: dict[str, tuple[Model, int]] = {}
        self._one_load = asyncio.Lock()
        self._room = Room(residence.limits, self._residents, self.release)
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self._closing = False

    def adopt(self, model: Model) -> str:
        """Begin to load a model; return why not, or nothing if it is being loaded now."""
        if self._closing:
            return "the worker is shutting down"
        hosted = self._hosted.get(model.model_id)
        if hosted is not None and (reason := hosted.why_not(model)):
            return reason
        hosted = Hosted(model, Progress(model.model_id))
        self._hosted[model.model_id] = hosted
        hosted.loading = self._tasks.spawn(self._bring_up(hosted))
        self._on_change()
        return ""

    async def wait_for(self, model_id: str) -> None:
        """Return when the model is loaded or has failed."""
        hosted = self._hosted.get(model_id)
        if hosted is not None and hosted.loading is not None:
            await asyncio.wait([hosted.loading])

    async def release(self, model_id: str, reason: str = "asked") -> None:
        """Let a model go after what is in hand is answered."""
        hosted = self._hosted.get(model_id)
        if hosted is None:
            return
        if hosted.unloading is None:
            hosted.unloading = self._tasks.spawn(self._let_go(hosted, reason))
        await asyncio.wait([hosted.unloading])

    async def reconcile(self, registry: Mapping[str, Model]) -> None:
        """Follow the registry: let deleted models go, and load changed ones anew."""
        changed = [
            hosted for key, hosted in self._hosted.items() if registry.get(key) != hosted.model
        ]
        await asyncio.gather(*(self._follow(hosted, registry) for hosted in changed))

    async def move(self, lane: Lane) -> None:
        """Serve another lane with everything that is here."""
        self._lane = lane
        await asyncio.gather(*(served.move(lane) for served in self._served()))

    async def close(self) -> None:
        """Answer what is in hand and let every model go; take no other."""
        self._closing = True
        await asyncio.gather(*(self.release(key, "shutdown") for key in list(self._hosted)))
        self._loader.close()

    async def tick(self) -> None:
        """Progress acks, canaries, idle models and failures that may pass; once a second."""
        now = time.perf_counter()
        for served in self._served():
            await served.tick()
            if now - served.runners.last_success > _CANARY_EVERY_S:
                served.runners.submit_canary()
        self._measure_fetches()
        now = time.monotonic()
        for model_id in expired(self._residents(), now, self._residence.idle_evict_s):
            self._tasks.spawn(self.release(model_id, "idle"))
        for hosted in list(self._hosted.values()):
            if hosted.retry_at is not None and hosted.retry_at <= now:
                self._forget_failure(hosted)

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
            and (silent := now - hosted.served.runners.last_success) > 3 * _CANARY_EVERY_S
        ]

    def stuck(self) -> bool:
        """Whether a run will never end, or none succeeds; only a new process can help."""
        return any(
            served.broken or served.runners.longest_run_s() > _STUCK_AFTER_S
            for served in self._served()
        )

    def describe(self) -> list[HostedModel]:
        """Entries of the heartbeat, ordered by id."""
        return [self._hosted[key].describe() for key in sorted(self._hosted)]

    def _cancel(self, reply_subjects: Collection[str]) -> None:
        for served in self._served():
            served.cancel(reply_subjects)

    def _measure_fetches(self) -> None:
        for model_id, hosted in self._hosted.items():
            if hosted.progress.total_bytes:
                done, total = hosted.progress.done_bytes, hosted.progress.total_bytes
                metrics.model_fetched_bytes.labels(model_id).set(done)
                metrics.model_fetch_total_bytes.labels(model_id).set(total)

    def _served(self) -> list[ServedModel]:
        return [h.served for h in self._hosted.values() if h.served is not None]

    def _residents(self) -> list[Resident]:
        residents = [hosted.resident(self._residence.pinned) for hosted in self._hosted.values()]
        return [resident for resident in residents if resident is not None]

    async def _bring_up(self, hosted: Hosted) -> None:
        model = hosted.model
        try:
            directory = await self._loader.fetch(model, hosted.progress)
            self._measure_fetches()
            self._enter(hosted, LoadPhase.LOAD_PHASE_WAITING)
            async with self._one_load:
                cost = await self._loader.cost(model, directory)
                await self._room.make(cost)
                self._enter(hosted, LoadPhase.LOAD_PHASE_OPENING)
                loaded = await self._open(hosted, directory)
            await self._serve(hosted, loaded)
        except FetchCancelledError:
            log.info("load given up", extra={"fields": {"model": model.model_id}})
        except Exception as error:  # noqa: BLE001 - it is this model's failure, whatever it is
            self._fail(hosted, error)
        self._on_change()

    async def _open(self, hosted: Hosted, directory: Path) -> LoadedModel:
        loaded, cost = await self._loader.load(hosted.model, directory)
        hosted.memory_bytes = cost.memory_bytes
        hosted.loaded_at = time.monotonic()
        metrics.model_memory_bytes.labels(hosted.model_id).set(cost.memory_bytes)
        hosted.served = ServedModel(
            self._nats,
            self._lane,
            self._worker_id,
            hosted.model,
            loaded,
            self._device.join(),
            self._relieve,
            self._intake,
        )
        return loaded

    async def _serve(self, hosted: Hosted, loaded: LoadedModel) -> None:
        assert hosted.served is not None
        await hosted.served.start()
        hosted.loaded_at = time.monotonic()
        hosted.state = _LOADED
        model_id = hosted.model_id
        self._attempts.pop(model_id, None)
        record_load(model_id, loaded)

    async def _let_go(self, hosted: Hosted, reason: str) -> None:
        hosted.progress.cancelled = True
        if hosted.loading is not None:
            if hosted.is_patient:
                hosted.loading.cancel()
            await asyncio.wait([hosted.loading])
        hosted.state = _UNLOADING
        self._on_change()
        if hosted.served is not None:
            try:
                await hosted.served.close()
            except Exception:
                # It must go all the same, or it could never come back.
                log.exception("model ended badly", extra={"fields": {"model": hosted.model_id}})
            hosted.served = None
            metrics.model_memory_bytes.remove(hosted.model_id)
            metrics.model_evictions.labels(hosted.model_id, reason).inc()
            await asyncio.to_thread(release_unused)
            fields = {"model": hosted.model_id, "reason": reason}
            log.info("model let go", extra={"fields": fields})
        del self._hosted[hosted.model_id]
        self._on_change()

    async def _follow(self, hosted: Hosted, registry: Mapping[str, Model]) -> None:
        await self.release(hosted.model_id, "changed")
        definition = registry.get(hosted.model_id)
        if definition is not None:
            self.adopt(definition)

    def _fail(self, hosted: Hosted, error: Exception) -> None:
        model_id = hosted.model_id
        definition, attempts = self._attempts.get(model_id, (hosted.model, 0))
        attempts = attempts + 1 if definition == hosted.model else 1
        self._attempts[model_id] = (hosted.model, attempts)
        error_class = class_of(error)
        # Where the class says what happened, where in our code it came up says nothing more.
        trace = error if error_class is ErrorClass.UNKNOWN else None
        fields = {"model": model_id, "error_class": error_class.value, "problem": str(error)}
        log.error("model failed to load", exc_info=trace, extra={"fields": fields})
        metrics.model_load_failures.labels(model_id, error_class).inc()
        hosted.error = load_failed(model_id, error, attempts)
        hosted.state = _FAILED
        delay = RETRY_AFTER_S.get(error_class)
        hosted.retry_at = None if delay is None else time.monotonic() + delay

    def _forget_failure(self, hosted: Hosted) -> None:
        """Let the next request have the model tried again; nobody asks for pinned ones."""
        if self._hosted.get(hosted.model_id) is hosted and hosted.unloading is None:
            del self._hosted[hosted.model_id]
            if hosted.model_id in self._residence.pinned:
                self.adopt(hosted.model)
            self._on_change()

    def _relieve(self) -> None:
        """Give memory back to a run that has none; called on the run's thread."""
        relief = asyncio.run_coroutine_threadsafe(self._room.relieve(), self._loop)
        with suppress(FutureTimeoutError):
            relief.result(_RELIEF_TIMEOUT_S)

    def _enter(self, hosted: Hosted, phase: LoadPhase) -> None:
        hosted.phase = phase
        self._on_change()

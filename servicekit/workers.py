"""The live workers as their heartbeats tell, and nothing else."""

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit import subjects
from servicekit.subjects import Lane
from sie.errors.v1.error_pb2 import Error
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus

log = logging.getLogger(__name__)

# A worker beats once a second; after five missed beats it counts as gone.
STALE_AFTER_S = 5.0

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
# Looked up once: members of an enum are found by a search through it.
_READY, _DRAINING = WorkerState.WORKER_STATE_READY, WorkerState.WORKER_STATE_DRAINING
_LOADED, _FAILED = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_FAILED
_STATES = frozenset(WorkerState.values())


class Standing(NamedTuple):
    """What is asked of a worker with every request, read once from its heartbeat.

    To read a field of a message takes a microsecond, and there are hundreds of workers.

    Args:
        worker_id: its id.
        lane: where it works.
        state: whether it takes work.
        dedicated: whether it never leaves its pool.
        models: where each of its models stands, by id.
        failures: why models could not be loaded, by id.
        speeds: tokens a second of models that are loaded, by id; 0: not measured yet.
        queued_tokens: tokens that wait on it, of all models.
    """

    worker_id: str
    lane: Lane
    state: WorkerState
    dedicated: bool
    models: Mapping[str, ModelState]
    failures: Mapping[str, Error]
    speeds: Mapping[str, float]
    queued_tokens: int

    def is_as(self, earlier: "Standing") -> bool:
        """Whether it works where it did, as it did, with the same models; at whatever speed."""
        return self[:6] == earlier[:6]


def standing_of(status: WorkerStatus) -> Standing:
    """What a heartbeat says of a worker, without what is only shown."""
    models, failures, speeds, queued_tokens = {}, {}, {}, 0
    for entry in status.models:
        models[entry.model_id] = state = entry.state
        queued_tokens += entry.queued_tokens
        if state == _LOADED:
            speeds[entry.model_id] = entry.tokens_per_second
        elif state == _FAILED:
            failures[entry.model_id] = entry.last_error
    return Standing(
        status.worker_id,
        lane_of(status),
        status.state,
        status.dedicated,
        models,
        failures,
        speeds,
        queued_tokens,
    )


class _Heard(NamedTuple):
    at: float
    status: WorkerStatus
    standing: Standing


class WorkerDirectory:
    """Live workers by id.

    Args:
        clock: seconds, monotonic.
        wall_clock: seconds since 1970 UTC.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall_clock = wall_clock
        self._lags: dict[str, float] = {}
        self._subscribers: list[Callable[[WorkerStatus], None]] = []
        self._workers: dict[str, _Heard] = {}
        self._generation = 0
        # Before that nobody can have been silent for too long.
        self._next_silence = -math.inf

    async def follow(self, nats: Client) -> None:
        """Takes heartbeats in from now on, and asks every worker for one at once."""

        async def on_message(message: Msg) -> None:
            try:
                status = _checked(WorkerStatus.FromString(message.data), message.subject)
            except (DecodeError, ValueError) as error:
                fields = {"subject": message.subject, "error": error}
                log.warning("heartbeat refused", extra={"fields": fields})
            else:
                self.update(status)

        await nats.subscribe(subjects.WORKER_STATUS_WILDCARD, cb=on_message)
        await self.ask(nats)

    async def ask(self, nats: Client) -> None:
        """Asks every worker for a heartbeat now."""
        await nats.publish(subjects.WORKER_PING, b"")

    def update(self, status: WorkerStatus) -> None:
        """Takes one heartbeat in."""
        standing, earlier = standing_of(status), self._workers.get(status.worker_id)
        if earlier is None or not standing.is_as(earlier.standing):
            self._generation += 1
        self._workers[status.worker_id] = _Heard(self._clock(), status, standing)
        if status.HasField("sent_at"):
            self._lags[status.worker_id] = self._wall_clock() - status.sent_at.ToNanoseconds() / 1e9
        for callback in self._subscribers:
            try:
                callback(status)
            except Exception:
                # A defect of one must not keep the others from hearing.
                log.exception("heartbeat not handled", extra={"fields": {"by": repr(callback)}})

    def subscribe(self, callback: Callable[[WorkerStatus], None]) -> None:
        """Calls back with every heartbeat that is taken in."""
        self._subscribers.append(callback)

    def live(self) -> list[WorkerStatus]:
        """Workers heard lately, in whatever state."""
        self._forget_silent()
        return [heard.status for heard in self._workers.values()]

    def standings(self) -> list[Standing]:
        """How each of them stands."""
        self._forget_silent()
        return [heard.standing for heard in self._workers.values()]

    @property
    def generation(self) -> int:
        """Another number whenever a worker has come or gone, or stands otherwise than before."""
        self._forget_silent()
        return self._generation

    def lag_s(self, worker_id: str) -> float | None:
        """Seconds by which a worker's clock is behind ours, its last heartbeat's way included."""
        return self._lags.get(worker_id)

    def ready(self) -> list[WorkerStatus]:
        """Workers that take work."""
        return [w for w in self.live() if w.state == _READY]

    def hosting(self, model_id: str, lane: Lane | None = None) -> list[tuple[str, HostedModel]]:
        """Worker id and entry of the model for each live worker that knows it."""
        self._forget_silent()
        return [
            (standing.worker_id, hosted)
            for _, status, standing in self._workers.values()
            if model_id in standing.models
            and standing.state != _DRAINING
            and (lane is None or standing.lane == lane)
            for hosted in status.models
            if hosted.model_id == model_id
        ]

    def _forget_silent(self) -> None:
        now = self._clock()
        if now <= self._next_silence:
            return
        silent = [key for key, heard in self._workers.items() if heard.at + STALE_AFTER_S < now]
        for worker_id in silent:
            del self._workers[worker_id]
            self._lags.pop(worker_id, None)
            self._generation += 1
            log.warning("worker lost", extra={"fields": {"worker_id": worker_id}})
        heard_at = min((heard.at for heard in self._workers.values()), default=now)
        self._next_silence = heard_at + STALE_AFTER_S


def _checked(status: WorkerStatus, subject: str) -> WorkerStatus:
    """The status, if it is of the worker whose subject it came on, and says what one can be.

    Its names become subjects, and its numbers go into routing and into what autoscalers read.

    Raises:
        ValueError: it is not.
    """
    if subject != subjects.worker_status(status.worker_id):
        raise ValueError("a worker speaks for itself alone")
    if not all(map(_NAME.fullmatch, lane_of(status))):
        raise ValueError("pool, machine profile and bundle must be names")
    if status.state not in _STATES:
        raise ValueError(f"there is no state {status.state}")
    # NaN lies in no range, so it is refused too.
    if not 0 <= status.busy <= 1:
        raise ValueError("busy must lie in [0, 1]")
    if not all(0 <= model.tokens_per_second < math.inf for model in status.models):
        raise ValueError("speeds must be finite, and not negative")
    return status


def lane_of(worker: WorkerStatus) -> Lane:
    return Lane(worker.pool, worker.machine_profile, worker.bundle)


# Best first: what is said of a model that stands differently on several workers.
_STATE_ORDER = (
    ModelState.MODEL_STATE_LOADED,
    ModelState.MODEL_STATE_LOADING,
    ModelState.MODEL_STATE_UNLOADING,
    ModelState.MODEL_STATE_FAILED,
)


def best_state(hosted: Iterable[HostedModel]) -> "ModelState":
    """The best state over workers; AVAILABLE when none of them knows the model."""
    states = {entry.state for entry in hosted}
    return next((s for s in _STATE_ORDER if s in states), ModelState.MODEL_STATE_AVAILABLE)

"""The live workers as their heartbeats tell, and nothing else."""

import logging
import math
import re
import time
from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg

from servicekit import subjects
from servicekit.subjects import Lane
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus

log = logging.getLogger(__name__)

# A worker beats once a second; after five missed beats it counts as gone.
STALE_AFTER_S = 5.0

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_STATES = frozenset(WorkerState.values())


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
        self._workers: dict[str, tuple[float, WorkerStatus]] = {}

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
        self._workers[status.worker_id] = (self._clock(), status)
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
        oldest = self._clock() - STALE_AFTER_S
        for worker_id in [key for key, (seen, _) in self._workers.items() if seen < oldest]:
            del self._workers[worker_id]
            self._lags.pop(worker_id, None)
            log.warning("worker lost", extra={"fields": {"worker_id": worker_id}})
        return [status for _, status in self._workers.values()]

    def lag_s(self, worker_id: str) -> float | None:
        """Seconds by which a worker's clock is behind ours, its last heartbeat's way included."""
        return self._lags.get(worker_id)

    def ready(self) -> list[WorkerStatus]:
        """Workers that take work."""
        return [w for w in self.live() if w.state == WorkerState.WORKER_STATE_READY]

    def hosting(self, model_id: str, lane: Lane | None = None) -> list[tuple[str, HostedModel]]:
        """Worker id and entry of the model for each live worker that knows it."""
        return [
            (worker.worker_id, hosted)
            for worker in self.live()
            if worker.state != WorkerState.WORKER_STATE_DRAINING
            and (lane is None or lane_of(worker) == lane)
            for hosted in worker.models
            if hosted.model_id == model_id
        ]


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

"""Who loads a model: offers to workers, and what comes of them.

nobody of the lane hosts it ──► offer to the lane, of which one worker hears it
and some have failed to     ──► offer to one that has not
and all, or enough, have    ──► who waits for it is told why
its hosts are too few       ──► offer to a worker that stands idle
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.dispatch import Dispatcher
from gateway.spreading import Crowd, Spreading
from servicekit import subjects
from servicekit.errors import SieError, from_proto
from servicekit.subjects import Lane
from servicekit.workers import WorkerDirectory, best_state, lane_of
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.adoption_pb2 import AdoptionAnswer, AdoptionOffer
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

log = logging.getLogger(__name__)

_OFFER_TIMEOUT_S = 2.0
_HOSTED = (ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_LOADING)
# One worker's failure may be its own, its disk's or its network's; that of so many is the model's.
_CONVINCING_FAILURES = 3


class _Standing(NamedTuple):
    """How a model stands in a lane.

    Args:
        hosts: workers that host or load it.
        failures: what those say that could not load it.
        next_worker: one that takes work and may still try; empty if there is none.
    """

    hosts: int
    failures: list[Error]
    next_worker: str

    def check(self) -> None:
        """Raises what a worker reported, if it is in vain to wait for the model."""
        tried_enough = len(self.failures) >= _CONVINCING_FAILURES or not self.next_worker
        if self.failures and not self.hosts and tried_enough:
            raise from_proto(self.failures[0])


class Adoption:
    """Sees to it that models are hosted which requests wait for.

    Args:
        workers: the live workers.
        nats: connection to the broker.
        revision: of the registry, as it is known here.
    """

    def __init__(self, workers: WorkerDirectory, nats: Client, revision: Callable[[], int]) -> None:
        self._workers = workers
        self._nats = nats
        self._revision = revision
        self._offers: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._spreading = Spreading()

    def ensure_hosted(self, model_id: str, lane: Lane) -> None:
        """Offers the model to the lane unless a worker of it hosts or loads it.

        Raises:
            SieError: what a worker reported, if the model cannot be loaded.
        """
        standing = self._standing(model_id, lane)
        standing.check()
        if not standing.hosts:
            self._offer_to_next(model_id, lane, standing)

    def check_loaded(self, model_id: str, lane: Lane) -> None:
        """Says that a model was still loading, where that is why nothing came in time.

        Raises:
            SieError: MODEL_LOADING.
        """
        entries = [entry for _, entry in self._workers.hosting(model_id, lane)]
        if best_state(entries) != ModelState.MODEL_STATE_LOADED:
            raise SieError(
                ErrorReason.ERROR_REASON_MODEL_LOADING,
                f"model '{model_id}' is being loaded",
                retry_after_s=5.0,
                model=model_id,
            )

    def follow(self, dispatcher: Dispatcher, worker: WorkerStatus) -> None:
        """Offers the models that requests wait for in the lane of a worker that has beaten.

        A model may be evicted, or its worker lost, while work for it is in the queue. One that is
        hosted, and by too few, is offered to the worker itself. One that cannot be loaded fails
        the requests.
        """
        lane = lane_of(worker)
        crowds: dict[str, Crowd] = {}
        for model_id, items in dispatcher.waiting(lane).items():
            standing = self._standing(model_id, lane)
            if standing.hosts:
                crowds[model_id] = Crowd(items, standing.hosts)
                continue
            try:
                standing.check()
            except SieError as error:
                dispatcher.fail_model(lane, model_id, error)
            else:
                self._offer_to_next(model_id, lane, standing)
        for model_id in self._spreading.wanted(worker, crowds, time.monotonic()):
            self._offer_once(model_id, lane, worker.worker_id)

    def _standing(self, model_id: str, lane: Lane) -> _Standing:
        hosts, failures, others = 0, [], []
        for worker in self._workers.live():
            if worker.state == WorkerState.WORKER_STATE_DRAINING or lane_of(worker) != lane:
                continue
            entry = next((each for each in worker.models if each.model_id == model_id), None)
            if entry is not None and entry.state in _HOSTED:
                hosts += 1
            elif entry is not None and entry.state == ModelState.MODEL_STATE_FAILED:
                failures.append(entry.last_error)
            elif worker.state == WorkerState.WORKER_STATE_READY:
                # One that lets the model go now takes no offer of it before it has.
                others.append((entry is not None, len(worker.models), worker.worker_id))
        return _Standing(hosts, failures, min(others)[-1] if others else "")

    def _offer_to_next(self, model_id: str, lane: Lane, standing: _Standing) -> None:
        # Of the whole lane the offer might be heard by one that has failed, time and again.
        self._offer_once(model_id, lane, standing.next_worker if standing.failures else "")

    def _offer_once(self, model_id: str, lane: Lane, worker_id: str = "") -> None:
        key = (subjects.adoption(lane, worker_id), model_id)
        if key not in self._offers:
            self._offers[key] = asyncio.create_task(self._offer(*key))
            self._offers[key].add_done_callback(lambda _: self._offers.pop(key, None))

    async def _offer(self, subject: str, model_id: str) -> None:
        offer = AdoptionOffer(model_id=model_id, registry_revision=self._revision())
        try:
            reply = await self._nats.request(
                subject, offer.SerializeToString(), timeout=_OFFER_TIMEOUT_S
            )
        except NatsError as error:
            log.warning(
                "offer not answered", extra={"fields": {"subject": subject, "error": error}}
            )
            return
        answer = AdoptionAnswer.FromString(reply.data)
        fields = {"model": model_id, "worker": answer.worker_id, "reason": answer.reason}
        log.info("offer %s", "taken" if answer.accepted else "declined", extra={"fields": fields})
        # The next heartbeat tells that the model is loading; until then no second offer.
        await asyncio.sleep(1.0)

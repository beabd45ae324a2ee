"""Who loads a model: offers to workers, and what comes of them.

nobody of the lane hosts it ──► offer to the lane, of which one worker hears it
and some have failed to     ──► offer to one that has not
and all, or enough, have    ──► who waits for it is told why
its hosts are too few       ──► offer to a worker that stands idle
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from nats.aio.client import Client
from nats.errors import Error as NatsError

from gateway.queue.dispatch import Dispatcher
from gateway.spreading import Crowd, Spreading
from servicekit import subjects
from servicekit.errors import SieError, from_proto
from servicekit.subjects import Lane
from servicekit.workers import Standing, WorkerDirectory, best_state, lane_of
from sie.errors.v1.error_pb2 import Error
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.adoption_pb2 import AdoptionAnswer, AdoptionOffer
from sie.worker.v1.worker_status_pb2 import WorkerState, WorkerStatus

log = logging.getLogger(__name__)

_OFFER_TIMEOUT_S = 2.0
# Looked up once: members of an enum are found by a search through it.
_READY, _DRAINING = WorkerState.WORKER_STATE_READY, WorkerState.WORKER_STATE_DRAINING
_LOADED, _FAILED = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_FAILED
_HOSTED = frozenset({_LOADED, ModelState.MODEL_STATE_LOADING})
# One worker's failure may be its own, its disk's or its network's; that of so many is the model's.
_CONVINCING_FAILURES = 3


class _Hosting(NamedTuple):
    """Who hosts a model in a lane.

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
        self._found: dict[tuple[str, Lane], _Hosting] = {}
        self._generation = -1

    def ensure_hosted(self, model_id: str, lane: Lane) -> None:
        """Offers the model to the lane unless a worker of it hosts or loads it.

        Raises:
            SieError: what a worker reported, if the model cannot be loaded.
        """
        hosting = self._hosting(model_id, lane)
        hosting.check()
        if not hosting.hosts:
            self._offer_to_next(model_id, lane, hosting)

    def check_loaded(self, model_id: str, lane: Lane) -> None:
        """Says that a model was still loading, where that is why nothing came in time.

        Raises:
            SieError: MODEL_LOADING.
        """
        entries = [entry for _, entry in self._workers.hosting(model_id, lane)]
        if best_state(entries) != _LOADED:
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
            hosting = self._hosting(model_id, lane)
            if hosting.hosts:
                crowds[model_id] = Crowd(items, hosting.hosts)
                continue
            try:
                hosting.check()
            except SieError as error:
                dispatcher.fail_model(lane, model_id, error)
            else:
                self._offer_to_next(model_id, lane, hosting)
        for model_id in self._spreading.wanted(worker, crowds, time.monotonic()):
            self._offer_once(model_id, lane, worker.worker_id)

    def _hosting(self, model_id: str, lane: Lane) -> _Hosting:
        # Asked at each heartbeat, for each model that is waited for, and at each request.
        if self._generation != (generation := self._workers.generation):
            self._generation = generation
            self._found.clear()
        found = self._found.get((model_id, lane))
        if found is None:
            in_lane = (worker for worker in self._workers.standings() if worker.lane == lane)
            found = self._found[model_id, lane] = _hosting_of(model_id, in_lane)
        return found

    def _offer_to_next(self, model_id: str, lane: Lane, hosting: _Hosting) -> None:
        # Of the whole lane the offer might be heard by one that has failed, time and again.
        self._offer_once(model_id, lane, hosting.next_worker if hosting.failures else "")

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


def _hosting_of(model_id: str, workers: Iterable[Standing]) -> _Hosting:
    hosts, failures, others = 0, [], []
    for worker in workers:
        if worker.state == _DRAINING:
            continue
        state = worker.models.get(model_id)
        if state in _HOSTED:
            hosts += 1
        elif state == _FAILED:
            failures.append(worker.failures[model_id])
        elif worker.state == _READY:
            # One that lets the model go now takes no offer of it before it has.
            others.append((state is not None, len(worker.models), worker.worker_id))
    return _Hosting(hosts, failures, min(others)[-1] if others else "")

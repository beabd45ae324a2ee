"""A model gets a second host when work waits beside a worker that has nothing to do."""

import pytest

from gateway.spreading import Crowd, Spreading
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus

LOADED, LOADING = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_LOADING
READY, STARTING = WorkerState.WORKER_STATE_READY, WorkerState.WORKER_STATE_STARTING


def worker(*models, state=READY, name="w2"):
    entries = [HostedModel(model_id=key, state=at, queued_items=n) for key, at, n in models]
    return WorkerStatus(worker_id=name, state=state, models=entries)


def follow(beats, name="m"):
    """What is wanted of a worker at each of its heartbeats, a second apart."""
    spreading = Spreading()
    return [
        spreading.wanted(worker, {name: Crowd(*crowd)} if crowd else {}, float(now))
        for now, (worker, crowd) in enumerate(beats)
    ]


def test_a_worker_that_stands_idle_beside_a_queue_is_to_help():
    assert follow([(worker(), (11, 1))] * 4) == [[], [], ["m"], ["m"]]


@pytest.mark.parametrize(
    "crowd", [None, (10, 1), (20, 2)], ids=["nothing", "one host's", "two hosts'"]
)
def test_what_its_hosts_are_meant_to_have_needs_nobody_else(crowd):
    assert follow([(worker(), crowd)] * 5) == [[]] * 5


def test_a_queue_that_empties_soon_needs_nobody_else():
    idle = worker()
    assert not any(follow([(idle, (50, 1)), (idle, (50, 1)), (idle, None), (idle, (50, 1))]))


@pytest.mark.parametrize(
    "busy",
    [
        worker(("other", LOADED, 3)),
        worker(("other", LOADING, 0)),
        worker(("m", LOADED, 0)),
        worker(("m", ModelState.MODEL_STATE_FAILED, 0)),
        worker(state=STARTING),
    ],
    ids=["serves another", "loads another", "hosts it", "cannot load it", "starts"],
)
def test_who_cannot_help_is_not_asked(busy):
    assert follow([(busy, (50, 1))] * 5) == [[]] * 5


def test_a_model_that_lies_unused_does_not_make_a_worker_busy():
    assert follow([(worker(("other", LOADED, 0)), (50, 1))] * 3)[-1] == ["m"]


def test_workers_are_told_apart():
    spreading = Spreading()
    crowds = {"m": Crowd(50, 1)}
    assert spreading.wanted(worker(name="a"), crowds, 0.0) == []
    assert spreading.wanted(worker(name="b"), crowds, 3.0) == []
    assert spreading.wanted(worker(name="a"), crowds, 3.0) == ["m"]

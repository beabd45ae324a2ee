"""The gateway's view of the workers."""

import pytest

from servicekit.workers import STALE_AFTER_S, WorkerDirectory, best_state
from servicekit.subjects import Lane
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus

LANE = Lane("default", "cpu", "default")


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def directory(clock):
    return WorkerDirectory(lambda: clock[0])


def beat(name, state=WorkerState.WORKER_STATE_READY, model_state=ModelState.MODEL_STATE_LOADED):
    return WorkerStatus(
        worker_id=name,
        pool="default",
        machine_profile="cpu",
        bundle="default",
        state=state,
        models=[HostedModel(model_id="m", state=model_state)],
    )


def test_a_worker_that_stops_beating_is_gone(directory, clock):
    directory.update(beat("a"))
    assert directory.lanes() == {LANE}
    clock[0] = STALE_AFTER_S + 0.1
    assert not directory.lanes()
    assert not directory.hosting("m")


def test_a_draining_worker_takes_no_work_and_hosts_nothing(directory):
    directory.update(beat("a", WorkerState.WORKER_STATE_DRAINING))
    assert not directory.lanes()
    assert not directory.hosting("m")


def test_the_newest_beat_of_a_worker_counts(directory):
    directory.update(beat("a"))
    directory.update(beat("a", model_state=ModelState.MODEL_STATE_FAILED))
    assert [e.state for _, e in directory.hosting("m", LANE)] == [ModelState.MODEL_STATE_FAILED]


def test_a_model_stands_as_well_as_on_its_best_worker():
    states = ["FAILED", "LOADING", "LOADED"]
    entries = [HostedModel(state=f"MODEL_STATE_{state}") for state in states]
    assert best_state(entries) == ModelState.MODEL_STATE_LOADED
    assert best_state(entries[:2]) == ModelState.MODEL_STATE_LOADING
    assert best_state([]) == ModelState.MODEL_STATE_AVAILABLE

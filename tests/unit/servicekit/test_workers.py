"""The live workers as their heartbeats tell."""

import asyncio
import math

import nats
import pytest

from servicekit.subjects import Lane, worker_status
from servicekit.workers import STALE_AFTER_S, WorkerDirectory, best_state, lane_of
from sie.inference.v1.model_service_pb2 import ModelState
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus
from tests import broker

LANE = Lane("default", "cpu", "default")


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def directory(clock):
    return WorkerDirectory(lambda: clock[0])


def beat(
    name,
    state=WorkerState.WORKER_STATE_READY,
    model_state=ModelState.MODEL_STATE_LOADED,
    pool="default",
    busy=0.0,
    speed=0.0,
):
    return WorkerStatus(
        worker_id=name,
        pool=pool,
        machine_profile="cpu",
        bundle="default",
        state=state,
        busy=busy,
        models=[HostedModel(model_id="m", state=model_state, tokens_per_second=speed)],
    )


def test_a_worker_that_stops_beating_is_gone(directory, clock):
    directory.update(beat("a"))
    assert [lane_of(worker) for worker in directory.ready()] == [LANE]
    clock[0] = STALE_AFTER_S + 0.1
    assert not directory.ready()
    assert not directory.hosting("m")


def test_a_draining_worker_takes_no_work_and_hosts_nothing(directory):
    directory.update(beat("a", WorkerState.WORKER_STATE_DRAINING))
    assert not directory.ready()
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


def test_a_subscriber_that_fails_keeps_no_other_from_hearing(directory, caplog):
    def broken(_):
        raise KeyError("a defect")

    heard = []
    directory.subscribe(broken)
    directory.subscribe(heard.append)
    directory.update(beat("a"))
    assert [worker.worker_id for worker in heard] == ["a"]
    assert "a defect" in caplog.text


def test_who_stands_as_before_changes_nothing_for_those_who_remember(directory, clock):
    def moves(act):
        before = directory.generation
        act()
        return directory.generation != before

    first = beat("a", model_state=ModelState.MODEL_STATE_LOADING)
    assert moves(lambda: directory.update(first))
    faster = beat("a", model_state=ModelState.MODEL_STATE_LOADING, busy=1.0, speed=9.0)
    assert not moves(lambda: directory.update(faster))
    failed = beat("a", model_state=ModelState.MODEL_STATE_FAILED)
    failed.models[0].last_error.message = "no room"
    for other in (
        beat("a"),
        failed,
        beat("a", model_state=ModelState.MODEL_STATE_FAILED),
        beat("a", model_state=ModelState.MODEL_STATE_FAILED, pool="tenant"),
        beat("a", WorkerState.WORKER_STATE_DRAINING),
        beat("b"),
    ):
        assert moves(lambda other=other: directory.update(other)), other
    clock[0] += STALE_AFTER_S
    assert not moves(lambda: directory.update(beat("b")))
    assert moves(lambda: clock.__setitem__(0, clock[0] + 0.01))
    assert [each.worker_id for each in directory.standings()] == ["b"]


async def test_a_heartbeat_counts_only_from_the_worker_that_it_names_and_says_what_one_can_be(
    tmp_path,
):
    forged = [
        (worker_status("mallory"), beat("a")),
        (worker_status("b"), beat("b", pool="x.>")),
        (worker_status("c"), beat("c", pool="")),
        (worker_status("c"), beat("c", state=99)),
        (worker_status("c"), beat("c", busy=math.nan)),
        (worker_status("c"), beat("c", speed=math.inf)),
    ]
    with broker.running(tmp_path) as url:
        client = await nats.connect(url)
        directory = WorkerDirectory()
        await directory.follow(client)
        for subject, status in forged:
            await client.publish(subject, status.SerializeToString())
        await client.publish(worker_status("d"), b"\xff")
        last = "host.example.org-1"
        await client.publish(worker_status(last), beat(last).SerializeToString())
        async with asyncio.timeout(30):
            while not directory.live():
                await asyncio.sleep(0.01)
        assert [worker.worker_id for worker in directory.live()] == [last]
        await client.close()

"""A worker's life: what goes on while it preloads, and in which order it ends."""

import asyncio
import signal
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from servicekit.lifecycle import end
from sie.worker.v1.worker_status_pb2 import WorkerState
from tests.unit.worker.test_hosting import FakeLoader, FakeServed, host_of, model, states
from tests.waiting import eventually
from worker import process, worker
from worker.start_clock import StartClock
from worker.worker import Worker

STARTING = WorkerState.WORKER_STATE_STARTING
READY = WorkerState.WORKER_STATE_READY
DRAINING = WorkerState.WORKER_STATE_DRAINING


async def forever():
    await asyncio.Event().wait()


class FakeView:
    def __init__(self, models):
        self.models = models
        self.callback = None

    async def loaded(self):
        pass

    def subscribe(self, callback):
        self.callback = callback


class FakeHeartbeat:
    state = STARTING

    def set_state(self, state):
        self.state = state

    async def beat(self):
        pass

    async def run(self):
        await forever()


class FakeMembership:
    """Hears offers from its start until it leaves."""

    def __init__(self):
        self.hears = False
        self.run = forever

    async def start(self):
        self.hears = True

    async def leave(self):
        self.hears = False


@pytest.fixture
def loader():
    return FakeLoader()


@pytest.fixture
def ticked(monkeypatch):
    ticked = asyncio.Event()

    async def tick(self):
        ticked.set()

    monkeypatch.setattr(FakeServed, "tick", tick)
    monkeypatch.setattr("worker.hosting.host.ServedModel", FakeServed)
    monkeypatch.setattr(worker, "_TICK_S", 0.01)
    return ticked


@pytest.fixture
async def running(loader, ticked, monkeypatch):
    """A worker that preloads two models, and its task."""
    view = FakeView({name: model(name) for name in ("fast", "slow")})
    clock = SimpleNamespace(run=forever)
    async with host_of(loader) as host:
        made = Worker(
            SimpleNamespace(is_connected=True),
            clock,
            view,
            host,
            FakeHeartbeat(),
            FakeMembership(),
            ("fast", "slow", "unknown"),
            StartClock(),
        )

        @asynccontextmanager
        async def opened(*_):
            yield made

        monkeypatch.setattr(process, "open_worker", opened)
        task = asyncio.create_task(process.run(None, None, made.start))
        yield made, task
        await end(task)


async def test_one_that_preloads_serves_what_it_has_and_ends_when_it_is_told(
    loader, ticked, running
):
    made, task = running
    loader.slow["slow"] = asyncio.Event()
    await asyncio.wait_for(ticked.wait(), 30)
    assert made.not_ready() == ["the worker is starting"]
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(task, 30)
    assert (made.heartbeat.state, states(made.host)) == (DRAINING, {})


async def test_one_that_preloads_follows_the_registry(loader, ticked, running):
    made, _ = running
    loader.slow["slow"] = asyncio.Event()
    await asyncio.wait_for(ticked.wait(), 30)
    del made.view.models["slow"]
    made.view.callback(None)
    await eventually(lambda: made.heartbeat.state == READY)
    assert list(states(made.host)) == ["fast"]
    assert made.not_ready() == []


async def test_one_that_ends_hears_no_offers_while_it_finishes(running, monkeypatch):
    made, task = running
    await eventually(lambda: made.heartbeat.state == READY)
    assert made.membership.hears
    heard = []

    async def close(self):
        heard.append(made.membership.hears)

    monkeypatch.setattr(FakeServed, "close", close)
    signal.raise_signal(signal.SIGTERM)
    await asyncio.wait_for(task, 30)
    assert heard == [False, False]


@pytest.mark.parametrize("broken", ["tick", "membership"])
async def test_one_that_cannot_go_on_says_so(running, monkeypatch, broken):
    made, task = running
    await eventually(lambda: made.heartbeat.state == READY)

    async def fail(*_):
        raise ValueError("of interest")

    if broken == "tick":
        monkeypatch.setattr(FakeServed, "tick", fail)
    else:
        monkeypatch.setattr(made.host, "reconcile", fail)
        made.view.callback(None)
    with pytest.raises((ValueError, ExceptionGroup), match=r"of interest|unhandled errors"):
        await asyncio.wait_for(task, 30)

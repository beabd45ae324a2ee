"""A worker's models come and go, and one that cannot come holds up no other."""

import asyncio
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from nats.errors import FlushTimeoutError

from servicekit.subjects import Lane
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import LoadPhase
from worker.batching.device import Device
from worker.checkpoint.config import CheckpointError
from worker.engine import engine_error
from worker.hosting.host import ModelHost
from worker.hosting.loader import Cost
from worker.hosting.placement import Limits, Residence
from worker.load_errors import RETRY_AFTER_S, ErrorClass, class_of
from worker.opening.probe import DEFAULT_LIMITS
from worker.queue.cancellations import Cancellations
from worker.queue.intake import Intake
from worker.sources import SourceError

LOADED = ModelState.MODEL_STATE_LOADED
LOADED_MODEL = SimpleNamespace(
    seconds={},
    engine=SimpleNamespace(name="fake"),
    choice=None,
    layout=None,
    cost=None,
    limits=DEFAULT_LIMITS,
)
FAILED = ModelState.MODEL_STATE_FAILED
LOADING = ModelState.MODEL_STATE_LOADING


class FakeRunners:
    waiting_inputs = waiting_tokens = 0
    last_success = float("inf")

    def longest_run_s(self):
        return 0.0


class FakeServed:
    """A model that has work in hand if told so."""

    engine_name = "fake"
    broken = False
    tokens_per_second = 1.0
    runners = FakeRunners()

    def __init__(self, *_):
        self.used_at = float("-inf")
        self.in_use = False

    async def start(self):
        pass

    async def tick(self):
        pass

    async def close(self):
        pass


class FakeLoader:
    """Loads at once; fails, or takes its time over fetching, as it is told."""

    def __init__(self):
        self.errors: dict[str, Exception] = {}
        self.slow: dict[str, asyncio.Event] = {}
        self.loads: list[str] = []

    async def fetch(self, model, progress):
        slow = self.slow.get(model.model_id)
        while slow is not None and not slow.is_set():
            progress.check()
            await asyncio.sleep(0.01)
        return Path()

    async def cost(self, model, directory):
        return Cost(50, 60)

    async def load(self, model, directory):
        self.loads.append(model.model_id)
        if error := self.errors.get(model.model_id):
            raise error
        return LOADED_MODEL, Cost(50, 60)

    def close(self):
        pass


@asynccontextmanager
async def host_of(loader, budget=0, residence_s=0.0, **more):
    limits = Limits(budget, residence_s, residence_s)
    lane = Lane("default", "cpu", "default")
    residence = Residence(limits, **more)
    intake = Intake(Cancellations(), None, None)
    host = ModelHost(None, lane, "w", loader, Device(1), residence, lambda: None, intake)
    try:
        yield host
    finally:
        await host.close()


@pytest.fixture(autouse=True)
def _served(monkeypatch):
    monkeypatch.setattr("worker.hosting.host.ServedModel", FakeServed)


@pytest.fixture
def loader():
    return FakeLoader()


def model(name: str, **fields) -> Model:
    return Model(model_id=name, **fields)


async def bring(host: ModelHost, *names: str) -> None:
    for name in names:
        host.adopt(model(name))
        await host.wait_for(name)


def states(host: ModelHost) -> dict[str, int]:
    return {entry.model_id: entry.state for entry in host.describe()}


async def test_the_least_recently_used_makes_room(loader):
    async with host_of(loader, budget=130) as host:
        await bring(host, "a", "b")
        host._hosted["a"].served.used_at = 1.0
        await bring(host, "c")
        assert states(host) == {"a": LOADED, "c": LOADED}
        assert [entry.memory_bytes for entry in host.describe()] == [60, 60]


async def test_a_pinned_model_stays_and_what_does_not_fit_beside_it_is_refused(loader):
    async with host_of(loader, budget=100, pinned=frozenset({"a"})) as host:
        await bring(host, "a", "b")
        assert states(host) == {"a": LOADED, "b": FAILED}
        error = host.describe()[1].last_error
        assert error.metadata["error_class"] == "OOM"
        assert error.retry_after.seconds == RETRY_AFTER_S[ErrorClass.OOM]


async def test_weights_beyond_the_budget_are_refused(loader):
    async with host_of(loader, budget=40) as host:
        await bring(host, "a")
        assert "weights are 50 bytes" in host.describe()[0].last_error.message


async def test_a_model_in_demand_stays_for_its_residence(loader):
    async with host_of(loader, budget=100, residence_s=1.5) as host:
        await bring(host, "a")
        host.adopt(model("b"))
        await asyncio.sleep(0.1)
        assert states(host) == {"a": LOADED, "b": LOADING}
        assert host.describe()[1].progress.phase == LoadPhase.LOAD_PHASE_WAITING
        await host.wait_for("b")
        assert states(host) == {"b": LOADED}


async def test_a_slow_fetch_and_a_failure_hold_up_no_other(loader):
    loader.slow["slow"] = asyncio.Event()
    loader.errors["broken"] = CheckpointError(Path("f"), "is corrupt")
    async with host_of(loader) as host:
        host.adopt(model("slow"))
        await bring(host, "broken", "good")
        assert states(host) == {"slow": LOADING, "broken": FAILED, "good": LOADED}
        phases = {entry.model_id: entry.progress.phase for entry in host.describe()}
        assert phases["slow"] == LoadPhase.LOAD_PHASE_FETCHING
        loader.slow["slow"].set()
        await host.wait_for("slow")
        assert states(host)["slow"] == LOADED


async def test_a_model_that_goes_while_it_is_fetched_is_given_up(loader):
    loader.slow["a"] = asyncio.Event()
    async with host_of(loader) as host:
        host.adopt(model("a"))
        await asyncio.sleep(0)
        await asyncio.wait_for(host.reconcile({}), 30)
        assert (states(host), loader.loads) == ({}, [])


async def test_a_model_that_goes_while_it_waits_for_room_is_given_up(loader):
    async with host_of(loader, budget=100, residence_s=60.0) as host:
        await bring(host, "a")
        host.adopt(model("b"))
        await asyncio.sleep(0.05)
        await asyncio.wait_for(host.reconcile({"a": model("a")}), 30)
        assert states(host) == {"a": LOADED}


async def test_a_changed_definition_is_tried_anew(loader):
    loader.errors["a"] = CheckpointError(Path("f"), "is corrupt")
    async with host_of(loader) as host:
        await bring(host, "a")
        assert host.adopt(model("a")) == "the model could not be loaded"
        del loader.errors["a"]
        changed = model("a", max_sequence_length=7)
        await host.reconcile({"a": changed})
        await host.wait_for("a")
        assert states(host) == {"a": LOADED}
        assert host.adopt(changed) == "already here"


async def test_only_failures_that_may_pass_are_forgotten_after_their_time(loader, monkeypatch):
    loader.errors = {
        "net": SourceError("away", ErrorClass.NETWORK),
        "bad": CheckpointError(Path("f"), "is corrupt"),
    }
    monkeypatch.setattr("worker.hosting.host.RETRY_AFTER_S", {ErrorClass.NETWORK: 0.0})
    async with host_of(loader) as host:
        await bring(host, "net", "bad")
        told = {entry.model_id: dict(entry.last_error.metadata) for entry in host.describe()}
        assert (told["net"]["permanent"], told["bad"]["permanent"]) == ("false", "true")
        await host.tick()
        assert states(host) == {"bad": FAILED}
        await bring(host, "net")
        (entry,) = [each for each in host.describe() if each.model_id == "net"]
        assert entry.last_error.metadata["attempts"] == "2"


async def test_a_failure_is_logged_with_its_class_and_one_that_has_none_with_its_traceback(
    loader, caplog
):
    loader.errors = {"bad": CheckpointError(Path("f"), "is corrupt"), "odd": ZeroDivisionError()}
    async with host_of(loader) as host:
        await bring(host, "bad", "odd")
    logged = {record.fields["model"]: record for record in caplog.records if record.levelno == 40}
    assert logged["bad"].fields["error_class"] == "CHECKPOINT"
    assert "is corrupt" in logged["bad"].fields["problem"]
    assert logged["bad"].exc_info is None
    assert logged["odd"].exc_info[0] is ZeroDivisionError


async def test_a_model_that_ends_badly_makes_room_and_may_come_back(loader, monkeypatch):
    async def fail(self):
        raise FlushTimeoutError

    monkeypatch.setattr(FakeServed, "close", fail)
    async with host_of(loader, budget=100) as host:
        await bring(host, "a")
        host.adopt(model("b"))
        await asyncio.wait_for(host.wait_for("b"), 30)
        assert states(host) == {"b": LOADED}
        assert host.adopt(model("a")) == ""


async def test_a_host_that_closes_takes_no_model(loader):
    loader.slow["slow"] = asyncio.Event()
    async with host_of(loader) as host:
        await bring(host, "a")
        host.adopt(model("slow"))
        closing = asyncio.create_task(host.close())
        await asyncio.sleep(0)
        assert host.adopt(model("b")) == "the worker is shutting down"
        await asyncio.wait_for(closing, 30)
        assert states(host) == {}


async def test_an_idle_model_goes_unless_it_is_pinned(loader):
    async with host_of(loader, idle_evict_s=1.0, pinned=frozenset({"b"})) as host:
        await bring(host, "a", "b")
        await host.tick()
        while len(states(host)) > 1:
            await asyncio.sleep(0.01)
        assert states(host) == {"b": LOADED}


async def test_a_run_out_of_memory_has_another_model_go(loader):
    async with host_of(loader) as host:
        await bring(host, "a", "b")
        host._hosted["a"].served.in_use = True
        thread = threading.Thread(target=host._relieve)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
        assert states(host) == {"a": LOADED}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (SourceError("gone"), ErrorClass.NOT_FOUND),
        (CheckpointError(Path("f"), "is corrupt"), ErrorClass.CHECKPOINT),
        (CheckpointError(Path("f"), "gelu_9 is not supported"), ErrorClass.UNSUPPORTED),
        (engine_error("e", RuntimeError("std::bad_alloc")), ErrorClass.OOM),
        (MemoryError(), ErrorClass.OOM),
        (ValueError("what"), ErrorClass.UNKNOWN),
    ],
)
def test_every_failure_has_a_class(error, expected):
    assert class_of(error) is expected

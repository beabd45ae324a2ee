"""What an autoscaler reads of queues, of workers, and of lanes in use."""

from types import SimpleNamespace

from gateway.refusals import _REASONS
from gateway.usage import Usage, UsageGauge
from gateway.worker_gauges import QueueGauge, WorkersGauge
from servicekit.subjects import Lane
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import Pool, PoolSpec
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerState, WorkerStatus
from tests.charts.rendering import CHART

L4 = Lane("default", "l4", "default")
L4_TENANT = Lane("tenant", "l4", "default")
CPU = Lane("default", "cpu", "big")
POOLS = {"tenant": Pool(spec=PoolSpec(name="tenant", bundle="default", gpus={"l4": 2}))}
LOADED, LOADING = ModelState.MODEL_STATE_LOADED, ModelState.MODEL_STATE_LOADING


def worker(
    name, lane=L4, queued=(), state=WorkerState.WORKER_STATE_READY, model_state=LOADED, busy=0.0
):
    models = [HostedModel(queued_items=count, state=model_state) for count in queued]
    pool, profile, bundle = lane
    return WorkerStatus(
        worker_id=name,
        pool=pool,
        machine_profile=profile,
        bundle=bundle,
        state=state,
        models=models,
        busy=busy,
    )


def samples(collector):
    (family,) = collector.collect()
    return {tuple(s.labels.values()): s.value for s in family.samples}


def queues(workers, waiting, leased=()):
    requests = SimpleNamespace(lanes=lambda: waiting, waiting_items=waiting.get)
    gauge = QueueGauge("1", lambda: workers, requests, lambda: leased)
    return gauge, samples(gauge)


def test_a_queue_is_what_waits_on_workers_and_what_no_worker_has():
    _, found = queues([worker("w1", queued=[3, 4]), worker("w2", queued=[5])], {L4: 20, CPU: 6})
    assert found == {
        ("w1", "l4", "default"): 7,
        ("w2", "l4", "default"): 5,
        ("gateway/1", "l4", "default"): 8,
        ("gateway/1", "cpu", "big"): 6,
    }


def test_items_of_other_gateways_on_workers_are_not_taken_off_twice():
    _, found = queues([worker("w1", queued=[9])], {L4: 4})
    assert found == {("w1", "l4", "default"): 9, ("gateway/1", "l4", "default"): 0}


def test_a_leased_pool_does_not_grow_by_its_queue():
    workers = [worker("w1", L4_TENANT, [50]), worker("w2", L4, [1])]
    _, found = queues(workers, {L4_TENANT: 90, L4: 2}, POOLS)
    assert found == {("w2", "l4", "default"): 1, ("gateway/1", "l4", "default"): 1}


def test_an_answered_queue_falls_to_zero():
    waiting = {L4: 2}
    gauge, _ = queues([], waiting)
    waiting.clear()
    assert samples(gauge) == {("gateway/1", "l4", "default"): 0}


def test_workers_of_every_state_have_a_series():
    workers = [worker("w1"), worker("w2"), worker("w3", state=WorkerState.WORKER_STATE_STARTING)]
    found = samples(WorkersGauge(lambda: workers))
    assert found == {("starting",): 1, ("ready",): 2, ("draining",): 0, ("failed",): 0}


def kept(usage, workers=(), waiting=(), pools=None, now=0.0):
    return UsageGauge(usage, lambda: workers, lambda: waiting, lambda: pools or {}, lambda: now)


def used(*lanes):
    usage = Usage(60.0)
    for lane in lanes:
        usage.record(lane, 0.0)
    return usage


def test_a_request_keeps_a_worker_of_its_lane_for_a_while():
    usage = used(L4)
    gauge = kept(usage, now=59.0)
    assert samples(gauge) == {("l4", "default"): 1}
    gauge._clock = lambda: 61.0
    assert samples(gauge) == {("l4", "default"): 0}


def test_a_load_keeps_its_worker_for_as_long_as_it_takes():
    loads = worker("w1", CPU, [0], model_state=LOADING)
    assert samples(kept(used(), [loads], now=1e6)) == {("cpu", "big"): 1}
    assert samples(kept(used(), [worker("w1", CPU, [0])], now=1e6)) == {}


def test_a_request_that_waits_keeps_its_worker():
    assert samples(kept(used(), waiting=[L4], now=1e6)) == {("l4", "default"): 1}


def test_leased_workers_do_not_pass_for_the_one_that_others_use():
    assert samples(kept(used(L4, L4_TENANT), pools=POOLS)) == {("l4", "default"): 3}
    assert samples(kept(used(L4_TENANT), pools=POOLS)) == {}


def test_a_lane_keeps_as_many_workers_as_its_work_keeps_busy():
    def kept_of(*shares):
        workers = [worker(f"w{number}", busy=share) for number, share in enumerate(shares)]
        return samples(kept(used(L4), workers))["l4", "default"]

    assert kept_of(0.5, 0.5, 0.4) == 2
    # A little to do is no more than one worker's, and growing is left to the queue.
    assert kept_of(0.1, 0.1, 0.1) == 1
    assert kept_of(1.0, 1.0) == 2
    assert kept_of(0.0, 0.0) == 1
    assert kept_of(0.7) == 1


def test_busy_workers_of_a_leased_pool_are_left_to_its_lease():
    workers = [worker("w1", L4_TENANT, busy=1.0), worker("w2", L4_TENANT, busy=1.0)]
    assert samples(kept(used(L4_TENANT), workers, pools=POOLS)) == {}


def test_work_that_ended_keeps_nobody():
    assert samples(kept(used(L4), [worker("w1", busy=1.0)], now=61.0)) == {}


def test_scaling_leaves_out_refusals_that_exist():
    template = CHART / "templates/autoscaling/worker-scaledobject.yaml"
    (line,) = [each for each in template.read_text().splitlines() if "$excluded :=" in each]
    excluded = set(line.split('"')[1].split("|"))
    assert excluded < set(_REASONS.values())
    assert set(_REASONS.values()) - excluded == {"backpressure"}

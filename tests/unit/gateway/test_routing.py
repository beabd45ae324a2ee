"""Which lane serves a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Known, Wanted, lanes_of, route, wanted
from servicekit.errors import SieError, code_of
from servicekit.pools import assignments
from servicekit.subjects import Lane
from servicekit.workers import standing_of
from sie.inference.v1.model_service_pb2 import ModelState
from sie.pool.v1.pool_pb2 import AssignedWorker, Pool, PoolSpec, PoolStatus
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerStatus

BUNDLES = {name: Bundle(bundle_id=name, priority=p) for name, p in [("default", 10), ("big", 20)]}
NAMES = ("cpu", "l4", "l4-spot", "t4-spot")
PROFILES = {name: MachineProfile(machine_profile_id=name) for name in NAMES}
MODEL = Model(model_id="m", bundles=["big", "default"])


def worker(name, profile="l4", bundle="default", pool="default", **more):
    queued, speed = more.pop("queued", 0), more.pop("speed", 0.0)
    loaded = more.pop("hosts", False)
    state = ModelState.MODEL_STATE_LOADED if loaded else ModelState.MODEL_STATE_AVAILABLE
    entry = HostedModel(model_id="m", state=state, queued_tokens=queued, tokens_per_second=speed)
    return WorkerStatus(
        worker_id=name,
        pool=pool,
        machine_profile=profile,
        bundle=bundle,
        models=[entry],
        state=f"WORKER_STATE_{more.pop('state', 'READY')}",
        **more,
    )


def pool(name, gpus, workers=(), bundle="default"):
    assigned = [AssignedWorker(name=each) for each in workers]
    return Pool(
        spec=PoolSpec(name=name, gpus=gpus, bundle=bundle),
        status=PoolStatus(assigned_workers=assigned),
    )


def found(workers, pool="default", profile="", **more):
    pools = {each.spec.name: each for each in more.get("pools", [])}
    workers = [standing_of(worker) for worker in workers]
    known = Known(
        more.get("bundles", BUNDLES),
        PROFILES,
        pools,
        assignments(pools.values()),
        workers,
        lanes_of(workers, assignments(pools.values())),
        more.get("waiting", lambda _: 0),
        more.get("dedicated"),
    )
    return route(more.get("model", MODEL), Wanted(pool, profile, more.get("bundle", "")), known)


def routed(*args, **more):
    return found(*args, **more)[:2]


def refused(*args, **more):
    with pytest.raises(SieError) as caught:
        found(*args, **more)
    return code_of(caught.value.reason), caught.value.metadata


def test_the_bundle_of_best_priority_with_workers_serves():
    both = [worker("a", bundle="big"), worker("b", bundle="default")]
    assert routed(both) == (Lane("default", "l4", "default"), True)
    assert routed(both[:1]) == (Lane("default", "l4", "big"), True)


def test_a_bundle_that_was_asked_for_serves_or_is_refused():
    both = [worker("a", bundle="big"), worker("b", bundle="default")]
    assert routed(both, bundle="big")[0].bundle == "big"
    code, metadata = refused(both, bundle="other")
    assert (code, metadata["compatible_bundles"]) == ("BUNDLE_INCOMPATIBLE", "default,big")


def test_a_lane_that_hosts_the_model_beats_an_idle_one_until_it_is_far_behind():
    idle, busy = worker("a", "cpu"), worker("b", "l4", queued=500, hosts=True, speed=100.0)
    assert routed([idle, busy])[0].machine_profile == "l4"
    swamped = worker("b", "l4", queued=5000, hosts=True, speed=100.0)
    assert routed([idle, swamped])[0].machine_profile == "cpu"


def test_among_lanes_that_host_it_the_one_that_would_answer_first_serves():
    slow = worker("a", "cpu", queued=500, hosts=True, speed=100.0)
    fast = worker("b", "l4", queued=2000, hosts=True, speed=1000.0)
    assert routed([slow, fast])[0].machine_profile == "l4"
    assert routed([slow, fast, worker("c", "cpu", hosts=True, speed=900.0)])[0][1] == "cpu"


def test_what_this_gateway_has_sent_already_counts():
    lanes = [worker("a", "cpu", hosts=True), worker("b", "l4", hosts=True)]
    assert routed(lanes)[0].machine_profile == "cpu"
    busy = {"cpu": 100, "l4": 1}
    assert routed(lanes, waiting=lambda lane: busy[lane[1]])[0].machine_profile == "l4"


@given(st.permutations([worker(str(n), profile) for n, profile in enumerate(NAMES * 2)]))
def test_every_gateway_chooses_alike_in_whatever_order_it_heard_of_workers(workers):
    assert routed(workers)[0].machine_profile == "cpu"


def test_a_pool_is_never_left():
    workers = [worker("a"), worker("b", pool="tenant")]
    tenant = pool("tenant", {"l4": 1}, ["b"])
    assert routed(workers, pool="tenant", pools=[tenant]) == (Lane("tenant", "l4", "default"), True)
    empty = pool("tenant", {"l4": 1})
    lane = Lane("tenant", "l4", "default")
    assert routed(workers[:1], pool="tenant", pools=[empty]) == (lane, False)


def test_a_worker_between_two_pools_serves_neither_and_is_expected():
    tenant = pool("tenant", {"l4": 1}, ["b"])
    leaving = [worker("b", pool="default")]
    assert not found(leaving, pools=[tenant]).has_workers
    assert found(leaving, pool="tenant", pools=[tenant])[1:] == (False, 1.0)
    returning = [worker("b", pool="tenant")]
    assert not found(returning, pool="tenant", pools=[pool("tenant", {"l4": 1})]).has_workers


def test_workers_that_start_are_expected_and_those_that_leave_are_not():
    for state, expected in (("STARTING", 5.0), ("DRAINING", None), ("FAILED", None)):
        assert found([worker("a", state=state)], profile="l4")[1:] == (False, expected)


def test_a_dedicated_worker_makes_its_pool_known():
    workers = [worker("a", pool="fixed", dedicated=True)]
    assert routed(workers, pool="fixed") == (Lane("fixed", "l4", "default"), True)
    assert not routed(workers)[1]


def test_the_config_service_has_the_last_word_on_pools_of_dedicated_workers():
    forged = [worker("a", pool="forged", dedicated=True)]
    assert refused(forged, pool="forged", dedicated=["fixed"])[0] == "POOL_NOT_FOUND"
    assert refused(forged, pool="forged", dedicated=[])[0] == "POOL_NOT_FOUND"
    # Its queue is there before any worker is.
    assert not routed([], pool="fixed", dedicated=["fixed"])[1]
    mine = [worker("a", pool="fixed", dedicated=True)]
    assert routed(mine, pool="fixed", dedicated=["fixed"])[1]
    # The registry knows of leases by itself.
    leased = pool("tenant", {"l4": 1})
    assert not routed([], pool="tenant", dedicated=[], pools=[leased])[1]


def test_a_pool_that_nobody_knows_is_refused():
    assert refused([worker("a")], pool="elsewhere") == ("POOL_NOT_FOUND", {"pool": "elsewhere"})
    # A worker that has not heard of its deletion yet does not bring it back.
    assert refused([worker("a", pool="gone")], pool="gone")[0] == "POOL_NOT_FOUND"


def test_a_pool_of_another_bundle_or_machine_can_never_serve():
    tenant = pool("tenant", {"l4": 1}, bundle="big")
    only_default = Model(model_id="m")
    code, _ = refused([], pool="tenant", pools=[tenant], model=only_default)
    assert code == "BUNDLE_INCOMPATIBLE"
    assert refused([], pool="tenant", pools=[tenant], bundle="default")[0] == "BUNDLE_INCOMPATIBLE"
    code, metadata = refused([], pool="tenant", profile="cpu", pools=[tenant])
    assert (code, metadata["configured_gpu_types"]) == ("GPU_NOT_CONFIGURED", "l4")


def test_a_machine_profile_that_was_asked_for_is_never_replaced():
    assert routed([worker("a", "cpu")], profile="l4") == (Lane("default", "l4", "default"), False)


def test_a_spot_profile_stands_in_for_one_that_is_not_configured():
    assert routed([], profile="t4")[0].machine_profile == "t4-spot"
    assert routed([worker("a", "l4-spot")], profile="l4") == (
        Lane("default", "l4", "default"),
        False,
    )


def test_a_machine_profile_that_does_not_exist_is_refused_with_those_that_do():
    code, metadata = refused([worker("a")], profile="h100")
    assert code == "GPU_NOT_CONFIGURED"
    assert metadata == {"gpu": "h100", "configured_gpu_types": ",".join(NAMES)}


def test_a_model_prefers_its_machine_profile_but_does_not_wait_for_it():
    model = Model(model_id="m", machine_profile="l4")
    workers = [worker("a", "cpu"), worker("b", "l4", queued=10**6)]
    assert routed(workers, model=model)[0].machine_profile == "l4"
    assert routed(workers[:1], model=model) == (Lane("default", "cpu", "default"), True)
    assert routed([], model=model) == (Lane("default", "l4", "default"), False)


def test_demand_falls_on_the_profile_that_model_bundle_or_pool_names():
    bundles = {"default": Bundle(bundle_id="default", machine_profile="l4-spot")}
    only_default = Model(model_id="m")
    assert routed([], model=only_default, bundles=bundles)[0].machine_profile == "l4-spot"
    tenant = pool("tenant", {"t4-spot": 1})
    lane, _ = routed([], pool="tenant", model=only_default, bundles=bundles, pools=[tenant])
    assert lane.machine_profile == "t4-spot"


@given(st.sampled_from(["", *PROFILES]), st.lists(st.sampled_from(list(PROFILES)), max_size=4))
def test_demand_always_names_a_concrete_machine_profile(profile, others):
    workers = [worker(str(n), p, bundle="other") for n, p in enumerate(others)]
    lane, has_workers = routed(workers, profile=profile)
    assert not has_workers
    assert lane.machine_profile in PROFILES
    assert lane.bundle == "default"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, Wanted("default", "")),
        ({"x-sie-machine-profile": " L4 "}, Wanted("default", "l4")),
        ({"x-sie-machine-profile": "tenant-a/l4"}, Wanted("tenant-a", "l4")),
        ({"x-sie-machine-profile": "tenant-a/"}, Wanted("tenant-a", "")),
        ({"x-sie-machine-profile": "/l4"}, Wanted("default", "l4")),
        ({"x-sie-machine-profile": "l4", "x-sie-pool": "t"}, Wanted("t", "l4")),
        ({"x-sie-machine-profile": "a/l4", "x-sie-pool": "t"}, Wanted("t", "l4")),
    ],
)
def test_the_two_headers_say_pool_and_profile(headers, expected):
    assert wanted(headers) == expected


def test_a_name_as_long_as_a_book_is_cut():
    asked = wanted({"x-sie-machine-profile": "x" * 10_000, "x-sie-pool": "y" * 10_000})
    assert (len(asked.pool), len(asked.machine_profile)) == (80, 80)

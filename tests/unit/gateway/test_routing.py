"""Which lane serves a request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import Wanted, route, wanted
from servicekit.errors import SieError, code_of
from servicekit.subjects import Lane
from sie.inference.v1.model_service_pb2 import ModelState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.worker.v1.worker_status_pb2 import HostedModel, WorkerStatus

BUNDLES = {name: Bundle(bundle_id=name, priority=p) for name, p in [("default", 10), ("big", 20)]}
PROFILES = {name: MachineProfile(machine_profile_id=name) for name in ("cpu", "l4", "l4-spot")}
MODEL = Model(model_id="m", bundles=["big", "default"])


def worker(name, profile="l4", bundle="default", pool="default", queued=0, hosts=False):
    state = ModelState.MODEL_STATE_LOADED if hosts else ModelState.MODEL_STATE_AVAILABLE
    models = [HostedModel(model_id="m", state=state, queued_tokens=queued)]
    return WorkerStatus(
        worker_id=name, pool=pool, machine_profile=profile, bundle=bundle, models=models
    )


def routed(workers, pool="default", profile="", model=MODEL):
    return route(model, Wanted(pool, profile), BUNDLES, PROFILES, ["leased"], workers)


def test_the_bundle_of_best_priority_with_workers_serves():
    both = [worker("a", bundle="big"), worker("b", bundle="default")]
    assert routed(both) == (Lane("default", "l4", "default"), True)
    assert routed(both[:1]) == (Lane("default", "l4", "big"), True)


def test_a_lane_that_hosts_the_model_beats_an_idle_one():
    workers = [worker("a", "cpu"), worker("b", "l4", queued=500, hosts=True)]
    assert routed(workers)[0].machine_profile == "l4"


def test_among_equal_lanes_the_shorter_queue_serves():
    workers = [worker("a", "cpu", queued=900), worker("b", "l4", queued=10)]
    assert routed(workers)[0].machine_profile == "l4"


def test_a_pool_is_never_left():
    workers = [worker("a"), worker("b", pool="tenant")]
    assert routed(workers, pool="tenant") == (Lane("tenant", "l4", "default"), True)
    assert routed(workers[:1], pool="leased") == (Lane("leased", "cpu", "default"), False)


def test_a_pool_that_nobody_knows_is_refused():
    with pytest.raises(SieError, match="POOL_NOT_FOUND"):
        routed([worker("a")], pool="elsewhere")


def test_a_machine_profile_that_was_asked_for_is_never_replaced():
    assert routed([worker("a", "cpu")], profile="l4") == (Lane("default", "l4", "default"), False)


def test_a_machine_profile_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(SieError) as caught:
        routed([worker("a")], profile="h100")
    assert code_of(caught.value.reason) == "GPU_NOT_CONFIGURED"
    assert caught.value.metadata == {"gpu": "h100", "configured_gpu_types": "cpu,l4,l4-spot"}


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
        ({"x-sie-machine-profile": "L4"}, Wanted("default", "l4")),
        ({"x-sie-machine-profile": "tenant-a/l4"}, Wanted("tenant-a", "l4")),
        ({"x-sie-machine-profile": "l4", "x-sie-pool": "t"}, Wanted("t", "l4")),
        ({"x-sie-machine-profile": "a/l4", "x-sie-pool": "t"}, Wanted("t", "l4")),
    ],
)
def test_the_two_headers_say_pool_and_profile(headers, expected):
    assert wanted(headers) == expected

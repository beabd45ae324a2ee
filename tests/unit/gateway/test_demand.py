"""Demand wakes lanes from zero, and only ends when it is met or forgotten."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.demand import Demand, DemandGauge
from gateway.leases import LeaseGauge
from servicekit.subjects import Lane
from sie.pool.v1.pool_pb2 import Pool, PoolSpec

L4 = Lane("default", "l4", "default")
L4_BIG = Lane("default", "l4", "big")
L4_TENANT = Lane("tenant", "l4", "default")
RETRY_AFTER_S = 120.0
TTL_S = 360.0
LANES = [L4, L4_BIG, L4_TENANT, Lane("default", "cpu", "default")]


def pending(demand, lanes=(), now=0.0):
    return {kind: lanes for kind, lanes in demand.pending(set(lanes), now).items() if lanes}


def test_demand_is_still_there_when_the_caller_returns():
    demand = Demand(RETRY_AFTER_S)
    demand.record(L4, 100.0)
    assert pending(demand, now=100.0 + RETRY_AFTER_S) == {("l4", "default"): 1}


def test_a_worker_of_another_bundle_or_pool_does_not_clear_it():
    demand = Demand(RETRY_AFTER_S)
    demand.record(L4_BIG, 0.0)
    demand.record(L4_TENANT, 0.0)
    assert pending(demand, [L4]) == {("l4", "big"): 1, ("l4", "default"): 1}


def test_each_pool_that_waits_counts():
    demand = Demand(RETRY_AFTER_S)
    demand.record(L4, 0.0)
    demand.record(L4_TENANT, 0.0)
    assert pending(demand) == {("l4", "default"): 2}


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("record"), st.sampled_from(LANES)),
            st.tuples(st.just("served"), st.sets(st.sampled_from(LANES))),
            st.tuples(st.just("wait"), st.floats(0, TTL_S)),
        ),
        max_size=30,
    )
)
def test_a_lane_is_in_demand_from_its_mark_until_it_is_served_or_forgotten(steps):
    demand, now, marked = Demand(RETRY_AFTER_S), 0.0, {}
    for kind, value in steps:
        if kind == "record":
            demand.record(value, now)
            marked[value] = now
        elif kind == "wait":
            now += value
        served = value if kind == "served" else set()
        marked = {
            lane: since
            for lane, since in marked.items()
            if lane not in served and now < since + TTL_S
        }
        counted = demand.pending(served, now)
        assert sum(counted.values()) == len(marked)
        assert all(counted[lane[1:]] for lane in marked)
        assert all(profile and bundle for profile, bundle in counted)


def samples(collector):
    (family,) = collector.collect()
    return {(s.labels["machine_profile"], s.labels["bundle"]): s.value for s in family.samples}


def test_a_cleared_series_falls_to_zero_and_stays():
    demand = Demand(RETRY_AFTER_S)
    demand.record(L4, 0.0)
    assert samples(DemandGauge(demand, lambda: {L4: ["w"]}, list, lambda: 1.0)) == {
        ("l4", "default"): 0.0
    }


def test_requests_that_wait_in_a_lane_whose_workers_went_are_demand():
    gauge = DemandGauge(
        Demand(RETRY_AFTER_S), lambda: {L4_BIG: ["w"]}, lambda: [L4, L4_BIG], lambda: 1.0
    )
    assert samples(gauge) == {("l4", "default"): 1.0}


def test_leases_count_what_they_want_before_it_is_there_and_fall_to_zero():
    pools = {
        name: Pool(spec=PoolSpec(name=name, bundle="default", gpus=gpus))
        for name, gpus in [("a", {"l4": 2}), ("b", {"l4": 1, "cpu": 3})]
    }
    gauge = LeaseGauge(lambda: pools)
    assert samples(gauge) == {("l4", "default"): 3.0, ("cpu", "default"): 3.0}
    del pools["b"]
    assert samples(gauge) == {("l4", "default"): 2.0, ("cpu", "default"): 0.0}


def test_a_leased_worker_does_not_pass_for_the_one_that_is_missed():
    demand = Demand(RETRY_AFTER_S)
    demand.record(L4, 0.0)
    gauge = DemandGauge(demand, lambda: {L4_TENANT: ["w1", "w2"]}, list, lambda: 1.0)
    assert samples(gauge) == {("l4", "default"): 3.0}

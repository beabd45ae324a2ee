"""The loop of autoscaling in virtual time: what must hold whatever is asked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.autoscaling import oracle
from tests.autoscaling.scaling import Scaling
from tests.autoscaling.simulation import Clients, Machines, Outcome, Simulation
from tests.autoscaling.traffic import ITEMS_PER_SECOND, Stream, day
from tests.charts.rendering import of_kind, render

MACHINES = Machines(node=(60, 120), container=(20, 40), load=(5, 20))
# How long all of that may take, with the polls in between.
COLD_S = 120 + 40 + 20 + 30


@pytest.fixture(scope="module")
def scaling():
    objects = render("gke", "autoscaling.cooldownPeriod=300")
    return Scaling.of(of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-spot-default"])


def simulate(streams, scaling, seconds, **more) -> tuple[Simulation, Outcome]:
    simulation = Simulation(streams, scaling, seed=1, machines=MACHINES, **more)
    return simulation, simulation.run(seconds)


def stream(requests, items=8, lease=(0, 0), name="p"):
    return Stream(name, "given", np.array(requests, dtype=np.int64), items, lease)


def steady(rate, seconds, rest=0):
    return stream(np.concatenate([np.full(seconds, rate), np.zeros(rest)]))


bursts = st.lists(
    st.tuples(st.integers(0, 900), st.integers(1, 120), st.integers(1, 60)), min_size=1, max_size=4
)


@settings(max_examples=6, deadline=None)
@given(bursts, st.integers(1, 32))
def test_all_are_answered_and_zero_comes_back(scaling, spans, items):
    requests = np.zeros(1100, dtype=np.int64)
    for begin, length, rate in spans:
        requests[begin : begin + length] += rate
    simulation, outcome = simulate([stream(requests, items)], scaling, 4500)
    answered = sum(count for _, count in outcome.queued_s)
    assert (outcome.requests, answered, outcome.gave_up) == (requests.sum(), requests.sum(), 0)
    # Who found nobody had a worker as soon as one could come.
    assert max(outcome.waited_s, default=0) <= COLD_S + 1.25 * 120
    assert max(outcome.replicas["p"]) <= scaling.most
    assert outcome.replicas["p"][-1] == 0
    assert not simulation.lanes()


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 600), st.integers(400, 1200), st.integers(0, 20))
def test_a_lease_is_a_floor(scaling, begin, length, rate):
    given_stream = stream(np.full(begin + length, rate), lease=(begin, begin + length))
    _, outcome = simulate([given_stream], scaling, begin + length)
    polls = outcome.replicas["p"][begin // 15 + 2 :]
    assert min(polls) >= 1


def test_light_traffic_keeps_one_worker_and_only_recent_use_does_that(scaling):
    light = stream([1 if second % 25 == 0 else 0 for second in range(5400)])
    _, outcome = simulate([light], scaling, 5400)
    _, four = simulate([light], scaling, 5400, without=["recent-use"])
    settled = COLD_S + 600
    assert set(outcome.replicas["p"][settled // 15 :]) == {1}
    assert 0 in four.replicas["p"][settled // 15 :]
    assert four.starts["p"] > 2 * outcome.starts["p"]
    assert len(four.waited_s) > 3 * len(outcome.waited_s)


def test_a_steady_load_of_several_workers_settles(scaling):
    # Three and a half workers' work.
    load = steady(3.5 * ITEMS_PER_SECOND / 8, 7200)
    _, outcome = simulate([load], scaling, 7200)
    settled = outcome.replicas["p"][-120:]
    # Those that are seven tenths busy.
    assert set(settled) <= {5, 6}
    late = [seconds for seconds, _ in outcome.queued_s[-1800:]]
    assert max(late) <= 2


def test_nobody_waits_where_one_worker_is_always_there():
    objects = render("gke", "workers.pools.l4-spot.minReplicas=1")
    scaling = Scaling.of(of_kind(objects, "ScaledObject")["sie-sie-cluster-l4-spot-default"])
    warm = np.concatenate([np.zeros(300), np.full(300, 3)])
    _, outcome = simulate([stream(warm)], scaling, 900)
    assert outcome.waited_s == []


def test_who_gives_up_is_counted(scaling):
    impatient = Clients(patience_s=30)
    _, outcome = simulate([steady(1, 60, 600)], scaling, 660, clients=impatient)
    assert outcome.gave_up > 0
    assert outcome.gave_up + sum(count for _, count in outcome.queued_s) == outcome.requests


def test_the_same_seed_gives_the_same_day(scaling):
    first, second = (simulate(day(3, pools=6, seconds=3600), scaling, 3600)[1] for _ in range(2))
    assert first == second
    assert first.requests > 1000


def test_who_knows_the_future_pays_less(scaling):
    streams = day(5, pools=6, seconds=7200)
    _, outcome = simulate(streams, scaling, 7200)
    for each in streams:
        assert outcome.paid_s[each.name] >= 0.9 * oracle.paid_s(each, start_s=25)


@pytest.mark.parametrize(
    ("minutes", "start_s", "expected_s"),
    [
        ([1, 0, 1], 60, 3 * 60 + 60),
        ([1, 0, 0, 0, 1], 60, 2 * 60 + 2 * 60),
        ([2, 1], 30, 2 * 60 + 60 + 2 * 30),
    ],
    ids=["a short gap is held", "a long one is not", "each worker for itself"],
)
def test_the_oracle_holds_a_worker_only_where_that_is_cheaper(minutes, start_s, expected_s):
    requests = np.zeros(60 * len(minutes), dtype=np.int64)
    requests[::60] = np.array(minutes) * int(ITEMS_PER_SECOND * 60)
    assert oracle.paid_s(stream(requests, items=1), start_s) == expected_s

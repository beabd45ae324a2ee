"""What becomes of metrics, by the ScaledObject that the chart renders."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.autoscaling.scaling import Autoscaler, Scaling
from tests.charts.rendering import of_kind, render

POLL_S = 15.0


@pytest.fixture(scope="module")
def scaling():
    return Scaling.of(of_kind(render("gke"), "ScaledObject")["sie-sie-cluster-l4-spot-default"])


def follow(autoscaler, polls, start=0.0):
    """Polls with some triggers' values, all others 0, or with None for an outage."""
    counts = []
    for number, given_values in enumerate(polls):
        default = None if given_values is None else 0.0
        values = dict.fromkeys(autoscaler.scaling.triggers, default) | (given_values or {})
        counts.append(autoscaler.poll(values, start + number * POLL_S))
    return counts


def test_demand_makes_one_and_cooldown_takes_it_away(scaling):
    counts = follow(Autoscaler(scaling), [{"pending-demand": 1}] + [{}] * 61)
    assert counts == [1] * 60 + [0] * 2


def test_a_queue_at_its_activation_wakes_nobody(scaling):
    assert follow(Autoscaler(scaling), [{"queue-depth": 2}, {"queue-depth": 3}]) == [0, 1]


def test_growth_is_as_fast_as_the_policies_allow(scaling):
    assert follow(Autoscaler(scaling), [{"queue-depth": 400}] * 6) == [1, 5, 10, 20, 40, 40]


def test_shrinking_waits_for_the_window_and_goes_by_a_quarter(scaling):
    autoscaler = Autoscaler(scaling, replicas=8)
    follow(autoscaler, [{"queue-depth": 80}])
    counts = follow(autoscaler, [{"recent-use": 1}] * 80, start=POLL_S)
    assert counts[:19] == [8] * 19
    assert counts[19] == 6
    assert counts[-1] == 1


def test_leased_workers_stay(scaling):
    assert set(follow(Autoscaler(scaling, replicas=2), [{"leased-gpus": 2}] * 200)) == {2}


def test_an_outage_takes_nobody_away_and_brings_the_fallback(scaling):
    assert follow(Autoscaler(scaling), [None] * 2) == [2, 2]
    assert set(follow(Autoscaler(scaling, replicas=5), [None] * 200)) == {5}


def test_without_a_fallback_the_cooldown_goes_on_during_an_outage(scaling):
    autoscaler = Autoscaler(replace(scaling, fallback=0))
    counts = follow(autoscaler, [{"recent-use": 1}, *[None] * 61])
    assert counts == [1] * 60 + [0] * 2


def test_a_missing_metric_shrinks_nothing(scaling):
    autoscaler = Autoscaler(scaling, replicas=5)
    assert set(follow(autoscaler, [{"recent-use": 1, "queue-depth": None}] * 200)) == {5}


def test_all_times_are_shortened_alike(scaling):
    faster = scaling.faster(30)
    assert (faster.polling_s, faster.cooldown_s) == (0.5, 30)
    assert faster.down["stabilizationWindowSeconds"] == 10
    assert [each["periodSeconds"] for each in faster.up["policies"]] == [0.5, 0.5]
    assert "[4000ms]" in faster.triggers["rejected-requests"].query
    assert scaling.faster(1).triggers["recent-use"].query.count("[120000ms]") == 1


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.dictionaries(
                st.sampled_from(["pending-demand", "queue-depth", "leased-gpus", "recent-use"]),
                st.floats(0, 1000),
            ),
        ),
        max_size=60,
    )
)
def test_replicas_are_bounded_and_never_zero_while_a_trigger_is_active(scaling, polls):
    counts = follow(Autoscaler(scaling), polls)
    for values, count in zip(polls, counts, strict=True):
        assert 0 <= count <= scaling.most
        active = any(v > scaling.triggers[n].activation for n, v in (values or {}).items())
        assert count or not active

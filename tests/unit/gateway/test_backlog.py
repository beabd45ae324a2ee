"""When a queue is too long to join, alone: arrivals and answers at chosen times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backlog import Backlog


def under_pressure(rate, waiting, seconds=5, tenant="a"):
    """A backlog of which `rate` items a second are answered, and replaced."""
    backlog = Backlog()
    backlog.enter(tenant, waiting, 0.0)
    for tick in range(1, seconds * 10 + 1):
        backlog.leave(tenant, rate // 10, tick / 10, answered=True)
        backlog.enter(tenant, rate // 10, tick / 10)
    return backlog


def test_the_excess_is_what_waits_over_the_speed_less_the_bound():
    backlog = under_pressure(rate=100, waiting=2000)
    assert backlog.excess_s("a", 10.0, 5.0) == pytest.approx(10.0, rel=0.3)
    assert backlog.excess_s("a", 30.0, 5.0) == 0


def test_a_tenant_is_not_refused_for_anothers_backlog():
    backlog = under_pressure(rate=100, waiting=2000)
    assert backlog.excess_s("b", 10.0, 5.0) == 0
    backlog.enter("b", 600, 5.0)
    assert backlog.excess_s("b", 10.0, 5.0) > 0


def test_a_short_queue_tells_nothing():
    backlog = under_pressure(rate=10, waiting=50, seconds=20)
    assert backlog.excess_s("a", 0.001, 20.0) == 0


def test_a_burst_is_let_in_until_its_speed_is_known():
    backlog = Backlog()
    backlog.enter("a", 10_000, 0.0)
    backlog.leave("a", 1, 0.1, answered=True)
    assert backlog.excess_s("a", 1.0, 0.2) == 0
    assert backlog.excess_s("a", 1.0, 3.2) > 0


def test_a_model_that_is_being_loaded_refuses_nothing():
    backlog = Backlog()
    backlog.enter("a", 10_000, 0.0)
    backlog.leave("a", 10, 5.0, answered=False)
    assert backlog.excess_s("a", 1.0, 60.0) == 0


def test_what_was_before_the_pressure_does_not_count():
    backlog = Backlog()
    for second in range(10):
        backlog.enter("a", 1, float(second))
        backlog.leave("a", 1, second + 0.5, answered=True)
    backlog.enter("a", 500, 10.0)
    for tick in range(40):
        backlog.leave("a", 10, 10 + tick / 10, answered=True)
        backlog.enter("a", 10, 10 + tick / 10)
    assert backlog.excess_s("a", 10.0, 14.0) == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 200), st.booleans())))
def test_what_came_and_went_leaves_nothing(history):
    backlog = Backlog()
    for number, (tenant, count, _) in enumerate(history):
        backlog.enter(tenant, count, float(number))
    for number, (tenant, count, answered) in enumerate(history):
        assert not backlog.is_empty
        backlog.leave(tenant, count, float(len(history) + number), answered=answered)
    assert backlog.is_empty
    assert backlog.excess_s("a", 0.0, 1e6) == 0

"""When a queue is too long to join, alone: arrivals and answers at chosen times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.backlog import Backlog


def busy(rate, seconds, waiting=1000, start=0.0, backlog=None):
    """A backlog of which `rate` items a second are answered, and replaced, for so long."""
    if backlog is None:
        backlog = Backlog()
        backlog.enter("a", waiting, start)
    for step in range(1, int(seconds * 10) + 1):
        backlog.leave("a", rate // 10, start + step / 10, answered=True)
        backlog.enter("a", rate // 10, start + step / 10)
    return backlog


@pytest.mark.parametrize("rate", [50, 400])
def test_what_waits_takes_as_long_as_it_has_taken(rate):
    backlog = busy(rate, 10)
    assert backlog.excess_s("a", 0.5, 10.0) == pytest.approx(1000 / rate - 0.5, rel=0.1)
    assert backlog.excess_s("a", 30.0, 10.0) == 0


def test_a_change_of_speed_is_seen_within_seconds():
    backlog = busy(400, 10)
    busy(100, 15, start=10.0, backlog=backlog)
    assert backlog.excess_s("a", 0, 25.0) == pytest.approx(10, rel=0.4)


def test_a_tenant_is_not_refused_for_anothers_backlog():
    backlog = busy(rate=100, seconds=5, waiting=2000)
    assert backlog.excess_s("a", 10.0, 5.0) > 0
    assert backlog.excess_s("b", 10.0, 5.0) == 0
    backlog.enter("b", 600, 5.0)
    assert backlog.excess_s("b", 10.0, 5.0) > 0


def test_nothing_is_predicted_of_little_of_a_moment_or_of_silence():
    few = busy(rate=10, seconds=20, waiting=15)
    assert few.excess_s("a", 0.0, 20.0) == 0
    assert busy(rate=100, seconds=0.5).excess_s("a", 0.0, 0.5) == 0
    silent = Backlog()
    silent.enter("a", 5000, 0.0)
    silent.leave("a", 10, 5.0, answered=False)
    assert silent.excess_s("a", 0.0, 60.0) == 0


def test_a_pause_is_no_speed():
    backlog = Backlog()
    backlog.enter("a", 100, 0.0)
    backlog.leave("a", 60, 1.0, answered=True)
    backlog.leave("a", 30, 1.0, answered=False)
    backlog.enter("a", 200, 1000.0)
    assert backlog.excess_s("a", 0.0, 1000.5) == 0
    backlog.leave("a", 100, 1002.0, answered=True)
    assert backlog.excess_s("a", 0.0, 1002.0) == pytest.approx(2, rel=0.2)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 200), st.booleans())))
def test_what_came_and_went_makes_nobody_wait(history):
    backlog = Backlog()
    for number, (tenant, count, _) in enumerate(history):
        backlog.enter(tenant, count, float(number))
    for number, (tenant, count, answered) in enumerate(history):
        backlog.leave(tenant, count, float(len(history) + number), answered=answered)
    assert backlog.excess_s("a", 0.0, 1e6) == 0


def test_a_tenant_has_its_first_items_in_line_and_then_none_until_few_wait():
    backlog = Backlog()
    assert backlog.enter("a", 10, 0.0) == 16
    assert backlog.enter("a", 10, 0.0) == 6
    assert backlog.enter("a", 1, 0.0) == 0
    assert backlog.enter("b", 1, 0.0) == 16
    backlog.leave("a", 4, 1.0, answered=True)
    # There would be room, but whatever stands aside must not be overtaken.
    assert backlog.enter("a", 1, 1.0) == 0
    backlog.leave("a", 8, 2.0, answered=True)
    assert backlog.enter("a", 1, 2.0) == 6

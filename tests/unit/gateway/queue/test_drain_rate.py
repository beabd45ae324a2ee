"""Retry-After of a full queue follows how fast it drains."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.queue.drain_rate import DrainRate


def test_it_is_the_time_in_which_a_tenth_of_what_waits_is_answered():
    rate = DrainRate()
    for second in range(10):
        rate.answered(float(second), 50)
    assert rate.per_second(10.0) == 50
    assert rate.retry_after_s(10.0, 5000) == 10


def test_what_was_answered_long_ago_does_not_count():
    rate = DrainRate()
    rate.answered(0.0, 1000)
    assert rate.per_second(20.0) == 0


@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 10**6)), max_size=50),
    st.integers(0, 10**9),
)
def test_it_is_always_between_a_second_and_a_minute(answers, waiting):
    rate, now = DrainRate(), 0.0
    for pause, count in answers:
        now += pause
        rate.answered(now, count)
    assert 1 <= rate.retry_after_s(now, waiting) <= 60

"""How much work a worker takes in advance."""

from hypothesis import given
from hypothesis import strategies as st

from worker.queue.prefetch import (
    BESIDE_SURPLUS,
    MAX_MESSAGES,
    PREFETCH_S,
    messages_wanted,
    messages_wanted_beside,
    yielding_messages_wanted,
)

speeds = st.floats(0, 1e7)
sizes = st.floats(0, 1e6)


@given(speeds, sizes)
def test_an_idle_worker_always_asks_for_something(speed, size):
    assert 1 <= messages_wanted(speed, 0, size) <= MAX_MESSAGES


@given(speeds, st.integers(1, 10**7), sizes)
def test_a_worker_with_enough_to_do_asks_for_nothing(speed, waiting, size):
    if waiting >= speed * PREFETCH_S:
        assert messages_wanted(speed, waiting, size) == 0


def test_the_share_of_a_second_is_filled_with_messages_of_the_usual_size():
    assert messages_wanted(10_000, 500, 100) == 20


@given(speeds, st.integers(1, 10**7), sizes, st.integers(1, 64))
def test_a_surplus_in_hand_keeps_nobody_else_out(speed, waiting, size, surplus):
    assert messages_wanted_beside(surplus, 0, speed, waiting, size) >= BESIDE_SURPLUS
    if waiting >= speed * PREFETCH_S:
        assert messages_wanted_beside(surplus, BESIDE_SURPLUS, speed, waiting, size) == 0
        assert messages_wanted_beside(0, 0, speed, waiting, size) == 0


@given(speeds, st.integers(0, 10**7), sizes)
def test_work_that_gives_way_goes_on_without_end(speed, waiting, size):
    assert yielding_messages_wanted(speed, waiting, 0, size) >= 1

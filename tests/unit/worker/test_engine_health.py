"""When an engine is broken, and when its inputs are bad."""

from worker.batching.engine_health import EngineHealth


def test_bad_inputs_among_good_ones_break_nothing():
    health = EngineHealth()
    for _ in range(100):
        asked = [health.failed(canary=False) for _ in range(2)]
        assert not any(asked)
        health.succeeded()
    assert not health.broken


def test_bad_inputs_alone_ask_for_a_canary_whose_answer_clears_the_engine():
    health = EngineHealth()
    for _ in range(100):
        asked = [health.failed(canary=False) for _ in range(3)]
        assert asked == [False, False, True]
        health.succeeded()
    assert not health.broken


def test_an_engine_that_fails_three_inputs_of_our_own_is_broken():
    health = EngineHealth()
    while not health.failed(canary=False):
        pass
    assert health.failed(canary=True)
    assert health.failed(canary=True)
    assert not health.broken
    assert not health.failed(canary=True)
    assert health.broken

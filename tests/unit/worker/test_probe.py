"""What a run costs is measured within a budget, and shapes the batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.opening.probe import CostModel, Sample, fit, limits_of, measure

costs = st.builds(
    CostModel,
    run=st.floats(1e-5, 1e-2),
    token=st.floats(1e-7, 1e-3),
    attention=st.floats(1e-9, 1e-6),
)
SHAPES = ((1, 4), (4, 16), (1, 64), (1, 128), (8, 32))


class SlowEngine:
    """An engine whose every run takes what a cost model says, on a clock of its own."""

    def __init__(self, cost):
        self.cost, self.now, self.shapes = cost, 0.0, []

    def run(self, rows, tokens):
        self.shapes.append((rows, tokens))
        self.now += self.cost.seconds(rows, tokens)


@given(costs)
def test_a_fit_predicts_the_engine_that_it_was_made_from(cost):
    fitted = fit([Sample(rows, tokens, cost.seconds(rows, tokens)) for rows, tokens in SHAPES])
    for rows, tokens in (*SHAPES, (16, 64), (2, 256)):
        assert fitted.seconds(rows, tokens) == pytest.approx(cost.seconds(rows, tokens), rel=1e-3)


@given(st.lists(st.floats(1e-6, 10), min_size=5, max_size=5))
def test_no_part_of_a_fit_is_negative_however_noisy_the_runs(seconds):
    fitted = fit([Sample(*shape, took) for shape, took in zip(SHAPES, seconds, strict=True)])
    assert min(fitted.run, fitted.attention) >= 0
    assert fitted.token > 0
    assert np.isfinite([fitted.run, fitted.token, fitted.attention]).all()


@given(costs)
def test_limits_are_whole_and_bounded(cost):
    limits = limits_of(cost)
    assert 256 <= limits.max_tokens <= 32_768
    assert 16 <= limits.max_rows <= 512
    assert 1 <= limits.run_cost_tokens <= 1024


def test_a_run_that_costs_much_beside_its_tokens_asks_for_large_batches():
    cpu = limits_of(CostModel(run=0.5e-3, token=50e-6, attention=0))
    gpu = limits_of(CostModel(run=0.5e-3, token=0.5e-6, attention=0))
    assert (cpu.max_tokens, cpu.run_cost_tokens) == (256, 10)
    assert (gpu.max_tokens, gpu.run_cost_tokens) == (25_000, 1000)


def test_measuring_keeps_its_budget_and_finds_the_cost():
    engine = SlowEngine(CostModel(run=1e-3, token=20e-6, attention=1e-8))
    cost = measure(engine.run, 512, budget_s=0.3, clock=lambda: engine.now)
    assert cost.run == pytest.approx(1e-3, rel=0.01)
    assert engine.now <= 0.3


def test_rows_longer_than_the_model_takes_are_never_run():
    engine = SlowEngine(CostModel(run=1e-3, token=20e-6, attention=0))
    assert measure(engine.run, 64, clock=lambda: engine.now) is not None
    assert max(tokens for _, tokens in engine.shapes) == 64


def test_an_engine_too_slow_to_measure_is_left_alone():
    engine = SlowEngine(CostModel(run=0.5, token=1e-3, attention=0))
    assert measure(engine.run, 512, clock=lambda: engine.now) is None
    assert set(engine.shapes) == {(1, 4)}

"""What a run of an engine costs, measured once at load: how batches should be shaped.

    seconds = run + token x rows x tokens + attention x rows x tokens^2

What a run costs beside its tokens decides how much padding is worth a run less, and how large a
batch must be before that cost no longer shows. On a CPU that is a few tokens, on a GPU thousands.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from worker.batching.batcher import BatchLimits

BUDGET_S = 0.3
"""How long measuring may take, about."""

DEFAULT_LIMITS = BatchLimits(max_tokens=512, max_rows=64, run_cost_tokens=6)
"""For an engine that could not be measured: MiniLM's on two cores."""

# Three that tell the three unknowns apart, and as many more as fit the budget.
_SHAPES = ((1, 4), (4, 16), (1, 64), (1, 16), (1, 128), (4, 64), (8, 32), (1, 256), (16, 128))
_NEEDED = 3
# Of an engine whose shortest run takes this share of the budget, nothing is measured.
_TOO_SLOW = 0.2
# The first run of a shape also plans for it and is not counted.
_REPEATS = 3

# A run's own cost is spread over this many times its worth in tokens: it then is 4% of the run.
# The cost of larger runs grows by more than that where they outgrow a processor's cache.
_SPREAD = 25
_TOKENS = (256, 32_768)
# Nobody waits longer than this for a batch that others filled.
_LONGEST_RUN_S = 0.25
_RUN_COST_TOKENS = (1, 1024)
_ROWS = (16, 512)
_TOKENS_PER_ROW = 8
# A run beside another holds so many times the tokens that its own cost is worth, and texts wait
# for such a run as long as that cost of so many runs.
_FULL = 8
_LONGEST_PATIENCE_S = 0.02


class Sample(NamedTuple):
    """A run that was measured: rows of so many tokens each, in seconds."""

    rows: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CostModel:
    """Seconds that a run takes.

    Attributes:
        run: whatever is in it.
        token: for each token, padding included.
        attention: for each pair of tokens of a row.

    """

    run: float
    token: float
    attention: float

    def seconds(self, rows: int, tokens: int) -> float:
        """Predict a run of rows of so many tokens each."""
        return self.run + rows * tokens * (self.token + self.attention * tokens)

    @property
    def tokens_per_second(self) -> float:
        """Speed in rows of 64 tokens, the run's own cost left out."""
        return 1 / (self.token + 64 * self.attention)


def fit(samples: Sequence[Sample]) -> CostModel:
    """Fit a cost model to at least three runs of different shapes, none of its parts negative.

    Errors count relative to a run's time, so that short runs decide what a run itself costs.
    """
    rows, tokens, seconds = np.array(samples, dtype=np.float64).T
    parts = np.stack([np.ones_like(rows), rows * tokens, rows * tokens**2], axis=1)
    scaled = parts / seconds[:, None]
    size = scaled.max(axis=0)
    run, token, attention = _not_negative(scaled / size, np.ones_like(seconds)) / size
    return CostModel(float(run), max(float(token), 1e-12), float(attention))


def limits_of(cost: CostModel) -> BatchLimits:
    """Shape batches for an engine of that cost."""
    worth = cost.run * cost.tokens_per_second
    within = _LONGEST_RUN_S * cost.tokens_per_second
    max_tokens = _clamped(min(worth * _SPREAD, within), _TOKENS)
    return BatchLimits(
        max_tokens=max_tokens,
        max_rows=_clamped(max_tokens / _TOKENS_PER_ROW, _ROWS),
        run_cost_tokens=_clamped(worth, _RUN_COST_TOKENS),
        full_tokens=min(max_tokens, _FULL * _clamped(worth, _RUN_COST_TOKENS)),
        patience_s=min(_FULL * cost.run, _LONGEST_PATIENCE_S),
    )


def measure(
    run: Callable[[int, int], object],
    max_length: int,
    *,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.perf_counter,
) -> CostModel | None:
    """Measure an engine.

    Args:
        run: computes rows of so many tokens.
        max_length: the longest row that it takes.
        budget_s: how long this may take; a shape that would take too long is left out.
        clock: seconds.

    Returns:
        None where too few shapes fit the budget or max_length.

    """
    end = clock() + budget_s
    samples: list[Sample] = []
    for number, (rows, tokens) in enumerate(_SHAPES):
        late = clock() + _REPEATS * _expected(samples, rows, tokens) > end
        if tokens > max_length or (late and number >= _NEEDED):
            continue
        took = [_timed(run, rows, tokens, clock) for _ in range(_REPEATS)]
        samples.append(Sample(rows, tokens, max(min(took[1:]), 1e-9)))
        if samples[0].seconds > _TOO_SLOW * budget_s:
            break
    return fit(samples) if len(samples) >= _NEEDED else None


def _timed(
    run: Callable[[int, int], object], rows: int, tokens: int, clock: Callable[[], float]
) -> float:
    started = clock()
    run(rows, tokens)
    return clock() - started


def _expected(samples: Sequence[Sample], rows: int, tokens: int) -> float:
    """Guess the time of a run from the last one, by tokens; nothing is known of the first."""
    if not samples:
        return 0.0
    last = samples[-1]
    return last.seconds * rows * tokens / (last.rows * last.tokens)


def _not_negative(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least squares over every set of columns; the best whose solution is not negative.

    Three columns have seven sets: fewer than the iterations of a general method.
    """
    best, error = np.zeros(matrix.shape[1]), math.inf
    for chosen in range(1, 2 ** matrix.shape[1]):
        columns = [i for i in range(matrix.shape[1]) if chosen >> i & 1]
        solution, *_ = np.linalg.lstsq(matrix[:, columns], target, rcond=None)
        wrong = float(np.square(matrix[:, columns] @ solution - target).sum())
        if (solution >= 0).all() and wrong < error:
            best, error = np.zeros(matrix.shape[1]), wrong
            best[columns] = solution
    return best


def _clamped(value: float, bounds: tuple[int, int]) -> int:
    return int(min(max(value, bounds[0]), bounds[1]))

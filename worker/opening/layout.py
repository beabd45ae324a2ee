"""Whether texts share rows or form groups of near-equal length: measured at load, on one workload.

    texts of 6 to 60 tokens ─► groups, as the batcher forms them      ─► seconds
                            └► rows of 128, of 256, as it fills them  ─► seconds

Rows are taken where they are faster by more than noise explains and answer alike.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from worker.batching.batcher import BatchLimits, places, select
from worker.checkpoint.heads import Output
from worker.engine import Engine, TokenBatch
from worker.engines.choose import in_turns, lowest_cosine
from worker.engines.packed_rows import PackedRows
from worker.opening.probe import CostModel, limits_of

# Widths of a row that are tried. Attention within wider ones costs more than they save.
_WIDTHS = (128, 256)
_GAIN = 1.03
_BUDGET_S = 0.6
# Two texts in three are short, as queries and sentences are.
_TEXTS, _SHORT, _LONG = 32, (6, 24), (24, 60)
# A run of rows holds at least so many tokens, or there would be one row to a run.
_LEAST_TOKENS = 256


class LayoutSetting(StrEnum):
    """Who decides."""

    AUTO = "auto"
    """The measurement."""
    PADDED = "padded"
    PACKED = "packed"
    """Rows of 128 tokens, for every model that can."""


@dataclass(frozen=True, slots=True)
class LayoutChoice:
    """How batches are shaped, and why.

    Attributes:
        row_tokens: width of the rows that texts share; 0 for groups.
        reason: for people.

    """

    row_tokens: int
    reason: str


class Text(NamedTuple):
    """A text that waits, by its length."""

    tokens: int
    arrived: float
    ids: NDArray[np.int32]


def asked_for() -> LayoutChoice:
    """Return the rows of who asked for rows."""
    return LayoutChoice(_WIDTHS[0], "asked for")


def with_rows(limits: BatchLimits, row_tokens: int) -> BatchLimits:
    """Return limits whose runs are whole rows of that width."""
    if not row_tokens:
        return limits
    rows = max(1, max(limits.max_tokens, _LEAST_TOKENS) // row_tokens)
    return replace(limits, row_tokens=row_tokens, max_tokens=rows * row_tokens)


def choose_layout(
    groups: Engine, packed: Engine, cost: CostModel, least_cosine: float, streams: int
) -> LayoutChoice:
    """Measure groups against rows.

    Args:
        groups: runs a graph of one text a row.
        packed: runs the same graph packed.
        cost: of the former's runs.
        least_cosine: between the answers of both.
        streams: of the engine that will serve, which share what waits.

    """
    texts, limits = workload(), limits_of(cost)
    if sum(each.tokens for each in texts) / cost.tokens_per_second > _BUDGET_S:
        return LayoutChoice(0, "groups: rows were not measured, since a batch takes too long")
    ways = {0: (groups, limits)} | {
        width: (PackedRows(packed, width), with_rows(limits, width)) for width in _WIDTHS
    }
    formed = {width: batches(texts, of, streams) for width, (_, of) in ways.items()}
    answers = {width: answer(engine, formed[width]) for width, (engine, _) in ways.items()}
    runs: dict[int, Callable[[], object]] = {
        width: partial(answer, engine, formed[width]) for width, (engine, _) in ways.items()
    }
    fastest = in_turns(runs, _BUDGET_S, time.process_time)
    alike = {
        width: not width or _cosine(answers[width], answers[0]) >= least_cosine for width in ways
    }
    best = min((width for width in ways if alike[width]), key=lambda width: fastest[width])
    chosen = best if fastest[best] * _GAIN < fastest[0] else 0
    told = (
        f"{_name(width)} {fastest[width] * 1e3:.0f} ms, fill {filled(formed[width], of):.2f}"
        + ("" if alike[width] else ", beyond the error budget")
        for width, (_, of) in ways.items()
    )
    return LayoutChoice(chosen, "; ".join(told))


def workload() -> list[Text]:
    """Return texts of ids that differ, the same each time."""
    chance = random.Random(0)  # noqa: S311 - no secret
    lengths = [chance.randint(*(_LONG if n % 3 == 0 else _SHORT)) for n in range(_TEXTS)]
    return [
        Text(length, n, 1 + np.arange(n, n + length, dtype=np.int32) % 97)
        for n, length in enumerate(lengths)
    ]


def batches(texts: Sequence[Text], limits: BatchLimits, streams: int = 1) -> list[list[Text]]:
    """Return the batches in which so many streams would take texts that came at once."""
    waiting, found = list(texts), []
    while waiting:
        batch = select(waiting, limits.shared(sum(each.tokens for each in waiting), streams))
        taken = set(map(id, batch))
        waiting = [each for each in waiting if id(each) not in taken]
        found.append(batch)
    return found


def answer(engine: Engine, formed: Sequence[Sequence[Text]]) -> NDArray[np.float32]:
    """Compute texts, batch by batch; (texts, size) float32 in the order of their arrival."""
    found: dict[float, NDArray[np.float32]] = {}
    for batch in formed:
        values = engine.run(TokenBatch.pack([each.ids for each in batch]))[Output.DENSE]
        found |= zip((each.arrived for each in batch), values, strict=True)
    return np.stack([found[arrived] for arrived in sorted(found)])


def filled(formed: Sequence[Sequence[Text]], limits: BatchLimits) -> float:
    """Return the share of what is computed that is no padding."""
    lengths = [[each.tokens for each in batch] for batch in formed]
    return sum(map(sum, lengths)) / sum(places(batch, limits) for batch in lengths)


def _cosine(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    return lowest_cosine({Output.DENSE: ours}, {Output.DENSE: theirs})


def _name(width: int) -> str:
    return f"rows of {width}" if width else "groups"

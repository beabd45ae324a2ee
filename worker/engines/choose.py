"""`engine: auto`: every engine at hand computes the same batch, and the fastest is taken.

The reference comes first and is what the others are held to. One that is not at least as much
faster as noise could make it is not taken, so that a machine's mood decides nothing. Where an
engine reads several forms of graph, each of them counts as one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from worker.compiler.graph_form import GraphForm
from worker.engine import Engine, EngineError, TokenBatch
from worker.engines.catalog import Candidate, EngineKind

K = TypeVar("K", bound=Hashable)

# Lowest cosine with the reference: of float32, and of what computes in half as many bits.
_EXACT = 0.99999
_ROUNDED = 0.9995
# Less than that may be noise, and does not pay for the start and the memory of another library.
_GAIN = 1.1
# Another form of graph for the same library costs neither.
_FORM_GAIN = 1.03
_BUDGET_S = 1.0
_MIN_ROUNDS, _MAX_ROUNDS = 3, 30


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an engine made of the probe batch.

    Attributes:
        candidate: the engine, and the form of graph that it ran.
        seconds: its fastest run; of CPU time, over all cores, where all engines are the CPU's.
        cosine: the lowest of all outputs with the reference's.
        error: why it could not be measured; empty if it was.

    """

    candidate: Candidate
    seconds: float
    cosine: float
    error: str = ""

    @property
    def agrees(self) -> bool:
        return not self.error and self.cosine >= least_cosine(self.candidate.kind)

    def __str__(self) -> str:
        if self.error:
            return f"{self.candidate} failed: {self.error}"
        return f"{self.candidate} {self.seconds * 1e3:.1f} ms, cosine {self.cosine:.6f}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine taken and the form of its graph, and why, for people."""

    engine: str
    form: GraphForm
    reason: str


def least_cosine(kind: EngineKind) -> float:
    """Return how alike to a reference an engine's answers must be to count as the same."""
    return _EXACT if kind.exact else _ROUNDED


def pick(measured: Sequence[Measurement]) -> Choice:
    """Take the fastest engine that agrees; the first of `measured` is the reference."""
    best = measured[0]
    for each in measured[1:]:
        if each.agrees and each.seconds * _gain(each, best) < best.seconds:
            best = each
    refused = [str(each.candidate) for each in measured if not each.error and not each.agrees]
    reason = "; ".join(map(str, measured))
    if refused:
        reason += f"; beyond the error budget: {', '.join(refused)}"
    return Choice(best.candidate.kind.name, best.candidate.form, reason)


def _gain(one: Measurement, other: Measurement) -> float:
    same_library = one.candidate.kind is other.candidate.kind
    return _FORM_GAIN if same_library else _GAIN


def compare(
    wanted: Sequence[Candidate],
    engines: Mapping[Candidate, Engine],
    batch: TokenBatch,
    *,
    failures: Mapping[Candidate, str] = MappingProxyType({}),
    budget_s: float = _BUDGET_S,
) -> list[Measurement]:
    """Run a batch on each engine, in turns, so that a slow moment strikes all of them.

    Args:
        wanted: what to measure, the reference first.
        engines: those that could be opened.
        batch: what to compute.
        failures: why the others could not be.
        budget_s: how long the runs may take, beyond four of each.

    """
    failed = dict(failures)
    answers = {each: _attempt(each, engine, batch, failed) for each, engine in engines.items()}
    running = {each: engine for each, engine in engines.items() if answers[each]}
    # Among CPU engines the time that other processes take from them must not count.
    on_cpu = all(each.kind.on_cpu for each in wanted)
    runs = {each: partial(engine.run, batch) for each, engine in running.items()}
    fastest = in_turns(runs, budget_s, time.process_time if on_cpu else time.perf_counter)
    expected = answers.get(wanted[0], {})
    return [
        Measurement(each, 0.0, 0.0, failed[each])
        if each in failed
        else Measurement(each, fastest[each], lowest_cosine(answers[each], expected))
        for each in wanted
    ]


def in_turns(
    runs: Mapping[K, Callable[[], object]], budget_s: float, clock: Callable[[], float]
) -> dict[K, float]:
    """Return the fastest run of each, in seconds of the clock; runs take turns.

    At least three of each are made, and no more once `budget_s` have passed.
    """
    fastest = dict.fromkeys(runs, math.inf)
    end = time.perf_counter() + budget_s
    for number in range(_MAX_ROUNDS):
        if number >= _MIN_ROUNDS and time.perf_counter() > end:
            break
        for each, run in runs.items():
            started = clock()
            run()
            fastest[each] = min(fastest[each], clock() - started)
    return fastest


def lowest_cosine(ours: Mapping[str, NDArray[Any]], theirs: Mapping[str, NDArray[Any]]) -> float:
    """Return the lowest cosine of any output's rows; 0 for an answer that is not finite."""
    lowest = 1.0
    for name, expected in theirs.items():
        if not np.isfinite(ours[name]).all():
            return 0.0
        one, other = (each.reshape(len(each), -1) for each in (ours[name], expected))
        lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
        same = (one == other).all(axis=1)
        products = (one * other).sum(axis=1) / np.where(lengths, lengths, 1)
        lowest = min(lowest, float(np.where(same, 1.0, products).min(initial=1.0)))
    return lowest


def _attempt(
    candidate: Candidate, engine: Engine, batch: TokenBatch, failures: dict[Candidate, str]
) -> Mapping[str, NDArray[np.float32]]:
    try:
        return engine.run(batch)
    except EngineError as error:
        failures[candidate] = str(error)
        return {}

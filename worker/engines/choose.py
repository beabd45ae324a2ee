"""`engine: auto`: every engine at hand computes the same batch, and the fastest is taken.

The reference comes first and is what the others are held to. One that is not at least as much
faster as noise could make it is not taken, so that a machine's mood decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from worker.engine import Engine, EngineError, TokenBatch
from worker.engines.catalog import EngineKind

AUTO = "auto"

# Lowest cosine with the reference: of float32, and of what computes in half as many bits.
_EXACT = 0.99999
_ROUNDED = 0.9995
# Less than that may be noise, and does not pay for the start and the memory of another library.
_GAIN = 1.1
_BUDGET_S = 1.0
_MIN_ROUNDS, _MAX_ROUNDS = 3, 30


@dataclass(frozen=True, slots=True)
class Measurement:
    """What an engine made of the probe batch.

    Attributes:
        engine: its name.
        seconds: its fastest run; of CPU time, over all cores, where all engines are the CPU's.
        cosine: the lowest of all outputs with the reference's.
        exact: whether it computes in float32.
        error: why it could not be measured; empty if it was.

    """

    engine: str
    seconds: float
    cosine: float
    exact: bool
    error: str = ""

    @property
    def agrees(self) -> bool:
        return not self.error and self.cosine >= (_EXACT if self.exact else _ROUNDED)

    def __str__(self) -> str:
        if self.error:
            return f"{self.engine} failed: {self.error}"
        return f"{self.engine} {self.seconds * 1e3:.1f} ms, cosine {self.cosine:.6f}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine taken, and why, for people."""

    engine: str
    reason: str


def pick(measured: Sequence[Measurement]) -> Choice:
    """Take the fastest engine that agrees; the first of `measured` is the reference."""
    best = measured[0]
    for each in measured[1:]:
        if each.agrees and each.seconds * _GAIN < best.seconds:
            best = each
    refused = [each.engine for each in measured if not each.error and not each.agrees]
    reason = "; ".join(map(str, measured))
    if refused:
        reason += f"; beyond the error budget: {', '.join(refused)}"
    return Choice(best.engine, reason)


def compare(
    kinds: Sequence[EngineKind],
    engines: Mapping[str, Engine],
    batch: TokenBatch,
    *,
    failures: Mapping[str, str] = MappingProxyType({}),
    budget_s: float = _BUDGET_S,
) -> list[Measurement]:
    """Run a batch on each engine, in turns, so that a slow moment strikes all of them.

    Args:
        kinds: what to measure, the reference first.
        engines: those that could be opened, by name.
        batch: what to compute.
        failures: why the others could not be.
        budget_s: how long the runs may take, beyond four of each.

    """
    failed = dict(failures)
    answers = {name: _attempt(engine, batch, failed) for name, engine in engines.items()}
    running = {name: engine for name, engine in engines.items() if answers[name]}
    # Among CPU engines the time that other processes take from them must not count.
    clock = time.process_time if all(kind.on_cpu for kind in kinds) else time.perf_counter
    fastest = _fastest(running, batch, budget_s, clock)
    expected = answers.get(kinds[0].name, {})
    return [
        Measurement(kind.name, 0.0, 0.0, kind.exact, failed[kind.name])
        if kind.name in failed
        else Measurement(
            kind.name,
            fastest[kind.name],
            lowest_cosine(answers[kind.name], expected),
            kind.exact,
        )
        for kind in kinds
    ]


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
        lowest = min(lowest, float(np.where(same, 1.0, products).min()))
    return lowest


def _attempt(
    engine: Engine, batch: TokenBatch, failures: dict[str, str]
) -> Mapping[str, NDArray[np.float32]]:
    try:
        return engine.run(batch)
    except EngineError as error:
        failures[engine.name] = str(error)
        return {}


def _fastest(
    engines: Mapping[str, Engine],
    batch: TokenBatch,
    budget_s: float,
    clock: Callable[[], float],
) -> dict[str, float]:
    fastest = dict.fromkeys(engines, float("inf"))
    end = time.perf_counter() + budget_s
    for number in range(_MAX_ROUNDS):
        if number >= _MIN_ROUNDS and time.perf_counter() > end:
            break
        for name, engine in engines.items():
            started = clock()
            engine.run(batch)
            fastest[name] = min(fastest[name], clock() - started)
    return fastest

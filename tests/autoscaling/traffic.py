"""A day of requests on many pools, from a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400

Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Callers of one kind, and the pool of machines that serves them.

    Args:
        name: of the machine profile, which nobody else uses.
        kind: what the callers are like.
        requests: how many come in each second.
        items: in each request.
        lease: from and until when they have leased a worker, in seconds; empty: never.
    """

    name: str
    kind: str
    requests: Counts
    items: int
    lease: tuple[int, int] = (0, 0)


def day(seed: int, pools: int = 36, seconds: int = DAY_S) -> list[Stream]:
    """As many streams as pools, of all kinds in turn."""
    rng = np.random.default_rng(seed)
    kinds = list(_KINDS)
    return [
        _stream(f"p{number:02}", kinds[number % len(kinds)], rng, seconds)
        for number in range(pools)
    ]


def _stream(name: str, kind: str, rng: np.random.Generator, seconds: int) -> Stream:
    items = int(rng.integers(1, 33))
    rate = _KINDS[kind](rng, seconds)
    # Peaks of one to six workers' work.
    if kind in ("office", "bursts", "nightly"):
        rate = rate * rng.uniform(1, 6) * ITEMS_PER_SECOND / (items * rate.max())
    lease = (0, 0)
    if kind == "leased":
        begin = int(rng.uniform(0.2, 0.6) * seconds)
        lease = (begin, begin + seconds // 8)
        rate[: lease[0]] = rate[lease[1] :] = 0
    return Stream(name, kind, rng.poisson(rate), items, lease)


# What one worker serves.
ITEMS_PER_SECOND = 200.0


def _office(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """Busy in the middle of the day, none at night."""
    time = np.arange(seconds) / seconds
    return np.clip(np.sin((time - 0.3) * 2.5 * np.pi), 0, None) * rng.uniform(0.7, 1.3, seconds)


def _bursts(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """Minutes of work after up to hours of nothing."""
    rate = np.zeros(seconds)
    at = rng.exponential(2400)
    while at < seconds:
        length = rng.uniform(60, 600)
        rate[int(at) : int(at + length)] = rng.uniform(0.2, 1)
        at += length + rng.exponential(2400)
    return np.maximum(rate, 1e-9)


def _light(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """A request now and then, all day."""
    return np.full(seconds, 1 / rng.uniform(10, 40))


def _rare(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """A handful of requests a day."""
    return np.full(seconds, 6 / DAY_S)


def _nightly(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """One hour of as much as fits."""
    rate = np.full(seconds, 1e-9)
    begin = int(rng.uniform(0, 0.9) * seconds)
    rate[begin : begin + 3600] = 1
    return rate


def _leased(rng: np.random.Generator, seconds: int) -> NDArray[np.float64]:
    """Some requests a minute, for as long as the lease lasts."""
    return np.full(seconds, rng.uniform(1, 10) / 60)


_KINDS = {
    "office": _office,
    "bursts": _bursts,
    "light": _light,
    "rare": _rare,
    "nightly": _nightly,
    "leased": _leased,
}

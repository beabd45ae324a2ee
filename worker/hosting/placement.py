"""Which models stay in memory: a pure function, no clock and no I/O.

A model that is to be loaded takes the place of those used longest ago:

    pinned      ever stays
    settling    stays: loaded less than `min_residence_s` ago, and used lately
    settled     goes if it must, first those with no work in hand, the least recently used first

So two models that do not fit together take turns of `min_residence_s`, however fast their
requests alternate, and what waits meanwhile stays in the queue. A settled model with work in
hand stops pulling and answers that work before it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Resident:
    """A model in memory.

    Attributes:
        model_id: its id.
        memory_bytes: what it takes.
        loaded_at: when it was loaded, seconds, monotonic.
        used_at: when work for it last came or ended, seconds, monotonic.
        in_use: whether it has work in hand.
        pinned: whether it must stay.

    """

    model_id: str
    memory_bytes: int
    loaded_at: float
    used_at: float
    in_use: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of residence.

    Attributes:
        budget_bytes: what all models together may take; 0 is no bound.
        min_residence_s: a model in demand stays so long.
        unused_s: a model without work for so long may go earlier.

    """

    budget_bytes: int
    min_residence_s: float = 10.0
    unused_s: float = 6.0


@dataclass(frozen=True, slots=True)
class Residence:
    """What decides which models stay.

    Attributes:
        limits: bounds, in memory and in time.
        pinned: ids of models that are never evicted.
        idle_evict_s: a model that nobody used for so long goes; 0: never.

    """

    limits: Limits
    pinned: frozenset[str] = frozenset()
    idle_evict_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Fits:
    """There is room."""


@dataclass(frozen=True, slots=True)
class Evict:
    """Let these go, in this order; then there is room."""

    model_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until`, seconds, monotonic: a model will have settled."""

    until: float


@dataclass(frozen=True, slots=True)
class Refuse:
    """It will not fit, because of what must stay."""

    free_bytes: int


Decision = Fits | Evict | Wait | Refuse


def place(residents: Collection[Resident], need_bytes: int, now: float, limits: Limits) -> Decision:
    """Decide what happens before a model is loaded.

    Args:
        residents: the models in memory, each once.
        need_bytes: what the new one takes, as far as that is known; a model that is larger
            than the whole budget is given all of it.
        now: seconds, monotonic.
        limits: bounds.

    """
    if not limits.budget_bytes:
        return Fits()
    need = min(need_bytes, limits.budget_bytes)
    lacking = need + sum(each.memory_bytes for each in residents) - limits.budget_bytes
    if lacking <= 0 or not residents:
        return Fits()
    movable = [each for each in residents if not each.pinned]
    if sum(each.memory_bytes for each in movable) < lacking:
        pinned = sum(each.memory_bytes for each in residents if each.pinned)
        return Refuse(max(0, limits.budget_bytes - pinned))
    return _evict_or_wait(movable, lacking, now, limits)


def expired(residents: Collection[Resident], now: float, idle_evict_s: float) -> list[str]:
    """Return the models that nobody has used for so long; with 0 none ever are."""
    if not idle_evict_s:
        return []
    return [
        each.model_id
        for each in residents
        if not (each.pinned or each.in_use) and now - each.used_at >= idle_evict_s
    ]


def spare(residents: Collection[Resident]) -> str | None:
    """Return the model to let go when memory ran out during a run, or None.

    Never one with work in hand: its work would have to end first, and may need memory too.
    """
    free = [each for each in residents if not (each.pinned or each.in_use)]
    chosen = min(free, key=lambda each: each.used_at, default=None)
    return chosen.model_id if chosen else None


def _evict_or_wait(
    movable: Sequence[Resident], lacking: int, now: float, limits: Limits
) -> Decision:
    order = sorted(movable, key=lambda each: (each.in_use, each.used_at))
    chosen: list[str] = []
    for each in order:
        if lacking <= 0:
            break
        if _settles_at(each, limits) <= now:
            chosen.append(each.model_id)
            lacking -= each.memory_bytes
    settling = [t for each in movable if (t := _settles_at(each, limits)) > now]
    if lacking > 0 and settling:
        return Wait(min(settling))
    return Evict(tuple(chosen))


def _settles_at(resident: Resident, limits: Limits) -> float:
    resides_until = resident.loaded_at + limits.min_residence_s
    if resident.in_use:
        return resides_until
    return min(resides_until, max(resident.used_at, resident.loaded_at) + limits.unused_s)

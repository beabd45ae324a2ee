"""Whose turn it is on a shared device: a pure state machine, no clock and no threads.

Start-time fair queueing (Goyal, Vin and Cheng, 1996). Everyone has a *virtual time*: the work
done for it, by its weight. The next turn is for whoever waits with the least. Whoever comes
back from a pause starts at the time of those that kept on, so that a pause earns nothing, and
a newcomer waits for no more than the turns that have begun.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Entrant:
    weight: float
    time: float
    waiting: int = 0
    running: int = 0


class FairQueue:
    """Orders turns by work done."""

    def __init__(self) -> None:
        self._entrants: dict[str, _Entrant] = {}
        self._now = 0.0

    def join(self, name: str, weight: float = 1.0) -> None:
        """Add somebody; `weight` is its share of the device beside others."""
        self._entrants[name] = _Entrant(weight, self._now)

    def leave(self, name: str) -> None:
        """Forget somebody who neither waits nor runs."""
        del self._entrants[name]

    def wait(self, name: str) -> None:
        """Ask for a turn."""
        entrant = self._entrants[name]
        if not entrant.waiting and not entrant.running:
            entrant.time = max(entrant.time, self._now)
        entrant.waiting += 1

    def next(self) -> str | None:
        """Begin the turn of whoever is next; None if nobody waits."""
        waiting = [name for name, each in self._entrants.items() if each.waiting]
        if not waiting:
            return None
        # What runs has not been charged yet: several turns at once must not count as none.
        name = min(waiting, key=lambda key: (self._entrants[key].time, self._entrants[key].running))
        entrant = self._entrants[name]
        self._now = max(self._now, entrant.time)
        entrant.waiting -= 1
        entrant.running += 1
        return name

    def end(self, name: str, cost: float) -> None:
        """End a turn that has cost so much, in tokens."""
        entrant = self._entrants[name]
        entrant.running -= 1
        entrant.time += cost / entrant.weight

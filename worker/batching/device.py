"""One device, shared by the models on it.

    stream of model A ─┐                 ┌─ slot ─► Engine.run
    stream of model A ─┼─► FairQueue ────┤
    stream of model B ─┘   by tokens     └─ slot ─► Engine.run

However many models a worker hosts, no more runs are in flight than the device has slots, and
a model in great demand does not starve its neighbours.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.batching.fair_queue import FairQueue


class Turn:
    """A slot of the device while it is held."""

    cost = 0.0
    """Tokens computed in it; set by the holder before the end."""


class Share:
    """One model's access to a device."""

    def __init__(self, device: Device, name: str) -> None:
        self._device = device
        self._name = name

    @contextmanager
    def turn(self) -> Iterator[Turn]:
        """Wait for a slot, and hold it to the end of the block."""
        self._device.acquire(self._name)
        turn = Turn()
        try:
            yield turn
        finally:
            self._device.release(self._name, turn.cost)

    def leave(self) -> None:
        """Give the share up; nobody may hold or await a turn of it."""
        self._device.leave(self._name)


class Device:
    """Grants slots in a fair order.

    Args:
        slots: how many runs at once are worthwhile.
        clock: seconds, monotonic.

    """

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._queue = FairQueue()
        self._slots = self._free = slots
        self._clock = clock
        self._busy_s = 0.0
        self._busy_since = 0.0
        self._granted: dict[str, int] = {}
        self._changed: dict[str, threading.Condition] = {}
        self._numbers = itertools.count()

    def join(self, weight: float = 1.0) -> Share:
        """Return a share for one more model."""
        name = f"share-{next(self._numbers)}"
        with self._lock:
            self._queue.join(name, weight)
            self._granted[name] = 0
            self._changed[name] = threading.Condition(self._lock)
        return Share(self, name)

    def leave(self, name: str) -> None:
        """See Share.leave."""
        with self._lock:
            self._queue.leave(name)
            del self._granted[name], self._changed[name]

    def busy_s(self) -> float:
        """Seconds for which at least one slot was held."""
        with self._lock:
            running_s = self._clock() - self._busy_since if self._free < self._slots else 0.0
            return self._busy_s + running_s

    def acquire(self, name: str) -> None:
        """Wait for a slot."""
        with self._lock:
            self._queue.wait(name)
            self._grant()
            while not self._granted[name]:
                self._changed[name].wait()
            self._granted[name] -= 1

    def release(self, name: str, cost: float) -> None:
        """Give a slot back after so many tokens."""
        with self._lock:
            self._queue.end(name, cost)
            self._free += 1
            if self._free == self._slots:
                self._busy_s += self._clock() - self._busy_since
            self._grant()

    def _grant(self) -> None:
        while self._free and (name := self._queue.next()) is not None:
            if self._free == self._slots:
                self._busy_since = self._clock()
            self._free -= 1
            self._granted[name] += 1
            self._changed[name].notify()

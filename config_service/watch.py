"""Watches: what is missing since a revision, then every commit as it happens.

    recent commits   … 4  5  6  7  8  9          bounded, shared by all watchers
                          ▲        ▲     ▲
                     slow │    resumed   └ up to date: waits, and is told so every few seconds

A watcher is a position in the registry's own commits, not a buffer of its own: a thousand
slow watchers cost a thousand numbers. One that falls behind the oldest commit kept is given
a fresh snapshot in the middle of its stream, and goes on from there.

What is sent is encoded once, however many watchers there are. A watcher that is behind gets
many commits in one message, cut at the same revisions for all, so that these are shared too;
and so is a snapshot, which is made anew only when the commits behind it grow many.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import NamedTuple

from config_service.registry import Registry
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import (
    Compacted,
    Events,
    Progress,
    WatchRegistryResponse,
)

PROGRESS_INTERVAL_S = 3.0
# While commits come faster than this, watchers are woken once for several.
GATHER_S = 0.005

# Commits in one message at most.
_BATCH = 64
# Messages that are kept encoded.
_ENCODED = 256
# A new watcher may get a snapshot that is so many commits old, and those commits.
_SNAPSHOT_LAG = 256


class _Update(NamedTuple):
    body: bytes
    # The revision that a watcher has seen when it has seen this.
    revision: int


class WatchHub:
    """Follows a registry for any number of watchers.

    Args:
        registry: what is watched.
        progress_interval_s: seconds without a commit after which a watcher hears a mark.
    """

    def __init__(
        self, registry: Registry, progress_interval_s: float = PROGRESS_INTERVAL_S
    ) -> None:
        self._registry = registry
        self._progress_interval_s = progress_interval_s
        self._changed = asyncio.Event()
        self._woken = -GATHER_S
        self._timer: asyncio.TimerHandle | None = None
        # Counts the times that the registry was replaced; positions before are void.
        self._generation = 0
        self._closed = False
        self._snapshot: _Update | None = None
        self._encoded: OrderedDict[tuple[int, int], _Update] = OrderedDict()

    def notify(self) -> None:
        """Wakes the watchers: the registry has moved on."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            return
        wait = self._woken + GATHER_S - loop.time()
        if wait <= 0:
            self._wake()
        else:
            self._timer = loop.call_later(wait, self._wake)

    def reset(self) -> None:
        """Gives every watcher a snapshot: the registry is another one now."""
        self._generation += 1
        self._snapshot = None
        self._encoded.clear()
        self.notify()

    def close(self) -> None:
        """Ends every watch with SHUTTING_DOWN."""
        self._closed = True
        self._wake()

    async def watch(self, from_revision: int) -> AsyncIterator[bytes]:
        """A snapshot (from 0) or the events from a revision on, then whatever comes.

        Gives encoded WatchRegistryResponses. Ends after `compacted`, and otherwise never by
        itself.

        Raises:
            SieError: INVALID_INPUT, a revision of the future; SHUTTING_DOWN.
        """
        if from_revision > self._registry.revision + 1:
            newest = self._registry.revision
            raise invalid("from_revision", f"is beyond {newest}, the newest revision, plus 1")
        if 0 < from_revision < self._registry.oldest_revision:
            yield _compacted(self._registry.oldest_revision)
            return
        position, generation = from_revision, self._generation
        while not self._closed:
            changed = self._changed
            if position > self._registry.revision and generation == self._generation:
                if not await self._wait(changed):
                    yield _progress(position - 1)
                continue
            update = self._next(position if generation == self._generation else 0)
            generation = self._generation
            yield update.body
            position = update.revision + 1
        raise SieError(ErrorReason.ERROR_REASON_SHUTTING_DOWN, "the config service is stopping")

    def _wake(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._woken = asyncio.get_running_loop().time()
        self._changed.set()
        self._changed = asyncio.Event()

    def _next(self, position: int) -> _Update:
        """The message for a watcher that has seen everything before `position`; 0: nothing."""
        if position < max(self._registry.oldest_revision, 1):
            return self._current_snapshot()
        last = min(self._registry.revision, position // _BATCH * _BATCH + _BATCH - 1)
        found = self._encoded.get((position, last))
        if found is None:
            found = self._encoded[position, last] = self._encode(position, last)
            if len(self._encoded) > _ENCODED:
                self._encoded.popitem(last=False)
        return found

    def _encode(self, first: int, last: int) -> _Update:
        events = self._registry.events_since(first, last + 1 - first) or []
        response = (
            WatchRegistryResponse(event=events[0])
            if len(events) == 1
            else WatchRegistryResponse(events=Events(events=events))
        )
        return _Update(response.SerializeToString(), last)

    def _current_snapshot(self) -> _Update:
        # 10,000 models take 70 ms; a fleet that comes back together, among commits, gets the same.
        registry = self._registry
        oldest = max(registry.oldest_revision - 1, registry.revision - _SNAPSHOT_LAG)
        if self._snapshot is None or self._snapshot.revision < oldest:
            response = WatchRegistryResponse(snapshot=registry.state.to_snapshot())
            self._snapshot = _Update(response.SerializeToString(), registry.revision)
        return self._snapshot

    async def _wait(self, changed: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(self._progress_interval_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True


def _progress(revision: int) -> bytes:
    return WatchRegistryResponse(progress=Progress(revision=revision)).SerializeToString()


def _compacted(oldest: int) -> bytes:
    return WatchRegistryResponse(compacted=Compacted(oldest_revision=oldest)).SerializeToString()

"""Watches: what is missing since a revision, then every commit as it happens.

    history   … 4  5  6  7  8  9          bounded, shared by all watchers
                   ▲        ▲     ▲
              slow │    resumed   └ up to date: waits, and is told so every few seconds

A watcher is a position in the registry's own history, not a buffer of its own: a thousand
slow watchers cost a thousand numbers. One that falls behind the oldest event kept is given
a fresh snapshot in the middle of its stream, and goes on from there.
"""

import asyncio
from collections.abc import AsyncIterator

from config_service.registry import Registry
from servicekit.errors import SieError, invalid
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import (
    Compacted,
    Event,
    Progress,
    WatchRegistryResponse,
)

PROGRESS_INTERVAL_S = 3.0


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
        # Counts the times that the registry was replaced; positions before are void.
        self._generation = 0
        self._closed = False
        self._snapshot: WatchRegistryResponse | None = None

    def notify(self) -> None:
        """Wakes the watchers: the registry has moved on."""
        self._snapshot = None
        self._changed.set()
        self._changed = asyncio.Event()

    def reset(self) -> None:
        """Gives every watcher a snapshot: the registry is another one now."""
        self._generation += 1
        self.notify()

    def close(self) -> None:
        """Ends every watch with SHUTTING_DOWN."""
        self._closed = True
        self.notify()

    async def watch(self, from_revision: int) -> AsyncIterator[WatchRegistryResponse]:
        """A snapshot (from 0) or the events from a revision on, then whatever comes.

        Ends after `compacted`, and otherwise never by itself.

        Raises:
            SieError: INVALID_INPUT, a revision of the future; SHUTTING_DOWN.
        """
        if from_revision > self._registry.revision + 1:
            newest = self._registry.revision
            raise invalid("from_revision", f"is beyond {newest}, the newest revision, plus 1")
        if from_revision and self._registry.events_since(from_revision) is None:
            oldest = self._registry.oldest_revision
            yield WatchRegistryResponse(compacted=Compacted(oldest_revision=oldest))
            return
        position, generation = from_revision, self._generation
        while not self._closed:
            changed = self._changed
            missing = self._missing(position, generation)
            generation = self._generation
            for response in missing:
                yield response
                position = _revision(response) + 1
            if not missing and not await self._wait(changed):
                yield WatchRegistryResponse(progress=Progress(revision=position - 1))
        raise SieError(ErrorReason.ERROR_REASON_SHUTTING_DOWN, "the config service is stopping")

    def _missing(self, position: int, generation: int) -> list[WatchRegistryResponse]:
        events: list[Event] | None = None
        if position and generation == self._generation:
            events = self._registry.events_since(position)
        if events is None:
            return [self._current()]
        return [WatchRegistryResponse(event=event) for event in events]

    def _current(self) -> WatchRegistryResponse:
        # Built once for a fleet that comes back together: 10,000 models take 70 ms.
        if self._snapshot is None or self._snapshot.snapshot.revision != self._registry.revision:
            snapshot = self._registry.state.to_snapshot()
            self._snapshot = WatchRegistryResponse(snapshot=snapshot)
        return self._snapshot

    async def _wait(self, changed: asyncio.Event) -> bool:
        try:
            async with asyncio.timeout(self._progress_interval_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True


def _revision(response: WatchRegistryResponse) -> int:
    kind = response.WhichOneof("update")
    return int(getattr(response, kind or "progress").revision)

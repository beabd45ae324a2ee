"""The single writer: decide, commit, apply, tell the watchers; one command at a time.

    command ─► in step? ─► decide ─► store.append ─► registry.apply ─► watchers
                                          │
                                          └─ refused, or no answer: nobody knows what the
                                             store holds, so it is read again before
                                             anything else is decided

What this process holds and what the store holds can differ when another process has
written, or when the broker has come back without its memory. `catch_up` makes them one:

    the store is ahead, on our history    its newer events are applied
    the store is behind, on our history   it is given what it lacks (a memory broker restarted)
    the histories differ                  the store wins; watchers get a snapshot
"""

import asyncio
import datetime as dt
import logging
from collections.abc import Callable
from typing import NamedTuple

from config_service.commands import Command
from config_service.metrics import Metrics
from config_service.receipts import Identity
from config_service.registry import RECENT_EVENTS, Registry
from config_service.store import Kept, RegistryStore
from config_service.watch import WatchHub
from servicekit.errors import SieError, code_of
from servicekit.registry_state import definition_of, key_of_event
from sie.registry.v1.registry_service_pb2 import Event, Receipt

log = logging.getLogger(__name__)

Clock = Callable[[], dt.datetime]

# How often, in commits, deletions older than the history are forgotten.
_FORGET_EVERY = 1000


class Outcome(NamedTuple):
    """What a command did.

    Args:
        first_revision: of its commits; 0: it changed nothing.
        revision: of the registry behind it.
    """

    first_revision: int
    revision: int

    @property
    def changed(self) -> bool:
        return self.first_revision > 0


class RegistryWriter:
    """Turns commands into commits.

    Args:
        registry: the state, empty until the first `catch_up`.
        store: where commits are kept.
        watchers: told of every change.
        metrics: counts writes.
        clock: gives commit times, in UTC.
    """

    def __init__(
        self,
        registry: Registry,
        store: RegistryStore,
        watchers: WatchHub,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._store = store
        self._watchers = watchers
        self._metrics = metrics
        self._clock = clock
        self._lock = asyncio.Lock()
        self._in_step = False

    async def execute(self, command: Command, identity: Identity | None = None) -> Outcome:
        """Commits what the command means, once for each identity.

        A command of many commits that is cut off has done some of them; each leaves a valid
        registry, and the same command again does the rest.

        Raises:
            SieError: the command is refused, FENCED, or REGISTRY_UNAVAILABLE.
        """
        async with self._lock:
            await self._get_in_step()
            if identity is not None and (known := self._registry.receipts.find(identity)):
                return Outcome(known.first_revision, known.revision)
            events = self._registry.decide(command, self._clock())
            outcome = self._outcome(events)
            receipt = _receipt(identity, outcome) if identity else None
            if receipt and events:
                events[-1].receipt.CopyFrom(receipt)
            for event in events:
                await self._save_receipt_displaced_by(event)
                await self._commit(event)
            if receipt and not events:
                await self._record(receipt)
            await self._forget_old_receipts()
            return outcome

    def decide(self, command: Command) -> list[Event]:
        """What `execute` would commit.

        Raises:
            SieError: the command is refused.
        """
        return self._registry.decide(command, self._clock())

    async def catch_up(self) -> None:
        """Makes this process and the store agree, if they may not.

        Raises:
            SieError: REGISTRY_UNAVAILABLE or FENCED; try again.
        """
        async with self._lock:
            await self._get_in_step()

    async def _get_in_step(self) -> None:
        if not self._in_step or await self._store.moved():
            await self._catch_up()

    async def _commit(self, event: Event) -> None:
        # Also a cancelled call may have written: until the store has said so, we do not know.
        self._in_step = False
        try:
            await self._store.append(event)
        except SieError as error:
            self._metrics.store_writes.labels(result=code_of(error.reason).lower()).inc()
            raise
        self._registry.apply(event)
        self._in_step = True
        self._metrics.store_writes.labels(result="committed").inc()
        self._tell()
        if event.revision % _FORGET_EVERY == 0:
            await self._forget_old_deletions()

    async def _record(self, receipt: Receipt) -> None:
        self._in_step = False
        await self._store.record(receipt)
        self._registry.receipts.add(receipt)
        self._in_step = True

    async def _save_receipt_displaced_by(self, event: Event) -> None:
        """A key lives longer than the commit that it came with: it gets a message of its own."""
        displaced = self._registry.history.displaced_by(event)
        if displaced and displaced.receipt in self._registry.receipts:
            await self._record(displaced.receipt)

    def _outcome(self, events: list[Event]) -> Outcome:
        if not events:
            return Outcome(0, self._registry.revision)
        return Outcome(events[0].revision, events[-1].revision)

    async def _catch_up(self) -> None:
        self._in_step = False
        kept = await self._store.load()
        log_kept = kept.events
        head = log_kept[-1] if log_kept else Event()
        newer = [event for event in log_kept if event.revision > self._registry.revision]
        if head.revision <= self._registry.revision and self._holds(head):
            await self._complete_store(kept)
        elif self._follows(log_kept, newer):
            for event in newer:
                self._registry.apply(event)
        else:
            fields = {"held": self._registry.revision, "stored": head.revision}
            log.warning("registry taken from the store", extra={"fields": fields})
            self._registry.replace(log_kept)
            self._watchers.reset()
        self._registry.receipts.restore(kept.receipts)
        self._in_step = True
        self._tell()

    def _holds(self, head: Event) -> bool:
        return head.revision == 0 or self._registry.knows(head)

    def _follows(self, log_kept: list[Event], newer: list[Event]) -> bool:
        """Whether the newer events continue our history without a gap."""
        ours = self._registry.revision
        if [event.revision for event in newer] != list(range(ours + 1, ours + 1 + len(newer))):
            return False
        return ours == 0 or any(
            event.revision == ours and self._registry.knows(event) for event in log_kept
        )

    async def _complete_store(self, kept: Kept) -> None:
        stored = {event.revision for event in kept.events}
        newest = max(stored, default=0)
        missing = [event for event in self._registry.history if event.revision > newest]
        for event in missing:
            await self._store.append(event)
        in_store = {receipt.key_sha256 for receipt in kept.receipts}
        in_store |= {event.receipt.key_sha256 for event in self._registry.history}
        for receipt in self._registry.receipts.all():
            if receipt.key_sha256 not in in_store:
                await self._store.record(receipt)
        if missing:
            log.warning("store rewritten", extra={"fields": {"events": len(missing)}})

    async def _forget_old_deletions(self) -> None:
        # A deleted model stays known, so that its definition file does not bring it back.
        keys = [
            key_of_event(event)
            for event in self._registry.history.compacted()
            if event.revision <= self._registry.revision - RECENT_EVENTS
            and definition_of(event) is None
            and key_of_event(event).kind == "pool"
        ]
        try:
            await self._store.forget(keys)
        except SieError as error:
            log.warning("old deletions are kept for now: %s", error)
        else:
            self._registry.history.forget(keys)

    async def _forget_old_receipts(self) -> None:
        try:
            await self._store.forget_receipts(self._registry.receipts.take_forgotten())
        except SieError as error:
            log.warning("old receipts are kept for now: %s", error)

    def _tell(self) -> None:
        self._metrics.revision.set(self._registry.revision)
        self._metrics.models.set(len(self._registry.state.models))
        self._watchers.notify()


def _receipt(identity: Identity, outcome: Outcome) -> Receipt:
    return Receipt(
        key_sha256=identity.key_sha256,
        request_sha256=identity.request_sha256,
        first_revision=outcome.first_revision,
        revision=outcome.revision,
    )

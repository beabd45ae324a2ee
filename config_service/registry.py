"""The registry as a state machine: a command is decided into events, an event is applied.

    command ── plan ──► changes ── decide ──► events (next revisions); none: nothing would change
                                                │   … the caller writes each to the store …
                                                ▼
                                              apply ──► state, history, recent commits, receipts

No I/O and no clock: deciding changes nothing, and an event is applied only once it is
stored. The newest event of each key is the compacted log: applied in order of revision it
gives the same state, with the revision at which each definition was written.
"""

import datetime as dt
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from config_service import pool_rules
from config_service.changes import change_of, differences
from config_service.commands import (
    Apply,
    Command,
    DefinitionCommand,
    Delete,
    Import,
    Rollback,
)
from config_service.history import History
from config_service.plan import DEFINED, Change, deletion, import_of, rollback_of
from config_service.pool_commands import PoolCommand
from config_service.receipts import Receipts
from config_service.references import check_unused
from config_service.validation import validate
from servicekit.errors import SieError, invalid
from servicekit.registry_state import (
    Definition,
    Key,
    RegistryState,
    definition_of,
    key_of,
    key_of_event,
)
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_document_pb2 import RegistryDocument, ResourceChange
from sie.registry.v1.registry_service_pb2 import Event

RECENT_EVENTS = 10_000


class Registry:
    """State, history, recent commits and receipts of the registry.

    Args:
        max_recent: commits kept for watches that resume.
    """

    def __init__(self, max_recent: int = RECENT_EVENTS) -> None:
        self.state = RegistryState()
        self.history = History()
        self.receipts = Receipts()
        # The newest commits by revision, without gaps.
        self._recent: dict[int, Event] = {}
        self._max_recent = max_recent

    @property
    def revision(self) -> int:
        return self.state.revision

    @property
    def oldest_revision(self) -> int:
        """First revision that `events_since` can start from."""
        return self.revision + 1 - len(self._recent)

    def decide(self, command: Command, now: dt.datetime) -> list[Event]:
        """The commits that the command means now; none if nothing would change.

        Raises:
            SieError: the command is refused, as a whole.
        """
        self._check_revision(command.expected_revision)
        if isinstance(command, PoolCommand):
            following = _next(self.revision + 1, now)
            decided = pool_rules.decide(command, self.state, now, following)
            return [following] if decided else []
        changes = self._changes(command)
        # Later changes are judged by what earlier ones leave behind.
        state = self.state.copy() if len(changes) > 1 else self.state
        events: list[Event] = []
        for change in changes:
            event = _event(change, state, self.revision + len(events) + 1, now)
            if event is not None:
                events.append(event)
            if event is not None and state is not self.state:
                state.apply(event)
        return events

    def preview(self, events: Iterable[Event]) -> list[ResourceChange]:
        """What commits that were decided, and not applied, would change."""
        after = {key_of_event(event): definition_of(event) for event in events}
        return differences(after, {key: self.state.get(key) for key in after}, after)

    def changes_between(self, first: int, last: int) -> list[ResourceChange]:
        """What the commits from `first` to `last` changed, as far as they are kept."""
        after = {
            key_of_event(event): definition_of(event)
            for event in self.history
            if first <= event.revision <= last
        }
        before = {key: self._before(key, first - 1) for key in after}
        return differences(after, before, after)

    def diff(self, first: int, last: int) -> list[ResourceChange]:
        """What differs between the states at two revisions.

        Raises:
            SieError: REVISION_NOT_KEPT; INVALID_INPUT, a revision of the future.
        """
        found = (
            change_of(
                key,
                self.history.definition_at(key, first, "from_revision"),
                self.history.definition_at(key, last, "to_revision"),
            )
            for key in sorted(self.history.keys)
            if key.kind in DEFINED
        )
        return [change for change in found if change is not None]

    def document(self, revision: int) -> RegistryDocument:
        """Every definition at a revision.

        Raises:
            SieError: REVISION_NOT_KEPT; INVALID_INPUT, a revision of the future.
        """
        made = RegistryDocument(revision=revision)
        for key in sorted(self.history.keys):
            if key.kind in DEFINED and (held := self.history.definition_at(key, revision)):
                getattr(made, f"{key.kind}s").append(held)
        return made

    def apply(self, event: Event) -> None:
        """Takes in the next committed event.

        Raises:
            ValueError: it is not the next one.
        """
        if event.revision != self.revision + 1:
            raise ValueError(f"event {event.revision} does not follow {self.revision}")
        self._take(event)

    def replace(self, log: Iterable[Event]) -> None:
        """Forgets everything and takes a log in order of revision, compacted or not."""
        self.state = RegistryState()
        self.history = History()
        self.receipts.clear()
        self._recent.clear()
        for event in log:
            self._take(event)

    def latest(self, key: Key) -> Event | None:
        """The newest event about a key; deletions are remembered too."""
        return self.history.latest(key)

    def events_since(self, revision: int, most: int | None = None) -> list[Event] | None:
        """Events from `revision` on, or None if some of them are no longer kept.

        Args:
            revision: the first.
            most: how many; None: all.
        """
        if revision < self.oldest_revision:
            return None
        end = self.revision + 1 if most is None else min(self.revision + 1, revision + most)
        return [self._recent[number] for number in range(revision, end)]

    def knows(self, event: Event) -> bool:
        """Whether this very event is part of what led here."""
        return self._recent.get(event.revision) == event or event in self.history.of(
            key_of_event(event)
        )

    def _take(self, event: Event) -> None:
        if event.revision != self.revision + 1:
            # Recent commits have no gaps, so they start anew behind one.
            self._recent.clear()
        self.state.apply(event)
        self.history.take(event)
        self._recent[event.revision] = event
        if len(self._recent) > self._max_recent:
            del self._recent[next(iter(self._recent))]
        if event.HasField("receipt"):
            self.receipts.add(event.receipt)

    def _changes(self, command: DefinitionCommand) -> list[Change]:
        match command:
            case Apply(definition):
                return [Change(key_of(definition), definition)]
            case Delete(key, allow_missing=allow_missing):
                return deletion(key, self.state, allow_missing=allow_missing)
            case Import(definitions, prune):
                return import_of(definitions.items(), prune, self.state)
            case Rollback(revision, key):
                return rollback_of(revision, key, self.history)

    def _before(self, key: Key, revision: int) -> Definition | None:
        try:
            return self.history.definition_at(key, revision)
        except SieError:
            return None

    def _check_revision(self, expected: int) -> None:
        if expected not in (0, self.revision):
            raise SieError(
                ErrorReason.ERROR_REASON_REVISION_CONFLICT,
                f"the registry is at revision {self.revision}, not {expected}",
                expected_revision=expected,
                revision=self.revision,
            )


def _event(change: Change, state: RegistryState, revision: int, now: dt.datetime) -> Event | None:
    """The commit of one change; None: it is so already."""
    key, definition, path = change
    held = state.get(key)
    if definition is None:
        if held is None:
            return None
        check_unused(key, state)
    else:
        with _at(path, key.kind):
            validate(definition, state)
        if held == definition:
            return None
    event = _next(revision, now)
    if definition is None:
        setattr(event, f"{key.kind}_deleted", key.id)
    else:
        getattr(event, f"{key.kind}_applied").CopyFrom(definition)
    return event


def _next(revision: int, now: dt.datetime) -> Event:
    event = Event(revision=revision)
    event.commit_time.FromDatetime(now)
    return event


@contextmanager
def _at(path: str, kind: str) -> Iterator[None]:
    """Names a field by its place in the request: `registry.models[3].inputs`."""
    try:
        yield
    except SieError as error:
        field = error.metadata.get("field", "")
        if not path or not field.startswith(kind):
            raise
        problem = error.message.removeprefix(f"{field}: ")
        raise invalid(path + field.removeprefix(kind), problem) from None

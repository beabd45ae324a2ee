"""What each definition was: its newest events, as many as the store keeps of them.

    model a    5 ── 9 ── 12          the whole of its life: fewer than are kept at most
    model b    … ── 40 ── 41 ── 57   as many as are kept: what was before 40 is not known

A revision of the registry is kept as long as every definition's state at it is known.
"""

from collections import deque
from collections.abc import Iterable, Iterator, KeysView

from servicekit.errors import SieError, invalid
from servicekit.registry_state import Definition, Key, definition_of, key_of_event
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_document_pb2 import ChangeAction
from sie.registry.v1.registry_service_pb2 import Event

# Events kept of each key: the most that a bucket keeps (config_service/store.py). A pool is
# renewed every minute, and never brought back to what it was.
KEPT = 64
_KEPT_OF_POOLS = 1


class History:
    """Newest events by key, oldest first."""

    def __init__(self) -> None:
        self._events: dict[Key, deque[Event]] = {}
        self.revision = 0

    def take(self, event: Event) -> None:
        """Takes in an event that is newer than those before."""
        key = key_of_event(event)
        events = self._events.get(key)
        if events is None:
            most = _KEPT_OF_POOLS if key.kind == "pool" else KEPT
            events = self._events[key] = deque(maxlen=most)
        events.append(event)
        self.revision = event.revision

    def displaced_by(self, event: Event) -> Event | None:
        """What will no longer be kept once this event is taken in, as in the store."""
        events = self._events.get(key_of_event(event))
        return events[0] if events and len(events) == events.maxlen else None

    def forget(self, keys: Iterable[Key]) -> None:
        """Drops every trace of keys; for what was deleted long ago."""
        for key in keys:
            self._events.pop(key, None)

    @property
    def keys(self) -> KeysView[Key]:
        """Every key that was ever written."""
        return self._events.keys()

    def latest(self, key: Key) -> Event | None:
        """The newest event about a key; deletions are remembered too."""
        events = self._events.get(key)
        return events[-1] if events else None

    def of(self, key: Key) -> list[Event]:
        """What is kept about a key, oldest first."""
        return list(self._events.get(key, ()))

    def __iter__(self) -> Iterator[Event]:
        """Everything that is kept, in order of revision."""
        everything = [event for events in self._events.values() for event in events]
        return iter(sorted(everything, key=lambda event: event.revision))

    def compacted(self) -> list[Event]:
        """The newest event of each key, in order of revision."""
        newest = (events[-1] for events in self._events.values())
        return sorted(newest, key=lambda event: event.revision)

    def definition_at(self, key: Key, revision: int, field: str = "revision") -> Definition | None:
        """What a definition was at a revision; None: it was not there.

        Args:
            key: of the definition.
            revision: when.
            field: of the request, that the revision was read from.

        Raises:
            SieError: REVISION_NOT_KEPT; INVALID_INPUT, a revision of the future.
        """
        if revision > self.revision:
            raise invalid(field, f"is beyond {self.revision}, the newest")
        events = self._events.get(key, deque[Event]())
        for event in reversed(events):
            if event.revision <= revision:
                return definition_of(event)
        if len(events) == KEPT:
            raise _not_kept(key, revision, events[0].revision)
        return None

    def action_of(self, event: Event) -> ChangeAction:
        """Whether an event that is kept created, updated or deleted."""
        if definition_of(event) is None:
            return ChangeAction.CHANGE_ACTION_DELETED
        events = self.of(key_of_event(event))
        place = next((i for i, one in enumerate(events) if one.revision == event.revision), 0)
        if place == 0:
            return (
                ChangeAction.CHANGE_ACTION_UPDATED
                if len(events) == KEPT
                else ChangeAction.CHANGE_ACTION_CREATED
            )
        was_there = definition_of(events[place - 1]) is not None
        return (
            ChangeAction.CHANGE_ACTION_UPDATED if was_there else ChangeAction.CHANGE_ACTION_CREATED
        )


def _not_kept(key: Key, revision: int, oldest: int) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_REVISION_NOT_KEPT,
        f"what {key} was at revision {revision} is no longer kept; its oldest is {oldest}",
        revision=revision,
        oldest_revision=oldest,
    )

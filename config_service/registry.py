"""The registry as a state machine: a command is decided into an event, an event is applied.

    command ── decide ──► Event (next revision), or None: nothing would change
                            │   … the caller writes it to the store …
                            ▼
                          apply ──► state, latest event of each key, recent history

No I/O and no clock: deciding changes nothing, and an event is applied only once it is
stored. The latest event of each key is the compacted log: applied in order of revision it
gives the same state, with the revision at which each definition was written.
"""

import datetime as dt
from collections import deque
from collections.abc import Iterable
from itertools import islice

from config_service import pool_rules
from config_service.commands import Apply, Command, DeleteModel
from config_service.validation import validate
from servicekit.errors import SieError
from servicekit.registry_state import Key, RegistryState, key_of, key_of_event
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import Event

HISTORY_EVENTS = 10_000


class Registry:
    """State, compacted log and history of the registry.

    Args:
        max_history: recent events kept for watches that resume.
    """

    def __init__(self, max_history: int = HISTORY_EVENTS) -> None:
        self.state = RegistryState()
        self._latest: dict[Key, Event] = {}
        self._history: deque[Event] = deque(maxlen=max_history)

    @property
    def revision(self) -> int:
        return self.state.revision

    @property
    def oldest_revision(self) -> int:
        """First revision that `events_since` can start from."""
        return self._history[0].revision if self._history else self.revision + 1

    def decide(self, command: Command, now: dt.datetime) -> Event | None:
        """The event that the command means now, or None if nothing would change.

        Raises:
            SieError: INVALID_INPUT, MODEL_NOT_FOUND, POOL_NOT_FOUND, PERMISSION_DENIED or
                REVISION_CONFLICT.
        """
        self._check_revision(command.expected_revision)
        event = Event(revision=self.revision + 1)
        event.commit_time.FromDatetime(now)
        match command:
            case Apply(definition):
                validate(definition, self.state)
                key = key_of(definition)
                if self.state.get(key) == definition:
                    return None
                getattr(event, f"{key.kind}_applied").CopyFrom(definition)
            case DeleteModel(model_id):
                if model_id not in self.state.models:
                    raise model_not_found(model_id)
                event.model_deleted = model_id
            case _:
                if not pool_rules.decide(command, self.state, now, event):
                    return None
        return event

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
        self._latest.clear()
        self._history.clear()
        for event in log:
            self._take(event)

    def latest(self, key: Key) -> Event | None:
        """The newest event about a key; deletions are remembered too."""
        return self._latest.get(key)

    def compacted_log(self) -> list[Event]:
        """The newest event of each key, in order of revision."""
        return sorted(self._latest.values(), key=lambda event: event.revision)

    def events_since(self, revision: int) -> list[Event] | None:
        """Every event from `revision` on, or None if some of them are no longer kept."""
        if revision < self.oldest_revision:
            return None
        return list(islice(self._history, revision - self.oldest_revision, None))

    def knows(self, event: Event) -> bool:
        """Whether this very event is part of what led here."""
        if self._latest.get(key_of_event(event)) == event:
            return True
        since = self.events_since(event.revision)
        return since is not None and since[:1] == [event]

    def _take(self, event: Event) -> None:
        if event.revision != self.revision + 1:
            # History has no gaps, so it starts anew behind one.
            self._history.clear()
        self.state.apply(event)
        self._latest[key_of_event(event)] = event
        self._history.append(event)

    def _check_revision(self, expected: int) -> None:
        if expected not in (0, self.revision):
            raise SieError(
                ErrorReason.ERROR_REASON_REVISION_CONFLICT,
                f"the registry is at revision {self.revision}, not {expected}",
                expected_revision=expected,
                revision=self.revision,
            )


def model_not_found(model_id: str) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_MODEL_NOT_FOUND,
        f"the registry holds no model {model_id!r}",
        model=model_id,
    )

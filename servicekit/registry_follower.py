"""What a watcher of the registry makes of what it is told, without the connection.

    snapshot            takes the place of everything held
    event, events       follow what is held, without a gap
    progress            says how far the server is
    compacted, doubt    nothing held can be built on: the next watch begins with a snapshot

A watch is resumed from the last event seen, not from the one behind it: if the server's event
of that revision is another one, its history is another one too (a store that lost its memory).
A server that has not even got that far says so with its progress, or refuses the revision.
"""

import logging
from collections.abc import Iterator

from servicekit.registry_state import RegistryState
from sie.registry.v1.registry_service_pb2 import Event, Snapshot, WatchRegistryResponse

log = logging.getLogger(__name__)


class RegistryFollower:
    """A read-only copy of the registry, and the place at which to go on."""

    def __init__(self) -> None:
        self.state = RegistryState()
        self._last_event: Event | None = None

    @property
    def from_revision(self) -> int:
        """What the next watch asks for; 0: a snapshot."""
        return self._last_event.revision if self._last_event else 0

    def doubt(self) -> None:
        """Has the next watch begin with a snapshot; what is held stays until then."""
        self._last_event = None

    def take(self, response: WatchRegistryResponse) -> Iterator[Event | None]:
        """Takes in a message, giving each event as it is applied, None for another snapshot.

        Raises:
            ValueError: the server's history is not the one that led here.
        """
        match response.WhichOneof("update"):
            case "snapshot":
                yield from self._replace(response.snapshot)
            case "event":
                yield from self._apply(response.event)
            case "events":
                for event in response.events.events:
                    yield from self._apply(event)
            case "progress" if response.progress.revision < self.state.revision:
                held = self.state.revision
                raise ValueError(f"the registry is at {response.progress.revision}, not {held}")
            case "compacted":
                self.doubt()

    def _replace(self, snapshot: Snapshot) -> Iterator[None]:
        if snapshot.revision < self.state.revision:
            fields = {"held": self.state.revision, "revision": snapshot.revision}
            log.warning("the registry has gone back", extra={"fields": fields})
        self._last_event = None
        # An empty registry is news too: there is one.
        if snapshot.revision == 0 or snapshot != self.state.to_snapshot():
            self.state.replace(snapshot)
            yield None

    def _apply(self, event: Event) -> Iterator[Event]:
        last = self._last_event
        if last is not None and event.revision == last.revision:
            if event != last:
                raise ValueError("the registry's history is another one")
            return
        if event.revision != self.state.revision + 1:
            raise ValueError(f"event {event.revision} does not follow {self.state.revision}")
        self.state.apply(event)
        self._last_event = event
        yield event

"""The registry's contents as plain dictionaries, moved forward one event at a time.

    Snapshot ── replace ──┐
                          ▼
    Event ──── apply ──► RegistryState ── to_snapshot ──► Snapshot

The writer and every read-only view hold one of these, so a view that has seen the same
events as the writer holds the same contents.
"""

from typing import NamedTuple

from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_service_pb2 import Event, Snapshot

Definition = Model | Bundle | MachineProfile | Pool

_KINDS: dict[type[Definition], str] = {
    Model: "model",
    Bundle: "bundle",
    MachineProfile: "machine_profile",
    Pool: "pool",
}


KINDS = tuple(_KINDS.values())


class Key(NamedTuple):
    """What an event is about. `kind` is `model`, `bundle`, `machine_profile` or `pool`."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind.replace('_', ' ')} {self.id}"


def key_of(definition: Definition) -> Key:
    """Kind and id of a definition."""
    kind = _KINDS[type(definition)]
    if isinstance(definition, Pool):
        return Key(kind, definition.spec.name)
    return Key(kind, getattr(definition, f"{kind}_id"))


def key_of_event(event: Event) -> Key:
    """Kind and id of what an event changed."""
    kind, value = _change(event)
    return Key(kind, value) if isinstance(value, str) else key_of(value)


def definition_of(event: Event) -> Definition | None:
    """What an event wrote, or None if it deleted."""
    _, value = _change(event)
    return None if isinstance(value, str) else value


def _change(event: Event) -> tuple[str, Definition | str]:
    """The kind that an event is about, with the definition written or the id deleted."""
    field = event.WhichOneof("change")
    if field is None:
        raise ValueError(f"event {event.revision} holds no change that this version knows")
    return field.rpartition("_")[0], getattr(event, field)


class RegistryState:
    """Everything in the registry at `revision`; 0 and empty at first."""

    def __init__(self) -> None:
        self.revision = 0
        # Revision of the commit that wrote each definition.
        self.written: dict[Key, int] = {}
        self.models: dict[str, Model] = {}
        self.bundles: dict[str, Bundle] = {}
        self.machine_profiles: dict[str, MachineProfile] = {}
        self.pools: dict[str, Pool] = {}

    def get(self, key: Key) -> Definition | None:
        return self.of_kind(key.kind).get(key.id)

    def of_kind(self, kind: str) -> dict[str, Definition]:
        """Definitions of one kind by id."""
        held: dict[str, Definition] = getattr(self, f"{kind}s")
        return held

    def copy(self) -> "RegistryState":
        """The same contents, to be moved on independently."""
        twin = RegistryState()
        twin.revision, twin.written = self.revision, dict(self.written)
        for kind in KINDS:
            setattr(twin, f"{kind}s", dict(self.of_kind(kind)))
        return twin

    def apply(self, event: Event) -> None:
        """Moves on by one commit. Revisions may be skipped by a log that was compacted.

        Raises:
            ValueError: the event is not newer than the state, or of an unknown kind.
        """
        if event.revision <= self.revision:
            raise ValueError(f"event {event.revision} is not newer than {self.revision}")
        key, definition = key_of_event(event), definition_of(event)
        if definition is None:
            self.of_kind(key.kind).pop(key.id, None)
            self.written.pop(key, None)
        else:
            self.of_kind(key.kind)[key.id] = definition
            self.written[key] = event.revision
        self.revision = event.revision

    def replace(self, snapshot: Snapshot) -> None:
        """Becomes what the snapshot shows, whatever the revision was before."""
        self.written = {}
        for kind in KINDS:
            found = getattr(snapshot, f"{kind}s")
            setattr(self, f"{kind}s", {key_of(definition).id: definition for definition in found})
            self.written.update(
                zip(map(key_of, found), getattr(snapshot, f"{kind}_revisions"), strict=False)
            )
        self.revision = snapshot.revision

    def to_snapshot(self) -> Snapshot:
        snapshot = Snapshot(revision=self.revision)
        for kind in KINDS:
            held = self.of_kind(kind)
            names = sorted(held)
            getattr(snapshot, f"{kind}s").extend(held[name] for name in names)
            getattr(snapshot, f"{kind}_revisions").extend(
                self.written.get(Key(kind, name), 0) for name in names
            )
        return snapshot

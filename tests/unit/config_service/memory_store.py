"""The registry's bucket without a broker: compare-and-set, and faults on demand."""

from config_service.history import KEPT
from config_service.store import Kept
from servicekit.errors import SieError
from servicekit.registry_state import key_of_event
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import Event, Receipt


class Bucket:
    """What all stores of a test share."""

    def __init__(self):
        self.lose()

    def lose(self):
        """The broker restarts without its memory."""
        self.identity = object()
        self.sequence = 0
        self.messages = []


class MemoryStore:
    """As RegistryStore. `fault` strikes the next write: `refused` before it stands, or `lost`."""

    def __init__(self, bucket):
        self._bucket = bucket
        self._seen = (None, 0)
        self.fault = None

    async def load(self):
        self._seen = (self._bucket.identity, self._bucket.sequence)
        kept = Kept([], [])
        for kind, _, body in self._bucket.messages:
            (kept.events if kind is Event else kept.receipts).append(kind.FromString(body))
        kept.events.sort(key=lambda event: event.revision)
        return kept

    async def append(self, event):
        self._put(Event, key_of_event(event), event)

    async def record(self, receipt):
        self._put(Receipt, receipt.key_sha256, receipt)

    async def moved(self):
        return self._seen != (self._bucket.identity, self._bucket.sequence)

    async def forget(self, keys):
        self._drop(Event, set(keys))

    async def forget_receipts(self, receipts):
        self._drop(Receipt, {receipt.key_sha256 for receipt in receipts})

    def _put(self, kind, key, message):
        fault, self.fault = self.fault, None
        if fault == "refused":
            raise _unavailable()
        if self._seen[1] != self._bucket.sequence:
            raise SieError(ErrorReason.ERROR_REASON_FENCED, "another has written")
        self._bucket.messages.append((kind, key, message.SerializeToString(deterministic=True)))
        same = [entry for entry in self._bucket.messages if entry[:2] == (kind, key)]
        if len(same) > (KEPT if kind is Event else 1):
            self._bucket.messages.remove(same[0])
        self._bucket.sequence += 1
        if fault == "lost":
            raise _unavailable()
        self._seen = (self._bucket.identity, self._bucket.sequence)

    def _drop(self, kind, keys):
        held = self._bucket.messages
        self._bucket.messages = [e for e in held if not (e[0] is kind and e[1] in keys)]


def _unavailable():
    return SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "no answer")

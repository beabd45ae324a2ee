"""Where the registry is kept: one JetStream KV bucket, one message for each commit.

    key                       value
    model.<token>             the Event that wrote (or deleted) this model
    bundle.<id>               … this bundle
    machine_profile.<id>      … this machine profile
    pool.<name>               … this pool
    receipt.<sha256>          the Receipt of a command that changed nothing, or whose event is
                              no longer among those kept

The bucket keeps the newest 64 events of each key, so it is its own compacted log: the
newest event of each key, in order of revision, is the state; older ones are the history
that earlier revisions are restored from. No snapshot is ever written, so there is no pair
of writes to crash between.

    writer A  ── event 7, expecting last sequence 41 ──►  bucket at 41   accepted, now 42
    writer B  ── event 7, expecting last sequence 41 ──►  bucket at 42   refused: FENCED

The compare-and-set is on the sequence of the whole bucket, not of a key: whoever has not
seen the very last commit cannot write anything. A bucket is known by its creation time as
well, since one that was lost and made again may have come to the same sequence.

Where a crash, or a broker that goes away, can strike a commit:

* before the broker has stored the message: nothing happened;
* after that, before the acknowledgement arrives: the commit stands, and whoever loads
  the bucket next, this process or another, finds it there;
* while a lost bucket is rewritten: events go in ascending order of revision, so what is
  there is a valid registry whose newest definitions are missing; the writer that holds
  them goes on where it stopped.
"""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import NamedTuple

import nats.errors
from google.protobuf.message import Message
from nats.aio.client import Client
from nats.js import api
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError
from nats.js.kv import KeyValue

from config_service.history import KEPT
from servicekit.errors import SieError
from servicekit.registry_state import Key, key_of_event
from servicekit.subjects import model_token
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import Event, Receipt

BUCKET = "SIE_REGISTRY"
STREAM = f"KV_{BUCKET}"

REQUEST_TIMEOUT_S = 2.0
# Ten thousand definitions take two seconds.
LOAD_TIMEOUT_S = 60.0

# Between two readings of a bucket, the first of which was incomplete.
_AGAIN_S = 0.05

_RECEIPT = "receipt."

_WRONG_LAST_SEQUENCE = 10071


class Kept(NamedTuple):
    """What the bucket holds.

    Args:
        events: in order of revision.
        receipts: those with messages of their own, oldest first.
    """

    events: list[Event]
    receipts: list[Receipt]


class RegistryStore:
    """The bucket, and how far this process has seen it.

    Every method raises SieError REGISTRY_UNAVAILABLE within seconds if the broker is away.

    Args:
        client: connection to the broker.
        storage: `memory` or `file`.
        replicas: copies of the bucket, 1 to 5.
    """

    def __init__(self, client: Client, storage: str, replicas: int) -> None:
        self._client = client
        self._js = client.jetstream(timeout=REQUEST_TIMEOUT_S)
        self._config = api.KeyValueConfig(
            bucket=BUCKET,
            description="SIE registry: the events of each definition",
            history=KEPT,
            storage=api.StorageType(storage),
            replicas=replicas,
        )
        self._created: dt.datetime | None = None
        self._last_sequence = 0

    async def load(self) -> Kept:
        """Everything that is kept; creates a bucket that is not there."""
        async with self._broker(), asyncio.timeout(LOAD_TIMEOUT_S):
            bucket = await self._open()
            # Taken first: a commit that slips in behind it makes the next write a conflict.
            info = await self._js.stream_info(STREAM)
            entries = await _entries(bucket)
            # The library takes a watch for complete of which nothing has come yet, though all of
            # it is under way.
            while len(entries) < info.state.messages:
                await asyncio.sleep(_AGAIN_S)
                info = await self._js.stream_info(STREAM)
                entries = await _entries(bucket)
            revisions = [entry.revision or 0 for entry in entries]
            self._created, self._last_sequence = (
                info.created,
                max([info.state.last_seq, *revisions]),
            )
        return _kept(entries)

    async def append(self, event: Event) -> None:
        """Commits an event if nobody has written since this process last looked.

        Raises:
            SieError: FENCED, somebody has; REGISTRY_UNAVAILABLE, it may or may not stand.
        """
        await self._put(_name(key_of_event(event)), event)

    async def record(self, receipt: Receipt) -> None:
        """Keeps a receipt that is part of no event; raises as `append` does."""
        await self._put(_RECEIPT + receipt.key_sha256.hex(), receipt)

    async def _put(self, name: str, value: Message) -> None:
        async with self._broker():
            try:
                ack = await self._js.publish(
                    f"$KV.{BUCKET}.{name}",
                    value.SerializeToString(deterministic=True),
                    headers={api.Header.EXPECTED_LAST_SEQUENCE.value: str(self._last_sequence)},
                )
            except APIError as error:
                if error.err_code == _WRONG_LAST_SEQUENCE:
                    raise _fenced() from None
                raise
            self._last_sequence = ack.seq

    async def moved(self) -> bool:
        """Whether the bucket is not what this process last saw of it, or is gone."""
        async with self._broker():
            try:
                info = await self._js.stream_info(STREAM)
            except NotFoundError:
                return True
            seen = (self._created, self._last_sequence)
            return bool((info.created, info.state.last_seq) != seen)

    async def forget(self, keys: Iterable[Key]) -> None:
        """Removes every trace of keys; for definitions that were deleted long ago."""
        await self._purge(_name(key) for key in keys)

    async def forget_receipts(self, receipts: Iterable[Receipt]) -> None:
        """Removes receipts that `record` wrote; others are part of their events."""
        await self._purge(_RECEIPT + receipt.key_sha256.hex() for receipt in receipts)

    async def _purge(self, names: Iterable[str]) -> None:
        async with self._broker():
            for name in names:
                await self._js.purge_stream(STREAM, subject=f"$KV.{BUCKET}.{name}")

    async def _open(self) -> KeyValue:
        try:
            return await self._js.key_value(BUCKET)
        except BucketNotFoundError:
            return await self._js.create_key_value(self._config)

    @asynccontextmanager
    async def _broker(self) -> AsyncIterator[None]:
        if not self._client.is_connected:
            # Nothing is left in the client's buffer to be written at some later time.
            raise _unavailable("the broker is away")
        try:
            yield
        except (nats.errors.Error, TimeoutError) as error:
            raise _unavailable(str(error) or type(error).__name__) from error


async def _entries(bucket: KeyValue) -> list[KeyValue.Entry]:
    watcher = await bucket.watchall(include_history=True)
    found: list[KeyValue.Entry] = []
    try:
        async for entry in watcher:
            if entry is None:
                break
            found.append(entry)
    finally:
        await watcher.stop()  # type: ignore[no-untyped-call]
    return found


def _kept(entries: Iterable[KeyValue.Entry]) -> Kept:
    kept = Kept([], [])
    for entry in entries:
        value = entry.value or b""
        if entry.key.startswith(_RECEIPT):
            kept.receipts.append(Receipt.FromString(value))
        else:
            kept.events.append(Event.FromString(value))
    kept.events.sort(key=lambda event: event.revision)
    return kept


def _name(key: Key) -> str:
    return f"{key.kind}.{model_token(key.id)}"


def _unavailable(problem: str) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE,
        f"the registry's store cannot be reached: {problem}",
    )


def _fenced() -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_FENCED, "another config service has written to the registry"
    )

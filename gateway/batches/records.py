"""Records of batches and files: a bucket of the broker's key-value store.

    file.<tenant>.<id>      FileRecord
    batch.<tenant>.<id>     BatchRecord
    active.<tenant>.<id>    there while the batch has not ended; written before its record, and
                            removed after the record that says it has ended

Ids ascend with time, so keys in their order are in the order of creation.
"""

import contextlib
import secrets
import time
from collections.abc import Iterator
from typing import NamedTuple

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from servicekit.errors import SieError
from servicekit.subjects import BATCHES_BUCKET, model_id_of, model_token
from sie.errors.v1.error_reason_pb2 import ErrorReason

_STREAM = f"KV_{BATCHES_BUCKET}"
_SUBJECT = f"$KV.{BATCHES_BUCKET}."
_TIMEOUT_S = 3.0
# Milliseconds since 1970 UTC, and chance.
_TIME_DIGITS, _SALT_DIGITS = 12, 16
_ID_DIGITS = _TIME_DIGITS + _SALT_DIGITS


class Key(NamedTuple):
    """The name of a record.

    Args:
        kind: `file`, `batch` or `active`.
        tenant: whose it is.
        id: of the file or the batch.
    """

    kind: str
    tenant: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}.{model_token(self.tenant)}.{self.id}"


class Conflict(Exception):  # noqa: N818 - what happened, not a failure
    """Somebody else has changed the record since it was read."""


def new_id(prefix: str) -> str:
    """An id that ascends with time, such as `batch_0198c2...`."""
    now_ms = time.time_ns() // 1_000_000
    return f"{prefix}{now_ms:0{_TIME_DIGITS}x}{secrets.token_hex(_SALT_DIGITS // 2)}"


def created_at(made_id: str) -> float:
    """When an id was made. Seconds since 1970 UTC."""
    return int(made_id[-_ID_DIGITS:-_SALT_DIGITS], 16) / 1000


class Records:
    """The bucket. Every method raises SieError, QUEUE_UNAVAILABLE, while the broker is away.

    Args:
        client: connection to the broker.
    """

    def __init__(self, client: Client) -> None:
        self._js = client.jetstream(timeout=_TIMEOUT_S)
        self._bucket: KeyValue | None = None

    async def create(self, key: Key, value: bytes) -> int:
        """Writes a record that is not there, and returns its revision.

        Raises:
            Conflict: it is there.
        """
        return await self.update(key, value, 0)

    async def read(self, key: Key) -> tuple[bytes, int] | None:
        """A record and its revision, or None."""
        with _broker():
            try:
                entry = await (await self._open()).get(str(key))
            except KeyNotFoundError:
                return None
        return entry.value or b"", entry.revision or 0

    async def update(self, key: Key, value: bytes, revision: int) -> int:
        """Writes over the record of that revision, and returns the next.

        Raises:
            Conflict: it is of another revision.
        """
        with _broker():
            try:
                return await (await self._open()).update(str(key), value, revision)
            except KeyWrongLastSequenceError:
                raise Conflict from None

    async def remove(self, key: Key) -> None:
        """Forgets a record; one that is not there is no error."""
        with _broker():
            await self._js.purge_stream(_STREAM, subject=_SUBJECT + str(key))

    async def keys(self, kind: str, tenant: str | None = None) -> list[Key]:
        """The keys of a kind, of one tenant or of all, in the order of creation."""
        whose = "*" if tenant is None else model_token(tenant)
        with _broker():
            info = await self._js.stream_info(_STREAM, f"{_SUBJECT}{kind}.{whose}.*")
        parts = (subject.removeprefix(_SUBJECT).split(".") for subject in info.state.subjects or ())
        found = [Key(kind, model_id_of(token), name) for _, token, name in parts]
        return sorted(found, key=lambda key: key.id)

    async def _open(self) -> KeyValue:
        if self._bucket is None:
            self._bucket = await self._js.key_value(BATCHES_BUCKET)
        return self._bucket


@contextlib.contextmanager
def _broker() -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, APIError, TimeoutError) as error:
        raise SieError(
            ErrorReason.ERROR_REASON_QUEUE_UNAVAILABLE,
            f"the records of batches cannot be reached: {error or type(error).__name__}",
        ) from error

"""What is too large for a message of the broker, kept beside it.

    gateway ── put ──► store ── get ──► worker       requests
       └── delete, when the request has ended; what a crash leaves goes when it is too old

    gateway ── put, get ──► store                    the pieces of files that batches use

The store is the broker's own (`jetstream`, whose streams the config service owns), or a
directory that fsspec can reach: `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///srv/sie`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

import fsspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from servicekit.errors import SieError
from servicekit.subjects import FILES_BUCKET, PAYLOADS_BUCKET
from sie.errors.v1.error_reason_pb2 import ErrorReason

JETSTREAM = "jetstream"
# Longer than any deadline; a dead letter can be replayed for as long.
TTL_S = 3600.0
# For as long files are kept, and what is known of batches.
FILES_TTL_S = 30 * 86400.0
_GET_S = 30.0


class PayloadStore(Protocol):
    """Bytes by key. Every method raises SieError, PAYLOAD_UNAVAILABLE, where it fails."""

    async def put(self, key: str, data: bytes) -> None:
        """Keeps `data` under a key that was never used before."""

    async def get(self, key: str) -> bytes:
        """Returns what was put."""

    async def delete(self, key: str) -> None:
        """Forgets a key; one that is not there is no error."""

    async def sweep(self) -> None:
        """Removes what is too old, where the store does not do so itself."""


def open_payloads(url: str, client: Client) -> PayloadStore:
    """The store of requests that a setting names; see `_open`."""
    return _open("payload store", url, client, PAYLOADS_BUCKET, TTL_S)


def open_files(url: str, client: Client) -> PayloadStore:
    """The store of files that a setting names; see `_open`."""
    return _open("file store", url, client, FILES_BUCKET, FILES_TTL_S)


def _open(what: str, url: str, client: Client, bucket: str, ttl_s: float) -> PayloadStore:
    """A store.

    Raises:
        ValueError: the URL is none, or its file system is not installed.
    """
    if url == JETSTREAM:
        return JetStreamPayloads(client, bucket)
    if "://" not in url:
        raise ValueError(f"the {what} must be {JETSTREAM} or a URL, not {url!r}")
    try:
        return FilePayloads(url, ttl_s)
    except ImportError as error:
        raise ValueError(f"{what} {url}: {error}") from error


class JetStreamPayloads:
    """A bucket of the broker's object store. The broker forgets what is too old."""

    def __init__(self, client: Client, bucket: str = PAYLOADS_BUCKET) -> None:
        self._js = client.jetstream()
        self._bucket = bucket

    async def put(self, key: str, data: bytes) -> None:
        try:
            await (await self._js.object_store(self._bucket)).put(key, data)
        except (nats.errors.Error, TimeoutError) as error:
            raise _unavailable(error, len(data)) from error

    async def get(self, key: str) -> bytes:
        try:
            # Parts that are missing would be waited for without end.
            async with asyncio.timeout(_GET_S):
                found = await (await self._js.object_store(self._bucket)).get(key)
        except (nats.errors.Error, TimeoutError) as error:
            raise _unavailable(error) from error
        return bytes(found.data or b"")

    async def delete(self, key: str) -> None:
        try:
            await (await self._js.object_store(self._bucket)).delete(key)
        except nats.js.errors.ObjectNotFoundError:
            return
        except (nats.errors.Error, TimeoutError) as error:
            raise _unavailable(error) from error

    async def sweep(self) -> None:
        pass


class FilePayloads:
    """A directory of a file system that fsspec knows; its calls block, so threads make them.

    Args:
        url: the directory; it is made if it is not there.
        ttl_s: what is older goes when it is swept. Seconds.
        clock: seconds since 1970 UTC.
    """

    def __init__(
        self, url: str, ttl_s: float = TTL_S, clock: Callable[[], float] = time.time
    ) -> None:
        self._system, self._root = fsspec.core.url_to_fs(url)
        self._ttl_s = ttl_s
        self._clock = clock

    async def put(self, key: str, data: bytes) -> None:
        await self._do(self._write, key, data, size=len(data))

    async def get(self, key: str) -> bytes:
        return bytes(await self._do(self._system.cat_file, self._path(key)))

    async def delete(self, key: str) -> None:
        await self._do(self._remove, key)

    async def sweep(self) -> None:
        await self._do(self._remove_old)

    async def _do(self, call: Callable[..., Any], *arguments: Any, size: int = 0) -> Any:
        try:
            return await asyncio.to_thread(call, *arguments)
        except Exception as error:  # each file system has failures of its own
            raise _unavailable(error, size) from error

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    def _write(self, key: str, data: bytes) -> None:
        self._system.makedirs(self._root, exist_ok=True)
        self._system.pipe_file(self._path(key), data)

    def _remove(self, key: str) -> None:
        if self._system.exists(self._path(key)):
            self._system.rm_file(self._path(key))

    def _remove_old(self) -> None:
        if not self._system.exists(self._root):
            return
        for path in self._system.find(self._root):
            if self._clock() - self._system.modified(path).timestamp() > self._ttl_s:
                self._system.rm_file(path)


def _unavailable(error: Exception, size_bytes: int = 0) -> SieError:
    return SieError(
        ErrorReason.ERROR_REASON_PAYLOAD_UNAVAILABLE,
        f"the content cannot be kept or found: {error or type(error).__name__}",
        size_bytes=size_bytes,
    )

"""What is too large for a message of the broker, kept beside it.

    gateway ── put ──► store ── get ──► worker       requests
       └── delete, when the request has ended; what a crash leaves goes when it is too old

    gateway ── put, get ──► store                    the pieces of files that batches use

The store is the broker's own (`jetstream`, whose streams the config service owns), or one
that fsspec can reach: `s3://bucket/prefix`, `gs://bucket/prefix`, `file:///srv/sie`. There
requests are kept below `requests/` and files below `files/`, so both may have the same URL,
and nothing else that is there is ever swept. Credentials are those of the file system's own
environment (`AWS_*`, `GOOGLE_APPLICATION_CREDENTIALS`), never part of the URL.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import fsspec
import nats.errors
import nats.js.errors
from nats.aio.client import Client

from servicekit.errors import SieError
from servicekit.file_systems import make_parent
from servicekit.subjects import FILES_BUCKET, PAYLOADS_BUCKET
from sie.errors.v1.error_reason_pb2 import ErrorReason

log = logging.getLogger(__name__)

JETSTREAM = "jetstream"
# Longer than any deadline; a dead letter can be replayed for as long.
TTL_S = 3600.0
# For as long files are kept, and what is known of batches.
FILES_TTL_S = 30 * 86400.0
_TIMEOUT_S = 30.0
_THREADS = 8


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
    return _open("payload store", url, client, PAYLOADS_BUCKET, "requests", TTL_S)


def open_files(url: str, client: Client) -> PayloadStore:
    """The store of files that a setting names; see `_open`."""
    return _open("file store", url, client, FILES_BUCKET, "files", FILES_TTL_S)


def _open(
    what: str, url: str, client: Client, bucket: str, directory: str, ttl_s: float
) -> PayloadStore:
    """A store.

    Raises:
        ValueError: the URL is none, or its file system is not installed.
    """
    if url == JETSTREAM:
        return JetStreamPayloads(client, bucket)
    if "://" not in url:
        raise ValueError(f"the {what} must be {JETSTREAM} or a URL, not {url!r}")
    if "@" in url:
        # It would be shown in logs, and by whoever lists this process's environment.
        raise ValueError(f"the URL of the {what} must not hold credentials")
    try:
        return FilePayloads(f"{url.rstrip('/')}/{directory}", ttl_s)
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
            async with asyncio.timeout(_TIMEOUT_S):
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
    """A directory of a file system that fsspec knows.

    Its calls block, so threads make them: threads of its own, since a store that does not
    answer holds them for longer than anybody waits.

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
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="payloads")

    async def put(self, key: str, data: bytes) -> None:
        await self._do(self._write, key, data, size=len(data))

    async def get(self, key: str) -> bytes:
        return bytes(await self._do(self._system.cat_file, self._path(key)))

    async def delete(self, key: str) -> None:
        await self._do(self._remove, key)

    async def sweep(self) -> None:
        try:
            await self._in_thread(self._remove_old)
        except Exception as error:  # each file system has failures of its own
            raise _unavailable(error) from error

    async def _do(self, call: Callable[..., Any], *arguments: Any, size: int = 0) -> Any:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._in_thread(call, *arguments)
        except Exception as error:  # each file system has failures of its own
            raise _unavailable(error, size) from error

    async def _in_thread(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *arguments)

    def _path(self, key: str) -> str:
        return f"{self._root.rstrip('/')}/{key}"

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        make_parent(self._system, path)
        self._system.pipe_file(path, data)

    def _remove(self, key: str) -> None:
        # Some file systems keep listings, and would say that a new key is not there.
        with contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._path(key))

    def _remove_old(self) -> None:
        self._system.invalidate_cache()
        for path in self._system.find(self._root):
            # Another process may be removing the same.
            with contextlib.suppress(FileNotFoundError):
                if self._clock() - self._system.modified(path).timestamp() > self._ttl_s:
                    self._system.rm_file(path)


def _unavailable(error: Exception, size_bytes: int = 0) -> SieError:
    # What a store says may name machines and buckets: it is for the log, not for a caller.
    log.warning("payload store: %s: %s", type(error).__name__, error)
    return SieError(
        ErrorReason.ERROR_REASON_PAYLOAD_UNAVAILABLE,
        f"the content cannot be kept or found ({type(error).__name__})",
        size_bytes=size_bytes,
    )

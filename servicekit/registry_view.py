"""The registry as gateways and workers see it: read-only, fed by a watch, kept on disk.

    config service ── WatchRegistry ──► RegistryView ──► callbacks
                                          │      ▲
                                 a second later  │ at start, until the watch has spoken
                                          ▼      │
                                    <state_dir>/registry.binpb

A process that starts while the config service is down serves what it saw last. The first
watch of a process begins with a snapshot; where later ones go on, and when they cannot, is
decided in `registry_follower.py`. A lower revision is taken like any other: the config
service is right.
"""

import asyncio
import contextlib
import logging
import os
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path
from typing import Self

import grpc
from google.protobuf.message import DecodeError

from servicekit.errors import SieError
from servicekit.grpc_client import channel
from servicekit.registry_follower import RegistryFollower
from servicekit.registry_state import RegistryState
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.pool.v1.pool_pb2 import Pool
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.machine_profile_pb2 import MachineProfile
from sie.registry.v1.model_pb2 import Model
from sie.registry.v1.registry_service_pb2 import (
    Event,
    Snapshot,
    WatchRegistryRequest,
    WatchRegistryResponse,
)
from sie.registry.v1.registry_service_pb2_grpc import RegistryServiceStub

log = logging.getLogger(__name__)

FILE_NAME = "registry.binpb"
# Metadata of a watch: the version of the software that answers it.
SERVER_VERSION = "x-sie-server-version"
# The same: pools of dedicated workers, separated by commas.
DEDICATED_POOLS = "x-sie-dedicated-pools"

# Called with the event, or with None when the whole registry was replaced.
OnChange = Callable[[Event | None], None]

# Events travel in milliseconds; a view that is cut off is not waited for.
CATCH_UP_S = 2.0
# The config service speaks every three seconds; silence this long means that it is gone.
_SILENCE_S = 15.0
_SAVE_DELAY_S = 1.0
_BACKOFF_FIRST_S = 0.2
_BACKOFF_MOST_S = 5.0


class RegistryView:
    """Follows the config service at `address` between `async with` and its end.

    Args:
        address: `host:port` of the config service.
        state_dir: where the last snapshot is kept, created if missing; None: nowhere.
        watcher_id: who watches, such as `gateway/7f3a`.
    """

    def __init__(self, address: str, state_dir: Path | None, watcher_id: str) -> None:
        self._address = address
        self._file = state_dir / FILE_NAME if state_dir else None
        self._watcher_id = watcher_id
        self._follower = RegistryFollower()
        self._connected = False
        self._server_version = ""
        self._dedicated_pools: frozenset[str] | None = None
        self._loaded = asyncio.Event()
        self._unsaved = asyncio.Event()
        self._callbacks: list[OnChange] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._read_file()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._save())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._unsaved.is_set():
            self._write_file(self.state.to_snapshot())

    async def loaded(self) -> None:
        """Waits until there is a registry, from the config service or from disk."""
        await self._loaded.wait()

    async def catch_up(self, revision: int) -> None:
        """Waits a while to see everything up to a revision: what was written is read then."""
        await self.until(lambda: self.revision >= revision, CATCH_UP_S)

    @property
    def is_loaded(self) -> bool:
        return self._loaded.is_set()

    def check_loaded(self) -> None:
        """Raises SieError REGISTRY_UNAVAILABLE before there is a registry, be it an empty one."""
        if not self.is_loaded:
            raise SieError(
                ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "the registry was not read yet"
            )

    @property
    def connected(self) -> bool:
        """Whether the watch is open and has spoken lately."""
        return self._connected

    @property
    def server_version(self) -> str:
        """Version of the config service that was last heard; empty: none was."""
        return self._server_version

    @property
    def dedicated_pools(self) -> frozenset[str] | None:
        """Pools that have a queue though nobody leases them; None: no config service said so."""
        return self._dedicated_pools

    @property
    def revision(self) -> int:
        """Newest revision seen; 0 before the first."""
        return self.state.revision

    @property
    def state(self) -> RegistryState:
        """All of it, to be read only."""
        return self._follower.state

    @property
    def models(self) -> Mapping[str, Model]:
        """By model id. Replaced as a whole by a snapshot, so take it anew for each use."""
        return self.state.models

    @property
    def bundles(self) -> Mapping[str, Bundle]:
        """By bundle id."""
        return self.state.bundles

    @property
    def machine_profiles(self) -> Mapping[str, MachineProfile]:
        """By machine profile id."""
        return self.state.machine_profiles

    @property
    def pools(self) -> Mapping[str, Pool]:
        """By name."""
        return self.state.pools

    def subscribe(self, callback: OnChange) -> Callable[[], None]:
        """Calls back behind every change; returns what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Waits for a change that makes a condition true; False if none does in time."""
        changed = asyncio.Event()
        unsubscribe = self.subscribe(lambda _: changed.set())
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            return False
        finally:
            unsubscribe()
        return True

    async def _follow(self) -> None:
        delay = _BACKOFF_FIRST_S
        while True:
            heard = False
            try:
                async with contextlib.aclosing(self._watch()) as responses:
                    async for response in responses:
                        heard = True
                        self._take(response)
            except (grpc.aio.AioRpcError, TimeoutError, ValueError) as error:
                self._lost(error)
            self._connected = False
            delay = _BACKOFF_FIRST_S if heard else min(delay * 2, _BACKOFF_MOST_S)
            # Spread out, so that a fleet does not come back as one.
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))  # noqa: S311

    async def _watch(self) -> AsyncGenerator[WatchRegistryResponse]:
        request = WatchRegistryRequest(
            from_revision=self._follower.from_revision, watcher_id=self._watcher_id
        )
        # A channel of its own for each try: none waits out another's backoff.
        async with channel(self._address) as fresh:
            stream = RegistryServiceStub(fresh).WatchRegistry(request)
            async with asyncio.timeout(_SILENCE_S):
                metadata = dict(await stream.initial_metadata())
            self._server_version = str(metadata.get(SERVER_VERSION, ""))
            if (pools := metadata.get(DEDICATED_POOLS)) is not None:
                self._dedicated_pools = frozenset(filter(None, str(pools).split(",")))
            while True:
                async with asyncio.timeout(_SILENCE_S):
                    response = await stream.read()
                if response is grpc.aio.EOF:  # type: ignore[attr-defined]
                    return
                yield response

    def _take(self, response: WatchRegistryResponse) -> None:
        self._connected = True
        for change in self._follower.take(response):
            self._changed(change)

    def _lost(self, error: Exception) -> None:
        refused = (
            isinstance(error, grpc.aio.AioRpcError)
            and error.code() is grpc.StatusCode.INVALID_ARGUMENT
        )
        if refused or isinstance(error, ValueError):
            # We resume from a revision that the server does not have, or has otherwise.
            self._follower.doubt()
        if self._connected:
            reason = error.details() if isinstance(error, grpc.aio.AioRpcError) else str(error)
            log.warning("registry watch lost: %s", reason or type(error).__name__)

    def _changed(self, event: Event | None) -> None:
        self._loaded.set()
        self._unsaved.set()
        for callback in list(self._callbacks):
            try:
                callback(event)
            except Exception:
                log.exception("registry callback failed")

    def _read_file(self) -> None:
        if self._file is None:
            return
        try:
            snapshot = Snapshot.FromString(self._file.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, DecodeError) as error:
            log.warning("registry file %s cannot be used: %s", self._file, error)
            return
        self.state.replace(snapshot)
        self._loaded.set()

    async def _save(self) -> None:
        while True:
            await self._unsaved.wait()
            # Changes come in bursts; one write for each of those is enough.
            await asyncio.sleep(_SAVE_DELAY_S)
            self._unsaved.clear()
            await asyncio.to_thread(self._write_file, self.state.to_snapshot())

    def _write_file(self, snapshot: Snapshot) -> None:
        if self._file is None:
            return
        temporary = self._file.with_suffix(f".{os.getpid()}.tmp")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                stream.write(snapshot.SerializeToString())
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(self._file)
        except OSError as error:
            log.warning("registry file %s cannot be written: %s", self._file, error)
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

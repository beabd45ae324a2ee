"""The config service's writer as tests have it: several of them on one broker."""

import datetime as dt
from contextlib import contextmanager

import pytest

from config_service.commands import Apply
from config_service.metrics import Metrics
from config_service.registry import Registry
from config_service.store import RegistryStore
from config_service.watch import WatchHub
from config_service.writer import RegistryWriter
from servicekit.errors import SieError
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.bundle_pb2 import Bundle


class Writer:
    """One config process as far as the registry goes."""

    def __init__(self, client, storage="memory"):
        self.client = client
        self.registry = Registry()
        self.hub = WatchHub(self.registry)
        self.metrics = Metrics()
        self.writer = RegistryWriter(
            self.registry,
            RegistryStore(client, storage, 1),
            self.hub,
            self.metrics,
            lambda: dt.datetime.now(dt.UTC),
        )

    async def apply(self, bundle_id, priority=1):
        return await self.writer.execute(Apply(Bundle(bundle_id=bundle_id, priority=priority)))

    @property
    def contents(self):
        return self.registry.state.to_snapshot()

    @contextmanager
    def not_looking(self):
        """Others write just behind its look at the store."""

        async def moved():
            return False

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.writer._store, "moved", moved)
            yield

    @contextmanager
    def away_beyond(self, revision, detail="away"):
        """Its store appends no later revision."""
        append = self.writer._store.append

        async def append_some(event):
            if event.revision > revision:
                raise SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, detail)
            await append(event)

        with self._appending(append_some):
            yield

    @contextmanager
    def cut_off_by(self, end):
        """Its store appends what it is given, and `end` is all that comes back."""
        append = self.writer._store.append

        async def append_and_end(event):
            await append(event)
            raise end

        with self._appending(append_and_end):
            yield

    @contextmanager
    def _appending(self, append):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.writer._store, "append", append)
            yield

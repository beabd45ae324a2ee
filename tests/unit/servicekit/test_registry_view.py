import asyncio
import datetime as dt
from contextlib import asynccontextmanager

import pytest

from config_service.commands import Apply
from config_service.metrics import Metrics
from config_service.registry import Registry
from config_service.service import RegistryService, add_registry_service
from config_service.watch import WatchHub
from servicekit.grpc_server import GrpcServer
from servicekit.registry_view import FILE_NAME, RegistryView
from sie.registry.v1.bundle_pb2 import Bundle
from tests.waiting import eventually

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class Source:
    """The read half of a config service, over a registry that the test moves."""

    def __init__(self, max_history=10_000):
        self.registry = Registry(max_history)
        self.hub = WatchHub(self.registry, progress_interval_s=0.1)
        self.address = "127.0.0.1:0"

    @asynccontextmanager
    async def serving(self):
        server = GrpcServer(self.address, ["sie.registry.v1.RegistryService"], 1 << 20)
        service = RegistryService(self.registry, self.hub, Metrics(), "1.2.3", ["b", "a"])
        add_registry_service(service, server)
        self.address = f"127.0.0.1:{await server.start()}"
        try:
            yield self
        finally:
            await server.stop(0)

    def commit(self, priority=None, now=NOW):
        bundle = Bundle(bundle_id="b", priority=priority or self.registry.revision + 1)
        (event,) = self.registry.decide(Apply(bundle), now)
        self.registry.apply(event)
        self.hub.notify()


async def test_a_view_follows_snapshot_and_events_and_calls_back():
    source, seen = Source(), []
    source.commit()
    async with source.serving(), RegistryView(source.address, None, "test") as view:
        view.subscribe(lambda event: seen.append(event and event.revision))
        await asyncio.wait_for(view.loaded(), 30)
        source.commit()
        await eventually(lambda: view.revision == 2)
        assert view.connected
        assert view.dedicated_pools == {"a", "b"}
        assert view.bundles["b"].priority == 2
        assert seen == [None, 2]


async def test_a_callback_that_fails_or_is_taken_back_stops_nothing():
    source, seen = Source(), []
    source.commit()
    async with source.serving(), RegistryView(source.address, None, "test") as view:
        view.subscribe(lambda _: 1 / 0)
        unsubscribe = view.subscribe(seen.append)
        await eventually(lambda: view.revision == 1)
        unsubscribe()
        source.commit()
        await eventually(lambda: view.revision == 2)
        assert seen == [None]


async def test_a_view_starts_from_disk_while_the_config_service_is_down(tmp_path):
    source = Source()
    source.commit()
    async with source.serving(), RegistryView(source.address, tmp_path, "test") as view:
        await eventually(lambda: view.revision == 1)
    async with RegistryView(source.address, tmp_path, "test") as view:
        await asyncio.wait_for(view.loaded(), 30)
        assert (view.revision, view.connected) == (1, False)
        assert view.bundles["b"].priority == 1
        source.commit()
        async with source.serving():
            await eventually(lambda: view.revision == 2)


async def test_changes_reach_the_disk_within_seconds(tmp_path):
    source = Source()
    source.commit()
    async with source.serving(), RegistryView(source.address, tmp_path, "test"):
        await eventually((tmp_path / FILE_NAME).exists)


@pytest.mark.parametrize("content", [b"\xff\xff nonsense", b"\x0a"])
async def test_a_spoilt_file_is_as_good_as_none(tmp_path, content):
    (tmp_path / FILE_NAME).write_bytes(content)
    async with RegistryView("127.0.0.1:1", tmp_path, "test") as view:
        assert not view.is_loaded


async def test_a_view_resumes_without_a_snapshot_after_a_lost_connection():
    source, seen = Source(), []
    source.commit()
    async with source.serving():
        view = RegistryView(source.address, None, "test")
        await view.__aenter__()
        view.subscribe(lambda event: seen.append(event and event.revision))
        await eventually(lambda: view.revision == 1)
        source.commit()
        await eventually(lambda: view.revision == 2)
    await eventually(lambda: not view.connected)
    source.commit()
    async with source.serving():
        await eventually(lambda: view.revision == 3)
        await view.__aexit__()
    assert seen == [None, 2, 3]


async def test_a_view_takes_a_snapshot_when_what_it_missed_is_compacted():
    source = Source(max_history=2)
    source.commit()
    async with source.serving():
        view = RegistryView(source.address, None, "test")
        await view.__aenter__()
        await eventually(lambda: view.revision == 1)
        source.commit()
        await eventually(lambda: view.revision == 2)
    for _ in range(10):
        source.commit()
    async with source.serving():
        await eventually(lambda: view.revision == 12)
        await view.__aexit__()


@pytest.mark.parametrize("commits", [1, 2, 3, 9])
async def test_a_view_follows_a_config_service_that_lost_its_memory(commits):
    old, new = Source(), Source()
    for _ in range(2):
        old.commit()
    async with old.serving():
        view = RegistryView(old.address, None, "test")
        await view.__aenter__()
        await eventually(lambda: view.revision == 2)
        old.commit()
        await eventually(lambda: view.revision == 3)
    # The same revisions, or fewer, or more: but another history.
    for _ in range(commits):
        new.commit(priority=100 + new.registry.revision, now=NOW + dt.timedelta(days=1))
    new.address = old.address
    async with new.serving():
        await eventually(lambda: view.bundles["b"] == new.registry.state.bundles["b"])
        assert view.revision == commits
        await view.__aexit__()

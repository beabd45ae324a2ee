import asyncio
import datetime as dt

import pytest

from config_service.commands import Apply
from config_service.registry import Registry
from config_service.watch import WatchHub
from servicekit.errors import SieError
from servicekit.registry_state import RegistryState
from sie.registry.v1.bundle_pb2 import Bundle
from sie.registry.v1.registry_service_pb2 import WatchRegistryResponse

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class World:
    """A registry with a hub, moved by `commit`."""

    def __init__(self, max_history=10_000, progress_interval_s=60.0):
        self.registry = Registry(max_history)
        self.hub = WatchHub(self.registry, progress_interval_s)

    def commit(self, times=1):
        for _ in range(times):
            bundle = Bundle(bundle_id="b", priority=self.registry.revision + 1)
            (event,) = self.registry.decide(Apply(bundle), NOW)
            self.registry.apply(event)
        self.hub.notify()


class Watcher:
    """What a watch says, one commit at a time."""

    def __init__(self, world, from_revision):
        self._watch = world.hub.watch(from_revision)
        self._ahead = []

    async def heard(self):
        while not self._ahead:
            body = await asyncio.wait_for(anext(self._watch), 30)
            response = WatchRegistryResponse.FromString(body)
            kind = response.WhichOneof("update")
            update = getattr(response, kind)
            events = [("event", event) for event in getattr(update, "events", [])]
            self._ahead = events or [(kind, update)]
        return self._ahead.pop(0)


async def test_a_watch_from_0_begins_with_a_snapshot_and_goes_on_with_events():
    world = World()
    world.commit(2)
    watch = Watcher(world, 0)
    kind, snapshot = await watch.heard()
    assert (kind, snapshot.revision) == ("snapshot", 2)
    world.commit(2)
    assert [(await watch.heard())[1].revision for _ in range(2)] == [3, 4]


async def test_a_watch_resumes_where_it_was_left():
    world = World()
    world.commit(5)
    watch = Watcher(world, 4)
    assert [(await watch.heard())[1].revision for _ in range(2)] == [4, 5]
    waiting = asyncio.create_task(watch.heard())
    await asyncio.sleep(0)
    world.commit()
    assert (await waiting)[1].revision == 6


async def test_a_revision_that_is_no_longer_kept_is_compacted():
    world = World(max_history=3)
    world.commit(10)
    watch = Watcher(world, 7)
    kind, compacted = await watch.heard()
    assert (kind, compacted.oldest_revision) == ("compacted", 8)
    with pytest.raises(StopAsyncIteration):
        await watch.heard()


async def test_a_revision_of_the_future_is_refused():
    world = World()
    world.commit(3)
    with pytest.raises(SieError, match="from_revision"):
        await Watcher(world, 5).heard()


async def test_an_idle_watcher_hears_that_it_is_up_to_date():
    world = World(progress_interval_s=0.01)
    world.commit(3)
    kind, progress = await Watcher(world, 4).heard()
    assert (kind, progress.revision) == ("progress", 3)


async def test_a_watcher_too_slow_for_the_history_gets_a_snapshot_and_goes_on():
    world = World(max_history=3)
    world.commit()
    watch = Watcher(world, 1)
    await watch.heard()
    world.commit(50)
    kind, snapshot = await watch.heard()
    assert (kind, snapshot.revision) == ("snapshot", 51)
    world.commit()
    assert (await watch.heard())[1].revision == 52


async def test_watchers_of_a_registry_that_was_replaced_get_a_snapshot_even_of_a_lower_revision():
    world = World()
    world.commit(5)
    watch = Watcher(world, 5)
    await watch.heard()
    world.registry.replace(world.registry.events_since(1)[:2])
    world.hub.reset()
    kind, snapshot = await watch.heard()
    assert (kind, snapshot.revision) == ("snapshot", 2)


async def test_closing_ends_every_watch():
    world = World()
    watch = Watcher(world, 1)
    waiting = asyncio.create_task(watch.heard())
    await asyncio.sleep(0)
    world.hub.close()
    with pytest.raises(SieError, match="SHUTTING_DOWN"):
        await waiting


async def test_a_thousand_watchers_of_any_speed_end_with_the_same_state():
    world = World(max_history=20)
    world.commit()

    async def follow(index):
        watch, view = Watcher(world, 0), RegistryState()
        while view.revision < 101:
            kind, update = await watch.heard()
            (view.replace if kind == "snapshot" else view.apply)(update)
            for _ in range(index % 7):
                await asyncio.sleep(0)
        return view.to_snapshot()

    views = [asyncio.create_task(follow(index)) for index in range(1000)]
    for _ in range(100):
        await asyncio.sleep(0)
        world.commit()
    expected = world.registry.state.to_snapshot()
    assert all(view == expected for view in await asyncio.gather(*views))

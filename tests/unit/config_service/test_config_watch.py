import asyncio
import datetime as dt

import pytest

from config_service.commands import Apply
from config_service.registry import Registry
from config_service.watch import WatchHub
from servicekit.errors import SieError
from servicekit.registry_state import RegistryState
from sie.registry.v1.bundle_pb2 import Bundle

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


class World:
    """A registry with a hub, moved by `commit`."""

    def __init__(self, max_history=10_000, progress_interval_s=60.0):
        self.registry = Registry(max_history)
        self.hub = WatchHub(self.registry, progress_interval_s)

    def commit(self, times=1):
        for _ in range(times):
            bundle = Bundle(bundle_id="b", priority=self.registry.revision + 1)
            self.registry.apply(self.registry.decide(Apply(bundle), NOW))
        self.hub.notify()


async def heard(watch):
    response = await asyncio.wait_for(anext(watch), 2)
    kind = response.WhichOneof("update")
    return kind, getattr(response, kind)


async def test_a_watch_from_0_begins_with_a_snapshot_and_goes_on_with_events():
    world = World()
    world.commit(2)
    watch = world.hub.watch(0)
    kind, snapshot = await heard(watch)
    assert (kind, snapshot.revision) == ("snapshot", 2)
    world.commit(2)
    assert [(await heard(watch))[1].revision for _ in range(2)] == [3, 4]


async def test_a_watch_resumes_where_it_was_left():
    world = World()
    world.commit(5)
    watch = world.hub.watch(4)
    assert [(await heard(watch))[1].revision for _ in range(2)] == [4, 5]
    waiting = asyncio.create_task(heard(watch))
    await asyncio.sleep(0)
    world.commit()
    assert (await waiting)[1].revision == 6


async def test_a_revision_that_is_no_longer_kept_is_compacted():
    world = World(max_history=3)
    world.commit(10)
    watch = world.hub.watch(7)
    kind, compacted = await heard(watch)
    assert (kind, compacted.oldest_revision) == ("compacted", 8)
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_revision_of_the_future_is_refused():
    world = World()
    world.commit(3)
    with pytest.raises(SieError, match="from_revision"):
        await anext(world.hub.watch(5))


async def test_an_idle_watcher_hears_that_it_is_up_to_date():
    world = World(progress_interval_s=0.01)
    world.commit(3)
    kind, progress = await heard(world.hub.watch(4))
    assert (kind, progress.revision) == ("progress", 3)


async def test_a_watcher_too_slow_for_the_history_gets_a_snapshot_and_goes_on():
    world = World(max_history=3)
    world.commit()
    watch = world.hub.watch(1)
    await heard(watch)
    world.commit(50)
    kind, snapshot = await heard(watch)
    assert (kind, snapshot.revision) == ("snapshot", 51)
    world.commit()
    assert (await heard(watch))[1].revision == 52


async def test_watchers_of_a_registry_that_was_replaced_get_a_snapshot_even_of_a_lower_revision():
    world = World()
    world.commit(5)
    watch = world.hub.watch(5)
    await heard(watch)
    world.registry.replace(world.registry.events_since(1)[:2])
    world.hub.reset()
    kind, snapshot = await heard(watch)
    assert (kind, snapshot.revision) == ("snapshot", 2)


async def test_closing_ends_every_watch():
    world = World()
    watch = world.hub.watch(1)
    waiting = asyncio.create_task(heard(watch))
    await asyncio.sleep(0)
    world.hub.close()
    with pytest.raises(SieError, match="SHUTTING_DOWN"):
        await waiting


async def test_a_thousand_watchers_of_any_speed_end_with_the_same_state():
    world = World(max_history=20)
    world.commit()

    async def follow(index):
        view = RegistryState()
        async for response in world.hub.watch(0):
            if response.WhichOneof("update") == "snapshot":
                view.replace(response.snapshot)
            else:
                view.apply(response.event)
            if view.revision == 101:
                return view.to_snapshot()
            for _ in range(index % 7):
                await asyncio.sleep(0)
        return None

    views = [asyncio.create_task(follow(index)) for index in range(1000)]
    for _ in range(100):
        await asyncio.sleep(0)
        world.commit()
    expected = world.registry.state.to_snapshot()
    assert all(view == expected for view in await asyncio.gather(*views))

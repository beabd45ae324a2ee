"""The registry's writers, and the store that they share, against a real broker."""

import asyncio

import pytest

from config_service import store
from servicekit.errors import SieError, code_of
from sie.errors.v1.error_reason_pb2 import ErrorReason
from sie.registry.v1.registry_service_pb2 import WatchRegistryResponse
from tests.waiting import eventually


async def test_a_restart_rebuilds_the_exact_state_revision_and_history(nats_server, new_writer):
    first = await new_writer("file")
    for index in range(5):
        await first.apply(f"b{index % 2}", priority=index + 1)
    await first.client.close()
    await asyncio.to_thread(nats_server.restart)
    second = await new_writer("file")
    assert second.contents == first.contents
    assert second.registry.events_since(1) == first.registry.events_since(1)


async def test_of_two_writers_that_meet_the_loser_is_fenced_and_then_catches_up(new_writer):
    ahead, behind = await new_writer(), await new_writer()
    await ahead.apply("a")
    with behind.not_looking(), pytest.raises(SieError) as caught:
        await behind.apply("b")
    assert code_of(caught.value.reason) == "FENCED"
    assert behind.registry.revision == 0
    assert (await behind.apply("b")).revision == 2
    assert set(behind.registry.state.bundles) == {"a", "b"}
    await ahead.writer.catch_up()
    assert ahead.contents == behind.contents


async def test_writers_that_race_lose_nothing_and_skip_nothing(new_writer):
    writers = [await new_writer() for _ in range(3)]

    async def insist(writer, name):
        while True:
            try:
                return (await writer.apply(name)).revision
            except SieError as error:
                assert error.reason == ErrorReason.ERROR_REASON_FENCED  # noqa: PT017

    names = [(writer, f"b{i}-{j}") for i, writer in enumerate(writers) for j in range(10)]
    revisions = await asyncio.gather(*(insist(writer, name) for writer, name in names))
    assert sorted(revisions) == list(range(1, 31))
    for writer in writers:
        await writer.writer.catch_up()
        assert writer.contents == writers[0].contents
        assert len(writer.registry.state.bundles) == 30


async def test_a_stale_writer_is_fenced_even_when_its_next_revision_was_forgotten(new_writer):
    stale, ahead = await new_writer(), await new_writer()
    for index in range(70):
        await ahead.apply("hot", priority=index + 1)
    with stale.not_looking(), pytest.raises(SieError, match="FENCED"):
        await stale.apply("x")
    await stale.writer.catch_up()
    assert stale.contents == ahead.contents
    # Of 70 events of one key the store kept 64.
    assert stale.registry.oldest_revision == 7


@pytest.mark.parametrize(
    "end",
    [
        SieError(ErrorReason.ERROR_REASON_REGISTRY_UNAVAILABLE, "no answer"),
        asyncio.CancelledError(),
    ],
)
async def test_a_commit_whose_caller_never_learned_of_it_is_found_again(new_writer, end):
    writer, other = await new_writer(), await new_writer()
    with writer.cut_off_by(end), pytest.raises(type(end)):
        await writer.apply("a")
    assert not (await writer.apply("a")).changed
    assert writer.registry.revision == 1
    await other.writer.catch_up()
    assert other.contents == writer.contents


async def test_a_write_without_a_broker_fails_at_once_and_later_succeeds(nats_server, new_writer):
    writer = await new_writer("file")
    await writer.apply("a")
    await asyncio.to_thread(nats_server.stop)
    async with asyncio.timeout(60):
        with pytest.raises(SieError, match="REGISTRY_UNAVAILABLE"):
            await writer.apply("b")
    await asyncio.to_thread(nats_server.start)
    await eventually(lambda: writer.client.is_connected)
    assert (await writer.apply("b")).revision == 2


async def test_a_memory_broker_that_restarted_is_given_the_registry_again(nats_server, new_writer):
    writer = await new_writer()
    for name in ("a", "b", "c", "a"):
        await writer.apply(name, priority=writer.registry.revision + 1)
    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: writer.client.is_connected)
    await writer.writer.catch_up()
    assert (await writer.apply("d")).revision == 5
    after = await new_writer()
    assert after.contents == writer.contents


async def test_a_rewrite_that_broke_off_is_gone_on_with(nats_server, new_writer):
    writer = await new_writer()
    for name in ("a", "b", "c"):
        await writer.apply(name)
    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: writer.client.is_connected)
    with writer.away_beyond(1, "away again"), pytest.raises(SieError, match="away again"):
        await writer.writer.catch_up()
    await writer.writer.catch_up()
    after = await new_writer()
    assert after.contents == writer.contents
    assert after.registry.revision == 3


async def test_when_histories_differ_the_store_wins_and_watchers_are_told(nats_server, new_writer):
    loser = await new_writer()
    for name in ("a", "b", "c"):
        await loser.apply(name)
    watch = loser.hub.watch(3)
    assert WatchRegistryResponse.FromString(await anext(watch)).event.revision == 3
    await asyncio.to_thread(nats_server.restart)
    winner = await new_writer()
    await winner.apply("other")
    await eventually(lambda: loser.client.is_connected)
    await loser.writer.catch_up()
    assert loser.contents == winner.contents
    assert WatchRegistryResponse.FromString(await anext(watch)).snapshot.revision == 1


async def test_a_bucket_made_again_is_told_from_the_old_one_of_the_same_length(
    nats_server, new_writer
):
    loser = await new_writer()
    await loser.apply("a")
    await asyncio.to_thread(nats_server.restart)
    winner = await new_writer()
    await winner.apply("other")
    await eventually(lambda: loser.client.is_connected)
    assert (await loser.apply("b")).revision == 2
    assert set(loser.registry.state.bundles) == {"other", "b"}


async def test_a_reading_that_ends_too_soon_is_not_taken_for_an_empty_registry(
    new_writer, monkeypatch
):
    first = await new_writer()
    await first.apply("a")
    read, cut = store._entries, [[], []]

    async def entries(bucket):
        return cut.pop() if cut else await read(bucket)

    monkeypatch.setattr(store, "_entries", entries)
    second = await new_writer()
    assert second.contents == first.contents
    assert not cut

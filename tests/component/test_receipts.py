"""Idempotency keys against a real broker: what they did is kept as long as they are."""

import asyncio

import pytest

from config_service.commands import Apply, Delete, Import, Rollback
from config_service.history import KEPT
from config_service.receipts import Identity, Receipts
from config_service.writer import Outcome
from servicekit.errors import SieError
from servicekit.registry_state import Key
from sie.registry.v1.bundle_pb2 import Bundle
from tests.waiting import eventually


def identity(key, request="request"):
    return Identity(key.encode(), request.encode())


async def test_a_key_answers_the_same_after_a_restart_whatever_came_between(
    nats_server, new_writer
):
    first, command = await new_writer("file"), Apply(Bundle(bundle_id="a", priority=1))
    done = await first.writer.execute(command, identity("k"))
    nothing = await first.writer.execute(command, identity("nothing to do"))
    await first.writer.execute(Delete(Key("bundle", "a")))
    await asyncio.to_thread(nats_server.restart)
    second = await new_writer("file")
    assert await second.writer.execute(command, identity("k")) == done == Outcome(1, 1)
    assert await second.writer.execute(command, identity("nothing to do")) == nothing
    assert not second.registry.state.bundles
    with pytest.raises(SieError, match="IDEMPOTENCY_CONFLICT"):
        await second.writer.execute(command, identity("k", "another request"))


async def test_a_key_outlives_its_commit_in_the_store(nats_server, new_writer):
    first, command = await new_writer("file"), Apply(Bundle(bundle_id="a", priority=1))
    done = await first.writer.execute(command, identity("k"))
    for number in range(KEPT + 1):
        await first.apply("a", 2 + number)
    await asyncio.to_thread(nats_server.restart)
    second = await new_writer("file")
    assert min(event.revision for event in second.registry.history) > done.revision
    assert await second.writer.execute(command, identity("k")) == done
    assert second.registry.state.bundles["a"].priority == KEPT + 2


async def test_a_memory_broker_that_restarted_is_given_history_and_receipts(
    nats_server, new_writer
):
    writer = await new_writer()
    for priority in (1, 2, 3):
        await writer.apply("a", priority)
    command = Apply(Bundle(bundle_id="a", priority=3))
    nothing = await writer.writer.execute(command, identity("k"))
    await asyncio.to_thread(nats_server.restart)
    await eventually(lambda: writer.client.is_connected)
    await writer.writer.catch_up()
    after = await new_writer()
    assert list(after.registry.history) == list(writer.registry.history)
    assert await after.writer.execute(command, identity("k")) == nothing
    await after.writer.execute(Rollback(1))
    assert after.registry.state.bundles["a"].priority == 1


async def test_a_key_whose_caller_went_away_answers_the_next_call(new_writer):
    writer, command = await new_writer(), Apply(Bundle(bundle_id="a", priority=1))
    with writer.cut_off_by(asyncio.CancelledError()), pytest.raises(asyncio.CancelledError):
        await writer.writer.execute(command, identity("k"))
    async with asyncio.timeout(60):
        assert await writer.writer.execute(command, identity("k")) == Outcome(1, 1)


async def test_old_receipts_leave_the_store(new_writer):
    writer, command = await new_writer(), Apply(Bundle(bundle_id="a"))
    await writer.writer.execute(command)
    writer.registry.receipts = Receipts(most=3)
    for number in range(6):
        await writer.writer.execute(command, identity(f"k{number}"))
    kept = await writer.writer._store.load()
    assert [receipt.key_sha256 for receipt in kept.receipts] == [b"k3", b"k4", b"k5"]


async def test_an_import_that_broke_off_is_finished_by_the_same_call(new_writer):
    writer = await new_writer()
    bundles = {f"d[{i}]": Bundle(bundle_id=f"b{i}") for i in range(5)}
    with writer.away_beyond(3), pytest.raises(SieError, match="away"):
        await writer.writer.execute(Import(bundles), identity("k"))
    assert len(writer.registry.state.bundles) == 3
    assert await writer.writer.execute(Import(bundles), identity("k")) == Outcome(4, 5)
    assert await writer.writer.execute(Import(bundles), identity("k")) == Outcome(4, 5)
